//! What the PCRs will be at the next boot, when a part of it was exchanged: the log is replayed with other digests in the places of the part.
//!
//! Predicted are PCR 4 (programs), 7 (variables of Secure Boot), 9 (files of GRUB, the initramfs) and 11 (unified images), and of all
//! others that they stay as they are. Whatever else an update may change gets "cannot be predicted": a value that is guessed wrong
//! keeps a machine from starting. A part is taken to be signed by who signed it before; a unified image, to begin with the same stub; and
//! all parts that change have to be named: a kernel with its initramfs and the script that names them.

use super::component::{Component, Variable};
use super::image::Image;
use super::kind::EventKind;
use super::read::{End, Event, EventLog};
use super::replay::{extended, first_value};
use crypto::Hash;
use std::fmt;

/// What will be another.
#[derive(Clone, Debug)]
pub enum Exchange<'a> {
    /// The program in this file.
    Program {
        /// As the log has it: `\EFI\BOOT\BOOTX64.EFI`.
        file: &'a str,
        /// What will be in it.
        image: &'a Image<'a>,
    },
    /// The unified image in this file.
    UnifiedImage {
        /// As the log has it.
        file: &'a str,
        /// What will be in it.
        image: &'a Image<'a>,
    },
    /// One section of the unified image; the image itself, in PCR 4, is another too.
    Section {
        /// Its name, such as `.cmdline`.
        name: &'a str,
        /// What will be in it.
        content: &'a [u8],
    },
    /// A file that GRUB reads.
    File {
        /// As the log has it, with or without its disk: `(hd0,gpt2)/vmlinuz`, `/vmlinuz`.
        path: &'a str,
        /// The path that will take its place, which may be the same.
        next: &'a str,
        /// What will be in it.
        content: &'a [u8],
    },
    /// The kernel, where GRUB reads it.
    Kernel {
        /// As [`Exchange::File`] has them.
        path: &'a str,
        /// The path that will take its place.
        next: &'a str,
        /// What will be in it.
        content: &'a [u8],
    },
    /// The initramfs that the kernel takes.
    Initramfs {
        /// All of it.
        content: &'a [u8],
    },
    /// A variable of Secure Boot.
    Variable(&'a Variable),
}

/// What is known of the boot that was.
#[derive(Clone, Copy, Debug)]
pub struct Booted<'a> {
    /// Its log.
    pub log: &'a EventLog,
    /// The bank.
    pub bank: Hash,
    /// What the PCRs hold that are to be predicted.
    pub pcrs: &'a [(u8, Vec<u8>)],
    /// The words that systemd has extended PCR 11 with since: `enter-initrd` and so on, as far as the values have them.
    pub phases: &'a [&'a str],
}

/// What will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// The PCRs that are known, with their values.
    pub values: Vec<(u8, Vec<u8>)>,
    /// The others, with the reason.
    pub unpredictable: Vec<(u8, Unpredictable)>,
}

/// Why a PCR cannot be predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpredictable {
    /// The log ends before the boot did.
    LogEnds(End),
    /// The events do not lead to the value that it has.
    NotExplained,
    /// The log says nothing of what is to be exchanged.
    NotInLog {
        /// What.
        what: String,
    },
    /// What is exchanged changes it in a way that is not known here.
    OtherWords,
    /// The signer that let the boot run is not in the new variable.
    SignerGone,
    /// Shim would be asked whether it may run, and it is no program.
    NotAProgram {
        /// What.
        what: String,
    },
}

/// Sections in the order in which systemd-stub measures them. The first ones are measured by every version; the others by some, which the
/// log tells.
const SECTIONS: [(&str, bool); 10] = [
    (".linux", true),
    (".osrel", true),
    (COMMAND_LINE, true),
    (INITRD, true),
    (".ucode", false),
    (".splash", true),
    (".dtb", true),
    (".uname", false),
    (".sbat", false),
    (".pcrpkey", true),
];

/// The sections that the kernel measures once more.
const INITRD: &str = ".initrd";
const COMMAND_LINE: &str = ".cmdline";
const PCR_PROGRAMS: u8 = 4;
const PCR_SECURE_BOOT: u8 = 7;
const PCR_COMMANDS: u8 = 8;
const PCR_FILES: u8 = 9;
const PCR_UNIFIED: u8 = 11;
const PCR_SHIM: u8 = 14;

/// Says of each PCR of `booted` what it will hold after these exchanges.
pub fn predict(booted: &Booted<'_>, exchanges: &[Exchange<'_>]) -> Prediction {
    let mut prediction = Prediction::default();
    for (pcr, value) in booted.pcrs {
        match predict_pcr(booted, *pcr, value, exchanges) {
            Ok(value) => prediction.values.push((*pcr, value)),
            Err(why) => prediction.unpredictable.push((*pcr, why)),
        }
    }
    prediction
}

