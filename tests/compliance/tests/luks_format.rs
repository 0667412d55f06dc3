//! `luks format` in both versions: the layout of cryptsetup for the same words, and headers apart from their data.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Disk, Maker, Program, Table, Version};
use std::fs;
use std::path::Path;

/// Long enough for every layout here; the file is sparse.
const DISK_BYTES: u64 = 160 << 20;

fn format(maker: Maker, disk: &Disk, words: &[&str]) -> Program {
    let program = match maker {
        Maker::Ours => Program::cotter().args(["luks", "format", "-q", "-k"]),
        Maker::Theirs => Program::new("cryptsetup").args(["luksFormat", "-q", "--key-file"]),
    };
    let program = program.arg(disk.passphrase_file()).args(words);
    let program = if maker == Maker::Ours { program.arg("-d") } else { program };
    program.arg(disk.path())
}

/// What cryptsetup says of a header, without what is random in each.
fn layout(header: &Path) -> String {
    let dump = Program::new("cryptsetup").arg("luksDump").arg(header).succeed().text();
    let keeps = [
        "Version",
        "Cipher",
        "Hash",
        "Payload",
        "MK bits",
        "Metadata area",
        "Keyslots area",
        "offset:",
        "length:",
        "sector:",
    ];
    let more = [
        "cipher:",
        "Label",
        "Subsystem",
        "Key material offset",
        "AF stripes",
        "PBKDF:",
        "AF hash",
        "Area",
        "Cipher key",
        "Key:",
    ];
    let kept = dump.lines().filter(|line| keeps.iter().chain(&more).any(|word| line.contains(word)));
    kept.collect::<Vec<_>>().join("\n")
}

/// The same words, the same places, and both open it.
#[test]
fn the_layout_is_that_of_cryptsetup() {
    let mut table = Table::new("luks format: layout");
    let luks1: [&[&str]; 9] = [
        &[],
        &["-s", "512", "-h", "sha512"],
        &["-s", "256"],
        &["-c", "aes-cbc-essiv:sha256", "-s", "256"],
        &["-h", "sha1"],
        &["--align-payload", "8"],
        &["--align-payload", "8192"],
        &["--offset", "4096"],
        &["-o", "65536"],
    ];
    let luks2: [&[&str]; 11] = [
        &[],
        &["-s", "512", "-h", "sha512"],
        &["--luks2-metadata-size", "64k"],
        &["--luks2-metadata-size", "4M"],
        &["--luks2-keyslots-size", "4M"],
        &["--luks2-metadata-size", "64k", "--luks2-keyslots-size", "2M"],
        &["--luks2-keyslots-size", "8000k"],
        &["--luks2-keyslots-size", "120M"],
        &["--offset", "65536", "--luks2-keyslots-size", "2M"],
        &["--offset", "8192"],
        &["--align-payload", "65536", "--label", "L", "--subsystem", "S"],
    ];
    let all = luks1.map(|words| (Version::Luks1, words)).into_iter().chain(luks2.map(|words| (Version::Luks2, words)));
    for (version, words) in all {
        table.row(format!("{version} {}", words.join(" ")).trim_end().to_owned(), || {
            // What cryptsetup takes for the key where nobody says is another length.
            let key: &[&str] = if words.contains(&"-s") { &[] } else { &["-s", "512"] };
            let words = [&["--type", version.word()], &CHEAP[..], key, words].concat();
            let layouts = Maker::BOTH.map(|maker| {
                let disk = Disk::blank(DISK_BYTES);
                format(maker, &disk, &words).succeed();
                disk.assert_opens(&[PASSPHRASE], &["wrong"]);
                layout(&disk.path())
            });
            assert_eq!(layouts[0], layouts[1]);
        });
    }
    table.finish();
}

