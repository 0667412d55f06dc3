//! The agent at work: who asks is seen, volumes are searched for, and secrets are handed to those who asked.

use super::ahead;
use super::diary::Diary;
use super::events::say;
use super::handover::Opening;
use super::search::{Common, Found, search};
use crate::args::{AgentArgs, Device};
use clevis::Cancel;
use linux::{DirectoryWatch, is_past, since_start};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};
use unlock::prompt::{self, Ask, Asker, Desk, Question, Step, Who};

/// How long a question may wait to be seen where nothing tells of it.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a secret may wait for those of others who ask by systemd at the same time: a wrong one that is tried in between costs more.
const HOLD: Duration = Duration::from_secs(1);
/// `askpass`, as the scripts call it.
const ASKPASS: &str = "/lib/cryptsetup/askpass";

/// What the agent waits for.
pub enum News {
    /// A question has come or gone.
    Asked,
    /// The search for this volume is over.
    Found(String, Option<Box<Found>>),
}

/// See the module.
pub struct Agent<'scope, 'env> {
    args: &'env AgentArgs,
    common: &'env Common<'env>,
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<News>,
    cancel: &'env Cancel,
    diary: &'env Diary,
    desk: Desk,
    /// Volumes that will be asked for, and are not there yet.
    ahead: Vec<Device>,
    /// What is known of the disks of a volume beyond its path.
    devices: BTreeMap<String, Device>,
    /// What ends the search for each volume, and what it found.
    searches: BTreeMap<String, (Cancel, Option<Box<Found>>)>,
}

impl<'scope, 'env> Agent<'scope, 'env> {
    /// Searches run in threads of `scope`, and tell `sender` of their ends.
    pub fn new(
        args: &'env AgentArgs,
        common: &'env Common<'env>,
        scope: &'scope Scope<'scope, 'env>,
        sender: Sender<News>,
        cancel: &'env Cancel,
        diary: &'env Diary,
    ) -> Agent<'scope, 'env> {
        let plain = |path| Device { path, detached_header: None };
        let named = args.ahead.iter().cloned().map(plain);
        // Who ends when nobody asks is started by who does.
        let lines = if args.while_asked { Vec::new() } else { ahead::lines(args.crypttab.as_deref()) };
        let words = if args.while_asked { Vec::new() } else { ahead::words(&args.command_line) };
        let ahead =
            named.chain(lines.into_iter().map(|line| line.device)).chain(words.into_iter().map(plain)).collect();
        let (devices, searches) = (BTreeMap::new(), BTreeMap::new());
        Agent { args, common, scope, sender, cancel, diary, desk: Desk::default(), ahead, devices, searches }
    }

    /// Until there is no time left, a signal comes, or nobody asks.
    pub fn serve(mut self, news: &Receiver<News>) {
        self.watch();
        let (mut faults, mut held) = (String::new(), None::<Instant>);
        while !self.cancel.is_cancelled() {
            self.expect();
            let (asks, others, fault) = self.asks();
            if fault != faults {
                say(None, &fault);
                faults = fault;
            }
            let nobody = asks.is_empty() && others == 0;
            held = held.filter(|_| self.desk.is_held(&asks)).or_else(|| self.desk.is_held(&asks).then(Instant::now));
            let steps = self.desk.look(&asks, held.is_some_and(|since| since.elapsed() < HOLD));
            steps.into_iter().for_each(|step| self.carry_out(step));
            if (is_past(self.common.until) || (self.args.while_asked && nobody)) && !self.desk.is_busy() {
                return;
            }
            let mut next = news.recv_timeout(GLANCE).ok();
            while let Some(one) = next {
                if let News::Found(volume, found) = one {
                    self.desk.fetched(&volume, found.is_some());
                    self.searches.entry(volume).and_modify(|search| search.1 = found);
                }
                next = news.try_recv().ok();
            }
        }
    }

    /// A question is seen at once.
    fn watch(&self) {
        let (questions, sender, cancel) = (&self.args.questions, self.sender.clone(), self.cancel);
        self.scope.spawn(move || {
            let watch = DirectoryWatch::of(questions);
            while !cancel.is_cancelled() {
                if watch.wait(GLANCE) && sender.send(News::Asked).is_err() {
                    return;
                }
            }
        });
    }

    /// The search for volumes that will be asked for begins as soon as they are there.
    fn expect(&mut self) {
        for device in std::mem::take(&mut self.ahead) {
            if !device.path.exists() {
                self.ahead.push(device);
                continue;
            }
            let volume = canonical(&device.path);
            self.devices.entry(volume.clone()).or_insert(device);
            let step = self.desk.expect(&volume);
            step.into_iter().for_each(|step| self.carry_out(step));
        }
    }

