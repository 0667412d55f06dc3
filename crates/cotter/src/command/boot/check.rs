//! `cotter boot check`: each image is unpacked, and what is in it opens the volumes, without mapping them.

use super::images::{self, PROGRAM};
use super::system::System;
use super::target::{How, Target};
use super::volumes::{self, Asked, Found, Stage, Volume};
use crate::args::{CheckArgs, Device, Patience};
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use bootimage::{Image, Node};
use clevis::Cancel;
use json::{Limits, Object, Value};
use linux::{Apart, Output, apart};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Room for an unpacked image.
const ROOM: u64 = 2 << 30;
/// What no program of an image reads, and most of its bytes.
const LEFT_OUT: [&[u8]; 4] = [b"lib/modules/", b"usr/lib/modules/", b"lib/firmware/", b"usr/lib/firmware/"];
/// Key derivations and the start of a program, beside what the network takes.
const BESIDE: Duration = Duration::from_secs(120);
/// Where a volume that is no device of this machine's is seen in the image.
const FILES: &str = "run/cotter-check";
/// The name servers of the machine.
const RESOLV_CONF: &str = "etc/resolv.conf";

/// What was proved of one volume with one image.
pub struct Proof {
    /// The image; none: the system itself, for what it opens later.
    image: Option<String>,
    name: String,
    /// What the program in the image said.
    record: Object,
}

impl Proof {
    /// Whether every keyslot that can be proved opens.
    pub fn is_good(&self) -> bool {
        self.record.get("ok") == Some(&Value::Bool(true))
    }

    /// For people.
    pub fn line(&self) -> String {
        let place = self.image.as_deref().unwrap_or("the system");
        let text =
            |object: &Object, name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut line = format!("{place}: {}: ", self.name);
        let record = Value::from(self.record.clone());
        let slots = record.field("proof").optional("slots").ok().flatten();
        let slots = slots.iter().filter_map(|slots| slots.items().ok()).flatten().filter_map(|slot| {
            let number = slot.member("slot").ok()?.integer().ok()?;
            let slot = slot.object().ok()?;
            let why = text(slot, "why");
            let why = if why.is_empty() { why } else { format!(": {why}") };
            Some(format!("keyslot {number} ({}) {}{why}", text(slot, "pin"), text(slot, "state")))
        });
        let slots: Vec<String> = slots.collect();
        line.push_str(&if slots.is_empty() { text(&self.record, "error") } else { slots.join("; ") });
        visible(&line)
    }

    fn object(&self) -> Object {
        let image = self.image.as_deref().map_or(Value::Null, Value::from);
        let object = Object::new().with("image", image).with("name", self.name.as_str());
        self.record.iter().fold(object, |object, (name, value)| object.with(name, value.clone()))
    }
}

/// Proves what can be proved, and prints a line or an object for each volume and image.
pub fn run(args: &CheckArgs) -> Result<(), CommandError> {
    if !linux::machine::is_root() {
        return Err(CommandError::plain("only root can unpack an image and run what is in it"));
    }
    let target = Target::new(None)?;
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let system = System::find(&target, host.cancel())?;
    let found = volumes::find(&target, system.framework, &[])?;
    prove_all(&target, &system, &found, args.patience, host.cancel(), &mut |proof| {
        output::record(args.format, proof.object(), || proof.line())
    })
}

/// Proves each volume with each image that opens it, and with the system those that it opens later.
///
/// # Errors
/// One could not be opened, or an image could not be run.
pub fn prove_all(
    target: &Target,
    system: &System,
    found: &Found,
    patience: Patience,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&Proof) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let of = |stage: Stage| -> Vec<&Volume> {
        let bound = |volume: &&Volume| volume.stage == stage && volume.asked == Asked::Anybody && volume.is_bound();
        found.volumes.iter().filter(bound).collect()
    };
    let (early, late) = (of(Stage::Initramfs), of(Stage::System));
    if early.is_empty() && late.is_empty() {
        output::say("no volume that is opened at the start has a bound keyslot: a person is asked");
        return Ok(());
    }
    let mut bad = 0;
    let mut take = |proof: Proof| {
        bad += usize::from(!proof.is_good());
        tell(&proof)
    };
    for (_, image) in system.images().filter(|_| !early.is_empty()) {
        let proofs = in_image(target, image, &early, patience, cancel);
        let proofs =
            proofs.unwrap_or_else(|error| early.iter().map(|volume| failed(Some(image), volume, &error)).collect());
        proofs.into_iter().try_for_each(&mut take)?;
    }
    for volume in late {
        let proof =
            prove(volume, &volume.device, patience, cancel).unwrap_or_else(|error| failed(None, volume, &error));
        take(proof)?;
    }
    match bad {
        0 => Ok(()),
        bad => {
            let error = CommandError::plain(format!(
                "{bad} of the volumes would not be opened as they should be, as told above"
            ));
            Err(error.hint(
                "see what a volume is bound to: `cotter luks list -d DEVICE`; what is installed: `cotter boot status`",
            ))
        }
    }
}

fn failed(image: Option<&str>, volume: &Volume, error: &CommandError) -> Proof {
    let record = Object::new().with("error", error.to_string().replace('\n', " ")).with("ok", false);
    Proof { image: image.map(str::to_owned), name: volume.name.clone(), record }
}