fn predict_pcr(booted: &Booted<'_>, pcr: u8, now: &[u8], exchanges: &[Exchange<'_>]) -> Result<Vec<u8>, Unpredictable> {
    let log = booted.log;
    if log.end != End::Complete {
        return Err(Unpredictable::LogEnds(log.end));
    }
    let events: Vec<&Event> = log.of_pcr(pcr).collect();
    let digests: Option<Vec<&[u8]>> = events.iter().map(|event| event.digest(booted.bank)).collect();
    let digests = digests.ok_or(Unpredictable::NotExplained)?;
    if booted.replay(pcr, &digests) != now {
        return Err(Unpredictable::NotExplained);
    }
    let mut steps: Vec<Step<'_>> =
        events.into_iter().zip(digests).map(|(event, digest)| Step::new(event, digest)).collect();
    for exchange in exchanges {
        exchange.change(pcr, &mut steps, booted)?;
    }
    let digests: Vec<&[u8]> = steps.iter().map(|step| step.digest.as_slice()).collect();
    Ok(booted.replay(pcr, &digests))
}

/// An event that extends a PCR, and what it will extend it with.
struct Step<'a> {
    event: Option<&'a Event>,
    digest: Vec<u8>,
}

impl<'a> Step<'a> {
    fn new(event: &'a Event, digest: &[u8]) -> Step<'a> {
        Step { event: Some(event), digest: digest.to_vec() }
    }

    fn component(&self) -> Option<Component> {
        self.event.map(Event::component)
    }
}

impl Booted<'_> {
    fn replay(&self, pcr: u8, digests: &[&[u8]]) -> Vec<u8> {
        let value = extended(self.bank, first_value(self.bank, pcr, self.log.startup_locality), digests);
        if pcr != PCR_UNIFIED {
            return value;
        }
        let words: Vec<Vec<u8>> = self.phases.iter().map(|phase| self.hash(phase.as_bytes())).collect();
        extended(self.bank, value, &words.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>())
    }

    /// The digest of the content of a section of the unified image that was booted.
    fn measured(&self, name: &str) -> Option<&[u8]> {
        let is_it = |event: &&Event| matches!(event.component(), Component::Section { name: found } if found == name);
        self.log.of_pcr(PCR_UNIFIED).filter(is_it).nth(1)?.digest(self.bank)
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        self.bank.digest(&[bytes]).as_ref().to_vec()
    }
}

impl Exchange<'_> {
    /// Puts the digests of the new part in the places of the old one, as far as it is in this PCR.
    fn change(&self, pcr: u8, steps: &mut Vec<Step<'_>>, booted: &Booted<'_>) -> Result<(), Unpredictable> {
        match (self, pcr) {
            // Later stubs and shim measure the kernel inside once more, or the image under no name.
            (Exchange::UnifiedImage { .. }, PCR_PROGRAMS) if steps.iter().any(is_nameless) => {
                Err(Unpredictable::OtherWords)
            }
            (Exchange::Program { file, image } | Exchange::UnifiedImage { file, image }, PCR_PROGRAMS) => {
                let is_it = |component: &Component| matches!(component, Component::Program { file: Some(path) } if same_file(path, file));
                replace(steps, is_it, &image.authenticode(booted.bank), || (*file).to_owned())
            }
            (Exchange::Program { image, .. }, PCR_SECURE_BOOT | PCR_SHIM) if is_shim(image) => {
                Err(Unpredictable::OtherWords)
            }
            (Exchange::UnifiedImage { image, .. }, PCR_UNIFIED) => sections(steps, image, booted),
            (Exchange::Section { name, content }, PCR_UNIFIED) => section(steps, name, content, booted),
            (Exchange::Section { .. }, PCR_PROGRAMS) => Err(Unpredictable::OtherWords),
            (Exchange::UnifiedImage { image, .. }, PCR_FILES) => {
                [COMMAND_LINE, INITRD].iter().try_for_each(|name| match (image.section(name), booted.measured(name)) {
                    (Some(content), Some(_)) => measured_again(steps, name, &content, booted),
                    // A kernel that measures what it takes will have one thing less, more, or from elsewhere.
                    (Some(_), None) | (None, Some(_)) if steps.iter().any(is_by_the_kernel) => {
                        Err(Unpredictable::OtherWords)
                    }
                    _ => Ok(()),
                })
            }
            (Exchange::Section { name, content }, PCR_FILES) => measured_again(steps, name, content, booted),
            (Exchange::File { content, .. }, PCR_PROGRAMS) => let_run_by_shim(steps, content, booted),
            (Exchange::Kernel { next, content, .. }, PCR_PROGRAMS)
                if Image::read(content).is_err() && steps.iter().any(is_nameless) =>
            {
                Err(Unpredictable::NotAProgram { what: (*next).to_owned() })
            }
            (Exchange::Kernel { path, next, content }, _) => {
                Exchange::File { path, next, content }.change(pcr, steps, booted)
            }
            (Exchange::File { path, next, content }, PCR_FILES) => {
                passed_on(steps, path, path == next, content, booted)?;
                let is_it = |component: &Component| matches!(component, Component::File { path: read } if same_path(read, path));
                replace(steps, is_it, &booted.hash(content), || (*path).to_owned())
            }
            // The commands name the files, and a script says which commands there are.
            (Exchange::File { path, next, .. }, PCR_COMMANDS) if path != next || path.ends_with(".cfg") => {
                Err(Unpredictable::OtherWords)
            }
            (Exchange::Initramfs { content }, PCR_FILES) => {
                let is_it = |component: &Component| matches!(component, Component::Initramfs);
                replace(steps, is_it, &booted.hash(content), || Component::Initramfs.to_string())
            }
            (Exchange::Variable(variable), PCR_SECURE_BOOT) => secure_boot(steps, variable, booted),
            _ => Ok(()),
        }
    }
}

