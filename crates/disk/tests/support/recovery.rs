//! What the fuzz target and the test over its corpus do with an input.

use fanfare_testkit::SimulatedDisk;

use super::{append, batch, earliest, keyed, open, options};

/// A segment holds its first position at this place: two numbers of eight bytes.
const FIRST: std::ops::Range<usize> = 8..24;

/// Puts the input into a log's directory, opens it, and sees that recovery neither panics nor
/// loses what it once showed. The first byte says what the rest is: 0 a segment, 1 a segment of
/// the current epoch, otherwise changes to the files of a real log, five bytes each: which file,
/// where (two bytes), how (0 truncates, 1 inserts a byte, others change one), which byte.
pub fn recover(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let disk = match kind {
        0 | 1 => {
            let disk = SimulatedDisk::new(0);
            drop(open(&disk, options()));
            if let Some(first) = rest.get(FIRST) {
                let number = |at: usize| {
                    u64::from_le_bytes(first[at..at + 8].try_into().expect("eight bytes"))
                };
                disk.put(&format!("{:020}-{:020}.log", number(0), number(8)), rest.to_vec());
            }
            if *kind == 1 {
                // Then the segment is the one that was being written.
                disk.remove("epochs");
            }
            disk
        }
        _ => changed(rest),
    };
    let (log, tail) = open(&disk, options());
    let first = earliest(&log, &tail);
    append(&log, batch("a", ["the log goes on"])).expect("a recovered log accepts events");
    drop(log);
    let (log, tail) = open(&disk, options());
    let second = earliest(&log, &tail);
    for event in &first.events {
        assert!(second.events.contains(event), "{event:?} was there and is gone");
    }
}

fn changed(changes: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::new(0);
    for _ in 0..2 {
        let (log, _) = open(&disk, options());
        append(&log, keyed("k", batch("a", ["one", "two"]))).expect("accepted");
        append(&log, batch("b/c", ["three"])).expect("accepted");
        drop(log);
    }
    // Not closed: the last segment has no index.
    let newest = disk.names().into_iter().rfind(|name| name.ends_with(".idx"));
    disk.remove(&newest.expect("a closed segment has an index"));
    let names: Vec<_> = disk.names().into_iter().filter(|name| name != "FORMAT").collect();
    for change in changes.chunks_exact(5) {
        let name = &names[usize::from(change[0]) % names.len()];
        let mut content = disk.read(name);
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % (content.len() + 1);
        match change[3] {
            0 => content.truncate(at),
            1 => content.insert(at, change[4]),
            _ if at < content.len() => content[at] ^= change[4],
            _ => content.push(change[4]),
        }
        disk.put(name, content);
    }
    disk
}
