//! The body of a publish, as anyone may send it.

#![no_main]

#[path = "../../crates/payload/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::probe(input));
