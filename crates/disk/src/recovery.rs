//! Recovery: from the files of a directory to a log that can go on.
//!
//! What must hold:
//!
//! - What was acknowledged and can be read is part of the log again, at the same position.
//! - What was acknowledged and cannot be read is known to be lost: its readers get a gap.
//! - Only the segment that was being written when the log ended may be torn; only there, and only
//!   what was never acknowledged, is cut off. Other damage stays in place, for whoever wants to
//!   look at it, until retention unlinks it; a segment of which nothing can be read is renamed,
//!   and stays until an operator removes it.
//! - Of a segment that was closed, no more is read than the head of its index.
//! - No content of the files makes it panic. Where the lineage is gone it is told from segments.

use std::collections::BTreeMap;
use std::io;

use fanfare_event::Position;

use crate::file_names::FILES;
use crate::index::Index;
use crate::index_cache::whole_index;
use crate::index_file::{FoundIndex, IndexHead};
use crate::keys_file::{KeptKey, KeysFile, StoredKeys};
use crate::lineage_file::StoredLineage;
use crate::name_table::NameTable;
use crate::open_error::OpenError;
use crate::reclaim::{Reclaimer, TrimmedFiles};
use crate::scan::{Scan, SegmentEnd, scan};
use crate::segment::{INDEX, SEGMENT, SET_ASIDE, START, SegmentFile, SegmentIdentity};
use crate::segment::{before, name, parse_name};
use crate::segment_keys::SegmentKeys;
use crate::state::{FoundSegment, Restored};
use crate::storage::{Storage, UNFINISHED, is_full, is_refused, read_full};
use crate::summary::Summary;
use crate::trims::Trims;
use crate::{index_file, keys_file, lineage_file, trims_file, unsynced_file};
use fanfare_log::{Ended, Environment, EpochStatus, Lineage, TopicTable, next_epoch, record};

/// What is found in a directory, made ready to go on.
pub(crate) struct Recovered {
    /// With the new epoch.
    pub lineage: Lineage,
    /// Whether that is durable: not where the disk is full. Until it is, nothing may be published.
    pub recorded: bool,
    /// How the epoch before it ended.
    pub parent: Ended,
    pub restored: Restored,
    /// What the keys within their window were answered, oldest first.
    pub keys: Vec<KeptKey>,
    /// Those of them that are in segments.
    pub segment_keys: SegmentKeys,
    pub reclaimer: Reclaimer,
}

