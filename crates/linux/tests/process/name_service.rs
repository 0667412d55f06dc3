use crate::child::{again, part, said, say};
use linux::use_own_name_service;
use std::net::ToSocketAddrs;
use std::process::Command;

/// On a host that is configured to look host names up with a plugin (one that comes with glibc, and finds nothing).
/// What was loaded is seen in the process's own map; without the call the plugin is there, so the test can fail.
#[test]
fn host_names_are_found_without_plugins() {
    if let Some(part) = part() {
        if part == "own" {
            use_own_name_service();
        }
        say(("localhost", 80).to_socket_addrs().unwrap().all(|address| address.ip().is_loopback()));
        say(std::fs::read_to_string("/proc/self/maps").unwrap().contains("libnss_hesiod"));
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let configuration = room.path().join("nsswitch.conf");
    std::fs::write(&configuration, "hosts: hesiod files\n").unwrap();
    let before = format!("mount --bind {} /etc/nsswitch.conf || exit", configuration.display());
    let run = |part| {
        let child = again(part, &before);
        let mut own_mounts = Command::new("unshare"); // of util-linux; as root, or where users may have namespaces
        own_mounts.args(["--map-root-user", "--mount"]).arg(child.get_program()).args(child.get_args());
        own_mounts.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = own_mounts.output().unwrap();
        let lines = said(&output.stdout);
        assert_eq!(lines.len(), 2, "{output:?}");
        lines
    };
    assert_eq!(run("own"), ["true", "false"]);
    assert_eq!(run("host's"), ["true", "true"]);
}
