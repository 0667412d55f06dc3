//! What a TPM says of itself.

use crate::sealing::{CALM, ECC};
use crate::swtpm::Swtpm;
use crypto::SystemRandom;
use linux::TpmDevice;
use tpm2::{Bank, Tpm};

#[test]
fn a_tpm_tells_who_it_is_and_what_it_has() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
    let identity = tpm.identity().unwrap();
    assert_eq!((identity.manufacturer.as_str(), identity.vendor.as_str()), ("IBM", "SWTPM"));
    assert!(identity.revision >= 138 && identity.firmware.0 > 0, "{identity:?}");
    let banks: Vec<&str> = tpm.banks().unwrap().into_iter().map(Bank::name).collect();
    assert!(banks.contains(&"sha256"), "{banks:?}");
    let protection = tpm.dictionary_attack().unwrap();
    assert_eq!((protection.locked_out, protection.failures, protection.most_failures), (false, Some(0), Some(3)));
}

#[test]
fn an_object_is_the_one_that_was_made() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
    let parent = tpm.create_primary(ECC).unwrap();
    assert_eq!(tpm.read_public(&parent).unwrap(), *parent.public());
    assert!(parent.public().is_protected() && !parent.public().is_sealed_data());
}
