//! `cotter boot remove`: everything that the journal names is as it was before, and the images are made anew.

use super::images;
use super::install::files;
use super::install::journal::{self, Changed, Journal};
use super::install::state::State;
use super::system::System;
use super::target::{How, Target, systemd_runs};
use super::volumes::TABLE;
use crate::args::RemoveArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::Cancel;
use linux::Output;
use std::fs;
use std::time::Duration;
use unlock::crypttab::{self, Edit};

/// How long making the images may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Settings and lists, which are a person's as soon as one has changed them.
const SETTINGS: &str = "/etc/cotter/";

/// Something that is taken back.
enum Step {
    Put { path: String, state: State },
    Writable { path: String },
    RemoveDirectory { path: String },
}

/// Removes it, or says what that would be.
pub fn run(args: &RemoveArgs) -> Result<(), CommandError> {
    let target = Target::new(args.root.root.as_deref())?;
    if !args.dry_run && !linux::machine::is_root() {
        return Err(CommandError::plain("only root can remove it").hint("see what it would be: --dry-run"));
    }
    let host = Host::new(Duration::from_secs(60));
    host.cancel_on_signal()?;
    let journal = Journal::read(&target)?;
    if journal.is_empty() {
        output::say("nothing is installed");
        return Ok(());
    }
    let system = System::find(&target, host.cancel())?;
    let steps = steps(&target, &journal)?;
    if args.dry_run {
        steps.iter().try_for_each(|step| output::line(&format!("would {}", step.text())))?;
        return system.rebuild().iter().try_for_each(|words| output::line(&format!("would run {}", words.join(" "))));
    }
    for step in &steps {
        step.carry_out(&target)?;
        output::line(&step.text())?;
    }
    if target.is_live() && systemd_runs() && journal.files.iter().any(|file| file.path.starts_with(files::UNITS)) {
        target.run(&["systemctl", "daemon-reload"], &How::asked(host.cancel()))?;
    }
    make_images(&target, &system, host.cancel())?;
    // Last: until here it says what is left to do.
    State::Absent.put(&target, journal::PATH)?;
    if journal.directories.iter().any(|made| made == journal::DIRECTORY) {
        let _ = fs::remove_dir(target.at(journal::DIRECTORY));
    }
    output::say("removed: at the next start a passphrase opens the volumes");
    Ok(())
}

/// In the reverse order.
fn steps(target: &Target, journal: &Journal) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    for changed in journal.files.iter().rev() {
        steps.extend(undone(target, changed, journal)?.map(|state| Step::Put { path: changed.path.clone(), state }));
    }
    steps.extend(journal.guards.iter().map(|path| Step::Writable { path: path.clone() }));
    let mut directories = journal.directories.clone();
    // The inner one first.
    directories.sort_by_key(|path| std::cmp::Reverse(path.matches('/').count()));
    let ours = directories.into_iter().filter(|path| !journal::PATH.starts_with(&format!("{path}/")));
    steps.extend(ours.map(|path| Step::RemoveDirectory { path }));
    Ok(steps)
}

/// What is put at its place, if something is.
fn undone(target: &Target, changed: &Changed, journal: &Journal) -> Result<Option<State>, CommandError> {
    let Changed { path, before, after } = changed;
    let now = State::read(target, path)?;
    if now == *before {
        return Ok(None);
    }
    match &now {
        State::File(file) if now.digest() != *after => {
            if path == TABLE {
                let content = without_options(&file.content, journal)?;
                return Ok(Some(State::File(super::install::state::Kept { content, ..file.clone() }))
                    .filter(|state| *state != now));
            }
            if path.starts_with(SETTINGS) {
                output::say(&format!("{} was changed since, and stays", target.shown(path)));
                return Ok(None);
            }
            Ok(Some(before.clone()))
        }
        _ => Ok(Some(before.clone())),
    }
}

/// Crypttab as others have changed it, without what we have put there.
fn without_options(text: &[u8], journal: &Journal) -> Result<Vec<u8>, CommandError> {
    let mut text = text.to_vec();
    for (name, option) in &journal.options {
        let edit = match option.as_str() {
            // Whoever has a line may need it: it asks for a passphrase.
            "line" => continue,
            "key" => Edit::Key("none"),
            option => Edit::NoOption(option),
        };
        let edited = crypttab::edit(&text, name, edit);
        if let Some(changed) = edited.map_err(|source| CommandError::failed("crypttab cannot be changed", source))? {
            text = changed;
        }
    }
    Ok(text)
}

impl Step {
    fn text(&self) -> String {
        match self {
            Step::Put { path, state: State::Absent } => format!("remove {path}"),
            Step::Put { path, .. } => format!("put {path} back as it was"),
            Step::Writable { path } => format!("make the directory under the mount {path} writable"),
            Step::RemoveDirectory { path } => format!("remove the directory {path}, if it is empty"),
        }
    }

    fn carry_out(&self, target: &Target) -> Result<(), CommandError> {
        match self {
            Step::Put { path, state } => state.put(target, path),
            Step::Writable { path } => match linux::set_immutable(&target.at(path), false) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(CommandError::failed(format!("cannot make {} writable", target.shown(path)), source))
                }
                _ => Ok(()),
            },
            Step::RemoveDirectory { path } => {
                // Full is somebody's.
                let _ = fs::remove_dir(target.at(path));
                Ok(())
            }
        }
    }
}

/// Makes them, and looks whether we are out of them.
fn make_images(target: &Target, system: &System, cancel: &Cancel) -> Result<(), CommandError> {
    for words in system.rebuild() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let how = How { input: &[], output: Output::Shown, limit: PATIENCE, cancel };
        let made = target.run(&arguments, &how);
        made.map_err(|error| error.or_hint(format!("run it again: `{}`, then `cotter boot remove`", words.join(" "))))?;
        output::line(&format!("run {}", words.join(" ")))?;
    }
    for (_, path) in system.images() {
        let unpacked = images::unpack(target, path, cancel)?;
        if unpacked.image().is_ok_and(|image| images::is_in(&image)) {
            let error = CommandError::plain(format!("cotter is still in {}", target.shown(path)));
            return Err(error.hint("something else puts it there: look for hooks that name it"));
        }
    }
    Ok(())
}
