//! `cotter boot install`, `status`, `check` and `remove`

use crate::args::luks::{Ceilings, Device, KeyInstead};
use crate::args::{Format, Patience};
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

pub const INSTALL: &str = "\
What makes the boot images of the system is found: initramfs-tools, dracut or mkinitcpio. Its hooks, the settings (/etc/cotter/boot.json), the list of
expected volumes (/etc/cotter/volumes.json) and options of crypttab are put in their places, the images of all kernels are made anew, each is
looked into, and it is proved with the servers and the TPM of this hour that every binding opens its volume (`cotter boot check`). If a step fails,
everything is taken back, the images too. A second run changes nothing. --dry-run says what would be done, and does nothing.

A volume with a bound keyslot is opened once, by its bindings or with -k, so that its key stands in the list: what is not in the list is not
opened by itself afterwards.

With --root the system there gets the same, its images are made by its own programs, and nothing is proved; the list of expected volumes
is taken as it lies there.";

// The system.
#[derive(Clone, Debug, Args)]
pub struct Root {
    /// The system with this root, which is being built, instead of this machine
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// What opens volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BootMode {
    /// Whoever asks gets the passphrase
    Answer,
    /// cotter maps the volume from the header that it accepted
    Map,
}

// `cotter boot install`
#[derive(Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    pub root: Root,
    /// Say what would be done, and how it is taken back
    #[arg(long)]
    pub dry_run: bool,
    /// Who opens volumes: whoever asks, with the passphrase that cotter answers; or cotter, which tries no keyslot but the bound ones
    #[arg(long)]
    pub mode: Option<BootMode>,
    /// Open this volume in the initramfs too; may be given several times
    #[arg(short = 'd', long = "device", value_name = "DEV")]
    pub devices: Vec<PathBuf>,
    /// Answer on the key socket of crypttab (systemd 248 and later, not with initramfs-tools)
    #[arg(long)]
    pub key_socket: bool,
    /// Who may sign the certificates of HTTPS servers: PEM, copied to /etc/cotter/ca.pem
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Ask this name server too; may be given several times
    #[arg(long = "name-server", value_name = "IP")]
    pub name_servers: Vec<IpAddr>,
    /// Words of the network for a kernel whose command line has none, such as `ip=dhcp`
    #[arg(long, value_name = "WORDS")]
    pub command_line: Option<String>,
    /// Do not prove that the bindings open their volumes
    #[arg(long)]
    pub no_check: bool,
    #[command(flatten)]
    pub key: KeyInstead,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

pub const STATUS_EXIT: &str = "Exit codes:
  0  all that is installed is in every image
  1  nothing is installed, or an image is older than what is
  2  the words of the command make no sense together";

// `cotter boot status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub root: Root,
    #[command(flatten)]
    pub format: Format,
}

// `cotter boot remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    pub root: Root,
    /// Say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

pub const CHECK: &str = "\
Each image is unpacked into memory, and the program that it holds is run there, with the settings and the list of expected volumes that it holds, against
the servers and the TPM of this hour: every bound keyslot of every volume is opened, and nothing is mapped. Name servers, where the image has none,
are those of the machine, which stand for what DHCP would tell.

What depends on the moment of the start cannot be proved later: a keyslot on the latch is told as not proved, and is no failure; so is one that asks a
person for a PIN.";

pub const CHECK_EXIT: &str = "Exit codes:
  0  every keyslot that can be proved opens its volume
  1  one does not, or an image cannot be run
  2  the words of the command make no sense together";

// `cotter boot check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter boot prove`, which runs in an image
#[derive(Debug, Args)]
pub struct ProveArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
}
