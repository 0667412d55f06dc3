//! The second and third field: where the data are, and what opens them.

use super::escape;
use super::fault::LineError;
use std::fmt;

/// A block device or file, by path or by what it carries.
///
/// A value after `=` may stand in single or double quotes, as both originals read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// An absolute path.
    Path(String),
    /// `UUID=`: of the file system or LUKS header.
    Uuid(String),
    /// `PARTUUID=`: of the partition's entry.
    PartUuid(String),
    /// `LABEL=`: of the file system or LUKS2 header.
    Label(String),
    /// `PARTLABEL=`: of the partition's entry.
    PartLabel(String),
    /// `ID=`: a name in `/dev/disk/by-id`. Neither crypttab(5) knows it; mount(8) does.
    Id(String),
}

/// A file, on the running system or in the root of another device's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path; absolute unless a device is named.
    pub path: String,
    /// The device behind `:` that is to be mounted for it; systemd alone does that.
    pub device: Option<Device>,
}

/// The third field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// `none`, `-` or nothing: a token or a person brings it. systemd first looks into `/etc/cryptsetup-keys.d/NAME.key`.
    Ask,
    /// In a file, which may be a device such as `/dev/urandom`.
    File(Place),
    /// Anything else: what a key script is called with.
    Word(String),
}

type Tag = (&'static str, fn(String) -> Device);

const TAGS: &[Tag] = &[
    ("UUID=", Device::Uuid),
    ("PARTUUID=", Device::PartUuid),
    ("LABEL=", Device::Label),
    ("PARTLABEL=", Device::PartLabel),
    ("ID=", Device::Id),
];

impl Device {
    pub(super) fn parse(raw: &str) -> Result<Device, LineError> {
        let tagged = TAGS.iter().find_map(|(tag, make)| Some((raw.strip_prefix(tag)?, make)));
        let device = match tagged {
            Some((value, make)) => Some(escape::decode(unquoted(value))?).filter(|value| !value.is_empty()).map(make),
            None => Some(escape::decode(raw)?).filter(|path| path.starts_with('/')).map(Device::Path),
        };
        device.ok_or_else(|| LineError::BadDevice { device: raw.into() })
    }

    /// With the characters of `also` in octal digits.
    fn text(&self, also: &[char]) -> String {
        let (tag, value) = match self {
            Device::Path(path) => return escape::encode(path, also),
            Device::Uuid(value) => ("UUID=", value),
            Device::PartUuid(value) => ("PARTUUID=", value),
            Device::Label(value) => ("LABEL=", value),
            Device::PartLabel(value) => ("PARTLABEL=", value),
            Device::Id(value) => ("ID=", value),
        };
        let also: Vec<char> = also.iter().copied().chain(['"', '\'']).collect();
        format!("{tag}{}", escape::encode(value, &also))
    }
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

impl Place {
    /// `PATH` or `PATH:DEVICE`, divided at the last colon if what follows it is a device; `None` if it is neither.
    pub(super) fn parse(raw: &str) -> Result<Option<Place>, LineError> {
        let divided = raw.rsplit_once(':').filter(|(path, device)| !path.is_empty() && is_device(device));
        let (path, device) = divided.map_or((raw, None), |(path, device)| (path, Some(device)));
        let path = escape::decode(path)?;
        let device = device.map(Device::parse).transpose()?;
        Ok(Some(Place { path, device }).filter(|place| place.device.is_some() || place.path.starts_with('/')))
    }

    /// With the characters of `also`, and colons that would divide it elsewhere, in octal digits.
    pub(super) fn text(&self, also: &[char]) -> String {
        let with_colon: Vec<char> = also.iter().copied().chain([':']).collect();
        let Some(device) = &self.device else {
            let plain = escape::encode(&self.path, also);
            let divides = plain.rsplit_once(':').is_some_and(|(_, device)| is_device(device));
            return if divides { escape::encode(&self.path, &with_colon) } else { plain };
        };
        format!("{}:{}", escape::encode(&self.path, also), device.text(&with_colon))
    }
}

/// What systemd takes for a device behind a colon.
fn is_device(raw: &str) -> bool {
    let has_value = |(tag, _): &Tag| raw.strip_prefix(tag).is_some_and(|value| !unquoted(value).is_empty());
    raw.starts_with("/dev/") || TAGS.iter().any(has_value)
}

impl Key {
    pub(super) fn parse(raw: &str) -> Result<Key, LineError> {
        let word = escape::decode(raw)?;
        if word == "none" || word == "-" {
            return Ok(Key::Ask);
        }
        Ok(Place::parse(raw)?.map_or(Key::Word(word), Key::File))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&[]))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&[]))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Ask => f.write_str("none"),
            Key::File(place) => place.fmt(f),
            Key::Word(word) => f.write_str(&escape::encode(word, &[])),
        }
    }
}
