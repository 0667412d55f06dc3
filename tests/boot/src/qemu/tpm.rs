//! The TPM of a guest: swtpm, which QEMU talks to over a socket. Its state outlives a machine, as a real one's does.

use compliance::Program;
use compliance::program::Running;
use compliance::swtpm::STATE;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A TPM that machines have, one after the other.
pub struct Tpm {
    state: TempDir,
}

impl Default for Tpm {
    fn default() -> Tpm {
        Tpm::new()
    }
}

impl Tpm {
    /// A new one.
    pub fn new() -> Tpm {
        Tpm { state: tempfile::tempdir().expect("no temporary directory") }
    }

    /// One as another was left behind, such as by [`compliance::Swtpm::switched_off`]: whatever happens to it, the next one begins there too.
    pub fn with_state(left: &[u8]) -> Tpm {
        let tpm = Tpm::new();
        std::fs::write(tpm.state.path().join(STATE), left).expect("cannot write the state of a TPM");
        tpm
    }

    fn socket(&self) -> PathBuf {
        self.state.path().join("socket")
    }

    /// Switches it on; it ends with the machine that uses it.
    pub(crate) fn power(&self) -> Running {
        let _ = std::fs::remove_file(self.socket());
        let swtpm = Program::new("swtpm")
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", self.state.path().display()))
            .args(["--ctrl", &format!("type=unixio,path={}", self.socket().display())])
            .limit(super::BACKSTOP)
            .start();
        let start = Instant::now();
        while !self.socket().exists() {
            assert!(start.elapsed() < START_LIMIT, "swtpm does not come up");
            std::thread::sleep(super::GLANCE);
        }
        swtpm
    }

    /// What makes it a part of a machine.
    pub(crate) fn words(&self) -> [String; 6] {
        let socket = format!("socket,id=tpmline,path={}", self.socket().display());
        let words =
            ["-chardev", &socket, "-tpmdev", "emulator,id=tpm,chardev=tpmline", "-device", "tpm-tis,tpmdev=tpm"];
        words.map(str::to_owned)
    }
}
