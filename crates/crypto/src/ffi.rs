//! The unsafe calls into AWS-LC, each behind a function that cannot be misused.
//!
//! `aws-lc-rs` offers agreement (the x coordinate alone) but no point arithmetic, and no disk ciphers. Lengths are checked
//! here, pointers never leave this file, and what the library allocates is owned by a type that frees it.

use crate::curve::{Curve, LONGEST_POINT};
use aws_lc_sys as lc;
use std::ptr::{null, null_mut};

/// The library refused: a point that is not on its curve, or no memory.
#[derive(Debug)]
pub(crate) struct Refused;

fn ok(code: std::ffi::c_int) -> Result<(), Refused> {
    if code == 1 { Ok(()) } else { Err(Refused) }
}

fn group(curve: Curve) -> *const lc::EC_GROUP {
    // SAFETY: these functions take nothing and return a pointer to a group that is static and never freed.
    unsafe {
        match curve {
            Curve::P256 => lc::EC_group_p256(),
            Curve::P384 => lc::EC_group_p384(),
            Curve::P521 => lc::EC_group_p521(),
        }
    }
}

/// A point that the library holds.
struct RawPoint {
    curve: Curve,
    point: *mut lc::EC_POINT,
}

impl RawPoint {
    fn new(curve: Curve) -> Result<RawPoint, Refused> {
        // SAFETY: `group` is valid for ever; the result is null or ours to free.
        let point = unsafe { lc::EC_POINT_new(group(curve)) };
        if point.is_null() { Err(Refused) } else { Ok(RawPoint { curve, point }) }
    }

    /// Reads `04 ‖ x ‖ y`; the library checks the lengths, that both are below p, and the curve equation.
    fn read(curve: Curve, encoded: &[u8]) -> Result<RawPoint, Refused> {
        let point = RawPoint::new(curve)?;
        // SAFETY: `point` belongs to the group, and the pointer and length describe one slice.
        ok(unsafe { lc::EC_POINT_oct2point(group(curve), point.point, encoded.as_ptr(), encoded.len(), null_mut()) })?;
        Ok(point)
    }

    /// Writes `04 ‖ x ‖ y`; the point at infinity has no such form and is refused.
    fn write(&self) -> Result<[u8; LONGEST_POINT], Refused> {
        let mut encoded = [0; LONGEST_POINT];
        let len = self.curve.encoded_len();
        let form = lc::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
        // SAFETY: the buffer has room for the longest encoding, and the length that is passed never exceeds it.
        let written = unsafe {
            lc::EC_POINT_point2oct(group(self.curve), self.point, form, encoded.as_mut_ptr(), len, null_mut())
        };
        if written == len { Ok(encoded) } else { Err(Refused) }
    }
}

impl Drop for RawPoint {
    fn drop(&mut self) {
        // SAFETY: the point was allocated by `EC_POINT_new` and is freed once.
        unsafe { lc::EC_POINT_free(self.point) }
    }
}

/// A secret number that the library holds, wiped when dropped.
struct RawNumber(*mut lc::BIGNUM);

impl RawNumber {
    fn read(big_endian: &[u8]) -> Result<RawNumber, Refused> {
        // SAFETY: the pointer and length describe one slice; a null third argument asks for a new number.
        let number = unsafe { lc::BN_bin2bn(big_endian.as_ptr(), big_endian.len(), null_mut()) };
        if number.is_null() { Err(Refused) } else { Ok(RawNumber(number)) }
    }
}

impl Drop for RawNumber {
    fn drop(&mut self) {
        // SAFETY: the number was allocated by the library and is wiped and freed once.
        unsafe { lc::BN_clear_free(self.0) }
    }
}

/// Whether `04 ‖ x ‖ y` is a point of the curve.
pub(crate) fn on_curve(curve: Curve, encoded: &[u8]) -> bool {
    RawPoint::read(curve, encoded).is_ok()
}

/// `scalar · point`, or `scalar · G` without a point; constant time in the scalar.
pub(crate) fn multiply(curve: Curve, point: Option<&[u8]>, scalar: &[u8]) -> Result<[u8; LONGEST_POINT], Refused> {
    let result = RawPoint::new(curve)?;
    let number = RawNumber::read(scalar)?;
    let base = point.map(|encoded| RawPoint::read(curve, encoded)).transpose()?;
    // SAFETY: all points belong to this group; a null number or point leaves that half of `n·G + m·Q` out.
    ok(unsafe {
        match &base {
            Some(q) => lc::EC_POINT_mul(group(curve), result.point, null(), q.point, number.0, null_mut()),
            None => lc::EC_POINT_mul(group(curve), result.point, number.0, null(), null(), null_mut()),
        }
    })?;
    result.write()
}

/// What to do with the second point of an addition.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// `a + b` or `a - b`; refused if that is the point at infinity.
pub(crate) fn add(curve: Curve, a: &[u8], sign: Sign, b: &[u8]) -> Result<[u8; LONGEST_POINT], Refused> {
    let (result, a, b) = (RawPoint::new(curve)?, RawPoint::read(curve, a)?, RawPoint::read(curve, b)?);
    // SAFETY: all points belong to this group, and the result is none of the others.
    unsafe {
        if sign == Sign::Minus {
            ok(lc::EC_POINT_invert(group(curve), b.point, null_mut()))?;
        }
        ok(lc::EC_POINT_add(group(curve), result.point, a.point, b.point, null_mut()))?;
    }
    result.write()
}

