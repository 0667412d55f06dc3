//! `cotter luks unlock`

use super::device::{Ceilings, Device};
use super::identity::Expect;
use super::key::KeyInstead;
use crate::args::{Format, Patience};
use clap::Args;

// `cotter luks unlock`
#[derive(Debug, Args)]
pub struct UnlockArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeyInstead,
    /// Name of the mapping in /dev/mapper [default: luks- and the volume's UUID]
    #[arg(short = 'n', long)]
    pub name: Option<String>,
    /// Print the passphrase that opened a keyslot, without newline, and map nothing
    #[arg(long, conflicts_with_all = ["name", "read_only", "dry_run", "json", "allow_discards"])]
    pub print_key: bool,
    /// Write that passphrase to a file descriptor that the caller has opened, and map nothing
    #[arg(long, value_name = "FD", conflicts_with_all = ["print_key", "name", "read_only", "dry_run", "json", "allow_discards"])]
    pub print_key_fd: Option<i32>,
    /// This keyslot only
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// Only try whether this keyslot opens by its binding, or with -k by a passphrase: exit code 0 if it does, 1 if not. Nothing is
    /// mapped
    #[arg(short = 't', long, value_name = "SLOT", conflicts_with_all = ["slot", "test_passphrase", "print_key", "print_key_fd", "dry_run"])]
    pub test: Option<u32>,
    /// Only try whether the volume opens, or the keyslot named with -s. Nothing is mapped
    #[arg(long, conflicts_with_all = ["print_key", "print_key_fd", "dry_run"])]
    pub test_passphrase: bool,
    /// For keyslots that systemd has enrolled with signed PCRs: the signatures, as systemd-measure writes them [default: what
    /// systemd finds in /etc/systemd, /run/systemd and /usr/lib/systemd]
    #[arg(long, value_name = "FILE")]
    pub tpm2_signature: Option<String>,
    /// Nothing can be written through the mapping
    #[arg(short = 'r', long, alias = "readonly")]
    pub read_only: bool,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub requests: Requests,
    /// Open a keyslot and say what would be mapped, and map nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

// How the kernel treats requests to a mapping; what the header asks for holds too.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Requests {
    /// Tell the disk what the file system frees, and so whoever can see the disk
    #[arg(long)]
    pub allow_discards: bool,
    /// Encrypt on the processor that asked
    #[arg(long, alias = "perf-same_cpu_crypt")]
    pub perf_same_cpu_crypt: bool,
    /// Write from the threads that encrypt, unsorted
    #[arg(long, alias = "perf-submit_from_crypt_cpus")]
    pub perf_submit_from_crypt_cpus: bool,
    /// Decrypt without a queue (Linux 5.9)
    #[arg(long, alias = "perf-no_read_workqueue")]
    pub perf_no_read_workqueue: bool,
    /// Encrypt without a queue (Linux 5.9)
    #[arg(long, alias = "perf-no_write_workqueue")]
    pub perf_no_write_workqueue: bool,
}
