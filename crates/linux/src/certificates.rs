//! What a file of certificates tells a person: until when each is good, and by what pin its key is known.
//!
//! Whom to believe for what a certificate says is not decided here: that is for webpki. Only as much of X.509 is read as showing takes (RFC
//! 5280, section 4.1, in DER as of X.690), of any version, and strictly: what is not DER is no certificate.

use clevis::{Moment, ServerPin};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use std::fmt;

/// A certificate and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whose it is: the common name, or else all names one behind the other; without control characters, at most 200 characters.
    pub subject: String,
    /// The last second in which it is good.
    pub not_after: Moment,
}

/// Why a file tells nothing.
#[derive(Debug)]
pub enum CertificatesError {
    /// It is no PEM file.
    Pem(pem::Error),
    /// There is neither a certificate in it nor a public key.
    Nothing,
    /// A certificate cannot be read.
    Malformed {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for CertificatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificatesError::Pem(_) => f.write_str("it is not a PEM file"),
            CertificatesError::Nothing => f.write_str("there is no certificate in it"),
            CertificatesError::Malformed { number, what } => write!(f, "certificate {number} in it: {what}"),
        }
    }
}

impl std::error::Error for CertificatesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CertificatesError::Pem(source) => Some(source),
            CertificatesError::Nothing | CertificatesError::Malformed { .. } => None,
        }
    }
}

/// Until when each certificate of a PEM file is good, in its order; other sections are passed over.
///
/// # Errors
/// [`CertificatesError`]; also if there is none.
pub fn expiries(pem: &[u8]) -> Result<Vec<Expiry>, CertificatesError> {
    let found = certificates(pem)?;
    if found.is_empty() {
        return Err(CertificatesError::Nothing);
    }
    numbered(&found, |certificate| Ok(Expiry { subject: name(certificate.subject)?, not_after: certificate.not_after }))
}

/// The pins of the certificates in a PEM file and, behind them, of the public keys in it: what `openssl pkey -pubout` writes of a key for
/// which there is no certificate yet.
///
/// # Errors
/// [`CertificatesError`]; also if there is none.
pub fn server_pins(pem: &[u8]) -> Result<Vec<ServerPin>, CertificatesError> {
    let found = certificates(pem)?;
    let mut pins = numbered(&found, |certificate| Ok(ServerPin::of_key(certificate.key)))?;
    let keys: Result<Vec<_>, _> = SubjectPublicKeyInfoDer::pem_slice_iter(pem).collect();
    pins.extend(keys.map_err(CertificatesError::Pem)?.iter().map(|key| ServerPin::of_key(key)));
    if pins.is_empty() { Err(CertificatesError::Nothing) } else { Ok(pins) }
}

/// The SubjectPublicKeyInfo in a certificate (DER), as it stands there.
pub(crate) fn certificate_key(der: &[u8]) -> Result<&[u8], &'static str> {
    Certificate::read(der).map(|found| found.key)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(CertificatesError::Pem)
}

