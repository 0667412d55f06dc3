//! What goes wrong while a machine starts: a volume opens all the same where that can be, and a person can open it where it cannot.

use boot::binding;
use boot::disk::{Layout, RootDisk};
use boot::means::{Means, NAME, STATIC, Way};
use boot::names::Names;
use boot::qemu::Tpm;
use boot::root::{Framework, Root};
use boot::system::{Boot, Frame, Network, System};
use compliance::disk::PASSPHRASE;
use compliance::quiet::BlackHole;
use compliance::server::Parrot;
use compliance::{Curve, KeyDirectory, Maker, Server};
use std::thread::sleep;
use std::time::Duration;

const BY_DHCP: &str = "net.ifnames=0 ip=::::guest:eth0:dhcp";
/// From a passphrase to the open volume, its derivation among it, on a machine that is busy with other things.
const AT_ONCE: Duration = Duration::from_secs(60);
/// Long enough for whatever would open a volume that may not be opened.
const IN_VAIN: Duration = Duration::from_secs(30);

/// Types the passphrase when it is asked for: the volume is open soon after, and the boot goes on.
#[track_caller]
fn a_person_opens(boot: &Boot) {
    boot.answer("root", PASSPHRASE);
    let open = boot.within("open root", AT_ONCE);
    assert!(open.is_some(), "the passphrase that was typed opens nothing");
    boot.until("switch-root");
}

/// A root that was bound once, and the original's server whose keys it is bound to.
struct Bound {
    root: Root,
    disk: RootDisk,
    keys: KeyDirectory,
    port: u16,
}

impl Bound {
    fn new(framework: Framework) -> (Bound, Server) {
        let (root, disk) = (Root::with_cotter(framework), RootDisk::new(Layout::Plain));
        let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
        let server = Server::start(Maker::Theirs, &keys);
        binding::to_server(&disk.luks, Maker::Ours, &server);
        (Bound { root, disk, keys, port: server.port() }, server)
    }

    fn start(&self, network: Network<'_>, words: &str, case: &str) -> Boot {
        let system = System::new(&self.root, &self.disk).network(network).words(words);
        system.settings("{}", &[&self.disk.luks]).start(&format!("{}-{case}", self.root.framework()))
    }
}

#[track_caller]
fn a_server_that_comes_late_is_waited_for(framework: Framework) {
    let (bound, server) = Bound::new(framework);
    drop(server);
    let boot = bound.start(Network::User, STATIC, "server-late");
    boot.until_said(&framework.prompt("root"));
    sleep(Duration::from_secs(60));
    let _server = Server::start_on(Maker::Theirs, &bound.keys, bound.port);
    boot.until("switch-root");
    let text = boot.end().text;
    assert!(text.contains("not yet: "), "{text}");
}

/// The network is as it is, and never leads to the server: one line says why, and a person opens.
#[track_caller]
fn a_person_opens_where(framework: Framework, network: Network<'_>, words: &str, case: &str, why: &[&str]) {
    let (bound, server) = Bound::new(framework);
    drop(server);
    let boot = bound.start(network, words, case);
    why.iter().for_each(|why| boot.until_said(why));
    a_person_opens(&boot);
    drop(boot.end());
}

#[test]
fn initramfs_tools_waits_for_a_server_that_is_late() {
    a_server_that_comes_late_is_waited_for(Framework::InitramfsTools);
}

#[test]
fn dracut_waits_for_a_server_that_is_late() {
    a_server_that_comes_late_is_waited_for(Framework::Dracut);
}

/// Nobody listens at the server's port.
#[track_caller]
pub(crate) fn a_person_opens_while_a_server_stays_away(framework: Framework) {
    a_person_opens_where(framework, Network::User, STATIC, "server-down", &["refused"]);
}

#[test]
fn in_dracut_a_person_opens_while_a_server_stays_away() {
    a_person_opens_while_a_server_stays_away(Framework::Dracut);
}

#[test]
fn a_person_opens_without_a_carrier() {
    a_person_opens_where(Framework::InitramfsTools, Network::NoCarrier, STATIC, "no-carrier", &["carrier"]);
}

#[test]
fn a_person_opens_without_dhcp() {
    a_person_opens_where(Framework::InitramfsTools, Network::Silent, BY_DHCP, "no-dhcp", &["no network after"]);
}

