//! Device paths of UEFI (specification 2.10, section 10.3), as far as a person asks: the file, and the partition that it is on.

use super::reader::{Reader, utf16, visible};

/// Most nodes that are read.
const MOST_NODES: usize = 64;
/// What a node begins with: type, subtype, and its length of two bytes.
const HEAD: u16 = 4;

/// The file that a path leads to, such as `\EFI\BOOT\BOOTX64.EFI`; all parts of it, for it may be spread over several nodes.
pub(super) fn file(path: &[u8]) -> Option<String> {
    let mut reader = Reader::new(path);
    let mut file = String::new();
    for _ in 0..MOST_NODES {
        let Some((kind, subtype, data)) = node(&mut reader) else { break };
        match (kind, subtype) {
            (0x7f, _) => break,
            // Media, file path.
            (4, 4) => {
                let part = utf16(data);
                if !file.is_empty() && !file.ends_with('\\') && !part.starts_with('\\') {
                    file.push('\\');
                }
                file.push_str(&part);
            }
            _ => {}
        }
    }
    if file.is_empty() { None } else { Some(visible(&file)) }
}

fn node<'a>(reader: &mut Reader<'a>) -> Option<(u8, u8, &'a [u8])> {
    let (kind, subtype, len) = (reader.u8()?, reader.u8()?, reader.u16()?);
    Some((kind, subtype, reader.take(len.checked_sub(HEAD)?.into())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_node(text: &str) -> Vec<u8> {
        let data: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let len = u16::try_from(data.len()).unwrap_or(0) + HEAD;
        [vec![4, 4], len.to_le_bytes().to_vec(), data].concat()
    }

    #[test]
    fn the_file_is_what_its_nodes_say_together() {
        let end = [0x7f, 0xff, 4, 0];
        let pci = [1, 1, 6, 0, 2, 31];
        let check = |nodes: &[&[u8]], expected: Option<&str>| assert_eq!(file(&nodes.concat()).as_deref(), expected);
        check(&[&pci, &file_node("\\EFI\\BOOT\\BOOTX64.EFI"), &end], Some("\\EFI\\BOOT\\BOOTX64.EFI"));
        check(&[&file_node("\\EFI"), &file_node("BOOT\\a.efi"), &end], Some("\\EFI\\BOOT\\a.efi"));
        check(&[&pci, &end, &file_node("behind the end")], None);
        check(&[&file_node("a\u{1b}b")], Some("a\u{fffd}b"));
        for broken in [&[4_u8, 4][..], &[4, 4, 3, 0], &[4, 4, 0xff, 0xff, 65, 0], &[]] {
            check(&[broken], None);
        }
    }
}
