//! LUKSMeta: small data for slots, in the gap between the key material of a LUKS1 volume and its encrypted data.
//!
//! There is no specification; the layout is that of libluksmeta 9, seen on the disk. The gap begins at the end of the furthest
//! key area, rounded up to 4096 bytes, and is a whole number of such blocks. Its first block holds the table, 272 bytes, big
//! endian: `LUKSMETA`, version 1, CRC-32C of the table with this field zero, then for each of the eight slots UUID (all zero:
//! empty), offset of the data from the beginning of the gap, its length, its CRC-32C, and four zeros.
//!
//! Data that reaches out of the gap is never read, written or wiped there: what lies behind is the volume's data. The
//! original's bound can be stepped over (CVE-2025-11568, and its correction too where slot 0 is in use).

use crate::area::Area;
use crate::luks1::crc32c::crc32c;
use crate::slot::Slot;
use block::{BlockError, BlockRead, Bytes};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Everything begins on a multiple of this, counted from the beginning of the gap.
pub(crate) const BLOCK: u64 = 4096;
/// Length of the table.
pub(crate) const TABLE_LEN: usize = 272;
/// Data of a slot up to this length is read together with the header.
pub const META_KEPT: u32 = 64 << 10;

/// Data of a slot beyond this length is neither read nor written nor wiped: the table, which anybody can write, says how long it
/// is, and all of it would have to be held in memory.
pub const META_MOST: u32 = 1 << 20;

const MAGIC: [u8; 8] = *b"LUKSMETA";
const VERSION: u32 = 1;

/// What is in the gap of a LUKS1 volume.
#[derive(Clone, Debug)]
pub enum MetaState {
    /// There is no gap, or less than a block of it: nothing can ever be stored.
    NoGap,
    /// The gap holds no LUKSMeta.
    Absent,
    /// There is LUKSMeta, but it cannot be used.
    Damaged(MetaError),
    /// There is LUKSMeta.
    Present(Box<LuksMeta>),
}

/// Why LUKSMeta, or the data of a slot, cannot be used.
#[derive(Clone, Debug)]
pub enum MetaError {
    /// The gap could not be read.
    Disk {
        /// What happened.
        source: Arc<BlockError>,
    },
    /// It is of a version that nobody knows.
    UnknownVersion {
        /// The version.
        found: u32,
    },
    /// The table is not what its checksum was made of.
    Checksum,
    /// The table says of a slot what cannot be: its data would lie in the table, or be longer than the gap.
    Misplaced {
        /// The slot.
        slot: Slot,
    },
    /// The table says that there is more data for a slot than anybody keeps there: more than [`META_MOST`].
    TooLong {
        /// How much, in bytes.
        length: u32,
    },
    /// The data of a slot would reach out of the gap.
    Outside,
    /// The data of a slot is not what its checksum was made of.
    DataChecksum,
    /// The slot is empty.
    Empty,
}

/// The table, and what it refers to.
#[derive(Clone, Debug)]
pub struct LuksMeta {
    gap: Area,
    table: Table,
    data: [Option<Kept>; Slot::LUKS1],
}

/// What stands in the table about a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaSlot {
    /// What kind of data it is. Never nil.
    pub uuid: Uuid,
    /// Where the data begins, counted from the beginning of the gap.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
    pub(crate) crc: u32,
}

/// Data that was read together with the header.
#[derive(Clone)]
struct Kept(Arc<Result<Vec<u8>, MetaError>>);

/// The table alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table([Option<MetaSlot>; Slot::LUKS1]);

/// The bytes that a table would stand in, whatever they are.
pub(crate) type TableBytes = [u8; TABLE_LEN];

/// The gap behind these key areas, before data that begins at `payload`.
pub(crate) fn gap(areas: &[Area], payload: Bytes) -> Option<Area> {
    let end = areas.iter().map(Area::end).max()?;
    let start = Bytes(end.0.checked_next_multiple_of(BLOCK)?);
    let room = payload.checked_sub(start)?;
    Area::new(start, Bytes(room.0 - room.0 % BLOCK))
}

/// Reads what is in the gap; the bytes of the table's place too, if there is one and it can be read.
pub(crate) fn read(disk: &dyn BlockRead, gap: Option<Area>) -> (MetaState, Option<Box<TableBytes>>) {
    let Some(gap) = gap else { return (MetaState::NoGap, None) };
    let mut bytes = Box::new([0; TABLE_LEN]);
    if let Err(source) = disk.read_at(gap.offset(), bytes.as_mut_slice()) {
        return (MetaState::Damaged(MetaError::Disk { source: Arc::new(source) }), None);
    }
    let state = match Table::parse(&bytes, gap) {
        Ok(None) => MetaState::Absent,
        Ok(Some(table)) => MetaState::Present(Box::new(LuksMeta::read(disk, gap, table))),
        Err(error) => MetaState::Damaged(error),
    };
    (state, Some(bytes))
}

