//! What a tang binding says, and what it holds: `luks list`, `luks dump` and `luks pass` beside clevis.
//!
//! Clevis has no `dump`: who wants to know what a bound volume is asks `clevis luks list`, and `cryptsetup luksDump`
//! for the rest. The limit of `dump` is therefore of the first, and the second stands beside it.

use crate::sides::{self, Side};
use crate::table::{Asked, Limit, markdown};
use compliance::{Curve, Disk, KeyDirectory, Maker, Server, Version, need, program};
use std::path::Path;
use std::process::Command;

const OUR_RUNS: u64 = 40;
const THEIR_RUNS: u64 = 3;

pub(crate) fn run() -> Vec<Asked> {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    Version::BOTH.into_iter().flat_map(|version| one(version, &server)).collect()
}

fn one(version: Version, server: &Server) -> Vec<Asked> {
    eprintln!(" {version}");
    let disk = Disk::of(Maker::Theirs, version);
    disk.bind(Maker::Theirs, "tang", &server.config());
    assert_eq!(disk.pass(Maker::Ours, "1"), disk.pass(Maker::Theirs, "1"));

    let path = disk.path();
    let [our_list, our_dump, our_pass, list, pass, dump] = sides::measure([
        ours("cotter luks list", &["luks", "list", "-d"], &path, &[]),
        ours("cotter luks dump", &["luks", "dump", "-d"], &path, &[]),
        ours("cotter luks pass", &["luks", "pass", "-d"], &path, &["-s", "1"]),
        theirs("clevis luks list", "clevis", &["luks", "list", "-d"], &path, &[]),
        theirs("clevis luks pass", "clevis", &["luks", "pass", "-d"], &path, &["-s", "1"]),
        theirs("cryptsetup luksDump", "cryptsetup", &["luksDump"], &path, &[]),
    ]);
    let rows = [
        sides::row("cotter luks list", our_list, list),
        sides::row("cotter luks dump", our_dump, list),
        sides::row("clevis luks list", list, list),
        sides::row("cryptsetup luksDump", dump, list),
        sides::row("cotter luks pass", our_pass, pass),
        sides::row("clevis luks pass", pass, pass),
    ];
    let heading = format!("A tang binding on {version}");
    println!("{}", markdown(&heading, &sides::columns("of clevis's"), &rows));
    let mut asked = Vec::new();
    for (what, ours, theirs) in [
        ("`luks list`, of clevis's", our_list, list),
        ("`luks dump`, of `clevis luks list`", our_dump, list),
        ("`luks pass`, of clevis's", our_pass, pass),
    ] {
        let most = Limit::AtMost(1.0 / 20.0);
        asked.push(Asked::new(format!("CPU of {what}, {version}"), most, ours.cpu / theirs.cpu));
        asked.push(Asked::new(format!("wall of {what}, {version}"), most, ours.wall / theirs.wall));
    }
    let what = format!("CPU of `luks dump`, of `cryptsetup luksDump`, {version}");
    asked.push(Asked::new(what, Limit::Reported, our_dump.cpu / dump.cpu));
    asked
}

fn ours(name: &'static str, words: &[&str], disk: &Path, more: &[&str]) -> Side {
    let mut command = Command::new(program::cotter());
    command.args(words).arg(disk).args(more);
    Side { name, command, runs: OUR_RUNS }
}

fn theirs(name: &'static str, program: &str, words: &[&str], disk: &Path, more: &[&str]) -> Side {
    let mut command = Command::new(need(program));
    // `cryptsetup` is in /sbin, and clevis calls it by name.
    command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin");
    command.args(words).arg(disk).args(more);
    Side { name, command, runs: THEIR_RUNS }
}
