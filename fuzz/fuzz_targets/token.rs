//! A token, forged, and one that is signed and claims anything.

#![no_main]

#[path = "../../crates/auth/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::probe(input));
