//! Somebody sits between the program and the TPM.

use crate::line::Line;
use crate::policies::{self, Signer};
use crate::sealing::{CALM, ECC, SECRET, open, open_within, seal};
use crate::swtpm::Swtpm;
use crypto::{Hash, Secret, SystemRandom};
use linux::TpmDevice;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tpm2::policy::{Policy, Step};
use tpm2::{
    Approval, Bank, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Tpm, TpmError, Transport,
    TransportError,
};

/// Longest piece of a secret that may be on the line by chance.
const PIECE: usize = 8;

fn pcr_7() -> Option<PcrSelection> {
    Some(PcrSelection::new(Bank::from_name("sha256").unwrap(), [7]).unwrap())
}

/// Objects and sessions that lie in the TPM: none of ours may stay.
pub(crate) fn left_behind(tpm: &dyn Transport) -> usize {
    [0x8000_0000u32, 0x0200_0000, 0x0300_0000].map(|first| handles(tpm, first)).iter().sum()
}

/// `TPM2_GetCapability` of handles from `first` on.
fn handles(tpm: &dyn Transport, first: u32) -> usize {
    let command =
        [&b"\x80\x01\0\0\0\x16\0\0\x01\x7a\0\0\0\x01"[..], &first.to_be_bytes(), &64u32.to_be_bytes()].concat();
    let answer = tpm.begin(&CALM).unwrap().exchange(&command, &CALM).unwrap();
    assert_eq!(answer[6..10], [0; 4], "{answer:x?}");
    u32::from_be_bytes(answer[15..19].try_into().unwrap()) as usize
}

#[test]
fn no_secret_passes_in_clear() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    for key in [ParentKey::Ecc, ParentKey::Rsa] {
        for pcrs in [None, pcr_7()] {
            let parent = ParentTemplate { key, hash: Hash::Sha256, protection: Protection::Counted };
            let line = Line::listening(&tpm);
            let sealed = seal(&line, parent, pcrs).unwrap();
            assert!(open(&line, parent, &sealed, pcrs).unwrap().ct_eq(SECRET));
            for (command, answer) in line.log() {
                for bytes in [command, answer] {
                    assert!(!bytes.windows(PIECE).any(|piece| SECRET.windows(PIECE).any(|secret| secret == piece)));
                }
            }
        }
    }
    assert_eq!(left_behind(&tpm), 0);
}

/// What is done to one answer.
type OneChange = dyn Fn(Vec<u8>) -> Result<Vec<u8>, TransportError> + Sync;

/// Opens over a line.
type Opening = dyn Fn(&dyn Transport) -> Result<Secret, TpmError> + Sync;

/// What the original's binding says, and what one of ours says that has everything: a pinned parent, PCRs, a counter, a signature, a choice
/// and a PIN.
fn openings(tpm: &dyn Transport) -> [Box<Opening>; 2] {
    let plain = seal(tpm, ECC, pcr_7()).unwrap();
    let ((counter, value), signer, name) = (policies::counter(tpm), Signer::new(), policies::parent_name(tpm));
    let before =
        Policy::new().then(policies::now(tpm, pcr_7().unwrap())).then(policies::not_counted_up(&counter, value));
    let signature = signer.approve(&before, b"");
    let signed = before.then(signer.step(b""));
    let branch = signed.digest(Hash::Sha256).unwrap();
    let whole = signed.then(Step::Or(vec![branch.clone(), branch])).then(Step::AuthValue).then(Step::UnsealOnly);
    let sealed = policies::seal(tpm, &whole, b"1234").unwrap();
    [
        Box::new(move |line| open(line, ECC, &plain, pcr_7())),
        Box::new(move |line| {
            let approval = Some(Approval { key: &signer.key, signature: &signature });
            policies::open(line, &sealed, &whole, approval, b"1234", Some(&name))
        }),
    ]
}

