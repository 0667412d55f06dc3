//! [`fuzz::dhcp4`] under libFuzzer.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::dhcp4(bytes);
});
