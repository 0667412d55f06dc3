//! The files of an update.

use crate::args::UpdateArgs;
use crate::error::CommandError;
use std::path::Path;
use tpm2::event_log::{NewFile, Part, SECURITY_DATABASE, Variable, is_signature_lists};

/// The files, read.
pub struct Update {
    files: Vec<(Role, String, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Role {
    Kernel,
    Initramfs,
    Unified,
    At,
    Variable(&'static str),
}

/// Longest file of an update: an initramfs or a unified image with all firmware in it.
pub const LONGEST: u64 = 512 << 20;
/// What begins a file of efivarfs: the attributes.
const ATTRIBUTES_LEN: usize = 4;

impl Update {
    /// Reads all files that are named.
    pub fn read(args: &UpdateArgs) -> Result<Update, CommandError> {
        let named = [
            (Role::Kernel, &args.kernel),
            (Role::Initramfs, &args.initramfs),
            (Role::Unified, &args.uki),
            (Role::Variable("db"), &args.db),
            (Role::Variable("dbx"), &args.dbx),
        ];
        let mut files = Vec::new();
        for (role, path) in named {
            if let Some(path) = path {
                let content = content(path)?;
                let content = if matches!(role, Role::Variable(_)) { variable(path, content)? } else { content };
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.push((role, name, content));
            }
        }
        for (place, path) in &args.file {
            files.push((Role::At, place.clone(), content(path)?));
        }
        Ok(Update { files })
    }

    /// As what is looked for in the log.
    pub fn parts(&self) -> Vec<Part<'_>> {
        self.files
            .iter()
            .map(|(role, name, content)| {
                let file = NewFile { name, content };
                match role {
                    Role::Kernel => Part::Kernel(file),
                    Role::Initramfs => Part::Initramfs(file),
                    Role::Unified => Part::Unified(file),
                    Role::At => Part::At { place: name, content },
                    Role::Variable(name) => {
                        let (name, data) = ((*name).to_owned(), content.clone());
                        Part::Variable(Variable { guid: SECURITY_DATABASE, name, data })
                    }
                }
            })
            .collect()
    }

    /// With one more file, at this place of the log.
    pub fn add(&mut self, place: String, content: Vec<u8>) {
        self.files.push((Role::At, place, content));
    }
}

fn content(path: &Path) -> Result<Vec<u8>, CommandError> {
    linux::read_regular_file(path, LONGEST).map_err(|source| {
        CommandError::failed(format!("cannot read {}", path.display()), source)
            .hint("name a file of the boot that comes")
    })
}

/// The content of a variable: a file of efivarfs has its attributes before it, and one with a signature around it is no content.
fn variable(path: &Path, mut content: Vec<u8>) -> Result<Vec<u8>, CommandError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let guid = name.split_once('-').map_or("", |(_, guid)| guid);
    if guid.len() == 36 && content.len() >= ATTRIBUTES_LEN {
        content.drain(..ATTRIBUTES_LEN);
    }
    // An authenticated update begins with a time, whose first field is the year.
    let year = content.first_chunk().map_or(0, |year| u16::from_le_bytes(*year));
    if (2000..2200).contains(&year) && content.get(20..24) == Some(&[0, 2, 0xf1, 0x0e]) {
        let error =
            CommandError::plain(format!("{} is a signed change of a variable, and not its content", path.display()));
        return Err(error.hint("give the whole content that the variable will have, as a list of signatures"));
    }
    if !is_signature_lists(&content) {
        let error = CommandError::plain(format!("{} is no list of signatures", path.display()));
        return Err(
            error.hint("/sys/firmware/efi/efivars/db-*, or what `cert-to-efi-sig-list` writes; without a change none")
        );
    }
    Ok(content)
}
