//! LUKSMeta by hand: the same words to luksmeta and to `cotter luks meta`, on copies of one volume. Exit codes, output and every
//! byte of the volume must be the same.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Disk, Ended, Maker, Program, Table};

const ONE: &str = "cb6e8904-81ff-40da-a84a-07ab9ab5715e";
const OTHER: &str = "11111111-2222-3333-4444-555555555555";

/// Two volumes that are the same to the last byte.
struct Pair {
    ours: Disk,
    theirs: Disk,
}

impl Pair {
    /// LUKS1 with a key of 512 bits, so that the gap is a table and six blocks.
    fn new() -> Pair {
        let theirs = Disk::blank(4 << 20);
        let program = Program::new("cryptsetup").args(["luksFormat", "-q", "--type", "luks1", "--key-size", "512"]);
        let program = program.args(["--hash", "sha512", "--pbkdf-force-iterations", "1001", "--key-file"]);
        program.arg(theirs.passphrase_file()).arg(theirs.path()).succeed();
        let ours = Disk::blank(0);
        std::fs::copy(theirs.path(), ours.path()).unwrap();
        Pair { ours, theirs }
    }

    /// The same words to both.
    fn both(&self, words: &[&str], input: &[u8]) -> [Ended; 2] {
        [(Maker::Ours, &self.ours), (Maker::Theirs, &self.theirs)].map(|(maker, disk)| {
            let program = match maker {
                Maker::Ours => Program::cotter().args(["luks", "meta"]),
                Maker::Theirs => Program::new("luksmeta"),
            };
            program.args(&words[..1]).arg("-d").arg(disk.path()).args(&words[1..]).input(input).run()
        })
    }

    #[track_caller]
    fn check(&self, words: &[&str], input: &[u8]) {
        let [ours, theirs] = self.both(words, input);
        let codes = [&ours, &theirs].map(|ended| ended.status.code());
        assert_eq!(codes[0], codes[1], "{words:?}: {} / {}", ours.said(), theirs.said());
        if words[0] == "show" {
            // luksmeta pads the state, and says "empty" in words of its own.
            assert_eq!(words_of(&ours), words_of(&theirs), "{words:?}");
        } else {
            assert_eq!(ours.stdout, theirs.stdout, "{words:?}");
        }
        assert!(self.ours.bytes() == self.theirs.bytes(), "{words:?}: the volumes differ");
    }
}

fn words_of(ended: &Ended) -> Vec<String> {
    ended.text().split_whitespace().map(str::to_owned).collect()
}

/// Every command, and every refusal that luksmeta has an exit code for.
#[test]
fn the_same_words_do_the_same() {
    let mut table = Table::new("luks meta, step by step beside luksmeta");
    let pair = Pair::new();
    let (one_block, two_blocks, large) = (vec![1; 4096], vec![2; 4097], vec![3; 20_481]);
    let steps: &[(&[&str], &[u8])] = &[
        (&["test"], b""),
        (&["show"], b""),
        (&["load", "-s", "1"], b""),
        (&["save", "-s", "1", "-u", ONE], b"data"),
        (&["init", "-f"], b""),
        (&["init", "-f"], b""),
        (&["test"], b""),
        (&["show"], b""),
        (&["save", "-s", "1", "-u", ONE], b"the first"),
        (&["save", "-s", "1", "-u", ONE], b"again"),
        (&["save", "-u", OTHER], &one_block),
        (&["save", "-s", "5", "-u", OTHER], &two_blocks),
        (&["show"], b""),
        (&["show", "-s", "5"], b""),
        (&["show", "-s", "6"], b""),
        (&["load", "-s", "5"], b""),
        (&["load", "-s", "5", "-u", ONE], b""),
        (&["load", "-s", "1", "-u", ONE], b""),
        (&["load", "-s", "6"], b""),
        (&["wipe", "-f", "-s", "2", "-u", ONE], b""),
        (&["wipe", "-f", "-s", "2", "-u", OTHER], b""),
        (&["wipe", "-f", "-s", "2"], b""),
        (&["save", "-s", "3", "-u", ONE], &large),
        (&["save", "-s", "3", "-u", ONE], &two_blocks),
        (&["save", "-s", "4", "-u", "00000000-0000-0000-0000-000000000000"], b"x"),
        (&["save", "-s", "9", "-u", ONE], b"x"),
        (&["save", "-s", "6", "-u", "no-uuid"], b"x"),
        (&["wipe", "-f", "-s", "5"], b""),
        (&["save", "-s", "7", "-u", ONE], b"into the hole"),
        (&["show"], b""),
        (&["init", "-f", "-n"], b""),
        (&["show"], b""),
        (&["nuke", "-f"], b""),
        (&["test"], b""),
    ];
    for (number, (words, input)) in steps.iter().enumerate() {
        table.row(format!("{:02} {}", number + 1, words.join(" ")), || pair.check(words, input));
    }
    table.finish();
}

/// CVE-2025-11568: data for slot 1 as large as the gap, while slot 0 is in use. The original writes over the payload.
#[test]
fn data_never_reaches_the_payload() {
    let pair = Pair::new();
    let payload = pair.ours.bytes()[2 << 20..].to_vec();
    let meta = |words: &[&str], input: &[u8]| {
        let program = Program::cotter().args(["luks", "meta"]).args(&words[..1]).arg("-d").arg(pair.ours.path());
        program.args(&words[1..]).input(input).run()
    };
    meta(&["init", "-f"], b"").succeeded();
    meta(&["save", "-s", "0", "-u", ONE], b"small").succeeded();
    for length in [20_481, 24_577, 28_672, 1 << 20] {
        meta(&["save", "-s", "1", "-u", ONE], &vec![0xaa; length]).failed_with(73);
        assert!(pair.ours.bytes()[2 << 20..] == payload, "{length} bytes reached the payload");
    }
    meta(&["save", "-s", "1", "-u", ONE], &vec![0xaa; 20_480]).succeeded();
    assert!(pair.ours.bytes()[2 << 20..] == payload);
}

/// Copies of one volume are told from volumes of their own, by the header alone and by the key.
#[test]
fn clones_are_reported() {
    let one = Pair::new();
    let (other, disk) = (Pair::new(), Disk::formatted(Maker::Theirs));
    let prints = Program::cotter().args(["luks", "fingerprint", "--json", "-d"]).arg(one.ours.path());
    let prints = prints.arg("-d").arg(one.theirs.path()).arg("-d").arg(other.ours.path()).arg("-d").arg(disk.path());
    let prints = prints.arg("-k").arg(disk.passphrase_file()).succeed();
    let lines: Vec<serde_json::Value> = prints.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{}", prints.text());
    let shared = ["the UUID", "the digest of the volume key", "the volume key"];
    assert_eq!(lines[4]["shared"], serde_json::json!(shared));
    assert!(prints.said().contains("are clones"));
    assert_eq!(lines[0]["key"], lines[1]["key"]);
    assert_ne!(lines[0]["key"], lines[2]["key"]);
    assert_ne!(lines[2]["header"], lines[3]["header"]);
}
