//! `cotter completion`.

use clap::Args;

// `cotter completion`
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}
