//! The serving side of the NBD protocol, over whatever carries bytes (the document followed is `doc/proto.md` of the
//! NetworkBlockDevice project).
//!
//! Negotiation is a state machine without input or output, [`Handshake`]; each command is judged by a pure function and then
//! carried out, both driven by [`negotiate`] and [`Session::serve`] over a reader and a writer that somebody else owns.
//!
//! Spoken: fixed newstyle, `EXPORT_NAME`, `GO`, `INFO`, `LIST`, `ABORT`, `STRUCTURED_REPLY`, simple and structured replies,
//! `READ` with `DF`, `WRITE` with `FUA`, `FLUSH`, `DISC`; several connections to one export see the same bytes, because an
//! export has one disk and no cache. Left out on purpose: TLS (the socket is a local one), oldstyle, `TRIM` and
//! `WRITE_ZEROES` (they would punch holes that tell where an encrypted disk is unused; a client that is not offered them
//! writes zeroes), metadata contexts, extended headers. What is left out is refused with an error, never with silence.

mod export;
mod handshake;
mod request;
mod session;
mod wire;

pub use export::{BlockSizes, Export, ExportError};
pub use handshake::{Agreed, Handshake, Step};
pub use session::{Ending, Negotiated, Report, Session, SessionError, negotiate};
pub use wire::Violation;
