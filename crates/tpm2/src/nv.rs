//! What a TPM keeps in its own memory: counters that only go up, and a few bytes (part 1, section 37; part 3, section 31).
//!
//! An index here belongs to the owner hierarchy, whose authorisation value is empty: whoever is root of the machine may count up, write, and
//! remove it. What a policy is made of is the index's name, which says what kind it is and that it was written; an index that was removed and
//! defined anew has the same name, but a counter goes on above where the highest of all counters of this TPM ever was.

use crate::algorithm::{hash_of_number, id_of};
use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::session::Session;
use crate::wire::{Answer, AnswerHandles, Named, Reader, Request, name, push_sized};
use crypto::Hash;
use std::fmt;
use tpm2_protocol::data::{TpmCc, TpmaNv, TpmaSession};
use zeroize::Zeroizing;

/// `TPM_RH_OWNER`; a hierarchy's name is its handle.
const OWNER: Named<'_> = Named { handle: 0x4000_0001, name: &[0x40, 0, 0, 1] };
/// The first index, and one beyond the last.
const FIRST: u32 = 0x0100_0000;
const BEYOND: u32 = 0x0200_0000;
/// `TPM_NT_COUNTER`, where the attributes have the kind.
const COUNTER: u32 = 1 << 4;
/// Length of a counter.
const COUNTER_LEN: u16 = 8;
/// Longest text that is written or read in one command, on every TPM.
const LONGEST: u16 = 512;
/// More indices than any TPM has room for.
const MOST_INDICES: u32 = 256;

/// The number of an index, 0x01000000 to 0x01ffffff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NvIndex(u32);

/// What a TPM says of an index (`TPMS_NV_PUBLIC`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvPublic {
    index: NvIndex,
    hash: Hash,
    attributes: u32,
    bytes: Vec<u8>,
    len: u16,
}

impl NvIndex {
    /// The index of this number.
    pub fn new(number: u32) -> Option<NvIndex> {
        (FIRST..BEYOND).contains(&number).then_some(NvIndex(number))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl NvPublic {
    /// The index.
    pub fn index(&self) -> NvIndex {
        self.index
    }

    /// `nameAlg ‖ H(TPMS_NV_PUBLIC)`. The first writing or counting changes it.
    pub fn name(&self) -> Vec<u8> {
        let number = id_of(self.hash).map_or(0, |id| id.value());
        [&number.to_be_bytes()[..], self.hash.digest(&[&self.bytes]).as_ref()].concat()
    }

    /// Whether it is a counter as [`Tpm::nv_define_counter`] makes them.
    pub fn is_counter(&self) -> bool {
        self.attributes & !TpmaNv::WRITTEN.bits() == counter().bits() && self.len == COUNTER_LEN
    }

    /// Whether anything is in it.
    pub fn is_written(&self) -> bool {
        self.attributes & TpmaNv::WRITTEN.bits() != 0
    }

    /// How many bytes it holds.
    pub fn len(&self) -> u16 {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads `TPMS_NV_PUBLIC`.
    fn read(bytes: &[u8], reader: &Reader<'_>) -> Result<NvPublic, TpmError> {
        let mut fields = Reader::new(bytes, NV_READ_PUBLIC);
        let index = NvIndex::new(fields.u32()?).ok_or_else(|| reader.malformed("its index is none"))?;
        let hash =
            hash_of_number(fields.u16()?).ok_or_else(|| reader.malformed("its name is made by an unknown hash"))?;
        let attributes = fields.u32()?;
        fields.sized()?;
        let len = fields.u16()?;
        fields.end()?;
        Ok(NvPublic { index, hash, attributes, bytes: bytes.to_vec(), len })
    }
}

/// Read and written by the owner or with its own authorisation value, which is empty; failures at it do not count.
fn attributes() -> TpmaNv {
    TpmaNv::OWNERWRITE | TpmaNv::AUTHWRITE | TpmaNv::OWNERREAD | TpmaNv::AUTHREAD | TpmaNv::NO_DA
}

fn counter() -> TpmaNv {
    attributes() | TpmaNv::from_bits_truncate(COUNTER)
}

pub(crate) fn named(index: NvIndex, index_name: &[u8]) -> Named<'_> {
    Named { handle: index.0, name: index_name }
}

const NV_READ_PUBLIC: &str = "TPM2_NV_ReadPublic";

impl Tpm<'_> {
    /// The indices that the TPM has, in the order of their numbers.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn nv_indices(&self) -> Result<Vec<NvIndex>, TpmError> {
        let numbers = self.handles(FIRST, MOST_INDICES)?;
        Ok(numbers.into_iter().filter_map(NvIndex::new).collect())
    }

    /// `TPM2_NV_DefineSpace` for a counter. It holds nothing before it was counted up once.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`IndexTaken`](crate::Meaning::IndexTaken) if there is one of this number.
    pub fn nv_define_counter(&self, index: NvIndex, session: &mut Session<'_, '_>) -> Result<(), TpmError> {
        self.define(index, counter(), COUNTER_LEN, session)
    }

