//! The parts of a policy that a TPM decides.

use super::digests::{PcrDigests, read_digests};
use super::trace::{Traces, read_traces};
use super::under::{Parent, Under};
use crate::error::{BindingError, PinError};
use crate::pcr_state::PcrState;
use crate::pin::{ANNOTATION, HEADER, header, pin_name};
use crate::pins::{cotter_tpm2, sss, tpm2, tpm2plus};
use ::tpm2::{Bank, NvIndex, PcrSelection, Public};
use jose::Jwe;
use json::Field;
use std::collections::BTreeSet;

/// One of them.
#[derive(Debug)]
pub struct Part {
    /// Where in the binding: nothing, or `share 2`, or `share 2, share 1` of a threshold inside.
    pub place: String,
    /// The pin.
    pub form: Form,
    /// The PCRs and their bank; `None` if any system opens it, or if it is `signed` and does not tell which they are.
    pub compares: Option<(Bank, BTreeSet<u8>)>,
    /// The bank of its latch, where it compares nothing else.
    latch_bank: Option<Bank>,
    /// The values that it accepts, as far as it tells them. More than one set only in our own form.
    pub accepted: Vec<PcrDigests>,
    /// The sealed object, whose policy is a digest.
    pub sealed: Option<Public>,
    /// Whether a signature says which values are right.
    pub signed: bool,
    /// The PCR that is extended after unsealing.
    pub latch: Option<u8>,
    /// Whether a person is asked.
    pub pin: bool,
    /// Whether a counter of the TPM is compared too.
    pub counter: bool,
    /// What extended these PCRs when it was made, as far as that was kept.
    pub(super) traces: Traces,
    /// What lies in the TPM for it, and under which key, as far as it tells that.
    pub(super) under: Option<Under>,
}

/// Whose form it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The pin `tpm2`.
    Original,
    /// The pin `tpm2plus`.
    Replacement,
    /// The pin `cotter-tpm2`.
    Ours,
    /// A token of systemd's.
    Systemd,
}

/// The member of the annotation that has the values of the pin `tpm2`.
const PCRS: &str = "pcrs";

impl Part {
    /// A part of systemd's: these PCRs, by the policy of the sealed object. A policy that is not theirs alone, because somebody signs, is not
    /// looked into.
    pub(crate) fn of_systemd(pcrs: Option<&PcrSelection>, sealed: Option<&Public>, pin: bool, under: Under) -> Part {
        Part {
            place: String::new(),
            form: Form::Systemd,
            compares: pcrs.map(|pcrs| (pcrs.bank(), pcrs.pcrs().collect())),
            latch_bank: None,
            accepted: Vec::new(),
            sealed: sealed.cloned(),
            signed: false,
            latch: None,
            pin,
            counter: false,
            traces: Traces::default(),
            under: Some(under),
        }
    }

    /// Where its counter is, if it has one.
    pub fn counter_index(&self) -> Option<NvIndex> {
        self.under.as_ref()?.counter.as_ref().map(|counter| counter.index)
    }

    /// The bank of its PCRs, that of the latch too.
    pub fn bank(&self) -> Option<Bank> {
        self.compares.as_ref().map(|(bank, _)| *bank).or(self.latch_bank)
    }
}

impl Form {
    /// The name of the pin, or of the type of the token.
    pub fn pin(self) -> &'static str {
        match self {
            Form::Original => tpm2::NAME,
            Form::Replacement => tpm2plus::NAME,
            Form::Ours => cotter_tpm2::NAME,
            Form::Systemd => "systemd-tpm2",
        }
    }
}

/// All parts of a binding that a TPM decides, in its order; those of a pin that is not known here are passed over.
///
/// # Errors
/// [`PinError::BadBinding`] if one cannot be read.
pub fn parts(jwe: &Jwe) -> Result<Vec<Part>, PinError> {
    let mut found = Vec::new();
    collect(jwe, "", &Traces::default(), &mut found)?;
    Ok(found)
}

