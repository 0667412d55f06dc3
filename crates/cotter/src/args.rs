//! The command line: one definition from which parsing, help, completion and the manual page come.
//!
//! Words become plain values here; nothing touches a disk or the network.
//!
//! A command's options are defined when it is chosen (`defer`): a boot script calls one of some sixty. What a struct says of itself then
//! comes last, and would take the place of what the list of commands says: comments on structs are therefore none of documentation.

mod boot;
mod image;
mod luks;
mod policy;
mod tpm;

pub use boot::{
    AgentArgs, BootCommand, BootMode, CheckArgs, InstallArgs, NetworkArgs, ProveArgs, RemoveArgs, StatusArgs,
};
pub use image::{CatArgs, ExportArgs, ImageCommand, InfoArgs, Volume};
pub use luks::{
    AddArgs, BackupArgs, BindArgs, BindingChoice, Ceilings, ConfigArgs, Device, DumpArgs, EditArgs, EraseArgs, Expect,
    FingerprintArgs, FlagName, FormatArgs, IdentityArgs, KdfArgs, KeyFilePart, KeyInstead, KeySource, KillArgs,
    ListArgs, LockArgs, LuksCommand, LuksType, MetaAction, MetaArgs, NewKey, Opener, PassArgs, PasswdArgs, Pbkdf,
    PriorityName, Quoted, Rebinding, RegenArgs, RepairArgs, ReportArgs, ResealArgs, RestoreArgs, SealArgs, TokenChoice,
    TokenCommand, TokenExportArgs, TokenImportArgs, TokenRemoveArgs, UnbindArgs, UnlockArgs,
};
pub use policy::{ExplainArgs, Goals, PolicyCommand};
pub use tpm::{KeygenArgs, LatchArgs, LogFile, PredictArgs, TpmCommand, TpmExplainArgs, TpmStatusArgs, UpdateArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use crypto::ec::Curve;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Opens LUKS-encrypted disks unattended, and says beforehand that it will.
#[derive(Debug, Parser)]
#[command(name = "cotter", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "See it work in ten seconds, without root and without a network: cotter demo")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Show the whole thing: a server, an encrypted disk, a binding, an unattended opening
    Demo(DemoArgs),
    /// Run a key server
    Serve(ServeArgs),
    /// Make, show, list and rotate the keys of a server
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Encrypt standard input so that only a machine that meets a policy can decrypt it
    #[command(after_long_help = PINS)]
    Encrypt(EncryptArgs),
    /// Decrypt standard input, if this machine meets the policy in it
    Decrypt(DecryptArgs),
    /// Judge policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Format, bind and open LUKS volumes
    #[command(subcommand)]
    Luks(LuksCommand),
    /// Look at the TPM of this machine, and shut it
    #[command(subcommand)]
    Tpm(TpmCommand),
    /// Read and serve encrypted disk images without root and without the kernel
    #[command(subcommand)]
    Image(ImageCommand),
    /// Open volumes while the machine starts
    #[command(subcommand)]
    Boot(BootCommand),
    /// Print a completion script
    Completion(CompletionArgs),
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

// `cotter demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the directory with the image and the keys, and say where it is
    #[arg(long)]
    pub keep: bool,
}

// `cotter serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen here; may be given several times. Without it the server takes what it was started with: listening sockets
    /// (systemd), or one connection on standard input (inetd, and units with `Accept=yes`)
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// The directory with the server's keys
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// Most connections at the same time
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Close a connection that asks nothing for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub idle: u32,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write it as 0.0.0.0:7500, 127.0.0.1:7500 or [::]:7500; names are not looked up".to_owned())
}

/// `cotter keys …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum KeysCommand {
    /// Make a directory with a new pair of keys
    Init(KeysInitArgs),
    /// Print the thumbprints of the keys that sign the advertisement, of a directory or of a server
    Show(KeysShowArgs),
    /// Print the pin of the key that a server of https:// holds, for the option `pin` of the pin tang; or of those in a PEM file
    Pin(KeysPinArgs),
    /// Make a new pair and hide the old one, which still answers those who are bound to it
    Rotate(KeysRotateArgs),
    /// Print every key of a directory with its state, without any private part
    List(KeysListArgs),
}

// `cotter keys init`
#[derive(Debug, Args)]
pub struct KeysInitArgs {
    /// The directory; it may exist, but not hold keys
    pub dir: PathBuf,
    /// The curve; P-521 is what the original uses
    #[arg(long, value_enum, default_value_t = CurveName::P521)]
    pub curve: CurveName,
}

