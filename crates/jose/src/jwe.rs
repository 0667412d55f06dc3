//! Encrypted secrets (RFC 7516): compact and flattened JSON, `dir` and `ECDH-ES`, `A256GCM`.
//!
//! The additional data of the encryption is the text of the protected header exactly as it was read, so the order of its
//! members is free; written headers are sorted compact JSON. `alg`, `enc` and everything else come from the protected header;
//! the unprotected ones may add `epk`, `apu` and `apv`, because the original's flattened `ECDH-ES` has its `epk` there and
//! a wrong one only leads to a key that opens nothing. What is not implemented is refused by name: other algorithms, `zip`,
//! `crit`, several recipients, additional data of the caller.
//!
//! Plaintext exists only after the tag has been verified; the original writes it out before.

use crate::b64::{self, B64Error};
use crate::concat_kdf::concat_kdf;
use crate::jwk::{Jwk, JwkError};
use crate::operation::{KeyOperation, Required};
use crate::sorted::sorted;
use crate::unknown::Unknown;
use crypto::aead::{A256Gcm, AeadError, IV_LEN, TAG_LEN};
use crypto::ec::{EcError, Point, Scalar};
use crypto::{Random, RandomFailed, Secret};
use json::{Field, FieldError, JsonError, Limits, Object, Value};
use std::fmt;

/// The longest JWE that is read or written, in bytes of its compact form: 1 MiB.
pub const LONGEST: usize = Limits::POLICY.bytes;
/// The one content encryption.
const ENCRYPTION: &str = "A256GCM";
/// The bits of its key.
const KEY_BITS: u32 = 256;
/// The parts of a compact JWE; there is a dot between two of them.
const PARTS: usize = 5;

/// An encrypted secret.
#[derive(Clone)]
pub struct Jwe {
    /// The base64url of the protected header, exactly as it is authenticated.
    protected: String,
    header: Object,
    /// What stands in unprotected headers, each under the name of that header; empty in a compact JWE.
    unprotected: Object,
    agreement: Agreement,
    iv: [u8; IV_LEN],
    ciphertext: Vec<u8>,
    tag: [u8; TAG_LEN],
}

/// Where the content encryption key comes from (`alg`).
#[derive(Clone)]
enum Agreement {
    /// `dir`: it is known.
    Direct,
    /// `ECDH-ES`: it is derived from a point that the ephemeral key and the recipient's share.
    Ephemeral { epk: Point, apu: Vec<u8>, apv: Vec<u8> },
}

