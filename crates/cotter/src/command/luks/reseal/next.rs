//! What bindings are to be made for: the values of PCRs when volumes are opened, in this boot and in the next.

use crate::args::{BindingChoice, Device, Rebinding, ResealArgs};
use crate::error::{CommandError, visible};
use crate::host::Host;
use ::luks::Slot;
use clevis::measured::{self, Part, PcrDigests};
use clevis::{PinError, Ports, TrustPolicy};
use jose::Jwk;
use tpm2::PcrSelection;
use tpm2::event_log::{self, EventLog, Unpredictable};
use unlock::{Binding, Old};

/// What the bindings are to be made for.
pub struct Next<'a> {
    pub args: &'a ResealArgs,
    pub log: EventLog,
    pub parts: Vec<event_log::Part<'a>>,
    pub key: Option<Jwk>,
    pub host: &'a Host,
}

/// What a part of a binding is to accept.
pub struct Values {
    /// What the PCRs hold when volumes are opened in this boot.
    pub now: PcrDigests,
    /// The first of them that the log of this boot does not lead to.
    pub unexplained: Option<(u8, Unpredictable)>,
    /// And in the next.
    pub next: PcrDigests,
}

/// A failure that leaves a binding as it is.
pub fn told(slot: Slot, error: CommandError) -> CommandError {
    CommandError::failed(format!("keyslot {slot} stays as it is"), error)
}

impl Next<'_> {
    /// What becomes of the values of before.
    pub fn old(&self) -> Old {
        match (self.args.drop_old, &self.args.hook) {
            (true, _) => Old::Drop,
            (false, Some(_)) => Old::Before,
            (false, None) => Old::Keep,
        }
    }

    /// The values of a part's PCRs.
    pub fn part_values(&self, binding: &Binding, part: &Part) -> Result<Values, CommandError> {
        let Some((bank, pcrs)) = &part.compares else { return Err(CommandError::plain("it compares no PCR")) };
        let selection = PcrSelection::new(*bank, pcrs.iter().map(|pcr| u64::from(*pcr)));
        self.values(binding, &selection.map_err(|source| CommandError::failed("the PCRs cannot be read", source))?)
    }

    /// What these PCRs hold when volumes are opened, now and after the update.
    pub fn values(&self, binding: &Binding, selection: &PcrSelection) -> Result<Values, CommandError> {
        let held = self.ask(binding, |ports| measured::held(selection, ports)).map_err(|source| {
            let hint = source.hint();
            CommandError::failed("nobody who is believed says what the PCRs hold", source).hint(hint)
        })?;
        let predict = |parts: &[event_log::Part<'_>]| {
            measured::predict(&self.log, selection.bank(), &held, parts)
                .map_err(|source| CommandError::failed("the next boot cannot be predicted", source))
        };
        let mut now = held.clone();
        let explained = predict(&[])?;
        now.extend(explained.values);
        let unexplained = explained.unpredictable.into_iter().next();
        if self.parts.is_empty() {
            return Ok(Values { next: now.clone(), now, unexplained });
        }
        let next = predict(&self.parts)?;
        match next.unpredictable.first() {
            None => Ok(Values { now, next: next.values, unexplained }),
            Some((pcr, why)) => Err(CommandError::plain(visible(&format!("PCR {pcr} cannot be predicted: {why}")))),
        }
    }

    /// Asks the TPM that a binding is sealed by, and nobody who speaks in its place.
    pub fn ask<T>(
        &self,
        binding: &Binding,
        question: impl FnOnce(&Ports<'_>) -> Result<T, PinError>,
    ) -> Result<T, PinError> {
        let parents = clevis::parents(&binding.jwe, crate::pins::ALL)?;
        question(&Ports { parents: &parents, ..self.host.ports(TrustPolicy::Ask) })
    }

    /// The words of the command that binds a keyslot anew.
    pub fn rebinding(&self, device: &Device, slot: Slot) -> Rebinding {
        let args = self.args;
        Rebinding {
            device: device.clone(),
            which: BindingChoice { slot: Some(u32::from(slot.number())), token: None },
            key: args.key.clone(),
            in_place: args.in_place,
            yes: false,
            patience: args.patience,
            ceilings: args.ceilings,
            dry_run: args.dry_run,
            format: args.format,
        }
    }
}
