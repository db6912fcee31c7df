//! The head of a request, as the hub reads what hyper hands it.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fanfare_http::probe_head(input));
