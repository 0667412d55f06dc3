//! Being asked to stop by a signal.
//!
//! The handler does the least that a handler can: it writes the number of the first signal to a pipe, where a thread waits. A
//! moment later that thread puts the signals' default actions back, so that another one ends a process that hangs. Not at
//! once: one request may arrive twice. timeout(1) signals its child and then the whole group that the child is in, and systemd
//! with `SendSIGHUP=yes` sends SIGHUP right behind SIGTERM.

use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::c_int;
use std::fmt;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// For how long after the first stop signal another one counts as the same request.
const GRACE: Duration = Duration::from_secs(1);

/// What ends a program politely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// `SIGHUP`: the terminal is gone.
    HangUp,
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGTERM`: the service manager.
    Terminate,
}

const ALL: [StopSignal; 3] = [StopSignal::HangUp, StopSignal::Interrupt, StopSignal::Terminate];

/// The end of the pipe that the handler writes to; open for ever once set.
static PIPE: AtomicI32 = AtomicI32::new(-1);
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// A signal has been passed on; the handler has nothing more to do.
static PASSED_ON: AtomicBool = AtomicBool::new(false);

impl StopSignal {
    fn number(self) -> c_int {
        match self {
            StopSignal::HangUp => libc::SIGHUP,
            StopSignal::Interrupt => libc::SIGINT,
            StopSignal::Terminate => libc::SIGTERM,
        }
    }

    /// What a shell reports of a program that this signal has ended: 128 and its number.
    pub fn exit_code(self) -> u8 {
        match self {
            StopSignal::HangUp => 129,
            StopSignal::Interrupt => 130,
            StopSignal::Terminate => 143,
        }
    }
}

/// Calls `then` in a thread of its own when one of the stop signals comes. Another one within a second counts as the same; one
/// that comes later ends the process at once, as the first would have without this. A signal that is ignored (`nohup`, a job
/// in the background) stays so.
///
/// # Errors
/// There is a handler already, or the kernel has no pipe or no thread to give.
pub fn on_stop_signal(then: impl FnOnce(StopSignal) + Send + 'static) -> io::Result<()> {
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the stop signals have a handler already"));
    }
    let (receiver, sender) = pipe_with(PipeFlags::CLOEXEC)?;
    // Two threads, so that a `then` that hangs does not keep the default actions away.
    let (arrived, told) = channel();
    thread::Builder::new().name("signals".into()).spawn(move || {
        let number = first(&receiver);
        if let Some(signal) = ALL.into_iter().find(|signal| Some(signal.number()) == number) {
            let _ = arrived.send(()); // the other thread only ends after this
            then(signal);
        }
    })?;
    thread::Builder::new().name("grace".into()).spawn(move || restore_after_grace(&told))?;
    PIPE.store(sender.into_raw_fd(), Ordering::SeqCst);
    for signal in ALL {
        install(signal.number())?;
    }
    Ok(())
}

fn first(receiver: &OwnedFd) -> Option<c_int> {
    let mut number = c_int::to_ne_bytes(0);
    loop {
        match read(receiver, &mut number) {
            Ok(read) if read == number.len() => return Some(c_int::from_ne_bytes(number)), // written in one piece (pipe(7))
            Err(Errno::INTR) => {}
            _ => return None,
        }
    }
}

fn restore_after_grace(told: &Receiver<()>) {
    if told.recv().is_ok() {
        thread::sleep(GRACE);
        ALL.map(StopSignal::number).into_iter().for_each(restore);
    }
}

/// Puts the default action back where the handler is; a signal that was ignored still is.
fn restore(signal: c_int) {
    // SAFETY: all zero bytes are a valid sigaction, and mean the default action; both live beyond the calls.
    unsafe {
        let (action, mut now): (libc::sigaction, libc::sigaction) = (std::mem::zeroed(), std::mem::zeroed());
        if libc::sigaction(signal, std::ptr::null(), &mut now) == 0 && now.sa_sigaction != libc::SIG_IGN {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Sets the handler, unless the signal is ignored.
fn install(signal: c_int) -> io::Result<()> {
    // SAFETY: all zero bytes are a valid sigaction: no flags, an empty mask.
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    action.sa_sigaction = pass_on as extern "C" fn(c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: both point to sigactions that live beyond the calls; the handler only makes calls that signal-safety(7) lists.
    let done = unsafe {
        libc::sigaction(signal, std::ptr::null(), &mut before) == 0
            && (before.sa_sigaction == libc::SIG_IGN || libc::sigaction(signal, &action, std::ptr::null_mut()) == 0)
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handler.
extern "C" fn pass_on(signal: c_int) {
    // One only: however many come, the pipe does not fill.
    if PASSED_ON.swap(true, Ordering::SeqCst) {
        return;
    }
    let number = signal.to_ne_bytes();
    // SAFETY: write may be called in a handler (signal-safety(7)); `number` is as long as is said; the error number is put
    // back for whoever was interrupted.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(PIPE.load(Ordering::SeqCst), number.as_ptr().cast(), number.len());
        *libc::__errno_location() = errno;
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopSignal::HangUp => "SIGHUP",
            StopSignal::Interrupt => "SIGINT",
            StopSignal::Terminate => "SIGTERM",
        })
    }
}
