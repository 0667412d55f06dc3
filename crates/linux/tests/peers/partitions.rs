//! Partition tables: what `sfdisk` and `fdisk` make we read alike, and what we write they find nothing wrong with.

use crate::tool::{run, said, succeed, tool};
use block::partition::gpt::{self, NewPartition};
use block::partition::{Copies, Damage, HeaderFault, Kind, Partition, Scheme, SectorSize, Table, Uuid, read};
use block::{BlockWrite, Bytes};
use linux::{Access, FileDisk};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

fn sfdisk() -> Command {
    tool("sfdisk", "fdisk")
}

/// Has `program` read `script` from its standard input.
fn feed(program: &mut Command, path: &Path, script: &str) {
    let mut child =
        program.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", said(&output));
}

/// A new image partitioned by `sfdisk`.
fn made_by_sfdisk(folder: &Path, script: &str) -> FileDisk {
    let path = folder.join("disk.img");
    FileDisk::create(&path, Bytes(64 * MIB)).unwrap();
    feed(sfdisk().args(["--quiet", "--no-reread"]), &path, script);
    FileDisk::open(&path, Access::Write).unwrap()
}

fn table(disk: &FileDisk) -> Table {
    read(disk).unwrap().expect("a partition table")
}

fn damage(table: &Table) -> Option<&Damage> {
    match &table.scheme {
        Scheme::Gpt { damage, .. } => damage.as_ref(),
        Scheme::Mbr { .. } => panic!("not a GPT: {table:?}"),
    }
}

/// What `sfdisk --dump` says about each partition that holds data: number, start, length, type, name.
fn dump(disk: &FileDisk) -> Vec<(u32, u64, u64, String, String)> {
    let text = succeed(&mut sfdisk(), [Path::new("--dump"), disk.path()]);
    let unit = text.lines().find_map(|line| line.strip_prefix("sector-size: ")).unwrap().parse::<u64>().unwrap();
    let device = disk.path().to_str().unwrap();
    let partitions = text.lines().filter_map(|line| line.strip_prefix(device)).map(|line| {
        let (number, fields) = line.split_once(" : ").unwrap();
        let field = |name: &str| {
            let of_name =
                |field: &str| field.trim().strip_prefix(name)?.strip_prefix('=').map(str::trim).map(str::to_owned);
            fields.split(',').find_map(of_name).unwrap_or_default()
        };
        let sectors = |name| field(name).parse::<u64>().unwrap() * unit;
        let name = field("name").trim_matches('"').to_owned();
        (number.trim().parse().unwrap(), sectors("start"), sectors("size"), field("type").to_lowercase(), name)
    });
    partitions.filter(|(.., kind, _)| kind != "5" && kind != "f").collect()
}

/// The same from our reading.
fn ours(table: &Table) -> Vec<(u32, u64, u64, String, String)> {
    let kind = |partition: &Partition| match partition.kind {
        Kind::Mbr(byte) => format!("{byte:x}"),
        Kind::Gpt(uuid) => uuid.to_string(),
    };
    table.partitions.iter().map(|p| (p.number, p.start.0, p.length.0, kind(p), p.name.clone())).collect()
}

#[test]
fn a_gpt_by_sfdisk_is_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let script = "label: gpt\n\
        1 : size=8M, name=\"root luks\", type=CA7D7CCB-63ED-4C53-861C-1742536059CC\n\
        5 : size=4M, name=\"far\"\n\
        3 : size=1M\n";
    let disk = made_by_sfdisk(folder.path(), script);
    let table = table(&disk);
    assert!(damage(&table).is_none());
    assert_eq!(table.partitions[0].kind, Kind::Gpt(gpt::LINUX_LUKS));
    assert_eq!(ours(&table).len(), 3);
    assert_eq!(ours(&table), dump(&disk));
}

#[test]
fn an_mbr_with_logical_partitions_by_sfdisk_is_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let script = "label: dos\n\
        1 : start=2048, size=16384, type=83, bootable\n\
        2 : start=20480, size=90112, type=5\n\
        5 : start=22528, size=8192, type=83\n\
        6 : start=32768, size=2048, type=82\n\
        7 : start=36864, size=2048, type=8e\n";
    let disk = made_by_sfdisk(folder.path(), script);
    let table = table(&disk);
    assert!(matches!(table.scheme, Scheme::Mbr { disk_id } if disk_id != 0));
    assert_eq!(ours(&table).len(), 4);
    assert_eq!(ours(&table), dump(&disk));
}

