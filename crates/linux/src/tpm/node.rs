//! The TPMs that the kernel has, and what it says of each (`Documentation/ABI/stable/sysfs-class-tpm`, `testing/sysfs-class-tpm`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A TPM of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmNode {
    /// `/dev/tpm0`, which takes one program at a time and has no resource manager.
    pub bare: PathBuf,
    /// `/dev/tpmrm0`; a TPM 1.2 has none.
    pub managed: Option<PathBuf>,
    /// 1 for a TPM 1.2, 2 for a TPM 2.0; older kernels do not say.
    pub family: Option<u8>,
    /// The kernel's driver.
    pub driver: Option<String>,
    /// How the firmware names the device: `MSFT0101`.
    pub hardware_id: Option<String>,
}

/// What PCRs of one bank hold, as the kernel shows it to anybody.
pub type ShownPcrs = BTreeMap<u8, Vec<u8>>;

impl TpmNode {
    /// All of them, in the order of their numbers.
    pub fn all() -> Vec<TpmNode> {
        under(Path::new("/"))
    }

    /// The PCRs of this bank (since Linux 5.12); nothing if they are not shown.
    pub fn pcrs(&self, bank: &str) -> ShownPcrs {
        let name = self.bare.file_name().unwrap_or_default();
        shown(&Path::new("/sys/class/tpm").join(name).join(format!("pcr-{bank}")))
    }
}

fn under(root: &Path) -> Vec<TpmNode> {
    let class = root.join("sys/class/tpm");
    let names = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut numbers: Vec<u32> = names(&class)
        .chain(names(&root.join("dev")))
        .filter_map(|name| name.to_str()?.strip_prefix("tpm")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|number| node(root, &class, number)).collect()
}

fn node(root: &Path, class: &Path, number: u32) -> TpmNode {
    let about = class.join(format!("tpm{number}"));
    let line = |file: &str| fs::read_to_string(about.join(file)).ok().map(|text| text.trim().to_owned());
    let managed = Path::new("/dev").join(format!("tpmrm{number}"));
    let driver = fs::read_link(about.join("device/driver")).ok();
    TpmNode {
        bare: Path::new("/dev").join(format!("tpm{number}")),
        managed: Some(managed).filter(|path| path.strip_prefix("/").is_ok_and(|path| root.join(path).exists())),
        family: line("tpm_version_major").and_then(|text| text.parse().ok()),
        driver: driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())),
        hardware_id: line("device/firmware_node/hid").or_else(|| line("device/hid")).filter(|id| !id.is_empty()),
    }
}

/// A file for each PCR, with its value in capital digits.
fn shown(folder: &Path) -> ShownPcrs {
    let one = |entry: fs::DirEntry| {
        let pcr = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(entry.path()).ok()?;
        let digits: Vec<u8> = text.trim().chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        Some((pcr, pairs.iter().map(|[high, low]| high << 4 | low).collect()))
    };
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_kernel_shows_is_read_and_what_it_does_not_is_missing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(under(root.path()), []);
        let device = root.path().join("sys/devices/pnp/00:05");
        let class = root.path().join("sys/class/tpm/tpm0");
        fs::create_dir_all(device.join("firmware_node")).unwrap();
        fs::create_dir_all(class.join("pcr-sha256")).unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        std::os::unix::fs::symlink(&device, class.join("device")).unwrap();
        std::os::unix::fs::symlink("../../../bus/pnp/drivers/tpm_tis", device.join("driver")).unwrap();
        for (file, text) in [("tpm_version_major", "2\n"), ("device/firmware_node/hid", "MSFT0101\n")] {
            fs::write(class.join(file), text).unwrap();
        }
        for (file, text) in [("7", "00FF\n"), ("8", "0"), ("x", "00")] {
            fs::write(class.join("pcr-sha256").join(file), text).unwrap();
        }
        fs::write(root.path().join("dev/tpmrm0"), "").unwrap();
        fs::write(root.path().join("dev/tpm1"), "").unwrap();
        let found = under(root.path());
        let first = TpmNode {
            bare: "/dev/tpm0".into(),
            managed: Some("/dev/tpmrm0".into()),
            family: Some(2),
            driver: Some("tpm_tis".into()),
            hardware_id: Some("MSFT0101".into()),
        };
        let second = TpmNode { bare: "/dev/tpm1".into(), managed: None, family: None, driver: None, hardware_id: None };
        assert_eq!(found, [first, second]);
        assert_eq!(shown(&class.join("pcr-sha256")), ShownPcrs::from([(7, vec![0, 0xff])]));
        assert!(shown(&class.join("pcr-sha1")).is_empty());
    }
}
