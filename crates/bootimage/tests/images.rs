//! Images as builders make them (`vectors/make.sh`), and those that nobody should.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where it stands")]

use bootimage::{
    Compression, Framework, Image, ImageError, Init, Lack, Node, Part, Wanted, WantedFile, is_same_program, parts,
};

const INITRAMFS_TOOLS: &[u8] = include_bytes!("../vectors/initramfs_tools.img");
const DRACUT_SYSTEMD: &[u8] = include_bytes!("../vectors/dracut_systemd.img");
const DRACUT_SCRIPT: &[u8] = include_bytes!("../vectors/dracut_script.img");
const MKINITCPIO: &[u8] = include_bytes!("../vectors/mkinitcpio.img");
const PROGRAM: &[u8] = include_bytes!("../vectors/program.elf");
const STRIPPED: &[u8] = include_bytes!("../vectors/program_stripped.elf");

/// An entry of an archive.
fn entry(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = String::from("070701");
    let name_size = u32::try_from(name.len() + 1).unwrap();
    for number in [1, mode, 0, 0, 1, 0, u32::try_from(content.len()).unwrap(), 0, 0, 0, 0, name_size, 0] {
        header.push_str(&format!("{number:08X}"));
    }
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(|(name, mode, content)| entry(name, *mode, content)).collect();
    bytes.extend(entry("TRAILER!!!", 0, b""));
    bytes
}

const FILE: u32 = 0o100_644;
const PROGRAM_MODE: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

fn paths(image: &Image<'_>) -> Vec<String> {
    image.nodes().map(|(path, _)| String::from_utf8(path.to_vec()).unwrap()).collect()
}

#[test]
fn microcode_comes_first_and_zeros_come_between() {
    let found = parts(INITRAMFS_TOOLS).unwrap();
    let [Part::Archive(early), Part::Archive(rest)] = found[..] else { panic!("{} parts", found.len()) };
    assert!(Image::read(&[early]).unwrap().content("kernel/x86/microcode/GenuineIntel.bin") == Some(b"microcode"));
    let both = Image::read(&[early, rest]).unwrap();
    assert_eq!(both, Image::read(&[INITRAMFS_TOOLS]).unwrap());
    assert_eq!(both.content("usr/bin/cotter"), Some(b"program".as_slice()));
}

#[test]
fn links_are_followed_within_the_image() {
    let image = Image::read(&[INITRAMFS_TOOLS]).unwrap();
    for path in [
        "bin/cotter",
        "/bin/cotter",
        "etc/link",
        "usr/../bin/./cotter",
        "../../usr/sbin/second-name",
        "sbin/second-name",
    ] {
        assert_eq!(image.content(path), Some(b"program".as_slice()), "{path}");
    }
    assert_eq!(image.place_of("etc/link"), Some(b"usr/bin/cotter".as_slice()));
    for path in ["bin/none", "etc", "pipe", "init/below"] {
        assert_eq!(image.content(path), None, "{path}");
    }
    assert_eq!(image.find("pipe"), Some(&Node::Other));
    assert!(image.has_below("scripts") && image.has_below("bin") && !image.has_below("init"));
}

#[test]
fn each_builder_is_known_by_its_files() {
    let check = |bytes: &[u8], framework, init| {
        let image = Image::read(&[bytes]).unwrap();
        assert_eq!((Framework::of(&image), Init::of(&image)), (framework, init));
    };
    check(INITRAMFS_TOOLS, Some(Framework::InitramfsTools), Init::Script);
    check(DRACUT_SYSTEMD, Some(Framework::Dracut), Init::Systemd);
    check(DRACUT_SCRIPT, Some(Framework::Dracut), Init::Script);
    check(MKINITCPIO, Some(Framework::Mkinitcpio), Init::Script);
    check(&archive(&[("init", PROGRAM_MODE, b"x")]), None, Init::Script);
}

#[test]
fn what_is_compressed_is_named_and_lasts_to_the_end() {
    let check = |bytes: &[u8], how| {
        assert_eq!(parts(bytes).unwrap(), [Part::Compressed(how, bytes)]);
        assert!(matches!(Image::read(&[bytes]), Err(ImageError::Nested { at: 0 })));
        let early = archive(&[("kernel", DIRECTORY, b"")]);
        let whole = [early.as_slice(), &[0; 512], bytes].concat();
        assert_eq!(parts(&whole).unwrap(), [Part::Archive(&early), Part::Compressed(how, bytes)]);
    };
    check(include_bytes!("../vectors/small.gzip"), Compression::Gzip);
    check(include_bytes!("../vectors/small.zstd"), Compression::Zstd);
    check(include_bytes!("../vectors/small.xz"), Compression::Xz);
    check(include_bytes!("../vectors/small.lz4"), Compression::Lz4);
    check(include_bytes!("../vectors/small.lzma"), Compression::Lzma);
    check(include_bytes!("../vectors/small.bzip2"), Compression::Bzip2);
}

