//! The workspace as `cargo metadata` describes it: its members, and what each of them depends on.

use crate::failure::Failure;
use crate::program;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The workspace: where it is and who belongs to it.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the developer has put it.
    pub(crate) target: PathBuf,
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The directory of its `Cargo.toml`, relative to the root.
    pub(crate) directory: PathBuf,
    /// Root files of its library and programs, relative to the root; not those of tests.
    pub(crate) roots: Vec<PathBuf>,
    /// Crates of the workspace it depends on, dev-dependencies aside.
    pub(crate) arrows: Vec<String>,
}

impl Workspace {
    /// Asks `cargo metadata`; `--locked`, so that a stale lock file is an error and not a silent update.
    pub(crate) fn load() -> Result<Workspace, Failure> {
        let root = root();
        let text =
            program::output(program::cargo(&root).args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
        let (target, members) = read_metadata(&text, &root)
            .ok_or_else(|| Failure::Answer { program: "cargo metadata", what: "a member is missing".into() })?;
        Ok(Workspace { root, target, members })
    }
}

/// The directory above this crate. Asked at run time first, so that a moved checkout finds itself.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Reads the answer of `cargo metadata --no-deps`. `None` if it is not shaped as Cargo documents it.
fn read_metadata(text: &str, root: &Path) -> Option<(PathBuf, Vec<Member>)> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let target = answer.get("target_directory")?.as_str()?.into();
    let packages = answer.get("packages")?.as_array()?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package.get("name")?.as_str()).collect();
    let members = packages.iter().map(|package| read_member(package, &names, root)).collect::<Option<_>>()?;
    Some((target, members))
}

fn read_member(package: &Value, names: &[&str], root: &Path) -> Option<Member> {
    let inside = |path: &Value| -> Option<PathBuf> { Some(Path::new(path.as_str()?).strip_prefix(root).ok()?.into()) };
    let is_root = |target: &&Value| {
        let kinds = target.get("kind").and_then(Value::as_array);
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| matches!(kind.as_str(), Some("lib" | "bin"))))
    };
    let mut arrows = Vec::new();
    for dependency in package.get("dependencies")?.as_array()? {
        let name = dependency.get("name")?.as_str()?;
        if names.contains(&name) && dependency.get("kind")?.as_str() != Some("dev") {
            arrows.push(name.to_owned());
        }
    }
    let targets = package.get("targets")?.as_array()?;
    Some(Member {
        name: package.get("name")?.as_str()?.to_owned(),
        directory: inside(package.get("manifest_path")?)?.parent()?.into(),
        roots: targets.iter().filter(is_root).map(|target| inside(target.get("src_path")?)).collect::<Option<_>>()?,
        arrows,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_member_knows_its_arrows_and_its_roots() {
        let text = r#"{"target_directory":"/w/target","packages":[
            {"name":"jose","manifest_path":"/w/crates/jose/Cargo.toml",
             "targets":[{"kind":["lib"],"src_path":"/w/crates/jose/src/lib.rs"},
                        {"kind":["test"],"src_path":"/w/crates/jose/tests/rfc.rs"}],
             "dependencies":[{"name":"json","kind":null},{"name":"base64","kind":null},{"name":"block","kind":"dev"}]},
            {"name":"json","manifest_path":"/w/crates/json/Cargo.toml","targets":[],"dependencies":[]},
            {"name":"block","manifest_path":"/w/crates/block/Cargo.toml","targets":[],"dependencies":[]}]}"#;
        let (target, members) = read_metadata(text, Path::new("/w")).unwrap();
        assert_eq!(target, Path::new("/w/target"));
        let expected = Member {
            name: "jose".into(),
            directory: "crates/jose".into(),
            roots: vec!["crates/jose/src/lib.rs".into()],
            arrows: vec!["json".into()],
        };
        assert_eq!(members.first(), Some(&expected));
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        for text in ["", "{}", r#"{"target_directory":"t","packages":[{}]}"#] {
            assert!(read_metadata(text, Path::new("/w")).is_none(), "{text}");
        }
    }
}
