//! What a program says about a disk, asked from outside.

use crate::base::{CLEVIS, OTHER};
use crate::image::Image;
use compliance::disk::PASSPHRASE;
use compliance::{Ended, Maker, Program};
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// In ascending order of what is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is no header that could be shown.
    Refuses,
    /// The header is shown and opens nothing.
    Shows,
    /// The passphrase opens it.
    Opens,
    /// Any passphrase opens it.
    OpensToAll,
    /// It sets to work on a passphrase and does not come to an end.
    Endless,
}

/// What keeps the machine safe from a header that wants all of it: 1 GiB of memory, and a second of work. That is far more than
/// any answer needs; a program that is ended by it has no bound of its own.
const LIMITS: [&str; 2] = ["--as=1073741824", "--cpu=1"];
/// What `cotter luks dump` may take for any file of any content: 64 MiB of addresses, so of memory too, and the same second.
const LIMITS_OF_DUMP: [&str; 2] = ["--as=67108864", "--cpu=1"];
/// Without any work, on a machine that has no time.
const LIMIT: Duration = Duration::from_secs(60);
/// Of a program that has used up its time.
const KILLED: [i32; 2] = [9, 24];

/// A place for one disk at a time.
pub struct Bench(TempDir);

impl Bench {
    pub fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        std::fs::write(bench.file("right"), PASSPHRASE).unwrap();
        std::fs::write(bench.file("wrong"), "a passphrase that opens nothing").unwrap();
        bench
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts the disk there; whoever was asked before may have changed it.
    pub fn put(&self, image: &Image) -> PathBuf {
        let file = self.file("disk.img");
        std::fs::write(&file, image.bytes()).unwrap();
        file
    }

    /// What cryptsetup says. It repairs what it reads, so each question is about a fresh disk.
    pub fn cryptsetup(&self, image: &Image) -> Verdict {
        let dump = bounded(Program::new("cryptsetup").arg("luksDump").arg(self.put(image)), LIMITS);
        let open = |key: &str| {
            let program = Program::new("cryptsetup").args(["open", "--test-passphrase", "--key-file"]);
            took(&bounded(program.arg(self.file(key)).arg(self.put(image)), LIMITS))
        };
        of_answers(took(&dump), open)
    }

    /// What we say, and why. We read, and change nothing.
    pub fn cotter(&self, image: &Image) -> (Verdict, String) {
        let file = self.put(image);
        let mut reasons = String::new();
        let dump = dump(&file, &[]);
        let shown = took(&dump);
        reasons += &reason(dump);
        let open = |key: &str| {
            let program = Program::cotter().args(["luks", "unlock", "--print-key", "-k"]).arg(self.file(key));
            let ended = bounded(program.arg("-d").arg(&file), LIMITS);
            let opened = took(&ended);
            let printed = if opened == Some(true) { std::fs::read(self.file(key)).unwrap() } else { Vec::new() };
            assert_eq!(ended.stdout, printed, "it does not print what opened the disk, and that alone");
            reasons += &reason(ended);
            opened
        };
        let verdict = of_answers(shown, open);
        unchanged(image, &file);
        (verdict, reasons)
    }

    /// What luksmeta says: whether there is LUKSMeta, and whether it gives out the data of slot 1.
    pub fn luksmeta(&self, image: &Image) -> Verdict {
        let [test, _, load] = self.answers(image, Maker::Theirs).map(|ended| took(&ended));
        of_answers(test, |key| if key == "right" { load } else { Some(false) })
    }

    /// `test`, `show`, and `load` of slot 1, by luksmeta or by `cotter luks meta`.
    pub fn answers(&self, image: &Image, maker: Maker) -> [Ended; 3] {
        [&["test"][..], &["show"], &["load", "-s", "1", "-u", CLEVIS]].map(|words| {
            let program = match maker {
                Maker::Ours => Program::cotter().args(["luks", "meta"]),
                Maker::Theirs => Program::new("luksmeta"),
            };
            bounded(program.args(words).arg("-d").arg(self.put(image)), LIMITS)
        })
    }

    /// What we make of LUKSMeta: whether it is there, and whether the binding of slot 1 gives out its passphrase.
    pub fn cotter_on_luksmeta(&self, image: &Image) -> (Verdict, String) {
        let file = self.put(image);
        let dump = dump(&file, &[]);
        let list = bounded(Program::cotter().args(["luks", "list", "-d"]).arg(&file), LIMITS);
        let pass = bounded(Program::cotter().args(["luks", "pass", "-s", "1", "-d"]).arg(&file), LIMITS);
        unchanged(image, &file);
        let opens = pass.status.success();
        assert_eq!(pass.stdout, if opens { OTHER.as_bytes() } else { b"" }, "it does not print the bound passphrase");
        assert_eq!(list.text().contains("1: null"), opens, "what is listed is not what opens");
        let shown = dump.text().contains("LUKSMeta: present");
        let verdict = of_answers(Some(shown), |key| Some(key == "right" && opens));
        let reasons = dump.text() + &list.said() + &reason(dump) + &reason(list) + &reason(pass);
        (verdict, reasons)
    }

    /// `cotter image cat`: the data, with the right passphrase.
    pub fn image_cat(&self, image: &Image) -> Ended {
        let program = Program::cotter().args(["image", "cat", "-k"]).arg(self.file("right")).arg(self.put(image));
        bounded(program, LIMITS)
    }
}

/// `cotter luks dump`, within what it may take.
pub fn dump(file: &Path, words: &[&str]) -> Ended {
    bounded(Program::cotter().args(["luks", "dump"]).args(words).arg("-d").arg(file), LIMITS_OF_DUMP)
}

/// Runs it under these limits.
fn bounded(program: Program, limits: [&str; 2]) -> Ended {
    program.under("prlimit", &limits.map(OsStr::new)).limit(LIMIT).run()
}

/// Whether it did what it was asked; `None` if it had to be ended. One that crashed did not: it let nothing through.
fn took(ended: &Ended) -> Option<bool> {
    match ended.status.signal() {
        Some(signal) if KILLED.contains(&signal) => None,
        _ => Some(ended.status.success()),
    }
}

fn of_answers(shown: Option<bool>, mut open: impl FnMut(&str) -> Option<bool>) -> Verdict {
    let shown = shown.unwrap_or_else(|| panic!("showing a header has no end"));
    match (shown, open("right")) {
        (false, Some(false)) => Verdict::Refuses,
        (true, Some(false)) => Verdict::Shows,
        (false, _) => panic!("it opens what it does not show"),
        (true, None) => Verdict::Endless,
        (true, Some(true)) if open("wrong") == Some(true) => Verdict::OpensToAll,
        (true, Some(true)) => Verdict::Opens,
    }
}

/// What it said about a failure; a failure without words, or one that is a fault of the program, ends the test.
pub fn reason(ended: Ended) -> String {
    if ended.status.success() { String::new() } else { ended.failed_with(1).said() }
}

fn unchanged(image: &Image, file: &Path) {
    assert!(std::fs::read(file).unwrap() == image.bytes(), "reading has changed the disk");
}
