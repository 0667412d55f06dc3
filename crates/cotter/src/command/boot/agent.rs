//! `cotter boot agent`: the questions of a machine that starts, answered.

use super::bell::Bell;
use super::diary::Diary;
use super::events::{one_line, say};
use super::search::Common;
use super::serve::Agent;
use super::wire::Wire;
use super::{attended, daemon, network, place};
use crate::args::AgentArgs;
use crate::boot_settings::{Mode, NetworkUse, Settings};
use crate::error::CommandError;
use crate::host::Host;
use clevis::Cancel;
use linux::{PidFile, deadline_after, machine};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longest conversation with the TPM.
const TPM_LIMIT: Duration = Duration::from_secs(120);

/// Answers until there is no time left, a signal comes, or nobody asks.
pub fn run(args: &AgentArgs) -> Result<(), CommandError> {
    if args.daemon {
        return daemon::start();
    }
    let cancel = Cancel::new();
    let stop = cancel.clone();
    linux::on_stop_signal(move |_| stop.cancel())
        .map_err(|source| CommandError::failed("cannot watch for signals", source))?;
    let bell = Bell::default();
    if let Some(why) = attended::why(&args.command_line) {
        say(None, &why);
        attended::shut_latch(&Host::new(TPM_LIMIT), &bell, &cancel);
        return Ok(());
    }
    let Some(settings) = settings(args) else { return Ok(()) };
    if settings.mode == Mode::Map {
        say(None, "volumes are mapped, not answered for, as the settings say: a question is for a person");
        return Ok(());
    }
    let Some(_alone) = alone(args) else { return Ok(()) };
    match Host::new(TPM_LIMIT).trusting(settings.ca.as_deref()).expecting(&args.expect) {
        Ok(host) => serve(args, &settings, &host, &bell, &cancel),
        Err(error) => say(None, &format!("nothing is opened without a person: {}", one_line(&error))),
    }
    Ok(())
}

fn serve(args: &AgentArgs, settings: &Settings, host: &Host, bell: &Bell, cancel: &Cancel) {
    let until = deadline_after(settings.timeout);
    let is_early = args.initramfs || machine::is_initramfs();
    let plan = network::plan(&args.command_line, settings);
    if let Err(error) = &plan {
        say(None, &one_line(error));
    }
    let may_bring_up = is_early && settings.network == NetworkUse::WhenNeeded && plan.is_ok();
    let wire = Wire::new(host.client(), bell, may_bring_up);
    let diary = Diary::open(&args.run);
    let common = Common { host, wire: &wire, bell, until, try_for: settings.try_for, ceilings: args.ceilings };
    thread::scope(|scope| {
        if let (Ok(plan), true) = (&plan, may_bring_up) {
            scope.spawn(|| wire.keep(plan, until, &diary, cancel));
        }
        scope.spawn(|| bell.follow_links(cancel, || wire.begin_anew()));
        scope.spawn(|| bell.follow_tpms(cancel));
        let (sender, news) = mpsc::channel();
        Agent::new(args, &common, scope, sender, cancel, &diary).serve(&news);
        // The searches end with the agent.
        cancel.cancel();
    });
}

/// The right to be the agent of this machine; where it cannot be had because the file cannot be made, the machine is served all the same.
fn alone(args: &AgentArgs) -> Option<Option<PidFile>> {
    match PidFile::claim(&place::pid_file(&args.run)) {
        Ok(Some(alone)) => Some(Some(alone)),
        Ok(None) => {
            say(None, "another agent serves already");
            None
        }
        Err(error) => {
            say(None, &format!("{}: {error}", place::pid_file(&args.run).display()));
            Some(None)
        }
    }
}

/// What holds, with what the arguments say of it. Settings that cannot be followed may have forbidden whatever would be done without them.
fn settings(args: &AgentArgs) -> Option<Settings> {
    let seconds = |number: Option<u32>| number.map(|number| Duration::from_secs(number.into()));
    match Settings::read(&args.settings) {
        Ok(settings) => Some(Settings {
            timeout: seconds(args.timeout).unwrap_or(settings.timeout),
            try_for: seconds(args.try_for).unwrap_or(settings.try_for),
            ..settings
        }),
        Err(error) => {
            say(None, &format!("nothing is opened without a person: {}", one_line(&error)));
            None
        }
    }
}
