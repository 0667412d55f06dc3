//! Commands and answers as bytes (part 1, sections 18.2 and 18.3). All numbers are big endian.

use crate::error::TpmError;
use crate::response_code::ResponseCode;
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{TpmCc, TpmSt};
use tpm2_protocol::frame::TpmMarshalBody;
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter};
use zeroize::Zeroizing;

/// Tag, length, code.
const HEADER_LEN: usize = 10;
/// `TPM_CC_Unseal`, as a policy names it.
pub(crate) const UNSEAL_CODE: [u8; 4] = [0, 0, 1, 0x5e];
/// `TPM_ST_RSP_COMMAND`: what a TPM 1.2 says to any command of these.
const TAG_OF_TPM_1_2: u16 = 0x00c4;
/// Longest command, in bytes.
pub(crate) const LONGEST_COMMAND: usize = TPM_MAX_COMMAND_SIZE;

/// What is asked of a TPM, without the authorisation.
pub(crate) struct Request<'a> {
    /// The command.
    pub(crate) code: TpmCc,
    /// Each handle, and the name of what it stands for.
    pub(crate) handles: &'a [Named<'a>],
    /// The rest. It may hold a secret until a session has encrypted it.
    pub(crate) parameters: Zeroizing<Vec<u8>>,
    /// How many handles a good answer has.
    pub(crate) answers_with: AnswerHandles,
}

/// A handle and the name that stands for it in an HMAC.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) handle: u32,
    pub(crate) name: &'a [u8],
}

/// Whether an answer begins with the handle of what was made.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum AnswerHandles {
    None,
    One,
}

/// A good answer, taken apart.
pub(crate) struct Answer {
    /// The handle, where there is one.
    pub(crate) handle: Option<u32>,
    /// The rest; a session decrypts it in place.
    pub(crate) parameters: Zeroizing<Vec<u8>>,
    /// The authorisation of the answer, if the command had one.
    pub(crate) authorisation: Vec<u8>,
}

impl Request<'_> {
    /// The whole command; `authorisation` is empty, or what a session says of it.
    pub(crate) fn to_bytes(&self, authorisation: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let handles = self.handles.len().saturating_mul(4);
        let sessions = if authorisation.is_empty() { 0 } else { authorisation.len().saturating_add(4) };
        let len = HEADER_LEN.saturating_add(handles).saturating_add(sessions).saturating_add(self.parameters.len());
        let size = u32::try_from(len).ok().filter(|_| len <= LONGEST_COMMAND).ok_or(TOO_LONG)?;
        let tag = if authorisation.is_empty() { TpmSt::NoSessions } else { TpmSt::Sessions };
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        bytes.extend(tag.value().to_be_bytes());
        bytes.extend(size.to_be_bytes());
        bytes.extend(self.code.value().to_be_bytes());
        self.handles.iter().for_each(|named| bytes.extend(named.handle.to_be_bytes()));
        if !authorisation.is_empty() {
            bytes.extend(u32::try_from(authorisation.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(authorisation);
        }
        bytes.extend(self.parameters.iter());
        Ok(bytes)
    }
}

const TOO_LONG: TpmError = TpmError::Unsayable { what: "a command of more than 4096 bytes" };

impl Answer {
    /// Takes an answer apart. `authorised` says whether the command carried an authorisation; then a good answer does too.
    pub(crate) fn read(bytes: &[u8], request: &Request<'_>, authorised: bool) -> Result<Answer, TpmError> {
        let command = name(request.code);
        let malformed = |what| TpmError::Malformed { command, what };
        let mut reader = Reader::new(bytes, command);
        let tag = reader.u16()?;
        let size = reader.u32()?;
        if u32::try_from(bytes.len()) != Ok(size) {
            return Err(malformed("its length is not the one that it says"));
        }
        let code = reader.u32()?;
        if code != 0 {
            // An error has no sessions and no body, and says so.
            reader.end()?;
            return match tag {
                TAG_OF_TPM_1_2 => Err(malformed("it is one of a TPM 1.2")),
                tag if tag == TpmSt::NoSessions.value() => {
                    Err(TpmError::Refused { command, code: ResponseCode::new(code) })
                }
                _ => Err(malformed("an error with sessions")),
            };
        }
        let expected = if authorised { TpmSt::Sessions } else { TpmSt::NoSessions };
        if tag != expected.value() {
            return Err(malformed("it has sessions where the command had none, or the other way round"));
        }
        let handle = if request.answers_with == AnswerHandles::One { Some(reader.u32()?) } else { None };
        if !authorised {
            let parameters = Zeroizing::new(reader.rest().to_vec());
            return Ok(Answer { handle, parameters, authorisation: Vec::new() });
        }
        let len = reader.u32()?;
        let parameters = reader.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(Answer { handle, parameters: Zeroizing::new(parameters.to_vec()), authorisation: reader.rest().to_vec() })
    }
}

/// The name of a command, as the specification has it.
pub(crate) fn name(code: TpmCc) -> &'static str {
    match code {
        TpmCc::CreatePrimary => "TPM2_CreatePrimary",
        TpmCc::Create => "TPM2_Create",
        TpmCc::Load => "TPM2_Load",
        TpmCc::Unseal => "TPM2_Unseal",
        TpmCc::StartAuthSession => "TPM2_StartAuthSession",
        TpmCc::PolicyPcr => "TPM2_PolicyPCR",
        TpmCc::PolicyOr => "TPM2_PolicyOR",
        TpmCc::PolicyAuthorize => "TPM2_PolicyAuthorize",
        TpmCc::PolicyAuthValue => "TPM2_PolicyAuthValue",
        TpmCc::PolicyNv => "TPM2_PolicyNV",
        TpmCc::PolicyCommandCode => "TPM2_PolicyCommandCode",
        TpmCc::PolicyGetDigest => "TPM2_PolicyGetDigest",
        TpmCc::LoadExternal => "TPM2_LoadExternal",
        TpmCc::VerifySignature => "TPM2_VerifySignature",
        TpmCc::NvDefineSpace => "TPM2_NV_DefineSpace",
        TpmCc::NvUndefineSpace => "TPM2_NV_UndefineSpace",
        TpmCc::NvIncrement => "TPM2_NV_Increment",
        TpmCc::NvWrite => "TPM2_NV_Write",
        TpmCc::NvRead => "TPM2_NV_Read",
        TpmCc::NvReadPublic => "TPM2_NV_ReadPublic",
        TpmCc::EcdhZGen => "TPM2_ECDH_ZGen",
        TpmCc::PcrRead => "TPM2_PCR_Read",
        TpmCc::PcrExtend => "TPM2_PCR_Extend",
        TpmCc::ReadPublic => "TPM2_ReadPublic",
        TpmCc::GetCapability => "TPM2_GetCapability",
        TpmCc::FlushContext => "TPM2_FlushContext",
        _ => "a TPM command",
    }
}

