//! Opening a volume in order to change it.

use crate::args::{KeySource, Opener};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::passphrase;
use crate::typed::{self, NotOpened};
use crate::volume::{self, Disks, Seal};
use crypto::{Passphrase, VolumeKey};
use linux::Terminal;
use luks::{Accepted, Slot, TokenId};

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
            let opened = opened.map_err(|failed| not_opened(disks, failed, &opener.key))?;
            if seal == Seal::Counts {
                volume::check_seal(header, &opened.key)?;
            }
            Ok(opened)
        }
        Given::Binding(token) => by_binding(disks, header, token, seal, host),
    }
}

/// In words that a passphrase did not open the volume.
pub fn not_opened(disks: &Disks, failed: NotOpened, key: &KeySource) -> CommandError {
    let hint = failed.hint(key);
    CommandError::failed(format!("cannot open {}", disks.header().path().display()), failed.source).hint(hint)
}

/// Opens the volume, or this slot, with a passphrase.
pub fn by_passphrase(
    disks: &Disks,
    header: &Accepted,
    passphrase: Passphrase,
    only: Option<Slot>,
) -> Result<Opened, NotOpened> {
    typed::open(disks.header(), header, passphrase, only).map(|opened| Opened { slot: opened.slot, key: opened.key })
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
