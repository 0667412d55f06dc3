//! The smallest archive there is: one file in POSIX ustar (IEEE 1003.1, pax, "ustar Interchange Format").

const BLOCK: usize = 512;

/// An archive with one regular file; `name` has at most 100 bytes.
pub fn one_file(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = [0; BLOCK];
    put(&mut header, 0, name.as_bytes());
    put(&mut header, 100, b"0000644\0");
    put(&mut header, 108, b"0000000\0");
    put(&mut header, 116, b"0000000\0");
    put(&mut header, 124, format!("{:011o}\0", contents.len()).as_bytes());
    put(&mut header, 136, b"00000000000\0");
    // The checksum is taken with its own field full of spaces.
    put(&mut header, 148, b"        ");
    put(&mut header, 156, b"0");
    put(&mut header, 257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());

    let mut archive = header.to_vec();
    archive.extend_from_slice(contents);
    // The contents are padded to a whole block, and two empty blocks end the archive.
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

fn put(header: &mut [u8; BLOCK], offset: usize, bytes: &[u8]) {
    header.iter_mut().skip(offset).zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_it() {
        let mut tar =
            Command::new("tar").args(["-xO", "a.txt"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        tar.stdin.take().unwrap().write_all(&one_file("a.txt", b"hello\n")).unwrap();
        assert_eq!(tar.wait_with_output().unwrap().stdout, b"hello\n");
    }
}
