//! `cargo xtask release`: the one static program and its boot build, and the proof that they are what they are said to be.

use crate::elf::{self, Kind};
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built.
pub(crate) struct Build {
    /// Its profile in the root `Cargo.toml`, and so the directory it is left in.
    profile: &'static str,
    /// What Cargo is told beyond the profile.
    words: &'static [&'static str],
    /// What AWS-LC is compiled with beyond its own flags.
    cflags: &'static str,
    /// It must be smaller than this.
    largest_bytes: usize,
    /// It must be smaller than this, compressed as an initramfs is.
    largest_compressed_bytes: Option<usize>,
}

/// The program with all of its commands; the size is what the product promises.
pub(crate) const FULL: Build = Build {
    profile: "release",
    words: &[],
    cflags: NO_AES_GCM_BY_512_BITS,
    largest_bytes: 8_000_000,
    largest_compressed_bytes: None,
};

/// AES-GCM of AWS-LC for processors with AVX-512 is unrolled to 680,000 bytes, a twelfth of the program, for bulk that nobody sends: a key
/// server's answer has some hundred bytes. AES-XTS by 512 bits stays, for disks. There is no switch for the one without the other: whoever asks
/// for such a processor is told 0, and the function that would tell gets another name. The symbol is called after the crate's version.
const NO_AES_GCM_BY_512_BITS: &str = "-Daws_lc_0_47_0_crypto_gcm_avx512_enabled(x)=gcm_by_512_##x(x) -Dgcm_by_512_()=0";

/// What images for the start of a machine carry. They may grow by 2,000,000 bytes: 20,000 are for scripts and settings.
///
/// Without AVX, AWS-LC has one form of each operation in place of two to four; none of them decides how long a boot takes.
pub(crate) const BOOT: Build = Build {
    profile: "boot",
    words: &["--no-default-features"],
    cflags: "-DMY_ASSEMBLER_IS_TOO_OLD_FOR_AVX",
    largest_bytes: 4_500_000,
    largest_compressed_bytes: Some(1_980_000),
};

/// Builds, checks, and prints path and size.
pub(crate) fn run(workspace: &Workspace, which: &Build) -> Result<(), Failure> {
    build(workspace, which).map(|binary| println!("{binary}, static-pie, stripped"))
}

/// The program that [`build`] made and judged.
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    bytes: usize,
    compressed_bytes: Option<usize>,
}

impl std::fmt::Display for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {} bytes", self.path.display(), self.bytes)?;
        self.compressed_bytes.map_or(Ok(()), |bytes| write!(f, " ({bytes} in an initramfs)"))
    }
}

/// Builds and checks; prints nothing of its own.
pub(crate) fn build(workspace: &Workspace, which: &Build) -> Result<Binary, Failure> {
    let path = compile(workspace, which)?;
    let file = std::fs::read(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
    let compressed_bytes = which.largest_compressed_bytes.map(|_| compressed_bytes(&path)).transpose()?;
    match check(&file, compressed_bytes, which) {
        Ok(()) => Ok(Binary { path, bytes: file.len(), compressed_bytes }),
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

/// AWS-LC's one call of `sscanf` reads the variable OPENSSL_ia32cap, which takes processors' abilities away. With it come 75,000 bytes of glibc,
/// floating point and all. Here nothing is ever scanned: AWS-LC's question whether it is a FIPS module answers 0, and so does the name.
const NO_SSCANF: &str = "-Clink-arg=-Wl,--defsym=__isoc99_sscanf=aws_lc_0_47_0_FIPS_mode";

/// A name that `linux::sys::messages` defines is in glibc too: the first definition counts.
const FIRST_DEFINITION: &str = "-Clink-arg=-Wl,-z,muldefs";

/// The explicit target is not decoration: without one the flag would also reach proc-macros and build scripts, which
/// are loaded by a dynamic compiler and cannot be static.
fn compile(workspace: &Workspace, which: &Build) -> Result<PathBuf, Failure> {
    let host = host()?;
    let mut cargo = program::cargo(&workspace.root);
    let script = format!("-Clink-arg=-Wl,-T,{}", workspace.root.join(LINKER_SCRIPT).display());
    // Encoded, because a path may hold spaces.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.into_iter().chain([&*script]).collect::<Vec<_>>().join("\u{1f}"));
    cargo.env("AWS_LC_SYS_CFLAGS", which.cflags);
    let words = ["rustc", "--package", "program", "--profile", which.profile, "--locked", "--target", &host];
    program::run(cargo.args(words).args(which.words).args(["--", NO_SSCANF, FIRST_DEFINITION]))?;
    Ok(workspace.target.join(host).join(which.profile).join("cotter"))
}

/// The compiler's own platform, which is the one that can be linked without a cross toolchain.
pub(crate) fn host() -> Result<String, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = program::output(Command::new(rustc).arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::Answer { program: "rustc -vV", what: text.clone() })
}

/// What the file takes in an image, as `mkinitramfs` of Debian 12 compresses by default.
fn compressed_bytes(path: &Path) -> Result<usize, Failure> {
    program::bytes(Command::new("zstd").args(["-q", "-9", "-c", "--"]).arg(path)).map(|bytes| bytes.len())
}

fn check(file: &[u8], compressed_bytes: Option<usize>, which: &Build) -> Result<(), String> {
    let linking = elf::linking(file).ok_or("not an ELF program")?;
    if linking.kind != Kind::StaticPie {
        return Err(format!("linked as {:?}, not as static-pie", linking.kind));
    }
    if !linking.stripped {
        return Err("still has its symbols; see [profile.release] in Cargo.toml".into());
    }
    below(file.len(), which.largest_bytes, "bytes")?;
    match (compressed_bytes, which.largest_compressed_bytes) {
        (Some(bytes), Some(largest)) => below(bytes, largest, "bytes in an initramfs"),
        _ => Ok(()),
    }
}

fn below(bytes: usize, largest: usize, of: &str) -> Result<(), String> {
    if bytes < largest { Ok(()) } else { Err(format!("{bytes} {of}, and fewer than {largest} are promised")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_too_large_is_refused() {
        assert_eq!(below(9, 10, "bytes"), Ok(()));
        assert_eq!(below(10, 10, "bytes"), Err("10 bytes, and fewer than 10 are promised".into()));
    }
}
