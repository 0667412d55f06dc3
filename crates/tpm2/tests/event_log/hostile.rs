//! Logs that are cut, damaged, or made up.

use crate::vector;
use crypto::Hash;
use proptest::prelude::*;
use tpm2::event_log::{End, Event, EventLog, LONGEST_LOG, MOST_EVENTS};

fn head(banks: &[(u16, u16)]) -> Vec<u8> {
    let mut spec = b"Spec ID Event03\0\0\0\0\0\0\x02\0\x02".to_vec();
    spec.extend(u32::try_from(banks.len()).unwrap().to_le_bytes());
    banks.iter().for_each(|(id, len)| spec.extend([id.to_le_bytes(), len.to_le_bytes()].concat()));
    spec.push(0);
    old_event(0, 3, &spec)
}

fn old_event(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &[7; 20], &len, data].concat()
}

fn event(pcr: u32, kind: u32, digests: &[(u16, &[u8])], data: &[u8]) -> Vec<u8> {
    let mut bytes = [pcr, kind, u32::try_from(digests.len()).unwrap()].map(u32::to_le_bytes).concat();
    digests.iter().for_each(|(id, digest)| bytes.extend([&id.to_le_bytes()[..], digest].concat()));
    bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    bytes.extend(data);
    bytes
}

/// Everything that can be asked of a log.
fn ask(log: &EventLog) {
    assert!(log.events.len() <= MOST_EVENTS);
    for event in &log.events {
        assert!(event.component().to_string().chars().all(|c| !c.is_control()), "{event:?}");
    }
    for bank in [Hash::Sha1, Hash::Sha256, Hash::Sha3_512] {
        let replayed = log.replay(bank);
        replayed.pcrs.iter().for_each(|(pcr, value)| assert!(*pcr < 24 && value.len() == bank.len()));
    }
}

#[test]
fn no_log_is_an_answer() {
    let log = EventLog::read(&[]);
    assert_eq!((log.end, log.events.len()), (End::Absent, 0));
    ask(&log);
}

#[test]
fn a_log_that_is_cut_anywhere_has_the_events_before() {
    let whole = vector("ovmf_grub.log");
    let all = EventLog::read(&whole).events;
    let mut ends = 0;
    for len in 0..whole.len() {
        let log = EventLog::read(&whole[..len]);
        assert!(all.starts_with(&log.events), "{len}");
        match log.end {
            End::Truncated { offset } => assert!(offset < len || len == 0),
            End::Complete => ends += 1,
            End::Absent => assert_eq!(len, 0),
            other => panic!("{len}: {other:?}"),
        }
    }
    // Between two events nothing shows that there were more.
    assert_eq!(ends, all.len());
}

