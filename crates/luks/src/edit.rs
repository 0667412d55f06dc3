//! Changes to a header, as a value first: [`Edit`] says what would be written, and only [`Edit::apply`] writes.
//!
//! Key material is written first, then one copy of the header, then the other, each made durable before the next. Of two good
//! copies the primary one goes first, as with cryptsetup 2.6.1 (seen with strace); a copy that is damaged or older goes before
//! the good one, which is needed until then. So whatever happens in between, one copy is whole and describes what is on the
//! disk. The sequence number grows by one, and the salts stay, as cryptsetup has it.

use crate::accept::{Accepted, AcceptedSlot, check_cost};
use crate::af;
use crate::cipher::SectorSize;
use crate::header::{CopyError, CopyState, Header};
use crate::kdf::{Kdf, KdfCost};
use crate::luks2::area::{ALIGNMENT, Area};
use crate::luks2::binary_header::{BinaryError, BinaryHeader, HeaderCopy, SALT_LEN};
use crate::luks2::id::{Slot, TokenId};
use crate::luks2::json::{Metadata, MetadataError};
use crate::luks2::keyslot::{KdfMember, Luks2Keyslot, Priority};
use crate::refused::Refused;
use crate::step::Step;
use crate::undo::{Applied, ApplyError, Phase, Write, apply};
use block::{BlockWrite, Bytes};
use crypto::kdf::{Argon2Variant, KdfError};
use crypto::sector::SectorError;
use crypto::{Hash, Passphrase, Random, RandomFailed, VolumeKey};
use json::{Object, Value};
use std::fmt;
use zeroize::Zeroizing;

/// A header as it would be after some changes, and what must be written for that.
///
/// It is bound to the header it was made from: `apply` refuses a disk that has changed since.
pub struct Edit<'a> {
    before: &'a Accepted,
    random: &'a dyn Random,
    metadata: Metadata,
    primary: BinaryHeader,
    secondary: BinaryHeader,
    material: Vec<Write>,
    wipes: Vec<Write>,
    steps: Vec<Step>,
}

/// A keyslot to be added.
#[derive(Debug)]
pub struct NewKeyslot<'a> {
    /// The key of the volume; it is checked against the digest.
    pub key: &'a VolumeKey,
    /// What shall open the slot.
    pub passphrase: &'a Passphrase,
    /// The slot; `None`: the lowest that is free.
    pub slot: Option<Slot>,
    /// How slow the passphrase is made.
    pub kdf: KdfCost,
    /// The splitter's hash.
    pub af_hash: Hash,
}

/// Why a change is not possible. The edit is as it was before.
#[derive(Debug)]
pub enum EditError {
    /// The disk does not begin with a LUKS header any more; only the second copy was found. Something else may be there.
    PrimaryGone,
    /// The sequence number cannot grow.
    SequenceExhausted,
    /// The slot is in use.
    SlotInUse {
        /// The slot.
        slot: Slot,
    },
    /// All slots are in use.
    NoFreeSlot,
    /// There is no such slot, or it does not hold the key of the data.
    NoSuchSlot {
        /// The slot.
        slot: Slot,
    },
    /// The token is in use.
    TokenInUse {
        /// The token.
        token: TokenId,
    },
    /// All tokens are in use.
    NoFreeToken,
    /// There is no such token.
    NoSuchToken {
        /// The token.
        token: TokenId,
    },
    /// There is no gap for the key material.
    NoRoom {
        /// How much is needed.
        size: Bytes,
    },
    /// The JSON would not fit into its area.
    MetadataFull {
        /// How long the area is.
        size: Bytes,
    },
    /// The key is not the key of this volume.
    WrongVolumeKey,
    /// The cost of the passphrase is out of the bounds under which the header was accepted.
    Refused {
        /// In what way.
        source: Refused,
    },
    /// The metadata would be wrong; a token that is none, for example.
    Metadata {
        /// What would be wrong.
        source: MetadataError,
    },
    /// The passphrase could not be stretched.
    Kdf {
        /// What went wrong.
        source: KdfError,
    },
    /// The cipher refused the key.
    Cipher {
        /// What went wrong.
        source: SectorError,
    },
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
}

