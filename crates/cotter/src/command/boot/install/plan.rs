//! What installing does, as a list of steps: a value that is printed, compared in a test, and carried out.

use super::files;
use super::state::{Kept, State};
use crate::command::boot::system::System;
use crate::error::CommandError;
use std::fmt;

/// Settings and lists are for who starts the machine.
const SETTINGS_MODE: u32 = 0o644;
/// New directories.
pub const DIRECTORY_MODE: u32 = 0o755;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A directory is made.
    Directory {
        /// Its path in the system.
        path: String,
    },
    /// A file is written.
    Write {
        /// Its path in the system.
        path: String,
        /// What was there.
        before: State,
        /// What is there then: a file, or the link that enables a unit.
        after: State,
    },
    /// The directory of a mount is made immutable.
    Guard {
        /// Its path in the system.
        path: String,
    },
    /// A program of the system is run.
    Run {
        /// The program and its arguments.
        words: Vec<String>,
        /// Whether it makes images, those of before are kept until all is done.
        makes_images: bool,
    },
}

/// What a system is to have.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Contents of files by their paths, which are in the images: settings, the list, crypttab.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Directories under mounts, to be made immutable.
    pub guards: Vec<String>,
    /// Whether the key socket is used.
    pub key_socket: bool,
    /// Whether an image lacks something that the system has.
    pub images_are_stale: bool,
    /// Whether a systemd runs that has to be told of units.
    pub systemd_runs: bool,
}

/// What is there now: the state of a path, and whether a directory exists.
pub trait Present {
    /// The state of a path.
    fn state(&self, path: &str) -> Result<State, CommandError>;
    /// Whether there is such a directory.
    fn has_directory(&self, path: &str) -> bool;
}

/// The steps that are still to be done: none if all is as it should be.
pub fn plan(system: &System, wishes: Wishes, present: &dyn Present) -> Result<Vec<Step>, CommandError> {
    let mut plan = Planned { steps: Vec::new(), present };
    let mut changed = wishes.images_are_stale;
    for (path, content) in &wishes.files {
        changed |= plan.settings(path, content)?;
    }
    let files = || files::of(system.framework, system.systemd, wishes.key_socket);
    let mut units_changed = false;
    for file in files().filter(|file| !file.is_called_after) {
        let path = file.path();
        let written = plan.write(&path, State::File(Kept::of_root(file.mode, file.content)))?;
        let is_unit = path.starts_with(files::UNITS);
        changed |= written && !is_unit;
        units_changed |= written && is_unit;
        for link in file.enabled_by() {
            units_changed |= plan.write(&link, State::Link(path.clone().into()))?;
        }
    }
    plan.steps.extend(wishes.guards.into_iter().map(|path| Step::Guard { path }));
    if units_changed && wishes.systemd_runs {
        let words = ["systemctl", "daemon-reload"].map(str::to_owned).to_vec();
        plan.steps.push(Step::Run { words, makes_images: false });
    }
    if changed {
        plan.steps.extend(system.rebuild().into_iter().map(|words| Step::Run { words, makes_images: true }));
    }
    for file in files().filter(|file| file.is_called_after) {
        plan.write(&file.path(), State::File(Kept::of_root(file.mode, file.content)))?;
    }
    Ok(plan.steps)
}

struct Planned<'a> {
    steps: Vec<Step>,
    present: &'a dyn Present,
}

impl Planned<'_> {
    /// A file of the system's own: who and what may read one that was there is its owner's affair.
    fn settings(&mut self, path: &str, content: &[u8]) -> Result<bool, CommandError> {
        let after = match self.present.state(path)? {
            State::File(file) => Kept { content: content.to_vec(), ..file },
            _ => Kept::of_root(SETTINGS_MODE, content),
        };
        self.write(path, State::File(after))
    }

    /// Tells whether that is a change.
    fn write(&mut self, path: &str, after: State) -> Result<bool, CommandError> {
        let before = self.present.state(path)?;
        if before == after {
            return Ok(false);
        }
        directories(path, self.present, &mut self.steps);
        self.steps.push(Step::Write { path: path.to_owned(), before, after });
        Ok(true)
    }
}

