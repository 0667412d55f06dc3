//! The files that this boot has measured, and where they lie on the disk now.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tpm2::event_log::{Component, EventLog, Image};

/// Where the files of the loader may be, below the root of the system, and nowhere else: the log is what a boot wrote that may be anybody's.
const FOLDERS: [&str; 3] = ["boot", "boot/efi", "efi"];
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
    /// Looks at the folders below `root`. Of the running system only a mounted FAT counts as the firmware's; any other tree is taken as it is given.
    pub fn below(root: &Path) -> BootFiles {
        let is_given = fs::canonicalize(root).map_or(true, |root| root != Path::new("/"));
        let folder = |name: &'static str| {
            let path = root.join(name);
            // Where it is mounted by who looks, this does.
            let _ = fs::read_dir(&path).map(|mut files| files.next());
            let device = path.metadata().ok().map(|about| about.dev());
            let is_esp = is_given || linux::mounted_at(&path).is_ok_and(|kind| kind.as_deref() == Some("vfat"));
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
    /// There are several and they differ, so that nobody knows which one is the loader's; or one that cannot be read. In words.
    pub fn find(&self, measured: &str, longest: u64) -> Result<Option<Vec<u8>>, String> {
        let bare = measured.split_once(')').map_or(measured, |(_, rest)| rest).replace('\\', "/");
        let bare = bare.trim_start_matches('/');
        // Where /boot is no file system of its own.
        let bare = bare.strip_prefix("boot/").unwrap_or(bare).trim_start_matches('/');
        if bare.is_empty() || bare.split('/').any(|part| part == "..") {
            return Ok(None);
        }
        let is_program = measured.contains('\\');
        let mut found: Option<(PathBuf, Vec<u8>)> = None;
        for folder in self.folders.iter().filter(|folder| folder.is_esp || !is_program) {
            let path = folder.path.join(bare);
            let Some(content) = read(&path, longest)? else { continue };
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
    match linux::read_regular_file(path, longest) {
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
        log.of_pcr(pcr).filter_map(|event| {
            let (hash, digest) = event.digests.last()?.clone();
            match event.component() {
                Component::File { path } => Some(Place { path, hash, digest, kind: Kind::File }),
                Component::Program { file: Some(path) } => Some(Place { path, hash, digest, kind: Kind::Program }),
                _ => None,
            }
        })
    };
    [4, 9].into_iter().flat_map(of).collect()
}

/// Whether this boot has measured this content, whatever it was called.
pub fn is_measured(log: &EventLog, content: &[u8]) -> bool {
    let image = Image::read(content).ok();
    log.banks.iter().any(|bank| {
        let whole = bank.digest(&[content]).as_ref().to_vec();
        let program = image.as_ref().map(|image| image.authenticode(*bank));
        let mut digests = log.events.iter().filter(|event| event.extends()).filter_map(|event| event.digest(*bank));
        digests.any(|digest| digest == whole || program.as_deref() == Some(digest))
    })
}
