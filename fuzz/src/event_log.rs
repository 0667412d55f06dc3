//! The log of a measured boot.

use crate::Reached;
use crypto::Hash;
use tpm2::event_log::{Booted, End, EventLog, Exchange, Explained, SECURITY_DATABASE, Variable, predict};

const BANKS: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha384];

/// Takes the bytes as the log. What it leads to is what it explains; what is not exchanged stays; a log that is cut has the same events
/// before the cut.
pub fn event_log(bytes: &[u8]) -> Reached {
    let log = EventLog::read(bytes);
    let cut = EventLog::read(&bytes[..bytes.len() / 2]);
    // Half of the first event may be an event of another form.
    assert!(cut.banks != log.banks || log.events.starts_with(&cut.events));
    for event in &log.events {
        assert!(!event.component().to_string().chars().any(char::is_control));
        assert!(!event.kind.to_string().is_empty());
    }
    BANKS.iter().for_each(|bank| check(&log, *bank));
    if log.events.is_empty() { Reached::Nothing } else { Reached::Read }
}

fn check(log: &EventLog, bank: Hash) {
    let pcrs = log.replay(bank).pcrs;
    for (pcr, value) in &pcrs {
        assert_eq!(log.explains(bank, *pcr, value), Explained::Yes);
    }
    let booted = Booted { log, bank, pcrs: &pcrs, phases: &[] };
    let same = predict(&booted, &[]);
    if log.end == End::Complete {
        assert!(same.values == pcrs && same.unpredictable.is_empty());
    } else {
        assert!(same.values.is_empty());
    }
    let variable = Variable { guid: SECURITY_DATABASE, name: "db".into(), data: vec![1; 8] };
    let exchanges = [
        Exchange::File { path: "/vmlinuz", next: "/vmlinuz", content: b"other" },
        Exchange::Section { name: ".initrd", content: b"other" },
        Exchange::Initramfs { content: b"other" },
        Exchange::Variable(&variable),
    ];
    for exchange in exchanges {
        let prediction = predict(&booted, &[exchange]);
        assert_eq!(prediction.values.len() + prediction.unpredictable.len(), pcrs.len());
        assert!(prediction.unpredictable.iter().all(|(_, why)| !why.to_string().is_empty()));
    }
}