#[test]
fn a_person_opens_without_names() {
    let (bound, server) = Bound::new(Framework::InitramfsTools);
    let disk = RootDisk::new(Layout::Plain);
    binding::to_server_as(&disk.luks, Maker::Ours, &server, &format!("http://{NAME}:{}", bound.port));
    let bound = Bound { disk, ..bound };
    let names = Names::silent();
    let boot = bound.start(Network::UserWithNames(&names), STATIC, "no-names");
    boot.until_said(NAME);
    a_person_opens(&boot);
    drop(boot.end());
}

/// A server that answers everything with a page, as the portal of a hotel does.
#[test]
fn a_person_opens_behind_a_captive_portal() {
    let page = "<!DOCTYPE html><html><body>Please sign in</body></html>";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
    let portal = Parrot::start(format!("{head}{page}"));
    let (bound, server) = Bound::new(Framework::InitramfsTools);
    let disk = RootDisk::new(Layout::Plain);
    binding::to_server_as(&disk.luks, Maker::Ours, &server, &portal.url().replace("127.0.0.1", binding::HOST));
    let bound = Bound { disk, ..bound };
    let boot = bound.start(Network::User, BY_DHCP, "portal");
    boot.until_said("not yet: ");
    a_person_opens(&boot);
    drop(boot.end());
}

/// A certificate of our own authority counts from the time the image was made, and the key of a server has no dates.
#[test]
fn a_clock_at_1970_stops_neither_an_authority_nor_a_pin() {
    let (root, disk) = (Root::with_cotter(Framework::InitramfsTools), RootDisk::new(Layout::Plain));
    let data = boot::disk::DataDisk::new(boot::disk::Version::Two, 1);
    let (means, ways, volumes) = (Means::new(), [Way::Authority, Way::ServerKey], [&disk.luks, &data.luks]);
    volumes.iter().zip(ways).for_each(|(volume, way)| means.bind(volume, way));
    let system = means.system(System::new(&root, &disk).data(&data), &ways, &volumes);
    let boot = system.clock("1970-01-02").start("initramfs-tools-clock-1970");
    boot.until("switch-root");
    let seen = boot.end();
    ["open root", "open data1"].iter().for_each(|name| drop(seen.mark(name).clone()));
}

/// Bound to a TPM, started with another state of one.
#[track_caller]
fn a_person_opens_without_the_tpm(framework: Framework, config: &str, is: impl FnOnce(Vec<u8>) -> Tpm, case: &str) {
    let (root, disk) = (Root::with_cotter(framework), RootDisk::new(Layout::Plain));
    let tpm = is(binding::to_tpm(&disk.luks, Maker::Ours, config));
    let system = System::new(&root, &disk).tpm(&tpm).settings("{}", &[&disk.luks]);
    let boot = system.start(&format!("{framework}-{case}"));
    boot.until_said("stays closed: ");
    a_person_opens(&boot);
    drop(boot.end());
}

#[test]
fn a_person_opens_when_the_tpm_is_another() {
    a_person_opens_without_the_tpm(Framework::InitramfsTools, "{}", |_| Tpm::new(), "tpm-replaced");
}

#[test]
fn in_dracut_a_person_opens_when_the_tpm_is_another() {
    a_person_opens_without_the_tpm(Framework::Dracut, "{}", |_| Tpm::new(), "tpm-replaced");
}

/// Bound while PCR 7 was zero; the firmware of the guest has measured into it.
#[test]
fn a_person_opens_when_a_pcr_has_changed() {
    let config = r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#;
    a_person_opens_without_the_tpm(Framework::InitramfsTools, config, |left| Tpm::with_state(&left), "pcr-changed");
}

/// Somebody's own disk, with our UUID and a binding that opens it at the very server.
#[test]
fn another_disk_with_the_same_uuid_is_not_opened() {
    let (bound, server) = Bound::new(Framework::InitramfsTools);
    let foreign = RootDisk::new(Layout::Plain);
    binding::to_server(&foreign.luks, Maker::Ours, &server);
    let system = System::new(&bound.root, &foreign).network(Network::User).words(STATIC);
    let boot = system.settings("{}", &[&bound.disk.luks]).start("initramfs-tools-other-disk");
    boot.until_said("stays closed: ");
    assert_eq!(boot.within("open root", IN_VAIN), None);
    drop(boot.end());
}

