//! `cotter boot …`

mod install;

use super::luks::{Ceilings, Expect};
use crate::boot_settings;
use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

pub use install::{BootMode, CheckArgs, InstallArgs, ProveArgs, RemoveArgs, StatusArgs};

/// `cotter boot …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum BootCommand {
    /// Answer whoever asks for the passphrase of a volume while the machine starts, as its bindings allow
    #[command(after_long_help = AGENT)]
    Agent(AgentArgs),
    /// End the agent, and give the network back that it has brought up, unless the next stage wants it
    End(EndArgs),
    /// Map the volumes of crypttab that their bindings open, if the settings say so, before anybody asks for a passphrase
    #[command(after_long_help = MAP)]
    Map(MapArgs),
    /// Answer one caller of the key socket of crypttab, who is standard input and output
    #[command(after_long_help = KEY)]
    Key(KeyArgs),
    /// Bring the network up as a machine that starts does, or say what that would do
    #[command(after_long_help = NETWORK)]
    Network(NetworkArgs),
    #[cfg(feature = "full")]
    /// Let this machine open its volumes by itself when it starts: hooks, settings and images, proved, or taken back
    #[command(after_long_help = install::INSTALL)]
    Install(InstallArgs),
    #[cfg(feature = "full")]
    /// What is installed, what is in which image, and what opens which volume
    #[command(after_long_help = install::STATUS_EXIT)]
    Status(StatusArgs),
    #[cfg(feature = "full")]
    /// Prove with each boot image that the volumes would open by themselves
    #[command(long_about = install::CHECK, after_long_help = install::CHECK_EXIT)]
    Check(CheckArgs),
    #[cfg(feature = "full")]
    /// Take back what `install` has done, and make the images anew: a passphrase opens the volumes
    Remove(RemoveArgs),
    /// What `check` runs in an image
    #[command(hide = true)]
    Prove(ProveArgs),
}

const AGENT: &str = "\
Who asks: systemd, by files in its question directory, and `askpass` of Debian's initramfs, at its pipe. The bindings of all volumes of
crypttab are tried at once, before anybody asks, and so are those of others that are asked for. What needs a network that is not there
yet, or a server that is down, is tried again until --timeout, at once when the network or a TPM comes; in an initramfs the network is
brought up then (`cotter boot network`). A secret that was proved on its own keyslot is given once. Whoever types first ends the search, and
a question that no binding answers stays open for a person. A volume that is not on the list of expected ones, where there is one, is
opened by nobody but a person.

Nothing is given where the kernel command line lets somebody reach a shell, as init=, break or rescue do; the latch is shut then.

Each event is one line on standard error, with the seconds since the machine was started. The exit code is 0 whether anybody was answered or
not: what starts this must not fail over it.";

const MAP: &str = "\
Does nothing unless the settings say `\"mode\":\"map\"`, or volumes are named. Each is mapped from the very header that was accepted, with its
options in crypttab (discard, read-only, no-read-workqueue and their kin); a line with a key file or a key script is left alone. Nothing is
mapped without a list of expected volumes, /etc/cotter/volumes.json, nor what is not on it. The exit code is 0 in any case: a boot does not
stop over it.";

const KEY: &str = "\
For /etc/crypttab with the path of a socket as its key (systemd 248 and later). The caller names his volume by the address that he calls
from. He has an answer within --timeout in any case: where there is no key, a wrong one, upon which systemd asks a person.";

