//! Disks that need a kernel to be made: a logical volume in an encrypted one, a mirror, a file system in LUKS1. Made once in a guest, with the programs of a
//! root of Debian, and kept below Cargo's target directory.

use super::small::{FIRST_PROCESS, PERSON, ROOT_BYTES, blank, make_root};
use crate::place;
use crate::root::{Framework, Root};
use crate::uml::Guest;
use compliance::disk::{Cipher, PASSPHRASE};
use compliance::{Disk, Program};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Beside the roots.
const CACHE: &str = "guest-disks";
/// A header of LUKS2, the extents of a group and the root on it.
const LVM_BYTES: u64 = ROOT_BYTES + (24 << 20);
const DATA_BYTES: u64 = 40 << 20;
/// An encrypted root, and what the mirror keeps before it and aligns behind it.
const MEMBER_BYTES: u64 = ROOT_BYTES + (40 << 20);
/// Where a member's superblock is (version 1.2) and where in it the place of the data stands, in sectors, low byte first.
const DATA_OFFSET_AT: u64 = 4096 + 128;
const SECTOR: u64 = 512;

/// No udev in that guest, and nothing that may be written but its own directory.
const LVM: &str = r#"
export DM_DISABLE_UDEV=1
cryptsetup open --key-file - /dev/ubda root <passphrase
pvcreate -q /dev/mapper/root
vgcreate -q -An system /dev/mapper/root
lvcreate -q -An -Zn -Wn -n root -l 100%FREE system
dd if=root of=/dev/mapper/system-root bs=1M
vgchange -q -an system
cryptsetup close root
"#;
const DATA: &str = "
cryptsetup open --key-file passphrase /dev/ubda data
mkfs.ext4 -q /dev/mapper/data
cryptsetup close data
";
/// The same over two volumes, each of which holds a part of the root: neither is enough.
const LVM_OVER_TWO: &str = r#"
export DM_DISABLE_UDEV=1
cryptsetup open --key-file - /dev/ubda first <passphrase
cryptsetup open --key-file - /dev/ubdb second <passphrase
pvcreate -q /dev/mapper/first /dev/mapper/second
vgcreate -q -An system /dev/mapper/first /dev/mapper/second
lvcreate -q -An -Zn -Wn -i 2 -n root -l 100%FREE system
dd if=root of=/dev/mapper/system-root bs=1M
vgchange -q -an system
cryptsetup close first
cryptsetup close second
"#;
/// The UUIDs of the mirrors.
pub(super) const ROOT_MIRROR: &str = "33333333:33333333:33333333:33333333";
pub(super) const DATA_MIRROR: &str = "44444444:44444444:44444444:44444444";

/// The same bytes in both, so that nothing is copied at the first start.
fn mirror_recipe(uuid: &str) -> String {
    format!(
        "mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --bitmap=none --homehost=any \
         --name={} --uuid={uuid} /dev/ubda /dev/ubdb\nmdadm --stop /dev/md0\n",
        if uuid == ROOT_MIRROR { "root" } else { "data" }
    )
}

/// A logical volume with the small root, in an encrypted volume.
pub(super) fn lvm_on_luks() -> Disk {
    let [kept] = kept("lvm-on-luks", LVM, |[file]| {
        let disk = formatted(LVM_BYTES, "luks2", PERSON);
        let guest = Guest::new().disk(&disk.path());
        let root = guest.directory().join("root");
        blank(&root, ROOT_BYTES);
        make_root(&root);
        fs::write(guest.directory().join("passphrase"), PASSPHRASE).unwrap();
        in_root(guest, LVM);
        fs::copy(disk.path(), file).unwrap();
    });
    copied(&kept)
}

/// A logical volume with the small root, striped over two encrypted volumes.
pub(super) fn lvm_over_two() -> [Disk; 2] {
    let kept = kept("lvm-over-two", LVM_OVER_TWO, |files: [&Path; 2]| {
        let disks = files.map(|_| formatted(LVM_BYTES, "luks2", PERSON));
        let guest = disks.iter().fold(Guest::new(), |guest, disk| guest.disk(&disk.path()));
        let root = guest.directory().join("root");
        blank(&root, ROOT_BYTES);
        make_root(&root);
        fs::write(guest.directory().join("passphrase"), PASSPHRASE).unwrap();
        in_root(guest, LVM_OVER_TWO);
        for (disk, file) in disks.iter().zip(files) {
            fs::copy(disk.path(), file).unwrap();
        }
    });
    kept.each_ref().map(|kept| copied(kept))
}