/// The first server swallows every packet; the second one is asked within the limit of one try.
#[test]
fn a_server_that_swallows_packets_costs_one_try() {
    let (root, disk) = (Root::with_cotter(Framework::InitramfsTools), RootDisk::new(Layout::Plain));
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let (server, hole) = (Server::start(Maker::Theirs, &keys), BlackHole::start());
    binding::to_server_as(&disk.luks, Maker::Ours, &server, &hole.url().replace("127.0.0.1", binding::HOST));
    binding::to_server(&disk.luks, Maker::Ours, &server);
    let system = System::new(&root, &disk).network(Network::User).words(STATIC).settings("{}", &[&disk.luks]);
    let boot = system.start("initramfs-tools-black-hole");
    boot.until("switch-root");
    let seen = boot.end();
    let first = seen.until_frame(|frame| matches!(frame, Frame::Connects(_))).unwrap();
    let good = seen.until_frame(|frame| frame == Frame::Connects(server.port())).unwrap();
    // The limit of a try is 2 s, and whoever shares the machine takes some.
    assert!(good - first < 4.0, "asked after {first} s, and the second after {good} s");
}

#[test]
fn what_the_original_has_bound_opens_untouched() {
    let (bound, server) = Bound::new(Framework::InitramfsTools);
    let disk = RootDisk::new(Layout::Plain);
    binding::to_server(&disk.luks, Maker::Theirs, &server);
    let bound = Bound { disk, ..bound };
    let before = bound.disk.luks.bytes();
    let boot = bound.start(Network::User, STATIC, "original-binding");
    boot.until("switch-root");
    drop(boot.end());
    assert!(bound.disk.luks.bytes() == before);
}

/// With it the original of Debian 12 waits for an interface of that name, and never opens.
#[test]
fn a_plain_ip_dhcp_opens() {
    let (bound, _server) = Bound::new(Framework::InitramfsTools);
    let boot = bound.start(Network::User, "ip=dhcp", "plain-dhcp");
    boot.until("switch-root");
    drop(boot.end());
}

/// The name server comes with the lease, or from the settings; the original never opens either.
#[track_caller]
fn a_name_opens(words: &str, settings: &str, case: &str) {
    let (bound, server) = Bound::new(Framework::InitramfsTools);
    let disk = RootDisk::new(Layout::Plain);
    binding::to_server_as(&disk.luks, Maker::Ours, &server, &format!("http://{NAME}:{}", bound.port));
    let names = Names::serve(&[(NAME, binding::HOST)]);
    let system = System::new(&bound.root, &disk).network(Network::UserWithNames(&names)).words(words);
    let boot = system.settings(settings, &[&disk.luks]).start(&format!("initramfs-tools-{case}"));
    boot.until("switch-root");
    drop(boot.end());
}

#[test]
fn a_name_with_dhcp_opens() {
    a_name_opens(BY_DHCP, "{}", "name-dhcp");
}

#[test]
fn a_name_with_a_static_address_opens_by_a_name_server_of_the_settings() {
    let words = "net.ifnames=0 ip=10.0.2.15::10.0.2.2:255.255.255.0:guest:eth0:none";
    a_name_opens(words, r#"{"name_servers":["10.0.2.3"]}"#, "name-static");
}

/// With a word that leads to a shell nothing is given, and the latch is shut before the shell is there.
#[track_caller]
fn a_shell_gets_nothing(word: &str, case: &str) {
    let (bound, _server) = Bound::new(Framework::InitramfsTools);
    let boot = bound.start(Network::User, &format!("{STATIC} {word}"), case);
    boot.until_said("nothing is opened without a person");
    assert_eq!(boot.within("open root", IN_VAIN), None);
    drop(boot.end());
}

#[test]
fn with_init_nothing_is_given() {
    a_shell_gets_nothing("init=/bin/sh", "init");
}

/// The latch is PCR 15, which is zero until it is shut.
#[test]
fn at_a_break_the_latch_is_shut_before_the_shell() {
    let (root, disk) = (Root::with_cotter(Framework::InitramfsTools), RootDisk::new(Layout::Plain));
    let tpm = Tpm::with_state(&binding::to_tpm(&disk.luks, Maker::Ours, "{}"));
    let system = System::new(&root, &disk).tpm(&tpm).settings("{}", &[&disk.luks]);
    // A number behind `panic=` would take the shell away.
    let boot = system.words("break=premount panic=").start("initramfs-tools-break");
    boot.until_said("nothing is opened without a person");
    boot.until_said("(initramfs)");
    boot.type_line("echo latch is $(cat /sys/class/tpm/tpm0/pcr-sha256/15) at the ''end");
    boot.until_said(" at the end");
    let text = boot.end().text;
    let (_, told) = text.rsplit_once("latch is ").unwrap();
    let digest = told.split_whitespace().next().unwrap();
    assert!(digest.len() == 64 && digest.bytes().any(|byte| byte != b'0'), "{text}");
}
