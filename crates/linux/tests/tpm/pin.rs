//! What the tests of the pin `cotter-tpm2` have in common: a TPM, a person with answers, and approvals.

use crate::swtpm::Swtpm;
use clevis::{
    Approval, BoundParent, Cancel, Config, Counter, Deadline, Files, HttpRequest, HttpResponse, Made, Net, NetError,
    PcrState, Person, PersonError, PinError, Ports, TrustPolicy,
};
use crypto::ec::Curve;
use crypto::{Secret, SystemRandom};
use jose::{Jwe, Jwk};
use linux::TpmDevice;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::{fs, io};
use tpm2::{Bank, Patience, PcrSelection, Tpm, Transport};

pub(crate) const NAME: &str = "cotter-tpm2";
pub(crate) const PASSPHRASE: &[u8] = b"a passphrase that nobody knows";

/// A TPM that has booted something, and everything around it.
pub(crate) struct World {
    pub(crate) tpm: Swtpm,
    pub(crate) device: TpmDevice,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) parents: Vec<BoundParent>,
    pub(crate) replaces: bool,
    answers: Mutex<VecDeque<&'static str>>,
    pub(crate) questions: Mutex<Vec<String>>,
    cancel: Cancel,
    pub(crate) made: Made,
}

impl World {
    pub(crate) fn new() -> World {
        World::of(Swtpm::start())
    }

    pub(crate) fn of(tpm: Swtpm) -> World {
        let device = TpmDevice::at(&tpm.place()).unwrap();
        let (answers, questions) = (Mutex::default(), Mutex::default());
        let world = World {
            tpm,
            device,
            approvals: Vec::new(),
            parents: Vec::new(),
            replaces: false,
            answers,
            questions,
            cancel: Cancel::new(),
            made: Made::new(),
        };
        world.extend(7, 0x77);
        world
    }

    /// The person will type these.
    pub(crate) fn types(&self, answers: &[&'static str]) -> &World {
        *self.answers.lock().unwrap() = answers.iter().copied().collect();
        self
    }

    pub(crate) fn ports<'a>(&'a self, transport: &'a dyn Transport) -> Ports<'a> {
        Ports {
            pins: clevis::pins::ALL,
            net: self,
            tpm: Some(transport),
            approvals: &self.approvals,
            parents: &self.parents,
            replaces: self.replaces,
            made: &self.made,
            files: self,
            person: self,
            random: &SystemRandom,
            trust: TrustPolicy::Yes,
            until: Deadline::NEVER,
            cancel: &self.cancel,
        }
    }

    /// Binds the passphrase.
    pub(crate) fn bind(&self, config: &str) -> Jwe {
        self.try_bind(NAME, config, &self.device).unwrap()
    }

    pub(crate) fn try_bind(&self, pin: &str, config: &str, transport: &dyn Transport) -> Result<Jwe, PinError> {
        let config = Config::parse(config.as_bytes()).unwrap();
        clevis::encrypt(pin, &config, &Secret::copied_from(PASSPHRASE), &self.ports(transport))
    }

    pub(crate) fn open(&self, jwe: &Jwe) -> Result<(), PinError> {
        self.open_over(jwe, &self.device)
    }

    pub(crate) fn open_over(&self, jwe: &Jwe, transport: &dyn Transport) -> Result<(), PinError> {
        let secret = clevis::decrypt(jwe, &self.ports(transport))?;
        assert_eq!(secret.expose(), PASSPHRASE);
        Ok(())
    }

    /// Measures something else into a PCR of the bank of SHA-256.
    pub(crate) fn extend(&self, pcr: u8, byte: u8) {
        self.tpm.tool(&format!("tpm2_pcrextend {pcr}:sha256={}", format!("{byte:02x}").repeat(32)));
    }

    /// What these PCRs hold.
    pub(crate) fn state(&self, pcrs: &[u64]) -> PcrState {
        let selection = PcrSelection::new(Bank::from_name("sha256").unwrap(), pcrs.iter().copied()).unwrap();
        let patience = Patience { until: None, at_most: None, cancelled: &|| false };
        let tpm = Tpm::begin(&self.device, patience, &SystemRandom).unwrap();
        PcrState::of(&tpm.pcr_read(&selection, None).unwrap())
    }

    /// As an object of the configuration.
    pub(crate) fn values(&self, pcrs: &[u64]) -> String {
        json::Value::Object(self.state(pcrs).to_json()).to_compact().to_string()
    }

    /// Nothing lies in the TPM that somebody has forgotten.
    pub(crate) fn is_clean(&self) -> bool {
        ["handles-transient", "handles-loaded-session"].iter().all(|kind| self.tool_says(kind).trim().is_empty())
    }

    fn tool_says(&self, kind: &str) -> String {
        self.tpm.tool(&format!("tpm2_getcap {kind}"))
    }
}

/// A key that approves, and a configuration's words for it.
pub(crate) fn approver() -> (Jwk, String) {
    let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
    let public = json::Value::Object(Jwk::from_point(key.point().unwrap()).public_json()).to_compact().to_string();
    (key, public)
}

pub(crate) fn approve(key: &Jwk, reference: &str, state: PcrState, counter: Option<Counter>) -> Approval {
    Approval::sign(key, reference, state, counter).unwrap()
}

impl Person for World {
    fn confirm(&self, _: &str) -> Result<bool, PersonError> {
        Err(PersonError::NoTerminal)
    }

    fn pin(&self, question: &str, _: &Cancel) -> Result<Secret, PersonError> {
        self.questions.lock().unwrap().push(question.to_owned());
        let answer = self.answers.lock().unwrap().pop_front().ok_or(PersonError::NoTerminal)?;
        Ok(Secret::copied_from(answer.as_bytes()))
    }
}

impl Files for World {
    fn read(&self, path: &str) -> Result<Secret, io::Error> {
        fs::read(path).map(Secret::new)
    }

    fn read_key(&self, path: &str) -> Result<Secret, io::Error> {
        self.read(path)
    }

    fn make_key(&self, _: &str, _: &Secret) -> Result<(), io::Error> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

impl Net for World {
    fn exchange(&self, _: &HttpRequest<'_>, _: Deadline, _: &Cancel) -> Result<HttpResponse, NetError> {
        Err(NetError::Cancelled)
    }
}
