//! Who asks for the passphrase of a volume while a machine starts: what the question says, and the bytes of the answer.
//!
//! | who | asks by | is answered by |
//! | --- | --- | --- |
//! | systemd (<https://systemd.io/PASSWORD_AGENTS/>) | a file in `/run/systemd/ask-password` | one datagram to the socket that the file names |
//! | `askpass` of Debian's `cryptsetup-initramfs` | waiting at a pipe; what for stands in its environment | writing into the pipe |
//! | systemd-cryptsetup with a key socket | connecting to it, from an address that names the volume | the bytes of the key |
//!
//! Watching the directory, finding the process and writing are others' work.

mod ask_password;
mod desk;
mod key_socket;
mod passfifo;

pub use ask_password::{AskError, LONGEST_ANSWER, LONGEST_QUESTION, Question, answer, is_question};
pub use desk::{Ask, Desk, Step, Who};
pub use key_socket::volume_of_caller;
pub use passfifo::{Asker, PASSFIFO};
