//! Objects in the TPM, and the parent key, which is the first of them.

use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::handle::Handle;
use crate::public::Public;
use crate::template::ParentTemplate;
use crate::wire::{Answer, AnswerHandles, Named, Reader, Request, bytes_of, push_sized};
use std::fmt;
use tpm2_protocol::data::{TpmCc, TpmlPcrSelection, TpmtPublic};
use zeroize::Zeroizing;

/// `TPM_RH_OWNER`; a hierarchy's name is its handle.
const OWNER: u32 = 0x4000_0001;

/// A transient object in the TPM; flushed when dropped.
pub struct Object<'t, 'a> {
    public: Public,
    name: Vec<u8>,
    value: u32,
    _handle: Handle<'t, 'a>,
}

impl<'a> Tpm<'a> {
    /// `TPM2_CreatePrimary` in the owner hierarchy. Nothing in it is secret, and there is no key yet to salt a session with, so it is
    /// authorised by the hierarchy's password, which must be empty.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::WrongName`] if the key is not the one that the answer names, or not made by the template.
    pub fn create_primary<'t>(&'t self, template: ParentTemplate) -> Result<Object<'t, 'a>, TpmError> {
        let area = template.area()?;
        // TPM2B_SENSITIVE_CREATE: no authorisation value, no data.
        let mut parameters = Zeroizing::new(vec![0, 4, 0, 0, 0, 0]);
        push_public(&mut parameters, &area)?;
        push_no_creation_data(&mut parameters)?;
        let request = Request {
            code: TpmCc::CreatePrimary,
            handles: &[Named { handle: OWNER, name: &OWNER.to_be_bytes() }],
            parameters,
            answers_with: AnswerHandles::One,
        };
        let answer = self.run(request, Authorisation::EmptyPassword)?;
        let (value, handle) = self.made(&answer);
        let mut reader = Reader::new(&answer.parameters, CREATE_PRIMARY);
        let public = read_public_area(&mut reader)?;
        skip_creation_data(&mut reader)?;
        let name = reader.sized()?.to_vec();
        reader.end()?;
        if name != public.name() || !public.is_made_by(&area) {
            return Err(TpmError::WrongName { command: CREATE_PRIMARY });
        }
        Ok(Object::new(public, name, value, handle))
    }

    /// A key that somebody has made persistent, as systemd its storage root key, by its handle, 0x81000000 to 0x81ffffff: `TPM2_ReadPublic`. It
    /// stays where it is. Who it is its name tells alone: see [`Object::expect_name`].
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`NoHandle`](crate::Meaning::NoHandle) if there is none.
    pub fn persistent<'t>(&'t self, handle: u32) -> Result<Object<'t, 'a>, TpmError> {
        if handle >> 24 != 0x81 {
            return Err(TpmError::Unsayable { what: "the handle of a persistent key that is none" });
        }
        let (public, name) = self.read_public_of(Named { handle, name: &[] })?;
        if public.name() != name {
            return Err(TpmError::WrongName { command: READ_PUBLIC });
        }
        Ok(Object::new(public, name, handle, Handle::of_what_stays(self)))
    }

    /// `TPM2_ReadPublic`: what the TPM says of an object, which must be what was believed when it was made or loaded.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::WrongName`] if it is another object.
    pub fn read_public(&self, object: &Object<'_, '_>) -> Result<Public, TpmError> {
        let (public, name) = self.read_public_of(object.named())?;
        let same = name == object.name && public.name() == object.name;
        if same { Ok(public) } else { Err(TpmError::WrongName { command: READ_PUBLIC }) }
    }

    fn read_public_of(&self, object: Named<'_>) -> Result<(Public, Vec<u8>), TpmError> {
        let code = TpmCc::ReadPublic;
        let parameters = Zeroizing::new(Vec::new());
        let request = Request { code, handles: &[object], parameters, answers_with: AnswerHandles::None };
        let answer = self.run(request, Authorisation::None)?;
        let mut reader = Reader::new(&answer.parameters, READ_PUBLIC);
        let public = read_public_area(&mut reader)?;
        let name = reader.sized()?.to_vec();
        reader.sized()?;
        reader.end().map(|()| (public, name))
    }

    /// The handle that an answer begins with, guarded before anything else of the answer is looked at.
    pub(crate) fn made<'t>(&'t self, answer: &Answer) -> (u32, Handle<'t, 'a>) {
        let value = answer.handle.unwrap_or_default();
        (value, Handle::new(self, value))
    }
}

const CREATE_PRIMARY: &str = "TPM2_CreatePrimary";
const READ_PUBLIC: &str = "TPM2_ReadPublic";

impl<'t, 'a> Object<'t, 'a> {
    pub(crate) fn new(public: Public, name: Vec<u8>, value: u32, handle: Handle<'t, 'a>) -> Object<'t, 'a> {
        Object { public, name, value, _handle: handle }
    }

    /// What it is.
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// Its name: that of another object is different.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it is the one of this name. To be asked before anything secret is encrypted for it: a session that is salted with a key of
    /// somebody on the line hides nothing from him.
    ///
    /// # Errors
    /// [`TpmError::OtherParent`].
    pub fn expect_name(&self, name: &[u8]) -> Result<(), TpmError> {
        if self.name == name { Ok(()) } else { Err(TpmError::OtherParent) }
    }

    pub(crate) fn handle(&self) -> u32 {
        self.value
    }

    pub(crate) fn named(&self) -> Named<'_> {
        Named { handle: self.value, name: &self.name }
    }
}

impl fmt::Debug for Object<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object(0x{:08x}, {:?})", self.value, self.public)
    }
}

pub(crate) fn push_public(parameters: &mut Vec<u8>, area: &TpmtPublic) -> Result<(), TpmError> {
    push_sized(parameters, &bytes_of(area)?)
}

/// No data of the caller's, and no PCRs, in the record of the creation.
pub(crate) fn push_no_creation_data(parameters: &mut Vec<u8>) -> Result<(), TpmError> {
    push_sized(parameters, &[])?;
    parameters.extend(bytes_of(&TpmlPcrSelection::default())?);
    Ok(())
}

pub(crate) fn read_public_area(reader: &mut Reader<'_>) -> Result<Public, TpmError> {
    let bytes = reader.sized()?;
    Public::parse(bytes).map_err(|_| reader.malformed("its public area is none"))
}

/// The record of the creation, its digest and its ticket: nobody here asks for a proof of where an object came from.
pub(crate) fn skip_creation_data(reader: &mut Reader<'_>) -> Result<(), TpmError> {
    reader.sized()?;
    reader.sized()?;
    reader.u16()?;
    reader.u32()?;
    reader.sized().map(|_| ())
}
