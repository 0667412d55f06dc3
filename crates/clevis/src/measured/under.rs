//! What no PCR tells: whether it is the TPM that sealed, whether it is locked, and where the counter stands.

use crate::approval::Counter;
use ::tpm2::{Meaning, NvIndex, Object, ParentTemplate, Purpose, Sealed, Tpm, TpmError};
use crypto::Hash;

/// What lies in the TPM for a part, and under which key.
#[derive(Clone, Debug)]
pub(crate) struct Under {
    /// The key.
    pub(crate) parent: Parent,
    /// Both halves.
    pub(crate) sealed: Sealed,
    /// What may not have counted further.
    pub(crate) counter: Option<Counter>,
}

/// A parent key.
#[derive(Clone, Debug)]
pub(crate) enum Parent {
    /// Made anew each time; with the name that it must have, where that was kept.
    Made(ParentTemplate, Option<Vec<u8>>),
    /// It stays in the TPM.
    Stored(u32, Vec<u8>),
}

/// What keeps a part from opening, whatever the PCRs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Another TPM sealed it, or this one was cleared since.
    OtherTpm,
    /// The TPM is locked after too many failures.
    LockedOut,
    /// The counter has counted further.
    CounterPassed(NvIndex),
    /// The counter is gone, or another stands in its place.
    NoCounter(NvIndex),
}

/// What the TPM of these ports has in the place of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This very counter.
    There,
    /// Another one, or what is no counter: somebody else's.
    Other,
    /// Nothing.
    Gone,
    /// It is in another TPM, or this one was cleared since. What stands here under its number is somebody else's.
    OtherTpm,
}

impl Under {
    /// Where its counter is, if it has one. Counters under one number have one name in every TPM, so that the parent key tells which TPM it is.
    pub(super) fn standing(&self, tpm: &Tpm<'_>) -> Result<Standing, TpmError> {
        let Some(counter) = &self.counter else { return Ok(Standing::Gone) };
        match self.key(tpm) {
            Ok(_) => {}
            Err(error) if is_of_another(&error) => return Ok(Standing::OtherTpm),
            Err(error) => return Err(error),
        }
        match tpm.nv_read_public(counter.index) {
            Ok(public) if public.name() == counter.name => Ok(Standing::There),
            Ok(_) => Ok(Standing::Other),
            Err(error) if matches!(error.meaning(), Some(Meaning::NoIndex | Meaning::NoHandle)) => Ok(Standing::Gone),
            Err(error) => Err(error),
        }
    }

    /// Loads it: only the TPM that sealed it does that, and a locked one does not where it counts. With a signature the counter is another
    /// matter: the approval names its number.
    pub(super) fn load(&self, tpm: &Tpm<'_>, pin: bool, signed: bool) -> Result<Option<Hindrance>, TpmError> {
        let parent = match self.key(tpm) {
            Ok(parent) => parent,
            Err(error) => return hindered(error),
        };
        let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
        if let Err(error) = tpm.load(&parent, &self.sealed, &mut session) {
            return hindered(error);
        }
        if pin && tpm.dictionary_attack()?.locked_out {
            return Ok(Some(Hindrance::LockedOut));
        }
        let Some(counter) = self.counter.as_ref().filter(|_| !signed) else { return Ok(None) };
        let gone = Ok(Some(Hindrance::NoCounter(counter.index)));
        let public = match tpm.nv_read_public(counter.index) {
            Ok(public) if public.name() == counter.name => public,
            Err(error) if !matches!(error.meaning(), Some(Meaning::NoIndex | Meaning::NoHandle)) => return Err(error),
            _ => return gone,
        };
        let count = tpm.nv_read_counter(&public, &mut session)?;
        Ok((count > counter.value).then_some(Hindrance::CounterPassed(counter.index)))
    }

    fn key<'t, 'a>(&self, tpm: &'t Tpm<'a>) -> Result<Object<'t, 'a>, TpmError> {
        let (parent, name) = match &self.parent {
            Parent::Made(template, name) => (tpm.create_primary(*template)?, name.as_ref()),
            Parent::Stored(handle, name) => (tpm.persistent(*handle)?, Some(name)),
        };
        name.map_or(Ok(()), |name| parent.expect_name(name)).map(|()| parent)
    }
}

/// What a refusal says of the part; any other failure says nothing.
fn hindered(error: TpmError) -> Result<Option<Hindrance>, TpmError> {
    match error.meaning() {
        _ if is_of_another(&error) => Ok(Some(Hindrance::OtherTpm)),
        Some(Meaning::LockedOut) => Ok(Some(Hindrance::LockedOut)),
        _ => Err(error),
    }
}

/// Whether only another TPM refuses so, or one that was cleared.
fn is_of_another(error: &TpmError) -> bool {
    match (error, error.meaning()) {
        (TpmError::OtherParent, _) | (_, Some(Meaning::NotOurs)) => true,
        // A storage root key that is not there is one that another TPM has, or that was removed.
        (TpmError::Refused { command: "TPM2_ReadPublic", .. }, meaning) => {
            matches!(meaning, Some(Meaning::NoHandle | Meaning::Other))
        }
        _ => false,
    }
}
