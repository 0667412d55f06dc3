//! What a line of crypttab names, as files of the system that it is of.

use crate::args::Device;
use std::path::{Path, PathBuf};
use unlock::crypttab::{self, Entry, Setting};

/// The disk of a line, and that of its header.
pub fn device(root: &Path, entry: &Entry) -> Result<Device, &'static str> {
    let header = entry.settings.iter().rev().find_map(|setting| match setting {
        Setting::Header(place) => Some(place),
        _ => None,
    });
    if header.is_some_and(|place| place.device.is_some()) {
        return Err("its header is on a disk that has to be mounted for it");
    }
    let detached_header = header.map(|place| below(root, &place.path));
    Ok(Device { path: place(root, &entry.device), detached_header })
}

/// The file of a device.
fn place(root: &Path, device: &crypttab::Device) -> PathBuf {
    let by = |kind: &str, value: &str| format!("dev/disk/by-{kind}/{value}");
    let path = match device {
        crypttab::Device::Path(path) => path.clone(),
        crypttab::Device::Uuid(value) => by("uuid", &value.to_lowercase()),
        crypttab::Device::PartUuid(value) => by("partuuid", &value.to_lowercase()),
        crypttab::Device::Label(value) => by("label", value),
        crypttab::Device::PartLabel(value) => by("partlabel", value),
        crypttab::Device::Id(value) => by("id", value),
    };
    below(root, &path)
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
