//! What strangers can send in Mercure's protocol: see the probe.

#![no_main]

#[path = "../../crates/mercure/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::form(input));
