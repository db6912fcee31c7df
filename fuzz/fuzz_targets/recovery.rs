//! Recovery of a log on disk from any files: no panic, and nothing it showed disappears again.
#![no_main]

#[path = "../../crates/disk/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|input: &[u8]| support::recovery::recover(input));
