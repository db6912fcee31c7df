//! Reading a page: what a selector wants of a stretch of the log.
//!
//! What must hold: no lock is held while a file is read; a page costs bounded work and memory;
//! a record that does not check is reported as a gap, at the place where it stood; so is whatever
//! is trimmed while the page is read, and was not read before.

use std::io;
use std::sync::{Arc, PoisonError};

use fanfare_event::{Event, Position, Selector, Topic};

use crate::segment::{Extent, SegmentFile, SegmentRun, before};
use crate::selection::comparisons;
use crate::shared::Shared;
use crate::state::{LogState, NextRecords, ReadStep};
use fanfare_log::record::{Body, HEADER, Header};
use fanfare_log::{Page, PageLimit, ReadError, ReadFrom};

/// How many records one page reads, at most, beyond those it returns.
const RECORDS: usize = 4096;

/// How often one page compares a pattern with a topic or takes a step, at most: some milliseconds.
const LOOKS: usize = 65_536;

/// With how many records a step begins where each may turn out to be missing.
const FEW: usize = 64;

/// How many bytes one page reads of files, unless a single record is longer.
const READ_MOST: u64 = 4 << 20;

/// How many bytes are read at once, unless a record is longer.
const READ_AT_ONCE: u32 = 256 << 10;

/// Bytes between two wanted records that are read along rather than skipped.
const READ_ALONG: u32 = 4 << 10;

/// Reads a page.
pub(crate) fn read(
    shared: &Shared,
    from: ReadFrom,
    until: Position,
    selector: &Selector,
    limit: PageLimit,
) -> Result<Page, ReadError> {
    let lock = || shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let unavailable = |error: io::Error| ReadError::Unavailable {
        source: format!("a segment cannot be read: {error}").into(),
    };
    let wanted = &selector.topics;
    let patterns = wanted.patterns().len();
    let (begin, until, hides) = {
        let state = lock();
        (state.start(from), until.min(state.head()), state.hides())
    };
    let mut most = match (hides, selector.filters_types()) {
        // A page may end at any of them, so a step begins with a few.
        (true, _) => FEW,
        // A record is looked at for nothing where types are filtered.
        (false, true) => RECORDS,
        (false, false) => limit.events.clamp(1, RECORDS),
    };
    let from_earliest = from == ReadFrom::Earliest;
    let mut page = Assembly {
        selector,
        limit,
        from_earliest,
        hole: None,
        events: Vec::new(),
        bytes: 0,
        read: 0,
    };
    let mut at = begin;
    let (mut records, mut looks) = (0, 0);
    while at < until && records < RECORDS && looks < LOOKS && page.read < READ_MOST {
        // What was trimmed is asked anew with every step, of the same moment as what comes next.
        let ReadStep { trims, mut next } = lock().step(at, until, wanted, most);
        looks += 1;
        if let Some(trims) = trims {
            looks += (trims.topics.len() * patterns).min(LOOKS / 2);
            next = trims.after(at, wanted).map_or(next, NextRecords::Trimmed);
        }
        // It is told as far as was asked: what lies beyond may not have been heard of yet.
        if let NextRecords::Trimmed(through) = &mut next {
            *through = until.min(*through);
        }
        let run = match next {
            NextRecords::End => {
                at = until;
                break;
            }
            NextRecords::Trimmed(through) if page.pass(through) => {
                at = through;
                continue;
            }
            NextRecords::Hole(through) if page.skip(through) => {
                at = through;
                continue;
            }
            NextRecords::Trimmed(_) | NextRecords::Hole(_) => break,
            NextRecords::Closed(segment, range) => {
                let Some(index) = shared.indices.of(&segment).map_err(unavailable)? else {
                    // It was trimmed meanwhile: what comes next is another question now.
                    continue;
                };
                let (most, most_compared) = match comparisons(&index, wanted) {
                    // So many that its records are looked at one by one.
                    LOOKS.. if !hides => (RECORDS, LOOKS - 1),
                    // The next page has all its looks for this segment.
                    comparisons if at > begin && looks + comparisons > LOOKS => break,
                    comparisons => {
                        looks += comparisons;
                        (most, LOOKS - 1)
                    }
                };
                SegmentRun::of(&segment.file, &index, wanted, range, (most, most_compared))
            }
            NextRecords::Growing(run) => run,
            NextRecords::Unmatched(unmatched) => {
                looks += unmatched.len() * patterns;
                unmatched.matching(wanted)
            }
        };
        records += run.records.len();
        let shown = page.events.len();
        let mut stopped = page.take(&run).map_err(unavailable)?;
        if hides {
            stopped = page.hide(shown, &lock()).or(stopped);
            most = (most * 2).min(RECORDS);
        }
        at = stopped.unwrap_or(run.covered);
        if stopped.is_some() {
            break;
        }
    }
    debug_assert!(at <= until.max(begin), "a page leads no further than it was asked");
    Ok(Page { trimmed: page.hole, events: page.events, next: at })
}

