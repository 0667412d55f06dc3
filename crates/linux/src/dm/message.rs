//! What goes to the device mapper and comes back, byte by byte (`linux/dm-ioctl.h`): a header of 312 bytes in the machine's
//! own byte order, and behind it what the command is about.

use super::name::{MappingName, MappingUuid};
use super::number::DeviceNumber;
use super::table::TargetVersion;
use crate::sys::DM_HEADER;
use block::Sectors;
use zeroize::Zeroizing;

/// The mapping cannot be written, or shall not.
pub(super) const READ_ONLY: u32 = 1 << 0;
/// It is suspended, or shall be.
pub(super) const SUSPENDED: u32 = 1 << 1;
/// The buffer was too short for the answer.
pub(super) const BUFFER_FULL: u32 = 1 << 8;
/// Tell what is known; the targets need not write anything out first.
pub(super) const NO_FLUSH: u32 = 1 << 11;
/// udev will hear of it.
pub(super) const UEVENT: u32 = 1 << 13;
/// The buffer holds a secret: the kernel wipes its copies.
pub(super) const SECRET: u32 = 1 << 15;
/// Remove it when its last user has left.
pub(super) const DEFERRED: u32 = 1 << 17;

/// Commands, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Version = 0,
    ListDevices = 2,
    Create = 3,
    Remove = 4,
    Suspend = 6,
    TableLoad = 9,
    TableDependencies = 11,
    TableStatus = 12,
    ListVersions = 13,
    TargetVersion = 17,
}

impl Command {
    pub(super) fn number(self) -> u8 {
        self as u8
    }
}

/// The interface that is asked for. The kernel's must have the same first number; of the second, everything used here is either
/// as old as the interface or refused by name.
const INTERFACE: [u32; 3] = [4, 0, 0];

/// Bytes of `struct dm_target_spec`.
const TARGET: usize = 40;
/// Bytes of a target's name, with its zero.
const TARGET_NAME: usize = 16;

// Places of the fields of `struct dm_ioctl`.
const VERSION: usize = 0;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const OPEN_COUNT: usize = 24;
const FLAGS: usize = 28;
const EVENT: usize = 32;
const DEVICE: usize = 40;
const NAME: usize = 48;
const NAME_BYTES: usize = 128;
const UUID: usize = 176;
const UUID_BYTES: usize = 129;

/// A request, and then the answer to it, in one buffer that is wiped when dropped.
pub(super) struct Message {
    bytes: Zeroizing<Vec<u8>>,
}

/// Which mapping a command is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom<'a> {
    /// None.
    Nobody,
    /// The one of this name.
    Name(&'a MappingName),
    /// The one of this UUID.
    Uuid(&'a MappingUuid),
    /// The one of this number.
    Number(DeviceNumber),
    /// One that will have both.
    New(&'a MappingName, &'a MappingUuid),
}

/// The answer has not the form it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Message {
    /// A request without anything in its header but whom it is about, with `room` bytes for what follows the header, either way.
    pub(super) fn new(whom: Whom<'_>, room: usize) -> Message {
        let mut message = Message { bytes: Zeroizing::new(vec![0; DM_HEADER + room]) };
        for (at, part) in (VERSION..).step_by(4).zip(INTERFACE) {
            message.put(at, &part.to_ne_bytes());
        }
        message.put(DATA_START, &header_length().to_ne_bytes());
        match whom {
            Whom::Nobody => {}
            Whom::Name(name) => message.put_text(NAME, NAME_BYTES, name.as_str()),
            Whom::Uuid(uuid) => message.put_text(UUID, UUID_BYTES, uuid.as_str()),
            Whom::Number(number) => message.put(DEVICE, &number.to_kernel().to_ne_bytes()),
            Whom::New(name, uuid) => {
                message.put_text(NAME, NAME_BYTES, name.as_str());
                message.put_text(UUID, UUID_BYTES, uuid.as_str());
            }
        }
        message
    }

    /// The question for the version of a target, whose name stands where otherwise a mapping's does.
    pub(super) fn about_target(name: &str, room: usize) -> Message {
        let mut message = Message::new(Whom::Nobody, room);
        message.put_text(NAME, NAME_BYTES, name);
        message
    }

    /// A request with a table of one target.
    pub(super) fn with_table(whom: Whom<'_>, length: Sectors, target: &str, parameters: &[u8]) -> Message {
        // A zero behind the text, and the whole a multiple of eight.
        let used = (TARGET + parameters.len() + 1).next_multiple_of(8);
        let mut message = Message::new(whom, used);
        message.put(TARGET_COUNT, &1_u32.to_ne_bytes());
        let (length_at, next_at, name_at) = (DM_HEADER + 8, DM_HEADER + 20, DM_HEADER + 24);
        message.put(length_at, &length.0.to_ne_bytes());
        message.put(next_at, &u32::try_from(used).unwrap_or(0).to_ne_bytes());
        message.put_text(name_at, TARGET_NAME, target);
        message.put(DM_HEADER + TARGET, parameters);
        message
    }

    #[must_use]
    pub(super) fn flags(mut self, flags: u32) -> Message {
        self.put(FLAGS, &flags.to_ne_bytes());
        self
    }

    /// What udev is told together with the event that the command causes.
    #[must_use]
    pub(super) fn event(mut self, event: u32) -> Message {
        self.put(EVENT, &event.to_ne_bytes());
        self
    }

    /// The same request with more room behind it.
    pub(super) fn longer_by(&self, room: usize) -> Message {
        let mut bytes = Zeroizing::new(vec![0; self.bytes.len().saturating_add(room)]);
        bytes.iter_mut().zip(self.bytes.iter()).for_each(|(to, from)| *to = *from);
        Message { bytes }
    }

    /// All of it, for the kernel.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// What lies outside of the buffer is left out; nothing does.
    fn put(&mut self, at: usize, value: &[u8]) {
        let place = self.bytes.iter_mut().skip(at);
        place.zip(value).for_each(|(to, from)| *to = *from);
    }

    /// A text that leaves room for its zero.
    fn put_text(&mut self, at: usize, room: usize, text: &str) {
        let text = text.as_bytes();
        self.put(at, text.get(..text.len().min(room - 1)).unwrap_or_default());
    }
}

