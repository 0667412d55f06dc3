//! `cotter luks report`: which keys of a binding its servers no longer advertise.

use super::change::agreed;
use super::{rebind, regen};
use crate::args::ReportArgs;
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use crate::volume;
use clevis::{ServerReport, TrustPolicy};
use json::{Object, Value};
use linux::{Access, Terminal};
use unlock::{Report, Verdict};

/// Prints the thumbprints of rotated keys, a line each, and makes the binding anew if that is wanted.
pub fn run(args: &ReportArgs) -> Result<(), CommandError> {
    // Nothing is written unless the binding is made anew.
    let writes = args.regen || (!args.quiet && Terminal::types_stdin());
    let found = rebind::find(&args.rebinding, if writes { Access::Write } else { Access::Read })?;
    let host = Host::new(args.rebinding.patience.limit());
    host.cancel_on_signal()?;
    volume::tell_clone(found.header.header(), &found.binding);
    let slot = found.binding.slot;
    let report = unlock::report(&found.binding, &host.ports(TrustPolicy::Ask)).map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("the binding of keyslot {slot} cannot be read"), source).hint(hint)
    })?;
    report.servers.iter().try_for_each(|server| print(args, server))?;
    match report.verdict() {
        Verdict::Current => Ok(()),
        Verdict::Unknown => Err(unknown(report)),
        Verdict::Rotated if args.regen => regen::carry_out(&args.rebinding, &found, &host),
        Verdict::Rotated => {
            let question = format!("These keys were rotated. Make the binding of keyslot {slot} anew?");
            if writes && agreed(&host, &question, "-q asks nothing")? {
                return regen::carry_out(&args.rebinding, &found, &host);
            }
            let error = CommandError::plain(format!("keys that keyslot {slot} is bound to are no longer advertised"));
            let device = &args.rebinding.device;
            Err(error.hint(format!("before they are thrown away: cotter luks regen -s {slot} {device}")))
        }
    }
}

fn print(args: &ReportArgs, server: &ServerReport) -> Result<(), CommandError> {
    let name = server.server.to_string();
    let record = Object::new().with("server", name.as_str());
    match &server.rotated {
        Ok(rotated) if args.rebinding.format.json => {
            let thumbprints: Vec<Value> = rotated.iter().map(|thumbprint| thumbprint.to_string().into()).collect();
            output::record(args.rebinding.format, record.with("rotated", thumbprints), String::new)
        }
        Ok(rotated) => {
            rotated.iter().try_for_each(|thumbprint| output::line(&visible(&format!("{thumbprint} {name}"))))
        }
        Err(error) => {
            let why = volume::reasons(error);
            if args.rebinding.format.json {
                return output::record(args.rebinding.format, record.with("error", why), String::new);
            }
            output::say(&visible(&format!("{name}: {why}")));
            Ok(())
        }
    }
}

fn unknown(report: Report) -> CommandError {
    let failed = report.servers.into_iter().find_map(|server| server.rotated.err());
    match failed {
        Some(source) => {
            let hint = source.hint();
            CommandError::failed("it is not known whether keys were rotated", source).hint(hint)
        }
        None => CommandError::plain("it is not known whether keys were rotated"),
    }
}