/// A page that is being put together.
struct Assembly<'a> {
    selector: &'a Selector,
    limit: PageLimit,
    /// What was trimmed before the first event is not missed.
    from_earliest: bool,
    hole: Option<Position>,
    events: Vec<Arc<Event>>,
    bytes: usize,
    /// How many bytes were read of files.
    read: u64,
}

impl Assembly<'_> {
    /// Passes over what is missing. A gap comes first in its page: where there are events
    /// already, the page ends, and `false` says so.
    fn skip(&mut self, through: Position) -> bool {
        let first = self.events.is_empty();
        if first {
            self.hole = Some(through);
        }
        first
    }

    /// Passes over what is no longer retained. Where a gap is told of anyhow, it reaches further: whoever
    /// comes back with its id must not meet another.
    fn pass(&mut self, through: Position) -> bool {
        let is_free = self.from_earliest && self.events.is_empty() && self.hole.is_none();
        is_free || self.skip(through)
    }

    /// Passes over those of the events behind the first `shown` that their topic no longer shows.
    /// Where the page ends before one, says up to which position it reaches.
    fn hide(&mut self, shown: usize, state: &LogState) -> Option<Position> {
        let fresh = self.events.split_off(shown);
        for event in fresh {
            let position = event.position;
            let wanted = &self.selector.topics;
            let shown = |topic: &Topic| position > state.hidden(topic);
            let is_shown = match event.others() {
                [] => shown(&event.topic),
                // By one of those that are wanted of it.
                _ => event.topics().any(|topic| wanted.matches(topic) && shown(topic)),
            };
            if is_shown {
                self.events.push(event);
            } else if !self.pass(position) {
                return Some(before(position));
            }
        }
        None
    }

    /// Reads records and keeps what is wanted. Where the page ends before the run, says up to
    /// which position it reaches.
    fn take(&mut self, run: &SegmentRun) -> io::Result<Option<Position>> {
        let mut buffer = Vec::new();
        let mut rest = run.records.as_slice();
        while let Some(first) = rest.first() {
            let start = first.bytes.start;
            let (count, end) = together(rest);
            let read = self.read + u64::from(end - start);
            if read > READ_MOST && self.read > 0 {
                return Ok(Some(before(first.position)));
            }
            self.read = read;
            buffer.resize((end - start) as usize, 0);
            let mut given = run.file.read_available(&mut buffer, start)?;
            for record in &rest[..count] {
                if !given.reaches(&record.bytes)
                    && let Some(error) = given.again.take()
                {
                    // What there is goes first; whoever asks for the rest comes again.
                    let nothing = self.events.is_empty() && self.hole.is_none();
                    let place = before(record.position);
                    return if nothing { Err(error) } else { Ok(Some(place)) };
                }
                let bytes =
                    (record.bytes.start - start) as usize..(record.bytes.end - start) as usize;
                let bytes = buffer.get(bytes).filter(|_| !record.lost && given.has(&record.bytes));
                let decoded = bytes.and_then(|bytes| decode(&run.file, record.position, bytes));
                let Some(event) = decoded else {
                    run.file.report_damage(record.bytes.start, record.position);
                    if self.skip(record.through) {
                        continue;
                    }
                    return Ok(Some(before(record.position)));
                };
                if !self.selector.matches(&event) {
                    continue;
                }
                let bytes = self.bytes + event.weight();
                let full = self.events.len() >= self.limit.events || bytes > self.limit.bytes;
                if full && !self.events.is_empty() {
                    return Ok(Some(before(record.position)));
                }
                self.bytes = bytes;
                self.events.push(Arc::new(event));
            }
            rest = &rest[count..];
        }
        Ok(None)
    }
}

/// How many of the first records are read at once, and where the last of them ends.
fn together(records: &[Extent]) -> (usize, u32) {
    let (start, mut end) = records.first().map_or((0, 0), |r| (r.bytes.start, r.bytes.end));
    let mut count = 1;
    while let Some(Extent { bytes, .. }) = records.get(count)
        && bytes.start.saturating_sub(end) <= READ_ALONG
        && bytes.end.saturating_sub(start) <= READ_AT_ONCE
    {
        end = end.max(bytes.end);
        count += 1;
    }
    (count, end)
}

fn decode(file: &SegmentFile, position: Position, bytes: &[u8]) -> Option<Event> {
    let header = Header::parse(bytes, file.identity.salt)?;
    let body = bytes.get(HEADER..)?;
    let whole = header.seq == position.seq
        && header.record_length() == bytes.len() as u64
        && header.matches(body);
    Body::parse(body).filter(|_| whole)?.event(position)
}
