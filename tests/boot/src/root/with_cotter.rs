//! A root with cotter in it: a layer above one that is there, and an image that its own framework builds in it.

use crate::place;
use compliance::Program;
use compliance::boot_log::sha256;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A quarter of a minute is usual.
const LIMIT: Duration = Duration::from_secs(600);
/// In a root that is whole: what it was made of. Written last.
const MADE_OF: &str = "recipe";

/// Makes a root with cotter above the plain root of this name and what `also` is in it, unless it is there and was made of the same.
pub(super) fn provide(plain: &str, also: &str) {
    let (directory, name) = (place::provided(place::ROOTS), format!("{plain}{also}"));
    let lock = File::create(directory.join("lock-cotter")).and_then(|file| file.lock().map(|()| file));
    let lock = lock.expect("cannot lock the directory of the roots");
    let (program, root) = (place::boot_program(), directory.join(format!("{name}-cotter")));
    let made_of = made_of(&directory.join(&name), &program);
    if fs::read_to_string(root.join(MADE_OF)).is_ok_and(|before| before == made_of) {
        return;
    }
    let unfinished = root.with_extension("unfinished");
    for old in [&root, &unfinished] {
        drop(fs::remove_dir_all(old));
    }
    fs::create_dir(&unfinished).expect("cannot make the directory of a root");
    // The end of `unshare` is the end of everything in it, and of its mounts.
    let recipe = Program::new("unshare").args(["--mount", "--pid", "--fork", "--kill-child", "sh"]);
    let recipe = recipe.arg(workspace("tests/boot/roots/recipe.sh")).arg(format!("{name}-cotter")).arg(&unfinished);
    recipe.arg(directory.join(plain)).arg(&program).limit(LIMIT).succeed();
    fs::write(unfinished.join(MADE_OF), made_of).expect("cannot write into a root");
    fs::rename(&unfinished, &root).expect("cannot name a root");
    drop(lock);
}

/// What decides how it comes out, each part by its digest: what is below it, the program, every file.
fn made_of(below: &Path, program: &Path) -> String {
    let mut files = vec![below.join(MADE_OF), program.to_owned()];
    list(&workspace("integration"), &mut files);
    list(&workspace("tests/boot/roots"), &mut files);
    let line = |file: &PathBuf| {
        let content = fs::read(file).unwrap_or_else(|why| panic!("`{}`: {why}", file.display()));
        let digest: String = sha256(&[&content]).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}  {}\n", file.file_name().unwrap_or_default().display())
    };
    files.iter().map(line).collect()
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|why| panic!("`{}`: {why}", directory.display()));
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("cannot read a directory").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() { list(&entry, files) } else { files.push(entry) }
    }
}

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
