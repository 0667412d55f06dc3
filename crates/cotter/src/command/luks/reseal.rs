//! `cotter luks reseal`: bindings for what the PCRs will hold.

mod boot_files;
mod hook;
mod literal;
mod next;
mod record;
mod revoke;
mod signed;
mod update;
mod volumes;
mod vouched;

use crate::args::{Device, Quoted, ResealArgs};
use crate::command::tpm::log;
use crate::command::tpm::update::Update;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Header, Slot};
use linux::Access;
use literal::{compared, literal, tell_elsewhere};
use next::Next;
use unlock::How;

/// Reseals the bindings of one volume, or of all.
pub fn run(args: &ResealArgs) -> Result<(), CommandError> {
    if let Some(version) = &args.hook {
        hook::run(args, version.as_deref());
        return Ok(());
    }
    if args.at_start {
        return record::make(args);
    }
    let Some(device) = &args.device else {
        return Err(CommandError::usage("which volume?").hint("-d DEV, or --hook for those of /etc/crypttab"));
    };
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let files = Update::read(&args.update)?;
    let key = args.sign.as_deref().map(signed::key).transpose()?;
    let next = Next { args, log: log::read(&args.update.log)?, parts: files.parts(), key, host: &host };
    volume(&next, device)
}

/// Reseals what can be resealed; the first failure is told in the end.
fn volume(next: &Next<'_>, device: &Device) -> Result<(), CommandError> {
    let access = if next.args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(device, access)?;
    let header = disks.accepted(&next.args.ceilings)?;
    let only = next.args.slot.map(volume::slot).transpose()?;
    let mut bindings = unlock::bindings(header.header());
    bindings.retain(|binding| only.is_none_or(|slot| slot == binding.slot));
    let mut failed = signed::reseal(next, (device, &disks), &header, &bindings).err();
    let mut any = false;
    for binding in &bindings {
        let done = compared(binding).and_then(|parts| {
            any |= !parts.is_empty();
            tell_elsewhere(binding, &parts);
            parts.iter().filter(|part| !part.signed).try_for_each(|part| literal(next, device, binding, part))
        });
        // The first is told in the end, the others where they are met.
        match (done, &failed) {
            (Err(error), Some(_)) => output::say(&error.to_string()),
            (Err(error), None) => failed = Some(error),
            (Ok(()), _) => {}
        }
    }
    drop(disks);
    if let Some(told) = enrolled(header.header(), device, |slot| only.is_none_or(|only| only == slot)) {
        any = true;
        output::say(&told);
    }
    match failed {
        Some(error) => Err(error),
        None if any => Ok(()),
        None => {
            let error = CommandError::plain("no binding here compares PCRs");
            Err(error.hint(format!("cotter luks list -d {}", Quoted(&device.path))))
        }
    }
}

/// What the first of systemd's TPM keyslots among these needs, if there is one: it alone seals them.
fn enrolled(header: &Header, device: &Device, among: impl Fn(Slot) -> bool) -> Option<String> {
    let enrolled = unlock::enrolled(header).into_iter().filter(|found| among(found.slot));
    let mut sealed =
        enrolled.filter_map(|found| if let How::Tpm2(tpm2) = found.how { Some((found.slot, tpm2)) } else { None });
    sealed.next().map(|(slot, tpm2)| {
        format!(
            "keyslot {slot} was enrolled by systemd-cryptenroll, which alone renews it: {} {}",
            tpm2.renewal(),
            Quoted(&device.path)
        )
    })
}
