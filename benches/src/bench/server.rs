//! `cotter serve` and Debian's `tangd` under the same load, with the same keys.

use super::multiplication::Multiplication;
use crate::clock::{self, Cost};
use crate::load::{self, Connections, Request};
use crate::table::{Asked, Limit, in_turn, markdown, median, median_cost, ratio, time};
use compliance::server::{free_port, wait_for};
use compliance::{Curve, KeyDirectory, Maker, Program, Running, Server};
use std::time::Duration;

/// After a load, until the last children of `tangd` have been waited for and count.
const SETTLING: Duration = Duration::from_millis(300);

/// What one round of load showed.
struct Sample {
    cost: Cost,
    per_second: f64,
    answer: f64,
}

/// One line of the comparison.
struct Case {
    name: &'static str,
    clients: usize,
    connections: Connections,
    request: Request,
}

/// The medians of one side of a case.
struct Medians {
    cpu: f64,
    per_second: f64,
    answer: f64,
}

pub(crate) fn run() -> Vec<Asked> {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let ours = Server::start(Maker::Ours, &keys);
    let theirs = Tangd::start(&keys);
    let our_pid = ours.pid().expect("our server is one process");
    let bare = Multiplication::new();
    let mut measured = Vec::new();
    let mut rows = Vec::new();
    for case in cases(&ours) {
        eprintln!("  {}", case.name);
        let mut bare_costs = Vec::new();
        let samples = in_turn(&mut [
            &mut || {
                bare_costs.push(bare.cost());
                sample(our_pid, ours.port(), &case)
            },
            &mut || sample(theirs.pid(), theirs.port, &case),
        ]);
        let bare = median_cost(&bare_costs);
        let [ours, theirs] = [0, 1].map(|side| medians(samples.get(side).map_or(&[], Vec::as_slice)));
        rows.push(row(case.name, "cotter serve", &ours, bare));
        rows.push(row(case.name, "tangd", &theirs, bare));
        measured.push((ours, theirs, bare));
    }
    let columns = ["load", "server", "CPU per request", "in bare multiplications", "requests/s", "median answer"];
    println!("{}", markdown("Key server", &columns, &rows));
    asked(&measured)
}

fn cases(server: &Server) -> Vec<Case> {
    let recovery = || Request { method: "POST", path: recovery_path(server), body: random_point() };
    let advertisement = || Request { method: "GET", path: "/adv".into(), body: Vec::new() };
    let case = |name, clients, connections, request| Case { name, clients, connections, request };
    vec![
        case("recovery, 1 connection kept", 1, Connections::Kept, recovery()),
        case("recovery, 8 connections kept", 8, Connections::Kept, recovery()),
        case("recovery, 64 connections kept", 64, Connections::Kept, recovery()),
        case("recovery, 8 at a time, each closed", 8, Connections::Closed, recovery()),
        case("advertisement, 8 at a time, each closed", 8, Connections::Closed, advertisement()),
    ]
}

fn sample(pid: u32, port: u16, case: &Case) -> Sample {
    let before = clock::of_process(pid);
    let answered = load::run(port, case.clients, case.connections, &case.request);
    std::thread::sleep(SETTLING);
    let cpu = clock::of_process(pid) - before;
    Sample {
        cost: Cost { cpu, wall: answered.seconds }.shared(answered.count),
        per_second: answered.count as f64 / answered.seconds,
        answer: answered.median_answer,
    }
}

fn medians(samples: &[Sample]) -> Medians {
    Medians {
        cpu: median(samples.iter().map(|sample| sample.cost.cpu)),
        per_second: median(samples.iter().map(|sample| sample.per_second)),
        answer: median(samples.iter().map(|sample| sample.answer)),
    }
}

fn row(load: &str, server: &str, medians: &Medians, bare: Cost) -> Vec<String> {
    let per_second = format!("{:.0}", medians.per_second);
    let in_bare = ratio(medians.cpu / bare.cpu);
    vec![load.into(), server.into(), time(medians.cpu), in_bare, per_second, time(medians.answer)]
}

fn asked(measured: &[(Medians, Medians, Cost)]) -> Vec<Asked> {
    let [one, eight, many, closed, advertisement] = measured else { return Vec::new() };
    let in_bare = |(ours, _, bare): &(Medians, Medians, Cost)| ours.cpu / bare.cpu;
    let of_theirs = |(ours, theirs, _): &(Medians, Medians, Cost)| ours.cpu / theirs.cpu;
    let kept = "server CPU of a recovery, in bare multiplications";
    vec![
        Asked::new(format!("{kept}, 1 connection kept"), Limit::AtMost(1.3), in_bare(one)),
        Asked::new(format!("{kept}, 8 connections kept"), Limit::AtMost(1.3), in_bare(eight)),
        Asked::new(format!("{kept}, 64 connections kept"), Limit::Reported, in_bare(many)),
        Asked::new(
            "recoveries per second of tangd's, 8 closing connections",
            Limit::AtLeast(10.0),
            closed.0.per_second / closed.1.per_second,
        ),
        Asked::new(
            "server CPU of a recovery, of tangd's, 8 closing connections",
            Limit::AtMost(0.1),
            of_theirs(closed),
        ),
        Asked::new("server CPU of an advertisement, of tangd's", Limit::AtMost(1.0 / 40.0), of_theirs(advertisement)),
        Asked::new(
            // Against its CPU time, which nothing else on the machine can lengthen.
            "median answer on one connection, in bare multiplications",
            Limit::AtMost(2.0),
            one.0.answer / one.2.cpu,
        ),
    ]
}

/// The path of the exchange key that the server advertises.
fn recovery_path(server: &Server) -> String {
    let advertisement: serde_json::Value = serde_json::from_slice(&server.fetch("/adv")).unwrap();
    let payload = advertisement.get("payload").and_then(|payload| payload.as_str()).expect("an advertisement is a JWS");
    let keys = Program::new("jose").args(["b64", "dec", "-i-"]).input(payload).succeed().stdout;
    let exchange =
        Program::new("jose").args(["jwk", "use", "-i-", "-r", "-u", "deriveKey", "-o-"]).input(keys).succeed();
    let thumbprint = Program::new("jose").args(["jwk", "thp", "-a", "S256", "-i-"]).input(exchange.stdout).succeed();
    format!("/rec/{}", thumbprint.text())
}

/// What a client sends: the public half of a key that nobody keeps.
fn random_point() -> Vec<u8> {
    let key = Program::new("jose").args(["jwk", "gen", "-i", r#"{"alg":"ECMR"}"#]).succeed().stdout;
    Program::new("jose").args(["jwk", "pub", "-i-"]).input(key).succeed().stdout
}

/// The original as its systemd units run it: a process for each connection, waited for by the one that listens.
struct Tangd {
    running: Option<Running>,
    port: u16,
}

impl Tangd {
    fn start(keys: &KeyDirectory) -> Tangd {
        let port = free_port();
        let program =
            Program::new("systemd-socket-activate").args(["--inetd", "-a", "-l", &format!("127.0.0.1:{port}")]);
        let program = program.arg(compliance::need("tangd")).arg(keys.path()).limit(Duration::from_secs(3600));
        let running = program.start();
        wait_for(port);
        Tangd { running: Some(running), port }
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, Running::pid)
    }
}

impl Drop for Tangd {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.interrupt();
            running.wait();
        }
    }
}
