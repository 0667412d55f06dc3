//! Images of the system: unpacked by the programs that it packs them with, and judged.

use super::install::files;
use super::target::{How, Target};
use crate::error::CommandError;
use bootimage::{Framework, Image, ImageError, Init, Part, Wanted, WantedFile, parts};
use clevis::Cancel;
use linux::Output;
use std::time::Duration;

/// Longest image, packed and unpacked, and how long it may take to unpack.
const LONGEST: (u64, usize) = (1 << 30, 2 << 30);
const PATIENCE: Duration = Duration::from_secs(120);
/// Where the program is in an image and on a system, and where its build for images is.
pub const PROGRAM: &str = "/usr/bin/cotter";
const BUILD_FOR_BOOT: &str = "/usr/lib/cotter/boot/cotter";
/// What lies in an image as it does on the system, if it is there.
const SETTINGS: [&str; 3] = ["/etc/cotter/boot.json", "/etc/cotter/volumes.json", "/etc/cotter/ca.pem"];
/// When the image was made.
const BUILT: &str = "etc/cotter/built";

/// The archives of an image, decompressed.
pub struct Unpacked {
    parts: Vec<Vec<u8>>,
}

impl Unpacked {
    /// The files.
    pub fn image(&self) -> Result<Image<'_>, ImageError> {
        Image::read(&self.parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// Reads an image and decompresses what is compressed.
pub fn unpack(target: &Target, image: &str, cancel: &Cancel) -> Result<Unpacked, CommandError> {
    let what = || format!("the image {} cannot be read", target.shown(image));
    let bytes = linux::read_regular_file(&target.behind(image), LONGEST.0)
        .map_err(|source| CommandError::failed(what(), source))?;
    let found = parts(&bytes).map_err(|source| CommandError::failed(what(), source).hint(hint(image)))?;
    let unpacked = found.into_iter().map(|part| match part {
        Part::Archive(bytes) => Ok(bytes.to_vec()),
        Part::Compressed(how, bytes) => {
            let (program, arguments) = how.program();
            let words: Vec<&str> = [program].into_iter().chain(arguments.iter().copied()).collect();
            let how = How { input: bytes, output: Output::Kept(LONGEST.1), limit: PATIENCE, cancel };
            target.run(&words, &how).map_err(|source| CommandError::failed(what(), source).or_hint(hint(image)))
        }
    });
    Ok(Unpacked { parts: unpacked.collect::<Result<_, _>>()? })
}

fn hint(image: &str) -> String {
    format!("have it made anew, and look at what is said meanwhile; `file {image}` says what it is now")
}

/// What the system has, which its images have to hold.
pub struct OfSystem {
    framework: Framework,
    program: Vec<u8>,
    settings: Vec<(&'static str, Option<Vec<u8>>)>,
}

impl OfSystem {
    /// Reads it.
    pub fn read(target: &Target, framework: Framework) -> Result<OfSystem, CommandError> {
        let settings = SETTINGS.map(|path| Ok((path, target.read(path)?)));
        let settings = settings.into_iter().collect::<Result<_, CommandError>>()?;
        Ok(OfSystem { framework, program: program(target)?, settings })
    }

    /// What of it this image lacks, in the words of who is told.
    pub fn lacks(&self, image: &Image<'_>) -> Vec<String> {
        let mut files = vec![WantedFile::program(relative(PROGRAM), &self.program), WantedFile::any(BUILT)];
        let mut absent = Vec::new();
        for (path, content) in &self.settings {
            match content {
                Some(content) => files.push(WantedFile::bytes(relative(path), content)),
                None => absent.push(relative(path)),
            }
        }
        files.extend(files::inside(self.framework, Init::of(image)).filter_map(|(paths, content)| {
            let there = paths.iter().find(|path| image.find(path).is_some());
            Some(WantedFile::bytes(there.or(paths.first())?, content.as_bytes()))
        }));
        let other = Framework::of(image).filter(|made| *made != self.framework);
        let other = other.map(|made| format!("it was made by {made}"));
        other.into_iter().chain(Wanted { files, absent }.lacks(image).iter().map(ToString::to_string)).collect()
    }
}

/// Whether something of ours is in an image: then a system without us makes its images anew.
pub fn is_in(image: &Image<'_>) -> bool {
    image.find(PROGRAM).is_some()
}

fn relative(path: &'static str) -> &'static str {
    path.trim_start_matches('/')
}

/// The program that goes into images.
fn program(target: &Target) -> Result<Vec<u8>, CommandError> {
    let path = if target.has(BUILD_FOR_BOOT) { BUILD_FOR_BOOT } else { PROGRAM };
    let place = target.behind(path);
    linux::read_regular_file(&place, LONGEST.0).map_err(|source| {
        let error = CommandError::failed(format!("cannot read the program {}", target.shown(path)), source);
        error.hint(format!("install it there: it is copied into each image from {path}"))
    })
}