    /// `TPM2_NV_DefineSpace` for so many bytes, at most 512. It holds nothing before it was written.
    ///
    /// # Errors
    /// As [`Tpm::nv_define_counter`].
    pub fn nv_define(&self, index: NvIndex, len: u16, session: &mut Session<'_, '_>) -> Result<(), TpmError> {
        self.define(index, attributes(), len, session)
    }

    fn define(
        &self,
        index: NvIndex,
        attributes: TpmaNv,
        len: u16,
        session: &mut Session<'_, '_>,
    ) -> Result<(), TpmError> {
        if len > LONGEST {
            return Err(TpmError::Unsayable { what: "an index of more than 512 bytes" });
        }
        let hash = id_of(Hash::Sha256).map_or(0, |id| id.value());
        let mut public = index.0.to_be_bytes().to_vec();
        public.extend(hash.to_be_bytes());
        public.extend(attributes.bits().to_be_bytes());
        push_sized(&mut public, &[])?;
        public.extend(len.to_be_bytes());
        // The authorisation value, none.
        let mut parameters = Zeroizing::new(vec![0, 0]);
        push_sized(&mut parameters, &public)?;
        self.done(TpmCc::NvDefineSpace, &[OWNER], parameters, session)
    }

    /// `TPM2_NV_UndefineSpace`: removes the index.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn nv_undefine(&self, index: &NvPublic, session: &mut Session<'_, '_>) -> Result<(), TpmError> {
        let name = index.name();
        self.done(TpmCc::NvUndefineSpace, &[OWNER, named(index.index, &name)], Zeroizing::default(), session)
    }

    /// `TPM2_NV_Increment`: counts up by one.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn nv_increment(&self, index: &NvPublic, session: &mut Session<'_, '_>) -> Result<(), TpmError> {
        let name = index.name();
        self.done(TpmCc::NvIncrement, &[OWNER, named(index.index, &name)], Zeroizing::default(), session)
    }

    /// `TPM2_NV_Write`: the whole content.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn nv_write(&self, index: &NvPublic, content: &[u8], session: &mut Session<'_, '_>) -> Result<(), TpmError> {
        let name = index.name();
        let mut parameters = Zeroizing::new(Vec::new());
        push_sized(&mut parameters, content)?;
        parameters.extend([0, 0]);
        self.done(TpmCc::NvWrite, &[OWNER, named(index.index, &name)], parameters, session)
    }

    /// `TPM2_NV_Read`: the whole content, which is no secret.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`NotWritten`](crate::Meaning::NotWritten) if there is none yet.
    pub fn nv_read(&self, index: &NvPublic, session: &mut Session<'_, '_>) -> Result<Vec<u8>, TpmError> {
        let code = TpmCc::NvRead;
        let index_name = index.name();
        let handles = [OWNER, named(index.index, &index_name)];
        let parameters = Zeroizing::new([index.len.to_be_bytes(), [0, 0]].concat());
        let request = Request { code, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = session.run(request, TpmaSession::empty())?;
        let mut reader = Reader::new(&answer.parameters, name(code));
        let content = reader.sized()?.to_vec();
        reader.end()?;
        let whole = content.len() == usize::from(index.len);
        if whole { Ok(content) } else { Err(reader.malformed("it has another length than its index")) }
    }

    /// `TPM2_NV_Read` of a counter.
    ///
    /// # Errors
    /// As [`Tpm::nv_read`].
    pub fn nv_read_counter(&self, index: &NvPublic, session: &mut Session<'_, '_>) -> Result<u64, TpmError> {
        let content = self.nv_read(index, session)?;
        let none = TpmError::Unsayable { what: "an index that is no counter" };
        content.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| none)
    }

    /// `TPM2_NV_ReadPublic`: what the TPM says of an index. No session vouches for it; but the name is part of every command about the index
    /// in a session, so the first of those that succeeds proves it.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`NoIndex`](crate::Meaning::NoIndex) if there is none.
    pub fn nv_read_public(&self, index: NvIndex) -> Result<NvPublic, TpmError> {
        let code = TpmCc::NvReadPublic;
        let handles = [named(index, &[])];
        let parameters = Zeroizing::default();
        let request = Request { code, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = self.run(request, Authorisation::None)?;
        let mut reader = Reader::new(&answer.parameters, NV_READ_PUBLIC);
        let public = reader.sized()?;
        let found = reader.sized()?;
        reader.end()?;
        let public = NvPublic::read(public, &reader)?;
        let same = public.index == index && public.name() == found;
        if same { Ok(public) } else { Err(TpmError::WrongName { command: NV_READ_PUBLIC }) }
    }

    /// A command whose good answer says nothing, and of which the session proves that it was done.
    pub(crate) fn done(
        &self,
        code: TpmCc,
        handles: &[Named<'_>],
        parameters: Zeroizing<Vec<u8>>,
        session: &mut Session<'_, '_>,
    ) -> Result<(), TpmError> {
        let request = Request { code, handles, parameters, answers_with: AnswerHandles::None };
        let answer: Answer = session.run(request, TpmaSession::empty())?;
        Reader::new(&answer.parameters, name(code)).end()
    }
}

impl fmt::Display for NvIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}
