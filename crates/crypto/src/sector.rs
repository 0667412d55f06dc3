//! Ciphers of disk sectors, as dm-crypt computes them.
//!
//! The initialisation vector of a sector counts in units of 512 bytes whatever the sector's size (dm-crypt without
//! `iv_large_sectors`, which LUKS2 never sets): with sectors of 4096 bytes it grows by 8 from one to the next.

use crate::ffi::{AesKey, Direction, Xts256};
use crate::{Hash, Secret};
use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A key expanded for the sectors of one size.
pub struct SectorCipher {
    sector_size: usize,
    mode: Mode,
}

enum Mode {
    Xts256(Xts256Pool),
    Xts128(Box<Xts128>),
    CbcEssiv(Box<CbcEssiv>),
}

/// Why a cipher was not made or not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorError {
    /// A key of a length that the cipher does not have.
    WrongKeyLength {
        /// How many bytes it has.
        found: usize,
    },
    /// A sector size other than 512, 1024, 2048 or 4096 bytes.
    WrongSectorSize {
        /// What was asked for.
        found: u32,
    },
    /// Data that is not a whole number of sectors.
    PartialSector {
        /// How many bytes there are.
        found: usize,
    },
    /// The library refuses the key: both halves of an XTS key are the same (IEEE 1619 wants two keys).
    KeyRefused,
}

impl SectorCipher {
    /// `aes-xts-plain64`: AES-128-XTS with a key of 32 bytes, AES-256-XTS with one of 64 (IEEE 1619); the tweak is the
    /// sector number, little endian.
    ///
    /// # Errors
    /// [`SectorError`] for a key or a sector size that there is not.
    pub fn aes_xts_plain64(key: &[u8], sector_size: u32) -> Result<SectorCipher, SectorError> {
        let mode = match key.len() {
            32 => Mode::Xts128(Box::new(Xts128::new(key)?)),
            64 => Mode::Xts256(Xts256Pool::new(key)?),
            found => return Err(SectorError::WrongKeyLength { found }),
        };
        SectorCipher::new(mode, sector_size)
    }

    /// `aes-cbc-essiv:sha256` with a key of 16 or 32 bytes; the vector is the sector number, little endian, encrypted with
    /// AES-256 under the SHA-256 of the key.
    ///
    /// # Errors
    /// [`SectorError`] for a key or a sector size that there is not.
    pub fn aes_cbc_essiv_sha256(key: &[u8], sector_size: u32) -> Result<SectorCipher, SectorError> {
        if !matches!(key.len(), 16 | 32) {
            return Err(SectorError::WrongKeyLength { found: key.len() });
        }
        SectorCipher::new(Mode::CbcEssiv(Box::new(CbcEssiv::new(key)?)), sector_size)
    }

    fn new(mode: Mode, sector_size: u32) -> Result<SectorCipher, SectorError> {
        match sector_size {
            512 | 1024 | 2048 | 4096 => Ok(SectorCipher { sector_size: sector_size as usize, mode }),
            found => Err(SectorError::WrongSectorSize { found }),
        }
    }

    /// Bytes in one sector.
    pub fn sector_size(&self) -> usize {
        self.sector_size
    }

    /// Decrypts whole sectors in place; `first` is the vector of the first, in units of 512 bytes.
    ///
    /// # Errors
    /// [`SectorError::PartialSector`].
    pub fn decrypt(&self, first: u64, data: &mut [u8]) -> Result<(), SectorError> {
        self.run(first, data, Direction::Decrypt)
    }

    /// Encrypts whole sectors in place; `first` is the vector of the first, in units of 512 bytes.
    ///
    /// # Errors
    /// [`SectorError::PartialSector`].
    pub fn encrypt(&self, first: u64, data: &mut [u8]) -> Result<(), SectorError> {
        self.run(first, data, Direction::Encrypt)
    }

