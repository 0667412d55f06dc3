//! The parts of a policy that a TPM decides.

use super::digests::{PcrDigests, read_digests};
use super::trace::{Traces, read_traces};
use super::under::{Parent, Under};
use crate::error::{BindingError, PinError};
use crate::pin::{ANNOTATION, HEADER, header, pin_name};
use crate::pins::{sss, tpm2};
use ::tpm2::{Bank, PcrSelection, Public, Sealed};
use jose::{Jwe, b64};
use json::{Field, Value};
use std::collections::BTreeSet;

/// One of them.
#[derive(Debug)]
pub struct Part {
    /// Where in the binding: nothing, or `share 2`, or `share 2, share 1` of a threshold inside.
    pub place: String,
    /// The pin.
    pub form: Form,
    /// The PCRs and their bank; `None` if any system opens it.
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
    /// The pin `cotter-tpm2`.
    Ours,
    /// A token of systemd's.
    Systemd,
}

/// The pin `cotter-tpm2`.
const OURS: &str = "cotter-tpm2";
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
            Form::Ours => OURS,
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
        OURS => found.push(ours(&field, place, traces).map_err(bad(OURS))?),
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

fn ours(header: &Field<'_>, place: &str, traces: &Traces) -> Result<Part, BindingError> {
    let binding = header.member("clevis")?.member(OURS)?;
    let compares = match binding.optional("pcr_ids")? {
        None => None,
        Some(ids) => {
            let (bank, set) = (tpm2::read_bank(&binding.member("pcr_bank")?)?, tpm2::read_ids(&ids)?.1);
            Some((bank, set.in_bank(bank).pcrs().collect::<BTreeSet<u8>>()))
        }
    };
    let sets: Vec<Field<'_>> =
        binding.optional("accepted")?.map_or(Ok(Vec::new()), |sets| sets.items().map(Iterator::collect))?;
    let accepted = match &compares {
        Some((bank, pcrs)) => accepted(&sets, *bank, pcrs)?,
        None => Vec::new(),
    };
    let has = |name| {
        Ok::<bool, BindingError>(binding.optional(name)?.is_some_and(|value| *value.value() != Value::Bool(false)))
    };
    let latch = binding.optional("latch")?.map(|pcr| pcr.integer()).transpose()?;
    let latch_bank = binding.optional("pcr_bank")?.map(|bank| tpm2::read_bank(&bank)).transpose()?;
    Ok(Part {
        place: place.to_owned(),
        form: Form::Ours,
        compares,
        latch_bank,
        accepted,
        sealed: sealed(&binding)?,
        signed: has("signed")?,
        latch: latch.and_then(|pcr| u8::try_from(pcr).ok()),
        pin: has("pin")?,
        counter: has("counter")?,
        traces: traces.clone(),
        under: Under::of_ours(&binding)?,
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

fn sealed(binding: &Field<'_>) -> Result<Option<Public>, BindingError> {
    let Some(public) = binding.optional("sealed")?.map_or(Ok(None), |sealed| sealed.optional("public"))? else {
        return Ok(None);
    };
    let place = || public.place().to_owned();
    let bytes = b64::decode(public.text()?).map_err(|source| BindingError::Base64 { place: place(), source })?;
    let sealed = Sealed { public: bytes, private: Vec::new() };
    sealed.public_area().map(Some).map_err(BindingError::Sealed)
}