// `cotter boot map`
#[derive(Debug, Args)]
pub struct MapArgs {
    /// Map --device by this name, and nothing of crypttab; may be given several times
    #[arg(long, requires = "device")]
    pub name: Vec<String>,
    /// The disk for each --name, in their order
    #[arg(long, value_name = "DEV", requires = "name")]
    pub device: Vec<PathBuf>,
    /// The table [default: /cryptroot/crypttab, or else /etc/crypttab]
    #[arg(long, value_name = "FILE")]
    pub crypttab: Option<PathBuf>,
    /// The settings of boot
    #[arg(long, value_name = "FILE", default_value = boot_settings::USUAL)]
    pub settings: PathBuf,
    /// Leave the rest to a person after this many seconds [default: 60, or what the settings say if that is less]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: Option<u32>,
    /// The kernel's command line
    #[arg(long, value_name = "FILE", default_value = "/proc/cmdline")]
    pub command_line: PathBuf,
    /// Take this for an initramfs, where nobody else brings the network up [default: whether it is one]
    #[arg(long)]
    pub initramfs: bool,
    /// Where the stages of a start leave what they have done
    #[arg(long, value_name = "DIR", default_value = RUN)]
    pub run: PathBuf,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

// `cotter boot key`
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The table [default: /cryptroot/crypttab, or else /etc/crypttab]
    #[arg(long, value_name = "FILE")]
    pub crypttab: Option<PathBuf>,
    /// The settings of boot
    #[arg(long, value_name = "FILE", default_value = boot_settings::USUAL)]
    pub settings: PathBuf,
    /// Answer within this many seconds [default: 30, or what the settings say if that is less]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: Option<u32>,
    /// The kernel's command line
    #[arg(long, value_name = "FILE", default_value = "/proc/cmdline")]
    pub command_line: PathBuf,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

/// The directory of the stages.
const RUN: &str = "/run/cotter";

// `cotter boot end`
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Where the stages of a start leave what they have done
    #[arg(long, value_name = "DIR", default_value = RUN)]
    pub run: PathBuf,
    /// The kernel's command line, which may say that the root is on the network
    #[arg(long, value_name = "FILE", default_value = "/proc/cmdline")]
    pub command_line: PathBuf,
    /// Leave the network as it is
    #[arg(long)]
    pub keep_network: bool,
}

// `cotter boot agent`
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// Systemd's question directory
    #[arg(long, value_name = "DIR", default_value = "/run/systemd/ask-password")]
    pub questions: PathBuf,
    /// The pipe that `askpass` reads
    #[arg(long, value_name = "FILE", default_value = unlock::prompt::PASSFIFO)]
    pub pipe: PathBuf,
    /// Try the bindings of this volume before anybody asks for it; may be given several times
    #[arg(long, value_name = "DEV")]
    pub ahead: Vec<PathBuf>,
    /// The settings of boot; the two options below stand over them
    #[arg(long, value_name = "FILE", default_value = boot_settings::USUAL)]
    pub settings: PathBuf,
    /// Give up the search after this many seconds, and end [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: Option<u32>,
    /// Give up one try after this many seconds, and begin another [default: 2]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub try_for: Option<u32>,
    /// The kernel's command line
    #[arg(long, value_name = "FILE", default_value = "/proc/cmdline")]
    pub command_line: PathBuf,
    /// Try the bindings of the volumes in this table before anybody asks for them [default: /cryptroot/crypttab, or else /etc/crypttab]
    #[arg(long, value_name = "FILE")]
    pub crypttab: Option<PathBuf>,
    /// Take this for an initramfs, where nobody else brings the network up [default: whether it is one]
    #[arg(long)]
    pub initramfs: bool,
    /// Where the stages of a start leave what they have done
    #[arg(long, value_name = "DIR", default_value = RUN)]
    pub run: PathBuf,
    /// Go on in the background
    #[arg(long)]
    pub daemon: bool,
    /// End when nobody asks for anything
    #[arg(long)]
    pub while_asked: bool,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

const NETWORK: &str = "\
What is there already is used and not touched; who else is at work on the network is waited for, half a minute at most. Otherwise the words
of the kernel command line are followed: ip= in the forms of the kernel and of dracut, vlan=, bond=, ifname=, rd.route=, nameserver=, BOOTIF=;
without ip=, those of the settings of boot; without any, whatever the network offers, on all cards at once.

Each step is one line on standard error, with the seconds since the machine was started. What was changed is printed on standard output,
one line each, unless --take-back undoes it.";

// `cotter boot network`
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The kernel's command line
    #[arg(long, value_name = "FILE", default_value = "/proc/cmdline")]
    pub command_line: PathBuf,
    /// The settings of boot
    #[arg(long, value_name = "FILE", default_value = boot_settings::USUAL)]
    pub settings: PathBuf,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    /// The network is there when this address, or one of several, has a route; without it, when there is a way to everywhere
    #[arg(long, value_name = "ADDRESS")]
    pub reach: Vec<IpAddr>,
    /// Find the addresses of this name, too; may be given several times
    #[arg(long, value_name = "NAME")]
    pub look_up: Vec<String>,
    /// Undo everything at the end
    #[arg(long)]
    pub take_back: bool,
}