impl<'a> Edit<'a> {
    /// Begins with no change.
    ///
    /// # Errors
    /// [`EditError::PrimaryGone`], [`EditError::SequenceExhausted`].
    pub fn new(header: &'a Accepted, random: &'a dyn Random) -> Result<Edit<'a>, EditError> {
        let read = header.header();
        if let [CopyState::Damaged { error: CopyError::Binary { source: BinaryError::WrongMagic } }, _] = read.copies()
        {
            return Err(EditError::PrimaryGone);
        }
        let (primary, secondary) = both_copies(read, random)?;
        Ok(Edit {
            before: header,
            random,
            metadata: read.metadata().clone(),
            primary,
            secondary,
            material: Vec::new(),
            wipes: Vec::new(),
            steps: Vec::new(),
        })
    }

    /// What has been asked for, in that order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The metadata after the change.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Adds a keyslot: stretches the passphrase, which may take seconds, and splits and encrypts the key.
    ///
    /// The area is encrypted like the data, as cryptsetup does it, and lies in the first gap that no slot occupies, nor did
    /// before this edit: so an edit that is interrupted still opens with the old header.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        if !self.before.digest().fits(new.key) {
            return Err(EditError::WrongVolumeKey);
        }
        let slot = self.choose_slot(new.slot)?;
        let allowed = self.before.allowed();
        check_cost(slot, &new.kdf, allowed).map_err(|source| EditError::Refused { source })?;
        let area = self.choose_area(new.key.secret().len())?;
        let salt = self.random_bytes::<32>()?.to_vec();
        let key_len = new.key.secret().len();
        let keyslot = AcceptedSlot {
            priority: Priority::Normal,
            key_len,
            area,
            cipher: self.before.data().cipher,
            area_key_len: key_len,
            af_hash: new.af_hash,
            kdf: Kdf { cost: new.kdf, salt },
        };
        let bytes = self.encrypted_stripes(&keyslot, new)?;
        let object = keyslot.to_member().to_json(u32::try_from(key_len).unwrap_or(u32::MAX), area);
        let digest = self.before.digest_name().to_owned();
        self.change(|document| {
            set_object(document, "keyslots", &slot.to_string(), object);
            if let Some(digest) = member(document, "digests").and_then(|d| d.get_mut(&digest)?.as_object_mut()) {
                push_slot(digest, slot);
            }
        })?;
        self.material.push(Write { offset: area.offset(), bytes });
        self.steps.push(Step::AddKeyslot { slot, kdf: new.kdf.name(), area });
        Ok(slot)
    }

    /// Removes a keyslot: its area is overwritten, and every digest and token forgets it. Tokens that then serve no slot
    /// stay, as with cryptsetup.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_keyslot(&mut self, slot: Slot) -> Result<(), EditError> {
        let area = self.metadata.keyslots.get(&slot).ok_or(EditError::NoSuchSlot { slot })?.area;
        let len = usize::try_from(area.size().0).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(vec![0; len]);
        self.random.fill(&mut bytes).map_err(|source| EditError::Random { source })?;
        self.change(|document| {
            member(document, "keyslots").map(|slots| slots.remove(&slot.to_string()));
            forget_slot(document, "tokens", slot);
            forget_slot(document, "digests", slot);
        })?;
        match self.material.iter().position(|write| write.offset == area.offset()) {
            // Key material of this very edit has never been on the disk.
            Some(i) => drop(self.material.remove(i)),
            None => self.wipes.push(Write { offset: area.offset(), bytes }),
        }
        self.steps.push(Step::RemoveKeyslot { slot, area });
        Ok(())
    }

    /// Adds a token with these members, `type` and `keyslots` among them, under this or the lowest free number.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_token(&mut self, token: Option<TokenId>, members: Object) -> Result<TokenId, EditError> {
        let used = |token: &TokenId| self.metadata.tokens.contains_key(token);
        let token = match token {
            Some(token) if used(&token) => return Err(EditError::TokenInUse { token }),
            Some(token) => token,
            None => TokenId::all().find(|token| !used(token)).ok_or(EditError::NoFreeToken)?,
        };
        let (kind, slots) = self.put_token(token, members)?;
        self.steps.push(Step::AddToken { token, kind, slots });
        Ok(token)
    }

    /// Puts another token in the place of one.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn replace_token(&mut self, token: TokenId, members: Object) -> Result<(), EditError> {
        if !self.metadata.tokens.contains_key(&token) {
            return Err(EditError::NoSuchToken { token });
        }
        let (kind, slots) = self.put_token(token, members)?;
        self.steps.push(Step::ReplaceToken { token, kind, slots });
        Ok(())
    }

    /// Removes a token.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_token(&mut self, token: TokenId) -> Result<(), EditError> {
        let kind = self.metadata.tokens.get(&token).ok_or(EditError::NoSuchToken { token })?.kind.clone();
        self.change(|document| {
            member(document, "tokens").map(|tokens| tokens.remove(&token.to_string()));
        })?;
        self.steps.push(Step::RemoveToken { token, kind });
        Ok(())
    }

    /// Writes it all. The caller holds the volume's write lock.
    ///
    /// The disk is read again first: if its header is not the one this edit was made from, nothing is written. Then what
    /// will be overwritten is kept, everything is written in order and read back. If any of that fails, what was kept is put
    /// back; afterwards the same can be done with [`Applied::undo`].
    ///
    /// # Errors
    /// [`ApplyError`].
    pub fn apply(self, disk: &dyn BlockWrite) -> Result<Applied, ApplyError> {
        let before = self.before.header();
        self.ready().ok_or(ApplyError::MetadataFull)?.apply(disk, before)
    }

    /// All that will be written, in its order; `None` if the metadata does not fit. Every change has been tried for its size,
    /// so only a header that was too full when it was read can fail here.
    pub(crate) fn ready(self) -> Option<Ready> {
        let Edit { before, metadata, primary, secondary, material, wipes, .. } = self;
        let after = SealedHeader::new(primary, secondary, metadata)?;
        let header = |offset, bytes: Vec<u8>| vec![Write { offset, bytes: bytes.into() }];
        let mut headers =
            [header(Bytes(0), after.primary_bytes), header(after.secondary.offset, after.secondary_bytes)];
        if before.header().weaker_copy() == HeaderCopy::Secondary {
            headers.reverse();
        }
        // A slot that only goes is wiped first, as cryptsetup does: whoever wants it gone cannot be left with it. But when
        // another one comes in its place, the old one must open until the new one does.
        let (wipes_before, wipes_after) = if material.is_empty() { (wipes, Vec::new()) } else { (Vec::new(), wipes) };
        let mut phases: Vec<Phase> = vec![wipes_before, material];
        phases.extend(headers);
        phases.push(wipes_after);
        let disk = before.header().disk_len();
        Some(Ready { after: Header::of_both(after.primary, after.secondary, after.metadata, disk), phases })
    }

    fn choose_slot(&self, wanted: Option<Slot>) -> Result<Slot, EditError> {
        let used = |slot: &Slot| self.metadata.keyslots.contains_key(slot);
        match wanted {
            Some(slot) if used(&slot) => Err(EditError::SlotInUse { slot }),
            Some(slot) => Ok(slot),
            None => Slot::all().find(|slot| !used(slot)).ok_or(EditError::NoFreeSlot),
        }
    }

    fn choose_area(&self, key_len: usize) -> Result<Area, EditError> {
        let len = Bytes::from(af::split_len(key_len).unwrap_or(usize::MAX)).0;
        let size = Bytes(len.checked_next_multiple_of(ALIGNMENT).unwrap_or(len));
        let before = self.before.header().metadata().keyslots.values();
        let taken: Vec<Area> = before.chain(self.metadata.keyslots.values()).map(|keyslot| keyslot.area).collect();
        let room = self.metadata.keyslots_area().filter(|room| room.end() <= self.before.header().disk_len());
        room.and_then(|room| room.first_gap(&taken, size)).ok_or(EditError::NoRoom { size })
    }

    fn encrypted_stripes(&self, keyslot: &AcceptedSlot, new: &NewKeyslot<'_>) -> Result<Zeroizing<Vec<u8>>, EditError> {
        let refused = |source| EditError::Cipher { source };
        let area_key = keyslot.kdf.derive(new.passphrase, keyslot.area_key_len);
        let area_key = area_key.map_err(|source| EditError::Kdf { source })?;
        let stripes = af::split(keyslot.af_hash, new.key.secret(), self.random);
        let stripes = stripes.map_err(|source| EditError::Random { source })?;
        let mut bytes = Zeroizing::new(stripes.expose().to_vec());
        let cipher = keyslot.cipher.keyed(area_key.expose(), SectorSize::SMALLEST).map_err(refused)?;
        cipher.encrypt(0, &mut bytes).map_err(refused)?;
        Ok(bytes)
    }

    fn put_token(&mut self, token: TokenId, members: Object) -> Result<(String, Vec<Slot>), EditError> {
        self.change(|document| set_object(document, "tokens", &token.to_string(), members))?;
        // It has just been read back from the document.
        let read = self.metadata.tokens.get(&token).ok_or(EditError::NoSuchToken { token })?;
        Ok((read.kind.clone(), read.keyslots.clone()))
    }

    /// Changes a copy of the document, and takes it if it is good metadata that fits.
    fn change(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), EditError> {
        let mut document = self.metadata.document().clone();
        change(&mut document);
        let metadata = Metadata::from_document(document, self.primary.size);
        let metadata = metadata.map_err(|source| EditError::Metadata { source })?;
        if metadata.to_area().is_none() {
            return Err(EditError::MetadataFull { size: Bytes::from(self.primary.size.json_len()) });
        }
        self.metadata = metadata;
        Ok(())
    }

    fn random_bytes<const N: usize>(&self) -> Result<[u8; N], EditError> {
        random_bytes(self.random).map_err(|source| EditError::Random { source })
    }
}

