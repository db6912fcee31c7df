//! Following the stream: one task reads it on a connection of its own, and passes each entry on to
//! a [`Tail`].
//!
//! What must hold: the tail is told of each entry exactly once, in order, and each follows on from
//! the one before. Where one does not (those between were trimmed before this node could read
//! them), and where an epoch begins, the tail is told by [`Tail::begin`].

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Event, Position};
use fanfare_log::{Lineage, Tail};
use tokio::time::{Instant, sleep};

use crate::back_off::BackOff;
use crate::cluster_store::{ListenerSlot, NO_NOTICE, Notice};
use crate::dialer::Dialer;
use crate::entry::{NewEntries, NoticeEntry, StreamEntry};
use crate::error::{ConnectError, RedisRequestError};
use crate::health::Health;
use crate::link::{Link, clock};
use crate::soundings::Soundings;
use crate::view::View;

/// How long Redis holds an `XREAD` when there is nothing new.
const BLOCK: Duration = Duration::from_secs(1);
/// How often the fence is checked at least, also under load.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How many bytes one answer should bring, about.
const PAGE_BYTES: usize = 256 << 10;
/// How many it may bring, where everything in it is as large as it may be; but so many entries are always asked for, at
/// most.
const MAX_ANSWER: usize = 64 << 20;
const ALWAYS_ASKED: usize = 32;
/// How long an answer may take at most on a link so slow that time and again none arrives.
const MAX_RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The task that follows the stream.
pub(crate) struct TailTask {
    dialer: Arc<Dialer>,
    view: Arc<View>,
    health: Arc<Health>,
    tail: Arc<dyn Tail>,
    listener: ListenerSlot,
    lineage: Arc<Lineage>,
    /// The last position the tail was told of.
    heard: Position,
    /// Up to where the tail was told that nothing is retained.
    trimmed: Position,
    /// The stream's last position, when it had something new and a read of it brought nothing.
    missed: Option<Position>,
    /// The id of the last notice that was heard; [`NO_NOTICE`] where there was none.
    noticed: String,
    /// Whether notices are read only once somebody listens.
    awaits_listener: bool,
    /// Whether whoever comes to listen is to be told that notices were missed.
    owes_missed: bool,
    backoff: SlowLinkBackoff,
    /// How many entries are asked for, at most.
    max_entries: usize,
}

/// On a link that is too slow for a page, ask for less and wait longer.
struct SlowLinkBackoff {
    factor: u32,
}

impl TailTask {
    /// A task that begins where the stream now ends, and tells the tail so.
    pub(crate) fn begin(
        dialer: Arc<Dialer>,
        view: Arc<View>,
        health: Arc<Health>,
        tail: Arc<dyn Tail>,
        listener: ListenerSlot,
        awaits_listener: bool,
        max_message: usize,
    ) -> Self {
        let (seen, noticed) = (view.seen(), view.noticed());
        tail.begin(&seen.lineage, seen.heard);
        Self {
            dialer,
            view,
            health,
            tail,
            listener,
            lineage: seen.lineage,
            heard: seen.heard,
            trimmed: Position::ORIGIN,
            missed: None,
            noticed,
            awaits_listener,
            owes_missed: false,
            backoff: SlowLinkBackoff { factor: 1 },
            max_entries: (MAX_ANSWER / max_message.max(1)).max(ALWAYS_ASKED),
        }
    }

    /// Runs until the task is aborted.
    pub(crate) async fn run(mut self, mut link: Option<Link>) {
        let mut back_off = BackOff::new();
        loop {
            let mut sounding = Soundings::NONE;
            let mut open = match link.take() {
                // It was fenced before anyone could ask.
                Some(link) => link,
                None => {
                    sounding = self.view.soundings.begin();
                    let on_failure = |error: ConnectError| self.health.tail_down(error.into());
                    self.dialer.reopen(&self.view, &mut back_off, on_failure).await
                }
            };
            let error = self.follow(&mut open, sounding, &mut back_off).await;
            tracing::warn!(node = open.node, %error, "the tail's connection is given up");
            self.health.tail_down(error.into());
            sleep(back_off.pause()).await;
        }
    }

