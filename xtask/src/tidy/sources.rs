//! Rules about single files: where `unsafe` may stand, names, sizes, skipped tests.

use super::fault::{Fault, SourceFile};
use super::rust_text::{Token, tokens};

/// The only places for `unsafe`: the door to the cryptographic library, and the system calls.
const UNSAFE_ROOMS: &[&str] = &["crates/crypto/src/ffi.rs", "crates/linux/src/sys/", "crates/linux/src/sys.rs"];
/// The library roots above those rooms deny `unsafe` (the workspace's lint) where the others forbid it.
const DENYING_ROOTS: &[&str] = &["crates/crypto/src/lib.rs", "crates/linux/src/lib.rs"];
/// Names under which everything ends up, importing everything.
const NAMES_FOR_ANYTHING: &[&str] = &["utils", "util", "common", "manager"];

const LARGEST_BYTES: u64 = 400 * 1024;
/// A feeling and no limit (past this, ask what the file is a folder of), so it is reported and fails nothing.
const LONG_LINES: usize = 700;

/// Every rule that looks at one file at a time.
pub(super) fn check(files: &[SourceFile]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        if file.bytes > LARGEST_BYTES {
            faults
                .push(Fault::new(&file.path, format!("{} bytes; make it in the test, or make it smaller", file.bytes)));
        }
        let mut names = file.path.split(['/', '.']);
        if let Some(name) = names.find(|name| file.is_rust() && NAMES_FOR_ANYTHING.contains(name)) {
            faults.push(Fault::new(&file.path, format!("`{name}` says nothing; name it after what it holds")));
        }
        if file.is_rust() {
            faults.extend(check_code(&file.path, &tokens(&file.code())));
        }
    }
    faults
}

fn check_code(path: &str, code: &[Token]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let allowed = UNSAFE_ROOMS.iter().any(|room| path.starts_with(room));
    if !allowed && code.iter().any(|token| token.is("unsafe")) {
        faults.push(Fault::new(path, "`unsafe` outside of the two rooms that may have it"));
    }
    if has(code, &["#", "[", "ignore"]) {
        faults.push(Fault::new(path, "`#[ignore]`: a test that is not run proves nothing"));
    }
    faults
}

/// Each library and each program forbids `unsafe` in its root file.
pub(super) fn check_roots(files: &[SourceFile], roots: &[String]) -> Vec<Fault> {
    let forbids = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    let bare = |file: &&SourceFile| {
        roots.contains(&file.path)
            && !DENYING_ROOTS.contains(&file.path.as_str())
            && !has(&tokens(&file.code()), &forbids)
    };
    files.iter().filter(bare).map(|file| Fault::new(&file.path, "lacks `#![forbid(unsafe_code)]`")).collect()
}

/// Rust files that are longer than they should feel.
pub(super) fn long_files(files: &[SourceFile]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.is_rust());
    let lines = rust.map(|file| (file, file.text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > LONG_LINES);
    long.map(|(file, lines)| format!("{}: {lines} lines; what is it a folder of?", file.path)).collect()
}

fn has(code: &[Token], sequence: &[&str]) -> bool {
    code.windows(sequence.len()).any(|window| window.iter().zip(sequence).all(|(token, word)| token.is(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), bytes: text.len() as u64, text: text.into() }
    }

    fn check_one(path: &str, text: &str, expected: usize) {
        let faults = check(&[file(path, text)]);
        assert_eq!(faults.len(), expected, "{path}: {faults:?}");
    }

    #[test]
    fn unsafe_has_two_rooms() {
        let code = "fn f() { unsafe { g() } }";
        check_one("crates/crypto/src/ffi.rs", code, 0);
        check_one("crates/linux/src/sys/signal.rs", code, 0);
        check_one("crates/linux/src/system.rs", code, 1);
        check_one("crates/luks/src/lib.rs", code, 1);
        check_one("tests/compliance/tests/nbd.rs", code, 1);
        check_one("crates/luks/src/lib.rs", "// unsafe\nconst A: &str = \"unsafe\"; #![forbid(unsafe_code)]", 0);
    }

    #[test]
    fn names_that_hold_anything_are_faults() {
        check_one("crates/luks/src/utils.rs", "", 1);
        check_one("crates/luks/src/common/af.rs", "", 1);
        check_one("crates/luks/src/key_manager.rs", "", 0);
        check_one("docs/common.md", "", 0);
    }

    #[test]
    fn a_skipped_test_and_a_large_file_are_faults() {
        check_one("crates/luks/src/lib.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", 1);
        check_one("crates/luks/src/lib.rs", "/// #[ignore]\nfn ignore() {}", 0);
        let large = SourceFile { path: "vectors/disk.img".into(), bytes: LARGEST_BYTES + 1, text: String::new() };
        assert_eq!(check(&[large]).len(), 1);
    }

    #[test]
    fn each_root_forbids_unsafe() {
        let roots = ["a/src/lib.rs".to_owned(), "crates/crypto/src/lib.rs".to_owned()];
        let forbidding = file("a/src/lib.rs", "//! A.\n\n#![forbid(unsafe_code)]\n");
        assert_eq!(check_roots(&[forbidding, file("crates/crypto/src/lib.rs", "")], &roots), Vec::new());
        assert_eq!(check_roots(&[file("a/src/lib.rs", "// #![forbid(unsafe_code)]\n")], &roots).len(), 1);
    }

    #[test]
    fn a_long_file_is_reported() {
        assert!(long_files(&[file("a.rs", &"\n".repeat(LONG_LINES))]).is_empty());
        assert_eq!(long_files(&[file("a.rs", &"\n".repeat(LONG_LINES + 1)), file("a.md", "")]).len(), 1);
    }
}
