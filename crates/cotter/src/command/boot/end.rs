//! `cotter boot end`: the end of a stage. Nothing of the agent goes on, and the network is as the next stage wants it.

use super::events::{one_line, say};
use super::handover::Handover;
use super::place;
use crate::args::EndArgs;
use crate::error::CommandError;
use linux::{Ended, PidFile};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long the agent may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the agent and gives the network back. What fails is told: a boot does not stop over it.
pub fn run(args: &EndArgs) -> Result<(), CommandError> {
    match PidFile::end(&place::pid_file(&args.run), PATIENCE) {
        Ok(Ended::Absent | Ended::Itself) => {}
        Ok(Ended::Killed) => say(None, "the agent has not ended by itself, and was killed"),
        Err(error) => say(None, &format!("the agent cannot be ended: {error}")),
    }
    let done = match Handover::read(&args.run) {
        Ok(done) => done,
        Err(error) => {
            say(None, &one_line(&error));
            return Ok(());
        }
    };
    if done.network.is_empty() {
        return Ok(());
    }
    if let Some(why) = wanted_on(args) {
        say(None, &format!("the network stays as it is: {why}"));
        return Ok(());
    }
    linux::network::take_back(&done.network).iter().for_each(|line| say(None, line));
    if let Err(error) = (Handover { network: Vec::new(), ..done }).write(&args.run) {
        say(None, &one_line(&error));
    }
    Ok(())
}

/// Why the next stage wants the network of this one, if it does.
fn wanted_on(args: &EndArgs) -> Option<String> {
    if args.keep_network {
        return Some("--keep-network".into());
    }
    // Where nothing is known of the root, none is taken from it.
    let line = match fs::read(&args.command_line) {
        Ok(line) => line,
        Err(error) => return Some(format!("{} cannot be read: {error}", args.command_line.display())),
    };
    if let Some(word) = earlynet::root_on_network(&line) {
        return Some(format!("{word:?} on the kernel command line"));
    }
    place::REMOTE_SHELLS.iter().find(|file| Path::new(file).exists()).map(|file| format!("{file} is there"))
}