/// An edit of which only the writing is left. It borrows nothing.
pub(crate) struct Ready {
    after: Header,
    phases: Vec<Phase>,
}

impl Ready {
    /// Writes it in place of `before`, the header that the edit was made from.
    pub(crate) fn apply(self, disk: &dyn BlockWrite, before: &Header) -> Result<Applied, ApplyError> {
        apply(disk, before, self.after, self.phases)
    }
}

/// Both copies' bytes as they will stand on the disk.
pub(crate) struct SealedHeader {
    pub(crate) primary: BinaryHeader,
    pub(crate) secondary: BinaryHeader,
    pub(crate) metadata: Metadata,
    pub(crate) primary_bytes: Vec<u8>,
    pub(crate) secondary_bytes: Vec<u8>,
}

impl SealedHeader {
    /// `None` if the metadata does not fit into its area.
    pub(crate) fn new(
        mut primary: BinaryHeader,
        mut secondary: BinaryHeader,
        metadata: Metadata,
    ) -> Option<SealedHeader> {
        let area = metadata.to_area()?;
        let (primary_bytes, secondary_bytes) = (primary.sealed(&area), secondary.sealed(&area));
        Some(SealedHeader { primary, secondary, metadata, primary_bytes, secondary_bytes })
    }
}

/// Both copies, one number on. A copy that is damaged is made from the other one, with a salt of its own.
fn both_copies(read: &Header, random: &dyn Random) -> Result<(BinaryHeader, BinaryHeader), EditError> {
    let mut chosen = read.binary.clone();
    chosen.sequence = chosen.sequence.checked_add(1).ok_or(EditError::SequenceExhausted)?;
    let salt = match &read.other {
        Some(other) => other.salt,
        None => random_bytes(random).map_err(|source| EditError::Random { source })?,
    };
    let other = chosen.other(salt);
    Ok(if chosen.copy == HeaderCopy::Primary { (chosen, other) } else { (other, chosen) })
}

