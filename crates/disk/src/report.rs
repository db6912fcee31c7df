//! Looking at a log without opening it: for operators, beside a running hub or without one.
//!
//! What must hold: nothing is changed and no lock is taken.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fanfare_event::{Position, Timestamp, Topic};

use crate::format::Marking;
use crate::index::Index;
use crate::lineage_file::StoredLineage;
use crate::open_error::OpenError;
use crate::scan::{SegmentEnd, scan};
use crate::segment::{INDEX, SEGMENT, SET_ASIDE, START, SegmentIdentity, before, name, parse_name};
use crate::storage::{Directory, Storage, read_file, read_full};
use crate::{format, index_file, keys_file, lineage_file, trims_file, unsynced_file};
use fanfare_log::Lineage;

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogReport {
    /// The lineage, where it can be read; a new directory has none.
    pub lineage: Option<Lineage>,
    /// The segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// How many events of each topic there are, in the order of names.
    pub topics: Vec<(Topic, u64)>,
    /// What is damaged; empty where all is well.
    pub damage: Vec<Damage>,
    /// How many idempotency keys are kept whose events are trimmed; some may have ended.
    pub keys: u64,
    /// Whether the machine stopped before all that was acknowledged was on disk, so that the next
    /// start tells of a loss.
    pub may_lose: bool,
    /// Where the last segment ends in the middle of a write: what a crash or a running hub leaves,
    /// and no damage.
    pub unfinished: Option<Damage>,
}

/// What one segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file's name.
    pub file: String,
    /// The position of its first event; of the next one where it has none.
    pub first: Position,
    /// How many events it holds, the lost ones included.
    pub events: u64,
    /// How many of them cannot be read.
    pub lost: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// When its oldest and its newest event were published.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// A place in a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file's name.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

impl LogReport {
    /// How many events can be read.
    pub fn events(&self) -> u64 {
        self.segments.iter().map(|segment| segment.events - segment.lost).sum()
    }

