//! Policies as values, and what they come to (part 3, section 23): the same digest that a TPM arrives at when the steps are played to it.
//!
//! `Or` and `Authorize` forget what stood before them, so one list says both what is sealed (its digest) and how it is opened (its steps):
//! `[Pcr, Or]` is sealed against the branches of the `Or` and opened by the `Pcr` that leads to one of them; of `[Pcr, Authorize]` what stands
//! before the `Authorize` is what somebody has to have signed.

use crate::algorithm::hash_of_number;
use crate::error::TpmError;
use crate::nv::NvIndex;
use crate::pcr::PcrSelection;
use crate::wire::{UNSEAL_CODE, bytes_of};
use crypto::Hash;
use tpm2_protocol::data::TpmCc;

/// How many branches an `Or` takes.
pub const MOST_BRANCHES: usize = 8;

/// What must hold before the TPM does something: some steps, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    steps: Vec<Step>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `PolicyPCR`: these PCRs hold these values, one behind the other. When it is played the TPM takes what they hold then.
    Pcr {
        /// Which.
        selection: PcrSelection,
        /// Their values, in the order of their numbers.
        values: Vec<u8>,
    },
    /// `PolicyOR`: one of these policies was met, by its digest; 2 to 8 of them.
    Or(Vec<Vec<u8>>),
    /// `PolicyAuthorize`: somebody has signed the policy that was met so far.
    Authorize {
        /// The name of his key: [`VerifyingKey::name`](crate::VerifyingKey::name).
        key: Vec<u8>,
        /// What he calls the purpose of his signature; it may be empty.
        reference: Vec<u8>,
    },
    /// `PolicyAuthValue`: whoever asks knows the authorisation value of the object.
    AuthValue,
    /// `PolicyNV`: what lies in this index compares to `operand` like this.
    Nv {
        /// The index.
        index: NvIndex,
        /// Its name: [`NvPublic::name`](crate::NvPublic::name).
        name: Vec<u8>,
        /// How it compares.
        comparison: Comparison,
        /// What it is compared to, big endian in the TPM.
        operand: u64,
        /// From which byte of the index on.
        offset: u16,
    },
    /// `PolicyCommandCode`: nothing is done but `TPM2_Unseal`.
    UnsealOnly,
}

/// How the content of an index compares to an operand, both unsigned (part 2, section 6.9, `TPM_EO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The index holds the operand.
    Equal,
    /// It holds the operand, or less.
    AtMost,
    /// It holds the operand, or more.
    AtLeast,
}

impl Comparison {
    pub(crate) fn code(self) -> u16 {
        match self {
            Comparison::Equal => 0,
            Comparison::AtLeast => 7,
            Comparison::AtMost => 9,
        }
    }
}

impl Policy {
    /// Nothing must hold.
    pub fn new() -> Policy {
        Policy::default()
    }

    /// This one, and then that step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Policy {
        self.steps.push(step);
        self
    }

    /// Its steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether whoever opens by it must know the authorisation value.
    pub fn wants_value(&self) -> bool {
        self.steps.contains(&Step::AuthValue)
    }

    /// What it comes to in a session of this hash: the policy digest of an object that only it opens.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] for values of another length than their PCRs have, an `Or` of fewer than 2 or more than 8 branches or of
    /// digests of another hash, a name that is none.
    pub fn digest(&self, hash: Hash) -> Result<Vec<u8>, TpmError> {
        self.steps.iter().try_fold(vec![0; hash.len()], |before, step| step.after(&before, hash))
    }

    /// What stands before the first `Authorize`: the policy that must have been signed. Nothing if no signature decides.
    pub fn approved(&self) -> Option<Policy> {
        let end = self.steps.iter().position(|step| matches!(step, Step::Authorize { .. }))?;
        Some(Policy { steps: self.steps.iter().take(end).cloned().collect() })
    }
}

impl From<Vec<Step>> for Policy {
    fn from(steps: Vec<Step>) -> Policy {
        Policy { steps }
    }
}

