//! `cotter boot network`: what a machine that starts does for its network, to be seen and tried.

use crate::args::NetworkArgs;
use crate::boot_settings::Settings;
use crate::error::{CommandError, visible};
use crate::output;
use clevis::{Cancel, Deadline};
use earlynet::Name;
use linux::network::{Network, NetworkEvent, NetworkPlan, bring_up, take_back};
use linux::{deadline_after, since_start};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Brings the network up, or says what that would do.
pub fn run(args: &NetworkArgs) -> Result<(), CommandError> {
    let settings = Settings::read(&args.settings)?;
    let mut plan = plan(&args.command_line, &settings)?;
    plan.reach.clone_from(&args.reach);
    if args.dry_run {
        let lines = plan.describe().map_err(|error| CommandError::plain(error.to_string()))?;
        return lines.iter().try_for_each(|line| output::line(&visible(line)));
    }
    let cancel = Cancel::new();
    let stop = cancel.clone();
    linux::on_stop_signal(move |_| stop.cancel())
        .map_err(|source| CommandError::failed("cannot watch for signals", source))?;
    let until = deadline_after(Duration::from_secs(args.timeout.into()));
    let network = bring_up(&plan, until, &cancel, Box::new(|event| say(&event.to_string())))
        .map_err(|error| CommandError::plain(error.to_string()))?;
    let found = args.look_up.iter().try_for_each(|name| look_up(&network, name, until, &cancel));
    let changes = network.changes();
    drop(network);
    if args.take_back {
        take_back(&changes).iter().for_each(|line| say(line));
    } else {
        changes.iter().try_for_each(|line| output::line(&visible(line)))?;
    }
    found
}

/// What the kernel's command line and the settings of boot want together.
pub fn plan(command_line: &Path, settings: &Settings) -> Result<NetworkPlan, CommandError> {
    let failed = |source| CommandError::failed(format!("cannot read {}", command_line.display()), source);
    let words = fs::read(command_line).map_err(failed)?;
    let otherwise = Some(settings.command_line.as_str()).filter(|words| !words.is_empty());
    let mut plan = NetworkPlan::of(&words, otherwise)
        .map_err(|source| CommandError::failed(format!("{} is not followed", command_line.display()), source))?;
    plan.name_servers = settings.name_servers.iter().map(|server| (*server).into()).collect();
    for (name, addresses) in &settings.hosts {
        let name = Name::parse(name)
            .map_err(|source| CommandError::failed(format!("{name:?} is no name of a host"), source))?;
        addresses.iter().for_each(|address| plan.hosts.add(name.clone(), *address));
    }
    Ok(plan)
}

fn look_up(network: &Network, name: &str, until: Deadline, cancel: &Cancel) -> Result<(), CommandError> {
    let start = Instant::now();
    let found = network.names().look_up(name, until, cancel);
    let found = found.map_err(|error| CommandError::plain(format!("{name} has no address: {error}")))?;
    say(&NetworkEvent::Resolved { name: name.to_owned(), addresses: found, after: start.elapsed() }.to_string());
    Ok(())
}

/// One line, with the time since the machine was started.
fn say(text: &str) {
    let now = since_start();
    output::say(&visible(&format!("cotter [{}.{:03}] {text}", now.as_secs(), now.subsec_millis())));
}
