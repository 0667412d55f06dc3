//! Volumes that will be asked for, known before anybody asks: who asks for one after the other finds all secrets ready.

use super::events::say;
use crate::args::Device;
use crate::crypttab_line;
use earlynet::CommandLine;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use unlock::crypttab::{self, Entry, Key, Kind, Setting};

/// The tables of an image of initramfs-tools, and of one of dracut.
const TABLES: [&str; 2] = ["/cryptroot/crypttab", "/etc/crypttab"];

/// A line of a table whose volume may be opened by its bindings.
pub struct Line {
    /// What it says.
    pub entry: Entry,
    /// Its disks.
    pub device: Device,
}

/// The lines of this table, or of the first of the usual ones that is there. Each that cannot be followed is told, and takes no other with
/// it.
pub fn lines(table: Option<&Path>) -> Vec<Line> {
    read(table, &is_ours)
}

/// The line of this name, whatever it has for a key.
pub fn line_of(table: Option<&Path>, name: &str) -> Option<Line> {
    read(table, &|entry| entry.name == name && is_luks(entry)).pop()
}

fn read(table: Option<&Path>, wanted: &dyn Fn(&Entry) -> bool) -> Vec<Line> {
    let usual = TABLES.iter().map(Path::new);
    for path in table.map_or_else(|| usual.collect(), |path| vec![path]) {
        match linux::read_regular_file(path, crypttab::LONGEST_FILE as u64 + 1) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => say(None, &format!("{} cannot be read: {error}", path.display())),
            Ok(text) => return of(path, &text, wanted),
        }
    }
    Vec::new()
}

fn of(path: &Path, text: &[u8], wanted: &dyn Fn(&Entry) -> bool) -> Vec<Line> {
    let table = match crypttab::parse(text) {
        Ok(table) => table,
        Err(error) => {
            say(None, &format!("{}: {error}", path.display()));
            return Vec::new();
        }
    };
    table.faults.iter().for_each(|fault| say(None, &format!("{}: {fault}: the line is passed over", path.display())));
    let mut lines = Vec::new();
    for entry in table.entries.into_iter().filter(wanted) {
        match crypttab_line::device(Path::new("/"), &entry) {
            Ok(device) => lines.push(Line { entry, device }),
            Err(why) => say(None, &format!("{}: line {}: {why}: it is passed over", path.display(), entry.line)),
        }
    }
    lines
}

/// Whether a person would be asked. A key script or a file has its own way.
fn is_ours(entry: &Entry) -> bool {
    let scripted = entry.settings.iter().any(|setting| matches!(setting, Setting::Keyscript(_)));
    is_luks(entry) && entry.key == Key::Ask && !scripted
}

fn is_luks(entry: &Entry) -> bool {
    matches!(entry.kind(), Kind::Luks | Kind::Unstated)
}

/// The volumes that the kernel's command line names to dracut and systemd.
pub fn words(command_line: &Path) -> Vec<PathBuf> {
    let Ok(line) = fs::read(command_line) else { return Vec::new() };
    let Ok(line) = CommandLine::parse(&line) else { return Vec::new() };
    let named = ["rd.luks.uuid", "rd.luks.name", "luks.uuid", "luks.name"];
    let values = named.iter().flat_map(|key| line.values(key).map(str::to_owned).collect::<Vec<_>>());
    let uuid = |value: String| value.split('=').next().unwrap_or_default().trim_start_matches("luks-").to_lowercase();
    let is_whole =
        |uuid: &String| uuid.len() == 36 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    values.map(uuid).filter(is_whole).map(|uuid| Path::new("/dev/disk/by-uuid").join(uuid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_which_volumes_will_be_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crypttab");
        let uuid = "3F9F4AB4-0f2c-4a0e-9d5c-6c8f4b0a1d2e";
        let text = format!(
            "root UUID={uuid} none luks,discard\nscripted /dev/vda3 none luks,keyscript=/bin/x\nfile /dev/vda4 /key luks\n\
             swap /dev/vda5 /dev/urandom swap\nbroken\ndata /dev/vda6 none luks,header=/h\n"
        );
        fs::write(&path, text).unwrap();
        let found: Vec<_> = lines(Some(&path)).into_iter().map(|line| (line.entry.name, line.device)).collect();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["root", "data"]);
        assert_eq!(found[0].1.path, Path::new("/dev/disk/by-uuid/3f9f4ab4-0f2c-4a0e-9d5c-6c8f4b0a1d2e"));
        assert_eq!(found[1].1.detached_header.as_deref(), Some(Path::new("/h")));
        assert!(lines(Some(&dir.path().join("nowhere"))).is_empty());
        fs::write(&path, vec![b'\n'; 1 << 21]).unwrap();
        assert!(lines(Some(&path)).is_empty());
    }

    #[test]
    fn the_command_line_names_volumes_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cmdline");
        let uuid = "3f9f4ab4-0f2c-4a0e-9d5c-6c8f4b0a1d2e";
        fs::write(
            &path,
            format!("rd.luks.uuid=luks-{uuid} rd.luks.name={uuid}=root rd.luks.uuid=../x rd.luks.uuid=luks-3f9f"),
        )
        .unwrap();
        let place = Path::new("/dev/disk/by-uuid").join(uuid);
        assert_eq!(words(&path), [place.clone(), place]);
    }
}