/// All volumes with one image.
fn in_image(
    target: &Target,
    path: &str,
    volumes: &[&Volume],
    patience: Patience,
    cancel: &Cancel,
) -> Result<Vec<Proof>, CommandError> {
    let unpacked = images::unpack(target, path, cancel)?;
    let what = || format!("{path} cannot be tried");
    let image = unpacked.image().map_err(|source| CommandError::failed(what(), source))?;
    if !images::is_in(&image) {
        let error = CommandError::plain(format!("{path}: cotter is not in it"));
        return Err(error.hint("put it there: `cotter boot install`"));
    }
    let resolv = fs::read(Path::new("/").join(RESOLV_CONF)).unwrap_or_default();
    let place = private_place().map_err(|source| CommandError::failed(what(), source))?;
    let proofs = apart(|apart| {
        let devices = enter(apart, &place, &image, volumes, &resolv)?;
        let prove = |(volume, device): (&&Volume, Device)| {
            prove(volume, &device, patience, cancel).unwrap_or_else(|error| failed(Some(path), volume, &error))
        };
        Ok::<_, io::Error>(volumes.iter().zip(devices).map(prove).collect::<Vec<Proof>>())
    });
    // Empty: what was in it was in the memory of that thread alone.
    let _ = fs::remove_dir(&place);
    let proofs = proofs.and_then(|proofs| proofs).map_err(|source| CommandError::failed(what(), source))?;
    Ok(proofs.into_iter().map(|proof| Proof { image: Some(path.to_owned()), ..proof }).collect())
}

fn private_place() -> io::Result<PathBuf> {
    let places = [Path::new("/run"), Path::new("/tmp")];
    let place = places.into_iter().find(|place| place.is_dir()).unwrap_or(Path::new("/"));
    let path = place.join(format!("cotter-check-{}", std::process::id()));
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_dir(&path).and_then(|()| DirBuilder::new().mode(0o700).create(&path))
        }
        made => made,
    }?;
    Ok(path)
}

/// Unpacks the image into memory that nobody else sees, and makes it the root of this thread; tells where the volumes are then.
fn enter(
    apart: &Apart,
    place: &Path,
    image: &Image<'_>,
    volumes: &[&Volume],
    resolv: &[u8],
) -> io::Result<Vec<Device>> {
    apart.in_memory(place, ROOM)?;
    extract(image, place)?;
    for shared in ["dev", "proc", "sys"] {
        fs::create_dir_all(place.join(shared))?;
        apart.bind(&Path::new("/").join(shared), &place.join(shared))?;
    }
    if image.find(RESOLV_CONF).is_none() && !resolv.is_empty() {
        fs::create_dir_all(place.join("etc"))?;
        fs::write(place.join(RESOLV_CONF), resolv)?;
    }
    let mut number = 0;
    let mut seen = |path: &Path| -> io::Result<PathBuf> {
        if path.starts_with("/dev") {
            return Ok(path.to_owned());
        }
        number += 1;
        let inside = Path::new(FILES).join(number.to_string());
        fs::create_dir_all(place.join(FILES))?;
        fs::write(place.join(&inside), b"")?;
        apart.bind_bare(path, &place.join(&inside))?;
        Ok(Path::new("/").join(inside))
    };
    let devices = volumes.iter().map(|volume| {
        let detached_header = volume.device.detached_header.as_deref().map(&mut seen).transpose()?;
        Ok(Device { path: seen(&volume.device.path)?, detached_header })
    });
    let devices = devices.collect::<io::Result<_>>()?;
    apart.enter(place)?;
    Ok(devices)
}

/// Writes the files: in the order of their paths, which no link is part of, and links last.
fn extract(image: &Image<'_>, place: &Path) -> io::Result<()> {
    let path = |path: &[u8]| place.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
    let wanted = |path: &[u8]| !LEFT_OUT.iter().any(|left| path.starts_with(left));
    for (name, node) in image.nodes().filter(|(name, _)| wanted(name)) {
        match node {
            Node::Directory { .. } => DirBuilder::new().mode(0o755).create(path(name))?,
            Node::File { content, permissions } => {
                let mode = permissions & 0o755;
                OpenOptions::new().write(true).create_new(true).mode(mode).open(path(name))?.write_all(content)?;
            }
            Node::Link(_) | Node::Other => {}
        }
    }
    for (name, node) in image.nodes().filter(|(name, _)| wanted(name)) {
        if let Node::Link(to) = node {
            std::os::unix::fs::symlink(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(to), path(name))?;
        }
    }
    Ok(())
}

/// Runs the program that is at its place in the root of this thread.
fn prove(volume: &Volume, device: &Device, patience: Patience, cancel: &Cancel) -> Result<Proof, CommandError> {
    let (timeout, path) = (patience.timeout.to_string(), device.path.to_string_lossy());
    let header = device.detached_header.as_deref().map(Path::to_string_lossy);
    let mut words = vec![PROGRAM, "boot", "prove", "--timeout", &timeout, "-d", &path];
    words.extend(header.as_deref().into_iter().flat_map(|header| ["--detached-header", header]));
    let limit = patience.limit().saturating_mul(4) + BESIDE;
    let how = How { input: &[], output: Output::Kept(1 << 20), limit, cancel };
    // The root of the thread is that of the image.
    let said = Target::new(None)?.run(&words, &how)?;
    let nonsense = || CommandError::plain(format!("{PROGRAM} of the image says nothing that is understood"));
    let value = json::parse(said.trim_ascii(), &Limits::SMALL)
        .map_err(|_| nonsense().hint("it may be older: `cotter boot install` makes the images anew"))?;
    let record = value.as_object().cloned().ok_or_else(nonsense)?;
    Ok(Proof { image: None, name: volume.name.clone(), record })
}
