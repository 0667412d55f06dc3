//! The device mapper: an encrypted volume as a block device of the kernel's.
//!
//! A table is a plain value here, and whose key and sectors it names is not known; LUKS is elsewhere. Names, UUIDs and keys are
//! libcryptsetup's, so that `cryptsetup status`, `resize`, `luksSuspend`, `luksResume` and `close` go on with what was begun
//! here, and the other way round. Left out: every target but `crypt`, changing a table that is in use, and removing a mapping
//! by force.

mod control;
mod create;
mod error;
mod message;
mod name;
mod node;
mod number;
mod remove;
mod table;
mod udev;
mod users;
mod wait;

pub use control::{Control, Status};
pub use create::{Mapping, MappingAccess, NewMapping};
pub use error::DmError;
pub use message::Target;
pub use name::{MappingName, MappingUuid, NameError};
pub use number::DeviceNumber;
pub use remove::{Removal, Removed, WhileInUse};
pub use table::{CryptFlag, CryptFlags, CryptTable, Key, KeyPlace, TableError, TargetVersion};
pub use udev::Udev;
pub use users::{User, users_of};
pub use wait::Wait;