fn collect(jwe: &Jwe, place: &str, outer: &Traces, found: &mut Vec<Part>) -> Result<(), PinError> {
    let header = header(jwe);
    let field = header.field(HEADER);
    let name = pin_name(jwe)?;
    let bad = |pin| move |source| PinError::BadBinding { pin, source };
    let own = read_traces(&field);
    let traces = if own.is_empty() { outer } else { &own };
    match name.as_str() {
        sss::NAME => {
            for (number, share) in sss::shares(&field)?.iter().enumerate() {
                let inner = format!("share {}", number + 1);
                let inner = if place.is_empty() { inner } else { format!("{place}, {inner}") };
                // One that cannot be read is no part; whoever opens the threshold is told.
                if let Ok(jwe) = Jwe::parse_compact(share.as_bytes()) {
                    collect(&jwe, &inner, traces, found)?;
                }
            }
        }
        tpm2::NAME => found.push(original(&field, place, traces).map_err(bad(tpm2::NAME))?),
        tpm2plus::NAME => found.push(replacement(&field, place, traces).map_err(bad(tpm2plus::NAME))?),
        cotter_tpm2::NAME => found.push(ours(&field, place, traces).map_err(bad(cotter_tpm2::NAME))?),
        _ => {}
    }
    Ok(())
}

fn original(header: &Field<'_>, place: &str, traces: &Traces) -> Result<Part, BindingError> {
    let tpm2::Compared { pcrs, public, sealed, parent } = tpm2::compared(header)?;
    let compares = pcrs.map(|selection| (selection.bank(), selection.pcrs().collect::<BTreeSet<u8>>()));
    let kept = header.optional(ANNOTATION)?.map_or(Ok(None), |ours| ours.optional(PCRS))?;
    let accepted = match (&compares, kept) {
        (Some((bank, pcrs)), Some(kept)) => accepted(&[kept], *bank, pcrs)?,
        _ => Vec::new(),
    };
    Ok(Part {
        place: place.to_owned(),
        form: Form::Original,
        compares,
        latch_bank: None,
        accepted,
        sealed: Some(public),
        signed: false,
        latch: None,
        pin: false,
        counter: false,
        traces: traces.clone(),
        under: Some(Under { parent: Parent::Made(parent, None), sealed, counter: None }),
    })
}

/// Which PCRs are right, and which of them are looked at, stands in a file: of both the header tells nothing.
fn replacement(header: &Field<'_>, place: &str, traces: &Traces) -> Result<Part, BindingError> {
    let tpm2::Compared { public, sealed, parent, .. } = tpm2plus::compared(header)?;
    Ok(Part {
        place: place.to_owned(),
        form: Form::Replacement,
        compares: None,
        latch_bank: None,
        accepted: Vec::new(),
        sealed: Some(public),
        signed: true,
        latch: None,
        pin: false,
        counter: false,
        traces: traces.clone(),
        under: Some(Under { parent: Parent::Made(parent, None), sealed, counter: None }),
    })
}

fn ours(header: &Field<'_>, place: &str, traces: &Traces) -> Result<Part, BindingError> {
    let found = cotter_tpm2::compared(header)?;
    let parent = Parent::Made(found.parent, Some(found.parent_name));
    Ok(Part {
        place: place.to_owned(),
        form: Form::Ours,
        compares: found.pcrs.map(|pcrs| (pcrs.bank(), pcrs.pcrs().collect())),
        latch_bank: found.latch.map(|_| found.bank),
        accepted: found.accepted.into_iter().map(PcrState::into_digests).collect(),
        sealed: Some(found.public),
        signed: found.signed,
        latch: found.latch,
        pin: found.pin,
        counter: found.counter.is_some(),
        traces: traces.clone(),
        under: Some(Under { parent, sealed: found.sealed, counter: found.counter }),
    })
}

/// Sets of values of exactly these PCRs.
fn accepted(sets: &[Field<'_>], bank: Bank, pcrs: &BTreeSet<u8>) -> Result<Vec<PcrDigests>, BindingError> {
    let one = |set: &Field<'_>| {
        let digests = read_digests(set, bank.hash().len())?;
        match digests.keys().eq(pcrs) {
            true => Ok(digests),
            false => Err(set.wrong_value("the values of the PCRs in pcr_ids").into()),
        }
    };
    sets.iter().map(one).collect()
}
