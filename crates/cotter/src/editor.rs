//! A text in a person's own editor.

use crate::error::CommandError;
use crate::private_dir::PrivateDir;
use crate::private_file;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

/// Longest text that is taken back.
const LONGEST: u64 = 1 << 20;

/// Starts the editor that the person has chosen on a file of this name and content, in a directory that is nobody else's, and
/// returns what the file holds afterwards.
pub fn edit(name: &str, text: &str) -> Result<String, CommandError> {
    let directory = PrivateDir::new("cotter-edit")?;
    let file = directory.path().join(name);
    private_file::write(&file, text.as_bytes())?;
    let editor = editor();
    // The variable may hold options too, so the shell takes it apart, as git and others have it do.
    let script = format!("{} \"$1\"", editor.to_string_lossy());
    let status = Command::new("sh").args(["-c", &script, "cotter"]).arg(&file).status();
    let status = status.map_err(|source| CommandError::failed("cannot start an editor", source))?;
    if !status.success() {
        let error = CommandError::plain(format!("the editor {} ended with {status}", editor.to_string_lossy()));
        return Err(error.hint("EDITOR names another one; -c CFG takes it from the command line"));
    }
    let failed = |source| CommandError::failed("cannot read what the editor has left", source);
    if fs::metadata(&file).map_err(failed)?.len() > LONGEST {
        return Err(CommandError::plain("the editor has left more than 1 MiB"));
    }
    fs::read_to_string(&file).map_err(failed)
}

/// Whether somebody has chosen one, which then may be a script.
pub fn is_named() -> bool {
    named().is_some()
}

fn editor() -> OsString {
    named().unwrap_or_else(|| "vi".into())
}

fn named() -> Option<OsString> {
    ["VISUAL", "EDITOR"].into_iter().filter_map(env::var_os).find(|editor| !editor.is_empty())
}