    fn run(&self, first: u64, data: &mut [u8], direction: Direction) -> Result<(), SectorError> {
        if !data.len().is_multiple_of(self.sector_size) {
            return Err(SectorError::PartialSector { found: data.len() });
        }
        let step = self.sector_size as u64 / 512;
        let numbers = (0u64..).map(|i| first.wrapping_add(i.wrapping_mul(step)));
        let sectors = data.chunks_exact_mut(self.sector_size).zip(numbers);
        match &self.mode {
            Mode::Xts256(pool) => pool.run(sectors, direction),
            Mode::Xts128(key) => {
                sectors.for_each(|(sector, number)| key.sector(number, sector, direction));
                Ok(())
            }
            Mode::CbcEssiv(key) => {
                for (sector, number) in sectors {
                    key.sector(number, sector, direction)?;
                }
                Ok(())
            }
        }
    }
}

/// `plain64`: the sector number as a block, little endian.
fn plain64(number: u64) -> [u8; 16] {
    u128::from(number).to_le_bytes()
}

/// AES-256-XTS. The library's contexts hold the vector of the call under way, so threads that work at once need one each;
/// they are kept for the next call, because expanding the key costs as much as a sector.
struct Xts256Pool {
    key: Secret,
    idle: [Mutex<Vec<Xts256>>; 2],
}

impl Xts256Pool {
    fn new(key: &[u8]) -> Result<Xts256Pool, SectorError> {
        let pool = Xts256Pool { key: Secret::copied_from(key), idle: Default::default() };
        for direction in [Direction::Decrypt, Direction::Encrypt] {
            let context = pool.take(direction)?;
            pool.give_back(context, direction);
        }
        Ok(pool)
    }

    fn idle(&self, direction: Direction) -> &Mutex<Vec<Xts256>> {
        let [decrypt, encrypt] = &self.idle;
        if direction == Direction::Decrypt { decrypt } else { encrypt }
    }

    fn take(&self, direction: Direction) -> Result<Xts256, SectorError> {
        if let Some(context) = self.idle(direction).lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(context);
        }
        let found = self.key.len();
        let key = self.key.expose().try_into().map_err(|_| SectorError::WrongKeyLength { found })?;
        Xts256::new(key, direction).map_err(|_| SectorError::KeyRefused)
    }

    fn give_back(&self, context: Xts256, direction: Direction) {
        self.idle(direction).lock().unwrap_or_else(PoisonError::into_inner).push(context);
    }

    fn run<'a>(
        &self,
        sectors: impl Iterator<Item = (&'a mut [u8], u64)>,
        direction: Direction,
    ) -> Result<(), SectorError> {
        let mut context = self.take(direction)?;
        for (sector, number) in sectors {
            context.sector(&plain64(number), sector).map_err(|_| SectorError::KeyRefused)?;
        }
        self.give_back(context, direction);
        Ok(())
    }
}

/// AES-128-XTS, which AWS-LC does not have, over the block cipher of the `aes` crate.
struct Xts128 {
    data: Aes128,
    tweak: Aes128,
}

/// Blocks handed to the cipher at once: those of a sector of 512 bytes, so that its pipeline stays full.
const BATCH: usize = 32;

impl Xts128 {
    fn new(key: &[u8]) -> Result<Xts128, SectorError> {
        let wrong = |_| SectorError::WrongKeyLength { found: key.len() };
        let (data, tweak) = key.split_at(key.len() / 2);
        if Secret::copied_from(data).ct_eq(tweak) {
            return Err(SectorError::KeyRefused);
        }
        Ok(Xts128 {
            data: Aes128::new_from_slice(data).map_err(wrong)?,
            tweak: Aes128::new_from_slice(tweak).map_err(wrong)?,
        })
    }

    fn sector(&self, number: u64, sector: &mut [u8], direction: Direction) {
        let mut first = Array::from(plain64(number));
        self.tweak.encrypt_block(&mut first);
        let mut tweak = u128::from_le_bytes(first.into());
        let (blocks, _) = Array::slice_as_chunks_mut(sector);
        for batch in blocks.chunks_mut(BATCH) {
            let start = tweak;
            tweak = xor_tweaks(batch, start);
            match direction {
                Direction::Decrypt => self.data.decrypt_blocks(batch),
                Direction::Encrypt => self.data.encrypt_blocks(batch),
            }
            xor_tweaks(batch, start);
        }
    }
}

