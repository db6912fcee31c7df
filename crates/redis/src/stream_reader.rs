//! Reading the past: pages of the stream, over a few connections of their own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_event::{EventId, Position, Selector};
use fanfare_log::{Cause, Finding, Lineage, Page, PageLimit, ReadError, ReadFrom};
use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::dialer::Dialer;
use crate::entry::{StreamEntry, text};
use crate::error::RedisRequestError;
use crate::health::Health;
use crate::link::Link;
use crate::runs::CachedRuns;
use crate::settings::RedisSettings;
use crate::view::{MAX_PAGE, View};
use crate::waiting::Waiting;

/// How many bytes one page should bring over the network, about.
const PAGE_BYTES: usize = 512 << 10;
/// From how many bytes on a page is read for others, too.
const SHARED_BYTES: usize = 64 << 10;
/// How many entries are asked for at once, at most. Redis counts entries, not bytes: what is asked
/// for may weigh any multiple of what came before it.
const AT_ONCE: usize = 64;

/// Serves reads from threads outside the runtime.
pub(crate) struct StreamReader {
    runtime: Handle,
    waiting: Waiting,
    dialer: Arc<Dialer>,
    view: Arc<View>,
    health: Arc<Health>,
    /// Connections that wait for the next read; never more than there are permits.
    idle: Mutex<Vec<Link>>,
    /// What was read last, for all who want something of it.
    runs: CachedRuns,
    permits: Semaphore,
    deadline: Duration,
}