#[test]
fn what_is_no_event_ends_the_log_there() {
    let begin = head(&[(0x0b, 32)]);
    let good = event(7, 4, &[(0x0b, &[1; 32])], &[0; 4]);
    let check = |next: &[u8], end: End| {
        let log = EventLog::read(&[&begin, &good, next].concat());
        assert_eq!((log.end, log.events.len()), (end, 1));
        ask(&log);
    };
    let offset = begin.len() + good.len();
    check(&event(7, 4, &[(0x0c, &[1; 48])], &[]), End::Malformed { offset });
    check(&[7, 0, 0, 0, 4, 0, 0, 0, 17, 0, 0, 0], End::Malformed { offset });
    check(&[7, 0, 0], End::Truncated { offset });
    let mut endless = event(7, 4, &[(0x0b, &[1; 32])], &[]);
    let len = endless.len();
    endless[len - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    check(&endless, End::Truncated { offset });
    for bad in [head(&[]), head(&[(0x0b, 32); 17]), old_event(0, 3, b"Spec ID Event03\0\0\0")] {
        assert_eq!(EventLog::read(&bad).end, End::Malformed { offset: 0 });
    }
}

#[test]
fn banks_that_are_not_known_are_passed_over() {
    let both: [(u16, &[u8]); 2] = [(0x7777, &[9; 5]), (0x0b, &[1; 32])];
    let log = EventLog::read(&[head(&[(0x7777, 5), (0x0b, 32)]), event(3, 4, &both, b"x")].concat());
    assert_eq!((log.end, log.banks.as_slice()), (End::Complete, &[Hash::Sha256][..]));
    assert_eq!(log.events[0].digests, [(Hash::Sha256, vec![1; 32])]);
    // A bank whose events lack its digest is not guessed at.
    let log = EventLog::read(&[head(&[(0x0b, 32), (0x04, 20)]), event(3, 4, &[(0x0b, &[1; 32])], b"x")].concat());
    assert_eq!((log.replay(Hash::Sha1).pcrs.len(), log.replay(Hash::Sha256).pcrs.len()), (0, 1));
}

#[test]
fn the_locality_of_the_start_begins_pcr_0() {
    let began = |locality: u8| {
        let said = [b"StartupLocality\0".as_slice(), &[locality]].concat();
        let log = [head(&[(0x0b, 32)]), event(0, 3, &[(0x0b, &[0; 32])], &said), event(0, 8, &[(0x0b, &[1; 32])], b"")];
        EventLog::read(&log.concat()).replay(Hash::Sha256).pcrs
    };
    let mut first = [0; 64];
    first[31] = 3;
    first[32..].fill(1);
    assert_eq!(began(3), [(0, Hash::Sha256.digest(&[&first]).as_ref().to_vec())]);
    assert_ne!(began(3), began(0));
}

/// Before TPM 2.0 there was one bank, and no event that says how the others are written.
#[test]
fn a_log_of_tpm_1_2_is_read() {
    let log = EventLog::read(&[old_event(4, 5, b"Calling INT 19h"), old_event(4, 4, &[0; 4])].concat());
    assert_eq!((log.end, log.banks.as_slice(), log.events.len()), (End::Complete, &[Hash::Sha1][..], 2));
    assert_eq!(log.events[0].component().to_string(), "what the firmware did: Calling INT 19h");
    ask(&log);
}

#[test]
fn a_log_without_end_is_read_to_a_limit() {
    let begin = head(&[(0x0b, 32)]);
    let one = event(7, 4, &[(0x0b, &[1; 32])], &[]);
    let log = EventLog::read(&[begin.clone(), one.repeat(MOST_EVENTS + 1)].concat());
    assert_eq!((log.end, log.events.len()), (End::TooLong, MOST_EVENTS));
    let large = event(7, 4, &[(0x0b, &[1; 32])], &vec![0; LONGEST_LOG]);
    assert_eq!(EventLog::read(&[begin, large].concat()).end, End::TooLong);
}

fn any_event() -> impl Strategy<Value = (u32, u32, [u8; 32], Vec<u8>)> {
    let kind = prop_oneof![0u32..20, (0u32..0x12).prop_map(|n| 0x8000_0000 + n), Just(0x8000_00e0), any::<u32>()];
    (0u32..26, kind, any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..80))
}

proptest! {
    #[test]
    fn what_was_written_is_read(events in prop::collection::vec(any_event(), 0..20)) {
        let mut bytes = head(&[(0x0b, 32)]);
        for (pcr, kind, digest, data) in &events {
            bytes.extend(event(*pcr, *kind, &[(0x0b, digest)], data));
        }
        let log = EventLog::read(&bytes);
        prop_assert_eq!(log.end, End::Complete);
        let read: Vec<_> = log.events.iter().map(|e: &Event| {
            (e.pcr, e.kind.0, <[u8; 32]>::try_from(e.digest(Hash::Sha256).unwrap()).unwrap(), e.data.clone())
        }).collect();
        prop_assert_eq!(&read, &events);
        ask(&log);
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        ask(&EventLog::read(&bytes));
        ask(&EventLog::read(&[head(&[(0x04, 20), (0x0b, 32)]), bytes].concat()));
    }

    #[test]
    fn a_changed_byte_is_an_answer(at in 0usize..7000, bit in 0u32..8) {
        let mut bytes = vector("ovmf_grub.log");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        ask(&EventLog::read(&bytes));
    }
}
