//! The decrypted view. Second opinion on what it shows: `cryptsetup reencrypt --encrypt`, which encrypts a file in place.

use crate::support::*;
use block::{BlockError, BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::{Secret, SystemRandom, VolumeKey};
use luks::*;
use proptest::prelude::*;

const MIB: usize = 1 << 20;

/// Bytes that differ from sector to sector and inside each.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i / 512) as u8).wrapping_mul(31) ^ (i as u8).wrapping_mul(7) ^ ((i >> 17) as u8)).collect()
}

fn view<D: BlockRead>(disk: D, text: &str) -> Plain<D> {
    let header = accepted(&disk);
    let (_, key) = open_any(&disk, &header, &passphrase(text)).unwrap();
    Plain::new(disk, &header, &key).unwrap()
}

fn read(disk: &dyn BlockRead, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    disk.read_at(Bytes(offset as u64), &mut bytes).unwrap();
    bytes
}

/// A volume in memory whose data is `pattern`, written through the view.
fn patterned(cipher: Cipher, key_len: u32, sector: u64) -> Plain<MemoryDisk> {
    let options = FormatOptions { cipher, key_len, sector_size: SectorSize::new(sector), ..small_options() };
    let Volume { disk, .. } = volume(options);
    let plain = view(disk, "one");
    plain.write_at(Bytes(0), &pattern(64 << 10)).unwrap();
    plain
}

#[test]
fn what_cryptsetup_encrypted_reads_as_it_was() {
    for (cipher, bits, sector) in [
        ("aes-xts-plain64", "512", "4096"),
        ("aes-xts-plain64", "512", "512"),
        ("aes-xts-plain64", "256", "2048"),
        ("aes-cbc-essiv:sha256", "256", "512"),
        ("aes-cbc-essiv:sha256", "128", "4096"),
    ] {
        let clear = pattern(4 * MIB);
        let mut bytes = clear.clone();
        bytes.resize(36 * MIB, 0);
        let file = TestFile::new(&bytes);
        let mut args = vec!["reencrypt", "-q", "--encrypt", "--type", "luks2", "--reduce-device-size", "32M"];
        args.extend(["--cipher", cipher, "--key-size", bits, "--sector-size", sector, "--key-file=-"]);
        args.extend(TINY_PBKDF2);
        args.push(file.name());
        cryptsetup(&args, "one").unwrap();
        let plain = view(file.disk(), "one");
        assert_eq!(plain.sector_size().to_string(), sector);
        // The data has moved 16 MiB on, and is shorter by 32 MiB less 16 of header.
        assert!(read(&plain, 0, 4 * MIB) == clear, "{cipher} {bits} {sector}");
        assert!(read(&plain, 12_345, 70_000) == clear[12_345..82_345], "{cipher} {bits} {sector}");
    }
}

/// The other way round: what we write, cryptsetup decrypts in place.
#[test]
fn what_we_write_cryptsetup_decrypts() {
    let disk = MemoryDisk::zeroed(20 * MIB);
    let plan = FormatPlan::new(disk.len(), FormatOptions::new(pbkdf2())).unwrap();
    plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    let clear = pattern(4 * MIB);
    view(&disk, "one").write_at(Bytes(0), &clear).unwrap();
    let file = TestFile::new(&disk.to_vec());
    let header = TestFile::new(&[]);
    std::fs::remove_file(&header.0).unwrap();
    let mut args = vec!["reencrypt", "-q", "--decrypt", "--force-offline-reencrypt", "--key-file=-"];
    args.extend(["--header", header.name(), file.name()]);
    cryptsetup(&args, "one").unwrap();
    assert!(file.bytes()[..4 * MIB] == clear);
}

