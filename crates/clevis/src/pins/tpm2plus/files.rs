//! The two files: the key that signs policies, and the policies that it has signed, in the JSON of clevis-pin-tpm2 and its tool for signing.

use crate::error::{PinError, SignedPolicyError};
use crate::pin::Ports;
use ::tpm2::{Bank, PcrSelection, RsaScheme, VerifyingKey};
use jose::b64;
use json::{Field, FieldError, Limits};

/// More policies than anybody signs for one machine; each may cost a command of the TPM.
const MOST_POLICIES: usize = 64;
/// Most bits of a modulus: TPMs take 2048, and some 3072 or 4096.
const LONGEST_MODULUS: usize = 512;

/// A policy, and the signature over it.
#[derive(Debug)]
pub(super) struct SignedPolicy {
    /// What it is for.
    pub(super) reference: Vec<u8>,
    /// The PCRs that it compares, one step behind the other.
    pub(super) selections: Vec<PcrSelection>,
    pub(super) signature: Vec<u8>,
}

/// The key in the file at `path`.
pub(super) fn signer(path: &str, ports: &Ports<'_>) -> Result<VerifyingKey, PinError> {
    read(path, ports, read_signer)
}

/// The policies in the file at `path`.
pub(super) fn policies(path: &str, ports: &Ports<'_>) -> Result<Vec<SignedPolicy>, PinError> {
    read(path, ports, read_policies)
}

