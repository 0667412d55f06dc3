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
    let man = clap_mangen::Man::new(root.clone()).title("cotter").section("8");
    man.render_title(&mut page).map_err(failed)?;
    man.render_name_section(&mut page).map_err(failed)?;
    man.render_synopsis_section(&mut page).map_err(failed)?;
    page.extend_from_slice(EXAMPLES.as_bytes());
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(command, &mut page).map_err(failed)?;
    }
    page.extend_from_slice(EXIT_STATUS.as_bytes());
    output::data(&page)
}

/// Comes before the commands, because most readers look for these.
const EXAMPLES: &str = r#".SH EXAMPLES
.TP
A key server:
cotter keys init /var/lib/cotter; cotter serve --listen 0.0.0.0:7500 --keys /var/lib/cotter
.TP
A disk that opens while that server answers:
cotter luks bind \-d /dev/sdb2 tang '{"url":"http://server:7500"}'
.TP
The same for a script, with the thumbprint that \fBcotter keys show\fR prints:
cotter luks bind \-k KEYFILE \-d /dev/sdb2 tang '{"url":"http://server:7500","thp":"THUMBPRINT"}'
.TP
Opening it with nothing typed, and closing it:
cotter luks unlock \-d /dev/sdb2 \-n data; cotter luks lock data
.TP
A new volume, a backup of its header, a recovery key:
cotter luks format \-d /dev/sdb2; cotter luks backup \-d /dev/sdb2 sdb2.header; cotter luks add \-\-generate \-d /dev/sdb2
.TP
After the server's keys were rotated:
cotter luks report \-q \-r \-d /dev/sdb2 \-s 1
"#;

/// Comes last.
const EXIT_STATUS: &str = r#".SH EXIT STATUS
0: done. 1: not done; standard error says why and what to try. 2: the words of the command make no sense. The commands
\fBluks meta\fR and \fBluks list \-\-expect\fR have codes of their own, which their sections tell.
.SH ENVIRONMENT
http_proxy, HTTPS_PROXY, ALL_PROXY, NO_PROXY: as curl takes them. REMOTE_ADDR: the peer, when started for one connection.
"#;

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
    if command.get_after_long_help().is_some() {
        page_of.render_extra_section(page)?;
    }
    command.get_subcommands().try_for_each(|below| section(below, page))
}
