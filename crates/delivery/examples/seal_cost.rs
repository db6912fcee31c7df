//! What sealing a record costs with a key that is at hand, and with one that is made ready for it: why a
//! subscriber over TLS keeps its key ready. Usage: `seal_cost [BYTES]`.

use std::hint::black_box;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};

const ROUNDS: u32 = 200_000;

fn ready(algorithm: &'static Algorithm) -> LessSafeKey {
    let bytes = [7; 32];
    let key = UnboundKey::new(algorithm, black_box(&bytes[..algorithm.key_len()]));
    LessSafeKey::new(key.expect("a key of the right length"))
}

fn seal(key: &LessSafeKey, number: u32, content: &mut [u8]) {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from([23, 3, 3, 0, 1]), content);
    black_box(tag.expect("less than the limit"));
}

/// How long this process has run, in nanoseconds.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|text| text.parse().ok()).expect("a number")
}

/// Nanoseconds a round.
fn measure(mut round: impl FnMut(u32)) -> f64 {
    (0..ROUNDS / 10).for_each(&mut round);
    let begun = cpu();
    (0..ROUNDS).for_each(&mut round);
    (cpu() - begun) / f64::from(ROUNDS)
}

fn main() {
    let length = std::env::args().nth(1).map_or(200, |text| text.parse().expect("a number"));
    let mut content = vec![1; length];
    println!("| suite, {length} bytes | key at hand | made ready each time |\n|---|---|---|");
    for (name, algorithm) in [
        ("AES-128-GCM", &AES_128_GCM),
        ("AES-256-GCM", &AES_256_GCM),
        ("ChaCha20-Poly1305", &CHACHA20_POLY1305),
    ] {
        let key = ready(algorithm);
        let at_hand = measure(|number| seal(&key, number, &mut content));
        let each_time = measure(|number| seal(&ready(algorithm), number, &mut content));
        println!("| {name} | {at_hand:.0} ns | {each_time:.0} ns |");
    }
}