fn read<T>(
    path: &str,
    ports: &Ports<'_>,
    take: impl FnOnce(&Field<'_>) -> Result<T, FieldError>,
) -> Result<T, PinError> {
    let text = ports.files.read(path).map_err(|source| PinError::File { path: path.to_owned(), source })?;
    let value = json::parse(text.expose(), &Limits::POLICY).map_err(SignedPolicyError::NotJson);
    let taken = value.and_then(|value| take(&value.field("file")).map_err(SignedPolicyError::Field));
    taken.map_err(|source| PinError::SignedPolicy { path: path.to_owned(), source })
}

/// `{"RSA":{"scheme":"RSASSA","hashing_algo":"SHA256","exponent":65537,"modulus":BASE64}}`
fn read_signer(file: &Field<'_>) -> Result<VerifyingKey, FieldError> {
    let key = file.member("RSA")?;
    let scheme = key.member("scheme")?;
    let scheme = match scheme.text()? {
        "RSASSA" => RsaScheme::Pkcs1,
        "RSAPSS" => RsaScheme::Pss,
        _ => return Err(scheme.wrong_value("RSASSA or RSAPSS")),
    };
    let hash = key.member("hashing_algo")?;
    if hash.text()? != "SHA256" {
        return Err(hash.wrong_value("SHA256, the hash of what is signed"));
    }
    let exponent = key.member("exponent")?;
    let number = u32::try_from(exponent.integer()?).map_err(|_| exponent.wrong_value("a number of 32 bits"))?;
    let field = key.member("modulus")?;
    let modulus = bytes(&field)?;
    if !(1..=LONGEST_MODULUS).contains(&modulus.len()) {
        return Err(field.wrong_value("a modulus of at most 4096 bits"));
    }
    Ok(VerifyingKey::RsaSigner { scheme, modulus, exponent: number })
}

/// `[{"policy_ref":BASE64,"steps":[{"PCRs":{"pcr_ids":[7],"hash_algorithm":"sha256","value":BASE64}}],"signature":BASE64}]`
fn read_policies(file: &Field<'_>) -> Result<Vec<SignedPolicy>, FieldError> {
    let items = file.items()?;
    if items.len() > MOST_POLICIES {
        return Err(file.wrong_value("a list of at most 64 policies"));
    }
    items
        .map(|policy| {
            let steps = policy.member("steps")?;
            let selections: Vec<PcrSelection> =
                steps.items()?.map(|step| selection(&step)).collect::<Result<_, _>>()?;
            // Nothing to meet would be a signature under everything.
            if selections.is_empty() {
                return Err(steps.wrong_value("at least one step"));
            }
            let (reference, signature) = (bytes(&policy.member("policy_ref")?)?, bytes(&policy.member("signature")?)?);
            Ok(SignedPolicy { reference, selections, signature })
        })
        .collect()
}

/// The value beside the PCRs is not looked at: the signature is over what they hold.
fn selection(step: &Field<'_>) -> Result<PcrSelection, FieldError> {
    let pcrs = step.member("PCRs")?;
    let bank = pcrs.member("hash_algorithm")?;
    let found = Bank::from_name(&bank.text()?.to_ascii_lowercase());
    let found = found.ok_or_else(|| bank.wrong_value("the name of a bank, as sha256"))?;
    let ids = pcrs.member("pcr_ids")?;
    let numbers = ids.items()?.map(|id| id.integer()).collect::<Result<Vec<u64>, _>>()?;
    PcrSelection::new(found, numbers).map_err(|_| ids.wrong_value("the numbers of some PCRs from 0 to 23"))
}

/// Base64 with its padding (RFC 4648, section 4).
fn bytes(field: &Field<'_>) -> Result<Vec<u8>, FieldError> {
    let text = field.text()?;
    let plain = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let padded = text.len() % 4 == 0 && !text.contains(['-', '_']);
    b64::decode(&plain).ok().filter(|_| padded).ok_or_else(|| field.wrong_value("base64"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::Value;

    fn value(text: &str) -> Value {
        json::parse(text.as_bytes(), &Limits::POLICY).unwrap()
    }

    const KEY: &str = r#"{"RSA":{"scheme":"RSASSA","hashing_algo":"SHA256","exponent":65537,"modulus":"wP8+"}}"#;
    const POLICIES: &str = r#"[{"policy_ref":"","steps":[{"PCRs":{"pcr_ids":[21,22],"hash_algorithm":"SHA256","value":""}}],
        "signature":"AQ=="}]"#;

    #[test]
    fn a_key_is_read_and_what_is_wrong_with_one_is_said() {
        let expected =
            VerifyingKey::RsaSigner { scheme: RsaScheme::Pkcs1, modulus: vec![0xc0, 0xff, 0x3e], exponent: 65537 };
        assert_eq!(read_signer(&value(KEY).field("file")).unwrap(), expected);
        for (was, is) in [
            ("RSASSA", "ECDSA"),
            ("SHA256", "SHA1"),
            ("65537", "-1"),
            ("65537", "99999999999"),
            ("wP8+", "wP8-"),
            ("wP8+", "wP8"),
            ("wP8+", ""),
            ("\"RSA\"", "\"ECC\""),
        ] {
            assert!(read_signer(&value(&KEY.replace(was, is)).field("file")).is_err(), "{is}");
        }
    }

    #[test]
    fn policies_are_read_and_what_is_wrong_with_them_is_said() {
        let read = read_policies(&value(POLICIES).field("file")).unwrap();
        assert_eq!((read.len(), &*read[0].reference, &*read[0].signature), (1, &[][..], &[1][..]));
        assert_eq!(read[0].selections[0].to_string(), "sha256:21,22");
        for (was, is) in [
            ("[21,22]", "[]"),
            ("[21,22]", "[24]"),
            ("SHA256", "md5"),
            ("AQ==", "AQ="),
            ("PCRs", "Secret"),
            (r#"[{"PCRs":{"pcr_ids":[21,22],"hash_algorithm":"SHA256","value":""}}]"#, "[]"),
        ] {
            assert!(read_policies(&value(&POLICIES.replace(was, is)).field("file")).is_err(), "{is}");
        }
        let many: Vec<Value> = (0..65)
            .flat_map(|_| match value(POLICIES) {
                Value::Array(items) => items,
                _ => Vec::new(),
            })
            .collect();
        assert!(read_policies(&Value::Array(many).field("file")).is_err());
    }
}
