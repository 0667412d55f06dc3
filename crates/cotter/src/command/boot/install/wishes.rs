//! What the system is to have: settings, the list of expected volumes, options of crypttab, guarded mount points.

use super::mkinitcpio;
use super::plan::Wishes;
use crate::args::{BootMode, InstallArgs};
use crate::boot_settings::{Mode, Settings, USUAL};
use crate::command::boot::mount_points::{self, Guard};
use crate::command::boot::system::System;
use crate::command::boot::target::{Target, systemd_runs};
use crate::command::boot::volumes::{Asked, Found, Stage, TABLE, Volume};
use crate::error::CommandError;
use crate::expected;
use crate::host::Host;
use crate::opened;
use crate::volume::Disks;
use bootimage::Framework;
use linux::Access;
use std::path::PathBuf;
use unlock::crypttab::{self, Edit};
use unlock::identity::{Closed, Expectation};

/// Where a CA of the system's own lies.
const CA: &str = "/etc/cotter/ca.pem";
/// Where the key socket is.
const KEY_SOCKET: &str = "/run/cotter/key";
/// The first systemd that reads keys from a socket.
const FIRST_WITH_SOCKET: u32 = 248;
/// Longest file of certificates.
const LONGEST_CA: u64 = 1 << 20;

/// What is wanted, and what is said about it.
pub struct Wanted {
    /// For the plan.
    pub wishes: Wishes,
    /// Options that crypttab gets, for the journal.
    pub options: Vec<(String, String)>,
    /// For people.
    pub notes: Vec<String>,
}

/// Gathers it. Volumes that are not in the list yet are opened for it.
pub fn gather(
    args: &InstallArgs,
    target: &Target,
    system: &System,
    found: &Found,
    host: &Host,
) -> Result<Wanted, CommandError> {
    let mut wanted = Wanted { wishes: Wishes::default(), options: Vec::new(), notes: Vec::new() };
    settings(args, target, system, &mut wanted)?;
    list(args, target, found, host, &mut wanted)?;
    table(args, target, system, found, &mut wanted)?;
    if system.framework == Framework::Mkinitcpio {
        hooks(target, &mut wanted)?;
    }
    guards(target, found, &mut wanted)?;
    Ok(wanted)
}

fn hooks(target: &Target, wanted: &mut Wanted) -> Result<(), CommandError> {
    let text = target.read(mkinitcpio::PATH)?.unwrap_or_default();
    let with_hook = mkinitcpio::with_hook(&String::from_utf8_lossy(&text)).map_err(|why| {
        let error = CommandError::plain(format!("{} cannot be changed: {why}", target.shown(mkinitcpio::PATH)));
        error.hint("have it open volumes first, by `encrypt` or `sd-encrypt`")
    })?;
    wanted.wishes.files.extend(with_hook.map(|text| (mkinitcpio::PATH, text.into_bytes())));
    Ok(())
}

fn settings(args: &InstallArgs, target: &Target, system: &System, wanted: &mut Wanted) -> Result<(), CommandError> {
    let before = Settings::read(&target.behind(USUAL))?;
    let mut settings = before.clone();
    match args.mode {
        Some(BootMode::Answer) => settings.mode = Mode::Answer,
        Some(BootMode::Map) => settings.mode = Mode::Map,
        None => {}
    }
    if args.key_socket {
        check_socket(system)?;
        settings.key_socket = true;
    }
    if let Some(file) = &args.ca {
        let content = linux::read_regular_file(file, LONGEST_CA)
            .map_err(|source| CommandError::failed(format!("cannot read {}", file.display()), source))?;
        wanted.wishes.files.push((CA, content));
        settings.ca = Some(PathBuf::from(CA));
    }
    for server in &args.name_servers {
        if !settings.name_servers.contains(server) {
            settings.name_servers.push(*server);
        }
    }
    settings.command_line = args.command_line.clone().unwrap_or(settings.command_line);
    wanted.wishes.key_socket = settings.key_socket;
    wanted.wishes.systemd_runs = target.is_live() && systemd_runs();
    if settings != before {
        let text = settings.to_text();
        Settings::parse(text.as_bytes()).map_err(|source| {
            CommandError::failed("the words of --command-line are not understood", source).into_usage()
        })?;
        wanted.wishes.files.push((USUAL, text.into_bytes()));
    }
    if settings.mode == Mode::Answer {
        wanted.notes.push(
            "mode answer: who asks opens the volume himself, and may try other keyslots of a header that was changed meanwhile; --mode map opens \
             from the header that was accepted"
                .into(),
        );
    }
    Ok(())
}

fn check_socket(system: &System) -> Result<(), CommandError> {
    let refused =
        |why: String| Err(CommandError::plain(format!("there can be no key socket here: {why}")).into_usage());
    match (system.framework, system.systemd) {
        (Framework::InitramfsTools, _) => refused("initramfs-tools reads no keys from sockets".into()),
        (_, None) => refused("the system has no systemd".into()),
        (_, Some(version)) if version < FIRST_WITH_SOCKET => {
            refused(format!("systemd {version} reads no keys from sockets"))
        }
        _ => Ok(()),
    }
}

/// Whether cotter is to open it.
fn is_ours(volume: &Volume) -> bool {
    volume.asked == Asked::Anybody && volume.is_bound()
}

