//! A change that holds the volume key renews the seal; one that does not leaves it to tell of the change.

use super::Luks2Edit;
use super::document::{member, set_object};
use crate::edit_error::EditError;
use crate::luks2::json::Metadata;
use crate::luks2::seal::{self, Sealing};
use crate::seal::{SealKey, SealState, SealValues};
use crate::slot::TokenId;
use crate::step::Step;
use crypto::VolumeKey;
use json::{Object, Value};

impl Luks2Edit<'_> {
    /// Holds the volume key for the rest of this edit: if the header is sealed, every change renews the seal, and the epoch grows
    /// by one if the edit takes away or replaces something sealed.
    ///
    /// # Errors
    /// [`EditError::WrongVolumeKey`]; [`EditError::SealBroken`] if the seal is no good now; [`EditError::EpochExhausted`].
    pub fn hold_key(&mut self, key: &VolumeKey) -> Result<(), EditError> {
        if !self.before.digest().fits(key) {
            return Err(EditError::WrongVolumeKey);
        }
        if self.sealing.is_some() {
            return Ok(());
        }
        // Changes that were made without the key are among those that it now stands for.
        let (binary, metadata) = (&self.header.binary, self.header.metadata());
        let broken = |source| EditError::SealBroken { source };
        let Some((token, members)) = seal::token(metadata).map_err(broken)? else { return Ok(()) };
        if !self.metadata.tokens.contains_key(&token) {
            return Ok(());
        }
        let key = SealKey::of(key, binary.uuid);
        if let SealState::Broken(source) = seal::state(binary, metadata, &key) {
            return Err(EditError::SealBroken { source });
        }
        let sealed = SealValues::read(members, &key).map_err(broken)?;
        let sealing = Sealing { key, token, sealed, before: seal::parts(binary, metadata), is_new: false };
        self.change_sealing(Some(sealing), |_| {})?;
        self.steps.push(Step::RenewSeal { token });
        Ok(())
    }

    /// Seals the header as it is after this edit, whatever a seal said before: the epoch grows by one, and is returned.
    ///
    /// # Errors
    /// [`EditError::WrongVolumeKey`], [`EditError::EpochExhausted`], [`EditError::NoFreeToken`], [`EditError::MetadataFull`];
    /// nothing has been changed then.
    pub fn seal(&mut self, key: &VolumeKey) -> Result<u64, EditError> {
        self.seal_after(key, 0)
    }

    /// As [`Luks2Edit::seal`]; the epoch is also greater than `after`, which bindings may have heard of from a seal that is gone.
    ///
    /// # Errors
    /// As [`Luks2Edit::seal`].
    pub fn seal_after(&mut self, key: &VolumeKey, after: u64) -> Result<u64, EditError> {
        if !self.before.digest().fits(key) {
            return Err(EditError::WrongVolumeKey);
        }
        let last = seal::claimed_epoch(&self.metadata).max(after);
        let epoch = last.checked_add(1).ok_or(EditError::EpochExhausted)?;
        let old = seal::seals(&self.metadata);
        let free = || TokenId::all().find(|token| !self.metadata.tokens.contains_key(token));
        let token = old.first().copied().or_else(free).ok_or(EditError::NoFreeToken)?;
        let key = SealKey::of(key, self.header.uuid());
        let before = seal::parts(&self.primary, &self.metadata);
        let sealed = SealValues::of(&before, &key, epoch);
        self.change_sealing(Some(Sealing { key, token, sealed, before, is_new: true }), |document| {
            for token in old.iter().skip(1) {
                member(document, "tokens").map(|tokens| tokens.remove(&token.to_string()));
            }
        })?;
        self.steps.push(Step::Seal { token, epoch });
        Ok(epoch)
    }

    /// The codes of the header as it would be, for a place outside of it.
    pub(crate) fn seal_values(&self, key: &VolumeKey, epoch: u64) -> Result<Object, EditError> {
        if !self.before.digest().fits(key) {
            return Err(EditError::WrongVolumeKey);
        }
        let key = SealKey::of(key, self.header.uuid());
        let values = SealValues::of(&seal::parts(&self.primary, &self.metadata), &key, epoch);
        Ok(values.to_object(Object::new(), &key))
    }

    /// Whether the header is sealed and this edit changes, without the volume key, what is sealed: the seal will tell of it until
    /// the header is sealed again, and until then the header from before passes for the latest.
    pub fn needs_seal(&self) -> bool {
        let before = self.header.metadata();
        let is_sealed = !seal::seals(before).is_empty() && !seal::seals(&self.metadata).is_empty();
        let parts = |metadata| seal::parts(&self.primary, metadata);
        is_sealed && self.sealing.is_none() && parts(before) != parts(&self.metadata)
    }

    /// Makes a change with another seal, or none; without the change, the seal stays as it was.
    pub(super) fn change_sealing(
        &mut self,
        sealing: Option<Sealing>,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), EditError> {
        let kept = std::mem::replace(&mut self.sealing, sealing);
        let result = self.change(change);
        if result.is_err() {
            self.sealing = kept;
        }
        result
    }

    /// Puts the renewed seal into a document that has just been changed.
    pub(super) fn renew(&self, document: &mut Value) -> Result<(), EditError> {
        let Some(sealing) = &self.sealing else { return Ok(()) };
        let metadata = Metadata::from_document(document.clone(), self.primary.size);
        let metadata = metadata.map_err(|source| EditError::Metadata { source })?;
        let token = sealing.renewed(&seal::parts(&self.primary, &metadata), &self.own);
        let token = token.ok_or(EditError::EpochExhausted)?;
        set_object(document, "tokens", &sealing.token.to_string(), token);
        Ok(())
    }
}
