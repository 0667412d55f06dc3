//! What a system makes its images with, for which kernels, and where they are.

use super::images;
use super::target::{How, Target};
use crate::error::CommandError;
use bootimage::Framework;
use clevis::Cancel;

/// The system as far as its boot goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// What makes its images.
    pub framework: Framework,
    /// The version of its systemd, if it has one.
    pub systemd: Option<u32>,
    /// Its kernels, those with an image and those without.
    pub kernels: Vec<Kernel>,
}

/// A kernel that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its version.
    pub version: String,
    /// The path of its image in the system, if it has one.
    pub image: Option<String>,
}

/// Programs that only one of them has.
const MARKS: [(Framework, &[&str]); 3] = [
    (Framework::InitramfsTools, &["/usr/sbin/update-initramfs", "/usr/sbin/mkinitramfs"]),
    (Framework::Dracut, &["/usr/bin/dracut", "/usr/sbin/dracut"]),
    (Framework::Mkinitcpio, &["/usr/bin/mkinitcpio", "/usr/sbin/mkinitcpio"]),
];

impl System {
    /// Looks at it.
    pub fn find(target: &Target, cancel: &Cancel) -> Result<System, CommandError> {
        let kernels = kernels(target);
        let framework = framework(target, &kernels, cancel)?;
        Ok(System { framework, systemd: systemd(target, cancel), kernels })
    }

    /// The images that there are.
    pub fn images(&self) -> impl Iterator<Item = (&Kernel, &str)> {
        self.kernels.iter().filter_map(|kernel| Some((kernel, kernel.image.as_deref()?)))
    }

    /// What makes all images anew, for people and for `run`.
    pub fn rebuild(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.framework {
            Framework::InitramfsTools => vec![words(&["update-initramfs", "-u", "-k", "all"])],
            // By name: what `--regenerate-all` writes to is not everywhere what is booted.
            Framework::Dracut => {
                self.images().map(|(kernel, image)| words(&["dracut", "--force", image, &kernel.version])).collect()
            }
            Framework::Mkinitcpio => vec![words(&["mkinitcpio", "-P"])],
        }
    }
}

/// The one whose programs are there; of several the one that has made an image.
fn framework(target: &Target, kernels: &[Kernel], cancel: &Cancel) -> Result<Framework, CommandError> {
    let there = |programs: &[&str]| programs.iter().any(|program| target.has(program));
    let found: Vec<Framework> =
        MARKS.iter().filter(|(_, marks)| there(marks)).map(|(framework, _)| *framework).collect();
    match found[..] {
        [] => {
            let error = CommandError::plain("neither initramfs-tools nor dracut nor mkinitcpio is installed");
            Err(error.hint("install what makes the images of this system first"))
        }
        [one] => Ok(one),
        [first, ..] => {
            let made = kernels.iter().filter_map(|kernel| kernel.image.as_deref()).find_map(|image| {
                let unpacked = images::unpack(target, image, cancel).ok()?;
                Framework::of(&unpacked.image().ok()?)
            });
            Ok(made.filter(|made| found.contains(made)).unwrap_or(first))
        }
    }
}

fn systemd(target: &Target, cancel: &Cancel) -> Option<u32> {
    if !target.has("/usr/lib/systemd/systemd") && !target.has("/lib/systemd/systemd") {
        return None;
    }
    let said = target.run(&["systemctl", "--version"], &How::asked(cancel)).ok()?;
    version(&String::from_utf8_lossy(&said))
}

/// `systemd 252 (252.39-1~deb12u1)` and what follows.
fn version(said: &str) -> Option<u32> {
    let number = said.strip_prefix("systemd ")?.split([' ', '.', '~', '\n']).next()?;
    number.parse().ok()
}

fn kernels(target: &Target) -> Vec<Kernel> {
    let versions = target.names("/lib/modules").into_iter();
    // What removed packages leave behind has no list of modules.
    let versions = versions.filter(|version| {
        ["modules.order", "modules.builtin", "kernel"]
            .iter()
            .any(|part| target.has(&format!("/lib/modules/{version}/{part}")))
    });
    versions.map(|version| Kernel { image: image_of(target, &version), version }).collect()
}

/// Where distributions have the image of a kernel.
fn image_of(target: &Target, version: &str) -> Option<String> {
    let package = target.read(&format!("/lib/modules/{version}/pkgbase")).ok().flatten();
    let package = package.map(|name| String::from_utf8_lossy(&name).trim().to_owned()).unwrap_or_default();
    let machine = target.read("/etc/machine-id").ok().flatten().unwrap_or_default();
    let machine = String::from_utf8_lossy(&machine).trim().to_owned();
    let places = [
        format!("/boot/initrd.img-{version}"),
        format!("/boot/initramfs-{version}.img"),
        format!("/boot/initrd-{version}"),
        format!("/boot/initramfs-{package}.img"),
        format!("/boot/{machine}/{version}/initrd"),
        format!("/efi/{machine}/{version}/initrd"),
    ];
    places.into_iter().find(|place| target.has(place) && !place.contains("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_kernel_is_found_with_its_image() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for version in ["6.1.0-1", "6.1.0-2", "5.10"] {
            fs::create_dir_all(at(&format!("usr/lib/modules/{version}"))).unwrap();
        }
        for made in ["etc", "boot/abc/6.12", "usr/lib/modules/6.12", "usr/sbin", "usr/bin"] {
            fs::create_dir_all(at(made)).unwrap();
        }
        std::os::unix::fs::symlink("usr/lib", at("lib")).unwrap();
        for file in [
            "usr/lib/modules/6.1.0-1/modules.order",
            "usr/lib/modules/6.1.0-2/modules.order",
            "usr/lib/modules/6.12/modules.order",
            "boot/initrd.img-6.1.0-1",
            "boot/abc/6.12/initrd",
            "usr/bin/dracut",
        ] {
            fs::write(at(file), b"x").unwrap();
        }
        fs::write(at("etc/machine-id"), b"abc\n").unwrap();
        let target = Target::new(Some(directory.path())).unwrap();
        let cancel = Cancel::new();
        let system = System::find(&target, &cancel).unwrap();
        let found: Vec<_> =
            system.kernels.iter().map(|kernel| (kernel.version.as_str(), kernel.image.as_deref())).collect();
        assert_eq!(
            found,
            [("6.1.0-1", Some("/boot/initrd.img-6.1.0-1")), ("6.1.0-2", None), ("6.12", Some("/boot/abc/6.12/initrd"))]
        );
        assert_eq!((system.framework, system.systemd), (Framework::Dracut, None));
        let rebuild: Vec<String> = system.rebuild().iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            rebuild,
            ["dracut --force /boot/initrd.img-6.1.0-1 6.1.0-1", "dracut --force /boot/abc/6.12/initrd 6.12"]
        );
        fs::remove_file(at("usr/bin/dracut")).unwrap();
        assert!(System::find(&target, &cancel).unwrap_err().to_string().contains("neither initramfs-tools"));
    }

    #[test]
    fn systemd_tells_its_version() {
        let check = |said: &str, expected| assert_eq!(version(said), expected, "{said}");
        check("systemd 252 (252.39-1~deb12u1)\n+PAM", Some(252));
        check("systemd 219\n", Some(219));
        check("systemd 257.9 (257.9-1)", Some(257));
        check("systemd 258~rc1 (x)", Some(258));
        check("usage", None);
    }
}
