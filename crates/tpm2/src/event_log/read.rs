//! Reading a log: the first event in the form of TPM 1.2, and if it says so, all others with a digest for each bank.

use super::kind::EventKind;
use super::reader::Reader;
use crypto::Hash;

/// Longest log that is read; what lies beyond is left out. Firmware and loaders write some 100 KiB at most.
pub const LONGEST_LOG: usize = 4 << 20;
/// Most events that are read.
pub const MOST_EVENTS: usize = 1 << 14;
/// Most digests of one event: a TPM has at most this many banks.
const MOST_BANKS: u32 = 16;
/// Bytes of a digest in the form of TPM 1.2.
const SHA1_LEN: usize = 20;

/// What firmware and loaders say they have measured. Nobody vouches for it but the PCRs, see [`EventLog::replay`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// The banks that events have digests for, of the hashes that are known here.
    pub banks: Vec<Hash>,
    /// The events, in their order.
    pub events: Vec<Event>,
    /// How the log ends.
    pub end: End,
    /// Who began: with another locality than 0, PCR 0 begins with its number.
    pub startup_locality: u8,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The PCR.
    pub pcr: u32,
    /// Its type.
    pub kind: EventKind,
    /// What extends the PCR, in each bank.
    pub digests: Vec<(Hash, Vec<u8>)>,
    /// What is said of it; often, but not always, what was hashed.
    pub data: Vec<u8>,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// There is no log: no measured boot, or a kernel that does not hand it out.
    #[default]
    Absent,
    /// After its last event.
    Complete,
    /// In the middle of an event that begins here: what comes later is not known.
    Truncated {
        /// Bytes from the beginning.
        offset: usize,
    },
    /// What begins here is no event.
    Malformed {
        /// Bytes from the beginning.
        offset: usize,
    },
    /// There is more than is read.
    TooLong,
}

/// Why no event was read.
enum Stop {
    Truncated,
    Malformed,
}

impl Event {
    /// What extends the PCR in this bank.
    pub fn digest(&self, bank: Hash) -> Option<&[u8]> {
        self.digests.iter().find(|(hash, _)| *hash == bank).map(|(_, digest)| digest.as_slice())
    }

    /// Whether it extends its PCR at all.
    pub fn extends(&self) -> bool {
        self.kind != EventKind::NO_ACTION
    }
}

impl EventLog {
    /// Reads `binary_bios_measurements`, as the kernel hands it out. Any bytes are an answer.
    pub fn read(bytes: &[u8]) -> EventLog {
        let shown = bytes.get(..LONGEST_LOG).unwrap_or(bytes);
        let mut log = EventLog::default();
        let mut reader = Reader::new(shown);
        if reader.is_at_end() {
            return log;
        }
        log.end = match read_events(&mut reader, &mut log) {
            Ok(()) if shown.len() < bytes.len() || !reader.is_at_end() => End::TooLong,
            Ok(()) => End::Complete,
            Err((Stop::Truncated, _)) if shown.len() < bytes.len() => End::TooLong,
            Err((Stop::Truncated, offset)) => End::Truncated { offset },
            Err((Stop::Malformed, offset)) => End::Malformed { offset },
        };
        log
    }
}

fn read_events(reader: &mut Reader<'_>, log: &mut EventLog) -> Result<(), (Stop, usize)> {
    let first = read_old(reader).ok_or((Stop::Truncated, 0))?;
    // The one that says how the others are written is for the log alone.
    let sizes = if first.kind == EventKind::NO_ACTION { spec_id(&first.data) } else { Ok(None) };
    let sizes = sizes.map_err(|stop| (stop, 0))?;
    log.banks = match &sizes {
        Some(sizes) => sizes.iter().filter_map(|(id, len)| hash_of(*id).filter(|hash| hash.len() == *len)).collect(),
        None => vec![Hash::Sha1],
    };
    if sizes.is_none() {
        log.take(first);
    }
    while !reader.is_at_end() && log.events.len() < MOST_EVENTS {
        let begin = reader.offset();
        let event = match &sizes {
            Some(sizes) => read_new(reader, sizes),
            None => read_old(reader).ok_or(Stop::Truncated),
        };
        log.take(event.map_err(|stop| (stop, begin))?);
    }
    Ok(())
}

