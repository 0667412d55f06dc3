//! Keys as JSON (RFC 7517): EC keys on the three NIST curves, `oct` keys, and RSA public keys for their thumbprints.
//!
//! Reading is strict: coordinates and private values have exactly the width of the field (RFC 7518 section 6.2.1.2), a point
//! is on its curve, a private value belongs to its point. The original also takes shorter and longer coordinates, and gives
//! each of those texts of one key another thumbprint; it never writes them.
//!
//! Of the members that describe a key, `alg`, `key_ops`, `kid` and `use` are understood and published. All others stay with the
//! private key and are never published: what is not understood may be a secret. The original publishes them.

use crate::b64::{self, B64Error};
use crate::operation::{KeyOperation, Required};
use crate::sorted::sorted;
use crate::thumbprint::{Thumbprint, ThumbprintHash};
use crate::unknown::Unknown;
use crypto::ec::{Curve, EcError, Point, Scalar};
use crypto::{Random, Secret};
use json::{Field, FieldError, JsonError, Limits, Object, Value};
use std::fmt;
use zeroize::Zeroizing;

/// One key.
pub struct Jwk {
    material: Material,
    /// Everything that is not key material, as it was read.
    description: Object,
}

enum Material {
    Ec { point: Point, private: Option<Scalar> },
    Oct(Secret),
    Rsa { n: String, e: String },
}

/// Names of key material, of any type of key; those of another type than the key's own are dropped.
const MATERIAL: [&str; 14] = ["crv", "d", "dp", "dq", "e", "k", "kty", "n", "oth", "p", "q", "qi", "x", "y"];
/// What is published beside the public half.
const PUBLISHED: [&str; 4] = ["alg", "key_ops", "kid", "use"];

/// Which half of a key is wanted.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    /// Private members are not looked at.
    Public,
    Both,
}

/// Why a document is not a key.
#[derive(Debug)]
pub enum JwkError {
    /// Not JSON, or too much of it.
    Json(JsonError),
    /// A member is missing or of the wrong kind.
    Field(FieldError),
    /// A member is not base64url.
    Base64 {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: B64Error,
    },
    /// A coordinate or a private value is not as wide as its curve's field.
    WrongWidth {
        /// Where it is.
        place: String,
        /// Bytes there must be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A type of key or a curve that is not supported.
    Unsupported {
        /// Where it is.
        place: String,
        /// What it says.
        name: Unknown,
    },
    /// A key of a type that is supported by its public half alone (RSA), with a private one.
    PrivateUnsupported {
        /// Where the key is.
        place: String,
    },
    /// A key of a type that has no public half (`oct`), where one was to be read.
    NoPublicHalf {
        /// Where the key is.
        place: String,
    },
    /// Coordinates of no point on the curve, or a private value out of range.
    NotOnCurve {
        /// Where the key is.
        place: String,
        /// What the arithmetic says.
        source: EcError,
    },
    /// The private value is that of another point.
    ForeignPrivate {
        /// Where the key is.
        place: String,
    },
}

/// The name of ECDSA on `curve` (RFC 7518 section 3.4).
pub(crate) fn signature_name(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "ES256",
        Curve::P384 => "ES384",
        Curve::P521 => "ES512",
    }
}

impl Jwk {
    /// Reads a key with both halves, or with the public one alone if that is all there is.
    ///
    /// # Errors
    /// [`JwkError`]; places in it begin with `key`.
    pub fn parse(bytes: &[u8]) -> Result<Jwk, JwkError> {
        let value = json::parse(bytes, &Limits::SMALL).map_err(JwkError::Json)?;
        Jwk::from_field(&value.field("key"))
    }

