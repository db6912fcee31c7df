//! Whatever fuzzing was started from, or has found, stays dealt with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod probe;

fn each(target: &str, probe: fn(&[u8])) {
    let corpus = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let inputs = std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path());
    let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(inputs.len() >= 3, "{corpus} is empty");
    inputs.iter().for_each(|input| probe(input));
}

#[test]
fn no_input_that_was_dealt_with_is_mistaken_again() {
    each("mercure_update", probe::form);
    each("mercure_matcher", probe::matcher);
    each("mercure_claims", probe::claims);
}
