//! What the kernel makes of the archives of an image: a tree of files.

use crate::cpio::{self, Reader};
use crate::{Compression, ImageError, LONGEST_PATH, MOST_ENTRIES};
use std::collections::BTreeMap;

/// Links that are followed for one path, as Linux does.
const MOST_LINKS: usize = 40;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// A regular file.
    File {
        /// Its content.
        content: &'a [u8],
        /// Who may do what with it: the lower twelve bits of its mode.
        permissions: u32,
    },
    /// A directory.
    Directory {
        /// The lower twelve bits of its mode.
        permissions: u32,
    },
    /// A symbolic link, and where it leads to.
    Link(&'a [u8]),
    /// A device, a pipe or a socket.
    Other,
}

/// The files of an image by their paths, which have no `/` in front and no link on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image<'a> {
    nodes: BTreeMap<Vec<u8>, Node<'a>>,
}

/// The names under which a file of several is stored, and its content.
type Shared<'a> = BTreeMap<[u32; 3], (Vec<Vec<u8>>, &'a [u8])>;

impl<'a> Image<'a> {
    /// Reads archives one behind the other; in each of `parts` there may be several, with zeros between them. As for the kernel, a later entry
    /// takes the place of an earlier one, and an entry that cannot be made (in no directory, or a link in the place of a directory that is not
    /// empty) is left out.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(parts: &[&'a [u8]]) -> Result<Image<'a>, ImageError> {
        let mut image = Image::default();
        for part in parts {
            image.add(part)?;
        }
        if image.nodes.is_empty() { Err(ImageError::Empty) } else { Ok(image) }
    }

    /// All files in the order of their paths, directories before what they hold.
    pub fn nodes(&self) -> impl Iterator<Item = (&[u8], &Node<'a>)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), node))
    }

    /// What is at a path, links followed within the image, the last one too.
    pub fn find(&self, path: &str) -> Option<&Node<'a>> {
        self.nodes.get(&self.resolved(path.as_bytes())?)
    }

    /// The path without links on the way; `None` if it leads nowhere, or round and round.
    pub fn place_of(&self, path: &str) -> Option<&[u8]> {
        self.nodes.get_key_value(&self.resolved(path.as_bytes())?).map(|(path, _)| path.as_slice())
    }

    /// The content of the regular file at a path, links followed.
    pub fn content(&self, path: &str) -> Option<&'a [u8]> {
        match self.find(path)? {
            Node::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// Whether something lies in this directory, or below it.
    pub fn has_below(&self, directory: &str) -> bool {
        let Some(mut place) = self.resolved(directory.as_bytes()) else { return false };
        place.push(b'/');
        self.nodes.range(place.clone()..).next().is_some_and(|(path, _)| path.starts_with(&place))
    }

    fn add(&mut self, part: &'a [u8]) -> Result<(), ImageError> {
        let mut at = 0;
        loop {
            at += part.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == 0).count();
            let rest = part.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            if !cpio::begins(rest) {
                let nested = Compression::of(rest).is_some();
                return Err(if nested { ImageError::Nested { at } } else { ImageError::Unknown { at } });
            }
            at = self.add_archive(part, at)?;
        }
    }

    /// Adds the archive that begins at `at`, and tells where it ends.
    fn add_archive(&mut self, part: &'a [u8], at: usize) -> Result<usize, ImageError> {
        let mut reader = Reader::new(part, at);
        let mut shared = Shared::new();
        while let Some(entry) = reader.next()? {
            if self.nodes.len() >= MOST_ENTRIES {
                return Err(ImageError::TooMany);
            }
            let node = Node::of(&entry);
            let Some(path) = self.insert(entry.name, node)? else { continue };
            if entry.links > 1 && matches!(node, Node::File { .. }) {
                let (names, content) = shared.entry(entry.file).or_default();
                names.push(path);
                // Of the names of one file one alone comes with the content: the first, or as GNU has it the last.
                if !entry.content.is_empty() {
                    *content = entry.content;
                }
            }
        }
        for (names, of_all) in shared.into_values() {
            for name in names {
                if let Some(Node::File { content, .. }) = self.nodes.get_mut(&name) {
                    *content = of_all;
                }
            }
        }
        Ok(reader.at())
    }

    /// Puts it where the kernel would, and tells where that is.
    fn insert(&mut self, name: &[u8], node: Node<'a>) -> Result<Option<Vec<u8>>, ImageError> {
        let upwards = || ImageError::Upwards { path: String::from_utf8_lossy(name).into_owned() };
        let words: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(is_word).collect();
        if words.contains(&b"..".as_slice()) {
            return Err(upwards());
        }
        // The root itself.
        let Some((last, parents)) = words.split_last() else { return Ok(None) };
        let Some(mut path) = self.resolved(&parents.join(&b'/')) else { return Ok(None) };
        if !path.is_empty() && !matches!(self.nodes.get(&path), Some(Node::Directory { .. })) {
            return Ok(None);
        }
        push(&mut path, last);
        let is_directory = matches!(node, Node::Directory { .. });
        if path.len() > LONGEST_PATH || (!is_directory && self.is_full(&path)) {
            return Ok(None);
        }
        self.nodes.insert(path.clone(), node);
        Ok(Some(path))
    }

    fn is_full(&self, path: &[u8]) -> bool {
        let below = [path, b"/"].concat();
        self.nodes.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    }

    /// The path without links; what is missing stays as it is named.
    fn resolved(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut left: Vec<Vec<u8>> = words(path);
        let (mut done, mut links): (Vec<u8>, usize) = (Vec::new(), 0);
        while let Some(word) = left.pop() {
            if word == b".." {
                let parent = done.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                done.truncate(parent);
                continue;
            }
            let length = done.len();
            push(&mut done, &word);
            if done.len() > LONGEST_PATH {
                return None;
            }
            if let Some(Node::Link(target)) = self.nodes.get(&done) {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                // From the root of the image, or from the directory of the link.
                done.truncate(if target.starts_with(b"/") { 0 } else { length });
                left.extend(words(target));
            }
        }
        Some(done)
    }
}

/// The words of a path, the last one first.
fn words(path: &[u8]) -> Vec<Vec<u8>> {
    let words = path.split(|byte| *byte == b'/').filter(is_word);
    words.rev().map(<[u8]>::to_vec).collect()
}

fn is_word(word: &&[u8]) -> bool {
    !word.is_empty() && *word != b"."
}

fn push(path: &mut Vec<u8>, word: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(word);
}

impl<'a> Node<'a> {
    fn of(entry: &cpio::Entry<'a>) -> Node<'a> {
        let permissions = entry.mode & 0o7777;
        match entry.mode & 0o170_000 {
            0o100_000 => Node::File { content: entry.content, permissions },
            0o040_000 => Node::Directory { permissions },
            // Some builders count a zero behind the target.
            0o120_000 => Node::Link(entry.content.split(|byte| *byte == 0).next().unwrap_or_default()),
            _ => Node::Other,
        }
    }
}
