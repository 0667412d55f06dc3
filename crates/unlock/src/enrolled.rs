//! Keyslots that `systemd-cryptenroll` has enrolled: its tokens in a LUKS2 header.

use clevis::systemd::Tpm2;
use clevis::{BindingError, Unopened};
use json::Value;
use luks::{Header, Slot, Token, TokenId, TokenKind};

/// A keyslot and what systemd has enrolled for it.
#[derive(Debug)]
pub struct Enrolled {
    /// The keyslot.
    pub slot: Slot,
    /// The token that says so.
    pub token: TokenId,
    /// What finds its passphrase.
    pub how: How,
}

/// What finds the passphrase of a keyslot that systemd has enrolled.
#[derive(Clone, Debug)]
pub enum How {
    /// The TPM.
    Tpm2(Box<Tpm2>),
    /// Something that is not used here.
    Unopened(Unopened),
    /// A person, who has it on paper.
    Recovery,
}

/// What systemd has enrolled, in ascending order of keyslots; a token that cannot be read is passed over, see
/// [`unreadable`](crate::unreadable).
pub fn enrolled(header: &Header) -> Vec<Enrolled> {
    let tokens = header.as_luks2().into_iter().flat_map(|header| &header.metadata().tokens);
    let mut found: Vec<Enrolled> = tokens
        .filter_map(|(id, token)| Some((*id, token, read(token)?.ok()?)))
        .flat_map(|(id, token, how)| {
            token.keyslots.iter().map(move |slot| Enrolled { slot: *slot, token: id, how: how.clone() })
        })
        .collect();
    found.sort_by_key(|found| (found.slot, found.token));
    found
}

/// What a token of systemd's says; nothing if it is another's.
pub(crate) fn read(token: &Token) -> Option<Result<How, BindingError>> {
    Some(match token.recognised() {
        TokenKind::SystemdTpm2 => {
            let members: Value = token.members.clone().into();
            let read = Tpm2::read(&members.field("token"));
            read.map(|read| read.map_or_else(How::Unopened, |tpm2| How::Tpm2(Box::new(tpm2))))
        }
        TokenKind::SystemdFido2 => Ok(How::Unopened(Unopened::Fido2)),
        TokenKind::SystemdPkcs11 => Ok(How::Unopened(Unopened::Pkcs11)),
        TokenKind::SystemdRecovery => Ok(How::Recovery),
        TokenKind::Clevis
        | TokenKind::CotterSeal
        | TokenKind::CotterApprovals
        | TokenKind::Luks2Keyring { .. }
        | TokenKind::Other => return None,
    })
}