    /// Reads a key inside a document, as [`Jwk::parse`] does.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_field(key: &Field<'_>) -> Result<Jwk, JwkError> {
        Jwk::read(key, Half::Both)
    }

    /// Reads the public half of a key inside a document; private members are not even looked at.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn public_from_field(key: &Field<'_>) -> Result<Jwk, JwkError> {
        Jwk::read(key, Half::Public)
    }

    /// A new key for signatures, as tang makes it: `alg` after the curve, `key_ops` `sign` and `verify`.
    ///
    /// # Errors
    /// [`EcError`] if the random source fails.
    pub fn signing(curve: Curve, random: &dyn Random) -> Result<Jwk, EcError> {
        Jwk::generate(curve, random, signature_name(curve), &[KeyOperation::Sign, KeyOperation::Verify])
    }

    /// A new key for the McCallum-Relyea exchange, as tang makes it: `alg` `ECMR`, `key_ops` `deriveKey`.
    ///
    /// # Errors
    /// [`EcError`] if the random source fails.
    pub fn exchange(curve: Curve, random: &dyn Random) -> Result<Jwk, EcError> {
        Jwk::generate(curve, random, "ECMR", &[KeyOperation::DeriveKey])
    }

    /// The public key `point`, and nothing else: `crv`, `kty`, `x`, `y`.
    pub fn from_point(point: &Point) -> Jwk {
        Jwk { material: Material::Ec { point: point.clone(), private: None }, description: Object::new() }
    }

    /// The public key `point` as one half of a McCallum-Relyea exchange: `alg` `ECMR`, `key_ops` `deriveKey`.
    pub fn ecmr_public(point: &Point) -> Jwk {
        Jwk { description: description("ECMR", &[KeyOperation::DeriveKey]), ..Jwk::from_point(point) }
    }

    /// The key `secret`, and nothing else: `k`, `kty`.
    pub fn oct(secret: Secret) -> Jwk {
        Jwk { material: Material::Oct(secret), description: Object::new() }
    }

    /// The content encryption key `secret`, as José makes one: `alg` `A256GCM`, `key_ops` `encrypt` and `decrypt`.
    pub fn content_key(secret: Secret) -> Jwk {
        let operations = [KeyOperation::Encrypt, KeyOperation::Decrypt];
        Jwk { description: description("A256GCM", &operations), ..Jwk::oct(secret) }
    }

    /// The point of an EC key.
    pub fn point(&self) -> Option<&Point> {
        if let Material::Ec { point, .. } = &self.material { Some(point) } else { None }
    }

    /// The private value of an EC key that has one.
    pub fn private(&self) -> Option<&Scalar> {
        if let Material::Ec { private, .. } = &self.material { private.as_ref() } else { None }
    }

    /// The bytes of an `oct` key.
    pub fn oct_key(&self) -> Option<&Secret> {
        if let Material::Oct(key) = &self.material { Some(key) } else { None }
    }

    /// The algorithm that the key is for, if it says one.
    pub fn alg(&self) -> Option<&str> {
        self.description.get("alg").and_then(Value::as_str)
    }

    /// Whether the key may be used for `operation`: `key_ops` has it, or `use` implies it, or, unless it is required to say so,
    /// the key has neither member.
    pub fn permits(&self, operation: KeyOperation, required: Required) -> bool {
        let usage = self.description.get("use").and_then(Value::as_str);
        match (usage, self.operations()) {
            (None, None) => required == Required::Implied,
            (usage, operations) => {
                let implied = usage.is_some() && usage == operation.implied_by();
                implied || operations.is_some_and(|mut names| names.any(|name| name == operation.name()))
            }
        }
    }

    /// The public half, members sorted, without what only a private key can do: a signing key is published with `verify` alone.
    ///
    /// No private member is ever in it, nor any that is not understood. Of an `oct` key, which is private as a whole, only the
    /// description is left.
    pub fn public_json(&self) -> Object {
        let mut public = self.public_material();
        for name in PUBLISHED {
            if let Some(value) = self.description.get(name) {
                public.insert(name, if name == "key_ops" { self.public_operations() } else { value.clone() });
            }
        }
        sorted(&public)
    }

    /// The whole key, private members and all others included, sorted. Its text is wiped when it is dropped.
    pub fn private_members(&self) -> Object {
        let mut whole = self.public_material();
        match &self.material {
            Material::Ec { private: Some(d), .. } => whole.insert("d", b64::encode_secret(d.expose()).as_str()),
            Material::Oct(key) => whole.insert("k", b64::encode_secret(key.expose()).as_str()),
            Material::Ec { private: None, .. } | Material::Rsa { .. } => {}
        }
        for (name, value) in self.description.iter() {
            whole.insert(name, value.clone());
        }
        sorted(&whole)
    }

    /// [`Jwk::private_members`] as compact JSON: the content of a key file.
    pub fn private_json(&self) -> Zeroizing<String> {
        Value::Object(self.private_members()).to_compact()
    }

    /// The thumbprint (RFC 7638 section 3): the hash of the key's required members as sorted compact JSON.
    ///
    /// That of an `oct` key is a hash of the secret itself.
    pub fn thumbprint(&self, hash: ThumbprintHash) -> Thumbprint {
        match &self.material {
            Material::Ec { point, .. } => {
                let (x, y) = (b64::encode(point.x()), b64::encode(point.y()));
                let parts =
                    ["{\"crv\":\"", point.curve().jose_name(), "\",\"kty\":\"EC\",\"x\":\"", &x, "\",\"y\":\"", &y];
                over(hash, &parts)
            }
            Material::Oct(key) => over(hash, &["{\"k\":\"", &b64::encode_secret(key.expose()), "\",\"kty\":\"oct"]),
            Material::Rsa { n, e } => over(hash, &["{\"e\":\"", e, "\",\"kty\":\"RSA\",\"n\":\"", n]),
        }
    }

    /// Whether `text` is the key's thumbprint by one of the hashes `among`; its length tells which one to compute.
    pub fn has_thumbprint(&self, text: &str, among: &[ThumbprintHash]) -> bool {
        let hash = ThumbprintHash::of_text(text).filter(|hash| among.contains(hash));
        hash.is_some_and(|hash| self.thumbprint(hash).as_str() == text)
    }

    fn generate(curve: Curve, random: &dyn Random, alg: &str, operations: &[KeyOperation]) -> Result<Jwk, EcError> {
        let private = Scalar::random(curve, random)?;
        let material = Material::Ec { point: Point::base_times(&private)?, private: Some(private) };
        Ok(Jwk { material, description: description(alg, operations) })
    }

    fn read(key: &Field<'_>, half: Half) -> Result<Jwk, JwkError> {
        let kty = key.member("kty")?;
        let material = match kty.text()? {
            "EC" => read_ec(key, half)?,
            "oct" => read_oct(key, half)?,
            "RSA" => read_rsa(key, half)?,
            other => return Err(unsupported(&kty, other)),
        };
        check_description(key)?;
        let mut description = key.object()?.clone();
        for name in MATERIAL {
            description.remove(name);
        }
        Ok(Jwk { material, description })
    }

    fn public_material(&self) -> Object {
        match &self.material {
            Material::Ec { point, .. } => Object::new()
                .with("kty", "EC")
                .with("crv", point.curve().jose_name())
                .with("x", b64::encode(point.x()))
                .with("y", b64::encode(point.y())),
            Material::Oct(_) => Object::new().with("kty", "oct"),
            Material::Rsa { n, e } => Object::new().with("kty", "RSA").with("n", n.as_str()).with("e", e.as_str()),
        }
    }

    fn operations(&self) -> Option<impl Iterator<Item = &str>> {
        match self.description.get("key_ops") {
            Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str)),
            _ => None,
        }
    }

    /// The operations of the public half; a symmetric key has none.
    fn public_operations(&self) -> Value {
        let symmetric = self.oct_key().is_some();
        let private = [KeyOperation::Sign, KeyOperation::Decrypt, KeyOperation::UnwrapKey].map(KeyOperation::name);
        let names = self.operations().into_iter().flatten();
        Value::Array(names.filter(|name| !symmetric && !private.contains(name)).map(Value::from).collect())
    }
}

