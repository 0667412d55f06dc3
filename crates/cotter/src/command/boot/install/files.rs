//! The files that a system gets: those of `integration`, by what makes its images and by its systemd.

use bootimage::{Framework, Init};

/// The first systemd that every unit in `integration/systemd` is for; those of `systemd-219` are for all before.
const FIRST_FOR_UNITS: u32 = 248;
/// Where units of an administrator's lie.
pub const UNITS: &str = "/etc/systemd/system";
/// dracut looks nowhere else.
const DRACUT: &str = "/usr/lib/dracut/modules.d/90cotter";

/// A file of ours on a system.
#[derive(Clone, Copy)]
pub struct Placed {
    whose: Whose,
    /// The directory that it goes to, and its name there.
    place: (&'static str, &'static str),
    /// Who may do what with it.
    pub mode: u32,
    /// What it says.
    pub content: &'static str,
    /// What lies in an image because of it: of that kind, at one of these paths.
    inside: Option<(Option<Init>, &'static [&'static str])>,
    /// Whether it comes last, after the images were made: it is called by what makes them.
    pub is_called_after: bool,
}

/// Which systems have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Framework(Framework),
    /// Those with a systemd that knows all of its words, and whether only for the key socket.
    Systemd {
        key_socket: bool,
    },
    /// Those with an older one.
    OldSystemd,
    /// Those with mkinitcpio, whose images take units from there.
    MkinitcpioUnit,
}

impl Placed {
    /// Its path on the system.
    pub fn path(&self) -> String {
        format!("{}/{}", self.place.0, self.place.1)
    }

    /// Where the links go that enable it, if it is a unit that is.
    pub fn enabled_by(&self) -> impl Iterator<Item = String> {
        let is_unit = self.place.0 == UNITS && self.whose != Whose::MkinitcpioUnit && !self.place.1.contains('@');
        let targets = self.content.lines().filter_map(|line| line.strip_prefix("WantedBy=")).filter(move |_| is_unit);
        targets.flat_map(|line| line.split(' ')).map(|target| format!("{UNITS}/{target}.wants/{}", self.place.1))
    }
}

macro_rules! placed {
    ($whose:expr, $($file:literal)+ => $directory:expr, $name:literal, $mode:literal) => {
        Placed {
            whose: $whose,
            place: ($directory, $name),
            mode: $mode,
            content: include_str!(concat!("../../../../../../integration/", $($file),+)),
            inside: None,
            is_called_after: false,
        }
    };
}

/// A script of initramfs-tools, which is in the image under the same name.
macro_rules! stage {
    ($stage:literal, $below:literal) => {
        Placed {
            inside: Some((None, &[concat!("scripts/", $stage, "/cotter")])),
            ..placed!(
                TOOLS,
                "initramfs-tools/scripts/" $stage => concat!($below, "/scripts/", $stage), "cotter", 0o755
            )
        }
    };
}

const TOOLS: Whose = Whose::Framework(Framework::InitramfsTools);
const OF_DRACUT: Whose = Whose::Framework(Framework::Dracut);
const ARCH: Whose = Whose::Framework(Framework::Mkinitcpio);
const NEW: Whose = Whose::Systemd { key_socket: false };
const SOCKET: Whose = Whose::Systemd { key_socket: true };
const OLD: Whose = Whose::OldSystemd;
/// In an image with systemd this starts the agent.
const STARTS: Option<(Option<Init>, &[&str])> = Some((
    Some(Init::Systemd),
    &["usr/lib/systemd/system/cotter-boot-initrd.service", "etc/systemd/system/cotter-boot-initrd.service"],
));
/// In one of dracut's without it, this maps; later versions have their hooks in `var`.
const MAPS: Option<(Option<Init>, &[&str])> = Some((
    Some(Init::Script),
    &["lib/dracut/hooks/initqueue/settled/00-cotter-map.sh", "var/lib/dracut/hooks/initqueue/settled/00-cotter-map.sh"],
));

