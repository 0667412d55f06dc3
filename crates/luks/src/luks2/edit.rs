//! Changes to a header, as a value first: [`Edit`] says what would be written, and only [`Edit::apply`] writes.
//!
//! Key material is written first, then one copy of the header, then the other, each made durable before the next. Of two good
//! copies the primary one goes first, as with cryptsetup 2.6.1 (seen with strace); a copy that is damaged or older goes before
//! the good one, which is needed until then. So whatever happens in between, one copy is whole and describes what is on the
//! disk. The sequence number grows by one, and the salts stay, as cryptsetup has it.

mod document;
mod keyslots;
mod sealing;
mod settings;

use crate::accept::Accepted;
use crate::edit_error::EditError;
use crate::header::Header;
use crate::luks2::binary_header::{BinaryHeader, HeaderCopy};
use crate::luks2::copy::CopyState;
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::luks2::pair::{self, SealedHeader};
use crate::luks2::seal::Sealing;
use crate::material::random_bytes;
use crate::seal::{Own, TOKEN_KIND};
use crate::slot::{Slot, TokenId};
use crate::step::Step;
use crate::undo::{Phase, Ready, Write};
use block::Bytes;
use crypto::Random;
use document::{member, set_object};
use json::{Object, Value};
use std::fmt;

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
    sealing: Option<Sealing>,
    /// What the seal may vouch for, whatever was there before.
    own: Own,
}

impl<'a> Luks2Edit<'a> {
    /// Begins with no change. `header` is that of `before`.
    pub(crate) fn new(
        before: &'a Accepted,
        header: &'a Luks2,
        random: &'a dyn Random,
    ) -> Result<Luks2Edit<'a>, EditError> {
        if header.is_primary_gone() {
            return Err(EditError::PrimaryGone);
        }
        match header.contradiction() {
            Some(CopyState::Foreign { uuid, .. }) => return Err(EditError::Contradiction { other: Some(*uuid) }),
            Some(_) => return Err(EditError::Contradiction { other: None }),
            None => {}
        }
        let pair = pair::next_pair(header, random).map_err(|source| EditError::Random { source })?;
        let (primary, secondary) = pair.ok_or(EditError::SequenceExhausted)?;
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
            sealing: None,
            own: Own::default(),
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
        let own = Own { tokens: [token].into(), ..Own::default() };
        let (kind, slots) = self.put_token(token, members, own)?;
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
        let own = Own { tokens: [token].into(), ..Own::default() };
        let (kind, slots) = self.put_token(token, members, own)?;
        self.steps.push(Step::ReplaceToken { token, kind, slots });
        Ok(())
    }

    /// Gives one member of a token this value; the others stay, and a seal vouches for them only if it did before.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_token_member(&mut self, token: TokenId, name: &str, value: Value) -> Result<(), EditError> {
        let old = self.metadata.tokens.get(&token).ok_or(EditError::NoSuchToken { token })?;
        let members = old.members.clone().with(name, value);
        let (kind, slots) = self.put_token(token, members, Own::default())?;
        self.steps.push(Step::ReplaceToken { token, kind, slots });
        Ok(())
    }

    /// Removes a token.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_token(&mut self, token: TokenId) -> Result<(), EditError> {
        let kind = self.metadata.tokens.get(&token).ok_or(EditError::NoSuchToken { token })?.kind.clone();
        let remove = |document: &mut Value| {
            member(document, "tokens").map(|tokens| tokens.remove(&token.to_string()));
        };
        if kind == TOKEN_KIND {
            self.change_sealing(None, remove)?
        } else {
            self.change(remove)?
        }
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

    fn put_token(&mut self, token: TokenId, members: Object, own: Own) -> Result<(String, Vec<Slot>), EditError> {
        let is_seal = |members: &Object| members.get("type").and_then(Value::as_str) == Some(TOKEN_KIND);
        if is_seal(&members) || self.metadata.tokens.get(&token).is_some_and(|old| is_seal(&old.members)) {
            return Err(EditError::SealToken { token });
        }
        self.change_own(own, |document| set_object(document, "tokens", &token.to_string(), members))?;
        // It has just been read back from the document.
        let read = self.metadata.tokens.get(&token).ok_or(EditError::NoSuchToken { token })?;
        Ok((read.kind.clone(), read.keyslots.clone()))
    }

    /// Makes a change that makes, or replaces as a whole, what `more` names.
    fn change_own(&mut self, more: Own, change: impl FnOnce(&mut Value)) -> Result<(), EditError> {
        let kept = self.own.clone();
        self.own.slots.extend(more.slots);
        self.own.tokens.extend(more.tokens);
        self.own.flags |= more.flags;
        let result = self.change(change);
        if result.is_err() {
            self.own = kept;
        }
        result
    }

    /// Changes a copy of the document, and takes it if it is good metadata that fits.
    fn change(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), EditError> {
        let mut document = self.metadata.document().clone();
        change(&mut document);
        self.renew(&mut document)?;
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

impl fmt::Debug for Luks2Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Luks2Edit").field("steps", &self.steps).finish_non_exhaustive()
    }
}