// `cotter keys show`
#[derive(Debug, Args)]
pub struct KeysShowArgs {
    /// A directory, or the address of a server
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter keys pin`
#[derive(Debug, Args)]
pub struct KeysPinArgs {
    /// The address of a server, https://HOST:PORT; or a file with certificates or public keys. What a server shows, somebody in its place
    /// may show: compare it with what the file on the server says
    #[arg(value_name = "URL|FILE")]
    pub source: String,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter keys rotate`
#[derive(Debug, Args)]
pub struct KeysRotateArgs {
    /// The directory
    pub dir: PathBuf,
    /// The curve of the new pair
    #[arg(long, value_enum, default_value_t = CurveName::P521)]
    pub curve: CurveName,
}

// `cotter keys list`
#[derive(Debug, Args)]
pub struct KeysListArgs {
    /// The directory
    pub dir: PathBuf,
    #[command(flatten)]
    pub format: Format,
}

/// A curve by its name in JOSE.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CurveName {
    #[value(name = "P-256")]
    P256,
    #[value(name = "P-384")]
    P384,
    #[value(name = "P-521")]
    P521,
}

impl From<CurveName> for Curve {
    fn from(name: CurveName) -> Curve {
        match name {
            CurveName::P256 => Curve::P256,
            CurveName::P384 => Curve::P384,
            CurveName::P521 => Curve::P521,
        }
    }
}

// `cotter encrypt`
#[derive(Debug, Args)]
pub struct EncryptArgs {
    #[command(flatten)]
    pub policy: Policy,
    #[command(flatten)]
    pub patience: Patience,
}

/// The options of each pin, for `--help`.
const PINS: &str = r#"Pins and their configuration (JSON):
  tang  a key server must answer
        url     its address, required: "http://keys.example:7500"
        thp     thumbprint of its signing key (`cotter keys show`): no question is asked
        adv     its advertisement, as an object or the name of a file: it need not answer now
        pin     of a server of https://, instead of a CA: its key, "sha256//…" (`cotter keys pin URL`), or up to four in an array; no
                certificate, name or clock has a say then. A spare one is for a key that the server does not use yet
        cacert, cert, key   files for TLS: the CA of the server, certificate and key of this client; the key as PEM, or sealed to the
                TPM: `cotter encrypt tpm2 '{}' < key.pem > key.jwe`
  tpm2  the TPM of this machine must be there, and what was booted must be the same
        pcr_ids     the PCRs that must hold what they hold now: "7", "4,7", [4,7]; without them any system on this machine opens it
        pcr_bank    their bank: sha256 where the TPM has it
        pcr_digest  their values one behind the other, in base64url, instead of those of now; with pcr_bank
        key         ecc (the default) or rsa: the parent key
        hash        sha256 (the default), sha1, sha384, sha512: the hash of the parent key
        The TPM is the first /dev/tpmrm*, or what TPM2TOOLS_TCTI names: device:FILE, swtpm:host=IP,port=N, swtpm:path=SOCKET
  cotter-tpm2  what the TPM can do beyond tpm2; Clevis does not know it
        pcr_ids, pcr_bank, pcr_digest, key   as above; the bank is sha256 if not given
        accept      further sets of values, at most 7: [{"7":"HEX"}, …]
        pin         true: a person is asked for a PIN; wrong ones lock the TPM for a while
        latch       true, or a PCR from 8 to 15: `cotter tpm latch` shuts it until the machine starts again
        signed      {"key": JWK or FILE, "reference": TEXT}: what pcr_ids may hold is what this key has approved (LUKS2 only)
        counter     true: copies of a binding open no more once it was made anew (with signed: once revoked); "0x…": that counter of the TPM
  tpm2plus  as tpm2, and a signed policy in a file says which PCRs are right: change it and nothing is sealed again
        policy_pubkey_path, policy_path, policy_ref   whose signature, in which file, for what purpose; key and hash as above
  sss   t of several policies must be met
        t       how many, 1 if not given
        pins    {"PIN": CFG or [CFG, …], …}
        Two of three servers: '{"t":2,"pins":{"tang":[{"url":"a"},{"url":"b"},{"url":"c"}]}}'
  file  a file of this machine must be there
        name    the file, which is made and must not exist; keep it on another disk
  null  no protection at all, for tests
        fail    true: decryption fails"#;

// A pin and its configuration, the two words of every policy.
#[derive(Debug, Args)]
pub struct Policy {
    /// The kind of policy: tang, tpm2, cotter-tpm2, tpm2plus, sss (several, of which some number must agree), file, null (no protection, for tests)
    #[arg(value_name = "PIN")]
    pub pin: String,
    /// Its configuration in JSON, such as '{"url":"http://keys.example:7500"}'
    #[arg(value_name = "CFG")]
    pub config: String,
    /// Answer yes to every question: trust the servers' keys, and on a LUKS1 volume without LUKSMeta let `luks bind` make it,
    /// whatever lies in the gap behind the key material
    #[arg(short = 'y', long)]
    pub yes: bool,
}

// `cotter decrypt`
#[derive(Debug, Args)]
pub struct DecryptArgs {
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter completion`
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
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
