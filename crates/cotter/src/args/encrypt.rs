//! `cotter encrypt`, and the words of every policy.

use super::Patience;
use clap::Args;

// `cotter encrypt`
#[derive(Debug, Args)]
pub struct EncryptArgs {
    #[command(flatten)]
    pub policy: Policy,
    #[command(flatten)]
    pub patience: Patience,
}

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
