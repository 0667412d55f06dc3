//! glibc's messages in the language that they are written in.
//!
//! The texts of errors (`strerror`) go through glibc's translations, and with these come catalogues, character sets and the loading of
//! libraries for them: 230,000 bytes for something that a program without a locale never does.

use std::ffi::{c_char, c_int, c_ulong};

/// What every translation of glibc goes through (`dcigettext.c`), in place of glibc's own: the text as it is.
///
/// The static linker takes the first definition of a name, so `-z muldefs` has to be among its words (`xtask/src/release.rs`).
///
/// # Safety
///
/// None is needed: nothing is read from the pointers.
#[unsafe(no_mangle)]
extern "C" fn __dcigettext(
    _domain: *const c_char,
    one: *const c_char,
    many: *const c_char,
    plural: c_int,
    number: c_ulong,
    _category: c_int,
) -> *const c_char {
    if plural != 0 && number != 1 { many } else { one }
}