/// The hash over `parts` and the two characters that close every canonical key.
fn over(hash: ThumbprintHash, parts: &[&str]) -> Thumbprint {
    let parts: Vec<&[u8]> = parts.iter().chain(&["\"}"]).map(|part| part.as_bytes()).collect();
    Thumbprint::over(hash, &parts)
}

fn description(alg: &str, operations: &[KeyOperation]) -> Object {
    let names: Vec<&str> = operations.iter().map(|operation| operation.name()).collect();
    Object::new().with("alg", alg).with("key_ops", names)
}

fn read_ec(key: &Field<'_>, half: Half) -> Result<Material, JwkError> {
    let crv = key.member("crv")?;
    let name = crv.text()?;
    let curve = Curve::from_jose_name(name).ok_or_else(|| unsupported(&crv, name))?;
    let (x, y) = (full_width(&key.member("x")?, curve)?, full_width(&key.member("y")?, curve)?);
    let not_on_curve = |source| JwkError::NotOnCurve { place: key.place().to_owned(), source };
    let point = Point::from_coordinates(curve, x.expose(), y.expose()).map_err(not_on_curve)?;
    let Some(d) = key.optional("d")?.filter(|_| half == Half::Both) else {
        return Ok(Material::Ec { point, private: None });
    };
    let private = Scalar::from_bytes(curve, full_width(&d, curve)?.expose()).map_err(not_on_curve)?;
    if Point::base_times(&private).map_err(not_on_curve)? != point {
        return Err(JwkError::ForeignPrivate { place: key.place().to_owned() });
    }
    Ok(Material::Ec { point, private: Some(private) })
}

