//! Recovery never panics, whatever the files hold: the fuzzer's corpus, and random damage.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use fanfare_testkit::SimulatedDisk;
use proptest::prelude::*;
use support::recovery::recover;
use support::{append, batch, earliest, open, options};

#[test]
fn the_corpus_of_the_fuzzer_is_recovered_from() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/recovery");
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        recover(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 8, "the corpus is in {}", corpus.display());
}

#[test]
fn a_log_of_the_first_version_is_read_and_goes_on() {
    // Its records do not say where they stand in their batch.
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/recovery");
    let segment = |file: &str| fs::read(corpus.join(file)).unwrap()[1..].to_vec();
    let name = |segment: &[u8]| {
        let number = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().unwrap());
        format!("{:020}-{:020}.log", number(8), number(16))
    };
    for (file, expected) in [
        ("segment-whole-current", &["one", "two", "three"][..]),
        ("segment-batch-torn", &[]),
        // Whether it was on disk before is not known: what can be read stays.
        ("segment-body-damaged", &["two", "three"]),
    ] {
        let disk = SimulatedDisk::new(0);
        let segment = segment(file);
        disk.put("FORMAT", b"fanfare log 1\n".to_vec());
        disk.put(&name(&segment), segment);
        let (log, tail) = open(&disk, options());
        assert_eq!(earliest(&log, &tail).messages(), expected, "{file}");
        append(&log, batch("a", ["new", "newer"])).unwrap();
        drop(log);
        let (log, tail) = open(&disk, options());
        assert_eq!(earliest(&log, &tail).messages(), [expected, &["new", "newer"]].concat());
        assert_eq!(disk.read("FORMAT"), b"fanfare log 3\n");
    }
}

proptest! {
    #[test]
    fn random_damage_is_recovered_from(
        changes in prop::collection::vec((0_u8..5, 0_u16..400, 0_u8..6, any::<u8>()), 1..12),
    ) {
        let mut input = vec![2];
        for (file, at, how, byte) in changes {
            input.extend([file, at as u8, (at >> 8) as u8, how, byte]);
        }
        recover(&input);
    }

    #[test]
    fn random_bytes_are_recovered_from(
        kind in 0_u8..2,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut input = vec![kind];
        input.extend(bytes);
        recover(&input);
    }
}

/// Prints nothing and proves nothing: writes the first corpus, from which the fuzzer goes on.
#[test]
#[ignore = "writes fuzz/corpus/recovery anew"]
fn write_the_corpus() {
    use support::keyed;

    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/recovery");
    fs::create_dir_all(&corpus).unwrap();
    let disk = SimulatedDisk::new(0);
    let (log, _) = open(&disk, options());
    append(&log, keyed("k", batch("a", ["one", "two"]))).unwrap();
    append(&log, batch("b/c", ["three"])).unwrap();
    let name = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let whole = disk.read(&name);
    let write = |name: &str, kind: u8, bytes: &[u8]| {
        fs::write(corpus.join(name), [&[kind], bytes].concat()).unwrap();
    };
    let with = |at: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at] ^= byte;
        changed
    };
    write("segment-whole", 0, &whole);
    write("segment-whole-current", 1, &whole);
    write("segment-torn", 1, &whole[..whole.len() - 3]);
    write("segment-batch-torn", 1, &whole[..100]);
    write("segment-header-only", 1, &whole[..52]);
    write("segment-header-torn", 1, &whole[..30]);
    write("segment-length-damaged", 1, &with(52, 0x80));
    write("segment-body-damaged", 1, &with(80, 1));
    write("segment-end-damaged", 1, &with(whole.len() - 1, 1));
    write("segment-sequence-damaged", 0, &with(57, 1));
    write("segment-zeros", 1, &[whole.as_slice(), &[0; 64]].concat());
    write("segment-twice", 1, &[whole.as_slice(), &whole[52..]].concat());
    write("changes", 2, &[0, 60, 0, 2, 9, 1, 9, 0, 0, 0, 2, 70, 0, 1, 7, 3, 12, 0, 5, 1]);
}
