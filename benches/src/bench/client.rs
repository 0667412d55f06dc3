//! `cotter decrypt` and `clevis decrypt` of the same JWE, both at our server.

use super::multiplication::Multiplication;
use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost, ratio, time};
use compliance::{Curve, KeyDirectory, Maker, Server, need, program};
use std::fs;
use std::io::{Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const PLAINTEXT: &[u8] = b"a plaintext of a usual length, such as a passphrase of forty bytes";
/// The kernel shows the CPU time of children in hundredths of a second: enough runs make that exact.
const OUR_RUNS: u64 = 60;
const THEIR_RUNS: u64 = 5;
/// Unless someone has changed it, and then a write blocks a little earlier or later.
const PIPE_BYTES: usize = 65536;
/// Many times what a decryption takes.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

pub(crate) fn run() -> Vec<Asked> {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let scratch = tempfile::tempdir().unwrap();
    let jwe = scratch.path().join("jwe");
    fs::write(&jwe, Maker::Ours.encrypt("tang", &server.config(), PLAINTEXT)).unwrap();
    let [ours, theirs] = [program::cotter().to_owned(), need("clevis")];
    let bare = Multiplication::new();
    let samples = in_turn(&mut [&mut || bare.cost(), &mut || decryptions(&ours, &jwe, OUR_RUNS), &mut || {
        decryptions(&theirs, &jwe, THEIR_RUNS)
    }]);
    let medians: Vec<Cost> = samples.iter().map(|samples| median_cost(samples)).collect();
    let [bare, our_cost, their_cost] = medians.try_into().expect("three sides were measured");
    let [our_count, their_count] = [&ours, &theirs].map(|program| processes(program, &jwe, scratch.path()));
    let resident = peak_resident_mb(&ours, &jwe);

    let row = |name: &str, cost: Cost, processes: usize, resident: String| {
        vec![
            name.to_owned(),
            time(cost.cpu),
            ratio(cost.cpu / bare.cpu),
            time(cost.wall),
            processes.to_string(),
            resident,
        ]
    };
    let columns = ["client", "CPU", "in bare multiplications", "wall", "processes", "most resident"];
    let rows = [
        row("cotter decrypt", our_cost, our_count, format!("{resident:.1} MB")),
        row("clevis decrypt", their_cost, their_count, String::new()),
    ];
    println!("{}", markdown("Decrypting a tang JWE at our server", &columns, &rows));
    vec![
        Asked::new("wall of `cotter decrypt`, of clevis's", Limit::AtMost(1.0 / 20.0), our_cost.wall / their_cost.wall),
        Asked::new("CPU of `cotter decrypt`, in bare multiplications", Limit::AtMost(10.0), our_cost.cpu / bare.cpu),
        Asked::new("processes of `cotter decrypt`", Limit::AtMost(1.0), our_count as f64),
        Asked::new("MB resident in `cotter decrypt`", Limit::AtMost(10.0), resident),
    ]
}

/// The cost of one of `runs` decryptions, which are looked at only for their result.
pub(super) fn decryptions(program: &Path, jwe: &Path, runs: u64) -> Cost {
    let work = || {
        for _ in 0..runs {
            let output = decrypt(program, jwe).output().unwrap();
            assert_eq!(output.stdout, PLAINTEXT, "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    clock::of_children(work).shared(runs)
}

fn decrypt(program: &Path, jwe: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("decrypt").stdin(fs::File::open(jwe).unwrap());
    command
}

/// The first process and each that was made by a fork; threads are none.
fn processes(program: &Path, jwe: &Path, scratch: &Path) -> usize {
    let trace: PathBuf = scratch.join("trace");
    let mut command = Command::new(need("strace"));
    command.args(["-f", "-qq", "-e", "trace=fork,vfork,clone,clone3", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(program).arg("decrypt").stdin(fs::File::open(jwe).unwrap()).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    let calls = fs::read_to_string(trace).unwrap();
    let forks = calls.lines().filter(|call| !call.contains("CLONE_THREAD") && !call.contains("resumed>"));
    1 + forks.count()
}

/// The most that was resident at any time, read while the program waits with its answer: its standard output is a pipe
/// that is already full.
fn peak_resident_mb(program: &Path, jwe: &Path) -> f64 {
    let (mut reader, mut writer) = pipe().unwrap();
    writer.write_all(&[0; PIPE_BYTES]).unwrap();
    let mut child = decrypt(program, jwe).stdout(writer).spawn().unwrap();
    std::thread::sleep(LONG_ENOUGH);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).unwrap();
    assert!(child.wait().unwrap().success() && answer.ends_with(PLAINTEXT));
    kilobytes.expect("the program did not wait") * 1024.0 / 1e6
}
