//! What is noted after each start: that the boot files on the disk are those that were measured.
//!
//! A machine may be started from a stick with copies of the genuine files, while those at the same places of its own disk are others. The PCRs
//! are the same then, and the others would pass for an update later. So they are compared while nobody has had time for an update, and
//! `--hook` signs in this boot alone, for file systems that were there, and for no initramfs that lay there unmeasured.

use super::boot_files::{BootFiles, Place, places, read};
use crate::args::ResealArgs;
use crate::command::tpm::log;
use crate::command::tpm::update::LONGEST;
use crate::error::{CommandError, visible};
use crate::output;
use crate::private_file;
use clevis::Files as _;
use clevis::measured::to_hex;
use crypto::Hash;
use json::{Field, FieldError, Limits, Object, Value};
use linux::HostFiles;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tpm2::event_log::{End, EventLog};

/// Where it lies, below the root of the system; nothing of it outlives the start that it is about.
const PLACE: &str = "run/cotter/boot-files";

/// See the module.
pub struct Record {
    /// SHA-256 over the log.
    log: String,
    /// Each folder of boot files, with the number of its file system.
    folders: Vec<(String, String)>,
    /// The measured files that were there and the same, as the log has them.
    same: Vec<String>,
    /// SHA-256 of every initramfs and program that lay there.
    lay: Vec<String>,
}

/// Compares, and makes the record.
///
/// # Errors
/// A file is another one than was measured, and all that are; or the record cannot be written.
pub fn make(args: &ResealArgs) -> Result<(), CommandError> {
    let path = args.root.join(PLACE);
    let log = log::read(&args.update.log)?;
    if log.end != End::Complete {
        return Err(refused(format!("the log of the boot says too little: {}", log::end(&log))));
    }
    let files = BootFiles::of_system(&args.root);
    if Record::of_this_boot(&args.root, &log, &files).is_ok() {
        output::say(&visible(&format!("{} is there already", path.display())));
        return Ok(());
    }
    let (mut same, mut missing, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for place in places(&log) {
        match files.find(&place.path, LONGEST) {
            Ok(Some(content)) if place.is_same(&content) => same.push(place.path),
            Ok(Some(_)) => others.push(format!("{} is not the file that this boot measured", place.path)),
            Ok(None) if place.is_inside() => {}
            Ok(None) => missing.push(place.path),
            Err(why) => others.push(why),
        }
    }
    if others.is_empty() && same.is_empty() {
        others.push("no file that this boot measured is on the disk, in /boot, /boot/efi or /efi".into());
    }
    if !others.is_empty() {
        if !args.dry_run {
            others.extend(remove(&path).err());
        }
        return Err(refused(visible(&others.join("; "))));
    }
    let found = same.len();
    let record = Record::new(&log, &files, same).map_err(|why| refused(visible(&why)))?;
    record.write(&path, args.dry_run)?;
    if !missing.is_empty() {
        output::say(&visible(&format!("measured, and not found on the disk: {}", missing.join(", "))));
    }
    output::say(&format!("the boot files on the disk that were measured are the same: {found}"));
    Ok(())
}

/// Takes a record away that is none; if it stays, it is refused by its log.
fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {source}", path.display()))
        }
        _ => Ok(()),
    }
}

fn refused(why: String) -> CommandError {
    let error = CommandError::plain(format!("nothing is signed unattended in this boot: {why}"));
    error.hint("look into it; a person can approve: `cotter luks reseal -d DEV --sign FILE`")
}

impl Record {
    fn new(log: &EventLog, files: &BootFiles, mut same: Vec<String>) -> Result<Record, String> {
        let lay = files.startable()?.into_iter().map(|path| Ok(read(&path, LONGEST)?.map(|content| digest(&content))));
        let lay: Vec<Option<String>> = lay.collect::<Result<_, String>>()?;
        same.sort();
        same.dedup();
        Ok(Record { log: identity(log), folders: folders(files), same, lay: lay.into_iter().flatten().collect() })
    }

