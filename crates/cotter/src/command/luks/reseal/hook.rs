//! What a package manager calls: all volumes of crypttab, the boot files that are others now, and nothing that stops an update.

use super::literal::{compared, foretell, tell_elsewhere};
use super::next::Next;
use super::signed;
use crate::args::{Device, ResealArgs};
use crate::command::tpm::log;
use crate::command::tpm::update::{LONGEST, Update};
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use crate::volume::Disks;
use linux::Access;
use std::fs;
use std::path::{Path, PathBuf};
use tpm2::event_log::{Component, End, EventLog, Image};
use unlock::crypttab;

/// Where the key that signs is, unless it is named.
const KEY: &str = "etc/cotter/reseal.jwk";
/// Where the files of the loader may be, below the root of the system, and nowhere else: the log is what a boot wrote that may be anybody's.
const BOOT_FOLDERS: [&str; 3] = ["boot", "boot/efi", "efi"];
/// Longest files together that are others now.
const MOST: u64 = 2 * LONGEST;

/// Does what can be done, and tells the rest.
pub fn run(args: &ResealArgs, version: Option<&str>) {
    if let Err(error) = reseal(args, version) {
        output::say(&format!("cotter: the bindings stay as they are: {error}"));
    }
}

fn reseal(args: &ResealArgs, version: Option<&str>) -> Result<(), CommandError> {
    let volumes = volumes(args)?;
    if volumes.is_empty() {
        return Ok(());
    }
    let host = Host::new(args.patience.limit());
    let log = log::read(&args.update.log)?;
    if log.end == End::Absent {
        output::say(
            "cotter: there is no log of the boot: whether the volumes will open after the restart cannot be said",
        );
        return Ok(());
    }
    let files = files(args, version, &log)?;
    let sign = args.sign.clone().unwrap_or_else(|| args.root.join(KEY));
    let key = if args.sign.is_some() || sign.exists() { Some(signed::private_key(&sign)?) } else { None };
    let next = Next { args, log, parts: files.parts(), key, host: &host };
    for device in &volumes {
        if let Err(error) = one(&next, device) {
            output::say(&format!("cotter: {}: {error}", visible(&device.path.display().to_string())));
        }
    }
    Ok(())
}

/// Nobody is here to give a passphrase: bindings with values of their own are told about alone.
fn one(next: &Next<'_>, device: &Device) -> Result<(), CommandError> {
    let disks = Disks::open(device, if next.args.dry_run { Access::Read } else { Access::Write })?;
    let header = disks.accepted(&next.args.ceilings)?;
    let bindings = unlock::bindings(header.header());
    let mut failed = signed::reseal(next, (device, &disks), &header, &bindings).err();
    for binding in &bindings {
        let parts = compared(binding)?;
        tell_elsewhere(binding, &parts);
        for part in parts.iter().filter(|part| !part.signed) {
            let told = foretell(next, device, binding, part);
            failed = failed.or(told.err());
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The volumes with bindings that compare PCRs.
fn volumes(args: &ResealArgs) -> Result<Vec<Device>, CommandError> {
    if !args.root.is_dir() {
        return Err(CommandError::plain(format!("there is no directory {}", args.root.display())));
    }
    let path = args.root.join("etc/crypttab");
    let Ok(text) = fs::read(&path) else { return Ok(Vec::new()) };
    let table = crypttab::parse(&text)
        .map_err(|source| CommandError::failed(format!("cannot read {}", path.display()), source))?;
    let device = |entry: &crypttab::Entry| Device { path: place(&args.root, &entry.device), detached_header: None };
    let compares = |device: &Device| {
        let header = Disks::open(device, Access::Read).and_then(|disks| disks.accepted(&args.ceilings));
        let bindings = header.map(|header| unlock::bindings(header.header())).unwrap_or_default();
        bindings.iter().any(|binding| compared(binding).is_ok_and(|parts| !parts.is_empty()))
    };
    Ok(table.entries.iter().map(device).filter(compares).collect())
}

/// The file of a device.
fn place(root: &Path, device: &crypttab::Device) -> PathBuf {
    let by = |kind: &str, value: &str| format!("dev/disk/by-{kind}/{value}");
    let path = match device {
        crypttab::Device::Path(path) => path.trim_start_matches('/').to_owned(),
        crypttab::Device::Uuid(value) => by("uuid", &value.to_lowercase()),
        crypttab::Device::PartUuid(value) => by("partuuid", &value.to_lowercase()),
        crypttab::Device::Label(value) => by("label", value),
        crypttab::Device::PartLabel(value) => by("partlabel", value),
        crypttab::Device::Id(value) => by("id", value),
    };
    root.join(path)
}

/// The kernel of this version with its initramfs, and every file of the log that is another one now.
fn files(args: &ResealArgs, version: Option<&str>, log: &EventLog) -> Result<Update, CommandError> {
    let mut update = args.update.clone();
    let first = |names: [String; 2]| names.iter().map(|name| args.root.join(name)).find(|path| path.is_file());
    if let Some(version) = version {
        let kernel = first([format!("boot/vmlinuz-{version}"), format!("lib/modules/{version}/vmlinuz")]);
        let initramfs = first([format!("boot/initrd.img-{version}"), format!("boot/initramfs-{version}.img")]);
        update.kernel = update.kernel.or(kernel);
        update.initramfs = update.initramfs.or(initramfs);
    }
    let mut files = Update::read(&update)?;
    let mut room = MOST;
    for place in places(log) {
        let content = found(&args.root, &place.path, room.min(LONGEST));
        if let Some(content) = content.filter(|content| !place.is_same(content)) {
            room = room.saturating_sub(content.len() as u64);
            files.add(place.path, content);
        }
    }
    Ok(files)
}

/// A file that was measured.
struct Place {
    path: String,
    hash: crypto::Hash,
    digest: Vec<u8>,
    kind: Kind,
}

enum Kind {
    /// By all of it.
    File,
    /// By its Authenticode digest.
    Program,
}

impl Place {
    fn is_same(&self, content: &[u8]) -> bool {
        match self.kind {
            Kind::File => self.hash.digest(&[content]).as_ref() == self.digest.as_slice(),
            // What is no program was not started.
            Kind::Program => Image::read(content).map_or(true, |image| image.authenticode(self.hash) == self.digest),
        }
    }
}

fn places(log: &EventLog) -> Vec<Place> {
    let of = |pcr: u8| {
        log.of_pcr(pcr).filter_map(|event| {
            let (hash, digest) = event.digests.last()?.clone();
            match event.component() {
                Component::File { path } => Some(Place { path, hash, digest, kind: Kind::File }),
                Component::Program { file: Some(path) } => Some(Place { path, hash, digest, kind: Kind::Program }),
                _ => None,
            }
        })
    };
    [4, 9].into_iter().flat_map(of).collect()
}

/// A file of the loader, wherever the system has it. What the loader calls it begins with a disk, or has backslashes.
fn found(root: &Path, path: &str, longest: u64) -> Option<Vec<u8>> {
    let bare = path.split_once(')').map_or(path, |(_, rest)| rest).replace('\\', "/");
    let bare = bare.trim_start_matches('/');
    // Where /boot is no file system of its own.
    let bare = bare.strip_prefix("boot/").unwrap_or(bare).trim_start_matches('/');
    if bare.split('/').any(|part| part == "..") {
        return None;
    }
    BOOT_FOLDERS.iter().find_map(|folder| linux::read_regular_file(&root.join(folder).join(bare), longest).ok())
}
