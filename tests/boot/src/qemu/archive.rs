//! The files of an initramfs, and their form: `cpio` as the kernel reads it (Documentation/driver-api/early-userspace/
//! buffer-format.rst, format `070701`).

use std::collections::BTreeMap;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTERS: u32 = 0o020_000;
const LAST_NAME: &str = "TRAILER!!!";

struct Entry {
    mode: u32,
    /// The content of a file, or the target of a link.
    bytes: Vec<u8>,
    /// Major and minor number of a device.
    device: (u32, u32),
}

/// A tree of files, all of root's.
pub(crate) struct Archive {
    /// By path without a leading slash; in this order a directory stands before what is in it.
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// A tree with nothing but the console, which the kernel opens for the first process.
    pub(crate) fn new() -> Archive {
        let mut archive = Archive { entries: BTreeMap::new() };
        archive.add("dev/console", Entry { mode: CHARACTERS | 0o600, bytes: Vec::new(), device: (5, 1) });
        archive
    }

    /// A tree with nothing at all, to stand behind another archive: of two files with one name the later one stays.
    pub(crate) fn empty() -> Archive {
        Archive { entries: BTreeMap::new() }
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.add(path, Entry { mode: REGULAR | mode, bytes: bytes.into(), device: (0, 0) });
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry { mode: SYMLINK | 0o777, bytes: target.into(), device: (0, 0) });
    }

    pub(crate) fn directory(&mut self, path: &str) {
        self.add(path, Entry { mode: DIRECTORY | 0o755, bytes: Vec::new(), device: (0, 0) });
    }

    /// With the directories above it.
    fn add(&mut self, path: &str, entry: Entry) {
        if let Some((above, _)) = path.rsplit_once('/')
            && !self.entries.contains_key(above)
        {
            self.directory(above);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            append(&mut bytes, number, path, entry);
        }
        append(&mut bytes, 0, LAST_NAME, &Entry { mode: 0, bytes: Vec::new(), device: (0, 0) });
        bytes
    }
}

/// A header of thirteen numbers, eight hexadecimal digits each, then the name and the content, both padded to four bytes.
fn append(bytes: &mut Vec<u8>, inode: u32, name: &str, entry: &Entry) {
    let size = |length: usize| u32::try_from(length).expect("a file of an initramfs has less than 4 GiB");
    let (major, minor) = entry.device;
    let (content, name_size) = (size(entry.bytes.len()), size(name.len() + 1));
    let numbers = [inode, entry.mode, 0, 0, 1, 0, content, 0, 0, major, minor, name_size, 0];
    bytes.extend_from_slice(b"070701");
    numbers.iter().for_each(|number| bytes.extend_from_slice(format!("{number:08x}").as_bytes()));
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend_from_slice(&entry.bytes);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_behind_its_directories() {
        let mut archive = Archive::new();
        archive.file("a/b/c", 0o644, "hi");
        let text = String::from_utf8(archive.to_bytes()).unwrap();
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap();
        assert!(at("000a") < at("00a/b") && at("00a/b") < at("00a/b/c") && at("a/b/c") < at(LAST_NAME));
        assert_eq!(text.len() % 4, 0);
        // Name and content are padded with zeros to four bytes.
        assert!(text.replace('\0', "|").contains("a/b/c|hi||070701"), "{text}");
    }
}
