//! What an ELF file says about how it was linked (System V ABI, chapters 4 and 5; 64 bit, little endian only).

/// Program header types and flags that tell a static from a dynamic program.
const PT_INTERP: u32 = 3;
const PT_DYNAMIC: u32 = 2;
const SHT_SYMTAB: u32 = 2;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// How a program was linked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linking {
    pub(crate) kind: Kind,
    /// The section `.symtab` is gone.
    pub(crate) stripped: bool,
}

/// The three ways a program can be loaded.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Kind {
    /// Asks for a dynamic loader by name.
    Dynamic,
    /// Needs nothing, and may be placed anywhere in memory.
    StaticPie,
    /// Needs nothing, and has a fixed place in memory.
    StaticFixed,
}

/// Reads the headers of `file`. `None` if it is not a whole 64-bit little-endian ELF program.
pub(crate) fn linking(file: &[u8]) -> Option<Linking> {
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let segments = types(file, u64_at(file, 32)?, u16_at(file, 54)?, u16_at(file, 56)?, 0)?;
    let sections = types(file, u64_at(file, 40)?, u16_at(file, 58)?, u16_at(file, 60)?, 4)?;
    let kind = match u16_at(file, 16)? {
        _ if segments.contains(&PT_INTERP) => Kind::Dynamic,
        ET_DYN if segments.contains(&PT_DYNAMIC) => Kind::StaticPie,
        ET_EXEC => Kind::StaticFixed,
        _ => return None,
    };
    Some(Linking { kind, stripped: !sections.contains(&SHT_SYMTAB) })
}

/// The type field, `at` bytes into each of `count` table entries.
fn types(file: &[u8], start: u64, size: u16, count: u16, at: u64) -> Option<Vec<u32>> {
    (0..u64::from(count)).map(|n| u32_at(file, start.checked_add(n * u64::from(size))?.checked_add(at)?)).collect()
}

fn bytes<const N: usize>(file: &[u8], at: u64) -> Option<[u8; N]> {
    file.get(usize::try_from(at).ok()?..)?.first_chunk().copied()
}

fn u16_at(file: &[u8], at: u64) -> Option<u16> {
    bytes(file, at).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], at: u64) -> Option<u32> {
    bytes(file, at).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], at: u64) -> Option<u64> {
    bytes(file, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::*;

    /// An ELF header with the given program and section header types behind it.
    fn file(kind: u16, segments: &[u32], sections: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16..18].copy_from_slice(&kind.to_le_bytes());
        file[32] = 64; // e_phoff
        file[54] = 56; // e_phentsize
        file[56] = segments.len() as u8;
        for segment in segments {
            file.extend(segment.to_le_bytes());
            file.resize(file.len() + 52, 0);
        }
        let start = file.len() as u16;
        file[40..42].copy_from_slice(&start.to_le_bytes()); // e_shoff
        file[58] = 64; // e_shentsize
        file[60] = sections.len() as u8;
        for section in sections {
            file.extend([0; 4]);
            file.extend(section.to_le_bytes());
            file.resize(file.len() + 56, 0);
        }
        file
    }

    #[test]
    fn each_way_of_linking_is_told_apart() {
        let check = |file: Vec<u8>, kind, stripped| assert_eq!(linking(&file), Some(Linking { kind, stripped }));
        check(file(ET_DYN, &[1, PT_DYNAMIC], &[1]), Kind::StaticPie, true);
        check(file(ET_DYN, &[PT_INTERP, 1, PT_DYNAMIC], &[1]), Kind::Dynamic, true);
        check(file(ET_EXEC, &[PT_INTERP], &[]), Kind::Dynamic, true);
        check(file(ET_EXEC, &[1], &[1, SHT_SYMTAB]), Kind::StaticFixed, false);
    }

    #[test]
    fn this_test_is_a_program_and_a_cut_file_is_none() {
        let us = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(linking(&us).is_some());
        assert!(linking(&us[..70]).is_none());
        assert!(linking(b"#!/bin/sh\n").is_none());
        assert!(linking(b"").is_none());
    }
}
