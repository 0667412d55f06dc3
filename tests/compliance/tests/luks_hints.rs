//! What a person is told to do next is possible, and leads on.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Screen, Server, Version};

/// Every one of these failed without a word of what to do.
#[test]
fn a_failure_says_what_to_do() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let (zeros, none) = (disk.file("zeros", vec![0; 1 << 20]), disk.beside("none"));
    let (zeros, none) = (zeros.to_str().unwrap(), none.to_str().unwrap());
    let path = disk.path();
    let path = path.to_str().unwrap();
    let cases: [(&[&str], u8, &str); 11] = [
        (&["luks", "restore", "-d", path, none], 1, "cannot open the backup: there is no "),
        (&["luks", "restore", "-d", path, none], 1, "`cotter luks backup` makes one"),
        (&["luks", "format", "-d", none, "-k", "/dev/null"], 1, "truncate -s 64M "),
        (&["luks", "format", "-d", zeros, "-s", "100", "-k", "/dev/null"], 2, "takes -s 256 or -s 512"),
        (&["luks", "format", "-d", zeros, "-s", "64", "-k", "/dev/null"], 2, "takes -s 256 or -s 512"),
        (&["luks", "erase", "-q", "-d", zeros], 1, "is it the right device"),
        (&["luks", "add", "-k", none, "-d", path], 1, "ls -l "),
        (&["luks", "token", "import", "--json-file", zeros, "-d", path], 1, "cotter luks token export"),
        (&["keys", "show", "nodirectory"], 1, "there is no directory nodirectory either"),
        (&["keys", "rotate", none], 1, "`cotter keys init "),
        (&["luks", "edit", "-s", "1", "-d", path], 2, "-c CFG"),
    ];
    for (words, code, expected) in cases {
        let ended = Program::cotter().args(words).env("EDITOR", "").env("VISUAL", "").run().failed_with(code.into());
        assert!(ended.said().contains(expected), "{words:?}: {}", ended.said());
    }
    let mut typed = Screen::start(disk.cotter(["add"]).args(CHEAP));
    typed.answers("Enter existing LUKS password: ", "wrong");
    let said = typed.ended().failed_with(1).said();
    assert!(said.contains("\n  try: "), "{said}");
}

/// A hint that is followed does not give the message that gave it.
#[test]
fn no_hint_leads_back() {
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        let key = disk.passphrase_file();
        let kill = |disk: &Disk| disk.cotter(["kill", "-q", "-s", "0"]).arg("-k").arg(&key).run().failed_with(1).said();
        let only = kill(&disk);
        assert!(only.contains("the only keyslot") && !only.contains("leave out -k"), "{only}");
        disk.bind(Maker::Ours, "null", "{}");
        let last = kill(&disk);
        assert!(last.contains("--last-passphrase"), "{last}");
        disk.cotter(["kill", "-q", "-s", "0", "--last-passphrase"]).succeed();
        // Nobody knows a passphrase now, so only the binding can add one.
        let unbind = disk.cotter(["unbind", "-f", "-s", "1"]).run().failed_with(1).said();
        assert!(unbind.contains("`cotter luks add -b`"), "{unbind}");
        let new = disk.file("new", "another");
        disk.cotter(["add", "-b"]).arg("--new-key-file").arg(new).args(CHEAP).succeed();
        disk.cotter(["unbind", "-f", "-s", "1"]).succeed();
        disk.assert_opens(&["another"], &[PASSPHRASE]);
    }
}

/// What is printed can be given to a shell, whatever the name of the disk.
#[test]
fn a_printed_command_line_is_quoted() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let path = disk.beside("a disk");
    std::fs::rename(disk.path(), &path).unwrap();
    let word = format!("-d '{}'", path.display());
    let asks: [&[&str]; 2] = [&["kill", "-q", "-s", "7"], &["unbind", "-f", "-s", "0"]];
    for words in asks {
        let said = Program::cotter().arg("luks").args(words).arg("-d").arg(&path).run().failed_with(1).said();
        assert!(said.contains(&word), "{said}");
    }
}

/// Where the kernel cannot map, a trial run says so, and the real one names the way without it.
#[test]
fn a_trial_run_does_not_promise_what_the_kernel_cannot() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let unlock = |words: &[&str]| disk.cotter(["unlock"]).args(words).arg("-k").arg(disk.passphrase_file()).run();
    let trial = unlock(&["--dry-run"]).succeeded();
    assert!(trial.text().contains("would be mapped"), "{}", trial.text());
    // The node may be there without what stands behind it; a machine that has both would map the volume.
    let misc = std::fs::read_to_string("/proc/misc").unwrap_or_default();
    if !misc.contains("device-mapper") {
        assert!(trial.said().contains("but not as things are: "), "{}", trial.said());
        assert!(unlock(&[]).failed_with(1).said().contains("`cotter image cat "));
    }
}

/// A server without keys tells nobody to come.
#[test]
fn a_server_without_keys_does_not_listen() {
    let disk = Disk::blank(0);
    let said = Program::cotter()
        .args(["serve", "--listen", "127.0.0.1:0", "--keys"])
        .arg(disk.directory())
        .run()
        .failed_with(1)
        .said();
    assert!(said.contains("cannot serve") && !said.contains("listening"), "{said}");
}

/// A thumbprint as long as one that has a wrong letter is not said to be too short.
#[test]
fn a_wrong_letter_of_a_thumbprint_is_called_that() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    // The last letter of a digest of 256 bits leaves two bits that must be zero.
    let thp = "A".repeat(42) + "B";
    let config = format!(r#"{{"url":"{}","thp":"{thp}"}}"#, server.url());
    let said = disk.try_bind(Maker::Ours, "tang", &config).failed_with(1).said();
    assert!(said.contains("a letter of it is wrong") && said.contains("try: `cotter keys show URL`"), "{said}");
}
