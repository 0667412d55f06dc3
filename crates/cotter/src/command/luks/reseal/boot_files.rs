//! The files that this boot has measured, and where they lie on the disk now.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tpm2::PcrSelection;
use tpm2::event_log::{Component, EventLog, Image};

/// Where the files of the loader may be, below the root of the system, and nowhere else: the log is what a boot wrote that may be anybody's.
const FOLDERS: [&str; 3] = ["boot", "boot/efi", "efi"];
/// The disk that GRUB's own program brings along.
const INSIDE: &str = "(memdisk)";
/// The file system that firmware starts programs from, as the kernel calls it.
const FIRMWARES: &str = "vfat";
/// How deep in them a kernel's files may be: `TOKEN/VERSION/initrd`, `EFI/Linux/NAME.efi`.
const DEEPEST: usize = 3;
/// Most files that may be started, so that what is noted of them stays within what is read again.
const MOST_FILES: usize = 512;

/// The folders, as they are mounted now.
pub struct BootFiles {
    folders: Vec<Folder>,
}

struct Folder {
    name: &'static str,
    path: PathBuf,
    /// Number of the device of its file system.
    device: Option<u64>,
    /// Whether the firmware starts programs from here.
    is_esp: bool,
}

impl BootFiles {
    /// Those of the system at `root`. A tree that is none that runs is taken as it is given: nothing is mounted there.
    pub fn of_system(root: &Path) -> BootFiles {
        match root == Path::new("/") {
            true => BootFiles::below(root, &|folder| linux::mounted_at(folder).ok().flatten()),
            false => BootFiles::below(root, &|_| Some(FIRMWARES.to_owned())),
        }
    }

    /// Looks at the folders below `root`, each of them with a file system of its own as `mounted` says, or with none. Only a FAT is the firmware's.
    pub fn below(root: &Path, mounted: &dyn Fn(&Path) -> Option<String>) -> BootFiles {
        let folder = |name: &'static str| {
            let path = root.join(name);
            // Where it is mounted by who looks, this does.
            let _ = fs::read_dir(&path).map(|mut files| files.next());
            let device = path.metadata().ok().map(|about| about.dev());
            let is_esp = mounted(&path).as_deref() == Some(FIRMWARES);
            Folder { name, path, device, is_esp }
        };
        BootFiles { folders: FOLDERS.map(folder).into() }
    }

    /// Which file system each folder is on.
    pub fn devices(&self) -> impl Iterator<Item = (&'static str, Option<u64>)> {
        self.folders.iter().map(|folder| (folder.name, folder.device))
    }

    /// The content of a file that is called so in the log; nothing if there is none. What the loader calls it begins with a disk; what has
    /// backslashes was started by the firmware.
    ///
    /// # Errors
    /// There are several and they differ, so that nobody knows which one is the loader's; or one that cannot be read, that a link has outside of
    /// its folder, or that others than root may change. In words.
    pub fn find(&self, measured: &str, longest: u64) -> Result<Option<Vec<u8>>, String> {
        let bare = measured.split_once(')').map_or(measured, |(_, rest)| rest).replace('\\', "/");
        let bare = bare.trim_start_matches('/');
        // Where /boot is no file system of its own.
        let bare = bare.strip_prefix("boot/").unwrap_or(bare).trim_start_matches('/');
        if measured.starts_with(INSIDE) || bare.is_empty() || bare.split('/').any(|part| part == "..") {
            return Ok(None);
        }
        let is_program = measured.contains('\\');
        let mut found: Option<(PathBuf, Vec<u8>)> = None;
        for folder in self.folders.iter().filter(|folder| folder.is_esp || !is_program) {
            let path = folder.path.join(bare);
            let content = linux::read_file_below(&folder.path, &path, longest);
            let Some(content) = if_there(&path, content)? else { continue };
            match &found {
                Some((first, before)) if *before != content => {
                    let (first, path) = (first.display(), path.display());
                    return Err(format!(
                        "{first} and {path} are both there and differ: which one is started is not known"
                    ));
                }
                Some(_) => {}
                None => found = Some((path, content)),
            }
        }
        Ok(found.map(|(_, content)| content))
    }

    /// What may be started with some kernel or other: every initramfs and program in these folders, links left out.
    ///
    /// # Errors
    /// A folder that cannot be read, or too much in it; in words.
    pub fn startable(&self) -> Result<Vec<PathBuf>, String> {
        let mut found = Vec::new();
        for folder in &self.folders {
            self.walk(&folder.path, 1, &mut found)?;
        }
        Ok(found)
    }

    fn walk(&self, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
        let files = match fs::read_dir(folder) {
            Ok(files) => files,
            Err(source) if is_none(source.kind()) => return Ok(()),
            Err(source) => return Err(format!("cannot read {}: {source}", folder.display())),
        };
        for file in files {
            let file = file.map_err(|source| format!("cannot read {}: {source}", folder.display()))?;
            let kind = file.file_type().map_err(|source| format!("cannot read {}: {source}", file.path().display()))?;
            let name = file.file_name().to_string_lossy().to_lowercase();
            // `initrd`, `initrd.img-VERSION`, `initramfs-VERSION.img`
            let is_startable = name.starts_with("init") || name.ends_with(".efi");
            if kind.is_file() && is_startable {
                found.push(file.path());
            }
            let is_other = || self.folders.iter().any(|folder| folder.path == file.path());
            if kind.is_dir() && depth < DEEPEST && !is_other() {
                self.walk(&file.path(), depth + 1, found)?;
            }
            if found.len() > MOST_FILES {
                return Err(format!("{} has more files than are looked through", folder.display()));
            }
        }
        Ok(())
    }
}