    /// Follows the stream until the link fails.
    async fn follow(
        &mut self,
        link: &mut Link,
        sounding: u64,
        back_off: &mut BackOff,
    ) -> RedisRequestError {
        // A link is good once it has read: a stopped server accepts connections too.
        let mut checked = Instant::now();
        if let Err(error) = self.check_notices(link).await {
            return error;
        }
        self.on_fenced(link, sounding);
        loop {
            let idle = match self.read(link).await {
                Ok(idle) => idle,
                Err(error) => {
                    // A link that breaks is not a slow one: the next lost answer must not be waited
                    // for as long as a large one on a slow link.
                    if matches!(error, RedisRequestError::Silent(_)) {
                        self.backoff.grow();
                    }
                    return error;
                }
            };
            self.backoff.shrink();
            self.health.tail_up();
            *back_off = BackOff::new();
            if idle || checked.elapsed() >= CHECK_INTERVAL {
                let sounding = self.view.soundings.begin();
                if let Err(error) = link.fence(&self.view.known()).await {
                    return error;
                }
                checked = Instant::now();
                self.on_fenced(link, sounding);
            }
        }
    }

    /// Reads on and tells the tail. Whether there was nothing new.
    async fn read(&mut self, link: &mut Link) -> Result<bool, RedisRequestError> {
        // Redis counts entries, not bytes, and the latest say little of what was published while this node was away.
        let count = self.view.entries_in(PAGE_BYTES).min(self.max_entries);
        let count = count.div_ceil(self.backoff.factor as usize);
        let mut question = redis::cmd("XREAD");
        question.arg("COUNT").arg(count).arg("BLOCK").arg(BLOCK.as_millis() as u64);
        question.arg("STREAMS").arg(&*link.keys.events);
        if self.awaits_listener && self.listener.get().is_none() {
            question.arg(self.heard.to_string());
        } else {
            if std::mem::take(&mut self.owes_missed) {
                self.on_missed_notices();
            }
            question.arg(&*link.keys.notices).arg(self.heard.to_string()).arg(&self.noticed);
        }
        let within =
            BLOCK + (link.response_timeout * self.backoff.factor).min(MAX_RESPONSE_TIMEOUT);
        let answer = link.request_within(&question, within).await?;
        let new = NewEntries::parse(answer, &link.keys.events);
        let NewEntries { entries, notices } = new.ok_or(RedisRequestError::Unexpected("XREAD"))?;
        if !notices.is_empty() {
            self.on_notices(link, notices).await?;
        }
        if entries.is_empty() {
            if let Some(through) = self.missed.take() {
                // The stream went on, and nothing of that is left to read.
                let resumed = self.resume_at(link, through).await;
                self.tail.wake();
                resumed?;
            }
            return Ok(true);
        }
        self.missed = None;
        // Whoever is to hear of what came before the link broke need not wait for the next.
        let heard = self.on_entries(link, entries).await;
        self.tail.wake();
        heard.map(|()| false)
    }

    /// On a new link, or in a new epoch, which may be of another server: whether the last notice that
    /// was heard is there still.
    async fn check_notices(&mut self, link: &mut Link) -> Result<(), RedisRequestError> {
        let is_there = self.noticed == NO_NOTICE || link.has_notice(&self.noticed).await?;
        if !is_there {
            self.noticed = link.last_notice().await?;
            self.on_missed_notices();
            self.view.record_noticed(&self.noticed);
        }
        Ok(())
    }

    /// Notices were given that this node has not heard.
    fn on_missed_notices(&mut self) {
        tracing::warn!("notices of other nodes were lost to this one");
        match self.listener.get() {
            Some(listener) => listener.on_missed(),
            None => self.owes_missed = self.awaits_listener,
        }
    }

