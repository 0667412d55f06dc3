//! The kernel of the guest and its modules, where `cargo xtask setup` has unpacked them.

use crate::place;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Below Cargo's target directory.
const DIRECTORY: &str = "guest-kernel";

/// One kernel, with the modules that belong to it.
pub(super) struct Kernel {
    image: PathBuf,
    /// By name with `_` for `-`, as the modules themselves spell each other's names.
    modules: BTreeMap<String, PathBuf>,
}

impl Kernel {
    /// The one above this program, in whichever target directory that is.
    pub(super) fn find() -> Kernel {
        let place = place::provided(DIRECTORY);
        let files = files(&place);
        let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let image = files.iter().find(|file| name(file).starts_with("vmlinuz")).cloned();
        let module = |file: &PathBuf| Some((spelled(name(file).strip_suffix(".ko")?), file.clone()));
        let modules = files.iter().filter_map(module).collect();
        Kernel { image: image.expect("the guest's kernel is not whole; remove it and set up again"), modules }
    }

    pub(super) fn image(&self) -> &Path {
        &self.image
    }

    /// Names and contents of these modules and of all that they need, in the order in which they can be loaded.
    pub(super) fn modules(&self, wanted: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut loaded = Vec::new();
        wanted.iter().for_each(|name| self.load(&spelled(name), &mut loaded));
        loaded
    }

    fn load(&self, name: &str, loaded: &mut Vec<(String, Vec<u8>)>) {
        if loaded.iter().any(|(other, _)| other == name) {
            return;
        }
        let file = self.modules.get(name).unwrap_or_else(|| panic!("the guest's kernel has no module `{name}`"));
        let bytes = fs::read(file).expect("cannot read a module");
        needed(&bytes).iter().for_each(|other| self.load(other, loaded));
        loaded.push((name.to_owned(), bytes));
    }
}

fn spelled(name: &str) -> String {
    name.replace('-', "_")
}

/// What a module says it needs: `depends=A,B` among its strings that end in zero.
fn needed(module: &[u8]) -> Vec<String> {
    let strings = module.split(|byte| *byte == 0);
    let said = strings.filter_map(|string| str::from_utf8(string.strip_prefix(b"depends=")?).ok()).next();
    said.unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(spelled).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("cannot list the guest's kernel") {
            let path = entry.expect("cannot list the guest's kernel").path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(needed(b"\x7fELF\0license=GPL\0depends=dm-mod,crc16\0name=x\0"), ["dm_mod", "crc16"]);
        assert!(needed(b"\0depends=\0").is_empty());
        assert!(needed(b"xdepends=a\0").is_empty());
    }
}
