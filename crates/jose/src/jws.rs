//! Signed payloads (RFC 7515): general and flattened JSON, and reading of the compact form.
//!
//! Each signature has a protected header of its own, and only that header says by which algorithm it was made: ES256, ES384 or
//! ES512, each on its one curve. An unprotected header is carried along and believed in nothing. A signature by any other
//! algorithm is read, and verified by no key. `crit` is refused, because nothing that it could name is implemented.

use crate::b64::{self, B64Error};
use crate::jwk::{Jwk, signature_name};
use crate::operation::{KeyOperation, Required};
use crate::sorted::sorted;
use crate::unknown::Unknown;
use crypto::ec::{self, EcError};
use json::{Field, FieldError, JsonError, Limits, Object, Value};
use std::fmt;

/// Most signatures in a document that is read: verification is work that a stranger can ask for.
pub const MOST_SIGNATURES: usize = 64;

/// The longest JWS that is read, in bytes: 1 MiB, as long as any answer of a server may be.
pub const LONGEST: usize = Limits::POLICY.bytes;
/// The parts of a compact JWS; there is a dot between two of them.
const PARTS: usize = 3;

/// A payload and at least one signature over it. Nothing in it is verified until [`Jws::verified_by`] says so.
#[derive(Clone, Debug)]
pub struct Jws {
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// One signature, with the header that it covers.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The base64url of the protected header exactly as it was signed.
    protected: String,
    header: Object,
    unprotected: Option<Object>,
    signature: Vec<u8>,
}

/// Why a document is not a JWS, or was not made into one.
#[derive(Debug)]
pub enum JwsError {
    /// A compact JWS longer than [`LONGEST`].
    TooLong {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// Not JSON, or too much of it.
    Json {
        /// What should have been.
        place: String,
        /// What is wrong with it.
        source: JsonError,
    },
    /// A member is missing or of the wrong kind.
    Field(FieldError),
    /// A member is not base64url.
    Base64 {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: B64Error,
    },
    /// A compact JWS that does not have three parts.
    Parts {
        /// How many it has.
        found: usize,
    },
    /// No signature, or more than [`MOST_SIGNATURES`].
    SignatureCount {
        /// How many there are.
        found: usize,
    },
    /// A header demands an extension (`crit`), and there is none that is understood.
    Critical {
        /// Where it does.
        place: String,
    },
    /// A member stands in the protected and in the unprotected header of one signature.
    Ambiguous {
        /// Which one.
        name: Unknown,
    },
    /// A key was to sign that is not private, not on a curve, or for something else.
    CannotSign,
    /// The signature could not be made.
    Signing(EcError),
}

impl Jws {
    /// Reads a JWS in JSON, flattened or general.
    ///
    /// # Errors
    /// [`JwsError`]; places in it begin with `jws`.
    pub fn parse(bytes: &[u8]) -> Result<Jws, JwsError> {
        Jws::from_field(&parse_json(bytes, "jws")?.field("jws"))
    }

    /// Reads a JWS in JSON inside a document, such as an advertisement in a configuration.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn from_field(jws: &Field<'_>) -> Result<Jws, JwsError> {
        let payload = bytes(&jws.member("payload")?)?;
        let signatures = match jws.optional("signatures")? {
            None => vec![Signature::from_field(jws)?],
            Some(list) => {
                let items = list.items()?;
                check_count(items.len())?;
                items.map(|item| Signature::from_field(&item)).collect::<Result<_, _>>()?
            }
        };
        Ok(Jws { payload, signatures })
    }

    /// Reads a compact JWS: three parts with dots between them; white space around it is ignored.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn parse_compact(bytes: &[u8]) -> Result<Jws, JwsError> {
        let bytes = bytes.trim_ascii();
        if bytes.len() > LONGEST {
            return Err(JwsError::TooLong { bytes: bytes.len() });
        }
        let text = String::from_utf8_lossy(bytes); // what is not text is not base64url either
        let parts: Vec<&str> = text.splitn(PARTS + 1, '.').collect();
        let [protected, payload, signature] = parts[..] else {
            return Err(JwsError::Parts { found: 1 + text.matches('.').count() });
        };
        let payload = decode(payload, "jws.payload")?;
        let signature = Signature::new("jws", protected, None, decode(signature, "jws.signature")?)?;
        Ok(Jws { payload, signatures: vec![signature] })
    }

    /// Signs `payload` with each of `keys` in turn. Each protected header is `header` and the key's `alg`, as sorted compact JSON.
    ///
    /// # Errors
    /// [`JwsError::SignatureCount`] without keys; [`JwsError::CannotSign`]; [`JwsError::Critical`]; [`JwsError::Signing`].
    pub fn sign(payload: Vec<u8>, header: &Object, keys: &[&Jwk]) -> Result<Jws, JwsError> {
        if keys.is_empty() {
            return Err(JwsError::SignatureCount { found: 0 });
        }
        let text = b64::encode(&payload);
        let signatures = keys.iter().map(|key| Signature::make(&text, header, key)).collect::<Result<_, _>>()?;
        Ok(Jws { payload, signatures })
    }

    /// What was signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures; there is at least one.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Whether one of the signatures was made by `key`, and the key, if it says what it is for, may verify with that algorithm.
    pub fn verified_by(&self, key: &Jwk) -> bool {
        let text = b64::encode(&self.payload);
        self.signatures.iter().any(|signature| signature.made_by(key, &text))
    }

    /// The document as JSON: flattened with one signature, general with more.
    pub fn to_json(&self) -> Object {
        let document = Object::new().with("payload", b64::encode(&self.payload));
        match &self.signatures[..] {
            [only] => only.members().iter().fold(document, |done, (name, value)| done.with(name, value.clone())),
            several => document.with("signatures", several.iter().map(Signature::members).collect::<Vec<_>>()),
        }
    }
}

