//! The command line: one definition from which parsing, help, completion and the manual page come.
//!
//! Words become plain values here; nothing touches a disk or the network.
//!
//! A command's options are defined when it is chosen (`defer`): a boot script calls one of some sixty. What a struct says of itself then
//! comes last, and would take the place of what the list of commands says: comments on structs are therefore none of documentation.

mod boot;
#[cfg(feature = "full")]
mod demo;
#[cfg(feature = "full")]
mod encrypt;
#[cfg(feature = "full")]
mod image;
mod luks;
#[cfg(feature = "full")]
mod manual;
#[cfg(feature = "full")]
mod pins;
mod policy;
#[cfg(feature = "full")]
mod server;
mod tpm;

pub use boot::{AgentArgs, BootCommand, EndArgs, KeyArgs, MapArgs, NetworkArgs, ProveArgs};
#[cfg(feature = "full")]
pub use boot::{BootMode, CheckArgs, InstallArgs, RemoveArgs, StatusArgs};
#[cfg(feature = "full")]
pub use demo::DemoArgs;
#[cfg(feature = "full")]
pub use encrypt::{EncryptArgs, Policy};
#[cfg(feature = "full")]
pub use image::{CatArgs, ExportArgs, ImageCommand, InfoArgs, Volume};
#[cfg(feature = "full")]
pub use luks::{
    AddArgs, BackupArgs, BindArgs, ConfigArgs, DumpArgs, EditArgs, EraseArgs, FingerprintArgs, FlagName, FormatArgs,
    IdentityArgs, KdfArgs, KillArgs, LuksType, MetaAction, MetaArgs, NewKey, PasswdArgs, Pbkdf, PriorityName,
    Rebinding, RegenArgs, RepairArgs, ReportArgs, ResealArgs, RestoreArgs, SealArgs, TokenChoice, TokenCommand,
    TokenExportArgs, TokenImportArgs, TokenRemoveArgs, UnbindArgs,
};
pub use luks::{
    BindingChoice, Ceilings, Device, Expect, KeyFilePart, KeyInstead, KeySource, ListArgs, LockArgs, LuksCommand,
    Opener, PassArgs, Quoted, Requests, UnlockArgs,
};
#[cfg(feature = "full")]
pub use manual::CompletionArgs;
pub use policy::{ExplainArgs, Goals, PolicyCommand};
#[cfg(feature = "full")]
pub use server::{KeysCommand, KeysInitArgs, KeysListArgs, KeysPinArgs, KeysRotateArgs, KeysShowArgs, ServeArgs};
#[cfg(feature = "full")]
pub use tpm::{KeygenArgs, PredictArgs, UpdateArgs};
pub use tpm::{LatchArgs, LogFile, TpmCommand, TpmExplainArgs, TpmStatusArgs};

use clap::{Args, Parser, Subcommand};
use std::time::Duration;

/// Opens LUKS-encrypted disks unattended, and says beforehand that it will.
#[derive(Debug, Parser)]
#[command(name = "cotter", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[cfg(feature = "full")]
const AFTER_HELP: &str = "See it work in ten seconds, without root and without a network: cotter demo";
#[cfg(not(feature = "full"))]
const AFTER_HELP: &str = BOOT_BUILD;

/// What the boot build says of itself, and to whoever asks for a command that it leaves out.
#[cfg(not(feature = "full"))]
pub const BOOT_BUILD: &str = "This is the boot build of cotter: it has what a machine needs while it starts. \
/usr/bin/cotter of the system that has started has every command.";

/// What to do.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    #[cfg(feature = "full")]
    /// Show the whole thing: a server, an encrypted disk, a binding, an unattended opening
    Demo(DemoArgs),
    #[cfg(feature = "full")]
    /// Run a key server
    Serve(ServeArgs),
    #[cfg(feature = "full")]
    /// Make, show, list and rotate the keys of a server
    #[command(subcommand)]
    Keys(KeysCommand),
    #[cfg(feature = "full")]
    /// Encrypt standard input so that only a machine that meets a policy can decrypt it
    #[command(after_long_help = pins::PINS)]
    Encrypt(EncryptArgs),
    /// Decrypt standard input, if this machine meets the policy in it
    Decrypt(DecryptArgs),
    #[cfg(feature = "full")]
    /// Judge policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Format, bind and open LUKS volumes
    #[command(subcommand)]
    Luks(LuksCommand),
    /// Look at the TPM of this machine, and shut it
    #[command(subcommand)]
    Tpm(TpmCommand),
    #[cfg(feature = "full")]
    /// Read and serve encrypted disk images without root and without the kernel
    #[command(subcommand)]
    Image(ImageCommand),
    /// Open volumes while the machine starts
    #[command(subcommand)]
    Boot(BootCommand),
    #[cfg(feature = "full")]
    /// Print a completion script
    Completion(CompletionArgs),
    #[cfg(feature = "full")]
    /// Print the manual page (roff)
    Manual,
}