/// An encrypted volume with an empty file system.
pub(super) fn data(kind: &str, kdf: &[&str]) -> Disk {
    let [kept] = kept(&format!("data-{kind}"), DATA, |[file]| {
        let disk = formatted(DATA_BYTES, kind, kdf);
        let guest = Guest::new().disk(&disk.path());
        fs::write(guest.directory().join("passphrase"), PASSPHRASE).unwrap();
        in_root(guest, DATA);
        fs::copy(disk.path(), file).unwrap();
    });
    copied(&kept)
}

/// Encrypted in small sectors, because a small file system has blocks of 1024 bytes.
fn formatted(bytes: u64, kind: &str, kdf: &[&str]) -> Disk {
    let disk = Disk::blank(bytes);
    let Cipher { name, key_bits, .. } = Cipher::USUAL;
    let format = Program::new("cryptsetup").args(["luksFormat", "-q", "--type", kind]).args(kdf);
    let format = format.args(["--cipher", name, "--key-size", &key_bits.to_string()]);
    // LUKS1 has no other and takes no word about it.
    let format = if kind == "luks2" { format.args(["--sector-size", "512"]) } else { format };
    format.arg("--key-file").arg(disk.passphrase_file()).arg(disk.path()).succeed();
    disk
}

fn copied(kept: &Path) -> Disk {
    let disk = Disk::blank(0);
    fs::copy(kept, disk.path()).unwrap();
    disk
}

/// The two members of the mirror with this UUID that holds this volume, beside it.
pub(super) fn mirror(luks: &Disk, uuid: &str) -> Vec<PathBuf> {
    let recipe = mirror_recipe(uuid);
    let members = kept(&format!("mirror-{uuid}"), &recipe, |files: [&Path; 2]| {
        files.iter().for_each(|file| blank(file, MEMBER_BYTES));
        in_root(files.iter().fold(Guest::new().module("raid1"), |guest, file| guest.disk(file)), &recipe);
    });
    let volume = luks.bytes();
    let filled = ["first", "second"].into_iter().zip(members).map(|(name, member)| {
        let copy = luks.beside(name);
        fs::copy(member, &copy).unwrap();
        let file = File::options().read(true).write(true).open(&copy).unwrap();
        let mut sectors = [0; 8];
        file.read_exact_at(&mut sectors, DATA_OFFSET_AT).unwrap();
        file.write_all_at(&volume, u64::from_le_bytes(sectors) * SECTOR).unwrap();
        copy
    });
    filled.collect()
}

/// Runs the commands in the guest, in the root whose programs they are; the guest's directory is theirs too.
fn in_root(guest: Guest, commands: &str) {
    let tree = Root::plain(Framework::InitramfsTools).tree();
    let work = Guest::work().display();
    fs::write(guest.directory().join("commands"), format!("set -e\nmkdir -p /run/lock\ncd {work}\n{commands}"))
        .unwrap();
    let tree = tree.display();
    let bind = "for place in proc sys dev run; do mount --rbind /$place $tree/$place || exit 1; done";
    guest.run(&format!("tree='{tree}'\n{bind}\nchroot $tree sh {work}/commands")).succeeded();
}

/// Files that were made by this recipe before, or are made now.
fn kept<const N: usize>(name: &str, recipe: &str, make: impl FnOnce([&Path; N])) -> [PathBuf; N] {
    let cache = place::beside(place::ROOTS, CACHE);
    let (place, made_by) =
        (cache.join(name), format!("{recipe}{LVM_BYTES} {DATA_BYTES} {MEMBER_BYTES} {}", FIRST_PROCESS));
    let files = |directory: &Path| std::array::from_fn(|number| directory.join(number.to_string()));
    if fs::read_to_string(place.join("recipe")).is_ok_and(|text| text == made_by) {
        return files(&place);
    }
    // Under another name until it is whole; who comes second takes what the first has made.
    let unfinished = tempfile::tempdir_in(&cache).unwrap();
    let new: [PathBuf; N] = files(unfinished.path());
    make(std::array::from_fn(|number| new[number].as_path()));
    fs::write(unfinished.path().join("recipe"), made_by).unwrap();
    let _ = fs::remove_dir_all(&place);
    let _ = fs::rename(unfinished.path(), &place);
    files(&place)
}