fn is_nameless(step: &Step<'_>) -> bool {
    step.component() == Some(Component::Program { file: None })
}

fn is_by_the_kernel(step: &Step<'_>) -> bool {
    matches!(step.component(), Some(Component::Initramfs | Component::CommandLine { .. }))
}

/// Gives every event of this component another digest; there must be one.
fn replace(
    steps: &mut [Step<'_>],
    is_it: impl Fn(&Component) -> bool,
    digest: &[u8],
    what: impl Fn() -> String,
) -> Result<(), Unpredictable> {
    let mut found = false;
    for step in steps.iter_mut().filter(|step| step.component().is_some_and(|component| is_it(&component))) {
        step.digest = digest.to_vec();
        found = true;
    }
    if found { Ok(()) } else { Err(Unpredictable::NotInLog { what: what() }) }
}

/// Shim brings signers and revocations of its own, which it measures beside the firmware's. It calls itself so in its SBAT section
/// (shim's `SBAT.md`).
fn is_shim(image: &Image<'_>) -> bool {
    image.section(".sbat").is_some_and(|sbat| sbat.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"shim,")))
}

/// Each section is two events: its name with a zero, and its content.
fn sections(steps: &mut Vec<Step<'_>>, image: &Image<'_>, booted: &Booted<'_>) -> Result<(), Unpredictable> {
    let measured: Vec<String> = steps
        .iter()
        .filter_map(|step| if let Some(Component::Section { name }) = step.component() { Some(name) } else { None })
        .collect();
    if measured.is_empty() {
        return Err(Unpredictable::NotInLog { what: "the unified image".into() });
    }
    if measured.len() != steps.len() {
        // Something else is measured there, and who knows when.
        return Err(Unpredictable::NotExplained);
    }
    steps.clear();
    for (name, always) in SECTIONS {
        let Some(content) = image.section(name) else { continue };
        if always || measured.iter().any(|known| known == name) {
            let zero_ended = [name.as_bytes(), &[0]].concat();
            steps.push(Step { event: None, digest: booted.hash(&zero_ended) });
            steps.push(Step { event: None, digest: booted.hash(&content) });
        }
    }
    Ok(())
}

