//! What a TPM compares, and what of the boot that covers.
//!
//! PCRs as the TCG PC Client profile and systemd's TPM2 PCR measurements use them: 4 the boot programs themselves, 7 Secure Boot's
//! state and whose signatures were accepted, 8 GRUB's commands and the command line that it passes, 9 the files that it reads and
//! the initramfs as the kernel takes it, 11 what a unified image holds, 12 the command line that systemd-boot passes.
//!
//! A PCR binds only if nothing that ran before could extend it at will: whoever runs his own loader can measure into 8 to 15
//! whatever he likes. So the loader has to be in the policy first: by itself (4), or by its signature (7). A unified image is one
//! program with its initramfs, so what covers the loader covers that; of the others it is a file beside.

use super::reason::Reason;
use super::threat::Answer;
use json::{Field, FieldError, Value};

/// A set of PCRs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcrs(u32);

/// How many there are.
const COUNT: u8 = 24;

/// A secret sealed in a TPM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tpm {
    /// Whose form the binding has.
    pub form: Form,
    /// What must be as it was, or as was signed.
    pub pcrs: Pcrs,
    /// Whether a signature says which values are right.
    pub signed: bool,
    /// Whether a person is asked for a PIN.
    pub pin: bool,
    /// Whether a PCR of the policy is extended after unsealing, so that nothing later can unseal again.
    pub latch: bool,
    /// Whether a counter of the TPM makes old objects worthless.
    pub counter: bool,
}

/// Whose form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The pin `tpm2`, which Clevis opens too.
    #[default]
    Original,
    /// Enrolled by systemd-cryptenroll up to 253: the parent key is made anew each time, and nothing names it.
    Systemd,
    /// Enrolled by a later one: under the storage root key, whose name is in the token.
    SystemdStored,
    /// The pin `cotter-tpm2`.
    Ours,
}

/// Whose signatures Secure Boot accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecureBoot {
    /// It is not known.
    #[default]
    Unknown,
    /// It is off.
    Off,
    /// Those of the vendors, as machines are delivered.
    Vendors,
    /// Those of the owner alone.
    Own,
}

/// What loads the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loader {
    /// It is not known: what counts is what holds for all of them.
    #[default]
    Unknown,
    /// GRUB.
    Grub,
    /// systemd-boot, with kernel and initramfs as files of their own.
    SystemdBoot,
    /// The firmware or another program, as one signed image with all in it.
    UnifiedImage,
}

impl Pcrs {
    /// What covers a boot whatever loads the kernel.
    pub const WHOLE_BOOT: Pcrs = Pcrs(1 << 4 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 12);

    /// These. `None` if one of them does not exist.
    pub fn of(numbers: &[u8]) -> Option<Pcrs> {
        numbers.iter().try_fold(Pcrs::default(), |set, number| set.and(*number))
    }

    /// Reads `pcr_ids` in each of the original's forms: `"4, 7"`, `7`, `[4, "7"]`. Nothing at all is no PCR.
    pub(super) fn read(ids: &Field<'_>) -> Result<Pcrs, FieldError> {
        let wrong = || ids.wrong_value("PCRs from 0 to 23: \"4,7\", 7 or [4, 7]");
        let words: Vec<String> = match ids.value() {
            Value::Array(_) => ids.items()?.map(|id| word(&id)).collect::<Option<_>>().ok_or_else(wrong)?,
            _ => word(ids).ok_or_else(wrong)?.split(',').map(str::to_owned).collect(),
        };
        let words =
            words.iter().map(|word| word.split_whitespace().collect::<String>()).filter(|word| !word.is_empty());
        let numbers: Option<Vec<u8>> = words.map(|word| word.parse().ok()).collect();
        numbers.and_then(|numbers| Pcrs::of(&numbers)).ok_or_else(wrong)
    }

