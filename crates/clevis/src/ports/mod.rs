//! What a pin may reach outside itself. The caller implements these traits; this crate only calls them.

mod cancel;
mod host;
mod made;
mod moment;
mod net;
mod tls;

pub use cancel::{Cancel, Deadline};
pub use host::{Files, Person, PersonError};
pub use made::Made;
pub use moment::Moment;
pub use net::{HttpRequest, HttpResponse, LONGEST_ANSWER, Method, Net, NetError};
pub use tls::{ServerPin, TlsSettings, Unseal};
