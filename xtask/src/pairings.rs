//! `cargo xtask pairings`: runs the pairing tests and writes what was seen to `docs/pairings.md`.
//!
//! Each pairing test leaves one file of lines `table TAB pairing TAB result`; this is where they become tables.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{program, setup};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Tells the tests where to leave their lines.
const LINES_GO_TO: &str = "COTTER_PAIRINGS";

const HEAD: &str = "\
# Pairings

Ours and the originals in every combination, as `cargo xtask pairings` saw them; nothing here is written by hand. A table
of its own shows the originals among themselves, so that a failure of ours can be told from one of the machine.

";

/// Runs the tests of `tests/compliance` and writes the document; a failed pairing is in it, and fails the command.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let lines = workspace.target.join("pairings");
    let failed = |source| Failure::File { path: lines.clone(), source };
    if lines.exists() {
        fs::remove_dir_all(&lines).map_err(failed)?;
    }
    fs::create_dir_all(&lines).map_err(failed)?;

    let mut cargo = program::cargo(&workspace.root);
    cargo.env(LINES_GO_TO, &lines).args(["test", "--package", "compliance", "--locked", "--no-fail-fast"]);
    let tested = program::run(&mut cargo);

    let mut text = String::new();
    for name in names(&lines)? {
        let path = lines.join(name);
        text += &fs::read_to_string(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    let path = workspace.root.join("docs/pairings.md");
    fs::write(&path, document(&text, &setup::versions()))
        .map_err(|source| Failure::File { path: path.clone(), source })?;
    println!("wrote {}", path.display());
    tested
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, Failure> {
    let failed = |source| Failure::File { path: directory.into(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut names: Vec<_> =
        entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect::<Result<_, Failure>>()?;
    names.sort();
    Ok(names)
}

/// One section for each table, in the order of their names; the rows as they came.
fn document(lines: &str, originals: &str) -> String {
    let mut tables: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for line in lines.lines() {
        let mut parts = line.splitn(3, '\t');
        if let (Some(table), Some(pairing), Some(result)) = (parts.next(), parts.next(), parts.next()) {
            tables.entry(table).or_default().push((pairing, result));
        }
    }
    let mut text = format!("{HEAD}Originals, as Debian packages: {originals}.\n\n");
    for (table, rows) in tables {
        text += &format!("## {table}\n\n| pairing | seen |\n| --- | --- |\n");
        for (pairing, result) in rows {
            text += &format!("| {} | {} |\n", cell(pairing), cell(result));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_tables() {
        let text = document("b\tx\tworks\na\ty|z\tfails\n\nb\tw\tworks\n", "jose 11");
        let tables = text.strip_prefix(HEAD);
        let expected = "Originals, as Debian packages: jose 11.\n\n## a\n\n| pairing | seen |\n| --- | --- |\n| y\\|z | fails |\n\n\
                        ## b\n\n| pairing | seen |\n| --- | --- |\n| x | works |\n| w | works |\n";
        assert_eq!(tables, Some(expected));
    }
}