impl Step {
    /// The digest of a policy that came to `before` and goes on with this.
    fn after(&self, before: &[u8], hash: Hash) -> Result<Vec<u8>, TpmError> {
        let extended = |before: &[u8], code: TpmCc, parts: &[&[u8]]| {
            let code = code.value().to_be_bytes();
            let all: Vec<&[u8]> = [before, &code].into_iter().chain(parts.iter().copied()).collect();
            hash.digest(&all).as_ref().to_vec()
        };
        let zeros = vec![0; hash.len()];
        Ok(match self {
            Step::Pcr { selection, values } => {
                let digest = hash.digest(&[selection.checked(values)?]);
                extended(before, TpmCc::PolicyPcr, &[&bytes_of(&selection.to_list()?)?, digest.as_ref()])
            }
            Step::Or(branches) => {
                check_branches(branches, hash)?;
                extended(&zeros, TpmCc::PolicyOr, &[&branches.concat()])
            }
            Step::Authorize { key, reference } => {
                let named = extended(&zeros, TpmCc::PolicyAuthorize, &[check_name(key)?]);
                hash.digest(&[&named, reference]).as_ref().to_vec()
            }
            Step::AuthValue => extended(before, TpmCc::PolicyAuthValue, &[]),
            Step::Nv { name, comparison, operand, offset, .. } => {
                let how =
                    [&operand.to_be_bytes()[..], &offset.to_be_bytes(), &comparison.code().to_be_bytes()].concat();
                extended(before, TpmCc::PolicyNv, &[hash.digest(&[&how]).as_ref(), check_name(name)?])
            }
            Step::UnsealOnly => extended(before, TpmCc::PolicyCommandCode, &[&UNSEAL_CODE]),
        })
    }
}

impl PcrSelection {
    /// What a policy of these PCRs alone is for an object named by `hash`, when they hold `values`, one behind the other:
    /// `H(0…0 ‖ TPM_CC_PolicyPCR ‖ TPML_PCR_SELECTION ‖ H(values))`.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] if the values have another length than these PCRs.
    pub fn policy(&self, hash: Hash, values: &[u8]) -> Result<Vec<u8>, TpmError> {
        Step::Pcr { selection: *self, values: values.to_vec() }.after(&vec![0; hash.len()], hash)
    }
}

/// 2 to 8 digests of this hash.
pub(crate) fn check_branches(branches: &[Vec<u8>], hash: Hash) -> Result<(), TpmError> {
    if !(2..=MOST_BRANCHES).contains(&branches.len()) {
        return Err(TpmError::Unsayable { what: "a choice of fewer than 2 or more than 8 policies" });
    }
    if branches.iter().any(|branch| branch.len() != hash.len()) {
        return Err(TpmError::Unsayable { what: "a choice between policies of different hashes" });
    }
    Ok(())
}

