//! udev makes the names of block devices where it runs, in its own time. A semaphore tells when it is done: its key goes to the
//! kernel with the command, from there with the event to udev, and udev's last rule (`dmsetup udevcomplete`) counts it down.
//!
//! No document says so; it is what libdevmapper 1.02.185 was seen to do under `strace`. Unlike there nobody waits without end:
//! where udev runs and has no rules for the device mapper, as in some initramfs, that rule never comes.

use super::wait::Wait;
use crate::sys::Semaphore;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::path::Path;
use std::time::Duration;

/// udev's socket, there for as long as it runs.
const CONTROL: &str = "/run/udev/control";
/// Upper half of the key of every such semaphore (`DM_COOKIE_MAGIC`).
const MAGIC: u32 = 0x0d4d;
/// In the upper half of what goes with a command: we do not make the nodes ourselves (`DM_UDEV_DISABLE_LIBRARY_FALLBACK`).
const UDEV_MAKES_NODES: u32 = 0x20;
/// As above: the event is about the device itself, and not an echo (`DM_UDEV_PRIMARY_SOURCE_FLAG`).
const PRIMARY_SOURCE: u32 = 0x40;
/// How long udev may take. What it has not done by then is done without it.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// How many keys are tried, since others make such semaphores too.
const TRIES: usize = 64;

/// Who makes the nodes in `/dev/mapper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Udev {
    /// udev, which we wait for.
    Running,
    /// We do.
    Absent,
}

impl Udev {
    /// Whether udev runs: by its socket, the sign that libdevmapper goes by, and by somebody listening there. One that died may have
    /// left the socket, and would be waited for.
    pub fn found() -> Udev {
        if listens(Path::new(CONTROL)) { Udev::Running } else { Udev::Absent }
    }
}

/// Whether there is a socket that somebody listens on. Only a clear no counts as one; nothing is sent.
fn listens(socket_path: &Path) -> bool {
    if !socket_path.exists() {
        return false;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let asked = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .and_then(|socket| connect(&socket, &SocketAddrUnix::new(socket_path)?));
    asked != Err(Errno::CONNREFUSED)
}

/// One event that udev will tell the end of.
#[derive(Debug)]
pub(super) struct Cookie {
    /// The lower half of the key, and the semaphore; none where nobody waits.
    awaited: Option<(u16, Semaphore)>,
    udev: Udev,
}

impl Cookie {
    /// To be made before the command that causes the event.
    pub(super) fn new(udev: Udev) -> Cookie {
        let awaited = match udev {
            // Without semaphores udev does its work all the same; nobody hears of its end.
            Udev::Running => create().ok(),
            Udev::Absent => None,
        };
        Cookie { awaited, udev }
    }

    /// What to give to the kernel with the command.
    pub(super) fn event(&self) -> u32 {
        let flags = match self.udev {
            Udev::Running => PRIMARY_SOURCE | UDEV_MAKES_NODES,
            Udev::Absent => PRIMARY_SOURCE,
        };
        flags << 16 | self.awaited.as_ref().map_or(0, |(key, _)| u32::from(*key))
    }

    /// Waits until udev is done with the event, which the command has caused. False if it has not said so in time.
    pub(super) fn wait(self, wait: &Wait<'_>) -> bool {
        let Some((_, semaphore)) = &self.awaited else { return true };
        let wait = wait.at_most(PATIENCE);
        loop {
            match semaphore.value() {
                Ok(Some(0) | None) => return true,
                Ok(Some(_)) if wait.pause(PAUSE) => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }
}

/// A semaphore of value 1 under a key that nobody has; udev takes 1 off.
fn create() -> io::Result<(u16, Semaphore)> {
    for _ in 0..TRIES {
        let mut key = [0; 2];
        rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::INSECURE)?;
        let key = u16::from_ne_bytes(key);
        if key == 0 {
            continue; // it would mean that nobody waits
        }
        match Semaphore::create(MAGIC << 16 | u32::from(key), 1) {
            Ok(semaphore) => return Ok((key, semaphore)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clevis::{Cancel, Deadline};

    /// The semaphores of the system that begin with the magic: keys and values (`/proc/sysvipc/sem`).
    fn listed(event: u32) -> bool {
        let key = MAGIC << 16 | event & 0xffff;
        let table = std::fs::read_to_string("/proc/sysvipc/sem").unwrap();
        table.lines().any(|line| line.split_whitespace().next() == Some(&key.to_string()))
    }

    #[test]
    fn udev_runs_where_somebody_listens_and_not_where_a_socket_was_left() {
        use rustix::net::{bind, listen};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        assert!(!listens(&path));
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        assert!(listens(&path));
        drop(socket);
        assert!(path.exists() && !listens(&path));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"").unwrap();
        assert!(!listens(&path), "nobody listens on a file");
    }

    #[test]
    fn an_event_says_who_waits_under_which_key() {
        assert_eq!(Cookie::new(Udev::Absent).event(), 0x0040_0000);
        let cookie = Cookie::new(Udev::Running);
        let event = cookie.event();
        assert_eq!(event >> 16, 0x60);
        assert!(event & 0xffff != 0 && listed(event));
        drop(cookie);
        assert!(!listed(event), "the semaphore is left behind");
    }

    #[test]
    fn udev_that_never_answers_is_not_waited_for_beyond_the_deadline() {
        let cancel = Cancel::new();
        let wait = Wait { until: Deadline::NEVER, cancel: &cancel }.at_most(Duration::from_millis(20));
        let cookie = Cookie::new(Udev::Running);
        let event = cookie.event();
        assert!(!cookie.wait(&wait));
        assert!(!listed(event));
        assert!(Cookie::new(Udev::Absent).wait(&wait), "nobody is waited for");
        cancel.cancel();
        assert!(!Cookie::new(Udev::Running).wait(&Wait { until: Deadline::NEVER, cancel: &cancel }));
    }
}
