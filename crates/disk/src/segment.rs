//! A segment: a file that holds an unbroken run of records of one epoch.
//!
//! Its name is its first position, twenty digits each, so that names sort as the log does. It
//! begins with 52 bytes: a magic number, its [`SegmentIdentity`], a checksum. Records follow without
//! padding.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fanfare_event::{Position, Topic, TopicSelector};

use crate::index::Index;
use crate::selection::{Selection, select};
use crate::storage::{REFUSALS, StoredFile, is_refused};
use fanfare_log::Ended;
use fanfare_log::bytes::{ByteReader, seal, unseal};

const MAGIC: &[u8; 8] = b"FFSEGMT2";

/// What it began with before records could have extras, which whoever does not know of them would read as
/// something else.
const MAGIC_WITHOUT_EXTRAS: &[u8; 8] = b"FFSEGMT1";

/// Where the first record begins, in bytes.
pub(crate) const START: u32 = 8 + SegmentIdentity::BYTES as u32 + 4;

/// What the name of a segment ends with.
pub(crate) const SEGMENT: &str = ".log";
/// What the name of a segment's index ends with.
pub(crate) const INDEX: &str = ".idx";
/// What is appended to the name of a segment of which nothing can be read.
pub(crate) const SET_ASIDE: &str = ".damaged";

/// Stands beside where the epoch before ended, if something may be lost there.
const LOSSY: u64 = 1 << 63;

/// What tells a segment from any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentIdentity {
    /// The position of its first record.
    pub first: Position,
    /// How the epoch before its own ended; at the origin for a log's first epoch. The lineage can
    /// be told from segments alone.
    pub parent: Ended,
    /// A random number that takes part in the checksum of each record's header.
    pub salt: u64,
}

impl SegmentIdentity {
    const BYTES: usize = 40;

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let Self { first, parent, salt } = self;
        let end = parent.end.seq | if parent.lossy { LOSSY } else { 0 };
        for number in [first.epoch, first.seq, parent.end.epoch, end, *salt] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn decode(cut: &mut ByteReader<'_>) -> Option<Self> {
        let first = Position::new(cut.u64()?, cut.u64()?);
        let (epoch, end) = (cut.u64()?, cut.u64()?);
        let parent = Ended { end: Position::new(epoch, end & !LOSSY), lossy: end & LOSSY != 0 };
        let salt = cut.u64()?;
        (is_plausible(first) && first.epoch > epoch).then_some(Self { first, parent, salt })
    }

    /// The bytes a segment begins with.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        self.encode(&mut bytes);
        seal(&mut bytes);
        bytes
    }

    /// Reads them; `None` where they are damaged.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cut = unseal(bytes.get(..START as usize)?)?;
        let magic = cut.take(MAGIC.len())?;
        if magic != MAGIC && magic != MAGIC_WITHOUT_EXTRAS {
            return None;
        }
        Self::decode(&mut cut)
    }
}

/// The file of a segment. Whoever holds it can read on after it was unlinked.
pub(crate) struct SegmentFile {
    pub identity: SegmentIdentity,
    pub bytes: Arc<dyn StoredFile>,
    reported: AtomicBool,
    index_reported: AtomicBool,
    /// How often the medium has refused to give a page of it, by its number.
    refusals: Mutex<BTreeMap<u32, u32>>,
}

/// What a kernel reads at least, and the medium refuses at least, in bytes.
const READ_PAGE: u32 = 4096;

/// Of how many pages of a segment refusals are counted; each of the others counts as damaged at once.
const COUNTED_PAGES: usize = 256;

impl SegmentFile {
    pub(crate) fn new(identity: SegmentIdentity, bytes: Arc<dyn StoredFile>) -> Self {
        Self {
            identity,
            bytes,
            reported: AtomicBool::default(),
            index_reported: AtomicBool::default(),
            refusals: Mutex::default(),
        }
    }

