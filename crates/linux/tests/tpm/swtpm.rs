//! swtpm on a UNIX socket, with a fresh state.

use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A TPM of its own; it ends with the test.
pub(crate) struct Swtpm {
    folder: TempDir,
    child: Child,
}

impl Swtpm {
    /// A TPM that has been started up.
    pub(crate) fn start() -> Swtpm {
        Swtpm::start_with("not-need-init,startup-clear")
    }

    /// With these flags of swtpm's.
    pub(crate) fn start_with(flags: &str) -> Swtpm {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(folder.path(), flags);
        Swtpm { folder, child }
    }

    /// Ends it without a shutdown, as a power cut does, and starts it again with the same state.
    pub(crate) fn power_cut(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_file(self.socket()).unwrap();
        std::fs::remove_file(self.file("socket.ctrl")).unwrap();
        self.child = spawn(self.folder.path(), "not-need-init,startup-clear");
    }

    /// Holds it where it stands: it takes connections and answers nothing.
    pub(crate) fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// One of tpm2-tools, with this TPM; its folder is where it works.
    pub(crate) fn tool(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(self.folder.path()).env("TPM2TOOLS_TCTI", self.place()).stdin(Stdio::null());
        let output =
            command.output().expect("this test needs tpm2-tools: apt-get install --no-install-recommends tpm2-tools");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file in the folder where the tools work.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The way to it, as `TPM2TOOLS_TCTI` has it.
    pub(crate) fn place(&self) -> String {
        format!("swtpm:path={}", self.socket().display())
    }
}

fn spawn(folder: &Path, flags: &str) -> Child {
    let socket = folder.join("socket");
    let child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--tpmstate"])
        .arg(format!("dir={}", folder.display()))
        .args(["--server", &format!("type=unixio,path={}", socket.display()), "--flags", flags])
        // tpm2-tools want it, and look for it there.
        .args(["--ctrl", &format!("type=unixio,path={}.ctrl", socket.display())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test needs swtpm: apt-get install --no-install-recommends swtpm");
    let start = Instant::now();
    // The socket is there before anybody listens.
    while UnixStream::connect(&socket).is_err() {
        assert!(start.elapsed() < Duration::from_secs(30), "swtpm does not come up");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