/// A kernel that GRUB loads is measured into PCR 4 if shim is asked whether it may run, without the name of a file
/// (shim 15, `shim_verify`). Debian's GRUB asks twice, so there are two events with the same digest; if they differ, there are other programs
/// among them.
fn let_run_by_shim(steps: &mut [Step<'_>], content: &[u8], booted: &Booted<'_>) -> Result<(), Unpredictable> {
    // An initramfs or a script is no program, and nobody asks.
    let Ok(image) = Image::read(content) else { return Ok(()) };
    let mut asked: Vec<&mut Step<'_>> = steps.iter_mut().filter(|step| is_nameless(step)).collect();
    if asked.iter().zip(asked.iter().skip(1)).any(|(one, next)| one.digest != next.digest) {
        return Err(Unpredictable::OtherWords);
    }
    let digest = image.authenticode(booted.bank);
    asked.iter_mut().for_each(|step| step.digest.clone_from(&digest));
    Ok(())
}

/// A GRUB that hands the initramfs to the kernel as a file of its own lets the kernel measure it once more, with the command line, which
/// names the kernel's file.
fn passed_on(
    steps: &mut [Step<'_>],
    path: &str,
    same_name: bool,
    content: &[u8],
    booted: &Booted<'_>,
) -> Result<(), Unpredictable> {
    let file = |step: &Step<'_>| if let Some(Component::File { path }) = step.component() { Some(path) } else { None };
    let read: Vec<(String, Vec<u8>)> =
        steps.iter().filter_map(|step| Some((file(step)?, step.digest.clone()))).collect();
    for step in steps.iter_mut() {
        match step.component() {
            Some(Component::CommandLine { .. }) if !same_name => return Err(Unpredictable::OtherWords),
            Some(Component::Initramfs) => match read.iter().find(|(_, digest)| *digest == step.digest) {
                Some((name, _)) if same_path(name, path) => step.digest = booted.hash(content),
                Some(_) => {}
                // Of several files, or with something before them.
                None => return Err(Unpredictable::OtherWords),
            },
            _ => {}
        }
    }
    Ok(())
}

/// Of the two events of a section the second is its content.
fn section(steps: &mut [Step<'_>], name: &str, content: &[u8], booted: &Booted<'_>) -> Result<(), Unpredictable> {
    let is_it =
        |step: &&mut Step<'_>| matches!(step.component(), Some(Component::Section { name: found }) if found == name);
    let second = steps.iter_mut().filter(is_it).nth(1);
    let second = second.ok_or_else(|| Unpredictable::NotInLog { what: name.to_owned() })?;
    second.digest = booted.hash(content);
    Ok(())
}

/// The kernel measures the initramfs that its image brings once more, if it brings nothing else, and the command line in a form of its own.
fn measured_again(
    steps: &mut [Step<'_>],
    name: &str,
    content: &[u8],
    booted: &Booted<'_>,
) -> Result<(), Unpredictable> {
    let is_it = |component: Component| match component {
        Component::Initramfs => name == INITRD,
        Component::CommandLine { .. } => name == COMMAND_LINE,
        _ => false,
    };
    let next = booted.hash(content);
    let before = booted.measured(name);
    for step in steps.iter_mut().filter(|step| step.component().is_some_and(is_it)) {
        match before {
            Some(before) if before == next.as_slice() => {}
            Some(before) if before == step.digest.as_slice() => step.digest.clone_from(&next),
            _ => return Err(Unpredictable::OtherWords),
        }
    }
    Ok(())
}

/// A variable is measured as a whole; and what it is for is measured as the signers in it are used.
fn secure_boot(steps: &mut [Step<'_>], next: &Variable, booted: &Booted<'_>) -> Result<(), Unpredictable> {
    let same = |variable: &Variable| variable.guid == next.guid && variable.name == next.name;
    for step in steps.iter() {
        if let Some(Component::Authority(signer)) = step.component()
            && same(&signer)
            && !next.data.windows(signer.data.len().max(1)).any(|part| part == signer.data)
        {
            return Err(Unpredictable::SignerGone);
        }
    }
    let digest = booted.hash(&next.to_bytes());
    let is_it = |step: &&mut Step<'_>| {
        step.event.is_some_and(|event| event.kind == EventKind::VARIABLE_DRIVER_CONFIG)
            && matches!(step.component(), Some(Component::Variable(variable)) if same(&variable))
    };
    let mut found = false;
    for step in steps.iter_mut().filter(is_it) {
        step.digest.clone_from(&digest);
        found = true;
    }
    if found { Ok(()) } else { Err(Unpredictable::NotInLog { what: next.name.clone() }) }
}

/// Files of UEFI are the same in large and small letters.
pub(super) fn same_file(one: &str, other: &str) -> bool {
    let plain = |path: &str| path.replace('/', "\\").trim_start_matches('\\').to_lowercase();
    plain(one) == plain(other)
}

/// Files of GRUB, with or without the disk before them.
fn same_path(read: &str, asked: &str) -> bool {
    let bare = |path: &str| path.split_once(')').map_or(path, |(_, rest)| rest).to_owned();
    read == asked || bare(read) == asked
}

impl fmt::Display for Unpredictable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unpredictable::LogEnds(End::Absent) => f.write_str("there is no log of the boot"),
            Unpredictable::LogEnds(_) => f.write_str("the log of the boot is cut short"),
            Unpredictable::NotExplained => f.write_str("the log of the boot does not lead to the value that it has"),
            Unpredictable::NotInLog { what } => write!(f, "{} is not in the log of the boot", what.escape_debug()),
            Unpredictable::OtherWords => f.write_str("what is exchanged changes it in a way that is not known here"),
            Unpredictable::NotAProgram { what } => write!(f, "{} is no program of UEFI", what.escape_debug()),
            Unpredictable::SignerGone => f.write_str("the signer that let this boot run is not in the new variable"),
        }
    }
}
