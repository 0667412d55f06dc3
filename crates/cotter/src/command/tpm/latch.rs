//! `cotter tpm latch`

use crate::args::LatchArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::TrustPolicy;
use json::{Object, Value};
use tpm2::Bank;

/// Shuts the bindings that have this PCR as their latch, until the machine starts again.
pub fn run(args: &LatchArgs) -> Result<(), CommandError> {
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let banks = clevis::pins::shut_latch(args.pcr, &host.ports(TrustPolicy::Ask)).map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("PCR {} was not extended", args.pcr), source).hint(hint)
    })?;
    let names: Vec<&str> = banks.iter().copied().map(Bank::name).collect();
    let record = Object::new()
        .with("pcr", u64::from(args.pcr))
        .with("banks", names.iter().map(|name| Value::from(*name)).collect::<Vec<Value>>());
    output::record(args.format, record, || {
        format!(
            "PCR {} is extended in {}: bindings with this latch stay shut until the machine starts again",
            args.pcr,
            names.join(", ")
        )
    })
}
