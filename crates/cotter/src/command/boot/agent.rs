//! `cotter boot agent`: the questions of a machine that starts, answered.

use super::events::{one_line, say};
use super::search::{Limits, search};
use super::{daemon, place};
use crate::args::AgentArgs;
use crate::boot_settings::Settings;
use crate::error::CommandError;
use clevis::{Cancel, Deadline};
use crypto::Passphrase;
use linux::{DirectoryWatch, PidFile, deadline_after, is_past, since_start};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};
use std::time::Duration;
use unlock::prompt::{self, Ask, Asker, Desk, Question, Step, Who};

/// How long a question may wait to be seen where nothing tells of it, and a secret that was found to be given.
const GLANCE: Duration = Duration::from_millis(50);
/// `askpass`, as the scripts call it.
const ASKPASS: &str = "/lib/cryptsetup/askpass";

/// Answers until there is no time left, a signal comes, or nobody asks.
pub fn run(args: &AgentArgs) -> Result<(), CommandError> {
    if args.daemon {
        return daemon::start();
    }
    if let Some(why) = attended(&args.command_line) {
        say(None, &why);
        return Ok(());
    }
    let Some(settings) = settings(args) else { return Ok(()) };
    let Some(_alone) = alone(args) else { return Ok(()) };
    let cancel = Cancel::new();
    let stop = cancel.clone();
    linux::on_stop_signal(move |_| stop.cancel())
        .map_err(|source| CommandError::failed("cannot watch for signals", source))?;
    let until = deadline_after(settings.timeout);
    thread::scope(|scope| {
        let (sender, found) = mpsc::channel();
        let agent = Agent {
            args,
            settings: &settings,
            scope,
            sender,
            cancel: &cancel,
            until,
            desk: Desk::default(),
            searches: BTreeMap::new(),
        };
        agent.serve(&found);
        // The searches end with the agent.
        cancel.cancel();
    });
    Ok(())
}

/// The right to be the agent of this machine; where it cannot be had because the file cannot be made, the machine is served all the same.
fn alone(args: &AgentArgs) -> Option<Option<PidFile>> {
    match PidFile::claim(&place::pid_file(&args.run)) {
        Ok(Some(alone)) => Some(Some(alone)),
        Ok(None) => {
            say(None, "another agent serves already");
            None
        }
        Err(error) => {
            say(None, &format!("{}: {error}", place::pid_file(&args.run).display()));
            Some(None)
        }
    }
}

/// What holds, with what the arguments say of it. Settings that cannot be followed may have forbidden whatever would be done without them.
fn settings(args: &AgentArgs) -> Option<Settings> {
    let seconds = |number: Option<u32>| number.map(|number| Duration::from_secs(number.into()));
    match Settings::read(&args.settings) {
        Ok(settings) => Some(Settings {
            timeout: seconds(args.timeout).unwrap_or(settings.timeout),
            try_for: seconds(args.try_for).unwrap_or(settings.try_for),
            ..settings
        }),
        Err(error) => {
            say(None, &format!("nothing is opened without a person: {}", one_line(&error)));
            None
        }
    }
}

/// Why nothing is given without a person.
fn attended(command_line: &Path) -> Option<String> {
    let told = |why: String| format!("nothing is opened without a person: {why}");
    match fs::read(command_line) {
        Err(error) => Some(told(format!("{} cannot be read: {error}", command_line.display()))),
        Ok(line) => match earlynet::attended(&line) {
            Err(error) => Some(told(error.to_string())),
            Ok(found) => found.map(|found| found.to_string()),
        },
    }
}

/// A volume, and its secret if there is one.
type Found = (String, Option<Passphrase>);

struct Agent<'scope, 'env> {
    args: &'env AgentArgs,
    settings: &'env Settings,
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<Found>,
    cancel: &'env Cancel,
    until: Deadline,
    desk: Desk,
    /// What ends the search for each volume, and what it found.
    searches: BTreeMap<String, (Cancel, Option<Passphrase>)>,
}

impl Agent<'_, '_> {
    fn serve(mut self, found: &Receiver<Found>) {
        let watch = DirectoryWatch::of(&self.args.questions);
        for volume in &self.args.ahead {
            let step = self.desk.expect(&canonical(volume));
            step.into_iter().for_each(|step| self.carry_out(step));
        }
        let mut faults = String::new();
        while !self.cancel.is_cancelled() {
            while let Ok((volume, secret)) = found.try_recv() {
                self.desk.fetched(&volume, secret.is_some());
                self.searches.entry(volume).and_modify(|search| search.1 = secret);
            }
            let (asks, others, fault) = self.asks();
            if fault != faults {
                say(None, &fault);
                faults = fault;
            }
            let nobody = asks.is_empty() && others == 0;
            let steps = self.desk.look(&asks);
            steps.into_iter().for_each(|step| self.carry_out(step));
            if (is_past(self.until) || (self.args.while_asked && nobody)) && !self.desk.is_busy() {
                return;
            }
            watch.wait(GLANCE);
        }
    }

    /// Who asks for a volume now, how many ask for something else, and what could not be read.
    fn asks(&self) -> (Vec<Ask>, usize, String) {
        let (mut asks, mut others, mut fault) = (Vec::new(), 0, String::new());
        match linux::files_of(&self.args.questions, &prompt::is_question) {
            Err(error) => fault = format!("{}: {error}", self.args.questions.display()),
            Ok(files) => files.into_iter().for_each(|(file, content)| match Question::parse(&content) {
                Ok(Question { device: Some(device), socket, until, .. }) => {
                    if until.is_none_or(|until| since_start() < until) {
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
            Step::NotTaken(volume) => {
                say(Some(&volume), "the answer was not taken, and is not given again: a passphrase opens it");
            }
        }
    }

    fn fetch(&mut self, volume: String) {
        let cancel = self.cancel.child();
        let (args, until, sender) = (self.args, self.until, self.sender.clone());
        let (try_for, authorities) = (self.settings.try_for, self.settings.ca.as_deref());
        self.searches.insert(volume.clone(), (cancel.clone(), None));
        let (name, failed) = (volume.clone(), self.sender.clone());
        let look = move || {
            let tell = |text: &str| say(Some(&volume), text);
            let secret =
                search(&PathBuf::from(&volume), args, &Limits { until, try_for, cancel: &cancel, authorities }, &tell);
            // A search that was dropped has nobody to tell; another one of the same name may be under way.
            if !cancel.is_cancelled() {
                drop(sender.send((volume, secret)));
            }
        };
        if let Err(error) = thread::Builder::new().spawn_scoped(self.scope, look) {
            say(Some(&name), &format!("no thread can be started: {error}"));
            drop(failed.send((name, None)));
        }
    }

    fn answer(&mut self, who: &Who, volume: &str) {
        let Some((_, Some(secret))) = self.searches.get(volume) else { return };
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
                say(Some(volume), &format!("{} did not take it: {error}", name_of(who)));
                self.desk.not_given(who, volume);
            }
        }
    }
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
