//! Whole boots of Debian: from power on to the root file system, by its own initramfs.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use boot::disk::{DataDisk, Layout, RootDisk, Version};
use boot::names::Names;
use boot::root::{Framework, Root};
use boot::system::{Frame, Network, Seen, System};
use compliance::disk::PASSPHRASE;

/// What every other boot stands on: the root, its marks, the console and the way to the root file system.
#[track_caller]
fn a_person_types(framework: Framework, layout: Layout) {
    let (root, disk) = (Root::plain(framework), RootDisk::new(layout));
    let boot = System::new(&root, &disk).start(&format!("{framework}-typed-{layout:?}"));
    boot.answer("root", "not the passphrase");
    // Asked again, so the wrong one was refused.
    boot.answer("root", PASSPHRASE);
    boot.until("switch-root");
    let seen = boot.end();
    let names: Vec<&str> = seen.marks.iter().map(|mark| mark.name.as_str()).collect();
    assert_eq!(names.first(), Some(&framework.first_mark()), "{names:?}");
    let at = |name: &str| names.iter().position(|mark| *mark == name).unwrap();
    assert!(at("open root") < at("switch-root"), "{names:?}");
}

/// Boots that `cargo xtask test` makes, too: a server and a TPM under either framework, and a person.
mod short {
    use boot::cover::{Layers, Row};
    use boot::means::Way::{Both, Dhcp, Static, Tpm};
    use boot::root::Framework::{Dracut, InitramfsTools};

    #[test]
    fn initramfs_tools_opens_by_a_server_and_by_a_tpm() {
        crate::matrix::cover::opens_by_itself(&Row {
            framework: InitramfsTools,
            layers: Layers::Root,
            ways: &[Static, Tpm],
        });
    }

    #[test]
    fn dracut_opens_by_a_server_and_with_a_tpm_beside_it() {
        crate::matrix::cover::opens_by_itself(&Row { framework: Dracut, layers: Layers::Root, ways: &[Both, Dhcp] });
    }

    #[test]
    fn a_person_opens_while_a_server_stays_away() {
        crate::matrix::failures::a_person_opens_while_a_server_stays_away(InitramfsTools);
    }
}

/// Boots that only `cargo xtask test boot` makes.
mod matrix {
    pub(crate) mod cover;
    pub(crate) mod failures;

    use super::*;

    #[test]
    fn initramfs_tools_opens_the_root_by_a_typed_passphrase() {
        a_person_types(Framework::InitramfsTools, Layout::Plain);
    }

    #[test]
    fn dracut_opens_the_root_by_a_typed_passphrase() {
        a_person_types(Framework::Dracut, Layout::Plain);
    }

    /// Each asks in its own way: one volume at a time, or once, because systemd tries an answer on the next volume too.
    #[track_caller]
    fn a_person_opens_all(framework: Framework) {
        let (root, disk) = (Root::plain(framework), RootDisk::new(Layout::Plain));
        let data = [DataDisk::new(Version::One, 1), DataDisk::new(Version::Two, 2)];
        let system = data.iter().fold(System::new(&root, &disk), |system, data| system.data(data));
        let boot = system.start(&format!("{framework}-typed-data"));
        boot.answer("root", PASSPHRASE);
        if framework == Framework::InitramfsTools {
            ["data1", "data2"].iter().for_each(|volume| boot.answer(volume, PASSPHRASE));
        }
        boot.until("switch-root");
        let seen = boot.end();
        ["open root", "open data1", "open data2"].iter().for_each(|name| drop(seen.mark(name).clone()));
    }

    #[test]
    fn initramfs_tools_opens_data_of_both_versions() {
        a_person_opens_all(Framework::InitramfsTools);
    }

    #[test]
    fn dracut_opens_data_of_both_versions() {
        a_person_opens_all(Framework::Dracut);
    }

    /// What the boots with a server stand on: DHCP, names of our own, and the frames as they are seen from outside.
    #[test]
    fn a_guest_has_dhcp_and_our_names() {
        let names = Names::serve(&[("keys.test", "10.9.8.7")]);
        let seen = probed("network-names", Network::UserWithNames(&names));
        for name in ["carrier 1", "address 10.0.2.15 10.0.2.3", "named"] {
            seen.mark(name);
        }
        let order: Vec<Frame> = seen.frames.iter().map(|(_, frame)| *frame).collect();
        let at = |frame| order.iter().position(|seen| *seen == frame).unwrap();
        assert!(at(Frame::DhcpAsked) < at(Frame::DhcpTold) && at(Frame::DhcpTold) < at(Frame::NameAsked), "{order:?}");
        // Without them the host's names are asked, which do not know it.
        let seen = probed("network-host", Network::User);
        seen.mark("address 10.0.2.15 10.0.2.3");
        assert!(seen.marks.iter().all(|mark| mark.name != "named"));
    }

    #[test]
    fn a_silent_wire_has_a_carrier_and_a_pulled_plug_has_none() {
        for (network, carrier) in [(Network::Silent, "carrier 1"), (Network::NoCarrier, "carrier 0")] {
            let seen = probed(&format!("network-{}", carrier.replace(' ', "-")), network);
            seen.mark(carrier);
            seen.mark("address none none");
        }
    }

    /// A boot that only looks at its network.
    #[track_caller]
    fn probed(case: &str, network: Network<'_>) -> Seen {
        let (root, disk) = (Root::plain(Framework::InitramfsTools), RootDisk::new(Layout::Plain));
        let system = System::new(&root, &disk).network(network).words("net.ifnames=0");
        let system = system.file("scripts/init-premount/ORDER", 0o644, "/scripts/init-premount/probe\n");
        let boot = system.file("scripts/init-premount/probe", 0o755, include_str!("probe.sh")).start(case);
        boot.until("end");
        boot.end()
    }

    #[test]
    fn initramfs_tools_opens_a_volume_under_lvm() {
        a_person_types(Framework::InitramfsTools, Layout::LvmOnLuks);
    }

    #[test]
    fn dracut_opens_a_volume_under_lvm() {
        a_person_types(Framework::Dracut, Layout::LvmOnLuks);
    }

    #[test]
    fn initramfs_tools_opens_a_volume_on_a_mirror() {
        a_person_types(Framework::InitramfsTools, Layout::LuksOnMd);
    }

    #[test]
    fn dracut_opens_a_volume_on_a_mirror() {
        a_person_types(Framework::Dracut, Layout::LuksOnMd);
    }
}
