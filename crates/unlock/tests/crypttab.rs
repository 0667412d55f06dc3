//! Reading `/etc/crypttab`: what each line says, what each broken one costs, and that printing loses nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it stands")]

use luks::Slot;
use proptest::prelude::*;
use std::time::Duration;
use unlock::crypttab::{
    Crypttab, CrypttabError, Device, Echo, Entry, Flag, Key, Kind, LONGEST_FILE, LONGEST_LINE, LineError, MOST_LINES,
    OptionError, Patience, Place, Setting, TokenDevice, parse,
};

fn read(text: &str) -> Crypttab {
    parse(text.as_bytes()).unwrap()
}

/// The entry of the only line, which must read the same after it was printed.
#[track_caller]
fn entry(line: &str) -> Entry {
    let crypttab = read(line);
    assert_eq!(crypttab.faults, [], "{line}");
    let [entry] = crypttab.entries.try_into().unwrap();
    let again = read(&entry.to_string());
    assert_eq!((again.entries.as_slice(), again.faults.as_slice()), ([entry.clone()].as_slice(), [].as_slice()));
    entry
}

#[track_caller]
fn fault(line: &str) -> LineError {
    let crypttab = read(line);
    assert_eq!(crypttab.entries, [], "{line}");
    let [fault] = crypttab.faults.try_into().unwrap();
    assert_eq!(fault.line, 1);
    fault.why
}

fn path(path: &str) -> Device {
    Device::Path(path.into())
}

fn file(path: &str, device: Option<Device>) -> Place {
    Place { path: path.into(), device }
}

#[test]
fn lines_that_installers_write() {
    let root = entry("sda3_crypt UUID=6d2b1f4c-5d0e-4c8e-9f2a-0a1b2c3d4e5f none luks,discard,x-initrd.attach");
    assert_eq!((root.line, root.name.as_str(), &root.key), (1, "sda3_crypt", &Key::Ask));
    assert_eq!(root.device, Device::Uuid("6d2b1f4c-5d0e-4c8e-9f2a-0a1b2c3d4e5f".into()));
    assert_eq!(root.kind(), Kind::Luks);
    assert!(root.has(Flag::Discard) && root.has(Flag::InitrdAttach) && !root.has(Flag::NoFail));

    let swap = entry("cryptswap /dev/sda2 /dev/urandom swap,cipher=aes-xts-plain64,size=256");
    assert_eq!((swap.key.clone(), swap.kind()), (Key::File(file("/dev/urandom", None)), Kind::Plain));
    let cipher = Setting::Other { name: "cipher".into(), value: Some("aes-xts-plain64".into()) };
    assert_eq!(swap.settings.get(1), Some(&cipher));

    let keyed = entry("data\tPARTLABEL=\"my\\040data\"");
    assert_eq!((keyed.device, keyed.key, keyed.settings), (Device::PartLabel("my data".into()), Key::Ask, vec![]));
}

#[test]
fn devices() {
    let check = |raw: &str, expected: Device| assert_eq!(entry(&format!("a {raw} - luks")).device, expected, "{raw}");
    check("/dev/sda1", path("/dev/sda1"));
    check("/srv/a\\040b.img", path("/srv/a b.img"));
    check("UUID=\"abc\"", Device::Uuid("abc".into()));
    check("PARTUUID='abc'", Device::PartUuid("abc".into()));
    check("LABEL=\"a", Device::Label("\"a".into()));
    check("LABEL=\\042a\\042", Device::Label("\"a\"".into()));
    check("PARTLABEL=a=b", Device::PartLabel("a=b".into()));
    check("ID=wwn-0x5000", Device::Id("wwn-0x5000".into()));
    for raw in ["sda1", "none", "uuid=abc", "UUID=", "UUID=\"\"", "NAME=x", "=x"] {
        assert_eq!(fault(&format!("a {raw}")), LineError::BadDevice { device: raw.into() });
    }
}

#[test]
fn keys() {
    let check = |raw: &str, expected: Key| assert_eq!(entry(&format!("a /dev/b {raw} luks")).key, expected, "{raw}");
    for ask in ["none", "-", "\\055"] {
        check(ask, Key::Ask);
    }
    check("/etc/keys/a\\040b", Key::File(file("/etc/keys/a b", None)));
    check("/key:LABEL=stick", Key::File(file("/key", Some(Device::Label("stick".into())))));
    check("key:/dev/sdb1", Key::File(file("key", Some(path("/dev/sdb1")))));
    check("/a:b:/dev/sdb1", Key::File(file("/a:b", Some(path("/dev/sdb1")))));
    // As systemd: what follows the last colon is no device, so all of it is a path.
    check("/key:stick", Key::File(file("/key:stick", None)));
    check("/key:UUID=", Key::File(file("/key:UUID=", None)));
    check("/key\\072/dev/sdb1", Key::File(file("/key:/dev/sdb1", None)));
    check("/key:/dev/disk/a\\072b", Key::File(file("/key", Some(path("/dev/disk/a:b")))));
    check("SOMEKEY", Key::Word("SOMEKEY".into()));
    check(":/dev/sdb1", Key::Word(":/dev/sdb1".into()));
    assert_eq!(entry("a /dev/b").key, Key::Ask);
}

