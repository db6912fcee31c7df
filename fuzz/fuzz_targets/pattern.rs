//! A pattern and a topic, against a matcher that is slow and obvious.

#![no_main]

#[path = "../../crates/event/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::probe(input));
