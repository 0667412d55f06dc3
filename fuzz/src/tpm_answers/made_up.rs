//! A TPM that was made up: it has one key, whose private half is known, so that it can authenticate what the input lets it say.

use crypto::ec::{Curve, Point, Scalar};
use crypto::{Hash, Secret, cfb, hmac};
use std::collections::BTreeMap;
use tpm2::{ParentKey, ParentTemplate, Protection};

/// Its key.
pub(super) const PARENT: ParentTemplate =
    ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
/// What is sealed, and by which PIN.
pub(super) const SECRET: &[u8] = b"the secret that nobody else sees";
pub(super) const PIN: &[u8] = b"the pin of nobody";
/// It believes any signature.
pub(super) const SIGNATURE: &[u8] = &[0x5a; 64];

const HASH: Hash = Hash::Sha256;
const NONCE: [u8; 32] = [0x11; 32];
/// See the module.
#[derive(Default)]
pub(super) struct MadeUp {
    /// The key of each session.
    sessions: BTreeMap<u32, Vec<u8>>,
    made: u32,
}

/// `TPMS_AUTH_COMMAND` of a command that has one.
pub(super) struct Authorisation<'c> {
    pub(super) handle: u32,
    nonce: &'c [u8],
    pub(super) attributes: u8,
    /// What follows it.
    parameters: &'c [u8],
}

impl<'c> Authorisation<'c> {
    pub(super) fn of(command: &'c [u8]) -> Option<Authorisation<'c>> {
        if command[..2] != [0x80, 2] {
            return None;
        }
        let area = command.get(10 + 4 * handles(command)..)?;
        let (len, rest) = area.split_first_chunk::<4>()?;
        let (area, parameters) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let (handle, rest) = area.split_first_chunk::<4>()?;
        let (nonce, rest) = sized(rest)?;
        Some(Authorisation { handle: u32::from_be_bytes(*handle), nonce, attributes: *rest.first()?, parameters })
    }
}

/// How many handles a command has, by the last byte of its code (part 3).
fn handles(command: &[u8]) -> usize {
    match command[9] {
        0x65 | 0x67 | 0x7a | 0x7e => 0,
        0x22 | 0x34 | 0x37 | 0x4e | 0x76 => 2,
        0x49 => 3,
        _ => 1,
    }
}

fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

impl MadeUp {
    /// A good answer: with these parameters, or with what a TPM would say.
    pub(super) fn answer(&mut self, command: &[u8], parameters: Option<&[u8]>) -> Vec<u8> {
        let said = Authorisation::of(command);
        let handle = self.handle(command);
        // Also where it is not said: this is what makes a session.
        let usual = self.parameters(command, said.as_ref(), handle).unwrap_or_default();
        let mut parameters = parameters.map_or(usual, <[u8]>::to_vec);
        if let Some(said) = &said {
            self.hide(command, &mut parameters, said);
        }
        let mut body: Vec<u8> = handle.into_iter().flat_map(u32::to_be_bytes).collect();
        if let Some(said) = &said {
            body.extend(u32::try_from(parameters.len()).unwrap().to_be_bytes());
            body.extend(&parameters);
            body.extend(self.authorise(command, &parameters, said));
        } else {
            body.extend(&parameters);
        }
        let tag: [u8; 2] = if said.is_some() { [0x80, 2] } else { [0x80, 1] };
        let len = u32::try_from(10 + body.len()).unwrap().to_be_bytes();
        [&tag[..], &len, &[0; 4], &body].concat()
    }

    fn handle(&mut self, command: &[u8]) -> Option<u32> {
        let first = match command[9] {
            0x31 | 0x57 | 0x67 => 0x8000_0000,
            0x76 => 0x0200_0000,
            _ => return None,
        };
        self.made += 1;
        Some(first + self.made)
    }

    /// What a TPM says to a command that it understands.
    fn parameters(&mut self, command: &[u8], said: Option<&Authorisation<'_>>, handle: Option<u32>) -> Option<Vec<u8>> {
        let plain = command.get(10 + 4 * handles(command)..)?;
        let given = said.map_or(plain, |said| said.parameters);
        let second = || sized(given).and_then(|(_, rest)| sized(rest)).map(|(area, _)| area);
        match command[9] {
            0x31 => created(second()?),
            0x53 => Some([&sized_of(&[9; 160])[..], &sized_of(second()?), &NO_CREATION_DATA].concat()),
            0x76 => self.start(plain, handle?),
            0x57 | 0x67 => Some(name_of(second()?)),
            0x73 => {
                let area = parent()?;
                Some([&sized_of(&area)[..], &name_of(&area), &[0, 0]].concat())
            }
            0x77 => Some([&[0x80, 0x22, 0x40, 0, 0, 1][..], &sized_of(&[6; 32])].concat()),
            0x69 => {
                // A counter that was counted up, as the index that was asked for.
                let public = [&command[10..14], &[0, 0x0b, 0x22, 6, 0, 0x16, 0, 0, 0, 8]].concat();
                Some([sized_of(&public), name_of(&public)].concat())
            }
            0x4e => Some(sized_of(&[0, 0, 0, 0, 0, 0, 0, 5])),
            0x54 => Some(sized_of(&[sized_of(&[5; 32]), sized_of(&[6; 32])].concat())),
            0x5e | 0x89 => Some(sized_of(&[3; 32])),
            0x7e => eight_pcrs(given),
            _ => None,
        }
    }

