//! Which kernel belongs to a version: the encrypted root says it, because `/boot` lies in the open.

use super::boot_files::read;
use clevis::measured::to_hex;
use std::fs;
use std::path::Path;

/// Longest list of a package's files.
const LONGEST_LIST: u64 = 16 << 20;

/// Whether the root vouches for this kernel: the copy among its modules, or what its package says of it.
///
/// # Errors
/// Nobody does, in words.
pub fn check(root: &Path, version: &str, kernel: &[u8]) -> Result<(), String> {
    for place in ["lib/modules", "usr/lib/modules"] {
        let path = root.join(place).join(version).join("vmlinuz");
        // A link may lead to /boot, which would vouch for itself.
        if !path.symlink_metadata().is_ok_and(|about| about.is_file()) {
            continue;
        }
        let copy = read(&path, u64::try_from(kernel.len()).unwrap_or(u64::MAX).saturating_add(1));
        return match copy {
            Ok(Some(copy)) if copy == kernel => Ok(()),
            _ => Err(format!("the kernel is not the one in {}", path.display())),
        };
    }
    let name = format!("boot/vmlinuz-{version}");
    let digests = packaged(&root.join("var/lib/dpkg/info"), &name);
    if digests.is_empty() {
        let why = "there is neither a copy among its modules nor a package with it";
        return Err(format!("nobody vouches for the kernel {version}: {why}"));
    }
    let found = crypto::md5(kernel).map(|digest| to_hex(&digest));
    // MD5 is enough here: the digest is of a file that the distribution made, and a second one with it is out of reach.
    if digests.iter().any(|digest| found.as_ref() == Some(digest)) {
        return Ok(());
    }
    Err(format!("the kernel is not the {name} of its package"))
}

/// What Debian's packages say of this file: a line has the MD5, two blanks, and the path without its first slash (dpkg's `deb-md5sums(5)`).
fn packaged(info: &Path, name: &str) -> Vec<String> {
    let lists = fs::read_dir(info).into_iter().flatten().flatten().filter(|file| {
        let list = file.file_name().to_string_lossy().into_owned();
        list.starts_with("linux-image-") && list.ends_with(".md5sums")
    });
    let texts = lists.filter_map(|file| read(&file.path(), LONGEST_LIST).ok().flatten());
    let of_file = |text: Vec<u8>| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines = text.lines().filter_map(|line| line.split_once("  ")).filter(|(_, path)| *path == name);
        lines.map(|(digest, _)| digest.to_owned()).collect::<Vec<String>>()
    };
    texts.flat_map(of_file).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIGEST: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn the_root_vouches_for_a_kernel_or_nobody_does() {
        let root = tempfile::tempdir().unwrap();
        let check = |kernel: &str, why: &str| match check(root.path(), "9.9", kernel.as_bytes()) {
            Ok(()) => assert_eq!(why, "", "{kernel}"),
            Err(said) => assert!(!why.is_empty() && said.contains(why), "{said}"),
        };
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        check("abc", "nobody vouches for the kernel 9.9");
        put("var/lib/dpkg/info/linux-image-9.md5sums", &format!("{DIGEST}  boot/vmlinuz-9.8\n"));
        put("var/lib/dpkg/info/other.md5sums", &format!("{DIGEST}  boot/vmlinuz-9.9\n"));
        check("abc", "nobody vouches for the kernel 9.9");
        put("var/lib/dpkg/info/linux-image-9.9.md5sums", &format!("00  boot/config-9.9\n{DIGEST}  boot/vmlinuz-9.9\n"));
        check("abc", "");
        check("abd", "is not the boot/vmlinuz-9.9 of its package");
        fs::create_dir_all(root.path().join("lib/modules/9.9")).unwrap();
        std::os::unix::fs::symlink("/dev/null", root.path().join("lib/modules/9.9/vmlinuz")).unwrap();
        check("abc", "");
        fs::remove_file(root.path().join("lib/modules/9.9/vmlinuz")).unwrap();
        put("lib/modules/9.9/vmlinuz", "abd");
        check("abd", "");
        check("abc", "is not the one in");
    }
}
