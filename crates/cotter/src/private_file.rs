//! New files that only their owner may read.

use crate::error::CommandError;
use block::{BlockWrite, Bytes};
use linux::{DiskError, FileDisk};
use std::fs::{self, File};
use std::path::Path;

/// Makes a file of this content, mode 0600, durable with its name. Nothing that exists is overwritten, and nothing is left of what
/// could not be written whole.
pub fn write(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let what = || format!("cannot write {}", path.display());
    let length = Bytes(u64::try_from(content.len()).unwrap_or(u64::MAX));
    let file = FileDisk::create(path, length).map_err(|source: DiskError| {
        let hint = source.hint();
        CommandError::failed(what(), source).hint(hint)
    })?;
    let written = file.write_at(Bytes(0), content).and_then(|()| file.flush());
    written.map_err(|source| {
        // It is ours. Of its full length, it would pass for what it is not.
        let _ = fs::remove_file(path);
        CommandError::failed(what(), source).hint("is there room? `df`")
    })?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| CommandError::failed(what(), source))
}
