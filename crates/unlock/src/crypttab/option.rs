//! The fourth field: options, each as a value if it matters to a LUKS disk, by its name if not.

use super::device::Place;
use super::escape;
use super::fault::{LineError, OptionError};
use super::kind::Kind;
use super::time_span::Patience;
use luks::Slot;
use std::fmt;

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A word, or one with `=yes` or `=no`, and whether it switches on.
    Flag(Flag, bool),
    /// `tries=`: how often a key is asked for; 0 is without end.
    Tries(u32),
    /// `timeout=`: how long a person is asked.
    Timeout(Patience),
    /// `token-timeout=`: how long a token or TPM is waited for.
    TokenTimeout(Patience),
    /// `keyfile-timeout=`: how long the device with the key file is waited for.
    KeyfileTimeout(Patience),
    /// `keyfile-size=`: at most this many bytes of the key file are the key. Never zero.
    KeyfileSize(u64),
    /// `keyfile-offset=`: the key begins at this byte of the key file.
    KeyfileOffset(u64),
    /// `key-slot=` or `keyslot=`: this one and no other.
    KeySlot(Slot),
    /// `header=`: the header stands in this file or device, apart from its data.
    Header(Place),
    /// `keyscript=`: Debian's program that prints the key; a path, or a name in the directory of Debian's scripts.
    Keyscript(String),
    /// `tpm2-device=`
    Tpm2Device(TokenDevice),
    /// `pkcs11-uri=`
    Pkcs11Uri(TokenDevice),
    /// `fido2-device=`
    Fido2Device(TokenDevice),
    /// `password-echo=`
    PasswordEcho(Echo),
    /// `link-volume-key=KEYRING::DESCRIPTION`: the volume key goes into that keyring too.
    LinkVolumeKey {
        /// A number, or a name such as `@u` or `%:session`.
        keyring: String,
        /// The description of the key, after its type if one is named (`%user:name`).
        description: String,
    },
    /// `tmp` or `tmp=FILESYSTEM`: a fresh file system is made at each start.
    Tmp(Option<String>),
    /// Any other, as it stands.
    Other {
        /// What stands before `=`.
        name: String,
        /// What stands behind it, if it is there.
        value: Option<String>,
    },
}

/// An option that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `luks`
    Luks,
    /// `plain`
    Plain,
    /// `tcrypt`
    Tcrypt,
    /// `bitlk`
    Bitlk,
    /// `fvault2`
    Fvault2,
    /// `swap`: made a swap area anew at each start.
    Swap,
    /// `noauto`; off by `auto`. Debian leaves the disk alone at boot, systemd opens it when a mount needs it.
    NoAuto,
    /// `nofail`; off by `fail`. The boot goes on without it.
    NoFail,
    /// `_netdev`: needs the network.
    NetDev,
    /// `discard` or `allow-discards`
    Discard,
    /// `readonly` or `read-only`
    ReadOnly,
    /// `no-read-workqueue`
    NoReadWorkqueue,
    /// `no-write-workqueue`
    NoWriteWorkqueue,
    /// `same-cpu-crypt`
    SameCpuCrypt,
    /// `submit-from-crypt-cpus`
    SubmitFromCryptCpus,
    /// `initramfs`: Debian opens it there.
    Initramfs,
    /// `x-initrd.attach`: systemd opens it there and leaves it open to the end.
    InitrdAttach,
    /// `headless`: never ask a person.
    Headless,
    /// `try-empty-password`
    TryEmptyPassword,
    /// `keyfile-erase`: the key file is removed after use.
    KeyfileErase,
}

/// A TPM, security key or smart card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenDevice {
    /// Whichever fits.
    Auto,
    /// This one, by path or URI.
    Named(String),
}

/// What shows while a person types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// What is typed.
    Yes,
    /// Nothing.
    No,
    /// An asterisk for each character.
    Masked,
}

/// Words, what they switch, and whether on or off. The first spelling is the one that is written.
const WORDS: &[(&str, Flag, bool)] = &[
    ("luks", Flag::Luks, true),
    ("plain", Flag::Plain, true),
    ("tcrypt", Flag::Tcrypt, true),
    ("bitlk", Flag::Bitlk, true),
    ("fvault2", Flag::Fvault2, true),
    ("swap", Flag::Swap, true),
    ("noauto", Flag::NoAuto, true),
    ("auto", Flag::NoAuto, false),
    ("nofail", Flag::NoFail, true),
    ("fail", Flag::NoFail, false),
    ("_netdev", Flag::NetDev, true),
    ("discard", Flag::Discard, true),
    ("allow-discards", Flag::Discard, true),
    ("readonly", Flag::ReadOnly, true),
    ("read-only", Flag::ReadOnly, true),
    ("no-read-workqueue", Flag::NoReadWorkqueue, true),
    ("no-write-workqueue", Flag::NoWriteWorkqueue, true),
    ("same-cpu-crypt", Flag::SameCpuCrypt, true),
    ("submit-from-crypt-cpus", Flag::SubmitFromCryptCpus, true),
    ("initramfs", Flag::Initramfs, true),
    ("x-initrd.attach", Flag::InitrdAttach, true),
    ("headless", Flag::Headless, true),
    ("try-empty-password", Flag::TryEmptyPassword, true),
    ("keyfile-erase", Flag::KeyfileErase, true),
];