/// Recovers the log and begins a new epoch. Idempotency keys are answered for `window` milliseconds.
/// `keep` says whether the indices of all segments are to be kept in memory.
pub(crate) fn recover(
    storage: &dyn Storage,
    environment: &dyn Environment,
    window: u64,
    keep: bool,
) -> Result<Recovered, OpenError> {
    let place = storage.place();
    let now = environment.now();
    let io = |action| {
        let place = place.clone();
        move |source| OpenError::io(action, &place, source)
    };
    let mut names = storage.list().map_err(io("list"))?;
    remove_leftovers(storage, &names);
    let orphans: Vec<_> =
        names.iter().filter_map(|file| orphaned_index_position(file, &names)).collect();
    let found = lineage_file::load(storage).map_err(io("read the lineage in"))?;
    let trims = trims_file::load(storage).map_err(io("read what was trimmed in"))?;
    names.sort_unstable();
    let firsts: Vec<_> = names.iter().filter_map(|file| parse_name(file)).collect();
    // One of an earlier start, put back beside later segments, knows nothing of them.
    let found = match (found, firsts.last()) {
        (StoredLineage::Whole(lineage), Some(last)) if last.epoch > lineage.current() => {
            tracing::error!(
                place,
                "the lineage is older than the log: it is told from the segments"
            );
            StoredLineage::Damaged
        }
        (found, _) => found,
    };
    let latest = match &found {
        StoredLineage::Whole(lineage) => lineage.current(),
        _ => firsts.last().map_or(0, |first| first.epoch),
    };
    let lossy =
        unsynced_file::may_have_lost(storage, latest).map_err(io("read what was synced in"))?;
    if lossy {
        tracing::error!(
            place,
            epoch = latest,
            "the machine stopped before all that was acknowledged was on disk: events may be lost, \
             and those who have not read to the end get a gap"
        );
    }
    let lives = |key: &KeptKey| key.is_within(window, now);
    let (mut segments, mut topics) = (Vec::new(), NameTable::default());
    for (at, &first) in firsts.iter().enumerate() {
        // The one that was being written when the log ended.
        let last = at + 1 == firsts.len()
            && match &found {
                StoredLineage::Whole(lineage) => first.epoch == lineage.current(),
                _ => true,
            };
        let indexed = names.binary_search(&format!("{}{INDEX}", name(first))).is_ok();
        let last = last.then_some(Newest { acknowledged: lossy });
        let segment = load(storage, first, indexed, last, &mut topics, keep);
        segments.extend(segment.map_err(io("recover a segment in"))?.map(|mut segment| {
            segment.found.head.keys.retain(lives);
            segment
        }));
    }
    let mut lineage = match found {
        StoredLineage::Whole(lineage) => Some(lineage),
        StoredLineage::Nothing if firsts.is_empty() => None,
        _ => {
            tracing::error!(place, "the lineage is missing or damaged: it is told from segments");
            firsts.last().and_then(|newest| lineage_of(&segments, newest.epoch))
        }
    };
    let parent = match &mut lineage {
        None => Ended::whole(Position::ORIGIN),
        Some(lineage) => {
            let current = lineage.current();
            let of_current = |position: &Position| position.epoch == current;
            // A segment that was never begun still tells where the one before it ended.
            let named = firsts.iter().map(|&first| before(first));
            let whole = segments.iter().map(|segment| segment.summary().last());
            let last = named.chain(whole).filter(of_current).max();
            let names = storage.list().map_err(io("list"))?;
            let set_aside = names.iter().filter_map(|file| lost_with(storage, file));
            let lost = set_aside.filter(|(first, _)| of_current(first) && Some(*first) > last);
            let end = last.max(lost.map(|(_, last)| last).max());
            let end = end.unwrap_or(Position::new(current, 0));
            lineage.begin(next_epoch(current, now, environment.random()), end.seq, lossy);
            Ended { end, lossy }
        }
    };
    // Whatever is known of epochs that were: none of them is given out again.
    let known = trims.as_ref().map_or(latest, |trims| trims.through.epoch.max(latest));
    let lineage =
        lineage.unwrap_or_else(|| Lineage::root(next_epoch(known, now, environment.random())));
    let recorded = match lineage_file::store(storage, &lineage) {
        Ok(()) => true,
        Err(error) if is_full(&error) => {
            tracing::error!(place, %error, "the disk is full: the log can be read, not published to");
            false
        }
        Err(error) => return Err(io("write the lineage in")(error)),
    };
    if recorded {
        unsynced_file::clear(storage);
    }

    let orphans = load_orphans(storage, &orphans);
    let (mut keys, keys_file) = recover_keys(storage, &segments, &orphans, lives);
    let (restored, dropped) = assemble(segments, topics, &lineage, trims);
    let kept = restored.segments.iter().flat_map(|segment| &segment.found.head.keys);
    let segment_keys = SegmentKeys::new(kept.cloned());
    let mut reclaimer = Reclaimer::new(keys_file);
    reclaimer.add(dropped.into_iter().map(|FoundSegment { found, .. }| {
        TrimmedFiles::of(storage, &found.head.summary, found.head.keys)
    }));
    reclaimer.add(orphans);
    reclaimer.reclaim(storage, lives);
    keys.sort_unstable_by_key(|key| key.first);
    keys.dedup_by_key(|key| key.first);
    Ok(Recovered { lineage, recorded, parent, restored, keys, segment_keys, reclaimer })
}