#[test]
fn options_with_values() {
    let check = |raw: &str, expected: Setting| {
        assert_eq!(entry(&format!("a /dev/b none {raw}")).settings, [expected], "{raw}");
    };
    let seconds = |seconds| Patience::For(Duration::from_secs(seconds));
    let text = |text: &str| text.to_owned();
    check("tries=0", Setting::Tries(0));
    check("timeout=1min30s", Setting::Timeout(seconds(90)));
    check("timeout=0", Setting::Timeout(Patience::Forever));
    check("token-timeout=250ms", Setting::TokenTimeout(Patience::For(Duration::from_millis(250))));
    check("keyfile-timeout=5", Setting::KeyfileTimeout(seconds(5)));
    check("keyfile-size=4294967296", Setting::KeyfileSize(1 << 32));
    check("keyfile-offset=0", Setting::KeyfileOffset(0));
    check("key-slot=31", Setting::KeySlot(Slot::new(31).unwrap()));
    check("keyslot=7", Setting::KeySlot(Slot::new(7).unwrap()));
    check("header=/boot/h\\054x", Setting::Header(file("/boot/h,x", None)));
    check("header=/h:UUID=ab-cd", Setting::Header(file("/h", Some(Device::Uuid("ab-cd".into())))));
    check("keyscript=decrypt_keyctl", Setting::Keyscript(text("decrypt_keyctl")));
    check("tpm2-device=auto", Setting::Tpm2Device(TokenDevice::Auto));
    check("tpm2-device=/dev/tpmrm0", Setting::Tpm2Device(TokenDevice::Named(text("/dev/tpmrm0"))));
    check("pkcs11-uri=pkcs11:a;b=c\\,d", Setting::Pkcs11Uri(TokenDevice::Named(text("pkcs11:a;b=c,d"))));
    check("fido2-device=auto", Setting::Fido2Device(TokenDevice::Auto));
    check("password-echo=masked", Setting::PasswordEcho(Echo::Masked));
    check("password-echo=off", Setting::PasswordEcho(Echo::No));
    let (keyring, description) = (text("@u"), text("%user:disk::key"));
    check("link-volume-key=@u::%user:disk::key", Setting::LinkVolumeKey { keyring, description });
    check("tmp", Setting::Tmp(None));
    check("tmp=ext4", Setting::Tmp(Some(text("ext4"))));
    check("headless=no", Setting::Flag(Flag::Headless, false));
    check("keyfile-erase=1", Setting::Flag(Flag::KeyfileErase, true));
    check("auto", Setting::Flag(Flag::NoAuto, false));
    check("x-new.thing", Setting::Other { name: text("x-new.thing"), value: None });
    check("x-new=", Setting::Other { name: text("x-new"), value: Some(text("")) });
}

#[test]
fn every_flag_is_read_by_its_words() {
    let words = "_netdev,noauto,nofail,discard,readonly,no-read-workqueue,no-write-workqueue,same-cpu-crypt,\
                 submit-from-crypt-cpus,initramfs,x-initrd.attach,headless,try-empty-password,keyfile-erase,swap,luks";
    let flags = [
        Flag::NetDev,
        Flag::NoAuto,
        Flag::NoFail,
        Flag::Discard,
        Flag::ReadOnly,
        Flag::NoReadWorkqueue,
        Flag::NoWriteWorkqueue,
        Flag::SameCpuCrypt,
        Flag::SubmitFromCryptCpus,
        Flag::Initramfs,
        Flag::InitrdAttach,
        Flag::Headless,
        Flag::TryEmptyPassword,
        Flag::KeyfileErase,
        Flag::Swap,
        Flag::Luks,
    ];
    let all = entry(&format!("a /dev/b - {words}"));
    assert_eq!(all.settings, flags.map(|flag| Setting::Flag(flag, true)));
    assert_eq!(all.kind(), Kind::Luks);
    let aliases = entry("a /dev/b - read-only,allow-discards,tcrypt");
    assert!(aliases.has(Flag::ReadOnly) && aliases.has(Flag::Discard) && aliases.has(Flag::Tcrypt));
}