#[test]
fn an_empty_table_is_not_the_same_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let disk = made_by_sfdisk(folder.path(), "label: gpt\n");
    assert!(table(&disk).partitions.is_empty());
    let blank = FileDisk::create(folder.path().join("blank.img"), Bytes(MIB)).unwrap();
    assert!(read(&blank).unwrap().is_none());
}

#[test]
fn each_copy_of_a_gpt_by_sfdisk_stands_in_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let disk = made_by_sfdisk(folder.path(), "label: gpt\nsize=8M\nsize=4M\n");
    let good = ours(&table(&disk));
    disk.write_at(Bytes(1024 + 4), b"damage").unwrap();
    let primary_gone = table(&disk);
    assert!(matches!(
        damage(&primary_gone),
        Some(Damage { copy: Copies::Primary, fault: HeaderFault::EntriesChecksum })
    ));
    assert_eq!(ours(&primary_gone), good);
    assert_eq!(dump(&disk), good, "sfdisk takes the second copy too");

    let disk = FileDisk::open(disk.path(), Access::Write).unwrap();
    disk.write_at(Bytes(64 * MIB - 512), &[0; 512]).unwrap();
    assert!(read(&disk).is_err(), "both copies are gone");
}

#[test]
fn four_kilobyte_sectors_by_fdisk_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("4k.img");
    let disk = FileDisk::create(&path, Bytes(64 * MIB)).unwrap();
    // New label; partition 1 from sector 256, of 8 MiB; partition 2 from there on, of 4 MiB; write.
    feed(tool("fdisk", "fdisk").args(["--sector-size", "4096"]), &path, "g\nn\n1\n\n+8M\nn\n2\n\n+4M\nw\n");
    let table = table(&disk);
    assert!(matches!(table.scheme, Scheme::Gpt { sector_size: SectorSize::B4096, damage: None, .. }), "{table:?}");
    let places: Vec<_> = table.partitions.iter().map(|p| (p.number, p.start.0, p.length.0)).collect();
    assert_eq!(places, [(1, MIB, 8 * MIB), (2, 9 * MIB, 4 * MIB)]);
}

fn new(number: u8, name: &str, start: u64, length: u64) -> NewPartition {
    NewPartition {
        kind: gpt::LINUX_LUKS,
        uuid: Uuid::from_bytes([number; 16]),
        name: name.to_owned(),
        start: Bytes(start),
        length: Bytes(length),
    }
}

#[test]
fn what_we_write_sfdisk_finds_good() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FileDisk::create(folder.path().join("disk.img"), Bytes(64 * MIB)).unwrap();
    let (_, highest) = gpt::usable(Bytes(64 * MIB), SectorSize::B512).unwrap();
    let partitions = [new(1, "data", MIB, 32 * MIB), new(2, "to the end", 33 * MIB, highest.0 - 33 * MIB)];
    gpt::write(&disk, SectorSize::B512, Uuid::from_bytes([9; 16]), &partitions).unwrap();
    let verdict = run(&mut sfdisk(), [Path::new("--verify"), disk.path()]);
    assert!(said(&verdict).contains("No errors detected"), "{}", said(&verdict));
    assert_eq!(dump(&disk), ours(&table(&disk)));
    let text = succeed(&mut sfdisk(), [Path::new("--dump"), disk.path()]);
    assert!(text.contains("label-id: 09090909-0909-0909-0909-090909090909"), "{text}");
    assert!(text.contains("uuid=01010101-0101-0101-0101-010101010101"), "{text}");
}

#[test]
fn four_kilobyte_sectors_we_write_fdisk_finds_good() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FileDisk::create(folder.path().join("4k.img"), Bytes(64 * MIB)).unwrap();
    let one = [new(1, "data", MIB, 8 * MIB)];
    gpt::write(&disk, SectorSize::B4096, Uuid::from_bytes([9; 16]), &one).unwrap();
    let list = ["--sector-size", "4096", "--list"].map(AsRef::as_ref);
    let output = run(&mut tool("fdisk", "fdisk"), list.into_iter().chain([disk.path().as_os_str()]));
    let text = said(&output);
    assert!(text.contains("Disklabel type: gpt") && text.contains("4k.img1   256  2303    2048   8M"), "{text}");
    assert!(!text.contains("corrupt") && !text.contains("backup"), "{text}");
}
