//! `cotter luks bind` and `cotter luks unbind`.

use crate::args::{BindArgs, UnbindArgs};
use crate::command::clevis::{config, trust};
use crate::command::luks::change;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::passphrase;
use crate::volume::{self, Disks};
use ::luks::{Accepted, OpenError, TokenId};
use clevis::PersonError;
use crypto::{Passphrase, SystemRandom, VolumeKey};
use json::Object;
use linux::{Access, FileDisk, Terminal};
use std::io::ErrorKind;
use std::time::Duration;
use unlock::{BindRequest, Binding, Bound, NewMeta, Prepared, Proof};

/// Binds a keyslot to a policy.
pub fn bind(args: &BindArgs) -> Result<(), CommandError> {
    let config = config(&args.policy)?;
    let request = BindRequest {
        pin: &args.policy.pin,
        config: &config,
        slot: args.slot.map(volume::slot).transpose()?,
        token: args.token.map(volume::token).transpose()?,
        proof: if args.require_proof { Proof::Required } else { Proof::IfReachable },
        new_meta: if args.force || args.policy.yes { NewMeta::Make } else { NewMeta::Refuse },
    };
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    let disk = disks.header();
    check_free(&header, &request)?;
    let host = Host::new(args.patience.limit());
    let passphrase = read_passphrase(args, &host)?;
    let key = volume_key(disk, &header, args, &passphrase, &host)?;
    let prepared = prepare(&request, args, &host)?;
    if args.dry_run {
        let plan = unlock::bind_edit(&header, &key, &prepared, &SystemRandom);
        return change::print_plan(
            args.format,
            &plan.map_err(|source| change::not_written("cannot bind", source))?.edit,
        );
    }
    let exclusive = || volume::exclusive(disk);
    let volume = disks.volume(&args.ceilings, &exclusive, &host);
    let bound = unlock::bind(&volume, &key, prepared);
    report(args, &bound.map_err(|source| change::not_written("cannot bind", source))?)
}

/// A slot or token that is taken is better said before anybody types or is asked.
fn check_free(header: &Accepted, request: &BindRequest<'_>) -> Result<(), CommandError> {
    let Some(metadata) = header.header().as_luks2().map(|header| header.metadata()) else { return Ok(()) };
    if let Some(slot) = request.slot.filter(|slot| metadata.keyslots.contains_key(slot)) {
        return Err(
            CommandError::plain(format!("keyslot {slot} is in use")).hint("leave out -s for the lowest free one")
        );
    }
    if let Some(token) = request.token.filter(|token| metadata.tokens.contains_key(token)) {
        return Err(
            CommandError::plain(format!("token {token} is in use")).hint("leave out -t for the lowest free one")
        );
    }
    Ok(())
}

/// The passphrase. A prompt is ended by a signal that we take, so that the terminal is put back; a pipe is waited for by the
/// kernel, where only a signal that ends the process helps. From here on signals are ours in any case.
fn read_passphrase(args: &BindArgs, host: &Host) -> Result<Passphrase, CommandError> {
    if Terminal::types_stdin() {
        host.cancel_on_signal()?;
        return passphrase::existing(&args.key, host.person());
    }
    let passphrase = passphrase::existing(&args.key, host.person())?;
    host.cancel_on_signal()?;
    Ok(passphrase)
}

/// The key of the volume: by the passphrase, or, if that is wrong, by a binding that is there already.
fn volume_key(
    disk: &FileDisk,
    header: &Accepted,
    args: &BindArgs,
    passphrase: &Passphrase,
    host: &Host,
) -> Result<VolumeKey, CommandError> {
    match volume::open_by_passphrase(disk, header, passphrase, None) {
        Ok((_, key)) => Ok(key),
        Err(OpenError::NoSlotOpens { .. }) if !unlock::bindings(header.header()).is_empty() => {
            output::say(
                "the passphrase is wrong: it opens no keyslot; opening the volume by its existing bindings instead",
            );
            Ok(volume::open_by_bindings(disk, header, None, host)?.key)
        }
        Err(source) => {
            let slip = passphrase::likely_slip(&args.key, passphrase);
            Err(CommandError::failed(format!("cannot open {}", disk.path().display()), source).hint(slip))
        }
    }
}