#[test]
fn what_the_kernel_would_not_make_is_not_there() {
    let bytes = archive(&[
        ("etc", DIRECTORY, b""),
        ("etc/one", FILE, b"1"),
        ("etc/one/below", FILE, b"2"),
        ("etc", LINK, b"elsewhere"),
        ("etc/one", FILE, b"later"),
        ("a", LINK, b"b"),
        ("b", LINK, b"a"),
        ("a/x", FILE, b"round and round"),
    ]);
    let image = Image::read(&[&bytes]).unwrap();
    assert_eq!(paths(&image), ["a", "b", "etc", "etc/one"]);
    assert_eq!(image.content("etc/one"), Some(b"later".as_slice()));
    assert_eq!(image.find("a"), None);
}

#[test]
fn a_file_lies_where_the_links_of_before_lead() {
    let entries: &[(&str, u32, &[u8])] = &[
        ("usr", DIRECTORY, b""),
        ("bin", LINK, b"usr"),
        ("bin/sh", FILE, b"sh"),
        ("bin/near", LINK, b"sh"),
        ("out", LINK, b"../../.."),
        ("out/x", FILE, b"x"),
    ];
    let bytes = archive(entries);
    let image = Image::read(&[&bytes]).unwrap();
    assert_eq!(paths(&image), ["bin", "out", "usr", "usr/near", "usr/sh", "x"]);
    assert_eq!(image.place_of("bin/near"), Some(b"usr/sh".as_slice()), "from the directory of the link");
}

#[test]
fn hostile_bytes_are_refused() {
    let good = archive(&[("etc", DIRECTORY, b""), ("etc/one", FILE, b"content")]);
    let error = |bytes: &[u8]| Image::read(&[bytes]).unwrap_err();
    assert_eq!(error(b""), ImageError::Empty);
    assert_eq!(error(&[0; 600]), ImageError::Empty);
    assert_eq!(parts(b"\0\0\0\0"), Err(ImageError::Empty));
    assert_eq!(error(b"\0\0\0\0GIF89a"), ImageError::Unknown { at: 4 });
    assert_eq!(parts(b"\0MZ"), Err(ImageError::Unknown { at: 1 }));
    // It ends anywhere: within an entry that is said, and between two the rest is not there.
    for end in 1..good.len() {
        match Image::read(&[&good[..end]]) {
            Ok(image) => assert!(image.nodes().count() <= 2),
            Err(ImageError::Short { .. } | ImageError::Unknown { .. } | ImageError::Empty) => {}
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Image::read(&[&changed]).map(|image| paths(&image))
    };
    assert_eq!(changed(6 + 8, b"+00041ED"), Err(ImageError::BadHeader { at: 0 }), "a sign is no digit");
    assert_eq!(changed(6 + 6 * 8, b"FFFFFFFF"), Err(ImageError::Short { at: 0 }));
    assert_eq!(changed(6 + 11 * 8, b"00000000"), Err(ImageError::BadHeader { at: 0 }));
    assert_eq!(changed(6 + 11 * 8, b"00001002"), Err(ImageError::BadHeader { at: 0 }));
    assert_eq!(changed(110, b"..c"), Ok(vec!["..c".into()]), "without its directory the file cannot be made");
    let upwards = archive(&[("etc/../../x", FILE, b"")]);
    assert_eq!(error(&upwards), ImageError::Upwards { path: "etc/../../x".into() });
}

#[test]
fn what_lacks_is_told_in_the_order_in_which_it_was_asked_for() {
    let image = Image::read(&[INITRAMFS_TOOLS]).unwrap();
    let files = vec![
        WantedFile::program("usr/bin/cotter", b"program"),
        WantedFile::bytes("etc/link", b"another program"),
        WantedFile::any("etc/cotter/boot.json"),
        WantedFile::any("init"),
        WantedFile::any("scripts"),
        WantedFile::program("conf/initramfs.conf", b"conf/initramfs.conf\n"),
    ];
    let wanted = Wanted { files, absent: vec!["etc/cotter/ca.pem", "usr/sbin/second-name"] };
    let lacks = wanted.lacks(&image);
    let told: Vec<String> = lacks.iter().map(Lack::to_string).collect();
    assert_eq!(
        told,
        [
            "etc/link is another than on this machine",
            "etc/cotter/boot.json is not in it",
            "scripts is not in it",
            "conf/initramfs.conf cannot be run",
            "usr/sbin/second-name is still in it",
        ]
    );
}

/// A builder that strips leaves the program that it is; one byte of what is loaded makes it another.
#[test]
fn a_stripped_program_is_the_same() {
    assert_ne!(PROGRAM, STRIPPED);
    assert!(is_same_program(PROGRAM, STRIPPED) && is_same_program(STRIPPED, PROGRAM));
    let header = 64;
    let mut other = STRIPPED.to_vec();
    // The code of `_start` is short and stands once.
    let code = STRIPPED.windows(2).skip(header).position(|two| two == b"\xeb\xfe").unwrap() + header;
    other[code] ^= 1;
    assert!(!is_same_program(PROGRAM, &other));
    let mut entry = STRIPPED.to_vec();
    entry[24] ^= 1;
    assert!(!is_same_program(PROGRAM, &entry), "it starts elsewhere");
    assert!(!is_same_program(PROGRAM, &PROGRAM[..200]) && !is_same_program(b"", b"x") && is_same_program(b"x", b"x"));
}
