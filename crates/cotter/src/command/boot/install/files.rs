//! The files that a system gets: those of `integration`, by what makes its images.

use bootimage::{Framework, Init};

/// A file of ours on a system.
pub struct Placed {
    /// Whose it is; `None`: of each system with systemd.
    framework: Option<Framework>,
    /// Where it goes on the system.
    pub path: &'static str,
    /// Who may do what with it.
    pub mode: u32,
    /// What it says.
    pub content: &'static str,
    /// Where the builder puts it in an image, and of which kind that has to be.
    inside: Option<(&'static str, Option<Init>)>,
    /// Whether it comes last, after the images were made: it is called by what makes them.
    pub is_called_after: bool,
}

/// One of initramfs-tools: a script that builds or is in the image.
macro_rules! script {
    ($file:literal, $path:literal, $inside:expr) => {
        Placed {
            framework: Some(Framework::InitramfsTools),
            path: $path,
            mode: 0o755,
            content: include_str!(concat!("../../../../../../integration/initramfs-tools/", $file)),
            inside: $inside,
            is_called_after: false,
        }
    };
}

const FILES: &[Placed] = &[
    script!("hook", "/etc/initramfs-tools/hooks/cotter", None),
    script!(
        "scripts/init-premount",
        "/etc/initramfs-tools/scripts/init-premount/cotter",
        Some(("scripts/init-premount/cotter", None))
    ),
    script!(
        "scripts/local-top",
        "/usr/share/initramfs-tools/scripts/local-top/cotter",
        Some(("scripts/local-top/cotter", None))
    ),
    script!(
        "scripts/local-block",
        "/usr/share/initramfs-tools/scripts/local-block/cotter",
        Some(("scripts/local-block/cotter", None))
    ),
    script!(
        "scripts/init-bottom",
        "/etc/initramfs-tools/scripts/init-bottom/cotter",
        Some(("scripts/init-bottom/cotter", None))
    ),
    script!("scripts/panic", "/etc/initramfs-tools/scripts/panic/cotter", Some(("scripts/panic/cotter", None))),
    Placed {
        is_called_after: true,
        ..script!("zz-cotter-check", "/etc/initramfs/post-update.d/zz-cotter-check", None)
    },
];

/// The files of a system of this kind.
pub fn of(framework: Framework) -> impl Iterator<Item = &'static Placed> {
    FILES.iter().filter(move |file| file.framework.is_none_or(|of| of == framework))
}

/// Paths in an image, and what lies there.
pub fn inside(framework: Framework, init: Init) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    of(framework).filter_map(move |file| {
        let (path, kind) = file.inside?;
        kind.is_none_or(|kind| kind == init).then_some((path, Some(file.content)))
    })
}