    /// Whether this one is among them.
    pub fn contains(self, number: u8) -> bool {
        number < COUNT && self.0 >> number & 1 == 1
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub fn union(self, other: Pcrs) -> Pcrs {
        Pcrs(self.0 | other.0)
    }

    fn and(self, number: u8) -> Option<Pcrs> {
        (number < COUNT).then(|| Pcrs(self.0 | 1 << number))
    }
}

/// A text, or a whole number as text.
fn word(id: &Field<'_>) -> Option<String> {
    id.text().map(str::to_owned).or_else(|_| id.integer().map(|number| number.to_string())).ok()
}

impl Tpm {
    /// Whether it notices that what boots was altered.
    pub(super) fn notices(&self, keys: SecureBoot, loader: Loader) -> (Answer, Vec<Reason>) {
        let has = |number| self.pcrs.contains(number);
        let signature = has(7) && keys != SecureBoot::Off;
        if self.pcrs.is_empty() && self.signed {
            return (Answer::Partly, vec![Reason::SignerDecides]);
        }
        if self.pcrs.is_empty() {
            return (Answer::No, vec![Reason::AnySystem]);
        }
        if !has(4) && !signature {
            return (Answer::No, vec![if has(7) { Reason::SecureBootOff } else { Reason::LoaderFree }]);
        }
        let may_be = |one| loader == one || loader == Loader::Unknown;
        let beside = may_be(Loader::Grub) || may_be(Loader::SystemdBoot);
        // A unified image takes no other command line while Secure Boot is on.
        let from_systemd = may_be(Loader::SystemdBoot) || (may_be(Loader::UnifiedImage) && !signature);
        let open = [
            (beside && !has(9), Reason::InitramfsFree),
            ((may_be(Loader::Grub) && !has(8)) || (from_systemd && !has(12)), Reason::CommandLineFree),
            (!has(4) && keys != SecureBoot::Own, Reason::SameSigner),
        ];
        let open: Vec<Reason> = open.into_iter().filter(|(is_open, _)| *is_open).map(|(_, reason)| reason).collect();
        match open.as_slice() {
            [] => (Answer::Yes, vec![Reason::BootMeasured]),
            // Another signer would have to be found first.
            [Reason::SameSigner] => (Answer::Partly, open),
            _ if loader == Loader::Unknown => (Answer::Partly, open),
            _ => (Answer::No, open),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::Limits;

    fn read(text: &str) -> Option<Pcrs> {
        Pcrs::read(&json::parse(text.as_bytes(), &Limits::POLICY).unwrap().field("pcr_ids")).ok()
    }

    #[test]
    fn the_ids_are_read_as_the_original_writes_them() {
        let four_and_sixteen = Pcrs::of(&[4, 16]);
        for text in ["\"4, 16\"", "\"16,4\"", "[4,16]", "[\"4\",\" 16\"]", "\"4,16,4\""] {
            assert_eq!(read(text), four_and_sixteen, "{text}");
        }
        assert_eq!(read("7"), Pcrs::of(&[7]));
        assert!(read("\"\"").unwrap().is_empty() && read("[]").unwrap().is_empty());
        for bad in ["24", "\"x\"", "-1", "[[1]]", "1.5", "true", "\"4;7\"", "256"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_boot_is_covered_from_its_first_step_on() {
        use Answer::{No, Partly, Yes};
        use Loader::{Grub, SystemdBoot, UnifiedImage};
        use Reason::*;
        let check = |pcrs: &[u8], keys, loader, expected: Answer, why: &[Reason]| {
            let tpm = Tpm { pcrs: Pcrs::of(pcrs).unwrap(), ..Tpm::default() };
            assert_eq!(tpm.notices(keys, loader), (expected, why.to_vec()), "{pcrs:?} {keys:?} {loader:?}");
        };
        let (unknown, off, own) = (SecureBoot::Unknown, SecureBoot::Off, SecureBoot::Own);
        let any = Loader::Unknown;
        check(&[], unknown, any, No, &[AnySystem]);
        check(&[0, 2], unknown, any, No, &[LoaderFree]);
        check(&[11], own, UnifiedImage, No, &[LoaderFree]);
        check(&[8, 9, 11, 12, 14], unknown, any, No, &[LoaderFree]);
        check(&[7], off, any, No, &[SecureBootOff]);
        check(&[7], unknown, any, Partly, &[InitramfsFree, CommandLineFree, SameSigner]);
        check(&[7], own, any, Partly, &[InitramfsFree, CommandLineFree]);
        check(&[7], own, UnifiedImage, Yes, &[BootMeasured]);
        check(&[7], unknown, Grub, No, &[InitramfsFree, CommandLineFree, SameSigner]);
        check(&[7, 8, 9], unknown, Grub, Partly, &[SameSigner]);
        check(&[7, 11], SecureBoot::Vendors, UnifiedImage, Partly, &[SameSigner]);
        check(&[7, 11], own, Grub, No, &[InitramfsFree, CommandLineFree]);
        check(&[4], off, UnifiedImage, No, &[CommandLineFree]);
        check(&[4, 7], unknown, UnifiedImage, Yes, &[BootMeasured]);
        check(&[4, 9], unknown, Grub, No, &[CommandLineFree]);
        check(&[4, 8, 9], unknown, Grub, Yes, &[BootMeasured]);
        check(&[4, 8, 9], unknown, SystemdBoot, No, &[CommandLineFree]);
        check(&[4, 9, 12], off, SystemdBoot, Yes, &[BootMeasured]);
        check(&[4, 11, 12], unknown, any, Partly, &[InitramfsFree, CommandLineFree]);
        check(&[4, 8, 9, 12], off, any, Yes, &[BootMeasured]);
        let signed = Tpm { signed: true, ..Tpm::default() };
        assert_eq!(signed.notices(unknown, any), (Partly, vec![SignerDecides]));
        let whole = Tpm { pcrs: Pcrs::WHOLE_BOOT, ..Tpm::default() };
        assert_eq!(whole.notices(unknown, any).0, Yes);
    }
}
