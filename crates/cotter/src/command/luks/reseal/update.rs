//! The files that the next boot will read, as far as somebody vouches for them.

use super::boot_files::{BootFiles, Compared, Place, places};
use super::record::Record;
use super::vouched;
use crate::args::{ResealArgs, UpdateArgs};
use crate::command::tpm::update::{LONGEST, Update};
use crate::error::CommandError;
use std::fs;
use std::path::Path;
use tpm2::event_log::{Component, EventLog, Exchange, Image, Located, Part};

/// Longest files together that are others now.
const MOST: u64 = 2 * LONGEST;

/// What was found.
pub struct Found {
    /// The files.
    pub files: Update,
    /// Why nothing is signed for them; empty if nothing speaks against it.
    pub refused: Vec<String>,
}

/// The kernel of this version with its initramfs, and every file of the log that is another one now.
pub fn find(
    args: &ResealArgs,
    version: Option<&str>,
    log: &EventLog,
    compared: &Compared,
) -> Result<Found, CommandError> {
    let boot = BootFiles::of_system(&args.root);
    let mut refused = Vec::new();
    let record = Record::of_this_boot(&args.root, log, &boot).map_err(|why| refused.push(why)).ok();
    let named = of_version(args, version, &mut refused);
    let mut files = Update::read(&named)?;
    let judge = Judge { root: &args.root, version, log, record: record.as_ref(), compared };
    refused.extend(files.parts().iter().filter_map(|part| judge.part(part).err()));
    refused.extend(named.initramfs.iter().chain(&named.uki).filter_map(|path| is_looked_at(&boot, path).err()));
    let replaced: Vec<String> =
        files.parts().iter().filter_map(|part| Some(log.locate(part).ok()?.place().to_owned())).collect();
    let has_to_be_there = |place: &Place| compared.has(place.pcr) && !replaced.contains(&place.path);
    let (mut room, mut others, mut inside) = (MOST, false, None);
    for place in places(log) {
        let found = boot.find(&place.path, room.min(LONGEST));
        let was_there = record.as_ref().is_none_or(|record| record.was_same(&place));
        match found {
            Ok(None) if place.is_inside() => inside = inside.or(Some(place.path)),
            Ok(None) if has_to_be_there(&place) => {
                refused.push(format!("{} was measured and is not on the disk", place.path));
            }
            Ok(Some(_)) if !was_there && has_to_be_there(&place) => {
                refused
                    .push(format!("{} was measured and was not on the disk when the machine was started", place.path));
            }
            Ok(Some(content)) if !place.is_same(&content) => {
                others |= place.is_program();
                room = room.saturating_sub(content.len() as u64);
                files.add(place.path, content);
            }
            Ok(_) => {}
            Err(why) => refused.push(why),
        }
    }
    if let Some(inside) = inside.filter(|_| others) {
        refused.push(format!("{inside} is a part of the loader, which is another one now"));
    }
    refused.dedup();
    Ok(Found { files, refused })
}

/// The files of a version where nobody says which they are.
fn of_version(args: &ResealArgs, version: Option<&str>, refused: &mut Vec<String>) -> UpdateArgs {
    let mut named = args.update.clone();
    if !named.file.is_empty() || named.db.is_some() || named.dbx.is_some() {
        refused.push("nobody vouches for --file, --db and --dbx".into());
    }
    let Some(version) = version else {
        if named.kernel.is_some() || named.initramfs.is_some() || named.uki.is_some() {
            refused.push("without its version nobody vouches for a kernel".into());
        }
        return named;
    };
    if version.is_empty() || version.contains('/') {
        refused.push(format!("{version} is no version of a kernel"));
        return named;
    }
    let mut only = |names: &[String]| {
        let paths = names.iter().map(|name| args.root.join(name));
        let mut there = paths.filter(|path| path.symlink_metadata().is_ok());
        let (first, second) = (there.next(), there.next());
        match (&first, &second) {
            (Some(first), Some(second)) => {
                refused.push(format!("which of {} and {} is started is not known", first.display(), second.display()));
            }
            (None, _) => refused.push(format!("there is no {} in {}", names.join(" or "), args.root.display())),
            (Some(_), None) => {}
        }
        first
    };
    if named.uki.is_none() {
        named.kernel = named.kernel.or_else(|| only(&[format!("boot/vmlinuz-{version}")]));
        let names = [format!("boot/initrd.img-{version}"), format!("boot/initramfs-{version}.img")];
        named.initramfs = named.initramfs.or_else(|| only(&names));
    }
    named
}

