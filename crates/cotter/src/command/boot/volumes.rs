//! The volumes that a system opens while it starts: what crypttab says of them, what is below the root, and what opens each.

use super::target::Target;
use crate::args::Device;
use crate::crypttab_line;
use crate::error::CommandError;
use crate::volume::{Disks, reasons};
use block::partition::Uuid;
use bootimage::Framework;
use linux::{Access, OpenVolume};
use luks::Header;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use unlock::crypttab::{self, Crypttab, Entry, Flag, Key, Kind, Setting};

/// The table.
pub const TABLE: &str = "/etc/crypttab";
/// What lies on volumes that are opened before the root is there.
const EARLY: [&str; 2] = ["/", "/usr"];

/// A volume that is opened while the system starts.
#[derive(Debug)]
pub struct Volume {
    /// Its name in crypttab, or that of its mapping.
    pub name: String,
    /// Its line in crypttab, from 1, if it has one.
    pub line: Option<usize>,
    /// Its disk, as this machine finds it.
    pub device: Device,
    /// When it is opened.
    pub stage: Stage,
    /// Who is asked for its key.
    pub asked: Asked,
    /// Its header, or why that cannot be read.
    pub header: Result<Header, String>,
}

/// When a volume is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// By the initramfs.
    Initramfs,
    /// By the system, once its root is there.
    System,
}

/// Who is asked for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whoever answers: a person, or cotter.
    Anybody,
    /// Nobody, or somebody else, and why.
    Other(String),
}

/// The volumes, and what else is to be said of crypttab.
pub struct Found {
    /// The volumes in the order of their lines; those without a line come last.
    pub volumes: Vec<Volume>,
    /// Why lines are passed over.
    pub remarks: Vec<String>,
    /// The content of crypttab.
    pub text: Vec<u8>,
}

impl Volume {
    /// The UUID of its header.
    pub fn uuid(&self) -> Option<Uuid> {
        self.header.as_ref().ok().map(Header::uuid)
    }

    /// Whether a keyslot of it is bound.
    pub fn is_bound(&self) -> bool {
        self.header.as_ref().is_ok_and(|header| !unlock::plan_all(header, None).is_empty())
    }
}

/// Finds them. Volumes that are named are opened by the initramfs, wherever they stand.
pub fn find(target: &Target, framework: Framework, named: &[PathBuf]) -> Result<Found, CommandError> {
    let text = target.read(TABLE)?.unwrap_or_default();
    let what = || format!("cannot read {}", target.shown(TABLE));
    let table = crypttab::parse(&text).map_err(|source| CommandError::failed(what(), source))?;
    let below = if target.is_live() { below_root() } else { Vec::new() };
    let root_names = if target.is_live() { Vec::new() } else { mapped_root(target)? };
    let mut remarks: Vec<String> =
        table.faults.iter().map(|fault| format!("{}: {fault}: the line is passed over", target.shown(TABLE))).collect();
    let mut volumes = Vec::new();
    for entry in &table.entries {
        if !matches!(entry.kind(), Kind::Luks | Kind::Unstated) {
            remarks.push(format!("{}: it is no LUKS volume", line(entry)));
            continue;
        }
        let mut volume = match of_line(target, entry, framework) {
            Ok(volume) => volume,
            Err(why) => {
                remarks.push(format!("{}: {why}", line(entry)));
                continue;
            }
        };
        let is_early = below.iter().any(|open| is_of(open, &volume)) || root_names.contains(&volume.name);
        if is_early || is_named(named, entry, &volume) {
            volume.stage = Stage::Initramfs;
        }
        volumes.push(volume);
    }
    remarks.extend(volumes.iter().filter_map(remark));
    add_without_line(&mut volumes, &mut remarks, below, framework);
    add_named(target, &mut volumes, named, &table)?;
    Ok(Found { volumes, remarks, text })
}

fn line(entry: &Entry) -> String {
    format!("line {} of crypttab ({})", entry.line, entry.name)
}

fn of_line(target: &Target, entry: &Entry, framework: Framework) -> Result<Volume, &'static str> {
    let device = crypttab_line::device(&target.at("/"), entry)?;
    let header = header(&device);
    let early = match framework {
        Framework::InitramfsTools => entry.has(Flag::Initramfs),
        Framework::Dracut | Framework::Mkinitcpio => entry.has(Flag::InitrdAttach),
    };
    let stage = if early { Stage::Initramfs } else { Stage::System };
    let (name, line) = (entry.name.clone(), Some(entry.line));
    Ok(Volume { name, line, device, stage, asked: asked(entry), header })
}