    /// The record of this start.
    ///
    /// # Errors
    /// There is none, or something is other now than it says; in words.
    pub fn of_this_boot(root: &Path, log: &EventLog, files: &BootFiles) -> Result<Record, String> {
        let path = root.join(PLACE);
        let bytes = HostFiles.read_key(&path.to_string_lossy()).map_err(|source| match source.kind() {
            ErrorKind::NotFound => format!(
                "{} is not there, so nothing says that the boot files on the disk are those that this boot measured; \
                 cotter-boot-files.service makes it at the start",
                path.display()
            ),
            _ => format!("{} is not used: {source}", path.display()),
        })?;
        let unreadable = |why: String| format!("{} is not used: {why}", path.display());
        let value = json::parse(bytes.expose(), &Limits::SMALL).map_err(|source| unreadable(source.to_string()))?;
        let record = Record::read(&value.field("record")).map_err(|source| unreadable(source.to_string()))?;
        if record.log != identity(log) {
            return Err(unreadable("it is of another start".into()));
        }
        match folders(files).into_iter().find(|folder| !record.folders.contains(folder)) {
            Some((name, _)) => Err(unreadable(format!("{name} is not on the file system that it was on at the start"))),
            None => Ok(record),
        }
    }

    /// Whether this file was on the disk at the start, and the one that was measured.
    pub fn was_same(&self, place: &Place) -> bool {
        self.same.contains(&place.path)
    }

    /// Whether this initramfs or program was made since.
    pub fn is_new(&self, content: &[u8]) -> bool {
        !self.lay.contains(&digest(content))
    }

    fn read(field: &Field<'_>) -> Result<Record, FieldError> {
        let texts = |field: Field<'_>| {
            field.items()?.map(|item| item.text().map(str::to_owned)).collect::<Result<Vec<String>, FieldError>>()
        };
        let folders = field.member("folders")?;
        let folders = folders.members()?.map(|(name, device)| Ok((name.to_owned(), device.text()?.to_owned())));
        Ok(Record {
            log: field.member("log")?.text()?.to_owned(),
            folders: folders.collect::<Result<_, FieldError>>()?,
            same: texts(field.member("same")?)?,
            lay: texts(field.member("lay")?)?,
        })
    }

    fn write(&self, path: &Path, dry_run: bool) -> Result<(), CommandError> {
        let folders = self.folders.iter();
        let folders = folders.fold(Object::new(), |json, (name, device)| json.with(name, device.as_str()));
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect::<Vec<Value>>();
        let json = Object::new().with("log", self.log.as_str()).with("folders", folders);
        let text = Value::from(json.with("same", texts(&self.same)).with("lay", texts(&self.lay))).to_compact();
        if text.len() > Limits::SMALL.bytes {
            return Err(refused(format!("there are too many boot files: {} could not be read again", path.display())));
        }
        if dry_run {
            output::say(&visible(&format!("would write {}", path.display())));
            return Ok(());
        }
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| CommandError::failed(format!("cannot make {}", folder.display()), source))?;
        private_file::replace(path, text.as_bytes())
    }
}

/// What becomes of the log in a record: the same for another boot only if everything in it is.
fn identity(log: &EventLog) -> String {
    let event = |event: &tpm2::event_log::Event| {
        let digests = event.digests.iter().flat_map(|(_, digest)| digest.iter().copied());
        event.pcr.to_le_bytes().into_iter().chain(digests).collect::<Vec<u8>>()
    };
    digest(&log.events.iter().flat_map(event).collect::<Vec<u8>>())
}

fn folders(files: &BootFiles) -> Vec<(String, String)> {
    let number = |device: Option<u64>| device.map_or_else(|| "none".to_owned(), |device| device.to_string());
    files.devices().map(|(name, device)| (name.to_owned(), number(device))).collect()
}

fn digest(content: &[u8]) -> String {
    to_hex(Hash::Sha256.digest(&[content]).as_ref())
}