    /// `TPM2_StartAuthSession`: takes the salt out with the private half of the key.
    fn start(&mut self, parameters: &[u8], handle: u32) -> Option<Vec<u8>> {
        let (nonce, rest) = sized(parameters)?;
        let (point, _) = sized(rest)?;
        let (x, rest) = sized(point)?;
        let (y, _) = sized(rest)?;
        let theirs = Point::from_coordinates(Curve::P256, x, y).ok()?;
        let shared = theirs.multiply(&private()).ok()?;
        let ours = Point::base_times(&private()).ok()?;
        let salt = HASH.digest(&[&[0, 0, 0, 1], shared.x(), b"SECRET\0", x, ours.x()]);
        let key = hmac(HASH, salt.as_ref(), &[&[0, 0, 0, 1], b"ATH\0", &NONCE, nonce, &[0, 0, 1, 0]]);
        self.sessions.insert(handle, key.as_ref().to_vec());
        Some(sized_of(&NONCE))
    }

    /// Encrypts the content of the first parameter, if the command asks for that.
    fn hide(&self, command: &[u8], parameters: &mut [u8], said: &Authorisation<'_>) {
        let Some(key) = self.sessions.get(&said.handle).filter(|_| said.attributes & 0x40 != 0) else { return };
        let Some((len, text)) = parameters.split_first_chunk_mut::<2>() else { return };
        let Some(text) = text.get_mut(..u16::from_be_bytes(*len).into()) else { return };
        let key = [key.as_slice(), self.pin(command)].concat();
        let key = hmac(HASH, &key, &[&[0, 0, 0, 1], b"CFB\0", &NONCE, said.nonce, &[0, 0, 1, 0]]);
        cfb::encrypt(&Secret::copied_from(key.as_ref()), text).expect("a key of AES-128 and a vector");
    }

    /// Only one conversation unseals with a PIN, in its second session.
    fn pin(&self, command: &[u8]) -> &'static [u8] {
        if command[9] == 0x5e && self.made == 4 { PIN } else { &[] }
    }

    /// What comes behind the parameters: `HMAC(sessionKey ‖ authValue, H(0 ‖ code ‖ parameters) ‖ nonceTPM ‖ nonceCaller ‖ attributes)`.
    fn authorise(&self, command: &[u8], parameters: &[u8], said: &Authorisation<'_>) -> Vec<u8> {
        let Some(key) = self.sessions.get(&said.handle) else {
            // By password.
            return vec![0, 0, said.attributes, 0, 0];
        };
        let digest = HASH.digest(&[&[0; 4], &command[6..10], parameters]);
        let key = [key.as_slice(), self.pin(command)].concat();
        let mac = hmac(HASH, &key, &[digest.as_ref(), &NONCE, said.nonce, &[said.attributes]]);
        [&sized_of(&NONCE)[..], &[said.attributes], &sized_of(mac.as_ref())].concat()
    }
}

fn private() -> Scalar {
    Scalar::from_bytes(Curve::P256, &[0x42; 32]).unwrap()
}

/// The template of [`PARENT`] with the key in it.
fn parent() -> Option<Vec<u8>> {
    let template = [0, 0x23, 0, 0x0b, 0, 3, 4, 0x72, 0, 0, 0, 6, 0, 0x80, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10];
    let key = Point::base_times(&private()).ok()?;
    Some([&template[..], &sized_of(key.x()), &sized_of(key.y())].concat())
}

/// The answer to `TPM2_CreatePrimary` of this template.
fn created(template: &[u8]) -> Option<Vec<u8>> {
    let area = parent()?;
    let ours = template.strip_suffix(&[0; 4]).is_some_and(|template| area.starts_with(template));
    let area = if ours { area } else { template.to_vec() };
    Some([&sized_of(&area)[..], &NO_CREATION_DATA, &name_of(&area)].concat())
}

/// The answer to `TPM2_PCR_Read` of one bank of SHA-256: the lowest eight that are asked for.
fn eight_pcrs(selection: &[u8]) -> Option<Vec<u8>> {
    let [low, middle, high] = *selection.get(7..10)?.first_chunk::<3>()?;
    let (asked, mut bits) = (u32::from_le_bytes([low, middle, high, 0]), 0u32);
    (0..24).map(|pcr| 1 << pcr).filter(|bit| asked & bit != 0).take(8).for_each(|bit| bits |= bit);
    let mut parameters = vec![0, 0, 0, 9, 0, 0, 0, 1, 0, 0x0b, 3];
    parameters.extend(&bits.to_le_bytes()[..3]);
    parameters.extend(bits.count_ones().to_be_bytes());
    (0..bits.count_ones()).for_each(|_| parameters.extend(sized_of(&[2; 32])));
    Some(parameters)
}

/// No creation data, no digest of it, an empty ticket.
const NO_CREATION_DATA: [u8; 12] = [0, 0, 0, 0, 0x80, 0x21, 0x40, 0, 0, 1, 0, 0];

/// `TPM2B_NAME` of what is named by SHA-256.
fn name_of(area: &[u8]) -> Vec<u8> {
    sized_of(&[&[0, 0x0b], HASH.digest(&[area]).as_ref()].concat())
}

fn sized_of(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("nothing here is so long");
    [&len.to_be_bytes()[..], content].concat()
}