/// Flags that may have `=yes` or `=no`.
const SWITCHES: &[Flag] = &[Flag::Headless, Flag::TryEmptyPassword, Flag::KeyfileErase];

/// The options of one line. Empty ones, `none` and `-` say nothing.
pub(super) fn parse(raw: &str) -> Result<Vec<Setting>, LineError> {
    let read = divide(raw).into_iter().filter_map(|word| Setting::parse(&word).transpose());
    let settings = read.collect::<Result<Vec<_>, _>>()?;
    let headers = settings.iter().filter(|setting| matches!(setting, Setting::Header(_)));
    if headers.count() > 1 {
        return Err(LineError::BadOption { option: "header".into(), why: OptionError::Twice });
    }
    Ok(settings)
}

/// The words between commas; a comma that belongs to its word is in octal digits afterwards.
fn divide(raw: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            ',' => words.push(std::mem::take(&mut word)),
            '\\' => match rest.next() {
                Some(',') => word.push_str("\\054"),
                Some(next) => word.extend(['\\', next]),
                None => word.push('\\'),
            },
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

impl Setting {
    fn parse(raw: &str) -> Result<Option<Setting>, LineError> {
        let (name, raw_value) = raw.split_once('=').map_or((raw, None), |(name, value)| (name, Some(value)));
        let name = escape::decode(name)?;
        let value = raw_value.map(escape::decode).transpose()?;
        let setting = match (name.as_str(), raw_value) {
            ("" | "none" | "-", None) => return Ok(None),
            ("", Some(_)) => Err(OptionError::NoName),
            ("header", Some(place)) => Place::parse(place)?.map(Setting::Header).map(Some).ok_or(OptionError::NotAPath),
            _ => Setting::known(&name, value.as_deref()),
        };
        match setting {
            Ok(Some(setting)) => Ok(Some(setting)),
            Ok(None) => Ok(Some(Setting::Other { name, value })),
            Err(why) => Err(LineError::BadOption { option: name, why }),
        }
    }

    /// `None` if the name is not known.
    fn known(name: &str, value: Option<&str>) -> Result<Option<Setting>, OptionError> {
        if let Some((_, flag, on)) = WORDS.iter().find(|(word, ..)| *word == name) {
            return switched(*flag, *on, value).map(Some);
        }
        let text = || value.filter(|value| !value.is_empty()).ok_or(OptionError::NoValue);
        Ok(Some(match name {
            "tries" => Setting::Tries(number(text()?)?),
            "timeout" => Setting::Timeout(Patience::parse(text()?)?),
            "token-timeout" => Setting::TokenTimeout(Patience::parse(text()?)?),
            "keyfile-timeout" => Setting::KeyfileTimeout(Patience::parse(text()?)?),
            "keyfile-size" => Setting::KeyfileSize(number(text()?).and_then(above_zero)?),
            "keyfile-offset" => Setting::KeyfileOffset(number(text()?)?),
            "key-slot" | "keyslot" => Setting::KeySlot(Slot::new(number(text()?)?).ok_or(OptionError::NotASlot)?),
            "header" => return Err(OptionError::NoValue),
            "keyscript" => Setting::Keyscript(text()?.into()),
            "tpm2-device" => Setting::Tpm2Device(TokenDevice::new(text()?)),
            "pkcs11-uri" => Setting::Pkcs11Uri(TokenDevice::new(text()?)),
            "fido2-device" => Setting::Fido2Device(TokenDevice::new(text()?)),
            "password-echo" => Setting::PasswordEcho(Echo::parse(text()?)?),
            "link-volume-key" => Setting::linked(text()?)?,
            "tmp" => Setting::Tmp(value.map(|_| text()).transpose()?.map(str::to_owned)),
            _ => return Ok(None),
        }))
    }

    fn linked(text: &str) -> Result<Setting, OptionError> {
        let parts = text.split_once("::").filter(|(keyring, key)| !keyring.is_empty() && !key.is_empty());
        let (keyring, description) = parts.ok_or(OptionError::NotAKeyName)?;
        Ok(Setting::LinkVolumeKey { keyring: keyring.into(), description: description.into() })
    }

    /// The kind of encryption that this option is the name of.
    pub(super) fn names_kind(&self) -> Option<Kind> {
        match self {
            Setting::Flag(Flag::Luks, _) => Some(Kind::Luks),
            Setting::Flag(Flag::Plain, _) => Some(Kind::Plain),
            Setting::Flag(Flag::Tcrypt, _) => Some(Kind::Tcrypt),
            Setting::Flag(Flag::Bitlk, _) => Some(Kind::Bitlk),
            Setting::Flag(Flag::Fvault2, _) => Some(Kind::Fvault2),
            _ => None,
        }
    }

    /// The kind of encryption that this option only makes sense with.
    pub(super) fn implies(&self) -> Option<Kind> {
        match self {
            Setting::KeySlot(_) | Setting::Header(_) => Some(Kind::Luks),
            Setting::Flag(Flag::Swap, _) | Setting::Tmp(_) => Some(Kind::Plain),
            Setting::Other { name, .. } if name.starts_with("tcrypt") || name == "veracrypt" => Some(Kind::Tcrypt),
            _ => None,
        }
    }
}

fn switched(flag: Flag, on: bool, value: Option<&str>) -> Result<Setting, OptionError> {
    match value {
        None => Ok(Setting::Flag(flag, on)),
        Some(value) if SWITCHES.contains(&flag) => Ok(Setting::Flag(flag, boolean(value)?)),
        Some(_) => Err(OptionError::AValue),
    }
}

/// As systemd spells them, in any case.
fn boolean(text: &str) -> Result<bool, OptionError> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
        _ => Err(OptionError::NotABoolean),
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, OptionError> {
    // `parse` also takes a plus sign.
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or(OptionError::NotANumber)
}

fn above_zero(number: u64) -> Result<u64, OptionError> {
    if number == 0 { Err(OptionError::NotANumber) } else { Ok(number) }
}

impl TokenDevice {
    fn new(text: &str) -> TokenDevice {
        if text == "auto" { TokenDevice::Auto } else { TokenDevice::Named(text.into()) }
    }

    fn text(&self) -> &str {
        match self {
            TokenDevice::Auto => "auto",
            TokenDevice::Named(name) => name,
        }
    }
}

impl Echo {
    fn parse(text: &str) -> Result<Echo, OptionError> {
        match text {
            "masked" => Ok(Echo::Masked),
            text => Ok(if boolean(text)? { Echo::Yes } else { Echo::No }),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Echo::Yes => "yes",
            Echo::No => "no",
            Echo::Masked => "masked",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| escape::encode(text, &[',']);
        match self {
            Setting::Flag(flag, on) => f.write_str(&spelled(*flag, *on)),
            Setting::Tries(number) => write!(f, "tries={number}"),
            Setting::Timeout(patience) => write!(f, "timeout={patience}"),
            Setting::TokenTimeout(patience) => write!(f, "token-timeout={patience}"),
            Setting::KeyfileTimeout(patience) => write!(f, "keyfile-timeout={patience}"),
            Setting::KeyfileSize(bytes) => write!(f, "keyfile-size={bytes}"),
            Setting::KeyfileOffset(bytes) => write!(f, "keyfile-offset={bytes}"),
            Setting::KeySlot(slot) => write!(f, "key-slot={slot}"),
            Setting::Header(place) => write!(f, "header={}", place.text(&[','])),
            Setting::Keyscript(script) => write!(f, "keyscript={}", text(script)),
            Setting::Tpm2Device(device) => write!(f, "tpm2-device={}", text(device.text())),
            Setting::Pkcs11Uri(device) => write!(f, "pkcs11-uri={}", text(device.text())),
            Setting::Fido2Device(device) => write!(f, "fido2-device={}", text(device.text())),
            Setting::PasswordEcho(echo) => write!(f, "password-echo={}", echo.text()),
            Setting::LinkVolumeKey { keyring, description } => {
                write!(f, "link-volume-key={}::{}", text(keyring), text(description))
            }
            Setting::Tmp(None) => f.write_str("tmp"),
            Setting::Tmp(Some(system)) => write!(f, "tmp={}", text(system)),
            Setting::Other { name, value } => {
                f.write_str(&escape::encode(name, &[',', '=']))?;
                value.as_ref().map_or(Ok(()), |value| write!(f, "={}", text(value)))
            }
        }
    }
}

fn spelled(flag: Flag, on: bool) -> String {
    let word = |on| WORDS.iter().find(|(_, of, when)| *of == flag && *when == on).map(|(word, ..)| *word);
    word(on).map_or_else(|| format!("{}=no", word(true).unwrap_or_default()), str::to_owned)
}
