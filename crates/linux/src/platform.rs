//! What kind of machine this is, as far as it says so itself.

use std::fs;
use std::path::Path;

/// Whether it is the guest of a hypervisor. `None` if nothing says.
pub fn is_virtual() -> Option<bool> {
    let xen = fs::read_to_string("/proc/xen/capabilities").ok();
    fs::read_to_string("/proc/cpuinfo").ok().and_then(|cpus| guest(&cpus, xen.as_deref()))
}

/// Whether Secure Boot is on: what the firmware's variable says, or no if it has no such variables (BIOS). `None` if it cannot be read.
pub fn secure_boot() -> Option<bool> {
    secure_boot_under(Path::new("/sys/firmware/efi"))
}

/// Whether the stub of a unified image started this kernel: systemd's leaves a variable (systemd-stub(7)).
pub fn boots_unified_image() -> bool {
    Path::new("/sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f").exists()
}

/// From `/proc/cpuinfo`: x86 has a flag for it. The first guest of Xen has it too and is no guest of anybody else.
fn guest(cpus: &str, xen: Option<&str>) -> Option<bool> {
    if xen.is_some_and(|capabilities| capabilities.contains("control_d")) {
        return Some(false);
    }
    let flags = cpus.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'))?;
    Some(flags.1.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// The variable is four bytes of attributes and one of state (efivarfs).
fn secure_boot_under(efi: &Path) -> Option<bool> {
    if !efi.exists() {
        return Some(false);
    }
    let variable = fs::read(efi.join("efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")).ok()?;
    variable.get(4).map(|state| *state == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_the_flag_and_the_first_of_xen_is_none() {
        let cpu = |flags: &str| format!("processor\t: 0\nflags\t\t: fpu {flags} sse\nbugs\t: x\n");
        assert_eq!(guest(&cpu("hypervisor"), None), Some(true));
        assert_eq!(guest(&cpu("hypervisor"), Some("\n")), Some(true));
        assert_eq!(guest(&cpu("hypervisor"), Some("control_d\n")), Some(false));
        assert_eq!(guest(&cpu("hypervisors"), None), Some(false));
        assert_eq!(guest("Features: fp asimd\n", None), None);
    }

    #[test]
    fn secure_boot_is_what_its_variable_says() {
        let machine = tempfile::tempdir().unwrap();
        let efi = machine.path().join("efi");
        assert_eq!(secure_boot_under(&efi), Some(false), "BIOS");
        fs::create_dir_all(efi.join("efivars")).unwrap();
        assert_eq!(secure_boot_under(&efi), None);
        for (bytes, expected) in [(&[6, 0, 0, 0, 1][..], Some(true)), (&[6, 0, 0, 0, 0], Some(false)), (&[6], None)] {
            fs::write(efi.join("efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"), bytes).unwrap();
            assert_eq!(secure_boot_under(&efi), expected);
        }
    }
}
