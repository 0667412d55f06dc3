//! New files that only their owner may read.

use crate::args::Format;
use crate::error::CommandError;
use crate::output;
use block::{BlockWrite, Bytes};
use json::Object;
use linux::{DiskError, FileDisk};
use std::fs::{self, File};
use std::path::Path;

/// Makes a file of this content, mode 0600, durable with its name. Nothing that exists is overwritten, and nothing is left of what
/// could not be written whole.
pub fn write(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let what = || format!("cannot write {}", path.display());
    let length = Bytes(u64::try_from(content.len()).unwrap_or(u64::MAX));
    let file = FileDisk::create(path, length).map_err(|source| not_made(path, source))?;
    let written = file.write_at(Bytes(0), content).and_then(|()| file.flush());
    written.map_err(|source| {
        // It is ours. Of its full length, it would pass for what it is not.
        let _ = fs::remove_file(path);
        CommandError::failed(what(), source).hint("is there room? `df`")
    })?;
    let synced = File::open(directory(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|source| CommandError::failed(what(), source))
}

/// Makes a file of this content, mode 0600, or puts it in the place of one, whole: who reads it meanwhile finds the one or the other.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    // What an attempt left behind that was broken off.
    let _ = fs::remove_file(new);
    write(new, content)?;
    let renamed = fs::rename(new, path).and_then(|()| File::open(directory(path))?.sync_all());
    renamed.map_err(|source| CommandError::failed(format!("cannot write {}", path.display()), source))
}

/// Says what [`write`] would do, to a program with what stands in `record` too.
pub fn plan(path: &Path, content: &[u8], format: Format, record: Object) -> Result<(), CommandError> {
    let directory = directory(path);
    if path.symlink_metadata().is_ok() {
        return Err(not_made(path, DiskError::Exists { path: path.to_owned() }));
    }
    if !directory.is_dir() {
        return Err(not_made(path, DiskError::NotFound { path: directory.to_owned() }));
    }
    let step = format!("write {} bytes into the new file {}", content.len(), path.display());
    output::record(format, record.with("would", step.as_str()), || format!("would {step}"))
}

fn not_made(path: &Path, source: DiskError) -> CommandError {
    let what = format!("cannot write {}", path.display());
    match source {
        DiskError::NotFound { .. } => {
            let directory = directory(path).display();
            CommandError::plain(format!("{what}: there is no directory {directory}")).hint("make it first: `mkdir -p`")
        }
        source => {
            let hint = source.hint();
            CommandError::failed(what, source).hint(hint)
        }
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
