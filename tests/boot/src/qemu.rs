//! A machine under QEMU, emulated, with udev in it.
