//! The program file `cotter`. All of it is in the crate of that name; this package is apart from it because the last optimisation of
//! everything runs at the level of the package that holds `main`: this one is fast, and that one may be small.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cotter::main()
}