impl LuksMeta {
    fn read(disk: &dyn BlockRead, gap: Area, table: Table) -> LuksMeta {
        let data = table.0.map(|slot| {
            let slot = slot.filter(|slot| slot.length <= META_KEPT)?;
            Some(Kept(Arc::new(slot.load(disk, gap))))
        });
        LuksMeta { gap, table, data }
    }

    /// With another table. Data that the two have in common is kept, `new` comes with it, other data is not known.
    pub(crate) fn with_table(before: Option<&LuksMeta>, gap: Area, table: Table, new: &[(Slot, Vec<u8>)]) -> LuksMeta {
        let mut data = [const { None }; Slot::LUKS1];
        for (slot, to) in Slot::all().zip(&mut data) {
            let same = before.filter(|meta| meta.table.slot(slot) == table.slot(slot));
            let fresh = new.iter().find(|(of, bytes)| *of == slot && bytes.len() <= META_KEPT as usize);
            *to = match fresh {
                Some((_, bytes)) => Some(Kept(Arc::new(Ok(bytes.clone())))),
                None => same.and_then(|meta| meta.kept(slot).cloned()),
            };
        }
        LuksMeta { gap, table, data }
    }

    /// Where it lies on the disk: the table in the first block, data behind it.
    pub fn gap(&self) -> Area {
        self.gap
    }

    /// What the table says of a slot; `None` if it is empty.
    pub fn slot(&self, slot: Slot) -> Option<&MetaSlot> {
        self.table.slot(slot)
    }

    /// The slots that are not empty, in ascending order.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, &MetaSlot)> {
        self.table.slots()
    }

    /// The data of a slot, if it was read together with the header: up to [`META_KEPT`] bytes are.
    ///
    /// # Errors
    /// [`MetaError`]; `None` if the slot is empty or its data longer.
    pub fn data(&self, slot: Slot) -> Option<Result<&[u8], &MetaError>> {
        self.kept(slot).map(|kept| kept.0.as_ref().as_deref())
    }

    /// Reads the data of a slot: at most [`META_MOST`] bytes.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn load(&self, disk: &dyn BlockRead, slot: Slot) -> Result<Vec<u8>, MetaError> {
        self.slot(slot).ok_or(MetaError::Empty)?.load(disk, self.gap)
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    fn kept(&self, slot: Slot) -> Option<&Kept> {
        self.data.get(usize::from(slot.number()))?.as_ref()
    }
}

impl MetaSlot {
    /// An entry for data at `area`, which is in the gap.
    pub(crate) fn new(uuid: Uuid, area: Area, gap: Area, data: &[u8]) -> MetaSlot {
        let offset = u32::try_from(area.offset().0 - gap.offset().0).unwrap_or(u32::MAX);
        MetaSlot { uuid, offset, length: u32::try_from(data.len()).unwrap_or(u32::MAX), crc: crc32c(&[data]) }
    }

    /// Where the data lies on the disk, if that is inside the gap.
    pub(crate) fn place(&self, gap: Area) -> Option<Area> {
        let start = gap.offset().checked_add(Bytes(self.offset.into()))?;
        Area::new(start, Bytes(self.length.into())).filter(|place| gap.contains(place))
    }

    /// What of the data's place is inside the gap.
    pub(crate) fn inside(&self, gap: Area) -> Option<Area> {
        let start = gap.offset().checked_add(Bytes(self.offset.into()))?;
        let end = start.checked_add(Bytes(self.length.into()))?.min(gap.end());
        Area::new(start, end.checked_sub(start)?)
    }

    fn load(&self, disk: &dyn BlockRead, gap: Area) -> Result<Vec<u8>, MetaError> {
        if self.length == 0 {
            return Ok(Vec::new());
        }
        let place = self.place(gap).ok_or(MetaError::Outside)?;
        if self.length > META_MOST {
            return Err(MetaError::TooLong { length: self.length });
        }
        let mut bytes = vec![0; usize::try_from(self.length).map_err(|_| MetaError::Outside)?];
        disk.read_at(place.offset(), &mut bytes).map_err(|source| MetaError::Disk { source: Arc::new(source) })?;
        if crc32c(&[&bytes]) == self.crc { Ok(bytes) } else { Err(MetaError::DataChecksum) }
    }
}

impl Table {
    /// Reads a table; `None` if there is none.
    fn parse(bytes: &TableBytes, gap: Area) -> Result<Option<Table>, MetaError> {
        let mut r = Reader(bytes);
        if r.array() != MAGIC {
            return Ok(None);
        }
        let found = r.u32();
        if found != VERSION {
            return Err(MetaError::UnknownVersion { found });
        }
        let crc = r.u32();
        let slots: Vec<Option<MetaSlot>> = (0..Slot::LUKS1).map(|_| r.slot()).collect();
        let (head, rest) = (bytes.first_chunk::<12>(), bytes.last_chunk::<256>());
        let whole = head.zip(rest).is_some_and(|(head, rest)| crc32c(&[head, &[0; 4], rest]) == crc);
        if !whole {
            return Err(MetaError::Checksum);
        }
        let table = Table(slots.try_into().map_err(|_| MetaError::Checksum)?);
        match table.slots().find(|(_, slot)| slot.is_misplaced(gap)) {
            Some((slot, _)) => Err(MetaError::Misplaced { slot }),
            None => Ok(Some(table)),
        }
    }

