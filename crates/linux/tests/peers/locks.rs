//! Our header locks and those of cryptsetup keep each other out.

use crate::tool::{said, succeed, tool};
use block::Bytes;
use linux::{Access, FileDisk, HeaderLock, LockError, LockMode};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than cryptsetup takes for what it does here, many times over.
const ENOUGH: Duration = Duration::from_secs(60);
/// How long cryptsetup is watched waiting.
const WATCHED: Duration = Duration::from_millis(500);
/// How long it is kept inside its lock.
const KEPT_INSIDE_US: u32 = 1_500_000;

/// Where a LUKS2 container is, and how to clean up.
struct Container {
    folder: tempfile::TempDir,
    path: PathBuf,
    looped: bool,
}

impl Container {
    fn in_file() -> Container {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("luks.img");
        FileDisk::create(&path, Bytes(20 << 20)).unwrap();
        std::fs::write(folder.path().join("key"), "passphrase").unwrap();
        let container = Container { folder, path, looped: false };
        let format = ["luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2"];
        let cheap = ["--pbkdf-force-iterations", "1000", "--key-file"];
        succeed(cryptsetup().args(format).args(cheap).arg(container.key()), [&container.path]);
        container
    }

    /// The same on a block device.
    fn on_device() -> Container {
        let mut container = Container::in_file();
        let device =
            succeed(&mut tool("losetup", "mount"), ["--find".as_ref(), "--show".as_ref(), container.path.as_os_str()]);
        container.path = PathBuf::from(device.trim());
        container.looped = true;
        container
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn disk(&self) -> FileDisk {
        FileDisk::open(&self.path, Access::Write).unwrap()
    }

    /// `cryptsetup luksAddKey`, which reads and then changes the header.
    fn add_key(&self, command: &mut Command) -> Child {
        let add = ["luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file"];
        let command = command.args(add).arg(self.key()).args([&self.path, &self.key()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.looped {
            succeed(&mut tool("losetup", "mount"), ["--detach".as_ref(), self.path.as_os_str()]);
        }
    }
}

fn cryptsetup() -> Command {
    tool("cryptsetup", "cryptsetup-bin")
}

/// cryptsetup that takes its time at its first `fsync`, which it calls while it holds the lock.
fn slow_cryptsetup(log: &Path) -> Command {
    let mut command = tool("strace", "strace");
    let delay = format!("inject=fsync:delay_enter={KEPT_INSIDE_US}:when=1");
    command.arg("-f").arg("-o").arg(log).args(["-e", "trace=fsync", "-e", &delay]);
    command.arg(cryptsetup().get_program());
    command
}

fn ends_well(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// Watches that `child` does not end.
fn waits(child: &mut Child) {
    let until = Instant::now() + WATCHED;
    while Instant::now() < until {
        assert!(child.try_wait().unwrap().is_none(), "cryptsetup went through our lock");
        sleep(Duration::from_millis(10));
    }
}

fn cryptsetup_waits_for_us(container: &Container) {
    let lock = HeaderLock::acquire(&container.disk(), LockMode::Exclusive, ENOUGH).unwrap();
    let mut reader = cryptsetup();
    let reader = reader.arg("luksDump").arg(&container.path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reader = reader.spawn().unwrap();
    let mut writer = container.add_key(&mut cryptsetup());
    waits(&mut reader);
    waits(&mut writer);
    drop(lock);
    ends_well(reader);
    ends_well(writer);

    // Readers go together; a writer still has to wait.
    let lock = HeaderLock::acquire(&container.disk(), LockMode::Shared, ENOUGH).unwrap();
    succeed(cryptsetup().arg("luksDump"), [&container.path]);
    let mut writer = container.add_key(&mut cryptsetup());
    waits(&mut writer);
    drop(lock);
    ends_well(writer);
}

fn we_wait_for_cryptsetup(container: &Container) {
    let disk = container.disk();
    let writer = container.add_key(&mut slow_cryptsetup(&container.folder.path().join("strace.log")));
    let until = Instant::now() + ENOUGH;
    // Its read locks come first and pass: only the write lock keeps a reader out.
    let refused = loop {
        match HeaderLock::acquire(&disk, LockMode::Shared, Duration::ZERO) {
            Err(error) => break error,
            Ok(lock) => drop(lock),
        }
        assert!(Instant::now() < until, "cryptsetup never took a lock that we see");
        sleep(Duration::from_millis(5));
    };
    let LockError::Held { holders, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(holders[0].command, "cryptsetup", "{refused}");
    drop(HeaderLock::acquire(&disk, LockMode::Exclusive, ENOUGH).unwrap());
    ends_well(writer);
}

#[test]
fn a_plain_file_is_locked_as_cryptsetup_does() {
    let container = Container::in_file();
    cryptsetup_waits_for_us(&container);
    we_wait_for_cryptsetup(&container);
}

/// Needs root, for a loop device.
#[test]
fn a_block_device_is_locked_as_cryptsetup_does() {
    let container = Container::on_device();
    assert!(container.disk().is_device());
    cryptsetup_waits_for_us(&container);
    we_wait_for_cryptsetup(&container);
    let number = container.path.to_str().unwrap().trim_start_matches("/dev/loop");
    assert!(!Path::new(&format!("/run/cryptsetup/L_7:{number}")).exists(), "the last one takes the lock file away");
}
