//! The one call of the device mapper: a command with a buffer that it reads and then fills (`linux/dm-ioctl.h`).

use rustix::ioctl::opcode;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of `struct dm_ioctl`, which every buffer begins with.
pub(crate) const DM_HEADER: usize = 312;
/// Where in it the length of the whole buffer stands (`data_size`).
const DATA_SIZE: usize = 12;
/// `DM_IOCTL`.
const GROUP: u8 = 0xfd;

/// Sends the command to the device mapper's control node. `buffer` begins with a `struct dm_ioctl`; its `data_size` is set
/// here, to the buffer's length.
///
/// # Errors
/// What the kernel says; `InvalidInput` if the buffer is shorter than its header, or longer than 4 GiB.
pub(crate) fn device_mapper(control: BorrowedFd<'_>, command: u8, buffer: &mut [u8]) -> io::Result<()> {
    let length = u32::try_from(buffer.len()).ok().filter(|_| buffer.len() >= DM_HEADER);
    let (Some(length), Some(field)) = (length, buffer.get_mut(DATA_SIZE..DATA_SIZE + 4)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    field.copy_from_slice(&length.to_ne_bytes());
    let request = opcode::read_write::<[u8; DM_HEADER]>(GROUP, command);
    // SAFETY: the descriptor is open; the kernel reads and writes at most `data_size` bytes, which is how long the buffer is,
    // and on another kind of descriptor at most the size in `request`, which it has too.
    match unsafe { libc::ioctl(control.as_raw_fd(), libc::Ioctl::from(request), buffer.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