/// XORs each block with its tweak and returns the next one. From block to block the tweak is multiplied by x in GF(2^128)
/// modulo x^128 + x^7 + x^2 + x + 1 (IEEE 1619, section 5.2).
fn xor_tweaks(blocks: &mut [aes::Block], mut tweak: u128) -> u128 {
    for block in blocks {
        let mixed = u128::from_le_bytes((*block).into()) ^ tweak;
        *block = mixed.to_le_bytes().into();
        tweak = (tweak << 1) ^ ((tweak >> 127) * 0x87);
    }
    tweak
}

/// AES-CBC with encrypted sector numbers as vectors.
struct CbcEssiv {
    encrypt: AesKey,
    decrypt: AesKey,
    vector: AesKey,
}

impl CbcEssiv {
    fn new(key: &[u8]) -> Result<CbcEssiv, SectorError> {
        let wrong = |_| SectorError::WrongKeyLength { found: key.len() };
        Ok(CbcEssiv {
            encrypt: AesKey::new(key, Direction::Encrypt).map_err(wrong)?,
            decrypt: AesKey::new(key, Direction::Decrypt).map_err(wrong)?,
            vector: AesKey::new(Hash::Sha256.digest(&[key]).as_ref(), Direction::Encrypt).map_err(wrong)?,
        })
    }

    fn sector(&self, number: u64, sector: &mut [u8], direction: Direction) -> Result<(), SectorError> {
        let mut vector = plain64(number);
        self.vector.encrypt_block(&mut vector);
        let key = if direction == Direction::Decrypt { &self.decrypt } else { &self.encrypt };
        key.cbc(vector, sector, direction).map_err(|_| SectorError::PartialSector { found: sector.len() })
    }
}

impl fmt::Debug for SectorCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Xts256(_) => "aes-xts-plain64, 64-byte key",
            Mode::Xts128(_) => "aes-xts-plain64, 32-byte key",
            Mode::CbcEssiv(_) => "aes-cbc-essiv:sha256",
        };
        write!(f, "SectorCipher({mode}, {} bytes)", self.sector_size)
    }
}

impl fmt::Display for SectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SectorError::WrongKeyLength { found } => write!(f, "the cipher has no key of {found} bytes"),
            SectorError::WrongSectorSize { found } => write!(f, "{found} is not 512, 1024, 2048 or 4096 bytes"),
            SectorError::PartialSector { found } => write!(f, "{found} bytes are not whole sectors"),
            SectorError::KeyRefused => f.write_str("the two halves of the XTS key are the same"),
        }
    }
}

