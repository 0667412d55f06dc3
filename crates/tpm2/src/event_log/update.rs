//! Which parts of a boot an update exchanges: files that will be there, found in the log by what they are.
//!
//! The log has the places that a loader knows, an update the files that a system has; what joins them is the name. A kernel has a new one
//! with each version, so it is also found as the last one that was loaded.

use super::component::{Component, Variable};
use super::image::{Image, ImageError};
use super::predict::{Exchange, same_file};
use super::read::EventLog;
use std::fmt;

/// A file that will be there.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Its name without folders, as `vmlinuz-6.1.0-30-amd64`.
    pub name: &'a str,
    /// All of it.
    pub content: &'a [u8],
}

/// What it is.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// A kernel with files of its own.
    Kernel(NewFile<'a>),
    /// Its initramfs.
    Initramfs(NewFile<'a>),
    /// A unified image.
    Unified(NewFile<'a>),
    /// Something else, at this place of the log: a program, or a file that GRUB reads.
    At {
        /// As the log has it.
        place: &'a str,
        /// All of it.
        content: &'a [u8],
    },
    /// A variable of Secure Boot.
    Variable(Variable),
}

/// An exchange, with the place in the log that was found for it.
#[derive(Debug)]
pub struct Located<'a> {
    what: What<'a>,
    place: String,
    next: String,
}

#[derive(Debug)]
enum What<'a> {
    Program(Image<'a>),
    Unified(Image<'a>),
    Kernel(&'a [u8]),
    File(&'a [u8]),
    Initramfs(&'a [u8]),
    Variable(&'a Variable),
}

/// Why a part is not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotLocated {
    /// The log says nothing of such a part.
    NotInLog {
        /// Which one.
        what: String,
    },
    /// The log has neither a file nor a program there.
    NoSuchPlace {
        /// As it was named.
        place: String,
    },
    /// It would have to be a program, and is none.
    Image {
        /// Which one.
        what: String,
        /// Why not.
        source: ImageError,
    },
}

/// How the names of kernels and of their initramfs begin, as distributions and boot loaders have them.
const KERNELS: [&str; 5] = ["vmlinuz", "vmlinux", "linux", "kernel", "bzimage"];
const INITRAMFS: [&str; 2] = ["initrd", "initramfs"];

impl EventLog {
    /// Finds the place of a part.
    ///
    /// # Errors
    /// [`NotLocated`].
    pub fn locate<'a>(&self, part: &'a Part<'_>) -> Result<Located<'a>, NotLocated> {
        match part {
            Part::Kernel(file) => match self.file_like(file.name, &KERNELS) {
                Some(place) => Ok(Located::file(&place, Some(file.name), What::Kernel(file.content))),
                None => {
                    let place = self.program(|name| is_like(name, file.name, &KERNELS));
                    program(place, file.name, file.content, What::Program)
                }
            },
            Part::Initramfs(file) => match self.file_like(file.name, &INITRAMFS) {
                Some(place) => Ok(Located::file(&place, Some(file.name), What::File(file.content))),
                None if self.has(|component| component == Component::Initramfs) => {
                    Ok(Located { what: What::Initramfs(file.content), place: String::new(), next: String::new() })
                }
                None => Err(NotLocated::NotInLog { what: "an initramfs".into() }),
            },
            Part::Unified(file) => {
                let named = self.program(|name| name.eq_ignore_ascii_case(file.name));
                // It is what was loaded last: before it there is at most a loader.
                let place = named.or_else(|| self.program(|_| true)).filter(|_| self.has_sections());
                program(place, file.name, file.content, What::Unified)
            }
            Part::At { place, content } => match self.file_at(place) {
                true => Ok(Located::file(place, None, What::File(content))),
                false if self.program_at(place).is_none() => {
                    Err(NotLocated::NoSuchPlace { place: (*place).to_owned() })
                }
                // A unified image whose stub measures its sections is one under whatever name it is given.
                false if self.has_sections() => program(Some((*place).to_owned()), place, content, |image| {
                    if image.section(".linux").is_some() { What::Unified(image) } else { What::Program(image) }
                }),
                false => program(Some((*place).to_owned()), place, content, What::Program),
            },
            Part::Variable(variable) => {
                let what = What::Variable(variable);
                Ok(Located { what, place: variable.name.clone(), next: variable.name.clone() })
            }
        }
    }

    /// The last file of GRUB that has this name, or one that begins as these do.
    fn file_like(&self, name: &str, begins: &[&str]) -> Option<String> {
        let files: Vec<String> = self.components(9).filter_map(|component| component.into_file()).collect();
        let of = |wanted: &dyn Fn(&str) -> bool| files.iter().rev().find(|path| wanted(base(path))).cloned();
        of(&|found| found == name).or_else(|| of(&|found| is_like(found, name, begins)))
    }

    /// The last program with a file whose name is like this.
    fn program(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let files = self.components(4).filter_map(|component| match component {
            Component::Program { file } => file,
            _ => None,
        });
        files.filter(|path| wanted(base(path))).last()
    }

    fn program_at(&self, place: &str) -> Option<Component> {
        let is_it = |component: &Component| matches!(component, Component::Program { file: Some(file) } if same_file(file, place));
        self.components(4).find(is_it)
    }

    fn file_at(&self, place: &str) -> bool {
        let bare = |path: &str| path.split_once(')').map_or(path, |(_, rest)| rest).to_owned();
        self.components(9).filter_map(Component::into_file).any(|path| path == place || bare(&path) == place)
    }

    fn has_sections(&self) -> bool {
        self.has(|component| matches!(component, Component::Section { .. }))
    }

    fn has(&self, wanted: impl Fn(Component) -> bool) -> bool {
        [9, 11].into_iter().flat_map(|pcr| self.components(pcr)).any(wanted)
    }

    fn components(&self, pcr: u8) -> impl Iterator<Item = Component> {
        self.of_pcr(pcr).map(|event| event.component())
    }
}

impl Component {
    fn into_file(self) -> Option<String> {
        if let Component::File { path } = self { Some(path) } else { None }
    }
}

impl<'a> Located<'a> {
    /// What it changes.
    pub fn exchange(&self) -> Exchange<'_> {
        match &self.what {
            What::Program(image) => Exchange::Program { file: &self.place, image },
            What::Unified(image) => Exchange::UnifiedImage { file: &self.place, image },
            What::Kernel(content) => Exchange::Kernel { path: &self.place, next: &self.next, content },
            What::File(content) => Exchange::File { path: &self.place, next: &self.next, content },
            What::Initramfs(content) => Exchange::Initramfs { content },
            What::Variable(variable) => Exchange::Variable(variable),
        }
    }

    /// Where in the log it stands, for a person. Empty for what has no place.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A file of GRUB whose name becomes this one, in the same folder.
    fn file(place: &str, name: Option<&str>, what: What<'a>) -> Located<'a> {
        let folder = place.strip_suffix(base(place)).unwrap_or_default();
        let next = name.map_or_else(|| place.to_owned(), |name| format!("{folder}{name}"));
        Located { what, place: place.to_owned(), next }
    }
}

fn program<'a>(
    place: Option<String>,
    name: &str,
    content: &'a [u8],
    what: fn(Image<'a>) -> What<'a>,
) -> Result<Located<'a>, NotLocated> {
    let place = place.ok_or_else(|| NotLocated::NotInLog { what: name.to_owned() })?;
    let image = Image::read(content).map_err(|source| NotLocated::Image { what: name.to_owned(), source })?;
    Ok(Located { what: what(image), next: place.clone(), place })
}

/// The name without folders, of GRUB's paths and of the firmware's.
fn base(path: &str) -> &str {
    path.rsplit(['/', '\\', ')']).next().unwrap_or(path)
}

fn is_like(found: &str, name: &str, begins: &[&str]) -> bool {
    let found = found.to_lowercase();
    // `linux.mod` is a part of GRUB.
    if found.ends_with(".mod") {
        return false;
    }
    found == name.to_lowercase() || begins.iter().any(|begin| found.starts_with(begin))
}

impl fmt::Display for NotLocated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotLocated::NotInLog { what } => {
                write!(f, "nothing like {} is in the log of the boot", what.escape_debug())
            }
            NotLocated::NoSuchPlace { place } => {
                write!(f, "there is no place {} in the log of the boot", place.escape_debug())
            }
            NotLocated::Image { what, .. } => write!(f, "{} cannot take the place of a program", what.escape_debug()),
        }
    }
}

impl std::error::Error for NotLocated {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotLocated::NotInLog { .. } | NotLocated::NoSuchPlace { .. } => None,
            NotLocated::Image { source, .. } => Some(source),
        }
    }
}
