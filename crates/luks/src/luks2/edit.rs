//! Changes to a header, as a value first: [`Edit`] says what would be written, and only [`Edit::apply`] writes.
//!
//! Key material is written first, then one copy of the header, then the other, each made durable before the next. Of two good
//! copies the primary one goes first, as with cryptsetup 2.6.1 (seen with strace); a copy that is damaged or older goes before
//! the good one, which is needed until then. So whatever happens in between, one copy is whole and describes what is on the
//! disk. The sequence number grows by one, and the salts stay, as cryptsetup has it.

use crate::accept::Accepted;
use crate::af;
use crate::allowed::{AcceptedSlot, check_cost};
use crate::area::{ALIGNMENT, Area};
use crate::edit_error::EditError;
use crate::header::Header;
use crate::kdf::{Kdf, KdfCost};
use crate::luks2::binary_header::{BinaryError, BinaryHeader, HeaderCopy, SALT_LEN};
use crate::luks2::copy::{CopyError, CopyState};
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::luks2::keyslot::{KdfMember, Luks2Keyslot};
use crate::material::{self, NewKeyslot, random_bytes};
use crate::slot::{Priority, Slot, TokenId};
use crate::step::Step;
use crate::undo::{Phase, Ready, Write};
use block::Bytes;
use crypto::kdf::Argon2Variant;
use crypto::{Random, RandomFailed};
use json::{Object, Value};
use std::fmt;
use zeroize::Zeroizing;

/// A header as it would be after some changes, and what must be written for that.
///
/// It is bound to the header it was made from: `apply` refuses a disk that has changed since.
pub struct Luks2Edit<'a> {
    before: &'a Accepted,
    header: &'a Luks2,
    random: &'a dyn Random,
    metadata: Metadata,
    primary: BinaryHeader,
    secondary: BinaryHeader,
    material: Vec<Write>,
    wipes: Vec<Write>,
    steps: Vec<Step>,
}

impl<'a> Luks2Edit<'a> {
    /// Begins with no change. `header` is that of `before`.
    pub(crate) fn new(
        before: &'a Accepted,
        header: &'a Luks2,
        random: &'a dyn Random,
    ) -> Result<Luks2Edit<'a>, EditError> {
        if let [CopyState::Damaged { error: CopyError::Binary { source: BinaryError::WrongMagic } }, _] =
            header.copies()
        {
            return Err(EditError::PrimaryGone);
        }
        let (primary, secondary) = both_copies(header, random)?;
        Ok(Luks2Edit {
            before,
            header,
            random,
            metadata: header.metadata().clone(),
            primary,
            secondary,
            material: Vec::new(),
            wipes: Vec::new(),
            steps: Vec::new(),
        })
    }

    /// The header it was made from.
    pub(crate) fn before(&self) -> &'a Accepted {
        self.before
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
        let bytes = material::seal(&keyslot, new, self.random)?;
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

    /// All that will be written, in its order; `None` if the metadata does not fit. Every change has been tried for its size,
    /// so only a header that was too full when it was read can fail here.
    pub(crate) fn ready(self) -> Option<Ready> {
        let Luks2Edit { header: before, metadata, primary, secondary, material, wipes, .. } = self;
        let after = SealedHeader::new(primary, secondary, metadata)?;
        let header = |offset, bytes: Vec<u8>| vec![Write { offset, bytes: bytes.into() }];
        let mut headers =
            [header(Bytes(0), after.primary_bytes), header(after.secondary.offset, after.secondary_bytes)];
        if before.weaker_copy() == HeaderCopy::Secondary {
            headers.reverse();
        }
        // A slot that only goes is wiped first, as cryptsetup does: whoever wants it gone cannot be left with it. But when
        // another one comes in its place, the old one must open until the new one does.
        let (wipes_before, wipes_after) = if material.is_empty() { (wipes, Vec::new()) } else { (Vec::new(), wipes) };
        let mut phases: Vec<Phase> = vec![wipes_before, material];
        phases.extend(headers);
        phases.push(wipes_after);
        let after = Luks2::of_both(after.primary, after.secondary, after.metadata, before.disk_len());
        Some(Ready { after: Header::Luks2(Box::new(after)), phases })
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
        let before = self.header.metadata().keyslots.values();
        let taken: Vec<Area> = before.chain(self.metadata.keyslots.values()).map(|keyslot| keyslot.area).collect();
        let room = self.metadata.keyslots_area().filter(|room| room.end() <= self.header.disk_len());
        room.and_then(|room| room.first_gap(&taken, size)).ok_or(EditError::NoRoom { size })
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
fn both_copies(read: &Luks2, random: &dyn Random) -> Result<(BinaryHeader, BinaryHeader), EditError> {
    let mut chosen = read.binary.clone();
    chosen.sequence = chosen.sequence.checked_add(1).ok_or(EditError::SequenceExhausted)?;
    let salt = match &read.other {
        Some(other) => other.salt,
        None => random_bytes(random).map_err(|source| EditError::Random { source })?,
    };
    let other = chosen.other(salt);
    Ok(if chosen.copy == HeaderCopy::Primary { (chosen, other) } else { (other, chosen) })
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

impl fmt::Debug for Luks2Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Luks2Edit").field("steps", &self.steps).finish_non_exhaustive()
    }
}