impl std::error::Error for SectorError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    fn first_block(cipher: &SectorCipher, number: u64, start: &[u8]) -> Vec<u8> {
        let mut data = vec![0; cipher.sector_size()];
        data[..start.len()].copy_from_slice(start);
        cipher.encrypt(number, &mut data).unwrap();
        data[..16.max(start.len())].to_vec()
    }

    fn counting() -> Vec<u8> {
        (0..512).map(|i| u8::try_from(i % 256).unwrap()).collect()
    }

    /// IEEE 1619-2007, annex B, vectors 2 (its blocks do not depend on the sector's length), 4 and 10.
    #[test]
    fn xts_matches_ieee_1619() {
        let key = [[0x11; 16], [0x22; 16]].concat();
        let cipher = SectorCipher::aes_xts_plain64(&key, 512).unwrap();
        assert_eq!(
            first_block(&cipher, 0x33_3333_3333, &[0x44; 32]),
            unhex("c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0")
        );

        let key = unhex("2718281828459045235360287471352631415926535897932384626433832795");
        let cipher = SectorCipher::aes_xts_plain64(&key, 512).unwrap();
        let mut data = counting();
        cipher.encrypt(0, &mut data).unwrap();
        assert_eq!(data[..16], unhex("27a7479befa1d476489f308cd4cfa6e2"));

        let key = unhex(
            "27182818284590452353602874713526624977572470936999595749669676273141592653589793238462643383279502884197169399375105820974944592",
        );
        let cipher = SectorCipher::aes_xts_plain64(&key, 512).unwrap();
        let mut data = counting();
        cipher.encrypt(0xff, &mut data).unwrap();
        assert_eq!(data[..16], unhex("1c3b3a102f770386e4836c99e370cf9b"));
        cipher.decrypt(0xff, &mut data).unwrap();
        assert_eq!(data, counting());
    }

    /// ESSIV by its definition: the first block is AES(key, plain ^ AES-256(SHA-256(key), number)).
    #[test]
    fn cbc_essiv_follows_its_definition() {
        for key in [vec![0x5a; 16], vec![0x5a; 32]] {
            let cipher = SectorCipher::aes_cbc_essiv_sha256(&key, 512).unwrap();
            let mut vector = plain64(77);
            let essiv = aes::Aes256::new_from_slice(Hash::Sha256.digest(&[&key]).as_ref()).unwrap();
            let mut block = Array::from(vector);
            essiv.encrypt_block(&mut block);
            vector = block.into();
            let mut expected = Array::from(vector.map(|b| b ^ 0x44));
            match key.len() {
                16 => Aes128::new_from_slice(&key).unwrap().encrypt_block(&mut expected),
                _ => aes::Aes256::new_from_slice(&key).unwrap().encrypt_block(&mut expected),
            }
            assert_eq!(first_block(&cipher, 77, &[0x44; 16]), expected.to_vec());
        }
    }

    #[test]
    fn large_sectors_count_in_units_of_512_bytes() {
        let distinct = |len: usize| (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<u8>>();
        for make in [SectorCipher::aes_xts_plain64, SectorCipher::aes_cbc_essiv_sha256] {
            for (size, key) in [(512, distinct(32)), (1024, distinct(32)), (2048, distinct(32)), (4096, distinct(32))] {
                let cipher = make(&key, size).unwrap();
                let size = size as usize;
                let mut both = vec![7; 2 * size];
                cipher.encrypt(16, &mut both).unwrap();
                let mut second = vec![7; size];
                cipher.encrypt(16 + size as u64 / 512, &mut second).unwrap();
                assert_eq!(both[size..], second);
                assert_ne!(both[..size], second);
                cipher.decrypt(16, &mut both).unwrap();
                assert_eq!(both, vec![7; 2 * size]);
            }
        }
    }

    #[test]
    fn threads_share_a_cipher() {
        let key: Vec<u8> = (0..64).collect();
        let cipher = SectorCipher::aes_xts_plain64(&key, 4096).unwrap();
        let expected = first_block(&cipher, 1, &[]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(first_block(&cipher, 1, &[]), expected)));
            }
        });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let distinct: Vec<u8> = (0..64).collect();
        let error = |key: &[u8], size| SectorCipher::aes_xts_plain64(key, size).unwrap_err();
        assert_eq!(error(&distinct[..48], 512), SectorError::WrongKeyLength { found: 48 });
        assert_eq!(error(&distinct, 513), SectorError::WrongSectorSize { found: 513 });
        assert_eq!(error(&[1; 64], 512), SectorError::KeyRefused);
        assert_eq!(error(&[1; 32], 512), SectorError::KeyRefused);
        assert!(SectorCipher::aes_cbc_essiv_sha256(&distinct, 512).is_err());
        let cipher = SectorCipher::aes_xts_plain64(&distinct, 512).unwrap();
        assert_eq!(cipher.decrypt(0, &mut [0; 511]), Err(SectorError::PartialSector { found: 511 }));
        assert_eq!(cipher.decrypt(0, &mut []), Ok(()));
    }
}