/// The directories on the way that there are not, each once.
fn directories(path: &str, present: &dyn Present, steps: &mut Vec<Step>) {
    let parents = path.match_indices('/').skip(1).filter_map(|(at, _)| path.get(..at));
    for parent in parents {
        let planned = |step: &Step| matches!(step, Step::Directory { path } if path == parent);
        if !present.has_directory(parent) && !steps.iter().any(planned) {
            steps.push(Step::Directory { path: parent.to_owned() });
        }
    }
}

impl Step {
    /// How it is taken back.
    pub fn taken_back(&self) -> &'static str {
        match self {
            Step::Directory { .. } | Step::Write { before: State::Absent, .. } => "removed again",
            Step::Write { .. } => "put back as it was, to the last byte",
            Step::Guard { .. } => "made writable again",
            Step::Run { makes_images: true, .. } => "the images of before are kept, and put back",
            Step::Run { .. } => "run again",
        }
    }
}

/// What it does, with the lines that a text changes in.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Directory { path } => write!(f, "make the directory {path}"),
            Step::Write { path, after: State::Link(to), .. } => write!(f, "link {path} to {}", to.display()),
            Step::Write { path, after: State::Absent, .. } => write!(f, "remove {path}"),
            Step::Write { path, before: State::File(before), after: State::File(after) } => {
                write!(f, "change {path}")?;
                if before.mode != after.mode {
                    write!(f, ", mode {:o} becomes {:o}", before.mode, after.mode)?;
                }
                differences(f, &before.content, &after.content)
            }
            Step::Write { path, after: State::File(after), .. } => {
                write!(f, "write {path}, mode {:o}, {} bytes", after.mode, after.content.len())
            }
            Step::Guard { path } => {
                write!(
                    f,
                    "make the directory under the mount {path} immutable: nobody writes there while its volume is closed"
                )
            }
            Step::Run { words, .. } => write!(f, "run {}", words.join(" ")),
        }
    }
}