    /// Reads these bytes as far as the medium gives them: what it has refused often enough is damage, not an outage.
    pub(crate) fn read_available(&self, into: &mut [u8], start: u32) -> io::Result<GivenBytes> {
        let mut given = GivenBytes { end: start, refused: Vec::new(), again: None };
        let whole = start + into.len() as u32;
        while given.end < whole {
            match self.bytes.read_at(&mut into[(given.end - start) as usize..], given.end.into()) {
                Ok(0) => break,
                Ok(read) => given.end += read as u32,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_refused(&error) => {
                    let page = given.end / READ_PAGE;
                    if self.count_refusal(page) < REFUSALS {
                        given.again = Some(error);
                        break;
                    }
                    let next = page.saturating_add(1).saturating_mul(READ_PAGE).min(whole);
                    given.refused.push(given.end..next);
                    given.end = next;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(given)
    }

    /// Counts that the medium has refused to give a page, and says how often it has.
    fn count_refusal(&self, page: u32) -> u32 {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= COUNTED_PAGES && !refusals.contains_key(&page) {
            return REFUSALS;
        }
        let count = refusals.entry(page).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Logs that its index cannot be used; once, too.
    pub(crate) fn report_index(&self) {
        if !self.index_reported.swap(true, Ordering::Relaxed) {
            let segment = name(self.identity.first);
            tracing::error!(segment, "an index is missing or damaged: its segment is scanned");
        }
    }

    /// Logs that a record cannot be read; once per segment, since readers come again.
    pub(crate) fn report_damage(&self, offset: u32, position: Position) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            let segment = name(self.identity.first);
            tracing::error!(segment, offset, %position, "damaged record: its readers get a gap");
        }
    }
}

/// What the medium has given of a stretch of a segment.
pub(crate) struct GivenBytes {
    /// Up to where it was read.
    end: u32,
    /// What is missing of that, ascending.
    refused: Vec<Range<u32>>,
    /// Why no more was read, where it is to be tried again.
    pub(crate) again: Option<io::Error>,
}

impl GivenBytes {
    /// Whether these bytes were read.
    pub(crate) fn has(&self, bytes: &Range<u32>) -> bool {
        let at = self.refused.partition_point(|refused| refused.end <= bytes.start);
        let is_whole = self.refused.get(at).is_none_or(|refused| refused.start >= bytes.end);
        self.reaches(bytes) && is_whole
    }

    /// Whether it was tried to read these bytes.
    pub(crate) fn reaches(&self, bytes: &Range<u32>) -> bool {
        bytes.end <= self.end
    }
}

/// A segment that grows, with its index.
pub(crate) struct Segment {
    pub file: Arc<SegmentFile>,
    pub index: Index,
}

/// What is to be read of a segment.
pub(crate) struct SegmentRun {
    pub file: Arc<SegmentFile>,
    pub records: Vec<Extent>,
    /// Nothing else up to and including this position is wanted.
    pub covered: Position,
}

/// Records of a segment that grows, of which it is yet to be seen whether they are wanted: the
/// writer waits for nobody who compares patterns.
pub(crate) struct Unmatched {
    file: Arc<SegmentFile>,
    /// With their topics; none where a record has several, or is lost: it is looked at.
    records: Vec<(Extent, Option<Topic>)>,
    covered: Position,
}

/// Where a record lies.
pub(crate) struct Extent {
    pub position: Position,
    /// The last that is lost with it; its own position where nothing is known to be.
    pub through: Position,
    pub bytes: Range<u32>,
    /// It is known that it cannot be read.
    pub lost: bool,
}

impl Segment {
    pub(crate) fn new(file: SegmentFile, index: Index) -> Self {
        Self { file: Arc::new(file), index }
    }

    /// Its records after one position and up to another.
    pub(crate) fn range(&self, after: Position, until: Position) -> Range<u32> {
        ordinals(self.index.first(), self.index.count(), after, until)
    }

    /// The first of `range`, which must not be empty, with the names of their topics; only while the
    /// segment grows. Copies, and compares nothing.
    pub(crate) fn unmatched(&self, range: Range<u32>, most: usize) -> Unmatched {
        let covered = range.end.min(range.start.saturating_add(most.max(1) as u32));
        let index = &self.index;
        let record = |ordinal| (extent(index, ordinal, covered), index.topic_of(ordinal).cloned());
        Unmatched {
            file: self.file.clone(),
            records: (range.start..covered).map(record).collect(),
            covered: before(index.position(covered)),
        }
    }
}

impl SegmentRun {
    /// What is wanted of `range`, which must not be empty, of the segment of this file and index; at most
    /// about `most` records. Compares patterns with `most_compared` topics at most.
    pub(crate) fn of(
        file: &Arc<SegmentFile>,
        index: &Index,
        wanted: &TopicSelector,
        range: Range<u32>,
        (most, most_compared): (usize, usize),
    ) -> Self {
        let Selection { ordinals, covered } = select(index, wanted, range, most, most_compared);
        Self {
            file: file.clone(),
            records: ordinals.into_iter().map(|ordinal| extent(index, ordinal, covered)).collect(),
            covered: before(index.position(covered)),
        }
    }
}

/// Where a record lies, as part of what reaches up to the ordinal `covered`.
fn extent(index: &Index, ordinal: u32, covered: u32) -> Extent {
    let position = index.position(ordinal);
    let Range { start, end } = index.extent(ordinal);
    match index.lost_with(ordinal) {
        None => Extent { position, through: position, bytes: start..end, lost: false },
        Some(lost) => {
            let through = index.position(lost.end.min(covered) - 1);
            Extent { position, through, bytes: start..start, lost: true }
        }
    }
}

impl Unmatched {
    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Those that are wanted, or may be; what was lost always is.
    pub(crate) fn matching(self, wanted: &TopicSelector) -> SegmentRun {
        let is_wanted = |topic: Option<Topic>| topic.is_none_or(|topic| wanted.matches(&topic));
        let records = self.records.into_iter();
        let records = records.filter_map(|(extent, topic)| is_wanted(topic).then_some(extent));
        SegmentRun { file: self.file, records: records.collect(), covered: self.covered }
    }
}

/// Which of the `count` records of the segment that begins at `first` stand after one position and up to
/// another.
pub(crate) fn ordinals(
    first: Position,
    count: u32,
    after: Position,
    until: Position,
) -> Range<u32> {
    let through = |through: Position| match through.epoch.cmp(&first.epoch) {
        Less => 0,
        Equal => (through.seq + 1).saturating_sub(first.seq).min(count.into()) as u32,
        Greater => count,
    };
    through(after)..through(until)
}

/// The place before a record.
pub(crate) fn before(position: Position) -> Position {
    Position::new(position.epoch, position.seq.saturating_sub(1))
}

/// The name of the segment that begins at `first`, without its ending.
pub(crate) fn name(first: Position) -> String {
    format!("{:020}-{:020}", first.epoch, first.seq)
}

/// The first position of the segment a file's name stands for, if it stands for one.
pub(crate) fn parse_name(file: &str) -> Option<Position> {
    let stem = file.strip_suffix(SEGMENT)?;
    let first: Position = stem.parse().ok()?;
    (stem == name(first) && is_plausible(first)).then_some(first)
}

/// Whether a segment can begin here. More epochs and more events follow: a number near the end of
/// its range is a fault.
fn is_plausible(first: Position) -> bool {
    (1..1 << 63).contains(&first.epoch) && (1..1 << 63).contains(&first.seq)
}
