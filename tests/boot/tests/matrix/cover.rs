//! Every framework, layout and way to open a volume, in pairs: nobody is at the console, and the boot comes to its root file system.

use boot::cover::{ROWS, Row};
use boot::means::{Means, Way};
use boot::root::Root;
use boot::system::System;
use compliance::Disk;

/// Each volume is bound in its own way, and all are open when the root takes over.
#[track_caller]
pub(crate) fn opens_by_itself(row: &Row) {
    let Row { framework, layers, ways } = *row;
    let root = Root::with_cotter(framework);
    let (disk, data) = layers.disks();
    let volumes: Vec<&Disk> = std::iter::once(&disk.luks).chain(data.iter().map(|data| &data.luks)).collect();
    let mut means = Means::new();
    volumes.iter().zip(ways).for_each(|(volume, way)| means.bind(volume, *way));
    let needs_tpm = ways.iter().any(|way| matches!(way, Way::Tpm | Way::Both));
    let tpm = needs_tpm.then(|| means.tpm());
    let system = data.iter().fold(System::new(&root, &disk), |system, data| system.data(data));
    let system = tpm.iter().fold(means.system(system, ways, &volumes), |system, tpm| system.tpm(tpm));
    let ways: Vec<String> = ways.iter().map(|way| format!("{way:?}")).collect();
    let boot = system.start(&format!("{framework}-{layers:?}-{}", ways.join("-")));
    boot.until("switch-root");
    let seen = boot.end();
    for wanted in std::iter::once(disk.wanted()).chain(data.iter().map(boot::disk::DataDisk::wanted)) {
        seen.mark(&format!("open {}", wanted.name));
    }
    println!("{framework}, {layers:?}: root open after {:.1} s", seen.until("open root").0);
}

/// One test for each row, so that one that fails stops no other.
macro_rules! rows {
    ($($name:ident $number:literal)*) => {
        const _: () = assert!([$($number),*].len() == ROWS.len());
        $(#[test]
        fn $name() {
            opens_by_itself(ROWS.get($number).unwrap());
        })*
    };
}

rows! {
    row_0 0 row_1 1 row_2 2 row_3 3 row_4 4 row_5 5 row_6 6 row_7 7 row_8 8 row_9 9 row_10 10 row_11 11 row_12 12 row_13 13 row_14 14
}