/// Every answer in turn is cut, made longer, reset, and turned into refusals; some bytes of each are flipped. An error comes out, or the
/// secret where the byte meant nothing.
#[test]
fn whatever_comes_back_ends_in_an_error() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    for opening in openings(&tpm) {
        let line = Line::listening(&tpm);
        opening(&line).unwrap();
        let lengths: Vec<usize> = line.log().iter().map(|(_, answer)| answer.len()).collect();
        for (victim, len) in lengths.into_iter().enumerate() {
            for (number, change) in changes(len).iter().enumerate() {
                let once = |at: usize, answer: Vec<u8>| if at == victim { change(answer) } else { Ok(answer) };
                if let Ok(secret) = opening(&Line::changing(&tpm, &once)) {
                    assert!(secret.ct_eq(SECRET), "change {number} of answer {victim} gave another secret");
                }
                // A handle that was never learnt is not flushed, and neither is one that was changed: this TPM has no resource manager.
                refresh(&tpm);
            }
        }
        assert!(opening(&tpm).unwrap().ct_eq(SECRET));
    }
}

/// What is done to an answer of this length.
fn changes(len: usize) -> Vec<Box<OneChange>> {
    let mut changes: Vec<Box<OneChange>> = Vec::new();
    for at in (0..len).step_by(1 + len / 16) {
        changes.push(Box::new(move |mut answer: Vec<u8>| {
            if let Some(byte) = answer.get_mut(at) {
                *byte ^= 0x41;
            }
            Ok(answer)
        }));
        changes.push(Box::new(move |mut answer: Vec<u8>| {
            answer.truncate(at);
            Ok(answer)
        }));
    }
    changes.push(Box::new(|answer| Ok([answer.as_slice(), b"more"].concat())));
    changes.push(Box::new(|_| Err(TransportError::Broken { source: io::ErrorKind::ConnectionReset.into() })));
    for code in [0x101u32, 0x120, 0x921, 0x99d, 0xffff_ffff] {
        changes.push(Box::new(move |_| Ok([&b"\x80\x01\0\0\0\x0a"[..], &code.to_be_bytes()].concat())));
    }
    changes
}

/// Flushes what a lying line made us forget, and forgets the failures that it brought about: whoever sits there can lock a TPM out.
fn refresh(tpm: &dyn Transport) {
    let lock_reset = b"\x80\x02\0\0\0\x1b\0\0\x01\x39\x40\0\0\x0a\0\0\0\x09\x40\0\0\x09\0\0\0\0\0";
    let answer = tpm.begin(&CALM).unwrap().exchange(lock_reset, &CALM).unwrap();
    assert_eq!(answer[6..10], [0; 4], "{answer:x?}");
    for first in [0x8000_0000u32, 0x0200_0000, 0x0300_0000] {
        for at in 0..4 {
            let command = [&b"\x80\x01\0\0\0\x0e\0\0\x01\x65"[..], &(first + at).to_be_bytes()].concat();
            tpm.begin(&CALM).unwrap().exchange(&command, &CALM).unwrap();
        }
    }
}

/// The last byte of an answer is in its name, its nonce or its HMAC: each is refused, and all that was made is flushed.
#[test]
fn a_failure_anywhere_leaves_nothing_behind() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    for opening in openings(&tpm) {
        let line = Line::listening(&tpm);
        opening(&line).unwrap();
        for victim in 0..line.log().len() {
            let once = |at: usize, mut answer: Vec<u8>| {
                answer.last_mut().filter(|_| at == victim).into_iter().for_each(|byte| *byte ^= 1);
                Ok(answer)
            };
            let _ = opening(&Line::changing(&tpm, &once));
            assert_eq!(left_behind(&tpm), 0, "after a change of answer {victim}");
            refresh(&tpm);
        }
    }
}

/// The power of the TPM goes in the middle of a conversation, and comes back: whatever it was given is gone.
#[test]
fn a_tpm_that_is_reset_in_the_middle_is_an_error_and_the_next_time_it_opens() {
    for (which, victims) in [(0, 0..5), (1, 0..13)] {
        let swtpm = Mutex::new(Swtpm::start());
        let device = TpmDevice::at(&swtpm.lock().unwrap().place()).unwrap();
        let opening = &openings(&device)[which];
        for victim in victims {
            let reset = |at: usize, answer: Vec<u8>| {
                if at == victim {
                    swtpm.lock().unwrap().power_cut();
                }
                Ok(answer)
            };
            let error = opening(&Line::changing(&device, &reset)).unwrap_err();
            assert!(!error.to_string().is_empty(), "after answer {victim}");
            // One power cut is not three.
            assert!(opening(&device).unwrap().ct_eq(SECRET), "after answer {victim}");
            refresh(&device);
        }
    }
}

