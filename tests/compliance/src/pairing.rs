//! A table of pairings: every row is tried, each result is kept, and one bad row fails the test in the end.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Where `cargo xtask pairings` wants the lines.
const LINES_GO_TO: &str = "COTTER_PAIRINGS";

/// The rows that were tried so far.
pub struct Table {
    name: &'static str,
    rows: Vec<(String, Result<(), String>)>,
}

impl Table {
    /// An empty table; `name` becomes its heading.
    pub fn new(name: &'static str) -> Table {
        Table { name, rows: Vec::new() }
    }

    /// Tries one pairing; a panic in `run` is its failure and the next row is still tried.
    pub fn row(&mut self, pairing: impl Into<String>, run: impl FnOnce()) {
        let result = catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("failed").to_owned()
        });
        self.rows.push((pairing.into(), result));
    }

    /// Leaves the lines where they are wanted, and fails if any row has.
    pub fn finish(self) {
        if let Some(directory) = std::env::var_os(LINES_GO_TO) {
            let file = Path::new(&directory).join(self.name.replace([' ', '/'], "-"));
            fs::write(file, self.lines()).unwrap();
        }
        let failed: Vec<String> =
            self.rows.iter().filter_map(|(row, result)| Some(format!("{row}: {}", result.as_ref().err()?))).collect();
        assert!(!self.rows.is_empty(), "{}: a table without rows proves nothing", self.name);
        assert!(
            failed.is_empty(),
            "{}: {} of {} rows:\n{}",
            self.name,
            failed.len(),
            self.rows.len(),
            failed.join("\n")
        );
    }

    /// `table TAB pairing TAB result`, a line each.
    fn lines(&self) -> String {
        self.rows.iter().fold(String::new(), |mut lines, (row, result)| {
            let seen =
                result.as_ref().map_or_else(|why| format!("**fails**: {}", first_line(why)), |()| "works".into());
            let _ = writeln!(lines, "{}\t{row}\t{seen}", self.name);
            lines
        })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_row_does_not_hide_the_next() {
        let mut table = Table::new("t");
        table.row("a", || {});
        table.row("b", || panic!("no\nmore"));
        table.row("c", || {});
        assert_eq!(table.lines(), "t\ta\tworks\nt\tb\t**fails**: no\nt\tc\tworks\n");
        assert!(catch_unwind(AssertUnwindSafe(|| table.finish())).is_err());
    }

    #[test]
    #[should_panic(expected = "proves nothing")]
    fn a_table_without_rows_fails() {
        Table::new("t").finish();
    }
}
