//! A policy played to the TPM, step by step (part 3, section 23). What the TPM is told here is neither secret nor believed: it comes to a
//! digest, and only the right one opens anything.

use crate::authorisation::Authorisation;
use crate::error::TpmError;
use crate::nv::{NvIndex, named};
use crate::pcr::PcrSelection;
use crate::policy::{Comparison, Policy, Step, check_branches};
use crate::session::Session;
use crate::signature::Ticket;
use crate::verifying_key::VerifyingKey;
use crate::wire::{Answer, AnswerHandles, Reader, Request, UNSEAL_CODE, bytes_of, name, push_sized};
use tpm2_protocol::data::{TpmCc, TpmaSession};
use zeroize::Zeroizing;

/// What some steps need beside the session that they are played into.
#[derive(Default)]
pub struct Means<'s, 't, 'a> {
    /// For `Nv`: a session that authorises the reading of an index whose authorisation value is empty. It goes on.
    pub reading: Option<&'s mut Session<'t, 'a>>,
    /// For `Authorize`: who signed what stands before it.
    pub approval: Option<Approval<'s>>,
}

/// A signature over a policy.
#[derive(Clone, Copy, Debug)]
pub struct Approval<'s> {
    /// Whose.
    pub key: &'s VerifyingKey,
    /// As [`VerifyingKey`] has it.
    pub signature: &'s [u8],
}

impl Session<'_, '_> {
    /// Plays all steps, in their order.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`PolicyFailed`](crate::Meaning::PolicyFailed) if an `Or` has no branch for what was met, an index holds
    /// something else, or something else was signed; [`TpmError::Unsayable`] if the means for a step are not there.
    pub fn play(&mut self, policy: &Policy, means: &mut Means<'_, '_, '_>) -> Result<(), TpmError> {
        for (at, step) in policy.steps().iter().enumerate() {
            match step {
                Step::Pcr { selection, .. } => self.policy_pcr(selection)?,
                Step::Or(branches) => self.policy_or(branches)?,
                Step::Authorize { key, reference } => {
                    let approved = Policy::from(policy.steps().iter().take(at).cloned().collect::<Vec<_>>());
                    self.play_authorize(&approved, key, reference, means)?;
                }
                Step::AuthValue => self.policy_auth_value()?,
                Step::Nv { index, name, comparison, operand, offset } => {
                    let reading = means.reading.as_deref_mut().ok_or(NO_READING)?;
                    self.policy_nv(*index, name, *comparison, *operand, *offset, reading)?;
                }
                Step::UnsealOnly => self.policy_unseal_only()?,
            }
        }
        Ok(())
    }

    /// The TPM verifies the signature over what was played so far and gives a ticket for it, which the policy takes.
    fn play_authorize(
        &mut self,
        before: &Policy,
        key: &[u8],
        reference: &[u8],
        means: &Means<'_, '_, '_>,
    ) -> Result<(), TpmError> {
        let approval = means.approval.ok_or(TpmError::Unsayable { what: "a signed policy without its signature" })?;
        let approved = before.digest(self.hash())?;
        let ticket = self.tpm.approve(approval.key, key, &approved, reference, approval.signature)?;
        self.policy_authorize(&approved, reference, key, &ticket)
    }

    /// `TPM2_PolicyPCR`: the PCRs are what they are now.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn policy_pcr(&self, selection: &PcrSelection) -> Result<(), TpmError> {
        let mut parameters = vec![0, 0];
        parameters.extend(bytes_of(&selection.to_list()?)?);
        self.step(TpmCc::PolicyPcr, parameters)
    }

    /// `TPM2_PolicyOR`: what was met so far is one of these.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`PolicyFailed`](crate::Meaning::PolicyFailed) if it is none of them.
    pub fn policy_or(&self, branches: &[Vec<u8>]) -> Result<(), TpmError> {
        check_branches(branches, self.hash())?;
        let mut parameters = u32::try_from(branches.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        branches.iter().try_for_each(|branch| push_sized(&mut parameters, branch))?;
        self.step(TpmCc::PolicyOr, parameters)
    }

    /// `TPM2_PolicyAuthorize`: what was met so far is `approved`, and the ticket says that the holder of `key` signed that.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`PolicyFailed`](crate::Meaning::PolicyFailed) if something else was met.
    pub fn policy_authorize(
        &self,
        approved: &[u8],
        reference: &[u8],
        key: &[u8],
        ticket: &Ticket,
    ) -> Result<(), TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, approved)?;
        push_sized(&mut parameters, reference)?;
        push_sized(&mut parameters, key)?;
        parameters.extend(ticket.to_bytes()?);
        self.step(TpmCc::PolicyAuthorize, parameters)
    }

    /// `TPM2_PolicyAuthValue`: from here on the command must be authenticated with the authorisation value of its object too.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn policy_auth_value(&mut self) -> Result<(), TpmError> {
        self.step(TpmCc::PolicyAuthValue, Vec::new())
    }

    /// `TPM2_PolicyNV`: what lies in the index compares like this. `reading` authorises that it is read.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`PolicyFailed`](crate::Meaning::PolicyFailed) if it compares otherwise,
    /// [`NoIndex`](crate::Meaning::NoIndex) if there is none, and [`TpmError::Forged`] if it is another one than its name says.
    pub fn policy_nv(
        &self,
        index: NvIndex,
        index_name: &[u8],
        comparison: Comparison,
        operand: u64,
        offset: u16,
        reading: &mut Session<'_, '_>,
    ) -> Result<(), TpmError> {
        let mut parameters = Zeroizing::new(Vec::new());
        push_sized(&mut parameters, &operand.to_be_bytes())?;
        parameters.extend(offset.to_be_bytes());
        parameters.extend(comparison.code().to_be_bytes());
        let index = named(index, index_name);
        let handles = [index, index, self.named()];
        let request =
            Request { code: TpmCc::PolicyNv, handles: &handles, parameters, answers_with: AnswerHandles::None };
        reading.run(request, TpmaSession::empty()).and_then(|answer| nothing(&answer, TpmCc::PolicyNv))
    }

    /// `TPM2_PolicyCommandCode`: nothing but `TPM2_Unseal`.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn policy_unseal_only(&self) -> Result<(), TpmError> {
        self.step(TpmCc::PolicyCommandCode, UNSEAL_CODE.to_vec())
    }

    /// `TPM2_PolicyGetDigest`: what was met so far. Nobody on the line is kept from changing it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn policy_digest(&self) -> Result<Vec<u8>, TpmError> {
        let answer = self.ask(TpmCc::PolicyGetDigest, Vec::new())?;
        let mut reader = Reader::new(&answer.parameters, name(TpmCc::PolicyGetDigest));
        let digest = reader.sized()?.to_vec();
        reader.end().map(|()| digest)
    }

    fn step(&self, code: TpmCc, parameters: Vec<u8>) -> Result<(), TpmError> {
        self.ask(code, parameters).and_then(|answer| nothing(&answer, code))
    }

    /// A command about this session, which carries no authorisation.
    fn ask(&self, code: TpmCc, parameters: Vec<u8>) -> Result<Answer, TpmError> {
        let handles = [self.named()];
        let parameters = Zeroizing::new(parameters);
        let request = Request { code, handles: &handles, parameters, answers_with: AnswerHandles::None };
        self.tpm.run(request, Authorisation::None)
    }
}

const NO_READING: TpmError = TpmError::Unsayable { what: "a policy about an index without a session to read it" };

fn nothing(answer: &Answer, code: TpmCc) -> Result<(), TpmError> {
    Reader::new(&answer.parameters, name(code)).end()
}
