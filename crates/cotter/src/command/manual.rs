//! `cotter completion` and `cotter manual`: from the same definition as the parser.

use crate::args::Cli;
use crate::error::CommandError;
use crate::output;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// Prints the completion script of a shell.
pub fn completion(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cotter", &mut script);
    output::data(&script)
}

/// Prints one manual page for the program and all of its commands.
pub fn manual() -> Result<(), CommandError> {
    let mut root = Cli::command();
    root.build();
    let mut page = Vec::new();
    let failed = |source| CommandError::failed("cannot make the manual page", source);
    clap_mangen::Man::new(root.clone()).title("cotter").section("8").render(&mut page).map_err(failed)?;
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(command, &mut page).map_err(failed)?;
    }
    output::data(&page)
}

/// Appends a command and those below it: what it is, how it is called, its options.
fn section(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let page_of = clap_mangen::Man::new(command.clone());
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
    page_of.render_description_section(page)?;
    page_of.render_synopsis_section(page)?;
    if command.get_arguments().next().is_some() {
        page_of.render_options_section(page)?;
    }
    command.get_subcommands().try_for_each(|below| section(below, page))
}