/// The indices of segments that had to go before their keys could be kept elsewhere.
fn load_orphans(storage: &dyn Storage, orphans: &[Position]) -> Vec<TrimmedFiles> {
    let mut names = NameTable::default();
    let mut load = |&first: &Position| match index_file::load_head(storage, first, &mut names) {
        Ok(Some(FoundIndex { head, .. })) => {
            Some(TrimmedFiles::of_index(storage, first, head.keys))
        }
        found => {
            let file = index_file::file_name(first);
            tracing::warn!(file, "what is left of a trimmed segment cannot be read, it is removed");
            found.is_ok().then(|| storage.unlink(&file));
            None
        }
    };
    orphans.iter().filter_map(&mut load).collect()
}

/// All keys within their window, whether or not their segments are still there.
fn recover_keys(
    storage: &dyn Storage,
    segments: &[FoundSegment],
    orphans: &[TrimmedFiles],
    lives: impl Fn(&KeptKey) -> bool + Copy,
) -> (Vec<KeptKey>, KeysFile) {
    let mut file = KeysFile::default();
    let found = keys_file::load(storage).unwrap_or_else(|error| {
        tracing::error!(%error, "idempotency keys of what was trimmed cannot be read: forgotten");
        StoredKeys::default()
    });
    if found.whole < found.size {
        let (offset, name) = (found.whole, keys_file::NAME);
        tracing::warn!(file = name, offset, "the rest of the file is unfinished, or damaged");
    }
    let (mut keys, ended): (Vec<_>, Vec<_>) = found.keys.into_iter().partition(lives);
    if (found.whole < found.size || !ended.is_empty())
        && let Err(error) = file.write(storage, &keys)
    {
        tracing::warn!(%error, "cannot write the keys anew");
    }
    keys.extend(segments.iter().flat_map(|segment| &segment.found.head.keys).cloned());
    keys.extend(orphans.iter().flat_map(TrimmedFiles::keys).filter(|key| lives(key)).cloned());
    (keys, file)
}

/// Removes what an interrupted start, stop or trim left behind; nothing that may be another's.
fn remove_leftovers(storage: &dyn Storage, names: &[String]) {
    let ours = |stem: &str| FILES.contains(&stem) || of_index(stem).is_some();
    let leftover = |file: &&String| file.strip_suffix(UNFINISHED).is_some_and(ours);
    for name in names.iter().filter(leftover) {
        if let Err(error) = storage.unlink(name) {
            tracing::warn!(file = name, %error, "cannot remove an unfinished file");
        }
    }
}

/// The first position of the segment whose index this is, if it is one and its segment is gone.
fn orphaned_index_position(file: &str, names: &[String]) -> Option<Position> {
    of_index(file).filter(|&first| !names.contains(&format!("{}{SEGMENT}", name(first))))
}

/// The first position of the segment whose index a file of this name is.
fn of_index(file: &str) -> Option<Position> {
    parse_name(&format!("{}{SEGMENT}", file.strip_suffix(INDEX)?))
}

/// What is known of the segment that was being written.
#[derive(Clone, Copy)]
struct Newest {
    /// Whether what was cut off its end may have been acknowledged.
    acknowledged: bool,
}

