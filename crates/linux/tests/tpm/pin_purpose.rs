//! What an approval is for is a part of what the TPM sealed, so that nobody gets more by it than the signer meant: the attacker here plays
//! the TPM's own commands, and needs no header.

use crate::pin::{NAME, World, approve, approver};
use clevis::{Approval, PcrState, PinError, WhySkipped};
use crypto::{Hash, Secret, SystemRandom};
use jose::{Jwe, Jwk, b64};
use json::Value;
use tpm2::policy::{Policy, Step};
use tpm2::{
    Bank, Meaning, Means, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Purpose, Sealed, Tpm,
    TpmError, VerifyingKey,
};

/// As docs/tpm.md has it.
fn purpose(reference: &str, pcrs: &str, counter: &[u8]) -> Vec<u8> {
    let sized = |part: &[u8]| [&u16::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat();
    let parts = [reference.as_bytes(), pcrs.as_bytes(), counter].map(sized).concat();
    Hash::Sha256.digest(&[b"cotter approval v1", &parts]).as_ref().to_vec()
}

fn member(value: &Value, names: &[&str]) -> Vec<u8> {
    let field = value.field("json");
    let found = names.iter().fold(field, |field, name| field.member(name).unwrap());
    b64::decode(found.text().unwrap()).unwrap()
}

/// The object of a binding, opened by the policy that these PCRs hold what they hold, as this approval has it signed for that purpose.
fn unseal(
    world: &World,
    jwe: &Jwe,
    key: &Jwk,
    approval: &Approval,
    pcrs: &[u64],
    purpose: Vec<u8>,
) -> Result<Secret, TpmError> {
    let header = Value::Object(jwe.header().clone());
    let sealed = |half| member(&header, &["clevis", NAME, "sealed", half]);
    let sealed = Sealed { public: sealed("public"), private: sealed("private") };
    let signature = member(&Value::Object(approval.to_json()), &["signature"]);
    let point = key.point().unwrap();
    let key = VerifyingKey::P256 { x: point.x().try_into().unwrap(), y: point.y().try_into().unwrap() };
    let selection = PcrSelection::new(Bank::of(Hash::Sha256).unwrap(), pcrs.iter().copied()).unwrap();
    let values = approval.values().concatenated();
    let authorize = Step::Authorize { key: key.name().unwrap(), reference: purpose };
    let policy = Policy::new().then(Step::Pcr { selection, values }).then(authorize);
    let patience = Patience { until: None, at_most: None, cancelled: &|| false };
    let tpm = Tpm::begin(&world.device, patience, &SystemRandom)?;
    let template = ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template)?;
    let object = tpm.load_last(&parent, &sealed, tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?)?;
    let mut session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256)?;
    drop(parent);
    let approval = Some(tpm2::Approval { key: &key, signature: &signature });
    session.play(&policy, &mut Means { reading: None, approval })?;
    tpm.unseal(&object, session)
}

/// Somebody writes a binding by the same key into a header: other PCRs, no counter. What the key approves for that one opens nothing else.
#[test]
fn an_approval_of_other_pcrs_or_without_the_counter_opens_nothing() {
    let mut world = World::new();
    let (key, public) = approver();
    let plain = world.bind(&format!(r#"{{"pcr_ids":"4,7","signed":{{"key":{public}}}}}"#));
    let counted = world.bind(&format!(r#"{{"pcr_ids":"4,7","signed":{{"key":{public}}},"counter":true}}"#));
    let right = approve(&key, "", world.state(&[4, 7]), None);
    let held: PcrState = world.state(&[16]);
    let bait = approve(&key, "", held, None);
    // The way is the right one: this opens.
    let opened = unseal(&world, &plain, &key, &right, &[4, 7], purpose("", "sha256:4,7", b"")).unwrap();
    assert_eq!(opened.len(), 32);
    let name = clevis::signed(&counted, clevis::pins::ALL).unwrap().remove(0).counter.unwrap().name;
    let refused = |jwe: &Jwe, approval: &Approval, pcrs: &[u64], purpose: Vec<u8>| {
        let error = unseal(&world, jwe, &key, approval, pcrs, purpose).unwrap_err();
        let meaning = error.meaning();
        assert!(matches!(meaning, Some(Meaning::PolicyFailed | Meaning::WrongSignature)), "{error}");
    };
    refused(&plain, &bait, &[16], purpose("", "sha256:16", b""));
    refused(&plain, &bait, &[16], purpose("", "sha256:4,7", b""));
    refused(&counted, &right, &[4, 7], purpose("", "sha256:4,7", b""));
    refused(&counted, &right, &[4, 7], purpose("", "sha256:4,7", &name));
    // Nor does the pin take it, and it says which.
    world.approvals = vec![bait, right];
    world.open(&plain).unwrap();
    match world.open(&counted).unwrap_err() {
        PinError::NotApproved { skipped, .. } => {
            assert!(matches!(skipped[0].why, WhySkipped::OtherPcrs), "{:?}", skipped[0].why);
            assert!(matches!(skipped[1].why, WhySkipped::OtherCounter), "{:?}", skipped[1].why);
        }
        other => panic!("{other}"),
    }
    assert!(world.is_clean());
}
