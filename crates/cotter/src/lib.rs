//! `cotter`: the command line. It reads arguments, wires the edge to the core, and prints.

#![forbid(unsafe_code)]
// Nothing but `main` is reachable from outside; here `pub` says what a module offers to the others, and the command line's
// definitions carry their help as documentation.
#![allow(unreachable_pub, missing_docs)]
// The boot build leaves out commands, and what they alone call stays where it is: the full build tells what nobody calls.
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

mod args;
mod boot_settings;
mod command;
#[cfg(feature = "full")]
mod counters;
mod crypttab_line;
#[cfg(feature = "full")]
mod editor;
mod error;
mod expected;
#[cfg(test)]
mod hints;
mod host;
mod opened;
#[cfg(feature = "full")]
mod opening;
mod output;
mod passphrase;
mod pins;
#[cfg(feature = "full")]
mod private_dir;
mod private_file;
#[cfg(feature = "full")]
mod progress;
mod verdict;
mod volume;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use error::CommandError;
use std::process::ExitCode;

/// The program, from its arguments to its exit code.
pub fn main() -> ExitCode {
    linux::use_own_name_service();
    if let Err(error) = linux::forbid_dumps() {
        output::say(&format!("cotter: core dumps cannot be switched off: {error}"));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(words) => return usage(&words),
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_silent() {
                output::say(&format!("cotter: {error}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help goes to standard output and succeeds; anything else is told on standard error.
fn usage(words: &clap::Error) -> ExitCode {
    let asked_for = !words.use_stderr();
    // A reader that has gone away, such as `head`, is no failure of ours.
    let _ = words.print();
    let begins = |with: [&str; 2]| std::env::args_os().skip(1).take(2).eq(with);
    if words.kind() == ErrorKind::UnknownArgument && begins(["luks", "bind"]) {
        output::say("\nThe disk is given with -d; the words behind it are PIN and CFG.");
    }
    #[cfg(not(feature = "full"))]
    if words.kind() == ErrorKind::InvalidSubcommand {
        output::say(&format!("\n{}", args::BOOT_BUILD));
    }
    match asked_for {
        true => ExitCode::SUCCESS,
        // As luksmeta has it.
        false if begins(["luks", "meta"]) => ExitCode::from(64),
        false => ExitCode::from(2),
    }
}

fn run(command: Command) -> Result<(), CommandError> {
    match command {
        #[cfg(feature = "full")]
        Command::Demo(args) => command::demo::run(&args),
        #[cfg(feature = "full")]
        Command::Serve(args) => command::serve::run(args),
        #[cfg(feature = "full")]
        Command::Keys(which) => command::keys::run(which),
        #[cfg(feature = "full")]
        Command::Encrypt(args) => command::encrypt::run(&args),
        Command::Decrypt(args) => command::decrypt::run(&args),
        #[cfg(feature = "full")]
        Command::Policy(which) => command::policy::run(which),
        Command::Luks(which) => command::luks::run(which),
        Command::Tpm(which) => command::tpm::run(which),
        Command::Boot(which) => command::boot::run(which),
        #[cfg(feature = "full")]
        Command::Image(which) => command::image::run(which),
        #[cfg(feature = "full")]
        Command::Completion(args) => command::manual::completion(args.shell),
        #[cfg(feature = "full")]
        Command::Manual => command::manual::manual(),
    }
}