    /// The table as it stands on the disk.
    pub(crate) fn to_bytes(self) -> TableBytes {
        let mut bytes = Vec::with_capacity(TABLE_LEN);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 4]);
        for slot in &self.0 {
            bytes.extend(slot.map(MetaSlot::to_bytes).unwrap_or_default());
        }
        let crc = crc32c(&[&bytes]).to_be_bytes();
        let mut table = [0; TABLE_LEN];
        table.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        table.iter_mut().skip(12).zip(crc).for_each(|(to, from)| *to = from);
        table
    }

    pub(crate) fn slot(&self, slot: Slot) -> Option<&MetaSlot> {
        self.0.get(usize::from(slot.number()))?.as_ref()
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, &MetaSlot)> {
        Slot::all().zip(&self.0).filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    /// Sets or empties a slot. There is none above 7.
    pub(crate) fn set(&mut self, slot: Slot, entry: Option<MetaSlot>) {
        if let Some(place) = self.0.get_mut(usize::from(slot.number())) {
            *place = entry;
        }
    }

    /// The first place for data of this length, as the original looks for it: on multiples of 4096, behind the table's block,
    /// where no slot of any of these tables has data. (The original overlooks an overlap with data of more than two blocks
    /// that begins before.)
    pub(crate) fn first_fit(tables: &[&Table], gap: Area, length: u32) -> Option<Area> {
        let taken = tables.iter().flat_map(|table| table.slots()).filter_map(|(_, slot)| slot.blocks(gap));
        let taken: Vec<Area> = taken.collect();
        // Offsets are 32 bits wide.
        let end = gap.size().0.min(u64::from(u32::MAX) - u64::from(u32::MAX) % BLOCK);
        let room = Area::new(Bytes(gap.offset().0 + BLOCK), Bytes(end.checked_sub(BLOCK)?))?;
        room.first_gap(&taken, Bytes(u64::from(length).next_multiple_of(BLOCK)))
    }
}

impl MetaSlot {
    /// What the original calls corrupt.
    fn is_misplaced(&self, gap: Area) -> bool {
        u64::from(self.offset) <= Bytes::from(TABLE_LEN).0 || u64::from(self.length) > gap.size().0 - BLOCK
    }

    /// All blocks on the disk that the data touches, in or out of the gap.
    fn blocks(&self, gap: Area) -> Option<Area> {
        let (start, end) = (u64::from(self.offset), u64::from(self.offset) + u64::from(self.length));
        let (start, end) = (start - start % BLOCK, end.next_multiple_of(BLOCK));
        Area::new(gap.offset().checked_add(Bytes(start))?, Bytes(end - start))
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let fields = [self.offset, self.length, self.crc].map(u32::to_be_bytes);
        let from = self.uuid.as_bytes().iter().chain(fields.iter().flatten());
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        bytes
    }
}

/// Takes fields off the front of a table, which is as long as all of them.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *field
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// What stands behind the UUID of an empty slot does not count.
    fn slot(&mut self) -> Option<MetaSlot> {
        let uuid = Uuid::from_bytes(self.array());
        let slot = MetaSlot { uuid, offset: self.u32(), length: self.u32(), crc: self.u32() };
        self.u32(); // reserved
        (!uuid.is_nil()).then_some(slot)
    }
}

impl MetaState {
    /// The LUKSMeta that can be used.
    pub fn present(&self) -> Option<&LuksMeta> {
        if let MetaState::Present(meta) = self { Some(meta) } else { None }
    }
}

/// Its length says enough.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_ref() {
            Ok(bytes) => write!(f, "{} bytes", bytes.len()),
            Err(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetaError::Disk { .. } => f.write_str("the gap behind the key material cannot be read"),
            MetaError::UnknownVersion { found } => write!(f, "LUKSMeta of the unknown version {found}"),
            MetaError::Checksum => f.write_str("the table of LUKSMeta does not have its checksum"),
            MetaError::Misplaced { slot } => write!(f, "the table of LUKSMeta misplaces the data of slot {slot}"),
            MetaError::TooLong { length } => {
                write!(f, "the table of LUKSMeta says that the data is {length} bytes long; nobody keeps so much there")
            }
            MetaError::Outside => f.write_str("the data would reach out of the gap behind the key material"),
            MetaError::DataChecksum => f.write_str("the data does not have its checksum"),
            MetaError::Empty => f.write_str("there is no data for the slot"),
        }
    }
}

impl std::error::Error for MetaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let MetaError::Disk { source } = self { Some(source) } else { None }
    }
}