impl StreamReader {
    pub(crate) fn new(
        settings: &RedisSettings,
        runtime: Handle,
        waiting: Waiting,
        dialer: Arc<Dialer>,
        view: Arc<View>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            runtime,
            waiting,
            dialer,
            view,
            health,
            idle: Mutex::default(),
            runs: CachedRuns::default(),
            permits: Semaphore::new(settings.readers.max(1)),
            deadline: settings.read_deadline,
        }
    }

    /// See [`fanfare_log::EventLog::read`]. Must not be called on the runtime's own threads.
    pub(crate) fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let unavailable = |source: Cause| ReadError::Unavailable { source };
        // While Redis is away, hundreds of waiting readers must not all try to connect.
        if let Some(error) = self.health.tail_error() {
            return Err(unavailable(error.into()));
        }
        let seen = self.view.seen();
        let start = match from {
            ReadFrom::Earliest => Position::ORIGIN,
            ReadFrom::After(position) => position,
        };
        if start >= until {
            return Ok(Page { trimmed: None, events: Vec::new(), next: start });
        }
        let bytes = limit.bytes.clamp(1, PAGE_BYTES);
        // What the lineage does not name is not of this log: nobody could go on from there.
        let floor = Position::new(seen.lineage.oldest(), 0);
        if floor > until || !seen.lineage.names(until.epoch) {
            return Err(unavailable("the log has just begun anew".into()));
        }
        let (entries, complete) = self
            .waiting
            .block_on(self.gather(start.max(floor), until, bytes, &seen.lineage))
            .map_err(unavailable)?;
        let misses = |at, before| {
            !seen.lineage.continuous(at, before) && self.view.lost(&selector.topics, at, before)
        };
        let names = |epoch| seen.lineage.names(epoch);
        let query = PageQuery { from, until, selector, limit };
        Ok(page(&query, entries, complete, names, misses))
    }

    /// See [`fanfare_log::EventLog::find`]. Answers within the read deadline, on any executor.
    pub(crate) fn find(self: &Arc<Self>, id: &EventId) -> Finding {
        let (reader, id) = (Arc::clone(self), id.clone());
        let found = self.runtime.spawn(async move {
            if let Some(error) = reader.health.tail_error() {
                return Err(Cause::from(error));
            }
            let within = reader.deadline;
            match timeout_at(Instant::now() + within, reader.position_of(&id)).await {
                Ok(found) => found,
                Err(_) => Err(RedisRequestError::Silent(within).into()),
            }
        });
        Box::pin(async move {
            let found = found.await.unwrap_or_else(|ended| Err(ended.into()));
            found.map_err(|source| ReadError::Unavailable { source })
        })
    }

    async fn position_of(&self, id: &EventId) -> Result<Option<Position>, Cause> {
        let mut question = redis::cmd("HMGET");
        // See forget_ids.lua: the second field is there once the first event of the id has gone.
        question.arg(&*self.dialer.keys.ids).arg(id.as_str()).arg(format!("\n\n{}", id.as_str()));
        let answer = self.ask(&question, self.view.seen().lineage.current()).await?;
        let unexpected = || RedisRequestError::Unexpected("HMGET");
        let Value::Array(fields) = answer else { return Err(unexpected().into()) };
        match <[Value; 2]>::try_from(fields) {
            Ok([positions, Value::Nil]) if positions != Value::Nil => {
                let first = text(positions).as_deref().and_then(earliest);
                Ok(Some(first.ok_or_else(unexpected)?))
            }
            Ok(_) => Ok(None),
            Err(_) => Err(unexpected().into()),
        }
    }

    /// The first entries after `start`, up to `until`, and whether these are all there are: what was read just
    /// now, by whomever, or about so many bytes of them.
    async fn gather(
        &self,
        start: Position,
        until: Position,
        bytes: usize,
        lineage: &Arc<Lineage>,
    ) -> Result<(Vec<StreamEntry>, bool), Cause> {
        if let Some(entries) = self.runs.find(start, until, lineage, Instant::now()) {
            return Ok((entries, false));
        }
        let (entries, complete) = self.fetch_run(start, until, bytes, lineage).await?;
        // A few entries would be a short page for whoever wants more.
        if bytes >= SHARED_BYTES {
            self.runs.keep(start, &entries, lineage, Instant::now());
        }
        Ok((entries, complete))
    }

    /// Asks for the first entries after `start`, up to `until`: about so many bytes of them, and at most one entry that
    /// is beyond them; and says whether these are all there are. Begins with one, so that a page gets somewhere however
    /// slow the link is and however large the entries. What was heard lately says nothing of what stands there: only
    /// what has come does.
    ///
    /// Entries of epochs that the lineage does not name come along and do not count: no page may end
    /// on one.
    async fn fetch_run(
        &self,
        start: Position,
        until: Position,
        bytes: usize,
        lineage: &Lineage,
    ) -> Result<(Vec<StreamEntry>, bool), Cause> {
        let end = Instant::now() + self.deadline;
        let (mut entries, mut named) = (Vec::<StreamEntry>::new(), 0);
        let (mut held, mut largest) = (0, 0);
        let epoch = lineage.current();
        loop {
            let asked = match (entries.len(), named) {
                (0, _) => 1,
                (_, 0) => AT_ONCE,
                // A few more than came so far: of what is not kept, little has come in vain.
                (came, _) => (bytes.saturating_sub(held) / largest.max(1))
                    .clamp(1, AT_ONCE.min(4 * came))
                    .min(MAX_PAGE - named),
            };
            let after = entries.last().map_or(start, StreamEntry::position);
            let more = match timeout_at(end, self.fetch(after, until, asked, epoch)).await {
                Ok(Ok(more)) => more,
                // What has come already is a page.
                Ok(Err(_)) | Err(_) if named > 0 => return Ok((entries, false)),
                Ok(Err(cause)) => return Err(cause),
                Err(_) => return Err(RedisRequestError::Silent(self.deadline).into()),
            };
            let complete = more.len() < asked;
            for entry in more {
                if named >= MAX_PAGE || held >= bytes {
                    return Ok((entries, false));
                }
                let weight = entry.weight();
                largest = largest.max(weight);
                if lineage.names(entry.position().epoch) {
                    named += 1;
                    held += weight;
                }
                entries.push(entry);
            }
            if complete || named >= MAX_PAGE || held >= bytes {
                return Ok((entries, complete));
            }
        }
    }

    /// The first entries after `start`, up to `until`.
    async fn fetch(
        &self,
        start: Position,
        until: Position,
        count: usize,
        epoch: u64,
    ) -> Result<Vec<StreamEntry>, Cause> {
        let mut question = redis::cmd("XRANGE");
        question.arg(&*self.dialer.keys.events);
        question.arg(format!("({start}")).arg(until.to_string()).arg("COUNT").arg(count);
        let answer = self.ask(&question, epoch).await?;
        Ok(StreamEntry::parse_all(answer).ok_or(RedisRequestError::Unexpected("XRANGE"))?)
    }

    /// One question, over a connection fenced in this epoch or later.
    async fn ask(&self, question: &redis::Cmd, epoch: u64) -> Result<Value, Cause> {
        let _permit = self.permits.acquire().await?;
        // A kept connection may have been closed since; a new one has not.
        if let Some(mut link) = self.kept(epoch)
            && let Ok(answer) = link.request_within(question, self.deadline).await
        {
            self.keep(link);
            return Ok(answer);
        }
        let mut link = self.dialer.open(&self.view.known()).await?;
        let answer = link.request_within(question, self.deadline).await?;
        self.keep(link);
        Ok(answer)
    }

    /// A connection fenced in the epoch the tail is in, or later: one from before may lead to a
    /// server that has been replaced.
    fn kept(&self, epoch: u64) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| link.fenced.last.epoch >= epoch);
        idle.pop()
    }

    fn keep(&self, link: Link) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }
}

