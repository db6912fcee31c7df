//! An event stream, whole and in pieces.

#![no_main]

#[path = "../../crates/sse/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::probe(input));
