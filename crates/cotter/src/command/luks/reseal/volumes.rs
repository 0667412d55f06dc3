//! The volumes of crypttab whose bindings compare PCRs; what is left out is told.

use super::boot_files::Compared;
use super::literal::compared;
use crate::args::{Device, ResealArgs};
use crate::crypttab_line::device;
use crate::error::{CommandError, visible, visible_error};
use crate::output;
use crate::volume::Disks;
use linux::Access;
use std::fs;
use std::io::ErrorKind;
use unlock::crypttab::{self, Kind};

/// Finds them, and the PCRs of all their signed policies.
///
/// # Errors
/// There is no such root, or its crypttab cannot be read.
pub fn listed(args: &ResealArgs) -> Result<(Vec<Device>, Compared), CommandError> {
    if !args.root.is_dir() {
        return Err(CommandError::plain(format!("there is no directory {}", args.root.display())));
    }
    let path = args.root.join("etc/crypttab");
    let what = || format!("cannot read {}", path.display());
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Compared::default())),
        Err(source) => return Err(CommandError::failed(what(), source)),
    };
    let table = crypttab::parse(&text).map_err(|source| CommandError::failed(what(), source))?;
    for fault in &table.faults {
        left_out(&path.display().to_string(), &fault.to_string());
    }
    let (mut volumes, mut policies) = (Vec::new(), Compared::default());
    // A disk of another kind has no header with bindings.
    for entry in table.entries.iter().filter(|entry| matches!(entry.kind(), Kind::Luks | Kind::Unstated)) {
        let device = match device(&args.root, entry) {
            Ok(device) => device,
            Err(why) => {
                left_out(&entry.name, why);
                continue;
            }
        };
        match compares(args, &device, &mut policies) {
            Ok(true) => volumes.push(device),
            Ok(false) => {}
            Err(error) => left_out(&entry.name, &error.to_string()),
        }
    }
    Ok((volumes, policies))
}

fn left_out(which: &str, why: &str) {
    output::say(&visible_error(&format!("cotter: {which} is left out: {why}")));
}

/// Whether a binding of this volume compares PCRs. Keyslots that systemd has enrolled are told about.
fn compares(args: &ResealArgs, device: &Device, policies: &mut Compared) -> Result<bool, CommandError> {
    let header = Disks::open(device, Access::Read)?.accepted(&args.ceilings)?;
    if let Some(told) = super::enrolled(header.header(), device, |_| true) {
        output::say(&visible(&told));
    }
    let mut any = false;
    for binding in unlock::bindings(header.header()) {
        let signed = clevis::signed(&binding.jwe, crate::pins::ALL).unwrap_or_default();
        policies.0.extend(signed.into_iter().map(|policy| policy.selection));
        match compared(&binding) {
            Ok(parts) => any |= !parts.is_empty(),
            Err(error) => output::say(&visible_error(&format!("cotter: {}: {error}", device.path.display()))),
        }
    }
    Ok(any)
}
