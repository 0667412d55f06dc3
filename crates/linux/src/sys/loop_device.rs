//! Loop devices: a plain file as a block device (loop(4), `linux/loop.h`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const SET_FD: libc::Ioctl = 0x4c00;
const CLEAR_FD: libc::Ioctl = 0x4c01;
const SET_STATUS: libc::Ioctl = 0x4c04;
const GET_STATUS: libc::Ioctl = 0x4c05;
const CONFIGURE: libc::Ioctl = 0x4c0a;
const GET_FREE: libc::Ioctl = 0x4c82;

/// Bytes of `struct loop_info64`, and where in it the flags and the name of the file stand.
const INFO: usize = 232;
const FLAGS: usize = 52;
const NAME: usize = 56;
const NAME_BYTES: usize = 64;
/// Bytes of `struct loop_config`, and where in it the information is; in front of that the descriptor and a block size.
const CONFIG: usize = 304;
const INFO_IN_CONFIG: usize = 8;
/// `LO_FLAGS_AUTOCLEAR`: it lets the file go when the last one closes it.
const LET_GO_WHEN_CLOSED: u32 = 4;

/// The number of a loop device that nobody uses at this moment, made if there is none.
///
/// # Errors
/// What the kernel says.
pub(crate) fn free_loop(control: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: the descriptor is open; numbers only.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Gives a loop device its file, until the last one closes the device. It is read-only if `device` was opened so. `name` is for
/// people who list them.
///
/// # Errors
/// What the kernel says: `ResourceBusy` if somebody else took the device first.
pub(crate) fn attach_loop(device: BorrowedFd<'_>, file: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let config = config(file.as_raw_fd().cast_unsigned(), name);
    // SAFETY: the descriptor is open, and the kernel only reads the bytes of a `struct loop_config`, which these are.
    match checked(unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, config.as_ptr()) }) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => {
            attach_in_two_steps(device, file, &config)
        }
        done => done,
    }
}

/// The device and the inode of a loop device's file, as stat(2) tells them of the file: the kernel asks the file it holds, whatever
/// has become of the name, and asks no server for the two.
///
/// # Errors
/// What the kernel says: `ENXIO` if the device has no file.
pub(crate) fn file_of_loop(device: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let mut info = [0; INFO];
    // SAFETY: the descriptor is open, and the kernel writes a `struct loop_info64`, for which there is room.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), GET_STATUS, info.as_mut_ptr()) })?;
    Ok(file_in(&info))
}

/// The first two numbers of a `struct loop_info64`.
fn file_in(info: &[u8; INFO]) -> (u64, u64) {
    let number = |at: usize| {
        let bytes = info.get(at..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    (number(0), number(8))
}

/// As it is done before Linux 5.8.
fn attach_in_two_steps(device: BorrowedFd<'_>, file: BorrowedFd<'_>, config: &[u8; CONFIG]) -> io::Result<()> {
    let info = config.get(INFO_IN_CONFIG..INFO_IN_CONFIG + INFO).unwrap_or_default();
    // SAFETY: both descriptors are open; numbers only.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), SET_FD, file.as_raw_fd()) })?;
    // SAFETY: as above, and the kernel only reads the bytes of a `struct loop_info64`, which these are.
    let set = checked(unsafe { libc::ioctl(device.as_raw_fd(), SET_STATUS, info.as_ptr()) });
    if set.is_err() {
        // SAFETY: as above; numbers only.
        unsafe { libc::ioctl(device.as_raw_fd(), CLEAR_FD) };
    }
    set
}

/// A `struct loop_config` for this descriptor.
fn config(file: u32, name: &[u8]) -> [u8; CONFIG] {
    let mut config = [0; CONFIG];
    let mut put = |at: usize, value: &[u8]| {
        config.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = *from);
    };
    put(0, &file.to_ne_bytes());
    put(INFO_IN_CONFIG + FLAGS, &LET_GO_WHEN_CLOSED.to_ne_bytes());
    put(INFO_IN_CONFIG + NAME, name.get(..name.len().min(NAME_BYTES - 1)).unwrap_or_default());
    config
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_file_is_told_by_the_first_two_numbers() {
        let mut info = [0xff; INFO];
        info[..8].copy_from_slice(&0x0801_u64.to_ne_bytes());
        info[8..16].copy_from_slice(&77_u64.to_ne_bytes());
        assert_eq!(file_in(&info), (0x0801, 77));
    }

    #[test]
    fn a_configuration_is_laid_out_as_the_kernel_reads_it() {
        let found = config(7, b"disk.img");
        let mut expected = vec![0; 304];
        expected[0..4].copy_from_slice(&7_u32.to_ne_bytes()); // fd, then block_size
        // Five numbers of eight bytes and three of four stand in the information before its flags.
        expected[8 + 52..8 + 56].copy_from_slice(&4_u32.to_ne_bytes());
        expected[8 + 56..8 + 64].copy_from_slice(b"disk.img");
        assert_eq!(found.as_slice(), expected);
        assert_eq!(config(7, &[b'x'; 100])[8 + 56 + 62..8 + 56 + 65], *b"x\0\0");
    }
}
