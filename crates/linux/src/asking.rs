//! Those who ask for a passphrase while the machine starts: where they are found, and how they are handed an answer. What they say is
//! read by others.

use crypto::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, inotify, open};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// Most files that are looked at in one directory, most processes, and the longest of each that is read.
const MOST: usize = 4096;
const LONGEST: u64 = 64 << 10;
/// How long a socket whose queue is full may take.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);

/// Name and content of the regular files of a directory whose names are `wanted`, in no order. One that is gone meanwhile is left out, and
/// so is a directory that does not exist.
///
/// # Errors
/// Those of the system when it reads the directory.
pub fn files_of(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries.take(MOST) {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().filter(|name| wanted(name));
        let Some(name) = name else { continue };
        if let Ok(content) = crate::read_regular_file(&entry.path(), LONGEST) {
            files.push((name, content));
        }
    }
    Ok(files)
}

/// A process, as `/proc` shows it.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its arguments, a zero byte behind each.
    pub arguments: Vec<u8>,
    /// Its environment, a zero byte behind each variable.
    pub environment: Vec<u8>,
}

/// The processes whose program, as it was called, is `program`. One whose environment this user may not see is left out.
///
/// # Errors
/// Those of the system when it reads `/proc`.
pub fn processes(program: &str) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.take(MOST * 16) {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let read = |what: &str| -> io::Result<Vec<u8>> {
            let mut content = Vec::new();
            File::open(format!("/proc/{pid}/{what}"))?.take(LONGEST).read_to_end(&mut content)?;
            Ok(content)
        };
        let Ok(arguments) = read("cmdline") else { continue };
        if arguments.split(|byte| *byte == 0).next() != Some(program.as_bytes()) {
            continue;
        }
        if let Ok(environment) = read("environ") {
            found.push(Process { pid, arguments, environment });
        }
    }
    Ok(found)
}

/// Sends one datagram to the socket at `path`.
///
/// # Errors
/// Those of the system: nobody listens there any more, or his queue is full for a second.
pub fn send_to(path: &str, datagram: &Secret) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(QUEUE_PATIENCE))?;
    let sent = socket.send_to(datagram.expose(), path)?;
    if sent == datagram.len() { Ok(()) } else { Err(io::Error::other("half of it was taken")) }
}

/// Writes into the pipe at `path` and closes it.
///
/// # Errors
/// Those of the system; [`NotFound`](io::ErrorKind::NotFound) if nobody reads it, [`InvalidInput`](io::ErrorKind::InvalidInput) for what is
/// no pipe.
pub fn write_to_pipe(path: &Path, content: &Secret) -> io::Result<()> {
    let nobody = |error| match error {
        Errno::NXIO => io::Error::new(io::ErrorKind::NotFound, "nobody reads it"),
        other => other.into(),
    };
    if !fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"));
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut pipe = File::from(open(path, flags, Mode::empty()).map_err(nobody)?);
    pipe.write_all(content.expose())
}

/// The abstract address that the other end of the socket on standard input was bound to, without the zero byte in front; empty if it has
/// another one or none.
///
/// # Errors
/// Those of the system: standard input is no connected socket.
pub fn stdin_peer() -> io::Result<Vec<u8>> {
    let peer = rustix::net::getpeername(io::stdin())?;
    let peer = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    Ok(peer.as_ref().and_then(SocketAddrUnix::abstract_name).unwrap_or_default().to_vec())
}

/// Notices when something is put into a directory or taken out of it.
#[derive(Debug)]
pub struct DirectoryWatch {
    events: Option<OwnedFd>,
}

impl DirectoryWatch {
    /// Watches a directory; one that cannot be watched, or is not there yet, is looked at again after each wait.
    pub fn of(directory: &Path) -> DirectoryWatch {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let begin = || {
            let events = inotify::init(flags)?;
            let of_interest = inotify::WatchFlags::MOVED_TO
                | inotify::WatchFlags::MOVED_FROM
                | inotify::WatchFlags::CREATE
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::CLOSE_WRITE;
            inotify::add_watch(&events, directory, of_interest)?;
            Ok::<_, Errno>(events)
        };
        DirectoryWatch { events: begin().ok() }
    }

