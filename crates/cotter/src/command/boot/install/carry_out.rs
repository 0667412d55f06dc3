//! The steps of a plan, one after the other; if one fails, all that were done are taken back in the reverse order.

use super::journal::{self, Journal};
use super::plan::{DIRECTORY_MODE, Step};
use super::state::{Kept, State};
use crate::command::boot::system::System;
use crate::command::boot::target::{How, Target};
use crate::error::CommandError;
use crate::output;
use clevis::Cancel;
use linux::Output;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long making one kernel's image may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Where images are kept until all is done.
const COPIES: &str = "/var/lib/cotter/before";

/// What was done, to be taken back.
enum Done {
    Made(String),
    Wrote(String, State),
    Guarded(String),
    /// The directory of the copies.
    Copies,
    Copied(Copy),
}

/// An image and its copy.
struct Copy {
    image: String,
    copy: PathBuf,
}

/// Steps under way.
pub struct Work<'a> {
    target: &'a Target,
    system: &'a System,
    cancel: &'a Cancel,
    done: Vec<Done>,
    /// What is run again when all is taken back: it reads what is put back.
    again: Vec<Vec<String>>,
}

impl<'a> Work<'a> {
    /// Nothing is done yet.
    pub fn new(target: &'a Target, system: &'a System, cancel: &'a Cancel) -> Work<'a> {
        Work { target, system, cancel, done: Vec::new(), again: Vec::new() }
    }

    /// Does the steps, and then `proof`; `journal` says what was changed when they are done. If one fails all are taken back, and the error says
    /// so.
    pub fn carry_out(
        mut self,
        steps: &[Step],
        journal: &Journal,
        proof: &mut dyn FnMut() -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let done = self.all(steps, journal).and_then(|()| proof());
        done.map_err(|error| self.take_back(error))?;
        // Nobody needs them any more; the next run would remove them, too.
        let _ = fs::remove_dir_all(self.target.at(COPIES));
        Ok(())
    }

    fn all(&mut self, steps: &[Step], journal: &Journal) -> Result<(), CommandError> {
        self.write_journal(journal)?;
        if steps.iter().any(|step| matches!(step, Step::Run { makes_images: true, .. })) {
            self.copy_images()?;
        }
        for step in steps {
            if self.cancel.is_cancelled() {
                return Err(CommandError::plain("given up"));
            }
            self.step(step)?;
            output::line(&step.to_string())?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), CommandError> {
        match step {
            Step::Directory { path } => self.make_directory(path),
            Step::Write { path, before, after } => self.write(path, before, after.clone()),
            Step::Guard { path } => self.guard(path),
            Step::Run { words, makes_images } => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let how = How { input: &[], output: Output::Shown, limit: PATIENCE, cancel: self.cancel };
                self.target.run(&words, &how).map(drop)?;
                if !makes_images {
                    self.again.push(words.into_iter().map(str::to_owned).collect());
                }
                Ok(())
            }
        }
    }

    fn write_journal(&mut self, journal: &Journal) -> Result<(), CommandError> {
        if !self.target.has(journal::DIRECTORY) {
            self.make_directory(journal::DIRECTORY)?;
        }
        let before = State::read(self.target, journal::PATH)?;
        let text = State::File(Kept::of_root(0o600, journal.to_text()));
        if before == text { Ok(()) } else { self.write(journal::PATH, &before, text) }
    }

    fn make_directory(&mut self, path: &str) -> Result<(), CommandError> {
        let made = DirBuilder::new().mode(DIRECTORY_MODE).create(self.target.at(path));
        made.map_err(|source| CommandError::failed(format!("cannot make {}", self.target.shown(path)), source))?;
        self.done.push(Done::Made(path.to_owned()));
        Ok(())
    }

    fn write(&mut self, path: &str, before: &State, after: State) -> Result<(), CommandError> {
        if State::read(self.target, path)? != *before {
            let error = CommandError::plain(format!("{} was changed meanwhile", self.target.shown(path)));
            return Err(error.hint("do it again: `cotter boot install`"));
        }
        self.done.push(Done::Wrote(path.to_owned(), before.clone()));
        after.put(self.target, path)
    }

    fn guard(&mut self, path: &str) -> Result<(), CommandError> {
        let guarded = linux::set_immutable(&self.target.at(path), true);
        let failed =
            |source| CommandError::failed(format!("cannot make {} immutable", self.target.shown(path)), source);
        if guarded.map_err(failed)? {
            self.done.push(Done::Guarded(path.to_owned()));
        }
        Ok(())
    }

    fn copy_images(&mut self) -> Result<(), CommandError> {
        let copies = self.target.at(COPIES);
        let what = || format!("cannot keep the images of before in {}", self.target.shown(COPIES));
        let failed = |source| CommandError::failed(what(), source).hint("is there room? `df`");
        match fs::remove_dir_all(&copies) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(failed(source)),
            _ => DirBuilder::new().mode(0o700).create(&copies).map_err(failed)?,
        }
        self.done.push(Done::Copies);
        let images: Vec<String> = self.system.images().map(|(_, image)| image.to_owned()).collect();
        for (number, image) in images.into_iter().enumerate() {
            let copy = copies.join(number.to_string());
            copy_as_it_is(&self.target.behind(&image), &copy).map_err(failed)?;
            self.done.push(Done::Copied(Copy { image, copy }));
        }
        Ok(())
    }

