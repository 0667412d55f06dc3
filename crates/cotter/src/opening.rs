//! Opening a volume in order to change it.

use crate::args::{KeySource, Opener};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::passphrase;
use crate::volume::{self, Disks, Seal};
use crypto::{Passphrase, VolumeKey};
use linux::Terminal;
use luks::{Accepted, OpenError, Slot, TokenId};
use unlock::Reading;

/// What a person named to open the volume with, read but not tried.
pub enum Given {
    /// A passphrase.
    Passphrase(Passphrase),
    /// The bindings, or the one in this token.
    Binding(Option<TokenId>),
}

/// A volume that was opened.
pub struct Opened {
    /// The keyslot that did it.
    pub slot: Slot,
    /// The key of the volume.
    pub key: VolumeKey,
}

/// Reads what the volume shall be opened with. A prompt is ended by a signal that we take, so that the terminal is put back; a
/// pipe is waited for by the kernel, where only a signal that ends the process helps. Whoever has read all there is takes
/// signals then.
pub fn read(opener: &Opener, host: &Host) -> Result<Given, CommandError> {
    if let Some(token) = opener.existing_token_id {
        return Ok(Given::Binding(Some(volume::token(token)?)));
    }
    if opener.by_binding {
        return Ok(Given::Binding(None));
    }
    if Terminal::types_stdin() {
        host.cancel_on_signal()?;
    }
    passphrase::existing(&opener.key, host.person()).map(Given::Passphrase)
}

/// Opens the volume.
pub fn open(
    disks: &Disks,
    header: &Accepted,
    opener: &Opener,
    given: Given,
    seal: Seal,
    host: &Host,
) -> Result<Opened, CommandError> {
    match given {
        Given::Passphrase(passphrase) => {
            let opened = by_passphrase(disks, header, passphrase, None);
            let opened = opened.map_err(|failed| failed.told(disks, &opener.key))?;
            if seal == Seal::Counts {
                volume::check_seal(header, &opened.key)?;
            }
            Ok(opened)
        }
        Given::Binding(token) => by_binding(disks, header, token, seal, host),
    }
}

/// Why a passphrase did not open the volume.
pub struct NotOpened {
    /// The passphrase.
    pub passphrase: Passphrase,
    /// What was said of it.
    pub source: OpenError,
}

impl NotOpened {
    /// In words, with what may be wrong with it.
    pub fn told(self, disks: &Disks, key: &KeySource) -> CommandError {
        let slip = match unlock::read_recovery_key(&self.passphrase) {
            Some(Reading::Mistyped { groups, .. }) => {
                format!("it looks like a recovery key with a slip in group {}", listed(&groups))
            }
            Some(Reading::WrongLength { found }) => {
                format!("it looks like a recovery key, but has {found} letters instead of 64")
            }
            _ => passphrase::likely_slip(key, &self.passphrase).to_owned(),
        };
        let hint = self.source.hint().map_or(slip, str::to_owned);
        CommandError::failed(format!("cannot open {}", disks.header().path().display()), self.source).hint(hint)
    }
}

fn listed(groups: &[u8]) -> String {
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Opens the volume, or this slot, with a passphrase; a recovery key may have been typed without its hyphens.
pub fn by_passphrase(
    disks: &Disks,
    header: &Accepted,
    passphrase: Passphrase,
    only: Option<Slot>,
) -> Result<Opened, NotOpened> {
    let source = match volume::open_by_passphrase(disks.header(), header, &passphrase, only) {
        Ok((slot, key)) => return Ok(Opened { slot, key }),
        Err(source) => source,
    };
    let wrong = matches!(source, OpenError::WrongPassphrase { .. } | OpenError::NoSlotOpens { .. });
    let meant = match unlock::read_recovery_key(&passphrase) {
        Some(Reading::Key(meant) | Reading::Mistyped { as_typed: Some(meant), .. }) if wrong => meant,
        _ => return Err(NotOpened { passphrase, source }),
    };
    if meant.secret().ct_eq(passphrase.expose()) {
        return Err(NotOpened { passphrase, source });
    }
    match volume::open_by_passphrase(disks.header(), header, &meant, only) {
        Ok((slot, key)) => Ok(Opened { slot, key }),
        Err(source) => Err(NotOpened { passphrase, source }),
    }
}

fn by_binding(
    disks: &Disks,
    header: &Accepted,
    token: Option<TokenId>,
    seal: Seal,
    host: &Host,
) -> Result<Opened, CommandError> {
    host.cancel_on_signal()?;
    let only = token.map(|token| slot_of(header, token)).transpose()?;
    let unlocked = volume::open_by_bindings(disks.header(), header, only, seal, host)?;
    output::say(&format!("keyslot {} was opened by its binding ({})", unlocked.slot, unlocked.pin));
    Ok(Opened { slot: unlocked.slot, key: unlocked.key })
}

/// The keyslot that a token binds.
fn slot_of(header: &Accepted, token: TokenId) -> Result<Slot, CommandError> {
    let bindings = unlock::bindings(header.header());
    let found = bindings.iter().find(|binding| binding.token == Some(token));
    found.map(|binding| binding.slot).ok_or_else(|| {
        let error = CommandError::plain(format!("token {token} is no binding that could be opened here"));
        error.hint("`cotter luks dump` lists the tokens; a passphrase does it too: -k FILE")
    })
}
