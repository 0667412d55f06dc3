//! [`fuzz::luks2_binary_header`] under libFuzzer.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::luks2_binary_header(bytes);
});