/// Why a document is not a JWE, was not made into one, or was not decrypted.
#[derive(Debug)]
pub enum JweError {
    /// Longer than [`LONGEST`].
    TooLong {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// A compact JWE that does not have five parts.
    Parts {
        /// How many it has.
        found: usize,
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
    /// A part or a member is not base64url.
    Base64 {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: B64Error,
    },
    /// `iv`, `tag` or `encrypted_key` does not have its one length.
    WrongLength {
        /// Where it is.
        place: String,
        /// Bytes there must be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// An algorithm that is not supported.
    Unsupported {
        /// Where it is: `alg` or `enc`.
        place: String,
        /// Its name.
        name: Unknown,
    },
    /// A member that asks for something that is not supported: `crit`, `zip`, `recipients`, `aad`.
    UnsupportedMember {
        /// Where it is.
        place: String,
    },
    /// A member stands in two headers.
    Ambiguous {
        /// Which one.
        name: Unknown,
    },
    /// `epk` is not a public key.
    Ephemeral(Box<JwkError>),
    /// The JWE has an unprotected header, for which the compact form has no place.
    NotCompact,
    /// The key is not one for this JWE: of another type, on another curve, for another algorithm, without its private half.
    WrongKey,
    /// No point could be agreed on.
    Agreement(EcError),
    /// The content was not encrypted or decrypted; most likely a wrong key or changed bytes.
    Content(AeadError),
    /// No initialisation vector could be drawn.
    Random(RandomFailed),
}

impl Jwe {
    /// Reads a compact JWE: five parts with dots between them. White space before and after it is ignored, as people use `echo`.
    ///
    /// # Errors
    /// [`JweError`]; places in it begin with `jwe`.
    pub fn parse_compact(bytes: &[u8]) -> Result<Jwe, JweError> {
        let bytes = bytes.trim_ascii();
        if bytes.len() > LONGEST {
            return Err(JweError::TooLong { bytes: bytes.len() });
        }
        let text = String::from_utf8_lossy(bytes); // what is not text is not base64url either
        let parts: Vec<&str> = text.splitn(PARTS + 1, '.').collect();
        let parts = parts[..].try_into().map_err(|_| JweError::Parts { found: 1 + text.matches('.').count() })?;
        Jwe::new("jwe", parts, Object::new())
    }

    /// Reads a flattened JWE.
    ///
    /// # Errors
    /// [`JweError`]; places in it begin with `jwe`.
    pub fn parse_flattened(bytes: &[u8]) -> Result<Jwe, JweError> {
        let value = parse_json("jwe", bytes)?;
        Jwe::from_flattened(&value.field("jwe"))
    }

    /// Reads a flattened JWE inside a document, such as a LUKS2 token.
    ///
    /// # Errors
    /// [`JweError`].
    pub fn from_flattened(jwe: &Field<'_>) -> Result<Jwe, JweError> {
        for name in ["recipients", "aad"] {
            if let Some(member) = jwe.optional(name)? {
                return Err(JweError::UnsupportedMember { place: member.place().to_owned() });
            }
        }
        let mut unprotected = Object::new();
        for name in ["header", "unprotected"] {
            if let Some(header) = jwe.optional(name)? {
                unprotected.insert(name, header.object()?.clone());
            }
        }
        let [protected, iv, ciphertext, tag] = ["protected", "iv", "ciphertext", "tag"].map(|name| jwe.member(name));
        let (protected, iv, ciphertext, tag) = (protected?, iv?, ciphertext?, tag?);
        let encrypted_key = jwe.optional("encrypted_key")?;
        let encrypted_key = encrypted_key.map_or(Ok(""), |key| key.text())?;
        Jwe::new(
            jwe.place(),
            [protected.text()?, encrypted_key, iv.text()?, ciphertext.text()?, tag.text()?],
            unprotected,
        )
    }

    /// Encrypts `plaintext` under the 32 bytes of `key` (`dir`). The protected header is `header` with `alg` and `enc`.
    ///
    /// # Errors
    /// [`JweError::Content`] if the key has another length; [`JweError::Random`]; [`JweError::TooLong`]; and what reading the
    /// JWE would say about `header`.
    pub fn encrypt_dir(
        header: &Object,
        key: &Secret,
        plaintext: &Secret,
        random: &dyn Random,
    ) -> Result<Jwe, JweError> {
        Jwe::draft(header.clone().with("alg", "dir"), Object::new(), random)?.sealed(key, plaintext)
    }

    /// Encrypts `plaintext` to a public key (`ECDH-ES`): with a random c, `epk` is c·G and the content encryption key is derived
    /// from c·`recipient`. The protected header is `header` with `alg`, `enc` and `epk`; `apu` and `apv` in it are honoured.
    ///
    /// To a Tang exchange key this is provisioning: `epk` is what recovery starts from.
    ///
    /// # Errors
    /// [`JweError::Agreement`]; [`JweError::Random`]; [`JweError::TooLong`]; and what reading the JWE would say about `header`.
    pub fn encrypt_to_point(
        header: &Object,
        recipient: &Point,
        plaintext: &Secret,
        random: &dyn Random,
    ) -> Result<Jwe, JweError> {
        let ephemeral = Scalar::random(recipient.curve(), random).map_err(JweError::Agreement)?;
        let epk = Point::base_times(&ephemeral).map_err(JweError::Agreement)?;
        let shared = recipient.multiply(&ephemeral).map_err(JweError::Agreement)?;
        let header = header.clone().with("alg", "ECDH-ES").with("epk", Jwk::from_point(&epk).public_json());
        let draft = Jwe::draft(header, Object::new(), random)?;
        let key = draft.content_key(&shared)?;
        draft.sealed(&key, plaintext)
    }

    /// The same content under the same content encryption key, with one member of the protected header set anew: a JWE for the same
    /// recipients that says something else beside. The initialisation vector is fresh. `key` is the content encryption key, so who has
    /// not opened the JWE cannot do this. `name` must not be a member that the key agreement reads: the old key would no longer be
    /// the one that it leads to.
    ///
    /// # Errors
    /// As [`Jwe::decrypt`] if it is another key; [`JweError::Random`]; [`JweError::TooLong`]; and what reading the new header says.
    pub fn with_member(&self, name: &str, value: Value, key: &Secret, random: &dyn Random) -> Result<Jwe, JweError> {
        let plaintext = self.decrypt(key)?;
        Jwe::draft(self.header.clone().with(name, value), self.unprotected.clone(), random)?.sealed(key, &plaintext)
    }

    /// The protected header. What stands in an unprotected one is not shown: anybody may have put it there.
    pub fn header(&self) -> &Object {
        &self.header
    }

    /// The ephemeral public key of `ECDH-ES` (`epk`); none with `dir`.
    pub fn ephemeral(&self) -> Option<&Point> {
        if let Agreement::Ephemeral { epk, .. } = &self.agreement { Some(epk) } else { None }
    }

    /// The content encryption key that follows from the point that `epk` and the recipient share: the Concat KDF over its x
    /// coordinate, `A256GCM`, `apu` and `apv` (RFC 7518 section 4.6.2).
    ///
    /// # Errors
    /// [`JweError::WrongKey`] if the JWE uses `dir`, or another curve.
    pub fn content_key(&self, shared: &Point) -> Result<Secret, JweError> {
        match &self.agreement {
            Agreement::Ephemeral { epk, apu, apv } if epk.curve() == shared.curve() => {
                Ok(concat_kdf(shared.x(), ENCRYPTION, apu, apv, KEY_BITS))
            }
            _ => Err(JweError::WrongKey),
        }
    }

    /// Decrypts with the content encryption key itself.
    ///
    /// # Errors
    /// [`JweError::Content`] if the tag does not fit, or the key does not have 32 bytes.
    pub fn decrypt(&self, key: &Secret) -> Result<Secret, JweError> {
        let cipher = A256Gcm::new(key).map_err(JweError::Content)?;
        cipher.open(&self.iv, self.protected.as_bytes(), &self.ciphertext, &self.tag).map_err(JweError::Content)
    }

    /// Decrypts with the point that `epk` and the recipient share, however it was found.
    ///
    /// # Errors
    /// As [`Jwe::content_key`] and [`Jwe::decrypt`].
    pub fn decrypt_with_shared(&self, shared: &Point) -> Result<Secret, JweError> {
        self.decrypt(&self.content_key(shared)?)
    }

    /// Decrypts with the recipient's key: an `oct` key for `dir`, a private EC key for `ECDH-ES`.
    ///
    /// # Errors
    /// [`JweError::WrongKey`], also if the key says that it is for another algorithm or operation; [`JweError::Agreement`];
    /// [`JweError::Content`].
    pub fn decrypt_with(&self, key: &Jwk) -> Result<Secret, JweError> {
        match &self.agreement {
            Agreement::Direct => {
                let key = key.oct_key().filter(|_| is_for(key, "dir", KeyOperation::Decrypt));
                self.decrypt(key.ok_or(JweError::WrongKey)?)
            }
            Agreement::Ephemeral { epk, .. } => {
                let private = key.private().filter(|_| is_for(key, "ECDH-ES", KeyOperation::UnwrapKey));
                let shared = epk.multiply(private.ok_or(JweError::WrongKey)?).map_err(JweError::Agreement)?;
                self.decrypt_with_shared(&shared)
            }
        }
    }

    /// The compact form.
    ///
    /// # Errors
    /// [`JweError::NotCompact`] if it was read with an unprotected header, which Clevis never writes.
    pub fn to_compact(&self) -> Result<String, JweError> {
        if !self.unprotected.is_empty() {
            return Err(JweError::NotCompact);
        }
        let [iv, ciphertext, tag] = self.texts();
        Ok(format!("{}..{iv}.{ciphertext}.{tag}", self.protected))
    }

    /// The flattened form with sorted members, `encrypted_key` among them though empty: readers of LUKS2 tokens look for it.
    pub fn to_flattened(&self) -> Object {
        let [iv, ciphertext, tag] = self.texts();
        let document = self.unprotected.clone().with("protected", self.protected.as_str()).with("encrypted_key", "");
        sorted(&document.with("iv", iv).with("ciphertext", ciphertext).with("tag", tag))
    }

    /// A JWE with everything but its content, its header checked as if it had been read.
    fn draft(header: Object, unprotected: Object, random: &dyn Random) -> Result<Jwe, JweError> {
        let header = Value::Object(sorted(&header.with("enc", ENCRYPTION)));
        let mut iv = [0; IV_LEN];
        random.fill(&mut iv).map_err(JweError::Random)?;
        let protected = b64::encode(header.to_compact().as_bytes());
        let (iv, tag) = (b64::encode(&iv), b64::encode(&[0; TAG_LEN]));
        Jwe::new("jwe", [&protected, "", &iv, "", &tag], unprotected)
    }

    fn sealed(self, key: &Secret, plaintext: &Secret) -> Result<Jwe, JweError> {
        let cipher = A256Gcm::new(key).map_err(JweError::Content)?;
        let sealed = cipher.seal(&self.iv, self.protected.as_bytes(), plaintext.expose());
        let (ciphertext, tag) = sealed.map_err(JweError::Content)?;
        Jwe { ciphertext, tag, ..self }.within_limit()
    }

    /// `parts` in the order of the compact form. The header comes first, so that an algorithm is refused by its name and not
    /// by the length of what it needs.
    fn new(parent: &str, parts: [&str; PARTS], unprotected: Object) -> Result<Jwe, JweError> {
        let [protected, encrypted_key, iv, ciphertext, tag] = parts;
        let inner = |name| format!("{parent}.{name}");
        let place = inner("protected");
        let value = parse_json(&place, &decode(&place, protected)?)?;
        let protected_header = value.field(&place);
        let header = protected_header.object()?.clone();
        let others = Value::Object(unprotected.clone());
        let joint = Value::Object(joint_header(&protected_header, &others.field(parent))?);
        let agreement = Agreement::read(&protected_header, &joint.field(&place))?;
        array::<0>(&inner("encrypted_key"), encrypted_key)?;
        let (iv, tag) = (array(&inner("iv"), iv)?, array(&inner("tag"), tag)?);
        let ciphertext = decode(&inner("ciphertext"), ciphertext)?;
        Jwe { protected: protected.to_owned(), header, unprotected, agreement, iv, ciphertext, tag }.within_limit()
    }

    fn within_limit(self) -> Result<Jwe, JweError> {
        let characters = |bytes: usize| (bytes * 4).div_ceil(3);
        let contents = [IV_LEN, self.ciphertext.len(), TAG_LEN].map(characters);
        let bytes = self.protected.len() + contents.iter().sum::<usize>() + PARTS - 1;
        if bytes > LONGEST { Err(JweError::TooLong { bytes }) } else { Ok(self) }
    }

    fn texts(&self) -> [String; 3] {
        [b64::encode(&self.iv), b64::encode(&self.ciphertext), b64::encode(&self.tag)]
    }
}

impl Agreement {
    /// `alg` and `enc` come from the protected header, the rest from all headers together.
    fn read(protected: &Field<'_>, joint: &Field<'_>) -> Result<Agreement, JweError> {
        let (alg, enc) = (protected.member("alg")?, protected.member("enc")?);
        if enc.text()? != ENCRYPTION {
            return Err(unsupported(&enc, enc.text()?));
        }
        match alg.text()? {
            "dir" => Ok(Agreement::Direct),
            "ECDH-ES" => {
                let epk = Jwk::public_from_field(&joint.member("epk")?).map_err(JweError::ephemeral)?;
                let epk = epk.point().cloned().ok_or(JweError::WrongKey)?;
                Ok(Agreement::Ephemeral { epk, apu: party(joint, "apu")?, apv: party(joint, "apv")? })
            }
            other => Err(unsupported(&alg, other)),
        }
    }
}

/// All headers as one. No name may stand in two of them (RFC 7516 section 7.2.1), and none may ask for an extension or for
/// compression.
fn joint_header(protected: &Field<'_>, others: &Field<'_>) -> Result<Object, JweError> {
    let mut joint = Object::new();
    let others = others.members()?.map(|(_, header)| header);
    for header in [protected.clone()].into_iter().chain(others) {
        for (name, member) in header.members()? {
            if ["crit", "zip"].contains(&name) {
                return Err(JweError::UnsupportedMember { place: member.place().to_owned() });
            }
            if joint.get(name).is_some() {
                return Err(JweError::Ambiguous { name: Unknown::new(name) });
            }
            joint.insert(name, member.value().clone());
        }
    }
    Ok(joint)
}

/// `apu` or `apv`: bytes that name a party, none if absent.
fn party(header: &Field<'_>, name: &str) -> Result<Vec<u8>, JweError> {
    header.optional(name)?.map_or(Ok(Vec::new()), |member| decode(member.place(), member.text()?))
}

/// A key with `alg` must have that of the JWE, or its `enc`; a key that says what it is for must be for this.
fn is_for(key: &Jwk, algorithm: &str, operation: KeyOperation) -> bool {
    key.alg().is_none_or(|alg| alg == algorithm || alg == ENCRYPTION) && key.permits(operation, Required::Implied)
}

fn parse_json(place: &str, bytes: &[u8]) -> Result<Value, JweError> {
    json::parse(bytes, &Limits::POLICY).map_err(|source| JweError::Json { place: place.to_owned(), source })
}

fn decode(place: &str, text: &str) -> Result<Vec<u8>, JweError> {
    b64::decode(text).map_err(|source| JweError::Base64 { place: place.to_owned(), source })
}

fn array<const N: usize>(place: &str, text: &str) -> Result<[u8; N], JweError> {
    let bytes = decode(place, text)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| JweError::WrongLength { place: place.to_owned(), expected: N, found })
}

fn unsupported(field: &Field<'_>, name: &str) -> JweError {
    JweError::Unsupported { place: field.place().to_owned(), name: Unknown::new(name) }
}

/// A header may hold a key (the pin `null` does so): nothing of it is shown.
impl fmt::Debug for Jwe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwe({} bytes of ciphertext)", self.ciphertext.len())
    }
}

