//! What a file holds: now, on the medium, and what lies between the two.

use fastrand::Rng;

/// What reaches the medium as a whole or not at all, in bytes: less than in truth, so that there
/// are more places at which a record can be torn.
const PAGE: usize = 128;

#[derive(Default, Clone)]
pub(super) struct FileContent {
    pub(super) now: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// What happened since the last sync.
    pub(super) changes: Vec<FileChange>,
}

#[derive(Clone)]
pub(super) enum FileChange {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

pub(super) fn write_into(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (at, end) = (at as usize, at as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

impl FileContent {
    /// What is found after a crash: what was synced, and of the rest a beginning, the last part
    /// of which may be cut off or read as zeros; or any of its pages.
    pub(super) fn settle(&mut self, rng: &mut Rng) {
        if rng.bool() {
            return self.settle_pages(rng);
        }
        let kept = rng.usize(..=self.changes.len());
        let mut found = std::mem::take(&mut self.durable);
        for (at, change) in self.changes.drain(..).enumerate() {
            if at > kept {
                break;
            }
            match change {
                FileChange::Write(offset, bytes) if at == kept => {
                    let part = rng.usize(..=bytes.len());
                    write_into(&mut found, offset, &bytes[..part]);
                    if rng.bool() {
                        write_into(&mut found, offset + part as u64, &vec![0; bytes.len() - part]);
                    }
                }
                FileChange::Truncate(_) if at == kept => {}
                FileChange::Write(offset, bytes) => write_into(&mut found, offset, &bytes),
                FileChange::Truncate(size) => found.resize(size as usize, 0),
            }
        }
        self.now = found.clone();
        self.durable = found;
    }

    /// What a device leaves behind that writes pages in an order of its own.
    fn settle_pages(&mut self, rng: &mut Rng) {
        let mut found = std::mem::take(&mut self.durable);
        for change in self.changes.drain(..) {
            match change {
                FileChange::Truncate(size) => found.resize(size as usize, 0),
                FileChange::Write(offset, bytes) => {
                    for (page, part) in bytes.chunks(PAGE).enumerate() {
                        if rng.u8(..3) > 0 {
                            write_into(&mut found, offset + (page * PAGE) as u64, part);
                        }
                    }
                }
            }
        }
        self.now = found.clone();
        self.durable = found;
    }
}
