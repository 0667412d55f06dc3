//! What others have configured: the files they leave, read and never obeyed blindly. A line that means nothing is passed over, because its
//! writer is no longer there to mend it.

mod hosts;
mod net_conf;
mod networkd;
mod resolv_conf;

pub use hosts::Hosts;
pub use net_conf::{NetConf, net_conf};
pub use networkd::{Networkd, networkd};
pub use resolv_conf::{NameServer, ResolvConf, resolv_conf};

/// Of a longer file nothing behind this is read.
pub const LONGEST_FILE: usize = 65536;

/// The lines of a file, as far as it is text.
fn lines(bytes: &[u8]) -> Vec<String> {
    let kept = bytes.get(..LONGEST_FILE).unwrap_or(bytes);
    String::from_utf8_lossy(kept).lines().map(|line| line.trim().to_owned()).collect()
}
