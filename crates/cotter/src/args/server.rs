//! `cotter serve` and `cotter keys …`

use super::{Format, Patience};
use clap::{Args, Subcommand, ValueEnum};
use crypto::ec::Curve;
use std::net::SocketAddr;
use std::path::PathBuf;

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