/// The earliest of the positions that an id has.
fn earliest(positions: &str) -> Option<Position> {
    positions.split(' ').next()?.parse().ok()
}

/// What a page is asked for, as in [`fanfare_log::EventLog::read`].
struct PageQuery<'a> {
    from: ReadFrom,
    until: Position,
    selector: &'a Selector,
    limit: PageLimit,
}

/// Makes a page of entries, and finds out whether any are missing: an entry that does not follow
/// on from the one before it begins a new page, which says so.
///
/// `complete` says that `entries` is all there is up to the end that was asked for; `names`, whether an
/// epoch is of this log; `misses`, whether something the selector wants may be missing between two
/// positions that have no entry between them.
///
/// What stands in an epoch that is not named is passed over: nobody could go on from there. The mark of
/// such an epoch is all that is left of one in which nothing happened; anything else is a gap.
fn page(
    query: &PageQuery<'_>,
    entries: Vec<StreamEntry>,
    complete: bool,
    names: impl Fn(u64) -> bool,
    misses: impl Fn(Position, Position) -> bool,
) -> Page {
    let PageQuery { from, until, selector, limit } = *query;
    let mut page = Page { trimmed: None, events: Vec::new(), next: Position::ORIGIN };
    // `None`: nothing is expected of what comes first.
    let mut at = match from {
        ReadFrom::Earliest => None,
        ReadFrom::After(position) => Some(position),
    };
    page.next = at.unwrap_or(Position::ORIGIN);
    let (mut bytes, mut begun, mut is_broken) = (0, false, false);
    for entry in entries {
        if !names(entry.position().epoch) {
            is_broken |= !matches!(entry, StreamEntry::Marker(_));
            continue;
        }
        let before = match &entry {
            StreamEntry::Foreign(position) => *position,
            entry => entry.before(),
        };
        // Retention trims a few entries at a time: where an epoch is the first that is left, the ones before it may
        // have vanished as a whole, also under whoever waits for all there is.
        let vanished = matches!(entry, StreamEntry::Marker(_)).then_some(Position::ORIGIN);
        if at.or(vanished).is_some_and(|at| is_broken || misses(at, before)) {
            if begun {
                return page;
            }
            page.trimmed = Some(before);
        }
        is_broken = false;
        if let StreamEntry::Event(event) = &entry
            && selector.matches(event)
        {
            let full = page.events.len() >= limit.events.max(1)
                || (bytes + event.weight() > limit.bytes && !page.events.is_empty());
            if full {
                return page;
            }
            bytes += event.weight();
            page.events.push(event.clone());
        }
        begun = true;
        page.next = entry.position();
        at = Some(page.next);
    }
    if complete && page.next < until {
        // What should stand between here and `until` is gone.
        let gone = is_broken || misses(at.unwrap_or(Position::ORIGIN), until);
        if gone && begun {
            return page;
        }
        if gone {
            page.trimmed = Some(until);
        }
        page.next = until;
    }
    page
}

#[cfg(test)]
mod tests {
    use fanfare_event::{Event, Timestamp, Topic};

    use super::*;

    const LIMIT: PageLimit = PageLimit { events: 100, bytes: 1 << 20 };

    fn event(epoch: u64, seq: u64) -> StreamEntry {
        StreamEntry::Event(Arc::new(Event {
            position: Position::new(epoch, seq),
            topic: Topic::default(),
            event_type: None,
            published_at: Timestamp(0),
            message: "".into(),
            extras: None,
        }))
    }

    /// Epoch 1 ended at 1-3; epoch 2 goes on.
    fn page_of(entries: Vec<StreamEntry>, after: (u64, u64), until: (u64, u64)) -> Page {
        let lineage = Lineage::recorded([Position::new(1, 3)], 2).unwrap();
        let from = ReadFrom::After(Position::new(after.0, after.1));
        let until = Position::new(until.0, until.1);
        let query = PageQuery { from, until, selector: &Selector::default(), limit: LIMIT };
        let names = |epoch| lineage.names(epoch);
        page(&query, entries, true, names, |at, before| !lineage.continuous(at, before))
    }

    fn marker() -> StreamEntry {
        StreamEntry::Marker(Position::new(2, 0))
    }