/// Reads an answer from its beginning to its end.
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    command: &'static str,
}

impl<'a> Reader<'a> {
    /// `command` is named in errors.
    pub(crate) fn new(bytes: &'a [u8], command: &'static str) -> Reader<'a> {
        Reader { left: bytes, command }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, TpmError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, TpmError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, TpmError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `TPM2B`: its length in two bytes, then its content.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let len = self.u16()?;
        self.take(len.into())
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], TpmError> {
        let (head, tail) = self.left.split_at_checked(len).ok_or_else(|| self.malformed("it ends too early"))?;
        self.left = tail;
        Ok(head)
    }

    /// A structure of the crate that knows them.
    pub(crate) fn structure<T: TpmUnmarshal>(&mut self) -> Result<T, TpmError> {
        let (value, rest) = T::unmarshal(self.left).map_err(|_| self.malformed("a structure in it is none"))?;
        self.left = rest;
        Ok(value)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    pub(crate) fn end(&self) -> Result<(), TpmError> {
        if self.left.is_empty() { Ok(()) } else { Err(self.malformed("something follows its end")) }
    }

    pub(crate) fn malformed(&self, what: &'static str) -> TpmError {
        TpmError::Malformed { command: self.command, what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TpmError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.malformed("it ends too early"))
    }
}

/// Appends a `TPM2B`.
pub(crate) fn push_sized(bytes: &mut Vec<u8>, content: &[u8]) -> Result<(), TpmError> {
    let len = u16::try_from(content.len()).map_err(|_| TOO_LONG)?;
    bytes.extend(len.to_be_bytes());
    bytes.extend(content);
    Ok(())
}

/// A structure as bytes. Never one that holds a secret: the buffer is on the stack and is not wiped.
pub(crate) fn bytes_of(structure: &impl TpmMarshal) -> Result<Vec<u8>, TpmError> {
    written(|writer| structure.marshal(writer))
}

/// The parameters of a command as bytes. Never of one that holds a secret.
pub(crate) fn parameters_of(command: &impl TpmMarshalBody) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    written(|writer| command.marshal_parameters(writer)).map(Zeroizing::new)
}

fn written(write: impl FnOnce(&mut TpmWriter<'_>) -> tpm2_protocol::TpmResult<()>) -> Result<Vec<u8>, TpmError> {
    let mut buffer = [0; LONGEST_COMMAND];
    let mut writer = TpmWriter::new(&mut buffer);
    write(&mut writer).map_err(|_| TOO_LONG)?;
    Ok(writer.as_bytes().to_vec())
}
