//! The agent in the background, while the scripts of an initramfs go on.

use crate::error::CommandError;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts this program once more with the same arguments, for which nobody waits. A new process has no thread and no lock of this one.
pub fn start() -> Result<(), CommandError> {
    let failed = |source| CommandError::failed("the agent cannot be started in the background", source);
    let program = env::current_exe().map_err(failed)?;
    let arguments = env::args_os().skip(1).filter(|word| word != "--daemon");
    let mut command = Command::new(program);
    // Its words go where those of this one go: to the console. What a terminal sends to those in front of it does not reach it.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    command.spawn().map_err(failed)?;
    Ok(())
}
