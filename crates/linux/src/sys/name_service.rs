//! Host names without plugins.
//!
//! glibc finds out from `/etc/nsswitch.conf` which libraries to load for a look-up. In a static program that brings a second
//! C library into the process, of whatever version the host has: it crashes on some (rust-lang/rust 100711) and does nothing
//! in an initramfs. Files and DNS are inside glibc from version 2.34.

/// Resolves host names by `/etc/hosts` and DNS, users and groups by their files, whatever the host is configured for. To be
/// called first thing in `main`, before there is a second thread.
///
/// The price: no users of a directory service and no multicast DNS. systemd-resolved still answers, on its local address.
pub fn use_own_name_service() {
    #[cfg(all(target_env = "gnu", feature = "name-service"))]
    for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files")] {
        // SAFETY: both are strings that end in zero and live for ever; glibc copies what it keeps.
        let refused = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        debug_assert_eq!(refused, 0, "both words are glibc's own");
    }
}

#[cfg(all(target_env = "gnu", feature = "name-service"))]
unsafe extern "C" {
    /// Overrides one line of nsswitch.conf for this process (glibc, `nss.h`).
    fn __nss_configure_lookup(database: *const std::ffi::c_char, services: *const std::ffi::c_char) -> std::ffi::c_int;
}
