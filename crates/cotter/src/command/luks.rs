//! `cotter luks`: volumes on block devices and in plain files.

mod bind;
mod dump;
mod format;
pub mod list;
mod unlock;

use crate::args::LuksCommand;
use crate::error::CommandError;
use crate::output;
use ::luks::Step;

/// Carries out one of the commands.
pub fn run(which: LuksCommand) -> Result<(), CommandError> {
    match which {
        LuksCommand::Format(args) => format::run(&args),
        LuksCommand::Dump(args) => dump::run(&args),
        LuksCommand::Bind(args) => bind::bind(&args),
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => unlock::pass(&args),
        LuksCommand::Unbind(args) => bind::unbind(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
    }
}

/// Prints what a change would write.
fn print_steps(steps: &[Step]) -> Result<(), CommandError> {
    steps.iter().try_for_each(|step| output::line(&format!("would {}", in_words(step))))?;
    output::line("would write both copies of the header")
}

fn in_words(step: &Step) -> String {
    match step {
        Step::AddKeyslot { slot, kdf, area } => {
            format!("add keyslot {slot} ({kdf}), its key material in {} at byte {}", area.size(), area.offset().0)
        }
        Step::RemoveKeyslot { slot, area } => {
            format!("remove keyslot {slot} and overwrite {} at byte {}", area.size(), area.offset().0)
        }
        Step::AddToken { token, kind, .. } => format!("add token {token} ({kind})"),
        Step::ReplaceToken { token, kind, .. } => format!("replace token {token} ({kind})"),
        Step::RemoveToken { token, kind } => format!("remove token {token} ({kind})"),
    }
}
