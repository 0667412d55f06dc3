//! `cotter policy …`

use super::Format;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use clevis::verdict::{Loader, Machine, SecureBoot, Threat};

/// `cotter policy …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum PolicyCommand {
    /// Say what a policy protects from, and what would make it better
    #[command(after_long_help = GOALS)]
    Explain(ExplainArgs),
}

// What must be withstood.
#[derive(Clone, Debug, Args)]
pub struct Goals {
    /// Refuse a policy that does not protect from this; may be given several times
    #[arg(long, value_name = "GOAL", value_parser = goal())]
    pub require: Vec<Threat>,
}

// `cotter policy explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A pin and its configuration, or one word: {"PIN":CFG}, or the configuration of an sss
    #[arg(value_name = "PIN CFG", num_args = 1..=2, required = true)]
    pub policy: Vec<String>,
    #[command(flatten)]
    pub goals: Goals,
    /// What kind of machine it is for [default: what this one says; its TPM is not asked, and one of software makes it virtual]
    #[arg(long, value_enum)]
    pub machine: Option<MachineName>,
    /// Whose signatures it boots [default: what this one says]
    #[arg(long, value_enum)]
    pub secure_boot: Option<SecureBootName>,
    /// What loads its kernel [default: what this one says]
    #[arg(long, value_enum)]
    pub loader: Option<LoaderName>,
    #[command(flatten)]
    pub format: Format,
}

/// What `--require` takes, for `--help`.
pub const GOALS: &str = "Goals:
  disk-stolen        the disk alone leaves the building
  machine-stolen     the whole machine is stolen and switched on elsewhere
  boot-altered       what the machine boots is altered where it stands
  header-copied      somebody on the network has a copy of the header
  key-server-stolen  the keys of one key server are stolen
  host-curious       whoever keeps the host of a virtual machine looks into it
`partly` does not reach a goal. The reasons of every answer are in docs/threat-model.md.";

/// A machine of its own, or a guest.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MachineName {
    Unknown,
    Physical,
    Virtual,
}

/// Secure Boot.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SecureBootName {
    Unknown,
    Off,
    /// On, with the keys that the machine came with
    Vendors,
    /// On, with your own keys and no others
    Own,
}

/// What loads the kernel.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LoaderName {
    Unknown,
    Grub,
    SystemdBoot,
    UnifiedImage,
}

impl From<MachineName> for Machine {
    fn from(name: MachineName) -> Machine {
        match name {
            MachineName::Unknown => Machine::Unknown,
            MachineName::Physical => Machine::Physical,
            MachineName::Virtual => Machine::Virtual,
        }
    }
}

impl From<SecureBootName> for SecureBoot {
    fn from(name: SecureBootName) -> SecureBoot {
        match name {
            SecureBootName::Unknown => SecureBoot::Unknown,
            SecureBootName::Off => SecureBoot::Off,
            SecureBootName::Vendors => SecureBoot::Vendors,
            SecureBootName::Own => SecureBoot::Own,
        }
    }
}

impl From<LoaderName> for Loader {
    fn from(name: LoaderName) -> Loader {
        match name {
            LoaderName::Unknown => Loader::Unknown,
            LoaderName::Grub => Loader::Grub,
            LoaderName::SystemdBoot => Loader::SystemdBoot,
            LoaderName::UnifiedImage => Loader::UnifiedImage,
        }
    }
}

fn goal() -> impl TypedValueParser<Value = Threat> {
    PossibleValuesParser::new(Threat::ALL.map(Threat::goal))
        .try_map(|goal| Threat::from_goal(&goal).ok_or("there is no such goal"))
}
