//! Names to addresses (RFC 1035, RFC 3596, RFC 6891), without the C library and its helpers.
//!
//! [`Lookup`] is one question with all that belongs to it: several servers at once, both families, domains to search, asking again, TCP
//! where an answer does not fit. Absent on purpose: DNSSEC (what an address is worth, the protocols above decide: Tang's answers prove
//! themselves), caches, other kinds of records, IDNA (names are written in their `xn--` form), multicast DNS.
//!
//! Against forged answers: the identifier is random, the letters of the name are random in case and compared (so are the ports, if the caller
//! connects a new socket for each server and lookup); a message that does not fit is passed over as if it had not come.

mod answer;
mod lookup;
mod outcome;
mod query;
mod stream;

pub use answer::{Answer, Unusable};
pub use lookup::{Families, Lookup, Outgoing, Resolving};
pub use outcome::{LookupError, ServerFailure};
pub use query::{Kind, Query, Transport};
pub use stream::{Stream, framed};
