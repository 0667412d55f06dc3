//! Two networks and the cables between them.

use clevis::{Cancel, Deadline};
use linux::deadline_after;
use linux::network::{Network, NetworkError, NetworkPlan, Places, bring_up};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// More than any of this takes on a busy machine.
pub(crate) const AMPLE: Duration = Duration::from_secs(40);

/// A machine with cards `eth0`, `eth1` …, each plugged into `p0`, `p1` … of the other side.
pub(crate) struct Site {
    machine: String,
    other: String,
    directory: TempDir,
    running: Vec<Child>,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) network: Result<Network, NetworkError>,
    pub(crate) took: Duration,
    events: Arc<Mutex<Vec<String>>>,
}

impl Outcome {
    /// What was told so far.
    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// Whether an event has this in it.
    pub(crate) fn told(&self, part: &str) -> bool {
        self.events().iter().any(|event| event.contains(part))
    }

    #[track_caller]
    pub(crate) fn up(self) -> (Network, Vec<String>) {
        let events = self.events();
        (self.network.unwrap_or_else(|error| panic!("{error}\n{}", events.join("\n"))), events)
    }

    #[track_caller]
    pub(crate) fn error(self) -> String {
        let events = self.events();
        match self.network {
            Ok(network) => panic!("it is up: {network:?}\n{}", events.join("\n")),
            Err(error) => error.to_string(),
        }
    }
}

impl Site {
    pub(crate) fn new(cards: usize) -> Site {
        assert!(rustix::process::geteuid().is_root(), "these tests make networks: run them as root");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("ct{}-{number}{side}", std::process::id());
        let site =
            Site { machine: name("m"), other: name("s"), directory: tempfile::tempdir().unwrap(), running: Vec::new() };
        for side in [&site.machine, &site.other] {
            succeed(tool("ip").args(["netns", "add", side]));
            succeed(tool("ip").args(["-n", side, "link", "set", "lo", "up"]));
        }
        for card in 0..cards {
            site.plug(card);
        }
        site.directory("run");
        site.directory("etc");
        site.directory("tmp");
        site
    }

    /// One more card, whose other end is on.
    pub(crate) fn plug(&self, card: usize) {
        let (near, far) = (format!("eth{card}"), format!("p{card}"));
        let pair =
            ["link", "add", &near, "netns", &self.machine, "type", "veth", "peer", "name", &far, "netns", &self.other];
        succeed(tool("ip").args(pair));
        self.there(&["ip", "link", "set", &far, "up"]);
    }

    /// A directory of this site.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Runs a command on the other side.
    #[track_caller]
    pub(crate) fn there(&self, words: &[&str]) -> String {
        succeed(tool("ip").args(["netns", "exec", &self.other]).args(words))
    }

    /// Runs a command on the machine.
    #[track_caller]
    pub(crate) fn here(&self, words: &[&str]) -> String {
        succeed(tool("ip").args(["netns", "exec", &self.machine]).args(words))
    }

    /// Starts a server on the other side, and waits until it says that it serves.
    pub(crate) fn serve(&mut self, program: &str, words: &[&str], ready: &str) {
        let path = found(program);
        let mut command = tool("ip");
        command.args(["netns", "exec", &self.other]).arg(path).args(words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        self.running.push(child);
        let mut said = Vec::new();
        for line in lines.by_ref().map(Result::unwrap) {
            said.push(line);
            if said.iter().any(|line| line.contains(ready)) {
                break;
            }
        }
        assert!(said.iter().any(|line| line.contains(ready)), "{program}: {said:?}");
        thread::spawn(move || lines.for_each(drop));
    }

    /// dnsmasq on `p{card}` with these options.
    pub(crate) fn dnsmasq(&mut self, card: usize, options: &[&str]) {
        let place = self.directory.path().join(format!("leases{card}"));
        let (interface, leases) = (format!("--interface=p{card}"), format!("--dhcp-leasefile={}", place.display()));
        let mut words =
            vec!["--keep-in-foreground", "--conf-file=/dev/null", "--no-ping", "--bind-interfaces", "--user=root"];
        words.extend(["--no-resolv", "--no-hosts", "--pid-file=", "--log-facility=-", "--except-interface=lo"]);
        words.extend([interface.as_str(), leases.as_str()]);
        words.extend(options);
        self.serve("dnsmasq", &words, "started");
    }

    /// An address on the other side, which duplicates nobody's.
    pub(crate) fn address(&self, card: usize, address: &str) {
        let nodad: &[&str] = if address.contains("::") { &["nodad"] } else { &[] };
        let far = format!("p{card}");
        self.there(&[&["ip", "address", "add", address, "dev", &far], nodad].concat());
    }

    /// What the command line says, with this site's directories in the place of the machine's.
    pub(crate) fn plan(&self, command_line: &str) -> NetworkPlan {
        let mut plan = NetworkPlan::of(command_line.as_bytes(), None).unwrap();
        plan.places = Places {
            run: self.directory("run"),
            etc: self.directory("etc"),
            tmp: self.directory("tmp"),
            proc: "/proc".into(),
            leave_net_conf: true,
            expects_udev: false,
        };
        plan
    }

    /// Brings the network of the machine up.
    pub(crate) fn bring_up(&self, plan: &NetworkPlan, limit: Duration) -> Outcome {
        self.bring_up_until(plan, deadline_after(limit), &Cancel::new())
    }

    pub(crate) fn bring_up_until(&self, plan: &NetworkPlan, until: Deadline, cancel: &Cancel) -> Outcome {
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&events);
        let start = Instant::now();
        let network = self.inside(|| {
            bring_up(plan, until, cancel, Box::new(move |event| sink.lock().unwrap().push(event.to_string())))
        });
        Outcome { network, took: start.elapsed(), events }
    }

    /// Does something in a thread that is in the network of the machine.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.machine, work)
    }

    /// The same on the other side.
    pub(crate) fn over_there<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.other, work)
    }
}

fn within<T: Send>(side: &str, work: impl FnOnce() -> T + Send) -> T {
    let network = File::open(Path::new("/run/netns").join(side)).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in &mut self.running {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for side in [&self.machine, &self.other] {
            // Nothing more can be done for it.
            let _ = tool("ip").args(["netns", "delete", side]).output();
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn soon(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < AMPLE, "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

fn found(program: &str) -> PathBuf {
    let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let path = search.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    path.unwrap_or_else(|| panic!("`{program}` is not installed; this provides it: cargo xtask setup"))
}

fn tool(program: &str) -> Command {
    Command::new(found(program))
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
