//! What happens while a machine starts, told as it happens: one line each, with the time.

use crate::error::{CommandError, visible};
use crate::output;
use linux::since_start;

/// One line, with the seconds since the machine was started.
pub fn say(volume: Option<&str>, text: &str) {
    let now = since_start();
    let about = volume.map(|volume| format!("{volume}: ")).unwrap_or_default();
    let line = format!("cotter [{}.{:03}] {about}{text}", now.as_secs(), now.subsec_millis());
    output::say(&visible(&line));
}

/// An error with its hint, on one line.
pub fn one_line(error: &CommandError) -> String {
    error.to_string().replace("\n  try: ", "; try: ")
}
