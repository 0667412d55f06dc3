//! Who asks for which volume, what is known of it, and what is to be done next.

use std::collections::{BTreeMap, BTreeSet};

/// One who waits for an answer. It stays the same for as long as he waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A file in systemd's question directory.
    Question {
        /// Its name there.
        file: String,
        /// The socket that it names.
        socket: String,
    },
    /// `askpass`, which reads the one pipe.
    Process {
        /// Its number.
        pid: u32,
    },
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub who: Who,
    /// The path of the volume, always the same one for the same volume.
    pub volume: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The bindings of this volume are to be tried.
    Fetch(String),
    /// Nobody wants its secret any more: somebody else has answered, or it is open.
    Drop(String),
    /// He gets the secret of the volume.
    Answer(Who, String),
    /// Nobody asks for it any more since the secret was given.
    Taken(String),
    /// The secret was given, and it is asked for again: it was not taken. A person will have to answer.
    NotTaken(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its bindings are being tried.
    Fetching,
    /// Its secret is here, and nobody has it yet.
    Here,
    /// Its secret was given to somebody.
    Given,
    /// And he has gone.
    Taken,
    /// There will be none, or it was not taken.
    Over,
}

/// Keeps the questions and the secrets apart: it knows which there are, and never what is in them.
#[derive(Debug, Default)]
pub struct Desk {
    volumes: BTreeMap<String, State>,
    /// Volumes that are fetched before anybody asks, for those who ask for one after the other.
    ahead: BTreeSet<String>,
    answered: BTreeSet<Who>,
    asked: BTreeSet<String>,
}

impl Desk {
    /// Somebody will ask for this volume.
    pub fn expect(&mut self, volume: &str) -> Option<Step> {
        self.ahead.insert(volume.to_owned());
        self.begin(volume)
    }

    /// The questions that are open now, all of them.
    pub fn look(&mut self, asks: &[Ask]) -> Vec<Step> {
        let now: BTreeSet<String> = asks.iter().map(|ask| ask.volume.clone()).collect();
        let gone: Vec<String> = self.asked.difference(&now).cloned().collect();
        let mut steps = Vec::new();
        for volume in &gone {
            steps.extend(self.forget(volume));
        }
        self.asked = now;
        // Names of files and numbers of processes come again.
        self.answered.retain(|who| asks.iter().any(|ask| ask.who == *who));
        steps.extend(asks.iter().filter_map(|ask| self.step(ask)));
        steps
    }

    /// The bindings of the volume were tried; `true`: its secret is here.
    pub fn fetched(&mut self, volume: &str, here: bool) {
        if let Some(state) = self.volumes.get_mut(volume).filter(|state| **state == State::Fetching) {
            *state = if here { State::Here } else { State::Over };
        }
    }

    /// The answer did not reach him; the next look at the questions will tell whether he is still there.
    pub fn not_given(&mut self, who: &Who, volume: &str) {
        self.answered.remove(who);
        if let Some(state) = self.volumes.get_mut(volume).filter(|state| **state == State::Given) {
            *state = State::Here;
        }
    }

    /// Whether bindings are being tried.
    pub fn is_busy(&self) -> bool {
        self.volumes.values().any(|state| *state == State::Fetching)
    }

    fn begin(&mut self, volume: &str) -> Option<Step> {
        if self.volumes.contains_key(volume) {
            return None;
        }
        self.volumes.insert(volume.to_owned(), State::Fetching);
        Some(Step::Fetch(volume.to_owned()))
    }

    fn step(&mut self, ask: &Ask) -> Option<Step> {
        if self.answered.contains(&ask.who) {
            return None;
        }
        match self.volumes.get_mut(&ask.volume) {
            None => self.begin(&ask.volume),
            Some(State::Fetching | State::Over) => None,
            Some(state @ State::Here) => {
                *state = State::Given;
                self.answered.insert(ask.who.clone());
                Some(Step::Answer(ask.who.clone(), ask.volume.clone()))
            }
            Some(state @ (State::Given | State::Taken)) => {
                *state = State::Over;
                Some(Step::NotTaken(ask.volume.clone()))
            }
        }
    }