#[test]
fn every_cipher_and_sector_size_reads_what_it_wrote() {
    let expected = pattern(64 << 10);
    for sector in [512, 1024, 2048, 4096] {
        for (cipher, key_len) in [
            (Cipher::AesXtsPlain64, 32),
            (Cipher::AesXtsPlain64, 64),
            (Cipher::AesCbcEssivSha256, 16),
            (Cipher::AesCbcEssivSha256, 32),
        ] {
            let plain = patterned(cipher, key_len, sector);
            assert!(read(&plain, 0, 64 << 10) == expected, "{cipher} {key_len} {sector}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_range_is_read_and_written(
        sector in prop::sample::select(vec![512u64, 4096]),
        steps in prop::collection::vec((0usize..65536, 0usize..20_000, any::<u8>(), any::<bool>()), 1..12),
    ) {
        let plain = patterned(Cipher::AesXtsPlain64, 64, sector);
        let mut expected = pattern(64 << 10);
        for (offset, len, fill, write) in steps {
            let end = (offset + len).min(expected.len());
            if write {
                expected[offset..end].fill(fill);
                plain.write_at(Bytes(offset as u64), &expected[offset..end]).unwrap();
            }
            prop_assert!(read(&plain, offset, end - offset) == expected[offset..end]);
        }
        prop_assert!(read(&plain, 0, 64 << 10) == expected);
    }
}

#[test]
fn nothing_outside_the_data_is_read_or_written() {
    let plain = patterned(Cipher::AesXtsPlain64, 64, 4096);
    let mut two = [0; 2];
    for offset in [65535, 65536, u64::MAX, u64::MAX - 1] {
        assert!(matches!(plain.read_at(Bytes(offset), &mut two), Err(BlockError::BeyondEnd { .. })));
        assert!(matches!(plain.write_at(Bytes(offset), &two), Err(BlockError::BeyondEnd { .. })));
    }
    plain.read_at(Bytes(65536), &mut []).unwrap();
    plain.write_at(Bytes(65536), &[]).unwrap();
}

#[test]
fn the_length_is_that_of_the_header_or_of_the_disk() {
    let Volume { disk, key } = volume(FormatOptions { sector_size: SectorSize::new(4096), ..small_options() });
    let bytes = disk.to_vec();
    let check = |bytes: Vec<u8>| {
        let disk = MemoryDisk::from(bytes);
        let header = accepted(&disk);
        Plain::new(disk, &header, &key).map(|plain| plain.len())
    };
    assert_eq!(check(bytes.clone()).unwrap(), Bytes(65536));
    // What is left of a sector at the end is not data.
    assert_eq!(check(bytes[..bytes.len() - 1].to_vec()).unwrap(), Bytes(61440));
    assert_eq!(check(bytes[..MIB].to_vec()).unwrap(), Bytes(0));
    let fixed = with_json(&bytes, "\"size\":\"dynamic\"", "\"size\":\"8192\"");
    assert_eq!(check(fixed.clone()).unwrap(), Bytes(8192));
    let error = check(fixed[..MIB + 8191].to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "the disk has 1056767 bytes, but the data is 8192 bytes from 1048576 on");
}

#[test]
fn the_tweak_of_the_iv_counts_in_512_bytes() {
    let plain = patterned(Cipher::AesXtsPlain64, 64, 4096);
    // A volume whose data begins one sector later, with a tweak of 8, shows the same but for its first sector.
    let expected = read(&plain, 4096, 60 << 10);
    let bytes = disk_bytes(plain);
    let moved = with_json(&bytes, "\"offset\":\"1048576\",\"size\"", "\"offset\":\"1052672\",\"size\"");
    let moved = with_json(&moved, "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"");
    assert!(read(&view(MemoryDisk::from(moved), "one"), 0, 60 << 10) == expected);
    // The largest tweak wraps, and does not panic.
    let wrapped = with_json(&bytes, "\"iv_tweak\":\"0\"", &format!("\"iv_tweak\":\"{}\"", u64::MAX));
    assert_eq!(read(&view(MemoryDisk::from(wrapped), "one"), 0, 100).len(), 100);
}

/// The encrypted bytes under a view: written anew through a view over a shared disk.
fn disk_bytes(plain: Plain<MemoryDisk>) -> Vec<u8> {
    plain.into_disk().to_vec()
}

#[test]
fn another_key_gives_no_view() {
    let Volume { disk, .. } = volume(small_options());
    let header = accepted(&disk);
    let key = VolumeKey::new(Secret::copied_from(&[1; 64]));
    assert!(matches!(Plain::new(&disk, &header, &key), Err(PlainError::WrongKey)));
}

/// A disk that copies byte by byte without a lock, as slowly as it can: writes can be seen half done.
struct Slow(Vec<std::sync::atomic::AtomicU8>);

impl BlockRead for Slow {
    fn len(&self) -> Bytes {
        self.0.len().into()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), self.len())?;
        let bytes = &self.0[usize::try_from(offset.0).unwrap()..];
        into.iter_mut().zip(bytes).for_each(|(to, from)| *to = from.load(std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }
}

impl BlockWrite for Slow {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, from.len(), self.len())?;
        let bytes = &self.0[usize::try_from(offset.0).unwrap()..];
        for (i, (to, from)) in bytes.iter().zip(from).enumerate() {
            to.store(*from, std::sync::atomic::Ordering::Relaxed);
            if i % 256 == 0 {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

/// Each thread has bytes of its own in one sector, and some that reach into the next one. What it wrote stays.
#[test]
fn writes_into_one_sector_from_many_threads_all_stay() {
    let bytes = disk_bytes(patterned(Cipher::AesXtsPlain64, 64, 4096));
    let plain = view(Slow(bytes.into_iter().map(Into::into).collect()), "one");
    let (plain, threads) = (&plain, 0..4u8);
    std::thread::scope(|scope| {
        for thread in threads {
            let places = [100 * u64::from(thread), 4096 - 2 + 4096 * u64::from(thread % 2), 9000 + u64::from(thread)];
            let lens = [100, if thread < 2 { 4 } else { 0 }, 1];
            scope.spawn(move || {
                for round in 0..100u8 {
                    for (place, len) in places.into_iter().zip(lens) {
                        let mine = vec![round ^ thread; len];
                        plain.write_at(Bytes(place), &mine).unwrap();
                        assert_eq!(
                            read(plain, usize::try_from(place).unwrap(), len),
                            mine,
                            "thread {thread} round {round}"
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn bytes_beside_a_change_are_never_seen_broken() {
    let bytes = disk_bytes(patterned(Cipher::AesCbcEssivSha256, 32, 4096));
    let plain = view(Slow(bytes.into_iter().map(Into::into).collect()), "one");
    let expected = read(&plain, 100, 3996);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..400u64).for_each(|i| plain.write_at(Bytes(i % 100), &[i as u8]).unwrap()));
        while !writer.is_finished() {
            assert!(read(&plain, 100, 3996) == expected);
        }
    });
}

#[test]
fn a_view_over_a_failing_disk_says_so() {
    let plain = patterned(Cipher::AesXtsPlain64, 64, 512);
    let bytes = disk_bytes(plain);
    let disk = FailingDisk::new(MemoryDisk::from(bytes), Failing::Write { from: 0, times: 1 });
    let plain = view(disk, "one");
    assert!(matches!(plain.write_at(Bytes(5), b"x"), Err(BlockError::Failed { .. })));
    // The range was let go: the next one does not hang.
    plain.write_at(Bytes(5), b"x").unwrap();
    assert_eq!(read(&plain, 5, 1), b"x");
}

#[test]
fn debug_shows_no_key() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let shown = format!("{key:?} {:?} {header:?}", Plain::new(&disk, &header, &key).unwrap());
    let hex: String = key.expose().iter().map(|b| format!("{b:02x}")).collect();
    let decimal = format!("{}, {}, {}", key.expose()[0], key.expose()[1], key.expose()[2]);
    assert!(!shown.contains(&hex) && !shown.contains(&decimal), "{shown}");
}