fn header_length() -> u32 {
    u32::try_from(DM_HEADER).unwrap_or(u32::MAX)
}

/// One target of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How long it is.
    pub length: Sectors,
    /// What it is called, such as `crypt`.
    pub name: String,
}

/// The answers.
impl Message {
    /// Whether this flag is set.
    pub(super) fn has(&self, flag: u32) -> bool {
        self.u32(FLAGS).is_ok_and(|flags| flags & flag != 0)
    }

    /// Version of the interface.
    pub(super) fn version(&self) -> Result<[u32; 3], Malformed> {
        Ok([self.u32(VERSION)?, self.u32(VERSION + 4)?, self.u32(VERSION + 8)?])
    }

    /// How many have the device open, its mounts among them.
    pub(super) fn open_count(&self) -> Result<u32, Malformed> {
        self.u32(OPEN_COUNT)
    }

    pub(super) fn device(&self) -> Result<DeviceNumber, Malformed> {
        Ok(DeviceNumber::from_kernel(self.u64(DEVICE)?))
    }

    pub(super) fn name(&self) -> Result<MappingName, Malformed> {
        Ok(MappingName::from_kernel(&self.text(NAME, NAME_BYTES)?))
    }

    pub(super) fn uuid(&self) -> Result<Option<MappingUuid>, Malformed> {
        Ok(MappingUuid::from_kernel(&self.text(UUID, UUID_BYTES)?))
    }

    /// The targets of a table.
    pub(super) fn targets(&self) -> Result<Vec<Target>, Malformed> {
        let start = self.data_start()?;
        let mut at = start;
        let mut targets = Vec::new();
        for _ in 0..self.u32(TARGET_COUNT)? {
            targets.push(Target { length: Sectors(self.u64(at + 8)?), name: self.text(at + 24, TARGET_NAME)? });
            // Counted from the first one, when the kernel writes it.
            at = start + size(self.u32(at + 20)?)?;
        }
        Ok(targets)
    }

    /// The devices that a table refers to.
    pub(super) fn dependencies(&self) -> Result<Vec<DeviceNumber>, Malformed> {
        let start = self.data_start()?;
        let count = size(self.u32(start)?)?;
        let places = (start + 8..).step_by(8).take(count);
        places.map(|at| Ok(DeviceNumber::from_kernel(self.u64(at)?))).collect()
    }

    /// All mappings.
    pub(super) fn devices(&self) -> Result<Vec<(MappingName, DeviceNumber)>, Malformed> {
        let mut devices = Vec::new();
        let mut at = self.data_start()?;
        loop {
            let number = self.u64(at)?;
            if number == 0 && devices.is_empty() {
                return Ok(devices); // there is none, which the kernel says by a device of number zero
            }
            let name = MappingName::from_kernel(&self.text(at + 12, NAME_BYTES)?);
            devices.push((name, DeviceNumber::from_kernel(number)));
            match size(self.u32(at + 8)?)? {
                0 => return Ok(devices),
                next => at += next,
            }
        }
    }

    /// The version of one target among those that are listed.
    pub(super) fn target_version(&self, target: &str) -> Result<Option<TargetVersion>, Malformed> {
        let mut at = self.data_start()?;
        loop {
            let version = TargetVersion(self.u32(at + 4)?, self.u32(at + 8)?, self.u32(at + 12)?);
            if self.text(at + 16, TARGET_NAME)? == target {
                return Ok(Some(version));
            }
            match size(self.u32(at)?)? {
                0 => return Ok(None),
                next => at += next,
            }
        }
    }

