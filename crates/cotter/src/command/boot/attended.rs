//! A start in which somebody may reach a shell: nothing is given unattended, and the latch is shut before anything else happens.

use super::bell::Bell;
use super::events::say;
use crate::host::Host;
use clevis::{Cancel, NextStep, PinError, TrustPolicy};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What systemd reads as if it stood on the kernel's command line: four bytes of attributes, and text in UTF-16.
const OPTIONS: &str = "/sys/firmware/efi/efivars/SystemdOptions-8cf2644b-4b0b-428f-9387-6d876050dc67";
/// How long the driver of a TPM may take to find it.
const TPM_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Why nothing is given without a person.
pub fn why(command_line: &Path) -> Option<String> {
    let told = |why: String| format!("nothing is opened without a person: {why}");
    let mut words = match fs::read(command_line) {
        Err(error) => return Some(told(format!("{} cannot be read: {error}", command_line.display()))),
        Ok(words) => words,
    };
    if let Ok(options) = fs::read(OPTIONS) {
        words.push(b' ');
        words.extend(text(options.get(4..).unwrap_or_default()).bytes());
    }
    match earlynet::attended(&words) {
        Err(error) => Some(told(error.to_string())),
        Ok(found) => found.map(|found| found.to_string()),
    }
}

fn text(utf16: &[u8]) -> String {
    let units = utf16.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)));
    char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).filter(|unit| *unit != '\0').collect()
}

/// Shuts the latch, so that no program that the shell starts opens what has one. A machine without a TPM has none.
pub fn shut_latch(host: &Host, bell: &Bell, cancel: &Cancel) {
    let begun = Instant::now();
    loop {
        let shut = clevis::pins::shut_latch(clevis::pins::LATCH_PCR, &host.ports(TrustPolicy::Ask));
        match shut {
            Ok(_) => return say(None, &format!("the latch is shut (PCR {})", clevis::pins::LATCH_PCR)),
            Err(error) if is_absent(&error) && begun.elapsed() < TPM_PATIENCE && !cancel.is_cancelled() => {
                bell.rest(PAUSE, cancel);
            }
            Err(error) if is_absent(&error) => return,
            Err(error) => return say(None, &format!("the latch is not shut: {error}; try: {}", error.hint())),
        }
    }
}

fn is_absent(error: &PinError) -> bool {
    matches!(error, PinError::NoTpm) || error.next_step() == NextStep::RetryLater
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_firmware_hands_systemd_is_read_as_text() {
        let utf16: Vec<u8> = "rescue\u{e9}\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16), "rescue\u{e9}");
        assert_eq!(text(b"x"), "");
        let dir = tempfile::tempdir().unwrap();
        assert!(why(&dir.path().join("nowhere")).unwrap().contains("cannot be read"));
    }
}