    /// Who asks for a volume now, how many ask for something else, and what could not be read.
    fn asks(&self) -> (Vec<Ask>, usize, String) {
        let (mut asks, mut others, mut fault) = (Vec::new(), 0, String::new());
        match linux::files_of(&self.args.questions, &prompt::is_question) {
            Err(error) => fault = format!("{}: {error}", self.args.questions.display()),
            Ok(files) => files.into_iter().for_each(|(file, content)| match Question::parse(&content) {
                Ok(Question { device: Some(device), socket, until, pid, .. }) => {
                    if until.is_none_or(|until| since_start() < until) && lives(pid) {
                        asks.push(Ask { who: Who::Question { file, socket }, volume: canonical(Path::new(&device)) });
                    }
                }
                Ok(_) => others += 1,
                Err(error) => {
                    others += 1;
                    fault = format!("{file}: {error}");
                }
            }),
        }
        // Nobody waits at a pipe that is not there.
        if self.args.pipe.exists() {
            for process in linux::processes(ASKPASS).unwrap_or_default() {
                if let Some(asker) = Asker::of(&process.arguments, &process.environment) {
                    let volume = canonical(Path::new(&asker.source));
                    asks.push(Ask { who: Who::Process { pid: process.pid }, volume });
                }
            }
        }
        (asks, others, fault)
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Fetch(volume) => self.fetch(volume),
            Step::Drop(volume) => {
                if let Some((cancel, _)) = self.searches.remove(&volume) {
                    say(Some(&volume), "nobody asks any more");
                    cancel.cancel();
                }
            }
            Step::Answer(who, volume) => self.answer(&who, &volume),
            Step::Taken(volume) => self.taken(&volume),
            Step::NotTaken(volume) => {
                say(Some(&volume), "the answer was not taken, and is not given again: a passphrase opens it");
            }
        }
    }

    fn fetch(&mut self, volume: String) {
        let cancel = self.cancel.child();
        self.searches.insert(volume.clone(), (cancel.clone(), None));
        let plain = || Device { path: volume.clone().into(), detached_header: None };
        let device = self.devices.get(&volume).cloned().unwrap_or_else(plain);
        let (common, sender, failed, name) = (self.common, self.sender.clone(), self.sender.clone(), volume.clone());
        let look = move || {
            let found = search(&device, common, &cancel, &|text: &str| say(Some(&volume), text));
            // A search that was dropped has nobody to tell; another one of the same name may be under way.
            if !cancel.is_cancelled() {
                drop(sender.send(News::Found(volume, found.map(Box::new))));
            }
        };
        if let Err(error) = thread::Builder::new().spawn_scoped(self.scope, look) {
            say(Some(&name), &format!("no thread can be started: {error}"));
            drop(failed.send(News::Found(name, None)));
        }
    }

    fn answer(&mut self, who: &Who, volume: &str) {
        let Some((_, Some(found))) = self.searches.get(volume) else { return };
        let secret = &found.unlocked.passphrase;
        let given = match who {
            Who::Question { socket, .. } => match prompt::answer(secret) {
                Some(datagram) => linux::send_to(socket, &datagram),
                None => return say(Some(volume), "systemd takes no such passphrase"),
            },
            Who::Process { .. } => linux::write_to_pipe(&self.args.pipe, secret.secret()),
        };
        match given {
            Ok(()) => say(Some(volume), &format!("answered {}", name_of(who))),
            Err(error) => {
                // `askpass` is there a moment before it reads.
                if matches!(who, Who::Question { .. }) || error.kind() != ErrorKind::NotFound {
                    say(Some(volume), &format!("{} did not take it: {error}", name_of(who)));
                }
                self.desk.not_given(who, volume);
            }
        }
    }

    /// What opened what is said last, and written down for the next stage.
    fn taken(&mut self, volume: &str) {
        let Some((_, Some(found))) = self.searches.get(volume) else { return };
        self.diary.opened(Opening::of_found(volume, found));
        say(None, &found.said(volume));
    }
}

/// Whether somebody waits still: one who was killed leaves his question behind. Who does not say who he is may be there.
fn lives(pid: u32) -> bool {
    pid == 0 || Path::new("/proc").join(pid.to_string()).exists()
}

fn name_of(who: &Who) -> String {
    match who {
        Who::Question { file, .. } => format!("systemd ({file})"),
        Who::Process { pid } => format!("askpass ({pid})"),
    }
}

/// The same volume has one path, by whatever link it is asked for.
fn canonical(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