fn list(
    args: &InstallArgs,
    target: &Target,
    found: &Found,
    host: &Host,
    wanted: &mut Wanted,
) -> Result<(), CommandError> {
    let path = target.behind(expected::USUAL);
    let mut list = if path.symlink_metadata().is_ok() { expected::named(&path)? } else { Expectation::default() };
    if !target.is_live() && list.is_empty() {
        let path = target.shown(expected::USUAL);
        wanted.notes.push(format!(
            "there is no list of expected volumes: a disk with another key in the place of one is not noticed, and in mode map nothing is opened. To \
             make it: cotter luks identity -d DEVICE --add {path}"
        ));
    }
    let before = list.to_text();
    let missing = |volume: &&Volume| is_ours(volume) && volume.uuid().is_some_and(|uuid| list.of(uuid).is_none());
    let missing: Vec<&Volume> = found.volumes.iter().filter(missing).collect();
    for volume in missing {
        if args.dry_run {
            wanted.notes.push(format!("{} would be opened, and added to {}", volume.name, expected::USUAL));
            continue;
        }
        list.insert(identity(args, volume, host)?);
    }
    if list.to_text() != before {
        wanted.wishes.files.push((expected::USUAL, list.to_text().into_bytes()));
    }
    Ok(())
}

/// Opens the volume, to know its key.
fn identity(args: &InstallArgs, volume: &Volume, host: &Host) -> Result<unlock::identity::Expected, CommandError> {
    let what = || format!("what is to be expected of {} is not known", volume.name);
    let open = || {
        let disks = Disks::open(&volume.device, Access::Read)?;
        let header = disks.accepted(&args.ceilings)?;
        let closed = Closed { disk: disks.header(), header: &header, expected: &Expectation::default() };
        let key = opened::open(&closed, &args.key, None, host)?.key;
        Ok::<_, CommandError>(expected::of_volume(header.header(), &key, Some(volume.name.clone())))
    };
    open().map_err(|source| CommandError::failed(what(), source))
}

/// Options of lines, and lines for volumes that have none.
fn table(
    args: &InstallArgs,
    target: &Target,
    system: &System,
    found: &Found,
    wanted: &mut Wanted,
) -> Result<(), CommandError> {
    let mut text = found.text.clone();
    for volume in &found.volumes {
        if volume.line.is_none() && system.framework == Framework::InitramfsTools {
            let Some(uuid) = volume.uuid() else { continue };
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            text.extend(format!("{} UUID={uuid} none luks,initramfs\n", volume.name).into_bytes());
            wanted.options.push((volume.name.clone(), "line".into()));
            continue;
        }
        for option in options(args, target, system, volume) {
            let edited = crypttab::edit(&text, &volume.name, Edit::Option(option));
            if let Some(changed) =
                edited.map_err(|source| CommandError::failed("crypttab cannot be changed", source))?
            {
                text = changed;
                wanted.options.push((volume.name.clone(), (*option).to_owned()));
            }
        }
        if args.key_socket && is_ours(volume) {
            let edited = crypttab::edit(&text, &volume.name, Edit::Key(KEY_SOCKET));
            if let Some(changed) =
                edited.map_err(|source| CommandError::failed("crypttab cannot be changed", source))?
            {
                text = changed;
                wanted.options.push((volume.name.clone(), "key".into()));
            }
        }
    }
    if text != found.text {
        wanted.wishes.files.push((TABLE, text));
    }
    Ok(())
}

/// What a line says so that the volume is opened early. What a builder finds by itself, looking below the root of the machine that it runs
/// on, needs no word.
fn options(args: &InstallArgs, target: &Target, system: &System, volume: &Volume) -> &'static [&'static str] {
    let is_found = target.is_live() && args.devices.is_empty();
    match system.framework {
        _ if volume.stage == Stage::System || is_found => &[],
        Framework::InitramfsTools => &["initramfs"],
        // dracut packs the lines of what is below the root, and those with its own word.
        Framework::Dracut => &["x-initrd.attach", "force"],
        Framework::Mkinitcpio => &["x-initrd.attach"],
    }
}

fn guards(target: &Target, found: &Found, wanted: &mut Wanted) -> Result<(), CommandError> {
    let names: Vec<String> =
        found.volumes.iter().filter(|volume| volume.stage == Stage::System).map(|volume| volume.name.clone()).collect();
    for point in mount_points::find(target, &names)? {
        let (volume, directory) = (&point.volume, &point.directory);
        if !point.may_be_missing {
            wanted.notes.push(format!(
                "{directory}: while {volume} is closed the machine does not start; `nofail` in fstab and crypttab lets it"
            ));
            continue;
        }
        match mount_points::guard(target, &point) {
            Guard::Guarded => {}
            Guard::Open if target.is_live() => wanted.wishes.guards.push(point.directory),
            Guard::Open => {
                wanted.notes.push(format!("{directory}: not made immutable: a copy of this root would not keep it"))
            }
            Guard::Cannot(why) => {
                wanted.notes.push(format!(
                    "{directory}: whoever writes there while {volume} is closed fills the root's disk: {why}"
                ));
            }
        }
    }
    Ok(())
}