fn prepare(request: &BindRequest<'_>, args: &BindArgs, host: &Host) -> Result<Prepared, CommandError> {
    unlock::prepare(request, &host.ports(trust(&args.policy))).map_err(|source| {
        if host.cancel().is_cancelled() {
            return CommandError::plain("interrupted; nothing was changed");
        }
        let hint = source.hint();
        CommandError::failed(format!("cannot bind {}", args.device.path.display()), source).hint(hint)
    })
}

fn report(args: &BindArgs, bound: &Bound) -> Result<(), CommandError> {
    let proved = bound.unproved.is_none();
    let token = bound.token.map_or(String::new(), |token| format!(" (token {token})"));
    output::say(&format!("keyslot {} is bound to {}{token}", bound.slot, args.policy.pin));
    if let Some(error) = &bound.unproved {
        output::say(&format!("not proved: {}", volume::reasons(error)));
        output::say(&format!(
            "  try, once the server is up: cotter luks unlock --print-key -s {} -d {} > /dev/null",
            bound.slot,
            args.device.path.display()
        ));
    }
    if !args.format.json {
        return Ok(());
    }
    let record = with_token(Object::new().with("slot", u64::from(bound.slot.number())), bound.token)
        .with("pin", args.policy.pin.as_str())
        .with("proved", proved);
    output::record(args.format, record, String::new)
}

/// The number of a binding's token, where there are tokens.
pub fn with_token(record: Object, token: Option<TokenId>) -> Object {
    token.map_or(record.clone(), |token| record.with("token", u64::from(token.number())))
}

/// Removes a binding and its keyslot.
pub fn unbind(args: &UnbindArgs) -> Result<(), CommandError> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    let disk = disks.header();
    let binding = binding_of(&header, args)?;
    if args.dry_run {
        let edit = unlock::unbind_edit(&header, &binding, &SystemRandom);
        return change::print_plan(args.format, &edit.map_err(|source| change::not_written("cannot unbind", source))?);
    }
    let host = Host::new(Duration::ZERO);
    host.cancel_on_signal()?;
    if !args.force && !agreed(disk, args, host.person())? {
        output::say("nothing was changed");
        return Ok(());
    }
    // A signal is noticed before the first write and not after it: a change that has begun is finished, because key material
    // that is overwritten cannot be put together again.
    let exclusive = || volume::exclusive(disk);
    let done = unlock::unbind(&disks.volume(&args.ceilings, &exclusive, &host), &binding);
    done.map_err(|source| change::not_written("cannot unbind", source))?;
    output::say(&format!("keyslot {} is removed", args.slot));
    let record = Object::new().with("slot", u64::from(binding.slot.number())).with("removed", true);
    if args.format.json { output::record(args.format, record, String::new) } else { Ok(()) }
}

fn binding_of(header: &Accepted, args: &UnbindArgs) -> Result<Binding, CommandError> {
    let slot = volume::slot(args.slot)?;
    let found = unlock::bindings(header.header()).into_iter().find(|binding| binding.slot == slot);
    let binding = found.ok_or_else(|| {
        let error = CommandError::plain(format!("keyslot {slot} is not bound, so it is left alone"));
        error.hint(format!("cotter luks list -d {}", args.device.path.display()))
    })?;
    // Said before anybody is asked, and checked again on the header that is changed.
    unlock::unbind_edit(header, &binding, &SystemRandom)
        .map_err(|source| change::not_written("cannot unbind", source))?;
    Ok(binding)
}

fn agreed(disk: &FileDisk, args: &UnbindArgs, person: &Terminal) -> Result<bool, CommandError> {
    let question = format!("Remove keyslot {} of {} and what opens it?", args.slot, disk.path().display());
    clevis::Person::confirm(person, &question).map_err(|source| match source {
        PersonError::Terminal { source } if source.kind() == ErrorKind::Interrupted => {
            CommandError::plain("given up; nothing was changed")
        }
        source => CommandError::failed("cannot ask whether to go on", source).hint("-f removes it without asking"),
    })
}