/// `nameAlg ‖ digest`.
fn check_name(name: &[u8]) -> Result<&[u8], TpmError> {
    let digest = name.split_first_chunk::<2>().and_then(|(number, digest)| {
        let hash = hash_of_number(u16::from_be_bytes(*number))?;
        (digest.len() == hash.len()).then_some(name)
    });
    digest.ok_or(TpmError::Unsayable { what: "the name of a key or an index is none" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pcr::Bank;
    use crate::verifying_key::VerifyingKey;

    fn selection(pcrs: &[u64]) -> PcrSelection {
        PcrSelection::new(Bank::from_name("sha256").unwrap(), pcrs.iter().copied()).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `tpm2_createpolicy --policy-pcr -l sha256:4,16 -f ZEROS` of tpm2-tools 5.4 writes, and its sha1 sibling.
    #[test]
    fn the_policy_is_that_of_the_tools() {
        let sha256 = selection(&[16, 4]).policy(Hash::Sha256, &[0; 64]).unwrap();
        assert_eq!(hex(&sha256), "c967b04dd5a548e4be2585182c610f320a8c23964046239537726b905af5b433");
        let sha1 = selection(&[16, 4]).policy(Hash::Sha1, &[0; 64]).unwrap();
        assert_eq!(hex(&sha1), "e10a97d76a8bfd8e3b16e04ea4de5c303555b4d6");
        assert!(selection(&[4]).policy(Hash::Sha256, &[0; 64]).is_err());
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap()).collect()
    }

    fn check(steps: Vec<Step>, expected: &str) {
        assert_eq!(hex(&Policy::from(steps).digest(Hash::Sha256).unwrap()), expected);
    }

    const AUTH_VALUE: &str = "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e";
    const UNSEAL_ONLY: &str = "e613137076524bde487533865884e9732ebee3aacb095d94a6de492ec06c46fa";
    const ECC_NAME: &str = "000bfc65a4c2968a81435828d592c92ae2d6ec5416fd3a0fe3aabd1b2ff28a9df882";

    /// What the `tpm2_policy…` of tpm2-tools 5.4 write for the same steps.
    #[test]
    fn every_step_is_that_of_the_tools() {
        check(vec![Step::AuthValue], AUTH_VALUE);
        check(vec![Step::UnsealOnly], UNSEAL_ONLY);
        let or = Step::Or(vec![unhex(AUTH_VALUE), unhex(UNSEAL_ONLY)]);
        check(vec![or.clone()], "a0a333af4a6491143962f580ceccd7bb9d0a470874e934180e78a9b1c2d12d61");
        let signed = Step::Authorize { key: unhex(ECC_NAME), reference: b"ref".to_vec() };
        check(vec![signed.clone()], "18172e9b09501447549e45f7e78b8fe1bbea0fec25077cd69c2e72e0fa7f8377");
        let counter = Step::Nv {
            index: NvIndex::new(0x0150_0001).unwrap(),
            name: unhex("000bb9f2555c1afe739e2495e423000efd7d1c08fec2e4cf160decb1923209ccf73a"),
            comparison: Comparison::AtMost,
            operand: 5,
            offset: 0,
        };
        check(vec![counter], "d6006359c4f667cf4f02f799c00b727fb848fc84516d7619585db83b5cf18698");
        // What was met before is forgotten: it has done its part when it is played.
        check(vec![Step::AuthValue, or], "a0a333af4a6491143962f580ceccd7bb9d0a470874e934180e78a9b1c2d12d61");
        check(vec![Step::UnsealOnly, signed], "18172e9b09501447549e45f7e78b8fe1bbea0fec25077cd69c2e72e0fa7f8377");
        check(vec![], &"00".repeat(32));
    }

    /// The bindings that systemd-cryptenroll 252 made with swtpm, of PCR 7 alone, and of a signed PCR 11, PCR 7 and a PIN: their
    /// `tpm2-policy-hash`.
    #[test]
    fn policies_of_systemd_are_said_by_the_same_steps() {
        let seven = Step::Pcr {
            selection: selection(&[7]),
            values: unhex("9ef814b42fa0be12d197c44d3e8e03441a4b1118237658368ba1351090e556ed"),
        };
        check(vec![seven.clone()], "ad0071a85fe1f6dffc597d93eca52e94a1a8b28635c3eb2f8a9a4d53cd3eccf9");
        let key = VerifyingKey::Rsa { modulus: unhex(MODULUS), exponent: 65537 }.name().unwrap();
        let eleven = Step::Pcr { selection: selection(&[11]), values: vec![0; 32] };
        check(
            vec![eleven, Step::Authorize { key, reference: Vec::new() }, seven, Step::AuthValue],
            "53286f9e2ec5982b49c789cc078f8dbf9dad795011886006e9c6724ec0f3518b",
        );
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let no = |step: Step| assert!(Policy::from(vec![step.clone()]).digest(Hash::Sha256).is_err(), "{step:?}");
        no(Step::Or(vec![unhex(AUTH_VALUE)]));
        no(Step::Or(vec![unhex(AUTH_VALUE); 9]));
        no(Step::Or(vec![unhex(AUTH_VALUE), vec![0; 20]]));
        no(Step::Pcr { selection: selection(&[7]), values: vec![0; 31] });
        for key in [&[][..], &[0, 11], &[0, 99, 1], &unhex(AUTH_VALUE)] {
            no(Step::Authorize { key: key.to_vec(), reference: Vec::new() });
        }
    }

    #[test]
    fn what_must_have_been_signed_stands_before_the_signature() {
        let signed = Step::Authorize { key: unhex(ECC_NAME), reference: Vec::new() };
        let policy = Policy::new().then(Step::UnsealOnly).then(signed).then(Step::AuthValue);
        assert_eq!(policy.approved(), Some(Policy::new().then(Step::UnsealOnly)));
        assert!(policy.wants_value());
        assert_eq!(Policy::new().then(Step::UnsealOnly).approved(), None);
    }

    const MODULUS: &str = concat!(
        "c930aad04d36e809140eb7f812aad8cca2c0df0a2c08b0ce9d1c3dba13cc1b8297d1bbe226739893fb46dd3731c5df2776b8",
        "11094d63dbc086e6613eb3f10bd9dcd03e27d36ff493d69537ddaba2d4b894ced06119ad8bfc2cf77a2cc8462857c6a5d2aa",
        "dd507253508cc8d0d70c865c3a0166faae89cc5ccd122cd82768afbae757744ad8fb08e91eaa4dcc29ba6be046a400a88ec1",
        "efe4c6e90540ff198a9dce74ddaca9347b286f49fd718f7196f71f32b7d334ff0350dbc52afc5ce5c38df6715d30ef56734b",
        "eb8c8efaf5e413178518423e552e86a2a7708281afad0ae1f13cc65e1b809954319595ded4a4db1fe03be835f77c759acf3b",
        "288055f36de1",
    );
}