impl EventLog {
    fn take(&mut self, event: Event) {
        if let (EventKind::NO_ACTION, Some(locality)) = (event.kind, startup_locality(&event.data)) {
            self.startup_locality = locality;
        }
        self.events.push(event);
    }
}

/// `TCG_PCClientPCREvent`: PCR, type, a SHA-1 digest, length, data.
fn read_old(reader: &mut Reader<'_>) -> Option<Event> {
    let (pcr, kind) = (reader.u32()?, EventKind(reader.u32()?));
    let digest = reader.take(SHA1_LEN)?.to_vec();
    let len = reader.u32()?;
    let data = reader.take_u64(len.into())?.to_vec();
    Some(Event { pcr, kind, digests: vec![(Hash::Sha1, digest)], data })
}

/// `TCG_PCR_EVENT2`: PCR, type, a digest for each bank with the number of its hash, length, data.
fn read_new(reader: &mut Reader<'_>, sizes: &[(u16, usize)]) -> Result<Event, Stop> {
    let (pcr, kind) = read_both(reader)?;
    let count = reader.u32().ok_or(Stop::Truncated)?;
    if count > MOST_BANKS {
        return Err(Stop::Malformed);
    }
    let mut digests = Vec::new();
    for _ in 0..count {
        let id = reader.u16().ok_or(Stop::Truncated)?;
        let (_, len) = sizes.iter().find(|(known, _)| *known == id).ok_or(Stop::Malformed)?;
        let digest = reader.take(*len).ok_or(Stop::Truncated)?;
        if let Some(hash) = hash_of(id).filter(|hash| hash.len() == *len) {
            digests.push((hash, digest.to_vec()));
        }
    }
    let len = reader.u32().ok_or(Stop::Truncated)?;
    let data = reader.take_u64(len.into()).ok_or(Stop::Truncated)?.to_vec();
    Ok(Event { pcr, kind, digests, data })
}

fn read_both(reader: &mut Reader<'_>) -> Result<(u32, EventKind), Stop> {
    let both = reader.u32().and_then(|pcr| Some((pcr, EventKind(reader.u32()?))));
    both.ok_or(Stop::Truncated)
}

/// `TCG_EfiSpecIDEvent`: the numbers of the hashes with the lengths of their digests. `None` if the log is one of TPM 1.2.
fn spec_id(data: &[u8]) -> Result<Option<Vec<(u16, usize)>>, Stop> {
    let Some(rest) = data.strip_prefix(b"Spec ID Event03\0") else { return Ok(None) };
    let mut reader = Reader::new(rest);
    // Class of the platform, version and errata of the specification, size of a UINTN.
    let sizes = reader.take(8).and_then(|_| reader.u32()).and_then(|count| {
        if count > MOST_BANKS {
            return None;
        }
        (0..count).map(|_| Some((reader.u16()?, usize::from(reader.u16()?)))).collect::<Option<Vec<_>>>()
    });
    sizes.filter(|sizes| !sizes.is_empty()).map(Some).ok_or(Stop::Malformed)
}

/// `TCG_EfiStartupLocalityEvent`
fn startup_locality(data: &[u8]) -> Option<u8> {
    data.strip_prefix(b"StartupLocality\0").and_then(|rest| rest.first().copied())
}

/// The hash behind a number (TCG Algorithm Registry, table 3).
fn hash_of(id: u16) -> Option<Hash> {
    match id {
        0x04 => Some(Hash::Sha1),
        0x0b => Some(Hash::Sha256),
        0x0c => Some(Hash::Sha384),
        0x0d => Some(Hash::Sha512),
        0x12 => Some(Hash::Sm3),
        0x27 => Some(Hash::Sha3_256),
        0x28 => Some(Hash::Sha3_384),
        0x29 => Some(Hash::Sha3_512),
        _ => None,
    }
}