    /// How many bytes the segments have.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// Reads every byte of the log in `directory` and reports what is damaged.
pub fn verify(directory: &Path) -> Result<LogReport, OpenError> {
    inspect_directory(&look_at(directory)?, false)
}

/// Reports what the log in `directory` holds. Believes indices, so costs far less than [`verify`]
/// and finds less damage.
pub fn stats(directory: &Path) -> Result<LogReport, OpenError> {
    inspect_directory(&look_at(directory)?, true)
}

fn look_at(directory: &Path) -> Result<Directory, OpenError> {
    let place = directory.display().to_string();
    Directory::read_only(directory).map_err(|source| OpenError::io("list", &place, source))
}

pub(crate) fn inspect_directory(
    storage: &dyn Storage,
    believe: bool,
) -> Result<LogReport, OpenError> {
    let place = storage.place();
    let marked = format::check(storage)?;
    let io = |source| OpenError::io("read", &place, source);
    let mut report = LogReport::default();
    if marked == Marking::Unmarked {
        report.note(format::NAME, 0, "it is missing or damaged: the next start writes it anew");
    }
    match lineage_file::load(storage).map_err(io)? {
        StoredLineage::Whole(lineage) => report.lineage = Some(lineage),
        StoredLineage::Damaged => report.note(lineage_file::NAME, 0, "it is damaged"),
        StoredLineage::Nothing => {}
    }
    let mut names = storage.list().map_err(io)?;
    names.sort_unstable();
    if names.iter().any(|name| name == trims_file::NAME)
        && trims_file::load(storage).map_err(io)?.is_none()
    {
        report.note(trims_file::NAME, 0, "it is damaged");
    }
    let keys = keys_file::load(storage).map_err(io)?;
    if keys.whole < keys.size {
        report.note(keys_file::NAME, keys.whole, "the rest is unfinished or damaged");
    }
    report.keys = keys.keys.len() as u64;
    report.may_lose = match &report.lineage {
        Some(lineage) => unsynced_file::may_have_lost(storage, lineage.current()).map_err(io)?,
        None => false,
    };
    for name in names.iter().filter(|name| name.ends_with(SET_ASIDE)) {
        report.note(name, 0, "nothing of this segment can be read, it was set aside");
    }
    let firsts: Vec<_> = names.iter().filter_map(|file| parse_name(file)).collect();
    if report.lineage.is_none() && !firsts.is_empty() && report.damage.is_empty() {
        report.note(lineage_file::NAME, 0, "it is missing");
    }
    let mut topics = BTreeMap::new();
    let mut last = None;
    for first in &firsts {
        let newest = Some(first) == firsts.last();
        match report.segment(storage, *first, newest, believe) {
            Ok(Some(index)) => {
                report.count(&index, storage, *first, &mut topics, last);
                last = Some(index.last());
            }
            Ok(None) => {}
            // A running hub has trimmed it in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
    }
    report.topics = topics.into_iter().collect();
    Ok(report)
}

impl LogReport {
    fn note(&mut self, file: &str, offset: u64, what: impl Into<String>) {
        self.damage.push(Damage { file: file.to_owned(), offset, what: what.into() });
    }

    /// Looks through one segment; `None` where nothing can be said of it.
    fn segment(
        &mut self,
        storage: &dyn Storage,
        first: Position,
        newest: bool,
        believe: bool,
    ) -> io::Result<Option<Index>> {
        let file = format!("{}{SEGMENT}", name(first));
        let bytes = storage.open(&file)?;
        let index = match read_file(storage, &format!("{}{INDEX}", name(first)), 2 << 30) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            content => Some(index_file::decode(&content?)),
        };
        let size = bytes.size()?;
        let mut header = [0; START as usize];
        let read = read_full(&*bytes, &mut header, 0)?;
        let identity = SegmentIdentity::parse(&header[..read]).filter(|found| found.first == first);
        if index.as_ref().is_some_and(Option::is_none) {
            self.note(&format!("{}{INDEX}", name(first)), 0, "it is damaged");
        }
        let index = index.flatten();
        let closed = index.is_some();
        let Some(identity) = identity else {
            if newest && !closed && header[..read].iter().all(|&byte| byte == 0) {
                self.unfinished = Some(Damage { file, offset: 0, what: "never begun".to_owned() });
            } else {
                self.note(&file, 0, "the header is damaged");
            }
            return Ok(index.map(|(_, index)| index));
        };
        if let Some((_, index)) = &index
            && u64::from(index.end()) != size
        {
            let end = index.end();
            self.note(&file, size.min(end.into()), format!("it should have {end} bytes"));
        }
        if let Some((found, index)) = index
            && believe
            && found == identity
            && u64::from(index.end()) == size
        {
            for lost in index.lost() {
                let offset = index.extent(lost.start).start;
                self.note(&file, offset.into(), format!("{} records are damaged", lost.len()));
            }
            return Ok(Some(index));
        }
        let found = scan(&*bytes, &identity)?;
        for damage in &found.damage {
            let what = format!("{} records are damaged", damage.records);
            self.note(&file, damage.offset.into(), what);
        }
        for dropped in &found.dropped {
            let what =
                format!("{} records belong to a batch of which more is lost", dropped.records);
            self.note(&file, dropped.offset.into(), what);
        }
        match found.end {
            SegmentEnd::Whole => {}
            SegmentEnd::Torn(at) if newest && !closed => {
                let what = "the last write was cut off".to_owned();
                self.unfinished = Some(Damage { file, offset: at.into(), what });
            }
            SegmentEnd::Torn(at) | SegmentEnd::Damaged(at) => {
                self.note(&file, at.into(), "the rest of the segment is damaged");
            }
        }
        Ok(Some(found.index))
    }

    fn count(
        &mut self,
        index: &Index,
        storage: &dyn Storage,
        first: Position,
        topics: &mut BTreeMap<Topic, u64>,
        last: Option<Position>,
    ) {
        let file = format!("{}{SEGMENT}", name(first));
        let root = Lineage::root(first.epoch);
        let lineage = self.lineage.as_ref().unwrap_or(&root);
        if let Some(lost) = last.and_then(|last| lineage.missing(last, before(first))) {
            self.note(&file, 0, format!("records up to {lost} are missing before it"));
        }
        index.topics(|topic, ordinals| {
            *topics.entry(topic.clone()).or_default() += ordinals.len() as u64;
        });
        self.segments.push(SegmentReport {
            bytes: storage.open(&file).and_then(|bytes| bytes.size()).unwrap_or(0),
            file,
            first,
            events: index.count().into(),
            lost: index.lost().iter().map(|lost| lost.len() as u64).sum(),
            times: index.times(),
        });
    }
}
