//! Side by side with the originals: `cargo xtask bench [NAME…]`.
//!
//! Ours and theirs take turns within one run, so that what else the machine does meets both. CPU time decides, children
//! counted; wall time stands beside it. Every load goes to the loopback and ends by itself, after a time or a count.
//! Standard output is markdown; progress goes to standard error. The program that is measured is the static release,
//! which `cargo xtask bench` builds and names in `COTTER`.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot measure stops where it stands, as a test does"
)]

mod bench;
mod clock;
mod load;
mod machine;
mod sides;
mod table;

use table::Asked;

/// A bench prints its own tables and returns the lines of the last one.
type Bench = fn() -> Vec<Asked>;

const BENCHES: &[(&str, Bench)] = &[
    ("server", bench::server::run),
    ("client", bench::client::run),
    ("threshold", bench::threshold::run),
    ("slot", bench::slot::run),
    ("binding", bench::binding::run),
    ("bind", bench::bind::run),
    ("tpm", bench::tpm::run),
    ("plain", bench::plain::run),
    ("image", bench::image::run),
    ("boot", bench::boot::run),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = chosen.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name)) {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        eprintln!("benches: no bench `{unknown}`; there are: {}", names.join(", "));
        std::process::exit(2);
    }
    println!("{}", machine::describe());
    let mut asked = Vec::new();
    for (name, run) in BENCHES {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            eprintln!("bench {name}");
            asked.extend(run());
        }
    }
    println!("{}", table::verdicts(&asked));
}
