//! Removing a mapping, once nobody uses it any more.

use super::control::{Control, Status, found};
use super::error::DmError;
use super::message::{self, Command, Message, Whom};
use super::node;
use super::udev::{Cookie, Udev};
use super::users::{User, users_of};
use super::wait::Wait;
use rustix::io::Errno;
use std::time::Duration;

/// udev looks at a device whenever somebody who wrote to it closes it, so one that is free may be busy for a moment. Nobody is
/// told of users before this is over.
const MOMENT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(50);

/// What to do about a mapping that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileInUse {
    /// Wait for its users.
    Wait,
    /// Let the kernel remove it when the last one has left.
    Defer,
}

/// How a mapping is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What to do if somebody uses it.
    pub in_use: WhileInUse,
    /// Who has made its name.
    pub udev: Udev,
}

/// What became of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Now,
    /// It will go when its last user leaves.
    Later,
}

/// What one try came to.
enum Attempt {
    Done {
        /// udev hears of it.
        event: bool,
    },
    Later,
    Busy,
}

impl Control {
    /// Removes this mapping, as it was found, and no other that has its name by now, waiting for its users as long as `wait` says; its key is gone from the kernel with it.
    /// `tell` is called once, with the users, when there are some to wait for. Nothing is ever taken away from under them.
    ///
    /// # Errors
    /// [`DmError::NotFound`], [`DmError::InUse`], [`DmError::Malformed`], [`DmError::Failed`].
    pub fn remove(
        &self,
        mapping: &Status,
        how: Removal,
        wait: &Wait<'_>,
        tell: &mut dyn FnMut(&[User]),
    ) -> Result<Removed, DmError> {
        let removed = self.remove_found(mapping, how, wait, tell)?;
        if removed == Removed::Now {
            node::remove(&mapping.name, mapping.device);
        }
        Ok(removed)
    }

    fn remove_found(
        &self,
        status: &Status,
        how: Removal,
        wait: &Wait<'_>,
        tell: &mut dyn FnMut(&[User]),
    ) -> Result<Removed, DmError> {
        let cookie = Cookie::new(how.udev);
        let moment = wait.at_most(MOMENT);
        let mut told = false;
        loop {
            match self.try_removing(status, how.in_use, &cookie)? {
                Attempt::Later => return Ok(Removed::Later),
                Attempt::Done { event } => {
                    // If udev does not answer its name stays, and is seen to without it.
                    let _ = event && cookie.wait(wait);
                    return Ok(Removed::Now);
                }
                Attempt::Busy if moment.pause(PAUSE) => {}
                Attempt::Busy if wait.pause(PAUSE) => {
                    if !std::mem::replace(&mut told, true) {
                        tell(&users_of(status.device));
                    }
                }
                Attempt::Busy => {
                    return Err(DmError::InUse { name: status.name.clone(), users: users_of(status.device) });
                }
            }
        }
    }

    /// By UUID where there is one: the name may have gone to another mapping while we waited.
    fn try_removing(&self, status: &Status, in_use: WhileInUse, cookie: &Cookie) -> Result<Attempt, DmError> {
        let whom = status.uuid.as_ref().map_or(Whom::Name(&status.name), Whom::Uuid);
        let flags = match in_use {
            WhileInUse::Wait => 0,
            WhileInUse::Defer => message::DEFERRED,
        };
        let request = Message::new(whom, 0).flags(flags).event(cookie.event());
        match found(self.ask("remove a mapping", Command::Remove, request)) {
            Ok(None) => Err(DmError::NotFound { name: status.name.clone() }),
            Ok(Some(answer)) if answer.has(message::UEVENT) => Ok(Attempt::Done { event: true }),
            Ok(Some(answer)) if answer.has(message::DEFERRED) => Ok(Attempt::Later),
            Ok(Some(_)) => Ok(Attempt::Done { event: false }),
            Err(DmError::Failed { source, .. }) if Errno::from_io_error(&source) == Some(Errno::BUSY) => {
                Ok(Attempt::Busy)
            }
            Err(error) => Err(error),
        }
    }
}
