//! The disks of a system, as files made without root: its root volume in one of three layouts, and volumes of data.
//!
//! A boot ends where the root file system takes over, so that one is small: a first process that says so and ends the machine.

mod layered;
mod small;

use compliance::Disk;
use compliance::disk::Cipher;
use std::path::PathBuf;

/// How the root file system lies on its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In the encrypted volume.
    Plain,
    /// On a logical volume in the encrypted one.
    LvmOnLuks,
    /// In the encrypted volume, which lies on a mirror of two disks.
    LuksOnMd,
}

/// A volume that an initramfs has to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of its mapping.
    pub name: String,
    /// Of its LUKS header.
    pub uuid: String,
}

/// The disks that the root file system is on.
pub struct RootDisk {
    /// The encrypted volume: to be bound, and looked at.
    pub luks: Disk,
    layout: Layout,
}

impl RootDisk {
    /// The UUID of its LUKS header, on every one of them: an initramfs is made before the disk.
    pub const UUID: &'static str = "11111111-1111-4111-8111-111111111111";

    /// A logical volume over two encrypted ones, each with one keyslot: the second is opened like a volume of data.
    pub fn over_two() -> (RootDisk, DataDisk) {
        let [luks, second] = layered::lvm_over_two();
        luks.name(RootDisk::UUID);
        (RootDisk { luks, layout: Layout::LvmOnLuks }, DataDisk::of(second, 1))
    }

    /// With one keyslot, for [`compliance::disk::PASSPHRASE`].
    pub fn new(layout: Layout) -> RootDisk {
        let luks = match layout {
            Layout::LvmOnLuks => layered::lvm_on_luks(),
            Layout::Plain | Layout::LuksOnMd => {
                let luks = Disk::blank(small::ROOT_BYTES);
                small::make_root(&luks.path());
                luks.encrypt(Cipher::USUAL, small::PERSON);
                luks
            }
        };
        luks.name(RootDisk::UUID);
        RootDisk { luks, layout }
    }

    /// The files that a machine gets as its disks, as they are now.
    pub fn files(&self) -> Vec<PathBuf> {
        match self.layout {
            Layout::Plain | Layout::LvmOnLuks => vec![self.luks.path()],
            Layout::LuksOnMd => layered::mirror(&self.luks, layered::ROOT_MIRROR),
        }
    }

    /// What the initramfs has to open.
    pub fn wanted(&self) -> Wanted {
        Wanted { name: "root".into(), uuid: RootDisk::UUID.into() }
    }

    /// Words of the kernel's command line that lead to the root file system.
    pub fn command_line(&self) -> String {
        match self.layout {
            Layout::Plain => "root=/dev/mapper/root".into(),
            Layout::LvmOnLuks => "root=/dev/mapper/system-root rd.lvm.vg=system".into(),
            Layout::LuksOnMd => format!("root=/dev/mapper/root rd.md.uuid={}", layered::ROOT_MIRROR),
        }
    }
}

/// Which LUKS a volume of data has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// LUKS1.
    One,
    /// LUKS2.
    Two,
}

/// A volume of data beside the root, with a file system.
pub struct DataDisk {
    /// The encrypted volume.
    pub luks: Disk,
    wanted: Wanted,
    on_mirror: bool,
}

impl DataDisk {
    /// With one keyslot, for [`compliance::disk::PASSPHRASE`]. `number` tells several apart, from 1 to 9.
    pub fn new(version: Version, number: u8) -> DataDisk {
        let luks = match version {
            Version::One => layered::data("luks1", small::PERSON_LUKS1),
            Version::Two => layered::data("luks2", small::PERSON),
        };
        DataDisk::of(luks, number)
    }

    /// LUKS2 on a mirror of two disks of its own.
    pub fn on_mirror(number: u8) -> DataDisk {
        DataDisk { on_mirror: true, ..DataDisk::new(Version::Two, number) }
    }

    fn of(luks: Disk, number: u8) -> DataDisk {
        let uuid = format!("22222222-2222-4222-8222-22222222222{number}");
        luks.name(&uuid);
        DataDisk { luks, wanted: Wanted { name: format!("data{number}"), uuid }, on_mirror: false }
    }

    /// The files that a machine gets as its disks, as they are now.
    pub fn files(&self) -> Vec<PathBuf> {
        if self.on_mirror { layered::mirror(&self.luks, layered::DATA_MIRROR) } else { vec![self.luks.path()] }
    }

    /// The UUID of the mirror it is on.
    pub(crate) fn mirror(&self) -> Option<&'static str> {
        self.on_mirror.then_some(layered::DATA_MIRROR)
    }

    /// What the system has to open.
    pub fn wanted(&self) -> Wanted {
        self.wanted.clone()
    }
}
