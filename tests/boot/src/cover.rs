//! Which boots stand for all: every pair of framework, layout and way to open occurs in one of them.
//!
//! There are as many pairs of a layout and a way as would take 28 boots with one volume each, so each boot has several volumes, and every one
//! of them is opened in a way of its own.

use crate::disk::{DataDisk, Layout, RootDisk, Version};
use crate::means::Way::{self, Authority, Both, Dhcp, Name, ServerKey, Static, Tpm};
use crate::root::Framework::{self, Dracut, InitramfsTools};

/// What lies on the disks of a boot; the root's volume is the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// The root's volume and another one, as for swap.
    Root,
    /// The root's volume, data in LUKS1 and data in LUKS2.
    Data,
    /// A root striped by LVM over two volumes.
    Lvm,
    /// The root's volume and another one, each on a mirror of its own.
    Mirror,
}

impl Layers {
    /// All of them.
    pub const ALL: [Layers; 4] = [Layers::Root, Layers::Data, Layers::Lvm, Layers::Mirror];

    /// The disks, with a keyslot each for [`compliance::disk::PASSPHRASE`].
    pub fn disks(self) -> (RootDisk, Vec<DataDisk>) {
        match self {
            Layers::Root => (RootDisk::new(Layout::Plain), vec![DataDisk::new(Version::Two, 1)]),
            Layers::Data => {
                let data =
                    [(Version::One, 1), (Version::Two, 2)].map(|(version, number)| DataDisk::new(version, number));
                (RootDisk::new(Layout::Plain), data.into())
            }
            Layers::Lvm => {
                let (root, second) = RootDisk::over_two();
                (root, vec![second])
            }
            Layers::Mirror => (RootDisk::new(Layout::LuksOnMd), vec![DataDisk::on_mirror(1)]),
        }
    }
}

/// One boot.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What made the initramfs.
    pub framework: Framework,
    /// Its disks.
    pub layers: Layers,
    /// For each volume the way it opens.
    pub ways: &'static [Way],
}

const fn row(framework: Framework, layers: Layers, ways: &'static [Way]) -> Row {
    Row { framework, layers, ways }
}

/// All boots.
pub const ROWS: [Row; 15] = [
    row(InitramfsTools, Layers::Root, &[Static, Name]),
    row(Dracut, Layers::Root, &[Dhcp, Tpm]),
    row(InitramfsTools, Layers::Root, &[Authority, ServerKey]),
    row(Dracut, Layers::Root, &[Both, Static]),
    row(Dracut, Layers::Data, &[Static, Name, Tpm]),
    row(InitramfsTools, Layers::Data, &[Dhcp, Authority, Both]),
    row(Dracut, Layers::Data, &[ServerKey, Dhcp, Name]),
    row(InitramfsTools, Layers::Lvm, &[Static, Tpm]),
    row(Dracut, Layers::Lvm, &[Dhcp, Name]),
    row(InitramfsTools, Layers::Lvm, &[ServerKey, Both]),
    row(Dracut, Layers::Lvm, &[Authority, Static]),
    row(Dracut, Layers::Mirror, &[Static, ServerKey]),
    row(InitramfsTools, Layers::Mirror, &[Dhcp, Tpm]),
    row(Dracut, Layers::Mirror, &[Both, Authority]),
    row(InitramfsTools, Layers::Mirror, &[Name, Static]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_at_most_twenty_boots() {
        assert!(ROWS.len() <= 20);
        let some = |is: &dyn Fn(&Row) -> bool| ROWS.iter().any(is);
        for layers in Layers::ALL {
            for framework in Framework::BOTH {
                assert!(some(&|row| row.framework == framework && row.layers == layers), "{framework} {layers:?}");
            }
            for way in Way::ALL {
                assert!(some(&|row| row.layers == layers && row.ways.contains(&way)), "{layers:?} {way:?}");
            }
        }
        for framework in Framework::BOTH {
            for way in Way::ALL {
                assert!(some(&|row| row.framework == framework && row.ways.contains(&way)), "{framework} {way:?}");
            }
        }
    }

    /// An address is given or asked for, and not both.
    #[test]
    fn every_boot_can_be() {
        for row in ROWS {
            let volumes = if row.layers == Layers::Data { 3 } else { 2 };
            assert_eq!(row.ways.len(), volumes, "{row:?}");
            assert!(!(row.ways.contains(&Static) && row.ways.contains(&Dhcp)), "{row:?}");
        }
    }
}
