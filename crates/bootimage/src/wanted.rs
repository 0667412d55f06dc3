//! What has to be inside an image, and what of it is not.

use crate::{Image, Node, is_same_program};
use std::fmt;

/// What has to be inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Files, in the order in which lacks are told.
    pub files: Vec<WantedFile<'a>>,
    /// Files that must not be there: those of a machine that has none, from an image of before.
    pub absent: Vec<&'a str>,
}

/// A file that has to be inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedFile<'a> {
    /// Its path, without a `/` in front. Links are followed.
    pub path: &'a str,
    /// Its content.
    pub is: Content<'a>,
}

/// What a file has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Something.
    Any,
    /// These bytes.
    Bytes(&'a [u8]),
    /// This program, which builders may strip of what it does not need, and which can be run.
    Program(&'a [u8]),
}

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A file is not there.
    Missing {
        /// Its path.
        path: String,
    },
    /// A file has another content than on the machine: the image is older.
    Stale {
        /// Its path.
        path: String,
    },
    /// A program that may not be run.
    NotExecutable {
        /// Its path.
        path: String,
    },
    /// A file is there that the machine does not have any more.
    Left {
        /// Its path.
        path: String,
    },
}

impl<'a> WantedFile<'a> {
    /// A file with this content.
    pub fn bytes(path: &'a str, bytes: &'a [u8]) -> WantedFile<'a> {
        WantedFile { path, is: Content::Bytes(bytes) }
    }

    /// A program that can be run, with the loaded content of this one.
    pub fn program(path: &'a str, program: &'a [u8]) -> WantedFile<'a> {
        WantedFile { path, is: Content::Program(program) }
    }

    /// A file, whatever it holds.
    pub fn any(path: &'a str) -> WantedFile<'a> {
        WantedFile { path, is: Content::Any }
    }

    fn lack(&self, image: &Image<'_>) -> Option<Lack> {
        let path = || self.path.to_owned();
        let Some(Node::File { content, permissions }) = image.find(self.path) else {
            return Some(Lack::Missing { path: path() });
        };
        let is_right = match self.is {
            Content::Any => true,
            Content::Bytes(bytes) => *content == bytes,
            Content::Program(program) => is_same_program(content, program),
        };
        match (is_right, &self.is) {
            (false, _) => Some(Lack::Stale { path: path() }),
            (true, Content::Program(_)) if permissions & 0o100 == 0 => Some(Lack::NotExecutable { path: path() }),
            (true, _) => None,
        }
    }
}

impl Wanted<'_> {
    /// What is wrong with this image; nothing is the answer to hope for.
    pub fn lacks(&self, image: &Image<'_>) -> Vec<Lack> {
        let left = self.absent.iter().filter(|path| image.find(path).is_some());
        let left = left.map(|path| Lack::Left { path: (*path).to_owned() });
        self.files.iter().filter_map(|file| file.lack(image)).chain(left).collect()
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Missing { path } => write!(f, "{path} is not in it"),
            Lack::Stale { path } => write!(f, "{path} is another than on this machine"),
            Lack::NotExecutable { path } => write!(f, "{path} cannot be run"),
            Lack::Left { path } => write!(f, "{path} is still in it"),
        }
    }
}