    async fn on_notices(
        &mut self,
        link: &mut Link,
        notices: Vec<NoticeEntry>,
    ) -> Result<(), RedisRequestError> {
        let now = clock(link.request(&redis::cmd("TIME")).await?)?;
        let mut last = std::mem::take(&mut self.noticed);
        let mut missed = false;
        for notice in &notices {
            let before = notice.before.as_deref().unwrap_or_default();
            missed |= before != if last == NO_NOTICE { "" } else { &last };
            last.clone_from(&notice.id);
        }
        self.noticed = last;
        if missed {
            self.on_missed_notices();
        }
        let notices = notices.into_iter().filter_map(|NoticeEntry { id, text, .. }| {
            // An id of Redis's own making begins with its time.
            let at: u64 = id.split('-').next()?.parse().ok()?;
            Some(Notice { text: text?, age: Duration::from_millis(now.saturating_sub(at + 1)) })
        });
        if let Some(listener) = self.listener.get() {
            listener.on_notices(notices.collect());
        }
        // Passed on first: heard twice, they do no harm.
        self.view.record_noticed(&self.noticed);
        Ok(())
    }

    async fn on_entries(
        &mut self,
        link: &mut Link,
        entries: Vec<StreamEntry>,
    ) -> Result<(), RedisRequestError> {
        let mut run = Vec::with_capacity(entries.len());
        for entry in entries {
            let before = entry.before();
            let heard = run.last().map_or(self.heard, |event: &Arc<Event>| event.position);
            if heard != before {
                self.deliver(&mut run);
                self.resume_at(link, before).await?;
            }
            match entry {
                StreamEntry::Event(event) => run.push(event),
                StreamEntry::Marker(_) => {}
                StreamEntry::Foreign(position) => {
                    self.deliver(&mut run);
                    self.resume_at(link, position).await?;
                }
            }
        }
        self.deliver(&mut run);
        Ok(())
    }

    fn deliver(&mut self, run: &mut Vec<Arc<Event>>) {
        let Some(last) = run.last().map(|event| event.position) else { return };
        self.view.before_append(run);
        self.tail.append(run);
        self.heard = last;
        self.view.after_append(run);
        self.health.received(last);
        self.view.soundings.heard(last);
        run.clear();
    }

    /// Tells the tail that the log goes on after `at`: an epoch begins, or something was missed.
    async fn resume_at(&mut self, link: &mut Link, at: Position) -> Result<(), RedisRequestError> {
        if at.epoch != self.lineage.current() {
            // What this node has heard of the epoch that ended must be in the lineage by which it goes on.
            link.fence(&self.view.known()).await?;
            self.lineage = Arc::new(link.lineage(at.epoch).await?);
            self.check_notices(link).await?;
        }
        if self.lineage.continuous(self.heard, at) {
            tracing::info!(from = %self.heard, %at, "a new epoch begins, nothing was lost");
        } else {
            tracing::warn!(from = %self.heard, %at, "events were lost to this node, a gap follows");
            self.view.before_gap(at);
        }
        self.view.record_known(at);
        // Before the tail is told: those who are sent on to `at` must find its epoch in the lineage.
        self.view.before_begin(self.lineage.clone(), at);
        self.tail.begin(&self.lineage, at);
        self.heard = at;
        self.health.received(at);
        self.view.soundings.heard(at);
        Ok(())
    }

    /// Takes note of what the fence found, which began as this sounding.
    fn on_fenced(&mut self, link: &Link, sounding: u64) {
        let fenced = &link.fenced;
        self.missed = (fenced.last > self.heard).then_some(fenced.last);
        self.view.on_fenced(*fenced);
        self.view.soundings.found(sounding, fenced.last, self.heard);
        let trimmed = self.lineage.named_up_to(fenced.trimmed_through()).min(self.heard);
        if trimmed > self.trimmed {
            self.trimmed = trimmed;
            self.tail.trim(trimmed);
            self.tail.wake();
        }
    }
}

impl SlowLinkBackoff {
    fn grow(&mut self) {
        self.factor = (self.factor * 4).min(1 << 10);
    }

    fn shrink(&mut self) {
        self.factor = (self.factor / 2).max(1);
    }
}