impl JweError {
    fn ephemeral(source: JwkError) -> JweError {
        JweError::Ephemeral(Box::new(source))
    }
}

impl From<FieldError> for JweError {
    fn from(source: FieldError) -> JweError {
        JweError::Field(source)
    }
}

impl fmt::Display for JweError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JweError::TooLong { bytes } => write!(f, "a JWE of {bytes} bytes is longer than {LONGEST}"),
            JweError::Parts { found } => write!(f, "a compact JWE has {PARTS} parts, not {found}"),
            JweError::Json { place, .. } => write!(f, "{place} is not JSON"),
            JweError::Field(_) => f.write_str("not a JWE"),
            JweError::Base64 { place, .. } => write!(f, "{place} is not base64url"),
            JweError::WrongLength { place, expected, found } => {
                write!(f, "{place} has {found} bytes where {expected} belong")
            }
            JweError::Unsupported { place, name } => write!(f, "{place} {name} is not supported"),
            JweError::UnsupportedMember { place } => write!(f, "{place} is not supported"),
            JweError::Ambiguous { name } => write!(f, "{name} stands in two headers"),
            JweError::Ephemeral(_) => f.write_str("the JWE's `epk` is no public key"),
            JweError::NotCompact => f.write_str("a JWE with an unprotected header has no compact form"),
            JweError::WrongKey => f.write_str("the key is not one for this JWE"),
            JweError::Agreement(_) => f.write_str("no key could be agreed on"),
            JweError::Content(AeadError::NotAuthentic) => f.write_str("a wrong key, or a JWE that was changed"),
            JweError::Content(_) => f.write_str("the content could not be encrypted or decrypted"),
            JweError::Random(_) => f.write_str("no initialisation vector could be drawn"),
        }
    }
}

