//! Rules about `Cargo.toml` and `clippy.toml` files.
//!
//! The files are read line by line and not as TOML: comments are what the first rule is about, and a TOML reader drops
//! them. It asks for the plain form that all of them have.

use super::fault::{Fault, SourceFile};

/// Each dependency of the root `Cargo.toml` stands under a comment that says what it is for; one comment may serve the
/// lines that follow it without a gap.
pub(super) fn check_reasons(manifest: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut explained = false;
    for line in section(manifest, "workspace.dependencies") {
        match line.trim_start().chars().next() {
            None => explained = false,
            Some('#') => explained = true,
            Some(_) if !explained => {
                let name = line.split(['=', '.']).next().unwrap_or(line).trim();
                faults.push(Fault::new(format!("Cargo.toml, {name}"), "has no comment that says what it is for"));
            }
            Some(_) => {}
        }
    }
    faults
}

/// A crate names its dependencies and nothing else: version, features and reason stand in the root. A path to a crate
/// that the root does not offer to every room, such as one of tests, is no version.
pub(super) fn check_inherited(files: &[SourceFile]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let manifests = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    for manifest in manifests {
        for name in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let lines = section(&manifest.text, name).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let own = lines.filter(|line| {
                let words = line.split('#').next().unwrap_or(line).replace(' ', "");
                !words.contains("workspace=true") && !words.contains("={path=")
            });
            faults.extend(
                own.map(|line| Fault::new(&manifest.path, format!("`{line}` belongs into the root Cargo.toml"))),
            );
        }
    }
    faults
}

/// Each core crate has the `clippy.toml` that bans the outside world, and it is the same one everywhere.
pub(super) fn check_bans(files: &[SourceFile], core: &[String]) -> Vec<Fault> {
    let bans = |directory: &String| {
        let path = format!("{directory}/clippy.toml");
        let text = files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
        (path, text)
    };
    let first = core.iter().map(bans).find_map(|(_, text)| text).unwrap_or_default();
    let judge = |(path, text): (String, Option<&str>)| match text {
        None => Some(Fault::new(path, "is missing; copy it from another core crate")),
        Some(text) if text != first => Some(Fault::new(path, "differs from the one of the other core crates")),
        Some(text) if !text.contains("disallowed-methods") => Some(Fault::new(path, "bans nothing")),
        Some(_) => None,
    };
    core.iter().map(bans).filter_map(judge).collect()
}

/// The lines of `[name]`, without its heading.
fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let heading = format!("[{name}]");
    let body = manifest.lines().skip_while(move |line| line.trim() != heading).skip(1);
    body.take_while(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), bytes: 0, text: text.into() }
    }

    #[test]
    fn a_dependency_without_a_reason_is_a_fault() {
        let manifest = "[workspace]\nmembers = []\n\n[workspace.dependencies]\n# Hashes.\nsha1 = \"1\"\nsha2 = \"1\"\n\n\
                        bare = \"1\"\n# Wiping.\nzeroize = { version = \"1\" }\n\n[profile.dev]\nopt-level = 1\n";
        assert_eq!(
            check_reasons(manifest),
            [Fault::new("Cargo.toml, bare", "has no comment that says what it is for")]
        );
    }

    #[test]
    fn a_dependency_with_a_version_of_its_own_is_a_fault() {
        let good = "[dependencies]\n# why\nserde.workspace = true\nclap = { workspace = true }\n\n[dev-dependencies]\n";
        assert_eq!(check_inherited(&[file("crates/a/Cargo.toml", good)]), Vec::new());
        let path = "[dependencies]\ncompliance = { path = \"../tests/compliance\" }\n";
        assert_eq!(check_inherited(&[file("benches/Cargo.toml", path)]), Vec::new());
        let bad = "[package]\nname = \"b\"\n[dev-dependencies]\ntempfile = \"3\" # workspace = true\n";
        assert_eq!(check_inherited(&[file("crates/b/Cargo.toml", bad)]).len(), 1);
    }

    #[test]
    fn bans_must_be_there_and_alike() {
        let core = ["crates/a".to_owned(), "crates/b".to_owned()];
        let ban = "disallowed-methods = []\n";
        let check = |b: &[SourceFile], expected: usize| assert_eq!(check_bans(b, &core).len(), expected);
        check(&[file("crates/a/clippy.toml", ban), file("crates/b/clippy.toml", ban)], 0);
        check(&[file("crates/a/clippy.toml", ban)], 1);
        check(&[file("crates/a/clippy.toml", ban), file("crates/b/clippy.toml", "disallowed-methods = [1]\n")], 1);
        check(&[file("crates/a/clippy.toml", "#\n"), file("crates/b/clippy.toml", "#\n")], 2);
    }
}
