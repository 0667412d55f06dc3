//! Who made an image, by the files that only one of them puts there.

use crate::Image;
use std::fmt;

/// A builder of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// Debian's initramfs-tools.
    InitramfsTools,
    /// dracut.
    Dracut,
    /// Arch's mkinitcpio.
    Mkinitcpio,
}

/// What runs first in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd.
    Systemd,
    /// A script of the builder's.
    Script,
}

impl Framework {
    /// The builder of this image; `None` for one that is not known here.
    pub fn of(image: &Image<'_>) -> Option<Framework> {
        let has = |path: &str| image.find(path).is_some();
        match () {
            // initramfs-tools 0.100 to 0.148: init sources both of them.
            () if has("scripts/functions") && has("conf/initramfs.conf") => Some(Framework::InitramfsTools),
            // dracut 033 to 107.
            () if image.has_below("usr/lib/dracut") || image.has_below("lib/dracut") => Some(Framework::Dracut),
            // mkinitcpio 14 to 39.
            () if has("init_functions") || (has("buildconfig") && has("config")) => Some(Framework::Mkinitcpio),
            () => None,
        }
    }
}

impl Init {
    /// What runs first in this image.
    pub fn of(image: &Image<'_>) -> Init {
        let is_systemd = image.place_of("init").is_some_and(|place| place.ends_with(b"/systemd"));
        if is_systemd { Init::Systemd } else { Init::Script }
    }
}

/// As its makers call it.
impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framework::InitramfsTools => "initramfs-tools",
            Framework::Dracut => "dracut",
            Framework::Mkinitcpio => "mkinitcpio",
        })
    }
}