/// Who is asked for the key of this line, by both originals.
fn asked(entry: &Entry) -> Asked {
    let by = entry.settings.iter().find_map(|setting| match setting {
        Setting::Keyscript(script) => Some(format!("the key script {script} is asked, and left alone")),
        Setting::Tpm2Device(_) => Some("systemd opens it by its own binding to the TPM".into()),
        Setting::Pkcs11Uri(_) => Some("systemd opens it by a smart card".into()),
        Setting::Fido2Device(_) => Some("systemd opens it by a security key".into()),
        _ => None,
    });
    let by = by.or(match &entry.key {
        Key::Ask => None,
        Key::File(place) if place.path.starts_with("/run/cotter/") => None,
        Key::File(place) => Some(format!("its key is in the file {}", place.path)),
        Key::Word(word) => Some(format!("its key is said to be {word}, which is no file")),
    });
    match by {
        Some(why) => Asked::Other(why),
        None if entry.has(Flag::NoAuto) => Asked::Other("noauto: it is not opened at the start".into()),
        None if entry.has(Flag::Headless) => Asked::Other("headless: nobody is asked".into()),
        None => Asked::Anybody,
    }
}

/// Why a line that can be read opens nothing by itself.
fn remark(volume: &Volume) -> Option<String> {
    let place = format!("line {} of crypttab ({})", volume.line?, volume.name);
    match (&volume.asked, &volume.header) {
        (Asked::Other(why), _) => Some(format!("{place}: {why}")),
        (_, Err(why)) => Some(format!("{place}: {why}")),
        (_, Ok(_)) if !volume.is_bound() => Some(format!("{place}: no keyslot is bound: a person is asked")),
        _ => None,
    }
}

fn header(device: &Device) -> Result<Header, String> {
    let header = Disks::open(device, Access::Read).and_then(|disks| disks.read_header());
    header.map_err(|error| reasons(&error.without_hint()))
}

/// The volumes below the root of this machine.
fn below_root() -> Vec<OpenVolume> {
    // One that is not mounted apart has none of its own.
    EARLY.iter().flat_map(|place| linux::volumes_below_mount(Path::new(place)).unwrap_or_default()).collect()
}

/// The names of mappings that fstab mounts as the root.
fn mapped_root(target: &Target) -> Result<Vec<String>, CommandError> {
    let text = target.read("/etc/fstab")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let names = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let device = fields.next()?.strip_prefix("/dev/mapper/")?.to_owned();
        fields.next().filter(|place| EARLY.contains(place)).map(|_| device)
    });
    Ok(names.collect())
}

fn is_of(open: &OpenVolume, volume: &Volume) -> bool {
    match volume.uuid() {
        Some(uuid) => open.uuid == uuid.as_simple().to_string(),
        None => open.name == volume.name,
    }
}

fn is_named(named: &[PathBuf], entry: &Entry, volume: &Volume) -> bool {
    named.iter().any(|name| {
        let text = name.to_string_lossy();
        let same = || name.canonicalize().ok().is_some_and(|path| volume.device.path.canonicalize().ok() == Some(path));
        text == entry.name || text == entry.device.to_string() || same()
    })
}

/// Volumes below the root that crypttab does not know.
fn add_without_line(
    volumes: &mut Vec<Volume>,
    remarks: &mut Vec<String>,
    below: Vec<OpenVolume>,
    framework: Framework,
) {
    let missing: BTreeSet<OpenVolume> =
        below.into_iter().filter(|open| !volumes.iter().any(|volume| is_of(open, volume))).collect();
    for open in missing {
        if framework == Framework::InitramfsTools {
            remarks.push(format!("{}: the root is on it, and it has no line in crypttab: it is given one", open.name));
        }
        let device = Device { path: open.device, detached_header: None };
        let (header, asked) = (header(&device), Asked::Anybody);
        volumes.push(Volume { name: open.name, line: None, device, stage: Stage::Initramfs, asked, header });
    }
}

/// Volumes that are named and have no line.
fn add_named(
    target: &Target,
    volumes: &mut Vec<Volume>,
    named: &[PathBuf],
    table: &Crypttab,
) -> Result<(), CommandError> {
    for path in named {
        let known = |entry: &Entry| {
            let volume = volumes.iter().find(|volume| volume.line == Some(entry.line));
            volume.is_some_and(|volume| is_named(std::slice::from_ref(path), entry, volume))
        };
        if table.entries.iter().any(known) {
            continue;
        }
        if !target.is_live() {
            let error = CommandError::plain(format!("{} has no line in {}", path.display(), target.shown(TABLE)));
            return Err(
                error.hint("with --root a volume is named as crypttab names it, by the first or the second field")
            );
        }
        let device = Device { path: path.clone(), detached_header: None };
        let header = Disks::open(&device, Access::Read)?.read_header()?;
        let name = format!("luks-{}", header.uuid());
        let asked = Asked::Anybody;
        volumes.push(Volume { name, line: None, device, stage: Stage::Initramfs, asked, header: Ok(header) });
    }
    Ok(())
}
