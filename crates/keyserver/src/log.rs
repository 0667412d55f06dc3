//! The log: one line per request, in the original's form, written by a thread of its own.
//!
//! A request only appends its line to a buffer in memory. The thread gathers what comes within a few milliseconds and
//! writes it at once, so that under load the log costs one system call for dozens of requests; and when the reader of the
//! log does not read, requests are still answered: lines beyond a limit are dropped, counted, and the count is logged.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much may wait to be written; some ten thousand lines.
const LONGEST_QUEUE: usize = 1024 * 1024;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of the server waits for the last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How much of a word that comes from outside is shown.
const LONGEST_WORD: usize = 256;

/// Where lines go. Closed when dropped.
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// The queue has its first line, or is closed.
    filled: Condvar,
    /// The writer has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    text: Vec<u8>,
    lost: u64,
    closed: bool,
    ended: bool,
}

impl Log {
    /// Starts the thread that writes to `sink`.
    pub(crate) fn start(sink: Box<dyn Write + Send>) -> io::Result<Log> {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), ended: Condvar::new() });
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("log".into()).spawn(move || writer.write_all_to(sink))?;
        Ok(Log(shared))
    }

    /// Adds one line; the newline is added here. Never waits for the sink.
    pub(crate) fn line(&self, words: fmt::Arguments<'_>) {
        let mut queue = self.0.queue();
        if queue.text.len() >= LONGEST_QUEUE {
            queue.lost += 1;
            return;
        }
        let first = queue.text.is_empty();
        let _ = writeln!(queue.text, "{words}"); // a vector takes everything
        drop(queue);
        if first {
            self.0.filled.notify_one();
        }
    }
}

impl Drop for Log {
    /// Waits until the last lines are written, but not for a reader that does not read.
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closed = true;
        self.0.filled.notify_one();
        let _ = self.0.ended.wait_timeout_while(queue, LAST_LINES, |queue| !queue.ended);
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_to(&self, mut sink: Box<dyn Write + Send>) {
        let mut text = Vec::new();
        while let Some(lost) = self.next_batch(&mut text) {
            // Nobody could be told that the log cannot be written.
            let _ = sink.write_all(&text).and_then(|()| sink.flush());
            if lost > 0 {
                let _ = writeln!(sink, "{lost} lines were left out: the log is read too slowly");
            }
            text.clear();
        }
        self.queue().ended = true;
        self.ended.notify_one();
    }

    /// Waits for lines and swaps them with `text`; returns how many were dropped, or `None` at the end.
    fn next_batch(&self, text: &mut Vec<u8>) -> Option<u64> {
        let begun = self.filled.wait_while(self.queue(), |queue| queue.text.is_empty() && !queue.closed);
        let begun = begun.unwrap_or_else(PoisonError::into_inner);
        let gathered = self.filled.wait_timeout_while(begun, GATHER, |queue| !queue.closed);
        let (mut queue, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        if queue.text.is_empty() {
            return None;
        }
        std::mem::swap(&mut queue.text, text);
        Some(std::mem::take(&mut queue.lost))
    }
}

/// A word from outside, safe to show: visible ASCII without backslash stays as it is, any other byte becomes `\xNN`, and
/// what is longer than 256 bytes ends in `...`.
pub(crate) fn shown(word: &str) -> Shown<'_> {
    Shown { text: word, space: Space::Escaped }
}

/// A sentence with words from outside in it, safe to show: as [`shown`], but spaces stay.
pub(crate) fn said(sentence: &str) -> Shown<'_> {
    Shown { text: sentence, space: Space::Kept }
}

/// Text on its way into the log.
pub(crate) struct Shown<'a> {
    text: &'a str,
    space: Space,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Escaped,
    Kept,
}

impl Space {
    fn is_plain(self, byte: u8) -> bool {
        (byte.is_ascii_graphic() && byte != b'\\') || (byte == b' ' && self == Space::Kept)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.text.as_bytes();
        let (shown, rest) = whole.split_at_checked(LONGEST_WORD).unwrap_or((whole, &[]));
        for part in shown.chunk_by(|a, b| self.space.is_plain(*a) == self.space.is_plain(*b)) {
            match std::str::from_utf8(part) {
                Ok(text) if part.first().is_some_and(|first| self.space.is_plain(*first)) => f.write_str(text)?,
                _ => part.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?,
            }
        }
        if rest.is_empty() { Ok(()) } else { f.write_str("...") }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_log_is_gone() {
        let kept = Kept::default();
        let log = Log::start(Box::new(kept.clone())).unwrap();
        for i in 0..1000 {
            log.line(format_args!("line {i}"));
        }
        drop(log);
        let expected: String = (0..1000).map(|i| format!("line {i}\n")).collect();
        assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
    }

    /// A sink that takes nothing before it is told to.
    struct Stuck(mpsc::Receiver<()>, Kept);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_holds_up_nobody_and_is_told_what_it_missed() {
        let (go, stuck) = mpsc::channel();
        let kept = Kept::default();
        let log = Log::start(Box::new(Stuck(stuck, kept.clone()))).unwrap();
        let long = "x".repeat(1000);
        for _ in 0..3000 {
            log.line(format_args!("{long}")); // three times what the queue holds, so at least a third is lost
        }
        drop(go);
        drop(log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.lines().last().unwrap().ends_with("lines were left out: the log is read too slowly"),
            "{text:.200}"
        );
    }

    fn check_shown(word: &str, expected: &str) {
        assert_eq!(shown(word).to_string(), expected);
    }

    #[test]
    fn words_from_outside_stay_one_word() {
        check_shown("", "");
        check_shown("/adv", "/adv");
        check_shown("/a b", "/a\\x20b");
        check_shown("/a\nGET /b => 200", "/a\\x0aGET\\x20/b\\x20=>\\x20200");
        check_shown("\u{1b}[31m\\x", "\\x1b[31m\\x5cx");
        check_shown("/\u{fc}", "/\\xc3\\xbc");
        check_shown(&"a".repeat(256), &"a".repeat(256));
        assert_eq!(said("no key \n x").to_string(), "no key \\x0a x");
        check_shown(&"a".repeat(257), &format!("{}...", "a".repeat(256)));
    }
}
