//! Errors of a command, and how a person reads them: what, where, what next, and every cause.

use json::Object;
use std::error::Error;
use std::fmt;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct CommandError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    kind: Kind,
    silent: bool,
    alarm: Option<Box<Object>>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The world did not play along.
    Failed,
    /// The words of the command do not make sense together.
    Usage,
    /// Another program's exit code, where it has the command too.
    Code(u8),
}

impl CommandError {
    /// A failure with its cause.
    pub fn failed(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> CommandError {
        CommandError {
            what: what.into(),
            source: Some(Box::new(source)),
            hint: None,
            kind: Kind::Failed,
            silent: false,
            alarm: None,
        }
    }

    /// A failure that is its own cause.
    pub fn plain(what: impl Into<String>) -> CommandError {
        CommandError { what: what.into(), source: None, hint: None, kind: Kind::Failed, silent: false, alarm: None }
    }

    /// Words that do not make sense together.
    pub fn usage(what: impl Into<String>) -> CommandError {
        CommandError { what: what.into(), source: None, hint: None, kind: Kind::Usage, silent: false, alarm: None }
    }

    /// The same as wrong usage: what was asked for makes no sense, whatever the world is like.
    #[must_use]
    pub fn into_usage(mut self) -> CommandError {
        self.kind = Kind::Usage;
        self
    }

    /// Adds one command or one place to look.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> CommandError {
        self.hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self
    }

    /// As [`CommandError::hint`], unless it has one, or an error inside has.
    #[must_use]
    pub fn or_hint(self, hint: impl Into<String>) -> CommandError {
        if self.has_hint() { self } else { self.hint(hint) }
    }

    fn has_hint(&self) -> bool {
        let inner = self.source().and_then(|source| source.downcast_ref::<CommandError>());
        self.hint.is_some() || inner.is_some_and(CommandError::has_hint)
    }

    /// The same without it, where what to do is done already.
    #[must_use]
    pub fn without_hint(mut self) -> CommandError {
        self.hint = None;
        self
    }

    /// The same with the exit code of the program whose command it is; one that was given first stays.
    #[must_use]
    pub fn code(mut self, code: u8) -> CommandError {
        if !matches!(self.kind, Kind::Code(_)) {
            self.kind = Kind::Code(code);
        }
        self
    }

    /// The same without a word: the exit code says it.
    #[must_use]
    pub fn silent(mut self) -> CommandError {
        self.silent = true;
        self
    }

    /// The same as an alarm: the volume is not the one that it should be. `record` is what a program that asked for JSON is told.
    #[must_use]
    pub fn alarm(mut self, record: Object) -> CommandError {
        self.alarm = Some(Box::new(record));
        self
    }

    /// What a program is told of the alarm that it is. Then nothing else is to be tried on that volume.
    pub fn as_alarm(&self) -> Option<&Object> {
        self.alarm.as_deref()
    }

    /// Whether the exit code says it all.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// 1 for a failure, 2 for wrong usage, or another program's own.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Code(code) => code,
        }
    }
}

/// `what: cause: its cause`, and the hint on a line of its own: of an error inside, that one's, if this one has none.
impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut hint = self.hint.as_deref();
        let mut cause = self.source();
        while let Some(error) = cause {
            match error.downcast_ref::<CommandError>() {
                // Its own causes come next.
                Some(inner) => {
                    write!(f, ": {}", visible(&inner.what))?;
                    hint = hint.or(inner.hint.as_deref());
                }
                None => write!(f, ": {}", visible(&error.to_string()))?,
            }
            cause = error.source();
        }
        match hint {
            Some(hint) => write!(f, "{HINT}{}", visible(hint)),
            None => Ok(()),
        }
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The text without control characters, line ends among them: part of it may come from a header or a server, the terminal
/// obeys them, and a line of ours must not be forged.
pub fn visible(text: &str) -> String {
    // The iterator promises a quarter of what comes, and a dump of a header may be long.
    let mut shown = String::with_capacity(text.len());
    shown.extend(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    shown
}

/// The same of an error in words, whose hint stays on a line of its own.
pub fn visible_error(text: &str) -> String {
    match text.rsplit_once(HINT) {
        Some((what, hint)) => format!("{}{HINT}{}", visible(what), visible(hint)),
        None => visible(text),
    }
}

/// What stands before a hint.
const HINT: &str = "\n  try: ";

/// The same of what may have several lines, as a command of GRUB's, on one.
pub fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    visible(&lines.collect::<Vec<&str>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_shown_and_the_hint_stands_apart() {
        let inner = CommandError::failed("no connection", std::io::Error::other("refused\x1b[2J"));
        let error = CommandError::failed("cannot bind", inner.hint("the server's log")).hint("check the network");
        assert_eq!(error.to_string(), "cannot bind: no connection: refused\u{fffd}[2J\n  try: check the network");
        assert_eq!((error.exit_code(), CommandError::usage("x").exit_code()), (1, 2));
    }

    #[test]
    fn the_hint_of_an_error_inside_is_not_lost() {
        let inner = CommandError::plain("nothing is dropped").hint("reseal first");
        let error = CommandError::failed("keyslot 1 stays", inner);
        assert_eq!(error.or_hint("bind").to_string(), "keyslot 1 stays: nothing is dropped\n  try: reseal first");
        let bare = CommandError::failed("keyslot 1 stays", CommandError::plain("no"));
        assert_eq!(bare.or_hint("bind").to_string(), "keyslot 1 stays: no\n  try: bind");
    }

    #[test]
    fn the_hint_of_an_error_in_words_keeps_its_line() {
        let error = CommandError::plain("there is no x\x1b").hint("`lsblk`");
        let told = visible_error(&format!("x\n is left out: {error}"));
        assert_eq!(told, "x\u{fffd} is left out: there is no x\u{fffd}\n  try: `lsblk`");
    }

    #[test]
    fn several_lines_become_one() {
        assert_eq!(one_line("menuentry {\n  load_video\n}\n"), "menuentry {; load_video; }");
        assert_eq!(one_line("a\x1bb"), "a\u{fffd}b");
    }
}
