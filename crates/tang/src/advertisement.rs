//! What a server says of its keys, and why it is believed.

use crate::error::TangError;
use crate::exchange_key::ExchangeKey;
use jose::{Jwk, Jws, KeyOperation, Required, Thumbprint, ThumbprintHash};
use json::{Field, Limits, Object, Value};

/// A set of keys whose signatures were checked and which is trusted for a stated reason.
#[derive(Debug)]
pub struct Advertisement {
    set: Object,
    signing: Vec<Jwk>,
    exchange: ExchangeKey,
}

/// Why a set of keys is believed to be the right server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One of its signing keys has this thumbprint (S256 or S1). Longer ones are refused, as the original does.
    Thumbprint(String),
    /// The set itself was given by whoever binds, not fetched.
    Given,
    /// A person said yes to its thumbprints, or said beforehand that any set will do.
    Anyone,
}

impl Advertisement {
    /// Checks a signed set (a flattened or general JWS) and the reason to trust it.
    ///
    /// Every key of the set that says it may verify must have signed it; further signatures, such as that of a rotated key,
    /// are extra and not looked at. Keys of types that are not supported are passed over, unless they are signing keys.
    ///
    /// # Errors
    /// [`TangError`]: not a JWS, not a set of keys, a signature that is missing, or another server's keys.
    pub fn verify(jws: &[u8], trust: &Trust) -> Result<Advertisement, TangError> {
        Advertisement::signed(&parse(jws)?)?.trusted(trust)
    }

    /// Checks a signed set that one of the keys `known` from before must have signed too: a server whose keys were rotated still signs
    /// by an old one when it is asked for it. The old key need not be in the set any more.
    ///
    /// # Errors
    /// As [`Advertisement::verify`].
    pub fn verify_successor(jws: &[u8], known: &[&Jwk]) -> Result<Advertisement, TangError> {
        let jws = parse(jws)?;
        let advertisement = Advertisement::signed(&jws)?;
        if known.iter().any(|key| jws.verified_by(key)) {
            return Ok(advertisement);
        }
        let wanted: Vec<String> = known.iter().map(|key| s256(key).to_string()).collect();
        Err(advertisement.untrusted(wanted.join(" or ")))
    }

    /// The set, signed by all of its own signing keys.
    fn signed(jws: &Jws) -> Result<Advertisement, TangError> {
        let document = json::parse(jws.payload(), &Limits::POLICY)?;
        let keys = read_keys(&document.field("advertisement"))?;
        let exchange = ExchangeKey::first(&keys)?;
        let signing = signing_keys(keys)?;
        if let Some(unsupported) = signing.iter().find(|key| key.point().is_none()) {
            return Err(TangError::UnsupportedSigningKey { thumbprint: s256(unsupported).to_string() });
        }
        if let Some(unsigned) = signing.iter().find(|key| !jws.verified_by(key)) {
            return Err(TangError::MissingSignature { thumbprint: s256(unsigned).to_string() });
        }
        Ok(Advertisement { set: document.as_object().cloned().unwrap_or_default(), signing, exchange })
    }

    /// S256 thumbprints of the signing keys: what a person compares.
    pub fn signing_thumbprints(&self) -> Vec<Thumbprint> {
        self.signing.iter().map(s256).collect()
    }

    /// The key that new bindings use.
    pub fn exchange_key(&self) -> &ExchangeKey {
        &self.exchange
    }

    /// The whole set as the server sent it, `{"keys":[…]}`: a binding carries it along.
    pub fn set_json(&self) -> &Object {
        &self.set
    }

    fn trusted(self, trust: &Trust) -> Result<Advertisement, TangError> {
        let Trust::Thumbprint(wanted) = trust else { return Ok(self) };
        let among = [ThumbprintHash::S256, ThumbprintHash::S1];
        if self.signing.iter().any(|key| key.has_thumbprint(wanted, &among)) {
            return Ok(self);
        }
        Err(self.untrusted(wanted.clone()))
    }

    fn untrusted(&self, wanted: String) -> TangError {
        let found = self.signing_thumbprints().iter().map(Thumbprint::to_string).collect();
        TangError::UntrustedKeys { wanted, found }
    }
}

fn parse(jws: &[u8]) -> Result<Jws, TangError> {
    Jws::parse(jws).map_err(|source| TangError::NotSigned { source })
}

fn s256(key: &Jwk) -> Thumbprint {
    key.thumbprint(ThumbprintHash::S256)
}

/// All keys of the set; `None` stands for a key that is not a signing key and cannot be read.
fn read_keys<'a>(set: &Field<'a>) -> Result<Vec<(Field<'a>, Option<Jwk>)>, TangError> {
    set.member("keys")?
        .items()?
        .map(|field| {
            for private in ["d", "k"] {
                if field.optional(private)?.is_some() {
                    return Err(TangError::PrivateKeyShown { place: field.place().to_owned() });
                }
            }
            match Jwk::public_from_field(&field) {
                Ok(key) => Ok((field, Some(key))),
                Err(source) if says_it_verifies(&field) => {
                    Err(TangError::BadKey { place: field.place().to_owned(), source })
                }
                Err(_) => Ok((field, None)),
            }
        })
        .collect()
}

/// Whether a key that cannot be read would have had to sign.
fn says_it_verifies(field: &Field<'_>) -> bool {
    let Some(key) = field.value().as_object() else { return false };
    let listed =
        matches!(key.get("key_ops"), Some(Value::Array(names)) if names.iter().any(|n| n.as_str() == Some("verify")));
    listed || key.get("use").and_then(Value::as_str) == Some("sig")
}

fn signing_keys(keys: Vec<(Field<'_>, Option<Jwk>)>) -> Result<Vec<Jwk>, TangError> {
    let signing: Vec<Jwk> = keys
        .into_iter()
        .filter_map(|(_, key)| key)
        .filter(|key| key.permits(KeyOperation::Verify, Required::Explicit))
        .collect();
    if signing.is_empty() { Err(TangError::NoSigningKey) } else { Ok(signing) }
}