fn read_oct(key: &Field<'_>, half: Half) -> Result<Material, JwkError> {
    match half {
        Half::Public => Err(JwkError::NoPublicHalf { place: key.place().to_owned() }),
        Half::Both => Ok(Material::Oct(secret_bytes(&key.member("k")?)?)),
    }
}

fn read_rsa(key: &Field<'_>, half: Half) -> Result<Material, JwkError> {
    if half == Half::Both && key.optional("d")?.is_some() {
        return Err(JwkError::PrivateUnsupported { place: key.place().to_owned() });
    }
    Ok(Material::Rsa { n: shortest_number(&key.member("n")?)?, e: shortest_number(&key.member("e")?)? })
}

fn check_description(key: &Field<'_>) -> Result<(), JwkError> {
    for name in ["alg", "kid", "use"] {
        key.optional(name)?.map(|member| member.text()).transpose()?;
    }
    if let Some(operations) = key.optional("key_ops")? {
        for name in operations.items()? {
            name.text()?;
        }
    }
    Ok(())
}

/// A coordinate or a private value: as many bytes as the field has (RFC 7518 sections 6.2.1.2 and 6.2.2.1).
fn full_width(field: &Field<'_>, curve: Curve) -> Result<Secret, JwkError> {
    let bytes = secret_bytes(field)?;
    let (expected, found) = (curve.coordinate_len(), bytes.len());
    if found == expected {
        Ok(bytes)
    } else {
        Err(JwkError::WrongWidth { place: field.place().to_owned(), expected, found })
    }
}

/// The text of a number in as few bytes as it takes (RFC 7518 section 2, `Base64urlUInt`), so that it has one thumbprint.
fn shortest_number(field: &Field<'_>) -> Result<String, JwkError> {
    let text = field.text()?;
    match secret_bytes(field)?.expose().first() {
        None | Some(0) => Err(field.wrong_value("a number without leading zeros").into()),
        Some(_) => Ok(text.to_owned()),
    }
}

fn secret_bytes(field: &Field<'_>) -> Result<Secret, JwkError> {
    b64::decode_secret(field.text()?).map_err(|source| JwkError::Base64 { place: field.place().to_owned(), source })
}

fn unsupported(field: &Field<'_>, name: &str) -> JwkError {
    JwkError::Unsupported { place: field.place().to_owned(), name: Unknown::new(name) }
}

/// The type of the key and what it is for; no value of a private member.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = Value::Object(self.public_json()).to_compact();
        let private = matches!(self.material, Material::Ec { private: Some(_), .. } | Material::Oct(_));
        write!(f, "Jwk({}{})", public.as_str(), if private { " and a private half" } else { "" })
    }
}

impl From<FieldError> for JwkError {
    fn from(source: FieldError) -> JwkError {
        JwkError::Field(source)
    }
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwkError::Json(_) => f.write_str("the key is not JSON"),
            JwkError::Field(_) => f.write_str("not a key"),
            JwkError::Base64 { place, .. } => write!(f, "{place} is not base64url"),
            JwkError::WrongWidth { place, expected, found } => {
                write!(f, "{place} has {found} bytes where its curve has {expected}")
            }
            JwkError::Unsupported { place, name } => write!(f, "{place} {name} is not supported"),
            JwkError::PrivateUnsupported { place } => write!(f, "{place} is a private RSA key, which is not supported"),
            JwkError::NoPublicHalf { place } => write!(f, "{place} is a symmetric key where a public one belongs"),
            JwkError::NotOnCurve { place, .. } => write!(f, "{place} is no key of its curve"),
            JwkError::ForeignPrivate { place } => write!(f, "{place}.d belongs to another public key"),
        }
    }
}

impl std::error::Error for JwkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JwkError::Json(source) => Some(source),
            JwkError::Field(source) => Some(source),
            JwkError::Base64 { source, .. } => Some(source),
            JwkError::NotOnCurve { source, .. } => Some(source),
            _ => None,
        }
    }
}
