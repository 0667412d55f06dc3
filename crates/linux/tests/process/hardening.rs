use crate::child::{again, part, said, say};
use linux::{KeyDirectory, allow_many_open_files, forbid_dumps};
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use std::os::unix::fs::PermissionsExt;

#[test]
fn nothing_is_dumped() {
    if part().is_some() {
        forbid_dumps().unwrap();
        let limit = getrlimit(Resource::Core);
        say(dumpable_behavior().unwrap() == DumpableBehavior::NotDumpable);
        say(format_args!("{:?} {:?}", limit.current, limit.maximum));
        return;
    }
    let output = again("harden", "ulimit -S -c unlimited 2>/dev/null").output().unwrap();
    assert_eq!(said(&output.stdout), ["true", "Some(0) Some(0)"]);
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    if part().is_some() {
        let maximum = allow_many_open_files().unwrap();
        say(maximum.is_some() && getrlimit(Resource::Nofile).current == maximum);
        return;
    }
    assert_eq!(said(&again("files", "ulimit -H -n 500; ulimit -S -n 100").output().unwrap().stdout), ["true"]);
}

#[test]
fn the_mode_of_a_key_file_does_not_depend_on_the_umask() {
    if part().is_some() {
        let folder = tempfile::tempdir().unwrap();
        KeyDirectory::open(folder.path()).unwrap().add("a.jwk", b"{}").unwrap();
        let mode = std::fs::metadata(folder.path().join("a.jwk")).unwrap().permissions().mode();
        return say(format_args!("{:o}", mode & 0o7777));
    }
    for mask in ["077", "000"] {
        assert_eq!(said(&again("add", &format!("umask {mask}")).output().unwrap().stdout), ["440"], "{mask}");
    }
}