impl std::error::Error for JweError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JweError::Json { source, .. } => Some(source),
            JweError::Field(source) => Some(source),
            JweError::Base64 { source, .. } => Some(source),
            JweError::Ephemeral(source) => Some(source),
            JweError::Agreement(source) => Some(source),
            JweError::Content(source) => Some(source),
            JweError::Random(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7516 appendix A.1: the content encryption of the example, whose key the text gives, with the text of its header as
    /// additional data. Its `RSA-OAEP` is not supported, so it is put together here as if it used `dir`.
    #[test]
    fn content_encryption_matches_rfc_7516_a1() {
        let vector = include_str!("../vectors/rfc7516_a1.jwe");
        let [protected, _, iv, ciphertext, tag] = vector.trim().split('.').collect::<Vec<_>>()[..] else { panic!() };
        let jwe = Jwe {
            protected: protected.to_owned(),
            header: Object::new(),
            unprotected: Object::new(),
            agreement: Agreement::Direct,
            iv: array("iv", iv).unwrap(),
            ciphertext: decode("ciphertext", ciphertext).unwrap(),
            tag: array("tag", tag).unwrap(),
        };
        let key = Secret::new(vec![
            177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34,
            105, 47, 130, 203, 46, 122, 234, 64, 252,
        ]);
        let plaintext = jwe.decrypt(&key).unwrap();
        assert!(plaintext.ct_eq(b"The true sign of intelligence is not knowledge but imagination."));
    }
}