pub(crate) fn random_bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomFailed> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// The salt of a header copy.
pub(crate) fn random_salt(random: &dyn Random) -> Result<[u8; SALT_LEN], RandomFailed> {
    random_bytes(random)
}

impl AcceptedSlot {
    fn to_member(&self) -> Luks2Keyslot {
        Luks2Keyslot {
            encryption: self.cipher.name().to_owned(),
            encryption_key_size: u32::try_from(self.area_key_len).unwrap_or(u32::MAX),
            af_hash: self.af_hash.luks_name().to_owned(),
            af_stripes: af::STRIPES,
            kdf: self.kdf.to_member(),
        }
    }
}

impl Kdf {
    fn to_member(&self) -> KdfMember {
        let salt = self.salt.clone();
        match self.cost {
            KdfCost::Pbkdf2 { hash, iterations } => {
                KdfMember::Pbkdf2 { hash: hash.luks_name().to_owned(), iterations: iterations.get(), salt }
            }
            KdfCost::Argon2 { variant, cost } => KdfMember::Argon2 {
                name: match variant {
                    Argon2Variant::Argon2i => "argon2i".to_owned(),
                    Argon2Variant::Argon2id => "argon2id".to_owned(),
                },
                time: cost.passes,
                memory: cost.memory_kib,
                cpus: cost.lanes,
                salt,
            },
        }
    }
}