    fn data_start(&self) -> Result<usize, Malformed> {
        size(self.u32(DATA_START)?)
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Malformed> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Malformed)
    }

    fn u32(&self, at: usize) -> Result<u32, Malformed> {
        self.array(at).map(u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> Result<u64, Malformed> {
        self.array(at).map(u64::from_ne_bytes)
    }

    /// The text up to its zero, in a field of at most `room` bytes.
    fn text(&self, at: usize, room: usize) -> Result<String, Malformed> {
        let field: Vec<u8> = self.bytes.get(at..).ok_or(Malformed)?.iter().take(room).copied().collect();
        let end = field.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        Ok(String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned())
    }
}

fn size(value: u32) -> Result<usize, Malformed> {
    usize::try_from(value).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn name(text: &str) -> MappingName {
        MappingName::new(text).unwrap()
    }

    /// A request for the mapping `foo`, field by field as `struct dm_ioctl` has them.
    #[test]
    fn a_header_is_laid_out_as_the_kernel_reads_it() {
        let mut message = Message::new(Whom::Name(&name("foo")), 8).flags(READ_ONLY | SECRET).event(0x0060_9451);
        let mut expected = Vec::new();
        for word in [4_u32, 0, 0] {
            expected.extend(word.to_ne_bytes()); // version
        }
        for word in [0_u32, 312, 0, 0] {
            expected.extend(word.to_ne_bytes()); // data_size, which the call sets; data_start; target_count; open_count
        }
        for word in [0x8001_u32, 0x0060_9451, 0] {
            expected.extend(word.to_ne_bytes()); // flags, event_nr, padding
        }
        expected.extend(0_u64.to_ne_bytes()); // dev
        expected.extend(b"foo");
        expected.resize(176, 0); // name, 128 bytes
        expected.resize(312 + 8, 0); // uuid, 129 bytes, padding, and the room
        assert_eq!(message.bytes_mut(), expected);
    }

    #[test]
    fn whom_it_is_about_stands_in_one_field() {
        let uuid = MappingUuid::of_crypt("LUKS2", "40f0136c", &name("foo"));
        let parts = |whom: Whom<'_>| {
            let mut message = Message::new(whom, 0);
            let bytes = message.bytes_mut();
            (bytes[40..48].to_vec(), bytes[48..52].to_vec(), bytes[176..201].to_vec())
        };
        let (zero, none) = (vec![0; 8], vec![0; 25]);
        let number = DeviceNumber { major: 254, minor: 1 };
        assert_eq!(parts(Whom::Nobody), (zero.clone(), vec![0; 4], none.clone()));
        assert_eq!(parts(Whom::Number(number)), (0xfe01_u64.to_ne_bytes().to_vec(), vec![0; 4], none.clone()));
        assert_eq!(parts(Whom::Name(&name("foo"))), (zero.clone(), b"foo\0".to_vec(), none));
        assert_eq!(parts(Whom::Uuid(&uuid)), (zero.clone(), vec![0; 4], b"CRYPT-LUKS2-40f0136c-foo\0".to_vec()));
        let new = parts(Whom::New(&name("foo"), &uuid));
        assert_eq!(new, (zero, b"foo\0".to_vec(), b"CRYPT-LUKS2-40f0136c-foo\0".to_vec()));
        let long = name(&"n".repeat(127));
        assert_eq!(Message::new(Whom::Name(&long), 0).bytes[48 + 126..48 + 129], *b"n\0\0");
    }

    #[test]
    fn a_table_is_one_target_behind_the_header() {
        let mut message = Message::with_table(Whom::Nobody, Sectors(32768), "crypt", b"aes 00 0 98:0 8");
        let bytes = message.bytes_mut();
        assert_eq!(bytes.len(), 312 + 56, "40 of the target, 15 of text, a zero, and no more to a multiple of eight");
        assert_eq!(bytes[20..24], 1_u32.to_ne_bytes());
        let mut expected = Vec::new();
        expected.extend(0_u64.to_ne_bytes()); // sector_start
        expected.extend(32768_u64.to_ne_bytes()); // length
        expected.extend(0_u32.to_ne_bytes()); // status
        expected.extend(56_u32.to_ne_bytes()); // next
        expected.extend(b"crypt\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(b"aes 00 0 98:0 8\0");
        assert_eq!(bytes[312..], expected);
        assert_eq!(Message::with_table(Whom::Nobody, Sectors(1), "crypt", b"").bytes.len(), 312 + 48);
        assert_eq!(Message::about_target("crypt", 0).bytes[48..54], *b"crypt\0");
    }

    /// An answer with these words and this data behind the header.
    fn answer(fields: &[(usize, &[u8])], data: &[u8]) -> Message {
        let mut message = Message::new(Whom::Nobody, data.len());
        fields.iter().for_each(|(at, value)| message.put(*at, value));
        message.put(DM_HEADER, data);
        message
    }

    #[test]
    fn a_status_is_read_field_by_field() {
        let status = answer(
            &[
                (0, &4_u32.to_ne_bytes()),
                (4, &47_u32.to_ne_bytes()),
                (24, &3_u32.to_ne_bytes()),
                (28, &(READ_ONLY | DEFERRED).to_ne_bytes()),
                (40, &0xfe02_u64.to_ne_bytes()),
                (48, b"foo"),
                (176, b"CRYPT-X"),
            ],
            b"",
        );
        assert_eq!(status.version(), Ok([4, 47, 0]));
        assert_eq!((status.open_count(), status.device()), (Ok(3), Ok(DeviceNumber { major: 254, minor: 2 })));
        assert_eq!((status.name().unwrap().as_str(), status.uuid().unwrap().unwrap().as_str()), ("foo", "CRYPT-X"));
        assert!(status.has(READ_ONLY) && status.has(DEFERRED) && !status.has(SUSPENDED));
        assert_eq!(answer(&[], b"").uuid(), Ok(None));
    }

    #[test]
    fn targets_are_found_by_their_distance_from_the_first() {
        let mut data = Vec::new();
        for (length, next, name) in [(8_u64, 48_u32, b"crypt\0\0\0"), (9, 96, b"linear\0\0")] {
            data.extend(0_u64.to_ne_bytes());
            data.extend(length.to_ne_bytes());
            data.extend(0_u32.to_ne_bytes());
            data.extend(next.to_ne_bytes());
            data.extend(name);
            data.extend([0; 16]);
        }
        let found = answer(&[(20, &2_u32.to_ne_bytes())], &data).targets().unwrap();
        let target = |length, name: &str| Target { length: Sectors(length), name: name.into() };
        assert_eq!(found, [target(8, "crypt"), target(9, "linear")]);
        assert_eq!(answer(&[], b"").targets(), Ok(Vec::new()));
        assert_eq!(answer(&[(20, &3_u32.to_ne_bytes())], &data).targets(), Err(Malformed));
    }

    #[test]
    fn lists_end_where_they_say() {
        let mut data = Vec::new();
        for (number, next, name) in [(0xfe00_u64, 24_u32, b"a\0"), (0xfe01, 0, b"b\0")] {
            data.extend(number.to_ne_bytes());
            data.extend(next.to_ne_bytes());
            data.extend(name);
            data.resize(data.len().next_multiple_of(24), 0);
        }
        let found = answer(&[], &data).devices().unwrap();
        let names: Vec<_> = found.iter().map(|(name, number)| (name.as_str(), number.minor)).collect();
        assert_eq!(names, [("a", 0), ("b", 1)]);
        assert_eq!(answer(&[], &[0; 16]).devices(), Ok(Vec::new()));
        data[24 + 8..24 + 12].copy_from_slice(&4000_u32.to_ne_bytes());
        assert_eq!(answer(&[], &data).devices(), Err(Malformed));
    }

    #[test]
    fn versions_and_dependencies_are_read() {
        let mut data = Vec::new();
        for (next, version, name) in [(24_u32, [1_u32, 24, 0], b"crypt\0\0\0"), (0, [1, 4, 0], b"linear\0\0")] {
            data.extend(next.to_ne_bytes());
            version.iter().for_each(|part| data.extend(part.to_ne_bytes()));
            data.extend(name);
        }
        let versions = answer(&[], &data);
        assert_eq!(versions.target_version("crypt"), Ok(Some(TargetVersion(1, 24, 0))));
        assert_eq!(versions.target_version("linear"), Ok(Some(TargetVersion(1, 4, 0))));
        assert_eq!(versions.target_version("crypt2"), Ok(None));
        assert_eq!(answer(&[], &data[..30]).target_version("zero"), Err(Malformed));

        let mut data = [1_u32, 0].map(u32::to_ne_bytes).concat();
        data.extend(0x6200_u64.to_ne_bytes());
        assert_eq!(answer(&[], &data).dependencies(), Ok(vec![DeviceNumber { major: 98, minor: 0 }]));
        data[0..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(answer(&[], &data).dependencies(), Err(Malformed));
    }

    #[test]
    fn a_longer_message_asks_the_same() {
        let mut short = Message::new(Whom::Name(&name("foo")), 8).flags(NO_FLUSH);
        let mut long = short.longer_by(100);
        assert_eq!(long.bytes_mut().len(), 420);
        assert_eq!(long.bytes_mut()[..320], *short.bytes_mut());
    }
}
