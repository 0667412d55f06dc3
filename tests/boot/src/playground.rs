//! A copy of a root that changes its copy alone: a layer above the cached tree, which programs run in, without a machine around it.
//!
//! What a call leaves in the tree the next one finds; mounts and the content of `/run` end with each call.

use crate::place;
use crate::root::{Framework, Root};
use compliance::{Ended, Program};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// dracut takes a minute on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// Mounts the copy at `$1/tree`, with what programs expect of a machine, and runs the words in it (`in`) or beside it (`beside`).
const ENTER: &str = r#"
place=$1 lower=$2 how=$3 tree=$1/tree
shift 3
mount -t overlay -o "lowerdir=$lower,upperdir=$place/layer,workdir=$place/work" root "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sys "$tree/sys"
mount -t tmpfs run "$tree/run"
mount --rbind /dev "$tree/dev"
cd "$tree"
case $how in
    in) exec chroot "$tree" "$@" ;;
    beside) exec "$@" ;;
esac
"#;

/// What a tree is like: every path with its type, mode and owner, and the content of what a program changes. Images are left out, which have
/// the time in them, and what is mounted.
const STATE: &str = "\
    find / -xdev \\( -path /boot/initrd.img-\\* -o -path /tmp -o -path /root \\) -prune -o -printf '%p %y %m %U:%G %l\\n' | sort
    find /etc /disks /usr/lib/dracut /usr/share/initramfs-tools /var -xdev -type f -exec sha256sum {} + | sort -k 2";

/// The copy.
#[derive(Debug)]
pub struct Playground {
    root: Root,
    place: TempDir,
}

impl Playground {
    /// A copy of the plain root with the program and an image of its kernel in it.
    pub fn new(framework: Framework) -> Playground {
        let root = Root::plain(framework);
        // Beside the roots, because that is no overlay itself.
        let place = tempfile::tempdir_in(place::provided(place::ROOTS)).expect("no directory for a copy of a root");
        for directory in ["layer", "work", "tree"] {
            fs::create_dir(place.path().join(directory)).expect("cannot make a directory");
        }
        let playground = Playground { root, place };
        // The whole of it, which does all this, and the build that goes into images.
        for (path, program) in
            [("usr/bin/cotter", compliance::cotter()), ("usr/lib/cotter/boot/cotter", &place::boot_program())]
        {
            playground.put(path, 0o755, &fs::read(program).expect("cannot read the program"));
        }
        let image = fs::read(playground.root.initramfs()).expect("cannot read the image");
        playground.put(&playground.image(), 0o600, &image);
        playground
    }

    /// Puts a file into it, from outside.
    pub fn put(&self, path: &str, mode: u32, content: &[u8]) {
        let place = self.layer(path);
        let mut directory = self.place.path().join("layer");
        // A directory of the layer stands for that below it, its mode too.
        for word in Path::new(path).parent().into_iter().flat_map(Path::iter) {
            directory.push(word);
            if !directory.is_dir() {
                fs::create_dir(&directory).expect("cannot make a directory");
            }
        }
        fs::write(&place, content).expect("cannot write into a copy of a root");
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).expect("cannot set a mode");
    }

    /// A file that was put or changed there.
    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.layer(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    /// The path of its kernel's image, without the `/` in front.
    pub fn image(&self) -> String {
        format!("boot/initrd.img-{}", self.kernel())
    }

    /// The version of its kernel.
    pub fn kernel(&self) -> String {
        let modules = fs::read_dir(self.root.tree().join("usr/lib/modules")).expect("no modules");
        let mut names = modules.map(|entry| entry.expect("cannot read a directory").file_name());
        names.next().expect("no kernel").to_string_lossy().into_owned()
    }

    /// Runs a program in it.
    pub fn run(&self, words: &[&str]) -> Ended {
        self.enter("in", words)
    }

    /// Runs a program beside it, in its directory.
    pub fn run_beside(&self, words: &[&str]) -> Ended {
        self.enter("beside", words)
    }

    /// What it is like now.
    pub fn state(&self) -> String {
        self.run(&["sh", "-euc", STATE]).succeeded().text()
    }

    /// The paths in its image, as the framework's own program lists them.
    pub fn listed(&self) -> Vec<String> {
        let image = format!("/{}", self.image());
        let words = match self.root.framework() {
            Framework::InitramfsTools => vec!["lsinitramfs", &image],
            Framework::Dracut => vec![
                "sh",
                "-euc",
                "lsinitrd \"$0\" | sed -n 's/^[-dl][rwxst-]* .* \\([^ ]*\\)\\( -> .*\\)\\{0,1\\}$/\\1/p'",
                &image,
            ],
        };
        self.run(&words).succeeded().text().lines().map(str::to_owned).collect()
    }

    fn enter(&self, how: &str, words: &[&str]) -> Ended {
        let (place, tree): (&Path, PathBuf) = (self.place.path(), self.root.tree());
        // The end of `unshare` is the end of everything in it, and of its mounts.
        let unshare =
            Program::new("unshare").args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh"]);
        unshare.arg(place).arg(tree).arg(how).args(words).limit(LIMIT).run()
    }

    fn layer(&self, path: &str) -> PathBuf {
        self.place.path().join("layer").join(path)
    }
}