    /// Takes everything back, and tells what could not be.
    fn take_back(&mut self, error: CommandError) -> CommandError {
        let mut left = Vec::new();
        while let Some(done) = self.done.pop() {
            if let Err((path, why)) = self.undo(&done) {
                left.push(format!("{}: {why}", self.target.shown(&path)));
            }
        }
        for words in &self.again {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(error) = self.target.run(&words, &How::asked(&Cancel::new())) {
                left.push(error.to_string());
            }
        }
        if left.is_empty() {
            return CommandError::failed("nothing was changed: all that was done is taken back", error);
        }
        left.iter().for_each(|line| output::say(&format!("cotter: not taken back: {line}")));
        let what = format!("not everything could be taken back ({} told above)", left.len());
        CommandError::failed(what, error)
    }

    fn undo(&self, done: &Done) -> Result<(), (String, String)> {
        let told = |path: &str| (path.to_owned(), move |error: io::Error| error.to_string());
        match done {
            Done::Wrote(path, before) => {
                before.put(self.target, path).map_err(|error| (path.clone(), error.to_string()))
            }
            Done::Made(path) => match fs::remove_dir(self.target.at(path)) {
                // Somebody else has put something there meanwhile.
                Err(error) if !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
                    let (path, text) = told(path);
                    Err((path, text(error)))
                }
                _ => Ok(()),
            },
            Done::Guarded(path) => {
                let (shown, text) = told(path);
                linux::set_immutable(&self.target.at(path), false).map(drop).map_err(|error| (shown, text(error)))
            }
            Done::Copies => {
                fs::remove_dir_all(self.target.at(COPIES)).map_err(|error| (COPIES.to_owned(), error.to_string()))
            }
            Done::Copied(Copy { image, copy }) => {
                let (shown, text) = told(image);
                put_image_back(copy, &self.target.behind(image)).map_err(|error| (shown, text(error)))
            }
        }
    }
}

/// A copy with owner, mode and time.
fn copy_as_it_is(from: &Path, to: &Path) -> io::Result<()> {
    let about = fs::metadata(from)?;
    fs::copy(from, to)?;
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, Permissions::from_mode(about.mode() & 0o7777))?;
    let file = File::options().write(true).open(to)?;
    file.set_modified(about.modified()?)?;
    file.sync_all()
}

/// Beside it first, so that there is an image at each moment; in its place where there is no room for two.
fn put_image_back(copy: &Path, image: &Path) -> io::Result<()> {
    if fs::read(copy)? == fs::read(image).unwrap_or_default() {
        return copy_times(copy, image);
    }
    let mut beside = image.as_os_str().to_owned();
    beside.push(".cotter-new");
    let beside = PathBuf::from(beside);
    match copy_as_it_is(copy, &beside).and_then(|()| fs::rename(&beside, image)) {
        Err(_) => {
            let _ = fs::remove_file(&beside);
            copy_as_it_is(copy, image)
        }
        Ok(()) => Ok(()),
    }
}

fn copy_times(from: &Path, to: &Path) -> io::Result<()> {
    File::options().write(true).open(to)?.set_modified(fs::metadata(from)?.modified()?)
}
