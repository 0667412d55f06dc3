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

impl Who {
    fn is_question(&self) -> bool {
        matches!(self, Who::Question { .. })
    }
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
    /// Its secret was given to somebody, for the how-manieth time.
    Given(u8),
    /// And he has gone.
    Taken(u8),
    /// There will be none, or it was not taken.
    Over,
}

/// systemd keeps each answer for a while, and who waits for another one takes it in place of his own: he tries it, and asks anew. So the secret
/// of his volume, which was proved, is given to him once more. `askpass` tries what it is given and nothing else.
const TIMES_TO_SYSTEMD: u8 = 2;

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

    /// The questions that are open now, all of them. With `hold`, nobody who asks by systemd gets an answer while the bindings of another who
    /// does are being tried: of two that stand at the same time, each is to have his own before he can take the other's.
    pub fn look(&mut self, asks: &[Ask], hold: bool) -> Vec<Step> {
        let waits = |ask: &&Ask| hold && ask.who.is_question() && self.is_held(asks);
        let held: Vec<Who> = asks.iter().filter(waits).map(|ask| ask.who.clone()).collect();
        let now: BTreeSet<String> = asks.iter().map(|ask| ask.volume.clone()).collect();
        let gone: Vec<String> = self.asked.difference(&now).cloned().collect();
        let mut steps = Vec::new();
        for volume in &gone {
            steps.extend(self.forget(volume));
        }
        self.asked = now;
        // Names of files and numbers of processes come again.
        self.answered.retain(|who| asks.iter().any(|ask| ask.who == *who));
        steps.extend(asks.iter().filter_map(|ask| self.step(ask, held.contains(&ask.who))));
        steps
    }

    /// Whether a secret that systemd asks for is here, and another one is not, or is not asked for yet: who asks after the first answer tries that
    /// one before he asks.
    pub fn is_held(&self, asks: &[Ask]) -> bool {
        let state = |ask: &Ask| self.volumes.get(&ask.volume).filter(|_| ask.who.is_question());
        let some = |wanted| asks.iter().any(|ask| state(ask) == Some(&wanted));
        let will_ask = |volume: &String| {
            let is_open = matches!(self.volumes.get(volume), Some(State::Fetching | State::Here));
            is_open && asks.iter().all(|ask| ask.volume != *volume)
        };
        some(State::Here) && (some(State::Fetching) || self.ahead.iter().any(will_ask))
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
        if let Some(state) = self.volumes.get_mut(volume).filter(|state| matches!(state, State::Given(_))) {
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

    fn step(&mut self, ask: &Ask, held: bool) -> Option<Step> {
        if self.answered.contains(&ask.who) {
            return None;
        }
        match self.volumes.get_mut(&ask.volume) {
            None => self.begin(&ask.volume),
            Some(State::Fetching | State::Over) => None,
            Some(State::Here) if held => None,
            Some(state) => {
                let times = match state {
                    State::Given(times) | State::Taken(times) => *times,
                    _ => 0,
                };
                if times == 0 || (ask.who.is_question() && times < TIMES_TO_SYSTEMD) {
                    *state = State::Given(times + 1);
                    self.answered.insert(ask.who.clone());
                    Some(Step::Answer(ask.who.clone(), ask.volume.clone()))
                } else {
                    *state = State::Over;
                    Some(Step::NotTaken(ask.volume.clone()))
                }
            }
        }
    }

    /// Nobody asks for it any more. What was given may come back as not taken, and is remembered.
    fn forget(&mut self, volume: &str) -> Option<Step> {
        match self.volumes.get_mut(volume) {
            Some(state @ &mut State::Given(times)) => {
                *state = State::Taken(times);
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
        assert_eq!(desk.look(&both, false), [fetch("a"), fetch("b")]);
        assert_eq!(desk.look(&both, false), []);
        assert!(desk.is_busy());
        desk.fetched("b", true);
        assert_eq!(desk.look(&both, false), [answer(&b)]);
        assert_eq!(desk.look(&both, false), [], "he has it");
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&a), false), [taken("b"), answer(&a)]);
        assert!(!desk.is_busy());
    }

    #[test]
    fn whoever_answers_first_ends_the_search() {
        let mut desk = Desk::default();
        let a = question("ask.1", "a");
        assert_eq!(desk.look(from_ref(&a), false), [fetch("a")]);
        assert_eq!(desk.look(&[], false), [Step::Drop("a".into())]);
        // What comes of it is for nobody, and another question begins anew: the person was wrong.
        desk.fetched("a", true);
        let again = question("ask.2", "a");
        assert_eq!(desk.look(from_ref(&again), false), [fetch("a")]);
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&again), false), [answer(&again)]);
    }

    #[test]
    fn a_secret_that_was_not_taken_is_given_to_systemd_once_more_and_to_askpass_not() {
        let mut desk = Desk::default();
        let question = |number: usize| question(&format!("ask.{number}"), "a");
        desk.look(&[question(1)], false);
        desk.fetched("a", true);
        for number in [1, 2] {
            assert_eq!(desk.look(&[question(number)], false), [answer(&question(number))]);
            assert_eq!(desk.look(&[], false), [taken("a")]);
        }
        assert_eq!(desk.look(&[question(3)], false), [Step::NotTaken("a".into())]);
        assert_eq!(desk.look(&[question(3)], false), []);
        assert_eq!(desk.look(&[question(4)], false), []);

        let mut desk = Desk::default();
        desk.look(&[process(7, "a")], false);
        desk.fetched("a", true);
        assert_eq!(desk.look(&[process(7, "a")], false), [answer(&process(7, "a"))]);
        assert_eq!(desk.look(&[process(8, "a")], false), [Step::NotTaken("a".into())]);
    }

    #[test]
    fn those_who_ask_by_systemd_are_answered_together() {
        let mut desk = Desk::default();
        let (a, b, c) = (question("ask.1", "a"), question("ask.2", "b"), process(7, "c"));
        let all = [a.clone(), b.clone(), c.clone()];
        desk.look(&all, true);
        ["b", "c"].iter().for_each(|volume| desk.fetched(volume, true));
        assert!(desk.is_held(&all));
        assert_eq!(desk.look(&all, true), [answer(&c)], "a pipe has no memory");
        desk.fetched("a", true);
        assert!(!desk.is_held(&all));
        assert_eq!(desk.look(&all, true), [answer(&a), answer(&b)]);
    }

    #[test]
    fn who_will_ask_is_waited_for() {
        let mut desk = Desk::default();
        ["a", "b"].iter().for_each(|volume| drop(desk.expect(volume)));
        ["a", "b"].iter().for_each(|volume| desk.fetched(volume, true));
        let (a, b) = (question("ask.1", "a"), question("ask.2", "b"));
        assert!(desk.is_held(from_ref(&a)));
        assert_eq!(desk.look(from_ref(&a), true), []);
        assert_eq!(desk.look(&[a.clone(), b.clone()], true), [answer(&a), answer(&b)]);
        assert!(!desk.is_held(&[a, b]));
    }

    #[test]
    fn who_is_held_does_not_wait_for_ever() {
        let mut desk = Desk::default();
        let both = [question("ask.1", "a"), question("ask.2", "b")];
        desk.look(&both, true);
        desk.fetched("b", true);
        assert_eq!(desk.look(&both, true), []);
        assert_eq!(desk.look(&both, false), [answer(&both[1])]);
    }

    #[test]
    fn an_answer_that_reached_nobody_is_given_again() {
        let mut desk = Desk::default();
        let (first, second) = (process(7, "a"), process(8, "a"));
        desk.look(from_ref(&first), false);
        desk.fetched("a", true);
        assert_eq!(desk.look(from_ref(&first), false), [answer(&first)]);
        desk.not_given(&first.who, "a");
        assert_eq!(desk.look(from_ref(&second), false), [answer(&second)]);
    }

    #[test]
    fn what_has_no_binding_is_left_to_a_person() {
        let mut desk = Desk::default();
        let a = process(7, "a");
        desk.look(from_ref(&a), false);
        desk.fetched("a", false);
        assert_eq!(desk.look(&[a], false), []);
        assert_eq!(desk.look(&[process(8, "a")], false), [], "he has typed a wrong one and types again");
        assert!(!desk.is_busy());
    }

    #[test]
    fn one_after_the_other_finds_them_all_ready() {
        let mut desk = Desk::default();
        assert_eq!(desk.expect("a"), Some(fetch("a")));
        assert_eq!(desk.expect("b"), Some(fetch("b")));
        assert_eq!(desk.expect("b"), None);
        let a = process(7, "a");
        assert_eq!(desk.look(from_ref(&a), false), []);
        desk.fetched("a", true);
        desk.fetched("b", true);
        assert_eq!(desk.look(from_ref(&a), false), [answer(&a)]);
        // The same number, another volume: the first process has ended.
        assert_eq!(desk.look(&[], false), [taken("a")]);
        let b = process(7, "b");
        assert_eq!(desk.look(from_ref(&b), false), [answer(&b)]);
    }
}