/// The TPM stops in the middle of a conversation. Nobody waits for it once the flag is raised, not even to tidy up.
#[test]
fn a_tpm_that_stops_answering_holds_nobody() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let sealed = seal(&device, ECC, None).unwrap();
    let given_up = AtomicBool::new(false);
    let cancelled = || given_up.load(Ordering::Relaxed);
    let stop = |at: usize, answer: Vec<u8>| {
        if at == 2 {
            swtpm.stop();
        }
        Ok(answer)
    };
    let line = Line::changing(&device, &stop);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            given_up.store(true, Ordering::Relaxed);
        });
        let error = open_within(&line, Patience { cancelled: &cancelled, ..CALM }, ECC, &sealed, None).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    });
    let hurry = Patience { at_most: Some(Duration::from_millis(50)), ..CALM };
    let error = open_within(&device, hurry, ECC, &sealed, None).unwrap_err();
    assert!(matches!(error, TpmError::Transport(TransportError::TimedOut { .. })), "{error}");
}

/// Each answer in turn comes when nobody waits for it any more.
#[test]
fn an_answer_that_comes_too_late_ends_a_conversation_with_every_policy() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    let [_, opening] = openings(&tpm);
    for victim in 0..13 {
        let late = |at: usize, answer: Vec<u8>| match at == victim {
            true => Err(TransportError::TimedOut { after: Duration::from_secs(1) }),
            false => Ok(answer),
        };
        let line = Line::changing(&tpm, &late);
        match opening(&line) {
            // What a signature was verified with was to be flushed: nobody waits for that.
            Ok(_) => assert_eq!(line.log()[victim].0[6..10], [0, 0, 1, 0x65], "{victim}"),
            Err(error) => {
                assert!(matches!(error, TpmError::Transport(TransportError::TimedOut { .. })), "{victim}: {error}");
            }
        }
        refresh(&tpm);
    }
    assert!(opening(&tpm).unwrap().ct_eq(SECRET));
}

/// Another key in the place of the parent: its name is not the one that the TPM gives, and nothing secret goes out to it.
#[test]
fn another_primary_key_is_seen_when_its_name_is_not_changed_too() {
    let (swtpm, other) = (Swtpm::start(), Swtpm::start());
    let (tpm, other) = (TpmDevice::at(&swtpm.place()).unwrap(), TpmDevice::at(&other.place()).unwrap());
    let theirs = Line::listening(&other);
    seal(&theirs, ECC, None).unwrap();
    let foreign = theirs.log()[0].1.clone();
    // The public area of the other, in front of the name of the first.
    let swap = |at: usize, answer: Vec<u8>| {
        let public = 14 + 4..14 + 4 + 2 + 90;
        let mut answer = answer;
        if at == 0 {
            answer[public.clone()].copy_from_slice(&foreign[public.clone()]);
        }
        Ok(answer)
    };
    let line = Line::changing(&tpm, &swap);
    let error = seal(&line, ECC, None).unwrap_err();
    assert!(matches!(error, TpmError::WrongName { command: "TPM2_CreatePrimary" }), "{error}");
    assert_eq!(line.codes(), [0x131, 0x165], "more was said to a key that is not the TPM's");
}

#[test]
fn a_tpm_that_is_busy_is_asked_again_and_not_for_ever() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    let sealed = seal(&tpm, ECC, None).unwrap();
    let busy = |at: usize, answer: Vec<u8>| {
        // The answers to the first sending of a command say RETRY; what they hide is made twice, as with a TPM it would not be.
        if at == 0 { Ok(b"\x80\x01\0\0\0\x0a\0\0\x09\x22".to_vec()) } else { Ok(answer) }
    };
    let line = Line::changing(&tpm, &busy);
    assert!(open(&line, ECC, &sealed, None).unwrap().ct_eq(SECRET));
    assert_eq!(line.codes()[..2], [0x131; 2]);
    refresh(&tpm);

    let always = |_: usize, _: Vec<u8>| Ok(b"\x80\x01\0\0\0\x0a\0\0\x09\x08".to_vec());
    let line = Line::changing(&tpm, &always);
    let patience = Patience {
        at_most: Some(Duration::from_secs(60)),
        until: Some(Instant::now() + Duration::from_millis(300)),
        ..CALM
    };
    let talk = Tpm::begin(&line, patience, &SystemRandom).unwrap();
    let error = talk.identity().unwrap_err();
    assert!(matches!(error, TpmError::Transport(TransportError::TimedOut { .. })), "{error}");
}
