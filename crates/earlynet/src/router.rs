//! What routers say of a network (RFC 4861, RFC 4862, RFC 8106), and addresses that a machine makes of it for itself.
//!
//! The kernel does the same when it is let (`accept_ra`), all but the servers of names, which it leaves to others. Whether a made address is
//! somebody else's already is the kernel's to find out. Absent on purpose: neighbours, redirects, and routers that change their mind.

mod advertisement;
mod own_address;
mod solicitation;

pub use advertisement::{Advertisement, Preference, Prefix, RouteInformation, Unusable};
pub use own_address::{InterfaceId, OwnAddress, interface_id};
pub use solicitation::{Solicitor, solicitation};
