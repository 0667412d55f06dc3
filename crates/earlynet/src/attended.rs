//! Words on the kernel's command line under which nothing is opened unattended: each lets somebody reach a shell, or lets a program of
//! their choice run, while the disk is open.
//!
//! What systemd 252 does with its own words was seen with its generators and `SYSTEMD_PROC_CMDLINE`.
//!
//! A word counts whoever would read it, the kernel, initramfs-tools, dracut or systemd, and whether or not it is meant for the early
//! system (`rd.`): the same disk stays open after the switch of the root. Which values a reader would in fact obey is not weighed:
//! `systemd.unit=multi-user.target` counts too, because the cost of asking a person is small beside that of a list with a hole.
//!
//! What no word can show: another initramfs, another kernel. Those are beaten by PCRs alone. systemd also reads the EFI variable
//! `SystemdOptions` as if it stood on the command line: whoever asks here adds it. And `root=` (with `boot=`, `nfsroot=`, `rd.luks.`) can
//! name another system than the one that is expected; only who knows the right value can judge that.

use crate::command_line::{TooLong, Word, every_word, shortened};
use std::fmt;

/// A word that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// The word as it stands on the command line, without quotes.
    pub word: String,
    /// What it does.
    pub effect: Effect,
}

/// What such a word does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Another program than the system's own takes over or gets in: `init=`, `rdinit=`, `systemd.run=`, `systemd.setenv=`.
    OtherProgram,
    /// The initramfs stops at a shell: `break`, `rd.break`, `rd.cmdline=ask`.
    Break,
    /// The system is started with few services and a shell: `single`, `emergency`, `rescue`, a runlevel.
    SingleUser,
    /// What systemd starts is chosen on the command line: `systemd.unit=`, `systemd.wants=`, `systemd.mask=`, or how much of the system is
    /// there: `systemd.volatile=`.
    OtherTarget,
    /// A shell without a password: `debug_shell`, `SYSTEMD_SULOGIN_FORCE`.
    OpenShell,
    /// A debugger of the kernel on a console: `kgdboc=`, `kgdbwait`.
    Debugger,
}

impl fmt::Display for Attended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::OtherProgram => "starts a program of its own",
            Effect::Break => "stops at a shell",
            Effect::SingleUser => "starts a system with a shell and little else",
            Effect::OtherTarget => "chooses what is started",
            Effect::OpenShell => "gives a shell without a password",
            Effect::Debugger => "gives a debugger of the kernel",
        };
        write!(f, "{:?} on the kernel command line {effect}: nothing is opened without a person", shortened(&self.word))
    }
}

/// The first word of that kind, if there is one. A command line that is too long to be read is an error, and counts as one.
pub fn attended(command_line: &[u8]) -> Result<Option<Attended>, TooLong> {
    let words = every_word(command_line)?;
    Ok(words.iter().find_map(|word| effect(word).map(|effect| Attended { word: word.text(), effect })))
}