const FILES: &[Placed] = &[
    placed!(TOOLS, "initramfs-tools/hook" => "/etc/initramfs-tools/hooks", "cotter", 0o755),
    stage!("init-top", "/etc/initramfs-tools"),
    stage!("local-top", "/usr/share/initramfs-tools"),
    stage!("local-block", "/usr/share/initramfs-tools"),
    stage!("init-bottom", "/etc/initramfs-tools"),
    stage!("panic", "/etc/initramfs-tools"),
    Placed {
        is_called_after: true,
        ..placed!(TOOLS, "initramfs-tools/zz-cotter-check" => "/etc/initramfs/post-update.d", "zz-cotter-check", 0o755)
    },
    placed!(OF_DRACUT, "dracut/module-setup.sh" => DRACUT, "module-setup.sh", 0o755),
    Placed { inside: MAPS, ..placed!(OF_DRACUT, "dracut/cotter-map.sh" => DRACUT, "cotter-map.sh", 0o755) },
    placed!(OF_DRACUT, "dracut/cotter-end.sh" => DRACUT, "cotter-end.sh", 0o755),
    placed!(OF_DRACUT, "dracut/cotter-emergency.sh" => DRACUT, "cotter-emergency.sh", 0o755),
    Placed {
        inside: STARTS,
        ..placed!(OF_DRACUT, "dracut/cotter-boot-initrd.service" => DRACUT, "cotter-boot-initrd.service", 0o644)
    },
    placed!(OF_DRACUT, "dracut/cotter-latch.service" => DRACUT, "cotter-latch.service", 0o644),
    Placed {
        is_called_after: true,
        ..placed!(OF_DRACUT, "initramfs-tools/zz-cotter-check" => "/etc/kernel/postinst.d", "zzz-cotter-check", 0o755)
    },
    placed!(ARCH, "mkinitcpio/install" => "/etc/initcpio/install", "cotter", 0o755),
    Placed {
        inside: Some((Some(Init::Script), &["hooks/cotter"])),
        ..placed!(ARCH, "mkinitcpio/hook" => "/etc/initcpio/hooks", "cotter", 0o644)
    },
    Placed {
        inside: STARTS,
        ..placed!(Whose::MkinitcpioUnit, "systemd/cotter-boot-initrd.service" => UNITS, "cotter-boot-initrd.service", 0o644)
    },
    placed!(NEW, "systemd/cotter-boot-agent.path" => UNITS, "cotter-boot-agent.path", 0o644),
    placed!(NEW, "systemd/cotter-boot-agent.service" => UNITS, "cotter-boot-agent.service", 0o644),
    placed!(NEW, "systemd/cotter-latch.service" => UNITS, "cotter-latch.service", 0o644),
    placed!(NEW, "systemd/cotter-unlock@.service" => UNITS, "cotter-unlock@.service", 0o644),
    placed!(SOCKET, "systemd/cotter-key.socket" => UNITS, "cotter-key.socket", 0o644),
    placed!(SOCKET, "systemd/cotter-key@.service" => UNITS, "cotter-key@.service", 0o644),
    placed!(OLD, "systemd-219/cotter-boot-agent.path" => UNITS, "cotter-boot-agent.path", 0o644),
    placed!(OLD, "systemd-219/cotter-boot-agent.service" => UNITS, "cotter-boot-agent.service", 0o644),
    placed!(OLD, "systemd-219/cotter-latch.service" => UNITS, "cotter-latch.service", 0o644),
    placed!(OLD, "systemd-219/cotter-unlock@.service" => UNITS, "cotter-unlock@.service", 0o644),
];

/// The files of a system whose images are made by this, with this systemd or none, and with the key socket or without.
pub fn of(framework: Framework, systemd: Option<u32>, key_socket: bool) -> impl Iterator<Item = &'static Placed> {
    let is_new = systemd.map(|version| version >= FIRST_FOR_UNITS);
    FILES.iter().filter(move |file| match file.whose {
        Whose::Framework(of) => of == framework,
        Whose::Systemd { key_socket: only } => is_new == Some(true) && (key_socket || !only),
        Whose::OldSystemd => is_new == Some(false),
        Whose::MkinitcpioUnit => framework == Framework::Mkinitcpio && systemd.is_some(),
    })
}

/// What lies in an image of this kind: at one of these paths, with this content.
pub fn inside(framework: Framework, init: Init) -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
    let files = FILES.iter().filter(move |file| match file.whose {
        Whose::Framework(of) => of == framework,
        Whose::MkinitcpioUnit => framework == Framework::Mkinitcpio,
        _ => false,
    });
    files.filter_map(move |file| {
        let (kind, paths) = file.inside?;
        kind.is_none_or(|kind| kind == init).then_some((paths, file.content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(framework: Framework, systemd: Option<u32>, key_socket: bool) -> Vec<String> {
        of(framework, systemd, key_socket).map(Placed::path).collect()
    }

    #[test]
    fn each_system_gets_its_own() {
        let count = |framework, systemd| names(framework, systemd, false).len();
        assert_eq!(
            [
                count(Framework::InitramfsTools, None),
                count(Framework::Dracut, None),
                count(Framework::Mkinitcpio, None)
            ],
            [7, 7, 2]
        );
        assert_eq!(count(Framework::Dracut, Some(252)), 11);
        let content = |version| {
            let units = of(Framework::Dracut, Some(version), true);
            units.filter(|file| file.place.1 == "cotter-unlock@.service").map(|file| file.content).collect::<Vec<_>>()
        };
        assert_eq!([content(219).len(), content(252).len()], [1, 1]);
        assert_ne!(content(219), content(252));
        assert!(
            names(Framework::Dracut, Some(252), true).contains(&"/etc/systemd/system/cotter-key.socket".to_owned())
        );
        assert!(!names(Framework::Dracut, Some(219), true).iter().any(|name| name.contains("key")));
    }

    #[test]
    fn units_are_enabled_as_they_ask_for() {
        let enabled: Vec<String> = of(Framework::Mkinitcpio, Some(252), false).flat_map(Placed::enabled_by).collect();
        let wants = |target: &str, unit: &str| format!("/etc/systemd/system/{target}.wants/{unit}");
        let latch = ["emergency.target", "rescue.target", "debug-shell.service", "dracut-emergency.service"];
        let expected = [("sysinit.target", "cotter-boot-agent.path")].into_iter();
        let expected = expected.chain(latch.map(|target| (target, "cotter-latch.service")));
        assert_eq!(enabled, expected.map(|(target, unit)| wants(target, unit)).collect::<Vec<_>>());
    }
}