    /// Nobody asks for it any more. What was given may come back as not taken, and is remembered.
    fn forget(&mut self, volume: &str) -> Option<Step> {
        match self.volumes.get_mut(volume) {
            Some(state @ State::Given) => {
                *state = State::Taken;
                Some(Step::Taken(volume.to_owned()))
            }
            Some(State::Fetching) if !self.ahead.contains(volume) => {
                self.volumes.remove(volume);
                Some(Step::Drop(volume.to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    fn question(file: &str, volume: &str) -> Ask {
        Ask { who: Who::Question { file: file.into(), socket: "/s".into() }, volume: volume.into() }
    }

    fn process(pid: u32, volume: &str) -> Ask {
        Ask { who: Who::Process { pid }, volume: volume.into() }
    }

    fn fetch(volume: &str) -> Step {
        Step::Fetch(volume.into())
    }

    fn taken(volume: &str) -> Step {
        Step::Taken(volume.into())
    }

    fn answer(ask: &Ask) -> Step {
        Step::Answer(ask.who.clone(), ask.volume.clone())
    }

    #[test]
    fn all_volumes_are_fetched_at_once_and_answered_as_they_come() {
        let mut desk = Desk::default();
        let (a, b) = (question("ask.1", "a"), question("ask.2", "b"));
        let both = [a.clone(), b.clone()];
        assert_eq!(desk.look(&both), [fetch("a"), fetch("b")]);
        assert_eq!(desk.look(&both), []);
        assert!(desk.is_busy());
        desk.fetched("b", true);
        assert_eq!(desk.look(&both), [answer(&b)]);
        assert_eq!(desk.look(&both), [], "he has it");
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&a)), [taken("b"), answer(&a)]);
        assert!(!desk.is_busy());
    }

    #[test]
    fn whoever_answers_first_ends_the_search() {
        let mut desk = Desk::default();
        let a = question("ask.1", "a");
        assert_eq!(desk.look(from_ref(&a)), [fetch("a")]);
        assert_eq!(desk.look(&[]), [Step::Drop("a".into())]);
        // What comes of it is for nobody, and another question begins anew: the person was wrong.
        desk.fetched("a", true);
        let again = question("ask.2", "a");
        assert_eq!(desk.look(from_ref(&again)), [fetch("a")]);
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&again)), [answer(&again)]);
    }

    #[test]
    fn a_secret_that_was_not_taken_is_not_given_again() {
        let mut desk = Desk::default();
        let (first, second) = (question("ask.1", "a"), question("ask.2", "a"));
        desk.look(from_ref(&first));
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&first)), [answer(&first)]);
        assert_eq!(desk.look(&[]), [taken("a")]);
        assert_eq!(desk.look(from_ref(&second)), [Step::NotTaken("a".into())]);
        assert_eq!(desk.look(&[second]), []);
        assert_eq!(desk.look(&[question("ask.3", "a")]), []);
    }

    #[test]
    fn an_answer_that_reached_nobody_is_given_again() {
        let mut desk = Desk::default();
        let (first, second) = (process(7, "a"), process(8, "a"));
        desk.look(from_ref(&first));
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&first)), [answer(&first)]);
        desk.not_given(&first.who, "a");
        assert_eq!(desk.look(from_ref(&second)), [answer(&second)]);
    }

    #[test]
    fn what_has_no_binding_is_left_to_a_person() {
        let mut desk = Desk::default();
        let a = process(7, "a");
        desk.look(from_ref(&a));
        desk.fetched("a", false);
        assert_eq!(desk.look(&[a]), []);
        assert_eq!(desk.look(&[process(8, "a")]), [], "he has typed a wrong one and types again");
        assert!(!desk.is_busy());
    }

    #[test]
    fn one_after_the_other_finds_them_all_ready() {
        let mut desk = Desk::default();
        assert_eq!(desk.expect("a"), Some(fetch("a")));
        assert_eq!(desk.expect("b"), Some(fetch("b")));
        assert_eq!(desk.expect("b"), None);
        let a = process(7, "a");
        assert_eq!(desk.look(from_ref(&a)), []);
        desk.fetched("a", true);
        desk.fetched("b", true);
        assert_eq!(desk.look(from_ref(&a)), [answer(&a)]);
        // The same number, another volume: the first process has ended.
        assert_eq!(desk.look(&[]), [taken("a")]);
        let b = process(7, "b");
        assert_eq!(desk.look(from_ref(&b)), [answer(&b)]);
    }
}
