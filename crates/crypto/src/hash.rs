//! Hashes by their LUKS names.

use digest::Digest as _;
use std::fmt;
use zeroize::Zeroize;

/// The hashes that LUKS headers, thumbprints and signatures name. MD5 is absent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Ripemd160,
    Whirlpool,
    Blake2b512,
    Blake2s256,
    Sm3,
}

/// The longest digest, in bytes.
const LONGEST: usize = 64;

/// A digest of at most 64 bytes, wiped when dropped: it may be on the way to a key.
pub struct Digest {
    bytes: [u8; LONGEST],
    len: usize,
}

/// Runs `$do` with `$D` standing for the implementation of the hash `$hash`.
macro_rules! with_hash {
    ($hash:expr, $D:ident => $do:expr) => {
        match $hash {
            Hash::Sha1 => {
                type $D = sha1::Sha1;
                $do
            }
            Hash::Sha224 => {
                type $D = sha2::Sha224;
                $do
            }
            Hash::Sha256 => {
                type $D = sha2::Sha256;
                $do
            }
            Hash::Sha384 => {
                type $D = sha2::Sha384;
                $do
            }
            Hash::Sha512 => {
                type $D = sha2::Sha512;
                $do
            }
            Hash::Sha3_224 => {
                type $D = sha3::Sha3_224;
                $do
            }
            Hash::Sha3_256 => {
                type $D = sha3::Sha3_256;
                $do
            }
            Hash::Sha3_384 => {
                type $D = sha3::Sha3_384;
                $do
            }
            Hash::Sha3_512 => {
                type $D = sha3::Sha3_512;
                $do
            }
            Hash::Ripemd160 => {
                type $D = ripemd::Ripemd160;
                $do
            }
            Hash::Whirlpool => {
                type $D = whirlpool::Whirlpool;
                $do
            }
            Hash::Blake2b512 => {
                type $D = blake2::Blake2b512;
                $do
            }
            Hash::Blake2s256 => {
                type $D = blake2::Blake2s256;
                $do
            }
            Hash::Sm3 => {
                type $D = sm3::Sm3;
                $do
            }
        }
    };
}
#[cfg(test)]
pub(crate) use with_hash;

impl Hash {
    /// Every hash.
    pub const ALL: [Hash; 14] = [
        Hash::Sha1,
        Hash::Sha224,
        Hash::Sha256,
        Hash::Sha384,
        Hash::Sha512,
        Hash::Sha3_224,
        Hash::Sha3_256,
        Hash::Sha3_384,
        Hash::Sha3_512,
        Hash::Ripemd160,
        Hash::Whirlpool,
        Hash::Blake2b512,
        Hash::Blake2s256,
        Hash::Sm3,
    ];

    /// The hash that a LUKS header calls `name`; upper and lower case are the same there.
    pub fn from_luks_name(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.luks_name().eq_ignore_ascii_case(name))
    }

    /// Its name in a LUKS header.
    pub fn luks_name(self) -> &'static str {
        match self {
            Hash::Sha1 => "sha1",
            Hash::Sha224 => "sha224",
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
            Hash::Sha3_224 => "sha3-224",
            Hash::Sha3_256 => "sha3-256",
            Hash::Sha3_384 => "sha3-384",
            Hash::Sha3_512 => "sha3-512",
            Hash::Ripemd160 => "ripemd160",
            Hash::Whirlpool => "whirlpool",
            Hash::Blake2b512 => "blake2b-512",
            Hash::Blake2s256 => "blake2s-256",
            Hash::Sm3 => "sm3",
        }
    }

    /// Length of its digest in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        match self {
            Hash::Sha1 | Hash::Ripemd160 => 20,
            Hash::Sha224 | Hash::Sha3_224 => 28,
            Hash::Sha256 | Hash::Sha3_256 | Hash::Blake2s256 | Hash::Sm3 => 32,
            Hash::Sha384 | Hash::Sha3_384 => 48,
            Hash::Sha512 | Hash::Sha3_512 | Hash::Whirlpool | Hash::Blake2b512 => 64,
        }
    }

    /// `H(parts[0] ‖ parts[1] ‖ …)`
    pub fn digest(self, parts: &[&[u8]]) -> Digest {
        with_hash!(self, D => {
            let mut state = D::new();
            for part in parts {
                digest::Digest::update(&mut state, part);
            }
            let mut found = Default::default();
            // By reference: a state or a digest that is moved leaves a copy behind, and either may be on the way to a key.
            digest::Digest::finalize_into_reset(&mut state, &mut found);
            Digest::taken(&mut found)
        })
    }
}

impl Digest {
    /// Takes the digest over; what it came in is wiped.
    fn taken(found: &mut [u8]) -> Digest {
        let mut bytes = [0; LONGEST];
        let len = found.len().min(LONGEST);
        for (to, from) in bytes.iter_mut().zip(found.iter()) {
            *to = *from;
        }
        found.zeroize();
        Digest { bytes, len }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// "abc" under each hash: FIPS 180-4 and 202 examples, the RIPEMD-160 and Whirlpool papers (ISO 10118-3), RFC 7693
    /// appendices A and B, GB/T 32905 example 1.
    #[test]
    fn abc_under_every_hash() {
        for (hash, start) in [
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Hash::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Hash::Sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"),
            (Hash::Sha512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"),
            (Hash::Sha3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
            (Hash::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (Hash::Sha3_384, "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"),
            (Hash::Sha3_512, "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"),
            (Hash::Ripemd160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
            (Hash::Whirlpool, "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c"),
            (Hash::Blake2b512, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"),
            (Hash::Blake2s256, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
            (Hash::Sm3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        ] {
            let digest = hash.digest(&[b"a", b"", b"bc"]);
            assert_eq!(digest.as_ref().len(), hash.len());
            assert!(hex(digest.as_ref()).starts_with(start), "{hash:?} {}", hex(digest.as_ref()));
        }
    }

    #[test]
    fn names_lead_back_to_their_hash() {
        for hash in Hash::ALL {
            assert_eq!(Hash::from_luks_name(hash.luks_name()), Some(hash));
        }
        assert_eq!(Hash::from_luks_name("SHA256"), Some(Hash::Sha256));
        assert_eq!(Hash::from_luks_name("md5"), None);
    }
}
