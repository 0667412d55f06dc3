//! A name server of the tests, on an address of the loopback that is nobody else's.

use compliance::Program;
use compliance::program::Running;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

const START_LIMIT: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);
/// Of the networks of the loopback, the one that the first server of a process is in.
const FIRST_NET: u8 = 53;
/// Longer than any boot.
const BACKSTOP: Duration = Duration::from_secs(900);

/// Answers for the names it was given and refuses all others. Dropping it ends it.
pub struct Names {
    address: String,
    configuration: NamedTempFile,
    _served: Served,
}

/// Who has the port.
enum Served {
    ByOriginal { _server: Running },
    ByNobody { _socket: UdpSocket },
}

impl Names {
    /// Each name with its address.
    pub fn serve(names: &[(&str, &str)]) -> Names {
        let address = own_address();
        let known = names.iter().map(|(name, address)| format!("--address=/{name}/{address}"));
        let mut server = Program::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="])
            .args(["--bind-interfaces", "--port=53", "--user=root"])
            .arg(format!("--listen-address={address}"))
            .args(known)
            .limit(BACKSTOP)
            .start();
        wait(&mut server, &address);
        Names::at(address, Served::ByOriginal { _server: server })
    }

    /// Takes every question and answers none.
    pub fn silent() -> Names {
        let address = own_address();
        let socket = UdpSocket::bind((address.as_str(), 53)).expect("cannot listen for questions");
        Names::at(address, Served::ByNobody { _socket: socket })
    }

    fn at(address: String, served: Served) -> Names {
        let configuration = NamedTempFile::new().expect("no temporary file");
        std::fs::write(configuration.path(), format!("nameserver {address}\n")).expect("cannot write a temporary file");
        Names { address, configuration, _served: served }
    }

    /// A `resolv.conf` that names it.
    pub fn configuration(&self) -> &Path {
        self.configuration.path()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// QEMU asks at port 53 and nowhere else, so the address has to be one that no other test has.
fn own_address() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(FIRST_NET);
    let (net, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
    format!("127.{net}.{}.{}", process >> 8 & 0xff, (process & 0xff).clamp(1, 254))
}

/// Until somebody has its port.
fn wait(server: &mut Running, address: &str) {
    let start = Instant::now();
    while UdpSocket::bind((address, 53)).is_ok() {
        assert!(server.is_alive() && start.elapsed() < START_LIMIT, "no name server at {address}");
        std::thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ours_is_known_and_another_is_not() {
        let names = Names::serve(&[("keys.test", "10.0.2.2")]);
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let ask = |name: &[u8]| {
            let question = [b"\0\x07\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\0\x01\0\x01"].concat();
            socket.send_to(&question, (names.address(), 53)).unwrap();
            let mut answer = [0; 512];
            let size = socket.recv(&mut answer).unwrap();
            answer[..size].to_vec()
        };
        assert!(ask(b"\x04keys\x04test").ends_with(&[10, 0, 2, 2]));
        // The code of a refusal or of an unknown name, and no answer.
        let other = ask(b"\x05other\x04test");
        assert!(other[3] & 0xf != 0 && other[7] == 0, "{other:?}");
    }
}
