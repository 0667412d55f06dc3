//! `cotter boot install`: what the system uses is found, a plan is made, carried out and proved, or taken back.

mod carry_out;
pub mod files;
pub mod journal;
mod mkinitcpio;
mod plan;
pub mod state;
mod wishes;

use super::check;
use super::images::{self, OfSystem};
use super::system::System;
use super::target::Target;
use super::volumes::{self, Found};
use crate::args::InstallArgs;
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use carry_out::Work;
use clevis::Cancel;
use journal::Journal;
use plan::{Present, Step, plan};
use state::State;
use wishes::Wanted;

/// Installs, or says what that would be.
pub fn run(args: &InstallArgs) -> Result<(), CommandError> {
    let target = Target::new(args.root.root.as_deref())?;
    if !args.dry_run && !linux::machine::is_root() {
        return Err(CommandError::plain("only root can install into the boot").hint("see what it would be: --dry-run"));
    }
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let system = System::find(&target, host.cancel())?;
    if system.images().next().is_none() {
        let error = CommandError::plain(format!("no kernel of {} has an image", target.shown("/")));
        return Err(error.hint(format!("have {} make one first", system.framework)));
    }
    let found = volumes::find(&target, system.framework, &args.devices)?;
    found.remarks.iter().for_each(|remark| output::say(&visible(remark)));
    let Wanted { wishes, options, notes } = wishes::gather(args, &target, &system, &found, &host)?;
    notes.iter().for_each(|note| output::say(&visible(note)));
    let stale = are_stale(&target, &system, host.cancel())?;
    let steps = plan(&system, plan::Wishes { images_are_stale: stale, ..wishes }, &target)?;
    if args.dry_run {
        return print(&steps);
    }
    let journal = journaled(&target, &steps, options)?;
    let mut proof = || prove(args, &target, &system, &found, host.cancel());
    if steps.is_empty() {
        output::say("nothing is to be done: all of it is installed, and in every image");
        return proof();
    }
    Work::new(&target, &system, host.cancel()).carry_out(&steps, &journal, &mut proof)?;
    output::say("installed; `cotter boot status` shows it, `cotter boot remove` takes it back");
    Ok(())
}

fn print(steps: &[Step]) -> Result<(), CommandError> {
    if steps.is_empty() {
        return output::line("nothing would be done: all of it is installed, and in every image");
    }
    steps
        .iter()
        .try_for_each(|step| output::line(&format!("would {step}\n    if a later step fails: {}", step.taken_back())))
}

/// Whether an image lacks something, whatever is changed now.
fn are_stale(target: &Target, system: &System, cancel: &Cancel) -> Result<bool, CommandError> {
    let wanted = OfSystem::read(target, system.framework)?;
    for (_, image) in system.images() {
        let unpacked = images::unpack(target, image, cancel)?;
        match unpacked.image() {
            Ok(image) if wanted.lacks(&image).is_empty() => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// The journal as it is when the steps are done.
fn journaled(target: &Target, steps: &[Step], options: Vec<(String, String)>) -> Result<Journal, CommandError> {
    let mut journal = Journal::read(target)?;
    let add = |list: &mut Vec<String>, path: &String| {
        if !list.contains(path) {
            list.push(path.clone());
        }
    };
    if !target.has(journal::DIRECTORY) {
        add(&mut journal.directories, &journal::DIRECTORY.to_owned());
    }
    for step in steps {
        match step {
            Step::Directory { path } => add(&mut journal.directories, path),
            Step::Guard { path } => add(&mut journal.guards, path),
            Step::Write { path, before, after } => journal.note(path, before, after),
            Step::Run { .. } => {}
        }
    }
    let new: Vec<_> = options.into_iter().filter(|option| !journal.options.contains(option)).collect();
    journal.options.extend(new);
    Ok(journal)
}

/// Looks into each image, and proves what can be proved now.
fn prove(
    args: &InstallArgs,
    target: &Target,
    system: &System,
    found: &Found,
    cancel: &Cancel,
) -> Result<(), CommandError> {
    let wanted = OfSystem::read(target, system.framework)?;
    for (_, path) in system.images() {
        let unpacked = images::unpack(target, path, cancel)?;
        let image = unpacked
            .image()
            .map_err(|source| CommandError::failed(format!("the image {path} cannot be read"), source))?;
        let lacks = wanted.lacks(&image);
        if !lacks.is_empty() {
            let what =
                format!("the image {} was made without all that it needs: {}", target.shown(path), lacks.join("; "));
            return Err(CommandError::plain(visible(&what)).hint("what was said while it was made tells why"));
        }
    }
    if args.no_check || !target.is_live() {
        output::say("that the bindings open their volumes was not proved");
        return Ok(());
    }
    check::prove_all(target, system, found, args.patience, cancel, &mut |proof| output::line(&proof.line()))
}

impl Present for Target {
    fn state(&self, path: &str) -> Result<State, CommandError> {
        State::read(self, path)
    }

    fn has_directory(&self, path: &str) -> bool {
        self.behind(path).is_dir()
    }
}