/// Fills `into` with a random safe prime that has its top bit set; says whether it did.
pub(crate) fn safe_prime(into: &mut [u8; 32]) -> bool {
    // SAFETY: a fresh number; no callback and no residue are asked for.
    unsafe {
        let number = RawNumber(lc::BN_new());
        !number.0.is_null()
            && lc::BN_generate_prime_ex(number.0, 256, 1, null(), null(), null_mut()) == 1
            && lc::BN_bn2bin_padded(into.as_mut_ptr(), into.len(), number.0) == 1
    }
}

/// Which way a cipher runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    Decrypt = 0,
    Encrypt = 1,
}

/// An expanded AES-256-XTS key for one direction.
pub(crate) struct Xts256(*mut lc::EVP_CIPHER_CTX);

// SAFETY: the context is plain memory without ties to a thread, and every use of it needs `&mut`.
unsafe impl Send for Xts256 {}

impl Xts256 {
    /// Expands `key`: the data key, then the tweak key. The library refuses two equal halves.
    pub(crate) fn new(key: &[u8; 64], direction: Direction) -> Result<Xts256, Refused> {
        // SAFETY: no argument; the result is null or ours to free.
        let context = Xts256(unsafe { lc::EVP_CIPHER_CTX_new() });
        if context.0.is_null() {
            return Err(Refused);
        }
        // SAFETY: the key has the 64 bytes that this cipher reads; a null vector leaves it to be set later.
        ok(unsafe {
            lc::EVP_CipherInit_ex(context.0, lc::EVP_aes_256_xts(), null_mut(), key.as_ptr(), null(), direction as _)
        })?;
        Ok(context)
    }

    /// Runs over one sector in place. Its length is at least 16 and at most 2^24.
    pub(crate) fn sector(&mut self, tweak: &[u8; 16], data: &mut [u8]) -> Result<(), Refused> {
        let length = std::ffi::c_int::try_from(data.len()).map_err(|_| Refused)?;
        let mut written = 0;
        // SAFETY: null cipher and key keep what `new` set, -1 keeps the direction, the tweak has the 16 bytes of this
        // cipher's vector; output may be the input, and XTS writes exactly `length` bytes.
        unsafe {
            ok(lc::EVP_CipherInit_ex(self.0, null(), null_mut(), null(), tweak.as_ptr(), -1))?;
            ok(lc::EVP_CipherUpdate(self.0, data.as_mut_ptr(), &mut written, data.as_ptr(), length))?;
        }
        if written == length { Ok(()) } else { Err(Refused) }
    }
}

impl Drop for Xts256 {
    fn drop(&mut self) {
        // SAFETY: the context was allocated by the library; freeing it wipes the key schedule.
        unsafe { lc::EVP_CIPHER_CTX_free(self.0) }
    }
}

/// An expanded AES key for blocks and CBC.
pub(crate) struct AesKey(lc::AES_KEY);

impl AesKey {
    /// Expands a key of 16, 24 or 32 bytes.
    pub(crate) fn new(key: &[u8], direction: Direction) -> Result<AesKey, Refused> {
        let bits = u32::try_from(key.len() * 8).map_err(|_| Refused)?;
        let mut schedule = AesKey(lc::AES_KEY { rd_key: [0; 60], rounds: 0 });
        // SAFETY: the library reads `bits / 8` bytes of the slice, or refuses the length, and writes the whole schedule.
        let code = unsafe {
            match direction {
                Direction::Encrypt => lc::AES_set_encrypt_key(key.as_ptr(), bits, &mut schedule.0),
                Direction::Decrypt => lc::AES_set_decrypt_key(key.as_ptr(), bits, &mut schedule.0),
            }
        };
        // These two return 0 for success, unlike the rest of the library.
        if code == 0 { Ok(schedule) } else { Err(Refused) }
    }

    /// Encrypts one block; the key was expanded for encryption.
    pub(crate) fn encrypt_block(&self, block: &mut [u8; 16]) {
        // SAFETY: the schedule is complete; one block is read and written, in place.
        unsafe { lc::AES_encrypt(block.as_ptr(), block.as_mut_ptr(), &self.0) }
    }

    /// CBC without padding, in place; the key was expanded for `direction`, `data` is a multiple of 16 bytes.
    pub(crate) fn cbc(&self, mut iv: [u8; 16], data: &mut [u8], direction: Direction) -> Result<(), Refused> {
        if !data.len().is_multiple_of(16) {
            return Err(Refused);
        }
        // SAFETY: the schedule is complete, the length is a multiple of the block, output may be the input.
        unsafe {
            lc::AES_cbc_encrypt(data.as_ptr(), data.as_mut_ptr(), data.len(), &self.0, iv.as_mut_ptr(), direction as _);
        }
        Ok(())
    }
}

impl Drop for AesKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0.rd_key);
    }
}

/// MD5 of these bytes.
pub(crate) fn md5(bytes: &[u8]) -> Result<[u8; 16], Refused> {
    let (mut digest, mut len) = ([0; 16], 0);
    let (from, to) = (bytes.as_ptr().cast(), digest.as_mut_ptr());
    // SAFETY: the library reads this slice, writes the 16 bytes that this hash has, and their number; the hash itself is static.
    ok(unsafe { lc::EVP_Digest(from, bytes.len(), to, &mut len, lc::EVP_md5(), null_mut()) })?;
    Ok(digest)
}
