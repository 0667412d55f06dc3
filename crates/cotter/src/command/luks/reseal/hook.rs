//! What a package manager calls: all volumes of crypttab, the boot files that are others now, and nothing that stops an update.

use super::literal::{compared, foretell, tell_elsewhere};
use super::next::Next;
use super::update;
use super::{signed, volumes};
use crate::args::{Device, ResealArgs};
use crate::command::tpm::log;
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use crate::volume::Disks;
use linux::Access;
use tpm2::event_log::End;

/// Where the key that signs is, unless it is named.
const KEY: &str = "etc/cotter/reseal.jwk";

/// Does what can be done, and tells the rest.
pub fn run(args: &ResealArgs, version: Option<&str>) {
    if let Err(error) = reseal(args, version) {
        output::say(&format!("cotter: the bindings stay as they are: {error}"));
    }
}

fn reseal(args: &ResealArgs, version: Option<&str>) -> Result<(), CommandError> {
    let (volumes, policies) = volumes::listed(args)?;
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
    let found = update::find(args, version, &log, &policies)?;
    let sign = args.sign.clone().unwrap_or_else(|| args.root.join(KEY));
    let key = if args.sign.is_some() || sign.exists() { Some(signed::private_key(&sign)?) } else { None };
    let next = Next { args, log, parts: found.files.parts(), key, host: &host };
    for device in &volumes {
        if let Err(error) = one(&next, device, &found.refused) {
            output::say(&format!("cotter: {}: {error}", visible(&device.path.display().to_string())));
        }
    }
    Ok(())
}

/// Nobody is here to give a passphrase: bindings with values of their own are told about alone.
fn one(next: &Next<'_>, device: &Device, refused: &[String]) -> Result<(), CommandError> {
    let disks = Disks::open(device, if next.args.dry_run { Access::Read } else { Access::Write })?;
    let header = disks.accepted(&next.args.ceilings)?;
    let bindings = unlock::bindings(header.header());
    let is_signed = |binding: &unlock::Binding| {
        clevis::signed(&binding.jwe, crate::pins::ALL).is_ok_and(|policies| !policies.is_empty())
    };
    let mut failed = match refused {
        [] => signed::reseal(next, (device, &disks), &header, &bindings).err(),
        refused if bindings.iter().any(is_signed) => Some(nothing_signed(refused, device)),
        _ => None,
    };
    for binding in &bindings {
        // What cannot be read was told when the volumes were looked for, and keeps nothing else from being told.
        let Ok(parts) = compared(binding) else { continue };
        tell_elsewhere(binding, &parts);
        for part in parts.iter().filter(|part| !part.signed) {
            if let Err(error) = foretell(next, device, binding, part) {
                signed::fail(&mut failed, error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn nothing_signed(refused: &[String], device: &Device) -> CommandError {
    let error = CommandError::plain(visible(&format!("nothing was approved: {}", refused.join("; "))));
    error.hint(format!(
        "look into it; if the files are right: `cotter luks reseal {device} --sign FILE`, with --kernel and --initramfs if they are new"
    ))
}