/// Opens one segment; `None` where nothing in it is of use.
fn load(
    storage: &dyn Storage,
    first: Position,
    indexed: bool,
    last: Option<Newest>,
    names: &mut NameTable,
    keep: bool,
) -> io::Result<Option<FoundSegment>> {
    let segment = format!("{}{SEGMENT}", name(first));
    let bytes = storage.open(&segment)?;
    let mut header = [0; START as usize];
    // Where the medium refuses it, the index knows what it says.
    let (read, refused) = match read_full(&*bytes, &mut header, 0) {
        Err(error) if is_refused(&error) => (0, Some(error)),
        read => (read?, None),
    };
    let of_segment = |identity: &SegmentIdentity| identity.first == first;
    let identity = SegmentIdentity::parse(&header[..read]).filter(of_segment);
    let found = if indexed { index_file::load_head(storage, first, names) } else { Ok(None) };
    let found = match found {
        // It only repeats what the segment says.
        Err(error) if is_refused(&error) => {
            tracing::error!(segment, %error, "an index cannot be read: its segment is scanned");
            None
        }
        found => found?,
    };
    let mut promised = 0;
    if let Some(found) = found {
        let (indexed, summary) = (found.head.identity, &found.head.summary);
        let fits = identity.is_none_or(|identity| identity == indexed);
        if fits && bytes.size()? == u64::from(summary.end) {
            return indexed_segment(storage, SegmentFile::new(indexed, bytes), found, names, keep);
        }
        tracing::error!(segment, "the segment is not as its index says: it is scanned");
        promised = summary.count;
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    // An index is written when nothing more is: then nothing can be torn.
    let last = last.filter(|_| promised == 0);
    let Some(identity) = identity else {
        let untouched = header[..read].iter().all(|&byte| byte == 0);
        if last.is_some() && (read < START as usize || untouched) {
            tracing::info!(segment, "a segment that was never begun is removed");
            storage.unlink(&segment)?;
        } else {
            tracing::error!(segment, "a segment's header is damaged: the segment is set aside");
            storage.rename(&segment, &set_aside(first))?;
        }
        storage.sync_dir()?;
        return Ok(None);
    };
    let mut found = scan(&*bytes, &identity)?;
    for damage in &found.damage {
        let (offset, records) = (damage.offset, damage.records);
        tracing::error!(segment, offset, records, "records are damaged: their readers get a gap");
    }
    for dropped in &found.dropped {
        let (offset, records) = (dropped.offset, dropped.records);
        tracing::error!(
            segment,
            offset,
            records,
            "part of a batch is dropped, of which more is lost"
        );
    }
    if let Some(newest) = last {
        judge_segment_end(&segment, &mut found, bytes.size()?, newest);
        if u64::from(found.index.end()) < bytes.size()? {
            bytes.truncate(found.index.end().into())?;
        }
        bytes.sync()?;
    }
    if let missing @ 1.. = promised.saturating_sub(found.index.count()) {
        // Up to the end of the file, so that the next start finds all of it accounted for.
        let length = bytes.size()?.saturating_sub(found.index.end().into());
        found.index.push_lost(missing, u32::try_from(length).unwrap_or(0));
    }
    let mut index = found.index;
    index.close();
    let head = IndexHead::of(identity, &mut index, names);
    let file = SegmentFile::new(identity, bytes);
    Ok(Some(stored_segment(storage, file, head, index, keep)))
}

/// A segment whose index says what it holds.
fn indexed_segment(
    storage: &dyn Storage,
    file: SegmentFile,
    found: FoundIndex,
    names: &mut NameTable,
    keep: bool,
) -> io::Result<Option<FoundSegment>> {
    Ok(Some(match found {
        // An older version wrote it: the next start need not read all of it.
        FoundIndex { head, index: Some(index) } => stored_segment(storage, file, head, index, keep),
        FoundIndex { mut head, index: None } if keep => {
            let index = whole_index(storage, &file, &head.summary)?;
            head.fit(&index, names);
            FoundSegment { file, found: FoundIndex { head, index: Some(index) } }
        }
        found => FoundSegment { file, found },
    }))
}

/// A segment whose index is written down; where that cannot be, it is kept in memory.
fn stored_segment(
    storage: &dyn Storage,
    file: SegmentFile,
    head: IndexHead,
    index: Index,
    keep: bool,
) -> FoundSegment {
    let content = index_file::encode(&file.identity, &head.summary, &head.keys, &index);
    let stored = index_file::store(storage, head.summary.first, &content);
    let index = (keep || !stored).then_some(index);
    FoundSegment { file, found: FoundIndex { head, index } }
}

/// Decides what the end of the segment that was being written is worth.
fn judge_segment_end(segment: &str, found: &mut Scan, size: u64, newest: Newest) {
    let worth = if newest.acknowledged { "perhaps acknowledged" } else { "never acknowledged" };
    match found.end {
        SegmentEnd::Whole => {}
        SegmentEnd::Torn(offset) => {
            let bytes = size - u64::from(offset);
            tracing::warn!(segment, offset, bytes, worth, "a torn tail is cut off");
        }
        SegmentEnd::Damaged(offset) => {
            tracing::error!(segment, offset, "the end is damaged: its readers get a gap");
            let length = size.min(u32::MAX.into()) as u32 - offset;
            found.index.push_lost(most_records(length), length);
            found.unfinished = None;
        }
    }
    if let Some(ordinal) = found.unfinished.take() {
        tracing::warn!(segment, worth, "an unfinished batch is cut off");
        found.index.truncate(ordinal);
    }
}

/// How many records there may have been in so many bytes: where it is not known, as many are taken
/// to be lost, so that no cursor among them passes for the last.
fn most_records(bytes: u32) -> u32 {
    (bytes / record::SHORTEST as u32).max(1)
}

/// The first position of a segment that was set aside, if that is what this file is, and the last
/// one it may have held.
fn lost_with(storage: &dyn Storage, file: &str) -> Option<(Position, Position)> {
    let first = parse_name(file.strip_suffix(SET_ASIDE)?)?;
    let size = storage.open(file).and_then(|bytes| bytes.size()).ok()?;
    let records = most_records(size.min(u32::MAX.into()) as u32);
    Some((first, before(first).plus(records.into())))
}

fn set_aside(first: Position) -> String {
    format!("{}{SEGMENT}{SET_ASIDE}", name(first))
}

/// A lineage as far as segments tell it: each knows where the epoch before its own ended. Where
/// none does, the end is taken to be one further than can be seen, so that it reads as a gap.
fn lineage_of(segments: &[FoundSegment], current: u64) -> Option<Lineage> {
    let mut ends = BTreeMap::new();
    for segment in segments {
        let last = segment.summary().last();
        if last.epoch < current {
            let unseen = Position::new(last.epoch, last.seq + 1);
            ends.insert(last.epoch, Ended::whole(unseen));
        }
    }
    for segment in segments {
        let parent = segment.file.identity.parent;
        if parent.end > Position::ORIGIN {
            ends.insert(parent.end.epoch, parent);
        }
    }
    Lineage::recorded(ends.into_values(), current)
}

/// Puts the segments in their order; apart from them those that are no longer part of the log, and are
/// still there.
fn assemble(
    mut segments: Vec<FoundSegment>,
    names: NameTable,
    lineage: &Lineage,
    trims: Option<Trims>,
) -> (Restored, Vec<FoundSegment>) {
    let head = Position::new(lineage.current(), 0);
    let Trims { through: gone, any_topic, topics } = trims.unwrap_or_else(Trims::none);
    // An epoch the lineage has forgotten cannot be resumed in; what was being unlinked goes now;
    // what an empty segment tells, where its epoch ended, the lineage has taken over.
    let of_use = |segment: &FoundSegment| {
        let Summary { first, count, .. } = *segment.summary();
        let last = segment.summary().last();
        let known = lineage.epoch_status(first.epoch) != EpochStatus::Unknown;
        if !known && count > 0 && last > gone {
            tracing::warn!(
                epoch = first.epoch,
                events = count,
                "too many epochs: history is dropped, its readers get a gap"
            );
        }
        known && count > 0 && last > gone
    };
    let dropped: Vec<_> = segments.extract_if(.., |segment| !of_use(segment)).collect();
    let events = dropped.iter().map(FoundSegment::summary).filter(|summary| summary.count > 0);
    let last_dropped = events.map(Summary::last).max();
    let begins = |at: usize| before(segments.get(at).map_or(head.next(), |it| it.summary().first));
    let through = lineage.missing(Position::ORIGIN, begins(0)).max(last_dropped);
    let through = through.unwrap_or(Position::ORIGIN);
    for (at, segment) in segments.iter().enumerate() {
        if let Some(lost) = lineage.missing(segment.summary().last(), begins(at + 1)) {
            tracing::warn!(through = %lost, "records are missing from the log: their readers get a gap");
        }
    }
    // What is gone and was not written down may have been of any topic.
    let any_topic = if through <= gone { any_topic } else { through };
    let topics = TopicTable::restored(TopicTable::QUIET_LIMIT, any_topic, through, topics);
    let lineage = lineage.clone();
    let restored = Restored { segments, names, lineage, topics, any_topic, through, head };
    (restored, dropped)
}
