//! `cotter boot map`: volumes mapped by their bindings before anybody asks for a passphrase, each from the very header that was accepted.
//!
//! No other keyslot is tried than the one that the binding names, and no other program reads the header. What a header may say of itself is
//! not enough for that: without a list of the volumes that this machine expects nothing is mapped.

use super::ahead::{self, Line};
use super::bell::Bell;
use super::diary::Diary;
use super::events::{one_line, say};
use super::handover::Opening;
use super::search::{Common, search};
use super::wire::Wire;
use super::{attended, network};
use crate::args::{Device, MapArgs, Requests};
use crate::boot_settings::{Mode, NetworkUse, Settings};
use crate::command::luks::unlock::{Wanted, map_opened};
use crate::error::CommandError;
use crate::host::Host;
use clevis::Cancel;
use linux::{deadline_after, machine};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use unlock::crypttab::{Entry, Flag};

/// Longest conversation with the TPM.
const TPM_LIMIT: Duration = Duration::from_secs(120);
/// Who maps holds up everybody behind him, the prompt among them.
const USUAL_PATIENCE: Duration = Duration::from_secs(60);

/// A mapping that is wanted.
struct Mapping {
    device: Device,
    name: String,
    requests: Requests,
    read_only: bool,
}

/// Maps what can be mapped. What cannot is told: a passphrase opens it, and a boot does not stop over it.
pub fn run(args: &MapArgs) -> Result<(), CommandError> {
    if let Err(error) = mapped(args) {
        say(None, &format!("nothing is mapped: {}", one_line(&error)));
    }
    Ok(())
}

fn mapped(args: &MapArgs) -> Result<(), CommandError> {
    let settings = Settings::read(&args.settings)?;
    let wanted: Vec<Mapping> =
        wanted(args, settings.mode).into_iter().filter(|wanted| !is_there(&wanted.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let bell = Bell::default();
    let host = Host::new(TPM_LIMIT).trusting(settings.ca.as_deref()).expecting(&args.expect)?;
    host.cancel_on_signal()?;
    if let Some(why) = attended::why(&args.command_line) {
        // The agent shuts the latch, and may wait for the TPM; who maps holds everybody up.
        say(None, &why);
        return Ok(());
    }
    if host.expected()?.is_empty() {
        let error = CommandError::plain("there is no list of the volumes that this machine expects");
        return Err(
            error.hint("cotter luks identity -d DEVICE --add /etc/cotter/volumes.json, then: cotter boot install")
        );
    }
    map_all(args, &settings, &wanted, &host, &bell)
}

fn map_all(
    args: &MapArgs,
    settings: &Settings,
    wanted: &[Mapping],
    host: &Host,
    bell: &Bell,
) -> Result<(), CommandError> {
    let patience =
        args.timeout.map_or(USUAL_PATIENCE.min(settings.timeout), |seconds| Duration::from_secs(seconds.into()));
    let until = deadline_after(patience);
    let plan = network::plan(&args.command_line, settings)?;
    let is_early = args.initramfs || machine::is_initramfs();
    let may_bring_up = is_early && settings.network == NetworkUse::WhenNeeded;
    let (wire, diary) = (Wire::new(host.client(), bell, may_bring_up), Diary::open(&args.run));
    let common = Common { host, wire: &wire, bell, until, try_for: settings.try_for, ceilings: args.ceilings };
    // What follows the network and the TPM ends with the last search.
    let ended = Cancel::child(host.cancel());
    thread::scope(|scope| {
        if may_bring_up {
            scope.spawn(|| wire.keep(&plan, until, &diary, &ended));
        }
        scope.spawn(|| bell.follow_links(&ended, || wire.begin_anew()));
        scope.spawn(|| bell.follow_tpms(&ended));
        thread::scope(|searches| {
            for wanted in wanted {
                searches.spawn(|| map_one(wanted, &common, &diary));
            }
        });
        ended.cancel();
    });
    Ok(())
}

fn map_one(wanted: &Mapping, common: &Common<'_>, diary: &Diary) {
    let volume = wanted.device.path.display().to_string();
    let tell = |text: &str| say(Some(&volume), text);
    let Some(found) = search(&wanted.device, common, common.host.cancel(), &tell) else { return };
    let how = Wanted { name: &wanted.name, requests: wanted.requests, read_only: wanted.read_only };
    match map_opened(&how, &found.disks, &found.header, &found.unlocked, common.host) {
        Ok(node) => {
            tell(&format!("mapped: {}", node.display()));
            diary.opened(Opening { mapped: Some(wanted.name.clone()), ..Opening::of_found(&volume, &found) });
            say(None, &found.said(&volume));
        }
        Err(error) => tell(&one_line(&error)),
    }
}

/// The volumes that are named, or else those of the table if the settings say that volumes are mapped.
fn wanted(args: &MapArgs, mode: Mode) -> Vec<Mapping> {
    let named = args.name.iter().zip(&args.device).map(|(name, path)| Mapping {
        device: Device { path: path.clone(), detached_header: None },
        name: name.clone(),
        requests: Requests::default(),
        read_only: false,
    });
    let named: Vec<Mapping> = named.collect();
    match mode {
        Mode::Map if named.is_empty() => ahead::lines(args.crypttab.as_deref()).into_iter().map(of_line).collect(),
        _ => named,
    }
}

fn of_line(line: Line) -> Mapping {
    let Line { entry, device } = line;
    Mapping { device, requests: requests(&entry), read_only: entry.has(Flag::ReadOnly), name: entry.name }
}

fn requests(entry: &Entry) -> Requests {
    Requests {
        allow_discards: entry.has(Flag::Discard),
        perf_same_cpu_crypt: entry.has(Flag::SameCpuCrypt),
        perf_submit_from_crypt_cpus: entry.has(Flag::SubmitFromCryptCpus),
        perf_no_read_workqueue: entry.has(Flag::NoReadWorkqueue),
        perf_no_write_workqueue: entry.has(Flag::NoWriteWorkqueue),
    }
}

fn is_there(name: &str) -> bool {
    fs::symlink_metadata(Path::new("/dev/mapper").join(name)).is_ok()
}