    #[test]
    fn whoever_waits_for_all_there_is_is_told_if_it_vanishes_as_a_whole() {
        let until = Position::new(2, 1);
        let read = |entries| {
            let (from, selector) = (ReadFrom::Earliest, &Selector::default());
            page(
                &PageQuery { from, until, selector, limit: LIMIT },
                entries,
                true,
                |_| true,
                |a, b| a != b,
            )
        };
        assert_eq!(read(Vec::new()).trimmed, Some(until), "nothing is left");
        assert!(read(vec![marker(), event(2, 1)]).trimmed.is_some(), "an epoch is missing");
        assert_eq!(
            read(vec![event(1, 3), marker(), event(2, 1)]).trimmed,
            None,
            "some was trimmed"
        );
    }

    #[test]
    fn a_page_across_epochs_has_no_gap_where_nothing_was_trimmed() {
        let entries = vec![event(1, 2), event(1, 3), marker(), event(2, 1)];
        let page = page_of(entries, (1, 1), (2, 1));
        assert_eq!((page.trimmed, page.events.len()), (None, 3));
        assert_eq!(page.next, Position::new(2, 1));
        // The same when the marker was trimmed, and nothing else.
        let page = page_of(vec![event(2, 1)], (1, 3), (2, 1));
        assert_eq!((page.trimmed, page.events.len()), (None, 1));
        let page = page_of(vec![], (1, 3), (2, 0));
        assert_eq!((page.trimmed, page.next), (None, Position::new(2, 0)));
    }

    #[test]
    fn what_was_trimmed_after_the_cursor_is_said() {
        let page = page_of(vec![event(1, 3), marker()], (1, 1), (2, 0));
        assert_eq!(page.trimmed, Some(Position::new(1, 2)));
        let page = page_of(vec![marker(), event(2, 1)], (1, 2), (2, 1));
        assert_eq!(page.trimmed, Some(Position::new(2, 0)));
        let page = page_of(vec![], (2, 3), (2, 9));
        assert_eq!((page.trimmed, page.next), (Some(Position::new(2, 9)), Position::new(2, 9)));
    }

    #[test]
    fn a_hole_in_the_middle_ends_the_page_and_is_said_by_the_next() {
        let first = page_of(vec![event(2, 1), event(2, 4)], (2, 0), (2, 4));
        assert_eq!((first.trimmed, first.next), (None, Position::new(2, 1)));
        let second = page_of(vec![event(2, 4)], (2, 1), (2, 4));
        assert_eq!(second.trimmed, Some(Position::new(2, 3)));
        let foreign = StreamEntry::Foreign(Position::new(2, 2));
        let page = page_of(vec![foreign, event(2, 3)], (2, 1), (2, 3));
        assert_eq!((page.trimmed, page.events.len()), (Some(Position::new(2, 2)), 1));
    }

    #[test]
    fn a_page_ends_where_nobody_could_go_on() {
        let lineage = Lineage::recorded([Position::new(1, 3)], 9).unwrap();
        let page_of = |entries, complete| {
            let (from, until) = (ReadFrom::After(Position::new(1, 2)), Position::new(9, 1));
            let names = |epoch| lineage.names(epoch);
            let misses = |at, before| !lineage.continuous(at, before);
            let query = PageQuery { from, until, selector: &Selector::default(), limit: LIMIT };
            page(&query, entries, complete, names, misses)
        };
        let forgotten = |epoch| StreamEntry::Marker(Position::new(epoch, 0));
        let page = page_of(vec![event(1, 3), forgotten(4), forgotten(5)], false);
        assert_eq!((page.trimmed, page.next), (None, Position::new(1, 3)));
        let page = page_of(vec![event(1, 3), forgotten(4), forgotten(9), event(9, 1)], true);
        assert_eq!((page.trimmed, page.next), (None, Position::new(9, 1)));
        // What stands in such an epoch is no event of this log, and not passed over in silence.
        let page = page_of(vec![event(1, 3), event(4, 1), forgotten(9)], false);
        assert_eq!((page.trimmed, page.next), (None, Position::new(1, 3)));
        let page = page_of(vec![event(4, 1), forgotten(9), event(9, 1)], true);
        assert_eq!((page.trimmed, page.events.len()), (Some(Position::new(9, 0)), 1));
    }

    #[test]
    fn the_earliest_has_no_gap() {
        let until = Position::new(2, 9);
        let entries = vec![event(2, 8), event(2, 9)];
        let (from, selector) = (ReadFrom::Earliest, &Selector::default());
        let query = PageQuery { from, until, selector, limit: LIMIT };
        let page = page(&query, entries, true, |_| true, |a, b| a != b);
        assert_eq!((page.trimmed, page.events.len(), page.next), (None, 2, until));
    }
}
