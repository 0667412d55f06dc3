//! What a guest told: for each step of its story what it wrote and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

const BEGIN: &str = "@@ begin ";
const END: &str = "@@ end ";
/// How much of the kernel's messages a failure shows.
const TAIL: usize = 40;

/// One step of a story.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Its exit code; `None` if the machine ended before it did.
    pub code: Option<i32>,
    /// All it wrote, without the line end.
    pub text: String,
}

/// All steps of a story that were begun.
#[derive(Debug)]
pub struct Report {
    steps: BTreeMap<String, Step>,
    console: String,
    /// From power on to off.
    pub took: Duration,
}

impl Report {
    pub(super) fn read(answers: &str, console: &str, took: Duration) -> Report {
        let step = |text: &str, code| Step { code, text: text.trim_end().to_owned() };
        let mut steps = BTreeMap::new();
        let mut open: Option<(String, String)> = None;
        for line in answers.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(name) = line.strip_prefix(BEGIN) {
                open = Some((name.to_owned(), String::new()));
            } else if let Some((name, code)) = line.strip_prefix(END).and_then(|line| line.split_once(' ')) {
                let text = open.take().map(|(_, text)| text).unwrap_or_default();
                let before = steps.insert(name.to_owned(), step(&text, code.parse().ok()));
                assert!(before.is_none(), "two steps are called `{name}`");
            } else if let Some((_, text)) = &mut open {
                text.push_str(line);
                text.push('\n');
            }
        }
        steps.extend(open.map(|(name, text)| (name, step(&text, None))));
        Report { steps, console: console.to_owned(), took }
    }

    /// The step of this name. Ends the test if the story did not come so far.
    #[track_caller]
    pub fn step(&self, name: &str) -> &Step {
        self.steps.get(name).unwrap_or_else(|| panic!("no step `{name}`; {self}"))
    }

    /// What the step of this name wrote. Ends the test unless it ended with 0.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        let step = self.step(name);
        assert_eq!(step.code, Some(0), "step `{name}` wrote: {}", step.text);
        &step.text
    }
}

/// For a person who looks for the reason of a failure.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after {:?} the guest had told:", self.took)?;
        for (name, step) in &self.steps {
            writeln!(f, "  {name} ({:?}): {}", step.code, step.text.replace('\n', "\n    "))?;
        }
        let lines: Vec<&str> = self.console.lines().collect();
        writeln!(f, "and its kernel, at last:\n{}", lines[lines.len().saturating_sub(TAIL)..].join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answers: &str) -> Report {
        Report::read(answers, "1\n2\n", Duration::ZERO)
    }

    #[test]
    fn steps_are_read_with_their_ends() {
        let report = report(
            "noise\r\n@@ begin a b\r\n1\r\n\r\n2\r\n\r\n@@ end a 3\r\n@@ begin c\r\n@@ end c 0\r\n@@ begin d\r\nhm\r\n",
        );
        assert_eq!(report.step("a"), &Step { code: Some(3), text: "1\n\n2".into() });
        assert_eq!(report.text("c"), "");
        assert_eq!(report.step("d"), &Step { code: None, text: "hm".into() });
    }

    #[test]
    #[should_panic(
        expected = "no step `x`; after 0ns the guest had told:\n  a (Some(0)): 1\nand its kernel, at last:\n1\n2"
    )]
    fn a_step_that_was_not_reached_shows_all_that_was() {
        report("@@ begin a\n1\n@@ end a 0\n").step("x");
    }
}
