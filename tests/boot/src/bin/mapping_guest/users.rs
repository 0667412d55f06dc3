//! A mapping that is in use: it is waited for, its users are named, and nothing is taken away from under them.

use crate::Check;
use crate::volume::{Volume, dmsetup, lock, lock_within, shell};
use compliance::Program;
use linux::dm::{Control, DmError, MappingName, Removed, User, WhileInUse};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const CHECKS: &[Check] = &[
    ("a mount keeps a mapping, and is named", mounted),
    ("a mount in another namespace keeps a mapping, and is named", mounted_elsewhere),
    ("a process keeps a mapping, and is named", opened),
    ("a mapping, a loop device and swap on top keep a mapping, and are named", on_top),
    ("a user that leaves in time is waited for and told of", waited_for),
    ("a deferred removal happens when the last user leaves", deferred),
];

/// Tries for a moment to remove `name`, and returns who is in the way.
fn in_the_way(name: &str) -> Vec<User> {
    match lock_within(name, Duration::from_millis(100), WhileInUse::Wait, &mut |_| ()) {
        Err(DmError::InUse { users, .. }) => users,
        other => panic!("{other:?}"),
    }
}

fn mounted(volume: &Volume) {
    volume.map("ours").unwrap();
    shell("mkdir -p '/run/a b'; mkfs.ext4 -q /dev/mapper/ours; mount /dev/mapper/ours '/run/a b'");
    assert_eq!(in_the_way("ours"), [User::Mount { point: "/run/a b".into(), seen_by: None }]);
    shell("umount '/run/a b'");
    lock("ours");
}

fn mounted_elsewhere(volume: &Volume) {
    volume.map("ours").unwrap();
    let inside = "mount /dev/mapper/ours /run/mnt; echo ready; read end; umount /run/mnt";
    shell("mkdir -p /run/mnt; mkfs.ext4 -q /dev/mapper/ours; rm -f /run/go; mkfifo /run/go");
    let mut holder = Program::new("unshare").args(["-m", "sh", "-ec", &format!("exec </run/go; {inside}")]).start();
    let go = std::fs::OpenOptions::new().write(true).open("/run/go").unwrap();
    let found = wait_for(|| match &users("ours")[..] {
        [User::Mount { point, seen_by: Some(_) }] => Some(point.clone()),
        _ => None,
    });
    assert_eq!(found, PathBuf::from("/run/mnt"));
    assert!(holder.is_alive());
    drop(go);
    holder.wait();
    lock("ours");
}

/// Who uses `name`, without touching it.
fn users(name: &str) -> Vec<User> {
    let device = Control::open().unwrap().find(&MappingName::new(name).unwrap()).unwrap().unwrap().device;
    linux::dm::users_of(device)
}

/// Looks until there is something to see.
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come to pass");
}

fn opened(volume: &Volume) {
    volume.map("ours").unwrap();
    let holder = Program::new("sh").args(["-c", "exec sleep 300 </dev/mapper/ours"]).start();
    let expected = User::Process { process: holder.pid(), command: "sleep".into() };
    wait_for(|| users("ours").contains(&expected).then_some(()));
    assert_eq!(in_the_way("ours"), [expected]);
    drop(holder);
    lock("ours");
}

fn on_top(volume: &Volume) {
    volume.map("ours").unwrap();
    shell("echo '0 8 linear /dev/mapper/ours 0' | dmsetup create upper");
    let mapping =
        |name: &str, mapping: Option<&str>| User::Device { name: name.into(), mapping: mapping.map(Into::into) };
    assert_eq!(in_the_way("ours"), [mapping("dm-1", Some("upper"))]);
    dmsetup(&["remove", "upper"]);
    shell("losetup /dev/loop3 /dev/mapper/ours");
    assert_eq!(in_the_way("ours"), [mapping("loop3", None)]);
    shell("losetup -d /dev/loop3; mkswap /dev/mapper/ours; swapon /dev/mapper/ours");
    assert_eq!(in_the_way("ours"), [User::Swap]);
    shell("swapoff /dev/mapper/ours");
    lock("ours");
}

fn waited_for(volume: &Volume) {
    volume.map("ours").unwrap();
    let holder =
        Program::new("sh").args(["-c", "exec sleep 300 </dev/mapper/ours"]).limit(Duration::from_secs(400)).start();
    let expected = User::Process { process: holder.pid(), command: "sleep".into() };
    wait_for(|| users("ours").contains(&expected).then_some(()));
    let (mut holder, mut told) = (Some(holder), Vec::new());
    let mut tell = |users: &[User]| {
        told.push(users.to_vec());
        drop(holder.take());
    };
    let removed = lock_within("ours", Duration::from_secs(60), WhileInUse::Wait, &mut tell).unwrap();
    assert_eq!((removed, told), (Removed::Now, vec![vec![expected]]));
}

fn deferred(volume: &Volume) {
    volume.map("ours").unwrap();
    let defer = || lock_within("ours", Duration::from_secs(5), WhileInUse::Defer, &mut |_| ()).unwrap();
    assert_eq!(defer(), Removed::Now, "nobody uses it");
    volume.map("ours").unwrap();
    let held = std::fs::File::open("/dev/mapper/ours").unwrap();
    assert_eq!(defer(), Removed::Later);
    let name = MappingName::new("ours").unwrap();
    assert!(Control::open().unwrap().find(&name).unwrap().unwrap().deferred);
    drop(held);
    wait_for(|| Control::open().unwrap().find(&name).unwrap().is_none().then_some(()));
    // Nobody was there any more to take its name away; the next one does.
    volume.map("ours").unwrap();
    lock("ours");
    assert!(!std::path::Path::new("/dev/mapper/ours").exists());
}