#[test]
fn the_last_word_on_a_flag_counts() {
    assert!(!entry("a /dev/b - noauto,auto").has(Flag::NoAuto));
    assert!(entry("a /dev/b - nofail,fail,nofail").has(Flag::NoFail));
}

#[test]
fn words_that_say_nothing() {
    for options in ["none", "-", ",", "none,,-", "\\156one", ""] {
        assert_eq!(entry(&format!("a /dev/b none {options}")).settings, [], "{options}");
    }
    assert_eq!(entry("a /dev/b none none=x").settings.len(), 1);
}

#[test]
fn kinds_are_named_or_implied() {
    let check = |options: &str, kind| assert_eq!(entry(&format!("a /dev/b - {options}")).kind(), kind, "{options}");
    check("discard", Kind::Unstated);
    check("key-slot=1", Kind::Luks);
    check("header=/h", Kind::Luks);
    check("header=/h,tcrypt", Kind::Tcrypt);
    check("tcrypt-hidden", Kind::Tcrypt);
    check("swap", Kind::Plain);
    check("swap,luks", Kind::Luks);
    check("tmp=xfs", Kind::Plain);
    check("bitlk", Kind::Bitlk);
    check("fvault2", Kind::Fvault2);
    check("luks,luks", Kind::Luks);
    let two = LineError::TwoKinds { first: Kind::Luks, second: Kind::Plain };
    assert_eq!(fault("a /dev/b - luks,discard,plain"), two);
}

#[test]
fn options_with_values_that_make_no_sense() {
    let check = |raw: &str, why: OptionError| {
        let option = raw.split('=').next().unwrap().to_owned();
        assert_eq!(fault(&format!("a /dev/b none luks,{raw}")), LineError::BadOption { option, why }, "{raw}");
    };
    for raw in ["tries", "tries=", "header", "keyscript=", "tpm2-device=", "tmp=", "timeout="] {
        check(raw, if raw == "header=" { OptionError::NotAPath } else { OptionError::NoValue });
    }
    for raw in ["tries=many", "tries=-1", "tries=+1", "tries=4294967296", "keyfile-size=0", "keyfile-offset=0x10"] {
        check(raw, OptionError::NotANumber);
    }
    check("key-slot=32", OptionError::NotASlot);
    check("key-slot=-1", OptionError::NotANumber);
    check("timeout=soon", OptionError::NotATimeSpan);
    check("headless=perhaps", OptionError::NotABoolean);
    check("password-echo=loudly", OptionError::NotABoolean);
    check("discard=yes", OptionError::AValue);
    check("header=boot/header", OptionError::NotAPath);
    check("link-volume-key=@u:key", OptionError::NotAKeyName);
    check("link-volume-key=@u::", OptionError::NotAKeyName);
    check("=x", OptionError::NoName);
    let twice = LineError::BadOption { option: "header".into(), why: OptionError::Twice };
    assert_eq!(fault("a /dev/b none header=/a,header=/a"), twice);
}

#[test]
fn lines_that_name_no_disk() {
    assert_eq!(fault("a"), LineError::NoDevice);
    assert_eq!(fault("a /dev/b none luks discard"), LineError::TooManyFields { fifth: "discard".into() });
    assert_eq!(fault("a\u{7}b /dev/c"), LineError::ControlCharacter);
    assert_eq!(fault("a /dev/b\rc"), LineError::ControlCharacter);
    assert_eq!(fault("a\\000b /dev/c"), LineError::Nul);
    assert_eq!(fault("a /dev/\\377"), LineError::NotText);
    assert_eq!(parse(b"a /dev/\xff").unwrap().faults[0].why, LineError::NotText);
    for name in ["a/b", ".", "..", &"x".repeat(128)] {
        assert_eq!(fault(&format!("{name} /dev/b")), LineError::BadName { name: name.into() });
    }
    assert_eq!(entry(&format!("{} /dev/b", "x".repeat(127))).name.len(), 127);
    assert_eq!(fault(&" ".repeat(LONGEST_LINE + 1)), LineError::TooLong { bytes: LONGEST_LINE + 1 });
}

#[test]
fn comments_blank_lines_and_every_line_end() {
    let text =
        "# a comment\n\n  \t\n  # another \u{7}\r\na /dev/b none luks\r\nb /dev/c none luks # why\n#\\000\nc /dev/d";
    let crypttab = read(text);
    assert_eq!(crypttab.faults, []);
    let places: Vec<_> = crypttab.entries.iter().map(|entry| (entry.line, entry.name.as_str())).collect();
    assert_eq!(places, [(5, "a"), (6, "b"), (8, "c")]);
    assert_eq!(crypttab.entries[0].settings, [Setting::Flag(Flag::Luks, true)]);
    assert_eq!(parse(b"").unwrap(), Crypttab::default());
    // A comment need not be text.
    assert_eq!(parse(b"# \xff\n").unwrap(), Crypttab::default());
}

