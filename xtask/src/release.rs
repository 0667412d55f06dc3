//! `cargo xtask release`: the one static program, and the proof that it is one.

use crate::elf::{self, Kind};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use std::path::PathBuf;
use std::process::Command;

/// What the product promises for the program file.
const LARGEST_BYTES: usize = 8_000_000;

/// Builds, checks, and prints path and size.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    build(workspace).map(|binary| println!("{}  {} bytes, static-pie, stripped", binary.path.display(), binary.bytes))
}

/// The program that [`build`] made and judged.
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    pub(crate) bytes: usize,
}

/// Builds and checks; prints nothing of its own.
pub(crate) fn build(workspace: &Workspace) -> Result<Binary, Failure> {
    let path = compile(workspace)?;
    let file = std::fs::read(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
    match check(&file) {
        Ok(()) => Ok(Binary { path, bytes: file.len() }),
        Err(what) => Err(Failure::Binary { path, what }),
    }
}

/// How the program is linked.
///
/// The relocations of a position-independent program are packed (DT_RELR): 2 KB in place of 220, and it is the static glibc
/// (2.36 or newer) inside the program that unpacks them, so the machine it runs on has no part in it. Stripping is asked
/// for here because Cargo forgets the `strip` of `[profile.release]` for a package that has a section of its own there
/// (seen with Cargo 1.95).
const RUSTFLAGS: [&str; 3] =
    ["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,-z,pack-relative-relocs", "-Cstrip=symbols"];
/// What leaves out the tables that nobody reads in a program that aborts, in the workspace's root; it says more.
const LINKER_SCRIPT: &str = "xtask/no-unwind-tables.ld";

/// The explicit target is not decoration: without one the flag would also reach proc-macros and build scripts, which
/// are loaded by a dynamic compiler and cannot be static.
fn compile(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let host = host()?;
    let mut cargo = program::cargo(&workspace.root);
    let script = format!("-Clink-arg=-Wl,-T,{}", workspace.root.join(LINKER_SCRIPT).display());
    // Encoded, because a path may hold spaces.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.into_iter().chain([&*script]).collect::<Vec<_>>().join("\u{1f}"));
    program::run(cargo.args(["build", "--package", "program", "--release", "--locked", "--target", &host]))?;
    Ok(workspace.target.join(host).join("release").join("cotter"))
}

/// The compiler's own platform, which is the one that can be linked without a cross toolchain.
pub(crate) fn host() -> Result<String, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = program::output(Command::new(rustc).arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::Answer { program: "rustc -vV", what: text.clone() })
}

fn check(file: &[u8]) -> Result<(), String> {
    let linking = elf::linking(file).ok_or("not an ELF program")?;
    if linking.kind != Kind::StaticPie {
        return Err(format!("linked as {:?}, not as static-pie", linking.kind));
    }
    if !linking.stripped {
        return Err("still has its symbols; see [profile.release] in Cargo.toml".into());
    }
    if file.len() >= LARGEST_BYTES {
        return Err(format!("{} bytes, and {LARGEST_BYTES} are promised", file.len()));
    }
    Ok(())
}