/// One section of the document. All sections are there and are objects: the document has been read as metadata.
fn member<'v>(document: &'v mut Value, section: &str) -> Option<&'v mut Object> {
    document.as_object_mut()?.get_mut(section)?.as_object_mut()
}

/// Sets an object of a section; a new one comes last, as with cryptsetup.
fn set_object(document: &mut Value, section: &str, name: &str, object: Object) {
    if let Some(objects) = member(document, section) {
        objects.insert(name, object);
    }
}

fn push_slot(object: &mut Object, slot: Slot) {
    if let Some(Value::Array(slots)) = object.get_mut("keyslots") {
        slots.push(slot.to_string().into());
    }
}

/// Takes a slot out of the lists of all objects of a section.
fn forget_slot(document: &mut Value, section: &str, slot: Slot) {
    let Some(objects) = member(document, section) else { return };
    let slot = slot.to_string();
    let names: Vec<String> = objects.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let object = objects.get_mut(&name).and_then(Value::as_object_mut);
        if let Some(Value::Array(slots)) = object.and_then(|object| object.get_mut("keyslots")) {
            slots.retain(|listed| listed.as_str() != Some(slot.as_str()));
        }
    }
}

/// One line for each step.
impl fmt::Display for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing to change");
        }
        let lines: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit").field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::PrimaryGone => {
                f.write_str("the disk does not begin with a LUKS header; only the second copy is there")
            }
            EditError::SequenceExhausted => f.write_str("the header's sequence number cannot grow any more"),
            EditError::SlotInUse { slot } => write!(f, "slot {slot} is in use"),
            EditError::NoFreeSlot => f.write_str("all 32 slots are in use"),
            EditError::NoSuchSlot { slot } => write!(f, "there is no slot {slot}"),
            EditError::TokenInUse { token } => write!(f, "token {token} is in use"),
            EditError::NoFreeToken => f.write_str("all 32 tokens are in use"),
            EditError::NoSuchToken { token } => write!(f, "there is no token {token}"),
            EditError::NoRoom { size } => write!(f, "there is no gap of {size} for the key material of another slot"),
            EditError::MetadataFull { size } => write!(f, "the metadata would not fit into its {size}"),
            EditError::WrongVolumeKey => f.write_str("the key is not the key of this volume"),
            EditError::Refused { .. } => f.write_str("the slot would not be accepted"),
            EditError::Metadata { .. } => f.write_str("the header would not be right after the change"),
            EditError::Kdf { .. } => f.write_str("the passphrase could not be stretched"),
            EditError::Cipher { .. } => f.write_str("the key material could not be encrypted"),
            EditError::Random { .. } => f.write_str("there are no random bytes"),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EditError::Refused { source } => Some(source),
            EditError::Metadata { source } => Some(source),
            EditError::Kdf { source } => Some(source),
            EditError::Cipher { source } => Some(source),
            EditError::Random { source } => Some(source),
            _ => None,
        }
    }
}