    /// Waits until something has changed, and no longer than `limit`. Whether it was seen to.
    pub fn wait(&self, limit: Duration) -> bool {
        let Some(events) = &self.events else {
            std::thread::sleep(limit);
            return false;
        };
        let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        let limit = Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
        let mut ready = [PollFd::new(events, PollFlags::IN)];
        // Whatever it was: the directory is read anew.
        let _ = poll(&mut ready, Some(&limit));
        let (mut buffer, mut any) = ([0; 4096], false);
        while rustix::io::read(events, &mut buffer).is_ok_and(|read| read > 0) {
            any = true;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::fs::{CWD, mkfifoat};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::time::Instant;

    #[test]
    fn files_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ask.1"), "one").unwrap();
        fs::write(dir.path().join("sck.1"), "no").unwrap();
        fs::create_dir(dir.path().join("ask.directory")).unwrap();
        mkfifoat(CWD, dir.path().join("ask.pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let found = files_of(dir.path(), &|name| name.starts_with("ask.")).unwrap();
        assert_eq!(found, [("ask.1".to_owned(), b"one".to_vec())]);
        assert!(files_of(&dir.path().join("nowhere"), &|_| true).unwrap().is_empty());
    }

    #[test]
    fn a_process_is_found_by_its_program_with_what_it_was_given() {
        let mut child =
            Command::new("/bin/sleep").arg("60").env("COTTER_TEST", "found").stdin(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        // Between fork and exec it is this program still.
        let process = loop {
            let process = processes("/bin/sleep").unwrap().into_iter().find(|process| process.pid == child.id());
            if let Some(process) = process {
                break process;
            }
            assert!(start.elapsed() < Duration::from_secs(10));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(process.arguments, b"/bin/sleep\x0060\0");
        assert!(process.environment.split(|byte| *byte == 0).any(|variable| variable == b"COTTER_TEST=found"));
    }

    #[test]
    fn a_datagram_reaches_its_socket_and_nobody_else_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let text = path.to_str().unwrap();
        let secret = Secret::copied_from(b"+secret");
        assert!(send_to(text, &secret).is_err());
        let socket = UnixDatagram::bind(&path).unwrap();
        send_to(text, &secret).unwrap();
        let mut taken = [0; 64];
        let length = socket.recv(&mut taken).unwrap();
        assert_eq!(&taken[..length], b"+secret");
        drop(socket);
        assert!(send_to(text, &secret).is_err());
    }

    #[test]
    fn a_pipe_takes_what_somebody_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let secret = Secret::copied_from(b"secret");
        assert_eq!(write_to_pipe(&path, &secret).unwrap_err().kind(), io::ErrorKind::NotFound);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(write_to_pipe(&path, &secret).unwrap_err().kind(), io::ErrorKind::NotFound);
        let (sender, read) = mpsc::channel();
        let reader = path.clone();
        let thread = std::thread::spawn(move || sender.send(fs::read(reader)).unwrap());
        let start = Instant::now();
        while write_to_pipe(&path, &secret).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        assert_eq!(read.recv().unwrap().unwrap(), b"secret");
        thread.join().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(write_to_pipe(&file, &secret).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_change_of_the_directory_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DirectoryWatch::of(dir.path());
        fs::write(dir.path().join("ask.1"), "").unwrap();
        let start = Instant::now();
        assert!(watch.wait(Duration::from_secs(60)));
        assert!(start.elapsed() < Duration::from_secs(30));
        // What was there is told once.
        assert!(!watch.wait(Duration::from_millis(1)));
        DirectoryWatch::of(&dir.path().join("nowhere")).wait(Duration::from_millis(1));
    }
}
