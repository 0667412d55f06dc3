//! `cotter boot install`, `status`, `check` and `remove` in copies of Debian, with the frameworks' own programs.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use boot::playground::Playground;
use boot::root::Framework;
use compliance::{Curve, Disk, Ended, KeyDirectory, Maker, Server};

/// A volume that is bound, and one whose key is in a file.
const CRYPTTAB: &str = "# what is opened\ndata\t/disks/data none  luks,nofail\nother /disks/other /etc/key luks\n";
const FSTAB: &str = "/dev/mapper/data /srv/data ext4 defaults,nofail 0 2\n";

/// A copy with a volume in it that is bound to a server of this machine.
struct Bound {
    copy: Playground,
    server: Server,
    keys: KeyDirectory,
    uuid: String,
}

fn bound(framework: Framework) -> Bound {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let disk = Disk::formatted(Maker::Ours);
    disk.bind(Maker::Ours, "tang", &server.config());
    let copy = Playground::new(framework);
    copy.put("disks/data", 0o600, &disk.bytes());
    copy.put("etc/crypttab", 0o600, CRYPTTAB.as_bytes());
    copy.put("etc/fstab", 0o644, FSTAB.as_bytes());
    copy.run(&["mkdir", "/srv/data"]).succeeded();
    Bound { copy, server, keys, uuid: disk.uuid() }
}

#[track_caller]
fn assert_says(ended: &Ended, words: &[&str]) {
    let said = format!("{}{}", ended.text(), ended.said());
    for word in words {
        assert!(said.contains(word), "`{word}` is not said: {said}");
    }
}

#[test]
fn initramfs_tools_from_nothing_and_back() {
    let Bound { copy, server, keys, uuid } = bound(Framework::InitramfsTools);
    let before = copy.state();
    let planned = copy.run(&["cotter", "boot", "install", "--dry-run", "-d", "data"]).succeeded();
    assert_says(
        &planned,
        &["would change /etc/crypttab", "    + data /disks/data none  luks,nofail,initramfs", "would be opened"],
    );
    assert_says(&planned, &["line 3 of crypttab (other): its key is in the file /etc/key"]);
    assert_eq!(copy.state(), before, "a plan changes nothing");

    let installed = copy.run(&["cotter", "boot", "install", "-d", "data"]).succeeded();
    assert_says(&installed, &["run update-initramfs -u -k all", "keyslot 1 (tang) opens", "installed"]);
    let listed = copy.listed();
    for path in [
        "usr/bin/cotter",
        "etc/cotter/volumes.json",
        "etc/cotter/built",
        "scripts/init-top/cotter",
        "scripts/local-top/cotter",
    ] {
        assert!(listed.iter().any(|line| line == path), "{path} is not in the image");
    }
    assert!(String::from_utf8(copy.read("etc/cotter/volumes.json")).unwrap().contains(&uuid));
    assert_eq!(copy.read("etc/crypttab"), CRYPTTAB.replace("nofail", "nofail,initramfs").into_bytes());
    let after = copy.state();
    let again = copy.run(&["cotter", "boot", "install", "-d", "data"]).succeeded();
    assert_says(&again, &["nothing is to be done"]);
    assert_eq!(copy.state(), after, "a second run changes nothing");

    let status = copy.run(&["cotter", "boot", "status"]).succeeded();
    assert_says(&status, &["holds what is installed", "keyslot 1 (tang), or a person; its key is in the list"]);
    let checked = copy.run(&["cotter", "boot", "check", "--json"]).succeeded();
    assert_says(&checked, &[&format!("\"image\":\"/{}\"", copy.image()), &uuid, "\"state\":\"opens\"", "\"ok\":true}"]);
    drop(server);
    let checked = copy.run(&["cotter", "boot", "check", "--json", "--timeout", "5"]).failed_with(1);
    assert_says(&checked, &["\"state\":\"stays closed\"", "\"ok\":false}", "would not be opened"]);
    drop(keys);

    // A list that is another now is in no image yet.
    copy.put("etc/cotter/boot.json", 0o644, b"{\"mode\":\"map\"}\n");
    let status = copy.run(&["cotter", "boot", "status"]).failed_with(1);
    assert_says(&status, &["etc/cotter/boot.json is not in it", "to make it anew: cotter boot install"]);
    copy.run(&["rm", "/etc/cotter/boot.json"]).succeeded();

    let removed = copy.run(&["cotter", "boot", "remove"]).succeeded();
    assert_says(&removed, &["put /etc/crypttab back as it was", "a passphrase opens the volumes"]);
    assert_eq!(copy.state(), before, "the system is what it was");
    assert!(!copy.listed().iter().any(|line| line.contains("cotter")), "nothing of it is in the image");
    assert_says(&copy.run(&["cotter", "boot", "remove"]).succeeded(), &["nothing is installed"]);
}