/// The content of a file; nothing if there is none.
pub fn read(path: &Path, longest: u64) -> Result<Option<Vec<u8>>, String> {
    if_there(path, linux::read_regular_file(path, longest))
}

fn if_there(path: &Path, read: io::Result<Vec<u8>>) -> Result<Option<Vec<u8>>, String> {
    match read {
        Ok(content) => Ok(Some(content)),
        Err(source) if is_none(source.kind()) || path.is_dir() => Ok(None),
        Err(source) => Err(format!("cannot read {}: {source}", path.display())),
    }
}

fn is_none(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A file that was measured.
pub struct Place {
    /// As the log has it.
    pub path: String,
    /// Where it was measured into.
    pub pcr: u8,
    hash: crypto::Hash,
    digest: Vec<u8>,
    kind: Kind,
}

enum Kind {
    /// By all of it.
    File,
    /// By its Authenticode digest.
    Program,
}

impl Place {
    /// Whether it is a part of the loader's own program, which brings a file system with it.
    pub fn is_inside(&self) -> bool {
        self.path.starts_with(INSIDE)
    }

    /// Whether the firmware has started it.
    pub fn is_program(&self) -> bool {
        matches!(self.kind, Kind::Program)
    }

    /// Whether this is what was measured.
    pub fn is_same(&self, content: &[u8]) -> bool {
        match self.kind {
            Kind::File => self.hash.digest(&[content]).as_ref() == self.digest.as_slice(),
            Kind::Program => Image::read(content).is_ok_and(|image| image.authenticode(self.hash) == self.digest),
        }
    }
}

/// All files that the log names, of the firmware and of GRUB.
pub fn places(log: &EventLog) -> Vec<Place> {
    let of = |pcr: u8| {
        log.of_pcr(pcr).filter_map(move |event| {
            let (hash, digest) = event.digests.last()?.clone();
            match event.component() {
                Component::File { path } => Some(Place { path, pcr, hash, digest, kind: Kind::File }),
                Component::Program { file: Some(path) } => Some(Place { path, pcr, hash, digest, kind: Kind::Program }),
                _ => None,
            }
        })
    };
    [4, 9].into_iter().flat_map(of).collect()
}

/// The PCRs of each policy that may be signed. What was measured into others proves nothing: nobody looks whether the log explains them, and
/// what a boot measures there may be anything (systemd-boot: its whole configuration, into PCR 5).
#[derive(Default)]
pub struct Compared(pub Vec<PcrSelection>);

impl Compared {
    /// Whether one of them compares this PCR.
    pub fn has(&self, pcr: u8) -> bool {
        self.0.iter().any(|selection| selection.pcrs().any(|compared| compared == pcr))
    }

    /// Whether each of them compares that this boot has started this content: as a program, from a file, as the initramfs, or as the kernel of
    /// a unified image.
    pub fn has_started(&self, log: &EventLog, content: &[u8]) -> bool {
        let image = Image::read(content).ok();
        let is_in = |selection: &PcrSelection| {
            let bank = selection.bank().hash();
            let whole = bank.digest(&[content]);
            let program = image.as_ref().map(|image| image.authenticode(bank));
            selection.pcrs().any(|pcr| {
                log.of_pcr(pcr).any(|event| match (pcr, event.component()) {
                    (4, Component::Program { .. }) => program.is_some() && event.digest(bank) == program.as_deref(),
                    (9, Component::File { .. } | Component::Initramfs) => event.digest(bank) == Some(whole.as_ref()),
                    (11, Component::Section { name }) if name == ".linux" => event.digest(bank) == Some(whole.as_ref()),
                    _ => false,
                })
            })
        };
        !self.0.is_empty() && self.0.iter().all(is_in)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::Hash;
    use tpm2::Bank;
    use tpm2::event_log::{Event, EventKind};

    const PROGRAM: &[u8] = include_bytes!("../../../../../tpm2/vectors/event_log/ovmf_unified.log");

    /// The firmware starts nothing from another file system, or from a folder with none of its own.
    #[test]
    fn programs_are_looked_for_on_a_mounted_fat_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("boot/EFI/BOOT");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("BOOTX64.EFI"), "program").unwrap();
        let find = |kind: Option<&str>| {
            let files = BootFiles::below(root.path(), &|_| kind.map(str::to_owned));
            let found = |path: &str| files.find(path, 64).unwrap().is_some();
            (found("\\EFI\\BOOT\\BOOTX64.EFI"), found("(hd0,gpt1)/EFI/BOOT/BOOTX64.EFI"))
        };
        assert_eq!(find(Some("vfat")), (true, true));
        assert_eq!(find(Some("ext4")), (false, true));
        assert_eq!(find(None), (false, true));
        assert!(BootFiles::of_system(root.path()).folders.iter().all(|folder| folder.is_esp));
        // Nothing is mounted at /efi here, and if so, no other file system than a FAT is one.
        let running = BootFiles::of_system(Path::new("/"));
        assert!(
            running.folders.iter().all(|folder| {
                !folder.is_esp || linux::mounted_at(&folder.path).unwrap().as_deref() == Some("vfat")
            })
        );
    }

    /// What a loader or a person made the firmware measure elsewhere was not started.
    #[test]
    fn what_was_measured_elsewhere_was_not_started() {
        let sha256 = Bank::of(Hash::Sha256).unwrap();
        let wide = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let log = |pcr: u32, kind, data: &[u8]| {
            let digests = vec![(Hash::Sha256, Hash::Sha256.digest(&[PROGRAM]).as_ref().to_vec())];
            let events = vec![Event { pcr, kind, digests, data: data.to_vec() }];
            EventLog { banks: vec![Hash::Sha256], events, ..EventLog::default() }
        };
        let started = |log: &EventLog, policies: &[&[u64]]| {
            let of = |pcrs: &&[u64]| PcrSelection::new(sha256, pcrs.iter().copied()).unwrap();
            Compared(policies.iter().map(of).collect()).has_started(log, PROGRAM)
        };
        let file = log(9, EventKind::IPL, b"/vmlinuz\0");
        assert!(started(&file, &[&[4, 7, 9]]));
        assert!(!started(&file, &[&[4, 7]]), "nobody looks whether PCR 9 is explained");
        assert!(!started(&file, &[&[9], &[4, 7]]), "one of the policies does not compare it");
        assert!(!started(&file, &[]));
        assert!(started(&log(11, EventKind::IPL, &wide(".linux")), &[&[11]]));
        for (pcr, kind, data) in [
            (5, EventKind::IPL, wide("loader.conf")),
            (1, EventKind::VARIABLE_BOOT, Vec::new()),
            (8, EventKind::IPL, b"grub_cmd: x".to_vec()),
            (11, EventKind::IPL, wide(".initrd")),
            (12, EventKind::IPL, wide("line")),
            (9, EventKind::ACTION, Vec::new()),
            // A program is measured by another digest.
            (4, EventKind::BOOT_SERVICES_APPLICATION, Vec::new()),
        ] {
            assert!(!started(&log(pcr, kind, &data), &[&[1, 4, 5, 8, 9, 11, 12]]), "PCR {pcr}");
        }
    }
}
