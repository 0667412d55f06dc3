//! Whether the root that the kernel's command line names is reached over the network: then the network of the early system is that of the
//! root, and is not to be taken down.

use crate::command_line::{Word, every_word};

/// The first word that says so, as it stands on the command line. A command line that is too long to be read says it too: what is not known
/// is left alone.
pub fn root_on_network(command_line: &[u8]) -> Option<String> {
    match every_word(command_line) {
        Ok(words) => words.iter().find(|word| says_so(word)).map(Word::text),
        Err(error) => Some(error.to_string()),
    }
}

/// nfsroot.rst of the kernel, initramfs-tools(7), dracut.cmdline(7), the scripts of open-iscsi and nbd-client.
fn says_so(word: &Word) -> bool {
    let value = word.value.as_deref().unwrap_or_default();
    match word.key.as_str() {
        "root" => {
            value == "/dev/nfs"
                || value == "dhcp"
                || value == "dhcp6"
                || ["nfs:", "nfs4:", "cifs:", "iscsi:", "nbd:", "fcoe:", "http:", "https:", "ftp:", "live:http"]
                    .iter()
                    .any(|scheme| value.starts_with(scheme))
        }
        "boot" => value == "nfs",
        "nfsroot" | "netroot" | "nbdroot" | "iscsi_initiator" | "iscsi_target_name" | "iscsi_target_ip" => true,
        key => {
            key.starts_with("rd.iscsi") || key.starts_with("rd.nvmf") || key == "iscsi_auto" || key == "iscsi_firmware"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_on_the_network_is_told_from_one_on_a_disk() {
        for line in [
            "ip=dhcp root=/dev/nfs nfsroot=192.0.2.1:/srv",
            "boot=nfs",
            "root=nfs:192.0.2.1:/srv",
            "root=dhcp",
            "netroot=iscsi:@192.0.2.1::3260::iqn.x",
            "rd.iscsi.firmware=1",
            "iscsi_auto",
            "\"nbdroot=192.0.2.1,root\"",
        ] {
            assert!(root_on_network(line.as_bytes()).is_some(), "{line}");
        }
        for line in ["", "root=/dev/mapper/root ro ip=dhcp", "root=UUID=nfs: boot=local", "rd.neednet=1 root=LABEL=x"] {
            assert_eq!(root_on_network(line.as_bytes()), None, "{line}");
        }
        assert!(root_on_network(&[b'a'; 70_000]).is_some());
    }
}
