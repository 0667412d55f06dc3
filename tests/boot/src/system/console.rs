//! What a guest says on its serial line: each line with the time at which it came, in a file while the guest runs.

use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Stands before the name of a mark, in a line of the kernel's.
const MARK: &str = "@@ mark ";
/// How much of the console a failure shows.
const TAIL: usize = 40;
/// Of a line that never ends.
const LONGEST_LINE: usize = 4096;

/// A place that the boot has passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Of the stage; `open NAME` for a mapping.
    pub name: String,
    /// Since power on.
    pub at: Duration,
    /// What the emulator had used until then, in seconds of a processor.
    pub cpu: f64,
}

/// One line, without control characters.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) text: String,
}

#[derive(Default)]
struct Seen {
    lines: Vec<Line>,
    /// The line that has not ended; a prompt, maybe.
    open: Vec<u8>,
    marks: Vec<Mark>,
    ended: bool,
}

/// The serial line of a guest, read by a thread.
pub(super) struct Console {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    line: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Reads until the guest's end. `cpu` says what the emulator has used so far.
    pub(super) fn read(
        line: UnixStream,
        start: Instant,
        log: &Path,
        cpu: impl Fn() -> f64 + Send + 'static,
    ) -> Console {
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let mut reader = Reader { seen: Arc::clone(&seen), start, log: File::create(log).unwrap(), cpu };
        let mut from = line.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(size @ 1..) = from.read(&mut bytes) {
                reader.take(&bytes[..size]);
            }
            reader.end();
        });
        Console { seen, line, thread: Some(thread) }
    }

    /// Types a line.
    pub(super) fn type_line(&self, text: &str) {
        let mut line = &self.line;
        line.write_all(text.as_bytes()).and_then(|()| line.write_all(b"\n")).expect("nobody reads what is typed");
    }

    /// Waits until `find` finds something in what was said; nothing if the guest has ended without it, or at that moment.
    pub(super) fn wait<T>(
        &self,
        until: Instant,
        mut find: impl FnMut(&[Line], &str, &[Mark]) -> Option<T>,
    ) -> Option<T> {
        let (seen, news) = &*self.seen;
        let mut seen = seen.lock().unwrap();
        loop {
            if let Some(found) = find(&seen.lines, &shown(&seen.open), &seen.marks) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            if seen.ended {
                return None;
            }
            seen = news.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// All marks so far.
    pub(super) fn marks(&self) -> Vec<Mark> {
        self.seen.0.lock().unwrap().marks.clone()
    }

    /// All lines so far, with what has no end yet.
    pub(super) fn text(&self) -> String {
        let seen = self.seen.0.lock().unwrap();
        let lines: String = seen.lines.iter().map(|line| format!("{}\n", line.text)).collect();
        lines + &shown(&seen.open)
    }

    /// After the end of the guest: until all it has said was read.
    pub(super) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The last lines, for a person who looks for the reason of a failure.
impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen.0.lock().unwrap();
        for Line { at, text } in &seen.lines[seen.lines.len().saturating_sub(TAIL)..] {
            writeln!(f, "{:9.3} {text}", at.as_secs_f64())?;
        }
        write!(f, "          {}", shown(&seen.open))
    }
}

struct Reader<C> {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    start: Instant,
    log: File,
    cpu: C,
}

impl<C: Fn() -> f64> Reader<C> {
    fn take(&mut self, bytes: &[u8]) {
        let at = self.start.elapsed();
        let mut seen = self.seen.0.lock().unwrap();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let text = shown(&std::mem::take(&mut seen.open));
                    let _ = writeln!(self.log, "{:9.3} {text}", at.as_secs_f64());
                    if let Some((_, name)) = text.split_once(MARK) {
                        seen.marks.push(Mark { name: name.trim().to_owned(), at, cpu: (self.cpu)() });
                    }
                    seen.lines.push(Line { at, text });
                }
                _ if seen.open.len() > LONGEST_LINE => {}
                byte => seen.open.push(*byte),
            }
        }
        self.seen.1.notify_all();
    }

    fn end(&mut self) {
        let mut seen = self.seen.0.lock().unwrap();
        let _ = writeln!(self.log, "          {}", shown(&seen.open));
        seen.ended = true;
        self.seen.1.notify_all();
    }
}

/// A line as a person reads it: without control characters, and without the sequences that set colours.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once(|end: char| end.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    rest.fold(first, |text, part| text + part).replace(char::is_control, "")
}

/// Seconds of a processor that a process has used, itself and what it waited for (proc(5), fields 14 to 17); 0 if it is gone.
pub(super) fn cpu_of(pid: Option<u32>) -> f64 {
    /// What Linux shows on every architecture (`USER_HZ`).
    const TICKS_PER_SECOND: f64 = 100.0;
    let read = || fs::read_to_string(format!("/proc/{}/stat", pid?)).ok();
    let text = read().unwrap_or_default();
    // The name in parentheses may hold spaces.
    let numbers = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    numbers.split_whitespace().skip(11).take(4).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>()
        / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn talk(said: &[u8]) -> (Console, UnixStream, tempfile::NamedTempFile) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let console = Console::read(ours, Instant::now(), log.path(), || 1.5);
        theirs.write_all(said).unwrap();
        (console, theirs, log)
    }

    #[test]
    fn lines_marks_and_a_prompt_are_seen_as_they_come() {
        let (console, mut guest, log) = talk(b"one\r\nBegin: [    4.0] @@ mark init-top\r\nPlease unlock disk root: ");
        let soon = Instant::now() + SOON;
        let open = console.wait(soon, |_, open, _| Some(open.to_owned()).filter(|open| open.ends_with("root: ")));
        assert_eq!(open.as_deref(), Some("Please unlock disk root: "));
        let marks = console.marks();
        assert_eq!((marks.len(), marks[0].name.as_str(), marks[0].cpu), (1, "init-top", 1.5));
        console.type_line("secret");
        let mut typed = [0; 7];
        guest.read_exact(&mut typed).unwrap();
        assert_eq!(&typed, b"secret\n");
        assert_eq!(fs::read_to_string(log.path()).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_line_is_shown_without_what_a_terminal_obeys() {
        assert_eq!(shown("\x1b[0;32m  OK  \x1b[0m] a…b\r".as_bytes()), "  OK  ] a…b");
        assert_eq!(shown(b"\x1b[K\x1b[1"), "");
    }

    #[test]
    fn a_guest_that_ends_or_says_nothing_is_not_waited_for() {
        let (console, guest, _log) = talk(b"half");
        let start = Instant::now();
        assert!(
            console.wait(start + Duration::from_millis(50), |_, open, _| open.contains("more").then_some(())).is_none()
        );
        drop(guest);
        assert!(console.wait(start + SOON, |_, _, marks| marks.first().cloned()).is_none());
        assert!(start.elapsed() < SOON, "its end was not noticed");
        assert_eq!(console.text(), "half");
    }
}