fn numbered<T>(
    found: &[CertificateDer<'_>],
    tell: impl Fn(Certificate<'_>) -> Result<T, &'static str>,
) -> Result<Vec<T>, CertificatesError> {
    let one = |(index, der): (usize, &CertificateDer<'_>)| {
        let malformed = |what| CertificatesError::Malformed { number: index + 1, what };
        Certificate::read(der).and_then(&tell).map_err(malformed)
    };
    found.iter().enumerate().map(one).collect()
}

/// As much of a certificate as is wanted.
struct Certificate<'a> {
    not_after: Moment,
    /// The content of the subject's name.
    subject: &'a [u8],
    /// The whole SubjectPublicKeyInfo.
    key: &'a [u8],
}

const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT`, which the version has.
const VERSION: u8 = 0xa0;

impl<'a> Certificate<'a> {
    fn read(der: &'a [u8]) -> Result<Certificate<'a>, &'static str> {
        let mut whole = Der(der);
        let mut signed = Der(whole.one(SEQUENCE)?);
        if !whole.0.is_empty() {
            return Err("something stands behind it");
        }
        let mut fields = Der(signed.one(SEQUENCE)?);
        // Version 1 does not say so.
        if fields.0.first() == Some(&VERSION) {
            fields.one(VERSION)?;
        }
        fields.one(INTEGER)?;
        // The algorithm of the signature, and the issuer.
        fields.one(SEQUENCE)?;
        fields.one(SEQUENCE)?;
        let mut validity = Der(fields.one(SEQUENCE)?);
        validity.time()?;
        let not_after = validity.time()?;
        let subject = fields.one(SEQUENCE)?;
        let before = fields.0;
        fields.one(SEQUENCE)?;
        let length = before.len() - fields.0.len();
        let key = before.get(..length).unwrap_or_default();
        Ok(Certificate { not_after, subject, key })
    }
}

/// Elements one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    fn one(&mut self, tag: u8) -> Result<&'a [u8], &'static str> {
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            _ => Err("it has another form"),
        }
    }

    /// Tag and content of the next element: a tag of one byte, a length in its shortest form.
    fn any(&mut self) -> Result<(u8, &'a [u8]), &'static str> {
        const SHORT: &str = "it is cut short";
        let (&[tag, first], rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80)).ok_or(SHORT)?;
                let length = digits.iter().fold(0, |length, &digit| (length << 8) | usize::from(digit));
                let shortest = digits.first() != Some(&0) && length > 0x7f;
                (if shortest { length } else { return Err("a length in it is not DER") }, rest)
            }
            _ => return Err("a length in it is not DER"),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok((tag, content))
    }

    /// A time in UTC to the second (RFC 5280, section 4.1.2.5). One before 1970 is past, whenever it was.
    fn time(&mut self) -> Result<Moment, &'static str> {
        const WRONG: &str = "a date in it is none";
        let (tag, text) = self.any()?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = number(text, 2).ok_or(WRONG)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => number(text, 4).ok_or(WRONG)?,
            _ => return Err("it has another form"),
        };
        let mut rest = rest;
        let mut parts = [0; 5];
        for part in &mut parts {
            (*part, rest) = number(rest, 2).ok_or(WRONG)?;
        }
        let [month, day, time @ ..] = parts;
        let moment = Moment::of(year.max(1970), month, day, time).filter(|_| rest == b"Z").ok_or(WRONG)?;
        Ok(if year < 1970 { Moment(0) } else { moment })
    }
}

/// So many decimal digits, and what is behind them.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let number = digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))?;
    Some((number, rest))
}

/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// Longest name that is shown, in characters.
const LONGEST: usize = 200;

/// A name (RFC 5280, section 4.1.2.4) as a person reads it.
fn name(content: &[u8]) -> Result<String, &'static str> {
    let mut parts: Vec<(&[u8], String)> = Vec::new();
    let mut sets = Der(content);
    while !sets.0.is_empty() {
        let mut pairs = Der(sets.one(SET)?);
        while !pairs.0.is_empty() {
            let mut pair = Der(pairs.one(SEQUENCE)?);
            let kind = pair.one(OBJECT)?;
            let (tag, value) = pair.any()?;
            parts.push((kind, text(tag, value)));
        }
    }
    let common: Vec<&str> =
        parts.iter().filter(|(kind, _)| *kind == COMMON_NAME).map(|(_, text)| text.as_str()).collect();
    let all = || parts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(", ");
    let name = if common.is_empty() { all() } else { common.join(", ") };
    let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect();
    Ok(if name.is_empty() { "(without a name)".to_owned() } else { name })
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units: Vec<u16> =
            value.chunks_exact(2).map(|pair| pair.iter().fold(0, |unit, &b| (unit << 8) | u16::from(b))).collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};

    /// A certificate for these names, good until then.
    fn made(key: &KeyPair, names: &[(DnType, &str)], [year, month, day]: [u16; 3]) -> rcgen::Certificate {
        let mut params = CertificateParams::new(vec!["keys.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        names.iter().for_each(|(kind, name)| params.distinguished_name.push(kind.clone(), *name));
        let (month, day) = (month.try_into().unwrap(), day.try_into().unwrap());
        params.not_after = rcgen::date_time_ymd(year.into(), month, day);
        params.self_signed(key).unwrap()
    }

    #[test]
    fn a_file_tells_whose_certificates_end_when() {
        let key = KeyPair::generate().unwrap();
        let common = [(DnType::OrganizationName, "Company"), (DnType::CommonName, "keys\u{1b}.example")];
        let text: String = [
            made(&key, &common, [2026, 11, 22]).pem(),
            key.serialize_pem(),
            made(&key, &common[..1], [2049, 12, 31]).pem(),
            made(&key, &[], [2050, 1, 1]).pem(),
        ]
        .concat();
        let found = expiries(text.as_bytes()).unwrap();
        let told: Vec<String> = found.iter().map(|one| format!("{} {}", one.subject, one.not_after)).collect();
        let expected = [
            "keys\u{fffd}.example 2026-11-22 00:00:00 UTC",
            "Company 2049-12-31 00:00:00 UTC",
            "(without a name) 2050-01-01 00:00:00 UTC",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn pins_are_those_of_certificates_and_of_bare_keys() {
        let (key, bare) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let text = format!("{}{}", bare.public_key_pem(), made(&key, &[], [2030, 1, 1]).pem());
        let pin = |key: &KeyPair| ServerPin::of_key(&key.subject_public_key_info());
        assert_eq!(server_pins(text.as_bytes()).unwrap(), [pin(&key), pin(&bare)]);
    }

    #[test]
    fn a_file_without_any_is_an_error() {
        let key = KeyPair::generate().unwrap();
        for text in [String::new(), "text".into(), key.serialize_pem()] {
            assert!(matches!(expiries(text.as_bytes()), Err(CertificatesError::Nothing)), "{text}");
            assert!(matches!(server_pins(text.as_bytes()), Err(CertificatesError::Nothing)), "{text}");
        }
        let open = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(expiries(open.as_bytes()), Err(CertificatesError::Pem(_))));
        let two =
            made(&key, &[], [2030, 1, 1]).pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(expiries(two.as_bytes()), Err(CertificatesError::Malformed { number: 2, .. })));
        assert!(matches!(server_pins(two.as_bytes()), Err(CertificatesError::Malformed { number: 2, .. })));
    }

    #[test]
    fn dates_are_read_strictly() {
        let time = |tag: u8, text: &str| {
            let der = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            Der(&der).time().map(|Moment(seconds)| seconds)
        };
        assert_eq!(time(UTC_TIME, "700101000001Z"), Ok(1));
        assert_eq!(time(UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(time(UTC_TIME, "500101000000Z"), Ok(0), "1950");
        assert_eq!(time(GENERALIZED_TIME, "20500101000000Z"), Ok(2_524_608_000));
        assert_eq!(time(GENERALIZED_TIME, "99991231235959Z"), Ok(253_402_300_799));
        for bad in [
            "",
            "700101000001",
            "7001010001Z",
            "701301000000Z",
            "700100000000Z",
            "700101240000Z",
            "70010100000aZ",
            "700101000000+",
        ] {
            assert!(time(UTC_TIME, bad).is_err(), "{bad}");
        }
        assert!(time(GENERALIZED_TIME, "20500101000000.5Z").is_err() && time(INTEGER, "700101000001Z").is_err());
    }

    #[test]
    fn lengths_are_in_their_shortest_form() {
        let any = |bytes: &[u8]| Der(bytes).any().map(|(tag, content)| (tag, content.len()));
        assert_eq!(any(&[4, 1, 0, 9]), Ok((4, 1)));
        assert_eq!(any(&[&[4, 0x81, 0x80][..], &[0; 0x80]].concat()), Ok((4, 0x80)));
        assert_eq!(any(&[&[4, 0x82, 1, 0][..], &[0; 256]].concat()), Ok((4, 256)));
        for bad in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 0x80],
            &[4, 0x84, 0, 0, 0, 1, 0],
            &[4, 0xff],
        ] {
            assert!(any(bad).is_err(), "{bad:?}");
        }
    }

    /// Any byte may be another, and the end anywhere: an answer or an error, and never another certificate's key.
    #[test]
    fn damaged_certificates_are_read_or_refused() {
        let key = KeyPair::generate().unwrap();
        let whole = made(&key, &[(DnType::CommonName, "keys")], [2030, 1, 1]);
        let der = whole.der().to_vec();
        let read = |der: &[u8]| Certificate::read(der).and_then(|found| name(found.subject).map(|_| ()));
        assert!(read(&der).is_ok());
        for at in 0..der.len() {
            assert!(read(&der[..at]).is_err(), "cut at {at}");
            for change in [1, 0x80, 0xff] {
                let mut other = der.clone();
                other[at] ^= change;
                let _ = read(&other);
            }
        }
        assert!(read(&[der.as_slice(), &[0]].concat()).is_err());
    }
}