fn effect(word: &Word) -> Option<Effect> {
    // systemd takes dashes and underscores for the same, and `rd.` for "in the initramfs alone".
    let key = word.key.replace('-', "_");
    let key = key.strip_prefix("rd.").unwrap_or(&key);
    let value = word.value.as_deref();
    match (key, value) {
        ("init" | "rdinit" | "systemd.run" | "systemd.run_success_action" | "systemd.run_failure_action", Some(_)) => {
            Some(Effect::OtherProgram)
        }
        ("break" | "rdbreak" | "rdshell", _) | ("cmdline", Some("ask")) => Some(Effect::Break),
        // Without a value only: `rd.emergency=reboot` is dracut's, and takes the shell away.
        ("single" | "s" | "S" | "emergency" | "rescue" | "recovery" | "_b" | "1" | "2" | "3" | "4" | "5", None) => {
            Some(Effect::SingleUser)
        }
        ("systemd.unit" | "systemd.wants" | "systemd.mask" | "systemd.confirm_spawn" | "systemd.volatile", _) => {
            Some(Effect::OtherTarget)
        }
        ("debug_shell" | "systemd.debug_shell" | "systemd.crash_shell" | "SYSTEMD_SULOGIN_FORCE", _) => {
            Some(Effect::OpenShell)
        }
        ("systemd.setenv", Some(value)) if value.contains("SYSTEMD_SULOGIN_FORCE") => Some(Effect::OpenShell),
        // `LD_PRELOAD` of a file on an unencrypted partition, for every service or, as a word that the kernel does not know, for init.
        ("systemd.setenv", _) => Some(Effect::OtherProgram),
        (key, Some(_)) if key.starts_with("LD_") => Some(Effect::OtherProgram),
        ("kgdboc" | "ekgdboc" | "kgdbwait" | "kgdbdbgp", _) => Some(Effect::Debugger),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, Effect)>) {
        let found = attended(line.as_bytes()).unwrap();
        assert_eq!(found.as_ref().map(|found| (found.word.as_str(), found.effect)), expected, "{line}");
    }

    #[test]
    fn each_word_is_found() {
        for (word, effect) in [
            ("init=/bin/sh", Effect::OtherProgram),
            ("rdinit=/bin/sh", Effect::OtherProgram),
            ("systemd.run=poweroff", Effect::OtherProgram),
            ("break", Effect::Break),
            ("break=premount", Effect::Break),
            ("rd.break", Effect::Break),
            ("rd.break=pre-pivot", Effect::Break),
            ("rdbreak", Effect::Break),
            ("rd.cmdline=ask", Effect::Break),
            ("single", Effect::SingleUser),
            ("S", Effect::SingleUser),
            ("1", Effect::SingleUser),
            ("-b", Effect::SingleUser),
            ("emergency", Effect::SingleUser),
            ("rd.emergency", Effect::SingleUser),
            ("rescue", Effect::SingleUser),
            ("recovery", Effect::SingleUser),
            ("systemd.unit=rescue.target", Effect::OtherTarget),
            ("rd.systemd.unit=emergency.target", Effect::OtherTarget),
            ("systemd.wants=debug-shell.service", Effect::OtherTarget),
            ("systemd.setenv=LD_PRELOAD=/boot/x.so", Effect::OtherProgram),
            ("LD_PRELOAD=/boot/x.so", Effect::OtherProgram),
            ("kgdboc=ttyS0", Effect::Debugger),
            ("kgdbwait", Effect::Debugger),
            ("systemd.mask=latch.service", Effect::OtherTarget),
            ("systemd.confirm_spawn", Effect::OtherTarget),
            ("systemd.volatile=yes", Effect::OtherTarget),
            ("systemd.crash_shell=1", Effect::OpenShell),
            ("systemd.debug_shell", Effect::OpenShell),
            ("systemd.debug-shell=1", Effect::OpenShell),
            ("rd.systemd.debug_shell=ttyS0", Effect::OpenShell),
            ("debug_shell", Effect::OpenShell),
            ("SYSTEMD_SULOGIN_FORCE=1", Effect::OpenShell),
            ("systemd.setenv=SYSTEMD_SULOGIN_FORCE=1", Effect::OpenShell),
        ] {
            check(&format!("root=/dev/sda1 ro {word} quiet"), Some((word, effect)));
            check(&format!("root=/dev/sda1 x=\"y {word} z\""), Some((word, effect)));
            check(&format!("root=/dev/sda1 quiet -- \"{word}\""), Some((word, effect)));
        }
    }

    #[test]
    fn an_ordinary_line_has_none() {
        for line in [
            "",
            "BOOT_IMAGE=/vmlinuz-6.1.0-18-amd64 root=/dev/mapper/vg-root ro quiet splash ip=dhcp console=ttyS0,115200",
            "systemd.unified_cgroup_hierarchy=0 systemd.log_level=debug rd.luks.uuid=1 rd.emergency=reboot rd.neednet=1 rd.shell=0 initrd=init init systemd.show_status=1 panic=5 single.user=1 breakfast=1",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn the_message_is_one_line_and_names_the_word() {
        let found = attended(b"init=/bin/\x1bsh").unwrap().unwrap().to_string();
        assert!(found.starts_with("\"init=/bin/\\u{1b}sh\" on the kernel command line"), "{found}");
        let long = attended(format!("init={}", "a".repeat(60_000)).as_bytes()).unwrap().unwrap().to_string();
        assert!(long.len() < 250 && long.contains("aaa\u{2026}\" on the"), "{long}");
        assert!(attended(&vec![b'a'; 70_000]).is_err());
    }
}
