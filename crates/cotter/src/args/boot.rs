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
Who asks: systemd, by files in its question directory, and `askpass` of Debian's initramfs, at its pipe. The bindings of all volumes that
are asked for are tried at once; one that needs a network that is not there yet, or a server that is down, is tried again until --timeout. A
secret that was proved on its own keyslot is given once. Whoever types first ends the search, and a question that no binding answers stays
open for a person.

Nothing is given where the kernel command line lets somebody reach a shell, as init=, break or rescue do.

Each event is one line on standard error, with the seconds since the machine was started. The exit code is 0 whether anybody was answered or
not: what starts this must not fail over it.";

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
