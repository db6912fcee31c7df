//! What a process that takes over may be handed: see the probe.

#![no_main]

#[path = "../../crates/delivery/tests/probe/mod.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|input: &[u8]| probe::handover(input));
