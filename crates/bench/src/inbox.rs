//! Where every message of every subscriber arrives: it is checked and counted here.

use std::ops::Range;

use hdrhistogram::Histogram;
use memchr::memmem;

use crate::payload::BenchMessage;
use crate::plan::BenchPlan;
use crate::report::Violations;
use crate::scanner::DataLine;
use crate::spread::Spread;
use crate::tally::Tally;

/// What has arrived so far.
pub(crate) struct Arrivals {
    run: u32,
    size: usize,
    publishers: u32,
    /// Subscribers below this number read slowly: their latency is their own.
    slow: u32,
    /// How a message begins, where the hub may put something before it.
    wrapped: Option<Vec<u8>>,
    spread: Spread,
    tally: Tally,
    /// The stamps of the messages whose latency counts.
    window: Range<u64>,
    /// Latency counts from this moment, where it does not from the message's own.
    since: Option<u64>,
    latency: Histogram<u64>,
    /// When a message last arrived.
    last: Option<u64>,
    delivered: u64,
    bytes: u64,
    violations: Violations,
}

/// The longest latency told apart from longer ones: ten minutes, in nanoseconds.
const MAX_LATENCY: u64 = 600_000_000_000;

impl Arrivals {
    /// Expects the messages of `run`. Latency counts for none until a window is set.
    pub(crate) fn new(plan: &BenchPlan, run: u32, spread: Spread) -> Self {
        let slots = plan.subscribers as usize
            * plan.publishers as usize
            * spread.most_topics_each() as usize;
        let latency = Histogram::new_with_max(MAX_LATENCY, 3).expect("the bounds are constants");
        Self {
            run,
            size: plan.size,
            publishers: plan.publishers,
            slow: plan.slow,
            wrapped: plan
                .requests
                .as_ref()
                .filter(|requests| requests.wrapped)
                .map(|_| BenchMessage::beginning(run)),
            spread,
            tally: Tally::new(slots),
            window: 0..0,
            since: None,
            latency,
            last: None,
            delivered: 0,
            bytes: 0,
            violations: Violations::default(),
        }
    }

    /// Sets which messages' latency counts.
    pub(crate) fn measure(&mut self, window: Range<u64>) {
        self.window = window;
    }

    /// From now on all latency counts from this moment, and only what arrives after it.
    pub(crate) fn measure_since(&mut self, moment: u64) {
        self.window = 0..u64::MAX;
        self.since = Some(moment);
        self.latency.reset();
    }

    /// Takes a `data:` line that `subscriber` read at `now`.
    pub(crate) fn take(&mut self, subscriber: u32, line: DataLine<'_>, now: u64) {
        let Some(beginning) = &self.wrapped else {
            self.take_message(subscriber, line.start, line.length == self.size, now);
            return;
        };
        let mut found = Vec::new();
        found.extend(memmem::find_iter(line.start, beginning));
        if found.is_empty() {
            self.violations.foreign += 1;
        }
        for at in found {
            self.take_message(subscriber, &line.start[at..], line.length >= self.size, now);
        }
    }

    fn take_message(&mut self, subscriber: u32, text: &[u8], whole: bool, now: u64) {
        let Some(payload) = BenchMessage::read(text).filter(|p| p.run == self.run) else {
            self.violations.foreign += 1;
            return;
        };
        let BenchMessage { publisher, topic, sequence, stamp, .. } = payload;
        let Some(slot) = self.slot(subscriber, publisher.into(), topic) else {
            self.violations.misrouted += 1;
            return;
        };
        self.violations.damaged += u64::from(!whole);
        if self.tally.note(slot, sequence) {
            self.delivered += 1;
            self.last = Some(now);
        }
        if self.window.contains(&stamp) && subscriber >= self.slow {
            let from = self.since.unwrap_or(stamp);
            self.latency.saturating_record(now.saturating_sub(from));
        }
    }

    fn slot(&self, subscriber: u32, publisher: u32, topic: u32) -> Option<usize> {
        let index = self.spread.index(subscriber, topic)?;
        let each = self.spread.most_topics_each() as usize;
        let lane = subscriber as usize * self.publishers as usize + publisher as usize;
        (publisher < self.publishers).then_some(lane * each + index as usize)
    }

    /// Counts bytes that arrived on subscribers' sockets, framing included.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The server closed a stream.
    pub(crate) fn count_end(&mut self) {
        self.violations.ended += 1;
    }

    /// Messages that arrived, and those that were skipped so far.
    pub(crate) fn settled(&self) -> u64 {
        self.delivered + self.tally.lost()
    }

    /// When a message last arrived, on the run's clock.
    pub(crate) fn last_arrival(&self) -> Option<u64> {
        self.last
    }

    /// Messages that arrived, each counted once.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes that arrived.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The latencies of the window's messages, in nanoseconds.
    pub(crate) fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }

    /// Ends the run: `sent` says, for each publisher, how many messages it sent to each topic.
    /// Returns what was found wrong.
    pub(crate) fn close(&mut self, subscribers: u32, sent: &[Vec<u32>]) -> Violations {
        for subscriber in 0..subscribers {
            for (publisher, topics) in (0..).zip(sent) {
                for topic in self.spread.topics_of(subscriber) {
                    if let Some(slot) = self.slot(subscriber, publisher, topic) {
                        self.tally.close(slot, topics[topic as usize]);
                    }
                }
            }
        }
        let mut violations = self.violations;
        self.tally.report(&mut violations);
        violations
    }
}
