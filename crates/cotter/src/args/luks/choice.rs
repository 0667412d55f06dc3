//! Which binding.

use clap::Args;

// Which binding: by its keyslot, or by its token, which has a number of its own.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct BindingChoice {
    /// The keyslot
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// The token (LUKS2)
    #[arg(short = 't', long, value_name = "TOKEN", value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
}