/// What cryptsetup refuses is refused, and nothing is written; what it passes over in LUKS1 is refused too.
#[test]
fn impossible_layouts_are_refused_alike() {
    let only_ours: [(Version, &[&str]); 4] = [
        (Version::Luks1, &["--label", "x"]),
        (Version::Luks1, &["--sector-size", "4096"]),
        (Version::Luks1, &["--luks2-metadata-size", "64k"]),
        // Taken by cryptsetup with less room than was asked for.
        (Version::Luks2, &["--offset", "8192", "--luks2-keyslots-size", "8M"]),
    ];
    let cases: [(Version, &[&str]); 6] = [
        (Version::Luks1, &["--offset", "8191"]),
        (Version::Luks1, &["--offset", "8"]),
        (Version::Luks2, &["--offset", "8"]),
        (Version::Luks2, &["--luks2-metadata-size", "17k"]),
        (Version::Luks2, &["--luks2-keyslots-size", "129M"]),
        (Version::Luks2, &["--luks2-keyslots-size", "5000"]),
    ];
    let ours = only_ours.map(|case| (case, &[Maker::Ours][..]));
    let both = cases.map(|case| (case, &Maker::BOTH[..]));
    for ((version, words), makers) in ours.into_iter().chain(both) {
        for &maker in makers {
            let disk = Disk::blank(DISK_BYTES);
            let words = [&["--type", version.word(), "-s", "512"], &CHEAP[..], words].concat();
            let ended = format(maker, &disk, &words).run();
            assert!(!ended.status.success(), "{maker} takes {words:?}");
            assert!(disk.bytes().iter().all(|byte| *byte == 0), "{maker} wrote something for {words:?}");
        }
    }
}

/// Exactly as the requirement has it, but for the time.
#[test]
fn the_case_of_the_requirement() {
    for version in Version::BOTH {
        let disk = Disk::blank(64 << 20);
        let words = ["--type", version.word(), "-s", "512", "-h", "sha512", "-i", "200"];
        format(Maker::Ours, &disk, &words).succeed();
        let dump = disk.dump();
        let says = match version {
            Version::Luks1 => ["xts-plain64", "sha512", "512"],
            Version::Luks2 => ["aes-xts-plain64", "sha512", "512 bits"],
        };
        assert!(says.iter().all(|word| dump.contains(word)), "{dump}");
        assert!(disk.opens_with(PASSPHRASE.as_bytes()));
    }
}

/// The time that was asked for is about the time it takes, whatever the hash and the length of the key.
#[test]
fn iterations_grow_with_the_time() {
    for version in Version::BOTH {
        let iterations = |time: &str| -> u64 {
            let disk = Disk::blank(20 << 20);
            format(Maker::Ours, &disk, &["--type", version.word(), "--pbkdf", "pbkdf2", "-i", time]).succeed();
            let dump = disk.dump();
            let line = dump.lines().find(|line| line.trim_start().starts_with("Iterations:")).unwrap();
            line.split_whitespace().last().unwrap().parse().unwrap()
        };
        let (few, many) = (iterations("20"), iterations("400"));
        assert!(few >= 1000 && many > 4 * few, "{version}: {few} in 20 ms, {many} in 400 ms");
    }
}

fn apart(maker: Maker, header: &Path, disk: &Disk, words: &[&str]) -> Program {
    let program = match maker {
        Maker::Ours => Program::cotter().args(["luks", "format", "-q", "-k"]).arg(disk.passphrase_file()),
        Maker::Theirs => {
            Program::new("cryptsetup").args(["luksFormat", "-q", "--key-file"]).arg(disk.passphrase_file())
        }
    };
    match maker {
        Maker::Ours => program.arg("--detached-header").arg(header).args(words).arg("-d").arg(disk.path()),
        Maker::Theirs => program.arg("--header").arg(header).args(words).arg(disk.path()),
    }
}