#[test]
fn a_broken_line_takes_no_other_with_it() {
    let crypttab = read("a /dev/b\nbroken\na /dev/c\nd e\nf /dev/g - tries=x\nh /dev/i\n");
    let lines: Vec<_> = crypttab.entries.iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [1, 6]);
    let faults: Vec<_> = crypttab.faults.iter().map(ToString::to_string).collect();
    let taken = "line 3: the name `a` stands in line 1 already";
    assert!(faults[0].starts_with("line 2: ") && faults[1] == taken && faults[2].starts_with("line 4: "), "{faults:?}");
    assert_eq!(faults[3], "line 5: the option `tries` wants a decimal number in its range");
}

#[test]
fn a_name_counts_as_taken_by_a_line_that_was_read() {
    let crypttab = read("a broken\na /dev/b\n");
    assert_eq!((crypttab.entries.len(), crypttab.faults.len(), crypttab.entries[0].line), (1, 1, 2));
}

#[test]
fn limits_hold() {
    assert_eq!(parse(&vec![b'\n'; LONGEST_FILE + 1]), Err(CrypttabError::TooLong { bytes: LONGEST_FILE + 1 }));
    assert_eq!(parse(&vec![b'\n'; LONGEST_FILE]), Ok(Crypttab::default()));
    let lines: Vec<String> = (0..MOST_LINES).map(|number| format!("n{number} /dev/a\n")).collect();
    let lines = lines.concat();
    assert_eq!(read(&lines).entries.len(), MOST_LINES);
    let one_more = format!("\n{lines}broken");
    assert_eq!(parse(one_more.as_bytes()), Err(CrypttabError::TooMany { line: MOST_LINES + 2 }));
}

/// Pieces of which lines are made, so that most of them mean something.
fn line() -> impl Strategy<Value = String> {
    let name = "[a-c#\\\\]{1,3}|a\\\\040b|\\\\043x|\\\\134\\\\057";
    let device =
        "/[a-z:\\\\,]{0,6}|(UUID|LABEL|ID|PARTUUID|PARTLABEL)=[\"'a-c:\\\\]{0,4}|/dev/\\\\303\\\\244|[a-z]{1,3}";
    let key = format!("none|-|/[a-z:]{{0,4}}:({device})|{device}|[a-z:\\\\,=]{{1,8}}|/k\\\\072/dev/x");
    let option = "(luks|tries|timeout|header|tmp|key-slot|headless|tpm2-device|link-volume-key|[a-c=\\\\,-]{0,3})\
                  (=([a-c\\\\,:=\"]{0,4}|[0-9]{1,3}(s|ms|min)?|/[a-c:\\\\,]{0,5}(:/dev/[a-c:]{1,3})?|@u::k|no|\\\\054))?";
    let key = proptest::string::string_regex(&key).unwrap();
    (name, device, key, proptest::collection::vec(option, 0..4))
        .prop_map(|(name, device, key, options)| format!("{name} {device} {key} {}", options.join(",")))
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn what_was_read_reads_the_same_after_printing(lines in proptest::collection::vec(line(), 1..6)) {
        let crypttab = read(&lines.join("\n"));
        // Each on the line it stood on.
        let mut printed = vec![String::new(); lines.len()];
        for entry in &crypttab.entries {
            printed[entry.line - 1] = entry.to_string();
        }
        prop_assert_eq!(read(&printed.join("\n")), Crypttab { faults: Vec::new(), ..crypttab });
    }

    #[test]
    fn any_text_in_any_field_reads_the_same_after_printing(
        text in "\\PC{1,6}|[\\\\,:=#\"' a-c0-7\u{1}-\u{1f}\u{85}]{1,8}", which in 0..6
    ) {
        let path = format!("/{text}");
        let plain = file("/k", None);
        let mut entry = Entry {
            line: 1,
            name: "n".into(),
            device: Device::Path("/dev/a".into()),
            key: Key::File(plain.clone()),
            settings: Vec::new(),
        };
        match which {
            0 => entry.name = format!("n{}", text.replace('/', "")),
            1 => entry.device = Device::Label(text),
            2 => entry.key = Key::File(file(&path, None)),
            3 => entry.key = Key::File(file(&path, Some(Device::Label(text)))),
            4 => entry.settings = vec![Setting::Header(file(&path, None)), Setting::Keyscript(text)],
            _ => entry.settings = vec![Setting::Other { name: format!("x{text}"), value: Some(text) }],
        }
        prop_assert_eq!(read(&entry.to_string()), Crypttab { entries: vec![entry], faults: Vec::new() });
    }
}
