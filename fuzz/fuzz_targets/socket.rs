//! Bytes on a socket, up to whom the hub takes their sender for.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fanfare_http::probe_socket(input));