/// A header in a file of its own: the disk of the data is not touched by anything that changes the header.
#[test]
fn headers_apart_are_made_changed_and_bound() {
    let mut table = Table::new("luks --detached-header");
    for version in Version::BOTH {
        // On LUKS1 there is room for bindings only if the data leaves it.
        for words in [&[][..], &["--offset", "8192"]] {
            for making in Maker::BOTH {
                let row = format!("{} makes a {version} {}", making.format_name(), words.join(" "));
                table.row(row.trim_end().to_owned(), || {
                    let disk = Disk::blank(20 << 20);
                    let content: Vec<u8> = (0..=255).cycle().take(20 << 20).collect();
                    fs::write(disk.path(), &content).unwrap();
                    let header = disk.beside("header");
                    let words = [&["--type", version.word(), "-s", "512"], &CHEAP[..], words].concat();
                    apart(making, &header, &disk, &words).succeed();
                    let ours = |command: &str| {
                        Program::cotter()
                            .args(["luks", command, "--detached-header"])
                            .arg(&header)
                            .arg("-d")
                            .arg(disk.path())
                    };
                    let opens = |passphrase: &str| {
                        let theirs = Program::new("cryptsetup").args([
                            "open",
                            "--test-passphrase",
                            "--key-file",
                            "-",
                            "--header",
                        ]);
                        let theirs = theirs.arg(&header).arg(disk.path()).input(passphrase).run().status.success();
                        let ours =
                            ours("unlock").args(["--print-key", "-k", "-"]).input(passphrase).run().status.success();
                        assert_eq!(ours, theirs, "{passphrase}");
                        ours
                    };
                    assert!(opens(PASSPHRASE) && !opens("wrong"));
                    let both = format!("{PASSPHRASE}\nsecond\n");
                    ours("add").args(CHEAP).input(both).succeed();
                    ours("passwd").args(CHEAP).input("second\nthird\n").succeed();
                    assert!(opens("third") && !opens("second"));
                    ours("kill").args(["-q", "-s", "0"]).succeed();
                    assert!(opens("third") && !opens(PASSPHRASE));
                    ours("dump").succeed();
                    if version == Version::Luks2 || words.contains(&"--offset") {
                        ours("bind").args(["-y", "-k", "-", "null", "{}"]).input("third").succeed();
                        let passphrase = ours("unlock").arg("--print-key").succeed().text();
                        assert!(opens(&passphrase));
                        assert!(ours("list").succeed().text().contains("null"));
                    }
                    assert!(disk.bytes() == content, "the disk of the data was written");
                });
            }
        }
    }
    table.finish();
}

/// The file of a new header is private, and nothing that exists is taken for one.
#[test]
fn a_new_header_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let disk = Disk::blank(20 << 20);
    let header = disk.beside("header");
    let plan = apart(Maker::Ours, &header, &disk, &["--dry-run"]).args(CHEAP).succeed().text();
    assert!(plan.starts_with("would ") && !header.exists(), "{plan}");
    apart(Maker::Ours, &header, &disk, &CHEAP).succeed();
    assert_eq!(fs::metadata(&header).unwrap().permissions().mode() & 0o777, 0o600);
    let said = apart(Maker::Ours, &header, &disk, &CHEAP).run().failed_with(1).said();
    assert!(said.contains("--force"), "{said}");
    // Without its data in front of it such a header is not used, and the way is told.
    let alone = Program::cotter().args(["luks", "unlock", "--print-key", "-k", "-", "-d"]).arg(&header);
    let said = alone.input(PASSPHRASE).run().failed_with(1).said();
    assert!(said.contains("--detached-header"), "{said}");
}

/// What cryptsetup has encrypted in place under a header apart, `image cat` reads.
#[test]
fn an_image_with_its_header_apart_is_read() {
    let disk = Disk::blank(0);
    let content: Vec<u8> = (0u32..1 << 20).flat_map(u32::to_le_bytes).collect();
    fs::write(disk.path(), &content).unwrap();
    let header = disk.beside("header");
    let program = Program::new("cryptsetup").args(["reencrypt", "--encrypt", "-q", "--type", "luks2", "--header"]);
    let program = program.arg(&header).args(CHEAP).arg("--key-file").arg(disk.passphrase_file());
    program.arg(disk.path()).succeed();
    assert!(disk.bytes() != content);
    let cat = |key: &str| {
        let program = Program::cotter().args(["image", "cat", "-k", "-", "--detached-header"]).arg(&header);
        program.arg(disk.path()).input(key).run()
    };
    assert!(cat(PASSPHRASE).succeeded().stdout == content);
    cat("wrong").failed_with(1);
}