#[test]
fn dracut_from_nothing_and_back() {
    let Bound { copy, server: _server, keys: _keys, .. } = bound(Framework::Dracut);
    let before = copy.state();
    let installed = copy.run(&["cotter", "boot", "install", "--mode", "map"]).succeeded();
    assert_says(
        &installed,
        &[&format!("run dracut --force /{}", copy.image()), "the system: data: keyslot 1 (tang) opens"],
    );
    let listed = copy.listed();
    for path in [
        "usr/bin/cotter",
        "etc/cotter/boot.json",
        "etc/cotter/volumes.json",
        "usr/lib/systemd/system/cotter-boot-initrd.service",
    ] {
        assert!(listed.iter().any(|line| line == path), "{path} is not in the image: {listed:?}");
    }
    copy.run(&["cotter", "boot", "remove"]).succeeded();
    assert_eq!(copy.state(), before, "the system is what it was");
    assert!(!copy.listed().iter().any(|line| line.contains("cotter")), "nothing of it is in the image");
}

/// Another root is served by its own programs; this machine's crypttab and servers have no part in it.
#[test]
fn a_root_that_is_being_built() {
    let copy = Playground::new(Framework::InitramfsTools);
    copy.put("etc/crypttab", 0o600, b"root UUID=0b8ef9a4-4d6c-4f8e-9b1f-6f4f3d5f2b11 none luks\n");
    copy.put("etc/fstab", 0o644, b"/dev/mapper/root / ext4 defaults 0 1\n");
    let before = copy.state();
    let program = compliance::cotter().to_string_lossy();
    let installed = copy.run_beside(&[&program, "boot", "install", "--root", "."]).succeeded();
    assert_says(
        &installed,
        &[
            "+ root UUID=0b8ef9a4-4d6c-4f8e-9b1f-6f4f3d5f2b11 none luks,initramfs",
            "there is no list of expected volumes",
        ],
    );
    assert!(copy.listed().iter().any(|line| line == "usr/bin/cotter"));
    assert_says(
        &copy.run_beside(&[&program, "boot", "status", "--root", "."]).succeeded(),
        &["holds what is installed"],
    );
    copy.run_beside(&[&program, "boot", "remove", "--root", "."]).succeeded();
    assert_eq!(copy.state(), before);
}

/// Whatever a framework does to its images before it fails, and where it says that all is well and it is not.
#[test]
fn what_fails_is_taken_back() {
    let Bound { copy, server: _server, keys: _keys, .. } = bound(Framework::InitramfsTools);
    let fails = [
        (
            "echo broken >/boot/initrd.img-KERNEL; echo no room >&2; exit 3",
            "`update-initramfs -u -k all` has not done its work",
        ),
        ("exit 0", "was made without all that it needs: usr/bin/cotter is not in it"),
        ("rm /boot/initrd.img-KERNEL; exit 0", "initrd.img-"),
    ];
    for (script, why) in fails {
        let script = format!("#!/bin/sh\n{}\n", script.replace("KERNEL", &copy.kernel()));
        copy.put("usr/sbin/update-initramfs", 0o755, script.as_bytes());
        let (before, image) = (copy.state(), copy.read(&copy.image()));
        let failed = copy.run(&["cotter", "boot", "install"]).failed_with(1);
        assert_says(&failed, &["nothing was changed: all that was done is taken back", why]);
        assert_eq!(copy.state(), before);
        assert!(image == copy.read(&copy.image()), "the image is the one of before");
        copy.run(&["touch", "/srv/data/file"]).succeeded();
        copy.run(&["rm", "/srv/data/file"]).succeeded();
    }
}

/// A mount point of a volume that is closed takes no file, until all is removed; what somebody has changed of crypttab meanwhile stays.
#[test]
fn nobody_writes_where_a_volume_is_missing() {
    let Bound { copy, server: _server, keys: _keys, .. } = bound(Framework::InitramfsTools);
    let installed = copy.run(&["cotter", "boot", "install"]).succeeded();
    assert_says(&installed, &["make the directory under the mount /srv/data immutable"]);
    let touched = copy.run(&["touch", "/srv/data/file"]).failed_with(1);
    assert_says(&touched, &["Operation not permitted"]);
    assert_says(
        &copy.run(&["cotter", "boot", "status"]).succeeded(),
        &["/srv/data: nobody writes there while its volume is closed"],
    );
    copy.put("etc/crypttab", 0o600, format!("{CRYPTTAB}more /dev/x none luks\n").as_bytes());
    copy.run(&["cotter", "boot", "remove"]).succeeded();
    copy.run(&["touch", "/srv/data/file"]).succeeded();
    assert_eq!(copy.read("etc/crypttab"), format!("{CRYPTTAB}more /dev/x none luks\n").into_bytes());
}
