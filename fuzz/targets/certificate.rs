//! [`fuzz::certificate`] under libFuzzer.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::certificate(bytes);
});
