//! Disks bound on the host so that they open in a guest: to a server under the address that the guest sees, and to a TPM that is handed over.

use compliance::{Disk, Maker, Program, Server, Swtpm};

/// The host's loopback, as a guest behind QEMU's own network sees it.
pub const HOST: &str = "10.0.2.2";

/// Binds to a server on the host's loopback. The advertisement comes from a file: the host cannot reach the guest's address.
pub fn to_server(disk: &Disk, maker: Maker, server: &Server) {
    to_server_as(disk, maker, server, &format!("http://{HOST}:{}", server.port()));
}

/// The same under another URL, such as one with a name.
pub fn to_server_as(disk: &Disk, maker: Maker, server: &Server, url: &str) {
    let advertisement = disk.beside("advertisement");
    std::fs::write(&advertisement, server.fetch("/adv")).expect("cannot write the advertisement");
    disk.bind(maker, "tang", &format!(r#"{{"url":"{url}","adv":"{}"}}"#, advertisement.display()));
}

/// Binds to a new TPM whose PCRs are as after a reset, and switches it off: its state, for [`crate::qemu::Tpm::with_state`].
pub fn to_tpm(disk: &Disk, maker: Maker, config: &str) -> Vec<u8> {
    let tpm = Swtpm::start();
    tpm.give(disk.bind_program(maker, "tpm2", config)).succeed();
    tpm.switched_off()
}

/// The list of what is expected of these volumes, as an image carries it.
pub fn expected(disks: &[&Disk]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("no temporary directory");
    let list = folder.path().join("volumes.json");
    for disk in disks {
        let program = Program::cotter().args(["luks", "identity", "--add"]).arg(&list).arg("-k");
        program.arg(disk.passphrase_file()).arg("-d").arg(disk.path()).succeed();
    }
    std::fs::read(list).expect("no list of volumes")
}
