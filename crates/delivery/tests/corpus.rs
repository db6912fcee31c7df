//! Whatever fuzzing was started from, or has found, stays dealt with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod probe;

#[test]
fn no_input_of_the_corpus_is_mistaken() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/handover");
    let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
    let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(inputs.len() >= 3, "{corpus} is empty");
    inputs.iter().for_each(|input| probe::handover(input));
}