/// The lines that go, and those that come.
fn differences(f: &mut fmt::Formatter<'_>, before: &[u8], after: &[u8]) -> fmt::Result {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    for (sign, lines, others) in [('-', &old, &new), ('+', &new, &old)] {
        for line in lines.iter().filter(|line| !others.contains(line)) {
            write!(f, "\n    {sign} {}", crate::error::visible(&line.replace('\t', " ")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::boot::system::Kernel;
    use bootimage::Framework;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Tree(BTreeMap<String, State>);

    impl Present for Tree {
        fn state(&self, path: &str) -> Result<State, CommandError> {
            Ok(self.0.get(path).cloned().unwrap_or(State::Absent))
        }

        fn has_directory(&self, path: &str) -> bool {
            let below = format!("{path}/");
            ["/etc", "/usr", "/usr/share", "/etc/systemd", "/etc/systemd/system"].contains(&path)
                || self.0.keys().any(|file| file.starts_with(&below))
        }
    }

    fn system(framework: Framework) -> System {
        let image = Some("/boot/initrd.img-6.1".to_owned());
        System { framework, systemd: Some(252), kernels: vec![Kernel { version: "6.1".into(), image }] }
    }

    fn wishes() -> Wishes {
        let crypttab = b"root UUID=1 none luks,initramfs\ndata UUID=2 none\n".to_vec();
        let files = vec![("/etc/cotter/boot.json", b"{\"mode\":\"map\"}\n".to_vec()), ("/etc/crypttab", crypttab)];
        Wishes { files, guards: vec!["/srv/data".into()], ..Wishes::default() }
    }

    fn tree() -> Tree {
        let file = |mode, content: &[u8]| State::File(Kept::of_root(mode, content));
        let mut tree = Tree::default();
        tree.0.insert("/etc/crypttab".into(), file(0o600, b"root UUID=1 none luks\ndata UUID=2 none\n"));
        for path in [
            "/etc/initramfs-tools/hooks/x",
            "/etc/initramfs-tools/scripts/panic/x",
            "/usr/share/initramfs-tools/scripts/local-top/x",
        ] {
            tree.0.insert(path.into(), file(0o755, b""));
        }
        tree
    }

    /// A tree in which the steps are done.
    fn done(mut tree: Tree, steps: &[Step]) -> Tree {
        for step in steps {
            if let Step::Write { path, after, .. } = step {
                tree.0.insert(path.clone(), after.clone());
            }
        }
        tree
    }

    const GOLDEN: &str = "\
make the directory /etc/cotter
write /etc/cotter/boot.json, mode 644, 15 bytes
change /etc/crypttab
    - root UUID=1 none luks
    + root UUID=1 none luks,initramfs
write /etc/initramfs-tools/hooks/cotter, mode 755, N bytes
make the directory /etc/initramfs-tools/scripts/init-top
write /etc/initramfs-tools/scripts/init-top/cotter, mode 755, N bytes
write /usr/share/initramfs-tools/scripts/local-top/cotter, mode 755, N bytes
make the directory /usr/share/initramfs-tools/scripts/local-block
write /usr/share/initramfs-tools/scripts/local-block/cotter, mode 755, N bytes
make the directory /etc/initramfs-tools/scripts/init-bottom
write /etc/initramfs-tools/scripts/init-bottom/cotter, mode 755, N bytes
write /etc/initramfs-tools/scripts/panic/cotter, mode 755, N bytes
write /etc/systemd/system/cotter-boot-agent.path, mode 644, N bytes
make the directory /etc/systemd/system/sysinit.target.wants
link /etc/systemd/system/sysinit.target.wants/cotter-boot-agent.path to /etc/systemd/system/cotter-boot-agent.path
write /etc/systemd/system/cotter-boot-agent.service, mode 644, N bytes
write /etc/systemd/system/cotter-latch.service, mode 644, N bytes
make the directory /etc/systemd/system/emergency.target.wants
link /etc/systemd/system/emergency.target.wants/cotter-latch.service to /etc/systemd/system/cotter-latch.service
make the directory /etc/systemd/system/rescue.target.wants
link /etc/systemd/system/rescue.target.wants/cotter-latch.service to /etc/systemd/system/cotter-latch.service
make the directory /etc/systemd/system/debug-shell.service.wants
link /etc/systemd/system/debug-shell.service.wants/cotter-latch.service to /etc/systemd/system/cotter-latch.service
make the directory /etc/systemd/system/dracut-emergency.service.wants
link /etc/systemd/system/dracut-emergency.service.wants/cotter-latch.service to /etc/systemd/system/cotter-latch.service
write /etc/systemd/system/cotter-unlock@.service, mode 644, N bytes
make the directory under the mount /srv/data immutable: nobody writes there while its volume is closed
run systemctl daemon-reload
run update-initramfs -u -k all
make the directory /etc/initramfs
make the directory /etc/initramfs/post-update.d
write /etc/initramfs/post-update.d/zz-cotter-check, mode 755, N bytes
";

    #[test]
    fn a_plan_is_what_is_still_to_be_done() {
        let wishes = || Wishes { systemd_runs: true, ..wishes() };
        let steps = plan(&system(Framework::InitramfsTools), wishes(), &tree()).unwrap();
        let text: String = steps.iter().map(|step| format!("{step}\n")).collect();
        let is_ours = |line: &str| line.starts_with("write /") && !line.contains("boot.json");
        let lines = text.lines().map(|line| match line.rsplit_once(", ").filter(|_| is_ours(line)) {
            Some((front, _)) => format!("{front}, N bytes\n"),
            None => format!("{line}\n"),
        });
        assert_eq!(lines.collect::<String>(), GOLDEN);
        let kept = steps.iter().find_map(|step| match step {
            Step::Write { path, after: State::File(after), .. } if path == "/etc/crypttab" => Some(after.mode),
            _ => None,
        });
        assert_eq!(kept, Some(0o600), "whoever may read crypttab may read it still");
        let then = Wishes { guards: Vec::new(), ..wishes() };
        assert_eq!(plan(&system(Framework::InitramfsTools), then, &done(tree(), &steps)).unwrap(), []);
    }

    #[test]
    fn images_are_made_anew_when_something_in_them_is_older() {
        let steps = plan(&system(Framework::Dracut), wishes(), &tree()).unwrap();
        let stale = Wishes { images_are_stale: true, guards: Vec::new(), ..wishes() };
        let again = plan(&system(Framework::Dracut), stale, &done(tree(), &steps)).unwrap();
        let text: Vec<String> = again.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["run dracut --force /boot/initrd.img-6.1 6.1"]);
    }
}