// How to print what a program might read.
#[derive(Clone, Copy, Debug, Args)]
pub struct Format {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

// How long the network may take.
#[derive(Clone, Copy, Debug, Args)]
pub struct Patience {
    /// Give up after this many seconds, all servers together
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
}

impl Patience {
    /// The limit as a duration.
    pub fn limit(self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

// `cotter decrypt`
#[derive(Debug, Args)]
pub struct DecryptArgs {
    #[command(flatten)]
    pub patience: Patience,
}

#[cfg(all(test, feature = "full"))]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The options of a command are defined late, and its struct must not speak then.
    #[test]
    fn a_command_describes_itself_as_the_list_of_commands_does() {
        fn compare(listed: &clap::Command, built: &clap::Command) -> usize {
            assert_eq!(listed.get_about().map(ToString::to_string), built.get_about().map(ToString::to_string));
            assert_eq!(
                listed.get_long_about().map(ToString::to_string),
                built.get_long_about().map(ToString::to_string)
            );
            let below =
                listed.get_subcommands().map(|one| compare(one, built.find_subcommand(one.get_name()).unwrap()));
            1 + below.sum::<usize>()
        }
        let mut built = Cli::command();
        built.build();
        assert!(compare(&Cli::command(), &built) > 40);
    }

    #[test]
    fn the_forms_that_people_rely_on_are_taken() {
        for line in [
            "serve --listen 127.0.0.1:0 --keys /k",
            "serve --keys /k",
            "keys init /k",
            "keys init --curve P-256 /k",
            "keys show http://localhost:80",
            "keys pin --json https://localhost:80",
            "encrypt tang {} -y",
            "encrypt -y tang {}",
            "decrypt",
            "luks format -k - -d f",
            "luks format --type luks2 --cipher aes-xts-plain64 --key-size 512 --hash sha512 --iter-time 100 --pbkdf pbkdf2 -k F -d D",
            "luks format -s 512 -h sha512 -i 10000 -d /dev/sdb",
            "luks format --help",
            "luks format --type luks1 --offset 8192 --subsystem s -d f",
            "luks format --align-payload 2048 --luks2-metadata-size 64k --luks2-keyslots-size 4M -d f",
            "luks format --detached-header h -d f",
            "luks meta test -d f",
            "luks meta -d f show -s 1",
            "luks add -d f",
            "luks add -k - --new-key-file - -s 3 --priority prefer --pbkdf pbkdf2 -i 100 --dry-run --json -d f",
            "luks add -b --generate -d f",
            "luks add -e 0 -d f",
            "luks passwd -k F --new-key-file G -s 0 -d f",
            "luks passwd --generate --in-place -d f",
            "luks kill -s 2 -d f",
            "luks kill --batch-mode -S 2 -k F -l 32 --keyfile-offset 512 -d f",
            "luks format -q -M luks1 -k F --keyfile-size 4 -d f",
            "luks add --new-keyfile F --new-keyfile-size 8 --new-keyfile-offset 8 --header h -d f",
            "luks unlock -t 1 -d f -n x",
            "luks unlock -r --test-passphrase -S 1 -k F -l 4 -d f",
            "luks backup --dry-run -d f b",
            "luks token export --dry-run --json --token-id 0 --json-file t -d f",
            "luks fingerprint -d a --detached-header h",
            "luks regen -q --in-place -d f -s 1",
            "luks kill -q -s 2 --last-passphrase -k - -d f",
            "luks config --label x --subsystem y -d f",
            "luks config -s 1 --priority ignore --flag allow-discards --no-flag same-cpu-crypt -d f",
            "luks token export --token-id 0 -d f",
            "luks token export --token 0 -d f",
            "luks token export --slot 1 --json-file t.json -d f",
            "luks token import --json-file t.json -d f",
            "luks token import --token-id 3 --token-replace --key-slot 1 -d f",
            "luks token remove -s 1 --dry-run -d f",
            "luks bind -y -f -s 3 -t 4 -k - -d f tang {}",
            "luks bind -d f tang {} -y",
            "luks bind --replace --last-passphrase -k F -d f tang {}",
            "luks bind -b -d f tang {} -y",
            "luks bind -e 0 -d f tang {}",
            "luks list -d f",
            "luks list -p -d f",
            "luks list -t 0 -d f",
            "luks list -s 1 --expect tang {} -d f",
            "luks regen -q -d f -s 1",
            "luks regen -q -y --dry-run -k F -d f -t 0",
            "luks edit -d f -s 1 -c {}",
            "luks edit -f -d f -s 1",
            "luks edit -d f -s 1 --pin sss -c {}",
            "luks report -q -r -d f -s 1",
            "luks seal -d f",
            "luks seal -b --check -d f",
            "luks unbind -f -d f -t 0",
            "luks pass -d f -t 0",
            "luks pass -d f -s 1",
            "luks unbind -f -d f -s 1",
            "luks unlock --print-key -d f",
            "luks unlock --print-key-fd 3 -d f",
            "luks unlock --print-key -k - -d f",
            "luks dump --json -d f",
            "luks backup -d f b",
            "luks restore --force -q -d f b",
            "luks repair -d f --dry-run",
            "luks erase -q -d f",
            "luks fingerprint -d a -d b --open",
            "luks meta init -d f -f -n",
            "luks meta save -d f -s 1 -u cb6e8904-81ff-40da-a84a-07ab9ab5715e",
            "luks dump --detached-header h -d f",
            "luks pass --detached-header h --max-memory 65536 --max-iterations 5000000 -d f -s 1",
            "tpm latch",
            "tpm latch --pcr 14 --json",
            "tpm status --log f -v --bank sha1 --json",
            "tpm explain -d f -s 1 --log f --json",
            "tpm explain -d f -t 0",
            "tpm predict",
            "tpm predict --kernel k --initrd i --file /grub/grub.cfg=/boot/grub/grub.cfg --db d --dbx x --pcrs 4,7,9",
            "tpm predict --uki u --bank sha384 --pcrs 11 --json",
            "tpm keygen /root/pcrs.jwk",
            "luks reseal -d f -s 1 --kernel k --initramfs i --log l --dry-run --json",
            "luks reseal -d f --sign k.jwk --drop-old --revoke",
            "luks reseal -d f -k - --uki u",
            "luks reseal --hook 6.1.0-30-amd64",
            "luks reseal --hook --root /r --dry-run",
            "image info f",
            "image cat f --partition 2",
            "image serve f --socket /s --read-write",
            "boot agent",
            "boot agent --while-asked --timeout 60 --try-for 5 --ahead /dev/sda2 --expect f",
            "demo",
            "completion bash",
            "manual",
        ] {
            let words = ["cotter"].into_iter().chain(line.split(' '));
            let refused = Cli::try_parse_from(words).err().filter(clap::Error::use_stderr);
            assert!(refused.is_none(), "{line}: {refused:?}");
        }
    }

    #[test]
    fn half_a_command_is_a_usage_error() {
        for line in [
            "",
            "luks",
            "luks bind -d f tang",
            "luks pass -d f",
            "luks pass -d f -s 1 -t 1",
            "luks bind --last-passphrase -d f tang {}",
            "luks list --expect tang {} -d f",
            "luks list -s 1 --expect tang -d f",
            "luks regen -d f",
            "luks edit -d f -s 1 --pin sss",
            "luks seal --check --dry-run -d f",
            "luks unlock -s x -d f",
            "luks unlock -t 1 -s 1 -d f",
            "luks unlock -t -d f",
            "luks unlock --keyfile-size 4 -d f",
            "luks add --new-keyfile-size 4 -d f",
            "luks format -h -d f",
            "luks format --offset 1 --align-payload 1 -d f",
            "luks format --luks2-metadata-size 1x -d f",
            "luks meta -d f",
            "luks meta frobnicate -d f",
            "luks add",
            "luks add -b -k - -d f",
            "luks add -b -e 0 -d f",
            "luks add --generate --new-key-file - -d f",
            "luks kill -d f",
            "luks config -d f",
            "luks config --priority prefer -d f",
            "luks config -s 1 -d f",
            "luks token -d f",
            "luks token export -d f",
            "luks token export --token-id 0 --slot 1 -d f",
            "luks token export --token-id 32 -d f",
            "luks token import --token-replace -d f",
            "serve --keys",
            "keys init",
            "tpm latch --pcr 16",
            "tpm predict --uki u --kernel k",
            "tpm predict --file f",
            "luks reseal -d f --revoke",
            "luks reseal --hook -s 1",
            "tpm predict --pcrs 24",
            "tpm explain -d f",
        ] {
            let words = ["cotter"].into_iter().chain(line.split_whitespace());
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