/// What was looked through at the start has to be where the file is.
fn is_looked_at(boot: &BootFiles, path: &Path) -> Result<(), String> {
    let whole = |path: &Path| fs::canonicalize(path).ok();
    let is_link = path.symlink_metadata().is_ok_and(|about| about.is_symlink());
    let found = boot.startable()?.iter().any(|found| whole(found).is_some() && whole(found) == whole(path));
    if found && !is_link { Ok(()) } else { Err(format!("{} is not where boot files are looked for", path.display())) }
}

/// Who vouches for what.
struct Judge<'a> {
    root: &'a Path,
    version: Option<&'a str>,
    log: &'a EventLog,
    record: Option<&'a Record>,
    compared: &'a Compared,
}

impl Judge<'_> {
    /// A kernel is the root's, everything else was made since the start; or this boot has started it.
    fn part(&self, part: &Part<'_>) -> Result<(), String> {
        match part {
            Part::Kernel(file) => {
                self.has_no_line(part)?;
                self.kernel(file.content)
            }
            Part::Initramfs(file) => self.is_made_here(file.name, file.content),
            Part::Unified(file) => {
                let image = Image::read(file.content).map_err(|source| format!("{}: {source}", file.name))?;
                let kernel = image.section(".linux").ok_or_else(|| format!("{} has no kernel in it", file.name))?;
                self.kernel(&kernel)?;
                self.is_made_here(file.name, file.content)
            }
            // Nobody does for these, which was said.
            Part::At { .. } | Part::Variable(_) => Ok(()),
        }
    }

    fn kernel(&self, kernel: &[u8]) -> Result<(), String> {
        match self.version {
            Some(version) => match vouched::check(self.root, version, kernel) {
                Err(_) if self.compared.has_started(self.log, kernel) => Ok(()),
                vouched => vouched,
            },
            // That was said.
            None => Ok(()),
        }
    }

    fn is_made_here(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let is_new = self.record.is_none_or(|record| record.is_new(content));
        if is_new || self.compared.has_started(self.log, content) {
            return Ok(());
        }
        Err(format!(
            "{name} lay on the disk when the machine was started, and was not started itself: nobody vouches for it"
        ))
    }

    /// A loader that starts a kernel as a program names its files in the command line, which the kernel measures; with the files of another
    /// version it is another one, and which one is not known here.
    fn has_no_line(&self, kernel: &Part<'_>) -> Result<(), String> {
        let is_file = |located: Located<'_>| matches!(located.exchange(), Exchange::Kernel { .. });
        let mut files = self.log.of_pcr(9).map(|event| event.component());
        let has_line = files.any(|component| matches!(component, Component::CommandLine { .. }));
        if has_line && !self.log.locate(kernel).is_ok_and(is_file) {
            return Err("the command line names the files of the kernel, and what it will be is not known".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tpm2::event_log::{Event, EventKind, NewFile};

    fn event(pcr: u32, kind: EventKind, data: Vec<u8>) -> Event {
        Event { pcr, kind, digests: vec![(crypto::Hash::Sha256, vec![7; 32])], data }
    }

    /// As systemd-boot starts a kernel of its own layout: a program, and what the kernel measures of its command line.
    fn started_as_a_program(with_line: bool) -> EventLog {
        let wide = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let path = wide("\\id\\9.8\\linux");
        let node =
            [&[4, 4][..], &u16::try_from(path.len() + 4).unwrap().to_le_bytes(), &path, &[0x7f, 0xff, 4, 0]].concat();
        let len = u64::try_from(node.len()).unwrap().to_le_bytes();
        let program = [&[0; 24][..], &len, &node].concat();
        let line = wide("initrd=\\id\\9.8\\initrd root=none");
        let tag =
            [&0x8f3b_22ed_u32.to_le_bytes()[..], &u32::try_from(line.len()).unwrap().to_le_bytes(), &line].concat();
        let mut events = vec![event(4, EventKind::BOOT_SERVICES_APPLICATION, program)];
        if with_line {
            events.push(event(9, EventKind::EVENT_TAG, tag));
        }
        EventLog { banks: vec![crypto::Hash::Sha256], events, ..EventLog::default() }
    }

    #[test]
    fn a_command_line_that_names_the_kernel_is_not_guessed() {
        let root = tempfile::tempdir().unwrap();
        let content = include_bytes!("../../../../../tpm2/vectors/event_log/ovmf_unified.log");
        let part = Part::Kernel(NewFile { name: "linux", content });
        for (with_line, why) in
            [(true, "the command line names the files"), (false, "nobody vouches for the kernel 9.9")]
        {
            let log = started_as_a_program(with_line);
            let compared = Compared::default();
            let judge = Judge { root: root.path(), version: Some("9.9"), log: &log, record: None, compared: &compared };
            let said = judge.part(&part).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