impl Signature {
    /// The protected header.
    pub fn header(&self) -> &Object {
        &self.header
    }

    fn from_field(item: &Field<'_>) -> Result<Signature, JwsError> {
        let unprotected = item.optional("header")?.map(|header| header.object()).transpose()?;
        let (protected, signature) = (item.member("protected")?, item.member("signature")?);
        Signature::new(item.place(), protected.text()?, unprotected, bytes(&signature)?)
    }

    fn new(
        place: &str,
        protected: &str,
        unprotected: Option<&Object>,
        signature: Vec<u8>,
    ) -> Result<Signature, JwsError> {
        let place = format!("{place}.protected");
        let value = parse_json(&decode(protected, &place)?, &place)?;
        let header = value.field(&place);
        header.member("alg")?.text()?;
        let header = header.object()?;
        if [Some(header), unprotected].into_iter().flatten().any(|header| header.get("crit").is_some()) {
            return Err(JwsError::Critical { place });
        }
        if let Some((name, _)) = unprotected.and_then(|other| other.iter().find(|(name, _)| header.get(name).is_some()))
        {
            return Err(JwsError::Ambiguous { name: Unknown::new(name) });
        }
        let (header, unprotected) = (header.clone(), unprotected.cloned());
        Ok(Signature { protected: protected.to_owned(), header, unprotected, signature })
    }

    fn make(payload: &str, header: &Object, key: &Jwk) -> Result<Signature, JwsError> {
        let private = key.private().ok_or(JwsError::CannotSign)?;
        let algorithm = algorithm(key, KeyOperation::Sign).ok_or(JwsError::CannotSign)?;
        let header = sorted(&header.clone().with("alg", algorithm));
        let protected = b64::encode(Value::Object(header).to_compact().as_bytes());
        let signature = ec::sign(private, message(&protected, payload).as_bytes()).map_err(JwsError::Signing)?;
        Signature::new("jws", &protected, None, signature)
    }

    /// ECDSA over `protected ‖ "." ‖ payload`, both as base64url (RFC 7515 section 5.2).
    fn made_by(&self, key: &Jwk, payload: &str) -> bool {
        let (Some(point), Some(algorithm)) = (key.point(), algorithm(key, KeyOperation::Verify)) else { return false };
        let by_this_algorithm = self.header.get("alg").and_then(Value::as_str) == Some(algorithm);
        by_this_algorithm && ec::verify(point, message(&self.protected, payload).as_bytes(), &self.signature).is_ok()
    }

    fn members(&self) -> Object {
        let members = match &self.unprotected {
            Some(header) => Object::new().with("header", header.clone()),
            None => Object::new(),
        };
        members.with("protected", self.protected.as_str()).with("signature", b64::encode(&self.signature))
    }
}

/// The one algorithm that `key` signs with, unless the key says that it is for something else.
fn algorithm(key: &Jwk, operation: KeyOperation) -> Option<&'static str> {
    let name = signature_name(key.point()?.curve());
    let for_this = key.alg().is_none_or(|alg| alg == name) && key.permits(operation, Required::Implied);
    for_this.then_some(name)
}

fn message(protected: &str, payload: &str) -> String {
    format!("{protected}.{payload}")
}

fn check_count(found: usize) -> Result<(), JwsError> {
    if (1..=MOST_SIGNATURES).contains(&found) { Ok(()) } else { Err(JwsError::SignatureCount { found }) }
}

fn parse_json(bytes: &[u8], place: &str) -> Result<Value, JwsError> {
    json::parse(bytes, &Limits::POLICY).map_err(|source| JwsError::Json { place: place.to_owned(), source })
}

fn bytes(field: &Field<'_>) -> Result<Vec<u8>, JwsError> {
    decode(field.text()?, field.place())
}

fn decode(text: &str, place: &str) -> Result<Vec<u8>, JwsError> {
    b64::decode(text).map_err(|source| JwsError::Base64 { place: place.to_owned(), source })
}

impl From<FieldError> for JwsError {
    fn from(source: FieldError) -> JwsError {
        JwsError::Field(source)
    }
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwsError::TooLong { bytes } => write!(f, "a JWS of {bytes} bytes is longer than {LONGEST}"),
            JwsError::Json { place, .. } => write!(f, "{place} is not JSON"),
            JwsError::Field(_) => f.write_str("not a JWS"),
            JwsError::Base64 { place, .. } => write!(f, "{place} is not base64url"),
            JwsError::Parts { found } => write!(f, "a compact JWS has {PARTS} parts, not {found}"),
            JwsError::SignatureCount { found } => write!(f, "{found} signatures where 1 to {MOST_SIGNATURES} may be"),
            JwsError::Critical { place } => write!(f, "{place} demands extensions (`crit`), and none is supported"),
            JwsError::Ambiguous { name } => write!(f, "{name} stands in two headers of one signature"),
            JwsError::CannotSign => f.write_str("the key cannot sign"),
            JwsError::Signing(_) => f.write_str("no signature was made"),
        }
    }
}

impl std::error::Error for JwsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JwsError::Json { source, .. } => Some(source),
            JwsError::Field(source) => Some(source),
            JwsError::Base64 { source, .. } => Some(source),
            JwsError::Signing(source) => Some(source),
            _ => None,
        }
    }
}
