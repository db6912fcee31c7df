//! Publishing: one task owns the connection and sends whatever has queued up since the last
//! answer, in one round trip.
//!
//! What must hold: a publisher is told that nothing of its batch was kept only where that is known:
//! the batch was never sent, or Redis refused it. The outcome is unknown where a batch was sent and
//! the answer did not come, made no sense, or came without enough replicas.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Draft, Position};
use fanfare_log::{
    AppendError, Appended, Appending, Batch, Durability, IdempotencyKey, IdempotencyState,
};
use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::back_off::BackOff;
use crate::budget::Budget;
use crate::dialer::Dialer;
use crate::entry::{extras_text, text};
use crate::error::{LinkError, RedisRequestError};
use crate::health::Health;
use crate::link::Link;
use crate::refusal::PublishRefusal;
use crate::request::{Request, weight};
use crate::retention::Upkeep;
use crate::sent_keys::SentKeys;
use crate::settings::RedisSettings;
use crate::view::View;

/// The most events of one round trip, a single batch excepted.
const MAX_TRIP_EVENTS: usize = 1024;
/// The most bytes of one round trip, a single batch excepted.
const MAX_TRIP_BYTES: usize = 1 << 20;
/// How often the epoch may change under one batch before it is given up.
const MAX_ATTEMPTS: u32 = 5;

/// Where batches are handed in.
pub(crate) struct Publisher {
    /// Bounded by the budget.
    queue: mpsc::UnboundedSender<Request>,
    budget: Arc<Budget>,
    keys: Arc<SentKeys>,
    runtime: Handle,
    deadline: Duration,
}

/// The task that sends them.
pub(crate) struct PublishTask {
    queue: mpsc::UnboundedReceiver<Request>,
    /// Taken from the queue and refused for the epoch, first to be sent again.
    again: VecDeque<Request>,
    dialer: Arc<Dialer>,
    view: Arc<View>,
    health: Arc<Health>,
    upkeep: Upkeep,
    window: Duration,
    wait_replicas: u32,
    /// At most [`MAX_TRIP_BYTES`]; less on a link too slow for that.
    trip_bytes: usize,
}

impl Publisher {
    pub(crate) fn new(
        settings: &RedisSettings,
        runtime: Handle,
        dialer: Arc<Dialer>,
        view: Arc<View>,
        health: Arc<Health>,
        keys: Option<IdempotencyState>,
    ) -> (Self, PublishTask) {
        let environment = Arc::clone(&dialer.environment);
        let (sender, receiver) = mpsc::unbounded_channel();
        let publisher = Self {
            queue: sender,
            budget: Budget::new(settings.max_waiting, settings.max_waiting_bytes),
            keys: Arc::new(SentKeys::new(settings, environment, keys)),
            runtime,
            deadline: settings.publish_deadline,
        };
        let task = PublishTask {
            queue: receiver,
            again: VecDeque::new(),
            dialer,
            view,
            health,
            upkeep: Upkeep::new(settings.retention),
            window: settings.idempotency_window,
            wait_replicas: settings.wait_replicas,
            trip_bytes: MAX_TRIP_BYTES,
        };
        (publisher, task)
    }

    /// Whether everything that was handed in has been answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.budget.is_unused()
    }

    /// The keys that this node has sent.
    pub(crate) fn keys(&self) -> IdempotencyState {
        self.keys.state()
    }

    /// Queues a batch. The future answers within the publish deadline, on any executor.
    pub(crate) fn append(&self, batch: Batch) -> Appending {
        let Some(reservation) = self.budget.reserve(weight(&batch)) else {
            let source = "too many publishes wait for redis".into();
            return Box::pin(async { Err(AppendError::Unavailable { source }) });
        };
        let counted = match batch.key.clone().map(|key| self.keys.count(key)).transpose() {
            Ok(counted) => counted.map(Arc::new),
            Err(full) => return Box::pin(async move { Err(full.into()) }),
        };
        let _timers = self.runtime.enter();
        let within = self.deadline;
        let deadline = Instant::now() + within;
        let (request, stage, answer) = Request::new(batch, deadline, counted.clone(), reservation);
        // Where the task has ended, the answer's channel is closed and says so.
        let _ = self.queue.send(request);
        let answer = timeout_at(deadline, answer);
        Box::pin(async move {
            let source = match answer.await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => "the log has shut down".into(),
                Err(_) => format!("redis did not answer within {} ms", within.as_millis()).into(),
            };
            if !stage.abandon() {
                return Err(AppendError::OutcomeUnknown { source });
            }
            // It is never sent.
            let refused = Err(AppendError::Unavailable { source });
            counted.iter().for_each(|key| key.settle(&refused));
            refused
        })
    }
}

impl PublishTask {
    /// Runs until the [`Publisher`] is dropped.
    pub(crate) async fn run(mut self, mut link: Option<Link>) {
        let (dialer, view) = (Arc::clone(&self.dialer), Arc::clone(&self.view));
        let mut back_off = BackOff::new();
        loop {
            let mut open = match link.take() {
                Some(link) => link,
                None => {
                    let opening = dialer.reopen(&view, &mut back_off, |error| {
                        self.health.publish_down(error.into());
                        self.forget_late();
                    });
                    opening.await
                }
            };
            self.health.publish_up();
            match self.serve(&mut open, &mut back_off).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(node = open.node, %error, "the publish connection is given up");
                    self.health.publish_down(error);
                    sleep(back_off.pause()).await;
                }
            }
        }
    }

    /// Sends over one link. Ends well when there will be no more to send, otherwise with why the link
    /// is of no use any longer.
    async fn serve(&mut self, link: &mut Link, back_off: &mut BackOff) -> Result<(), LinkError> {
        loop {
            if self.again.is_empty() {
                tokio::select! {
                    biased;
                    () = sleep_until(self.upkeep.due(self.view.heard())) => {}
                    request = self.queue.recv() => match request {
                        Some(request) => self.again.push_back(request),
                        None => return Ok(()),
                    },
                }
            }
            if link.fenced.last.epoch < self.view.heard().epoch {
                return Err(LinkError::Overtaken);
            }
            // Also before a publish: a single one trims all that is beyond what was measured.
            if self.upkeep.due(self.view.heard()) <= Instant::now() {
                self.upkeep.run(link, &self.view, &self.health).await?;
                continue;
            }
            let trip = self.gather();
            if !trip.is_empty() {
                self.send(link, trip).await?;
                *back_off = BackOff::new();
            }
        }
    }

    /// What goes into the next round trip, in order.
    fn gather(&mut self) -> Vec<Request> {
        let (mut trip, mut events, mut bytes) = (Vec::new(), 0, 0);
        while events < MAX_TRIP_EVENTS && bytes < self.trip_bytes {
            let next = self.again.pop_front().or_else(|| self.queue.try_recv().ok());
            let Some(request) = next else { break };
            if let Some(request) = request.in_time().filter(|request| request.stage.send()) {
                events += request.batch.drafts.len();
                bytes += weight(&request.batch);
                trip.push(request);
            }
        }
        trip
    }

    /// While there is no connection: answers those whose time is up.
    fn forget_late(&mut self) {
        while let Ok(request) = self.queue.try_recv() {
            self.again.push_back(request);
        }
        self.again = self.again.drain(..).filter_map(Request::in_time).collect();
    }

    async fn send(&mut self, link: &mut Link, trip: Vec<Request>) -> Result<(), LinkError> {
        let epoch = link.fenced.last.epoch;
        let known = self.view.known_of(epoch);
        let waits = if self.wait_replicas > 0 { 2 } else { 0 };
        let calls: Vec<_> = trip.chunk_by(share_script_call).map(<[Request]>::len).collect();
        let mut commands = Pipeline::with_capacity(calls.len() + waits);
        for requests in trip.chunk_by(share_script_call) {
            commands.add_command(self.command(link, requests, epoch, known));
        }
        if waits > 0 {
            // From Redis 7.2 on, what is waited for is this connection's last write, and a repeated
            // answer writes nothing.
            commands.cmd("SET").arg(&*link.keys.waited).arg("");
            let within = link.response_timeout.as_millis() / 2;
            commands.cmd("WAIT").arg(self.wait_replicas).arg(within as u64);
        }
        let mut answers = match link.pipeline(&commands, calls.len() + waits).await {
            Ok(answers) => answers,
            Err(error) => {
                self.trip_bytes = (self.trip_bytes / 4).max(1);
                // One error, and all of them have it.
                let error = Arc::new(error);
                for request in trip {
                    let source = Arc::clone(&error).into();
                    request.answer(Err(AppendError::OutcomeUnknown { source }));
                }
                return Err(error.into());
            }
        };
        self.trip_bytes = (self.trip_bytes * 2).min(MAX_TRIP_BYTES);
        let replicated =
            if waits == 0 { Ok(()) } else { self.replicated(answers.pop(), answers.pop()) };
        let answers = one_for_each(&trip, &calls, answers);
        self.settle(trip, answers, replicated, link).await
    }

    /// Whether enough replicas have what was written, by the answers to `WAIT` and to the write
    /// before it; if not, why it is not known.
    fn replicated(
        &self,
        waited: Option<Value>,
        written: Option<Value>,
    ) -> Result<(), ReplicationError> {
        match (waited, written) {
            (_, Some(Value::ServerError(error))) | (Some(Value::ServerError(error)), _) => {
                Err(ReplicationError::NotAsked(Arc::new(RedisRequestError::Refused(error))))
            }
            (Some(Value::Int(replicas)), _) if replicas >= i64::from(self.wait_replicas) => Ok(()),
            _ => Err(ReplicationError::TooFew),
        }
    }

    /// Answers each request of a trip, or keeps it for another.
    async fn settle(
        &mut self,
        trip: Vec<Request>,
        answers: Vec<Value>,
        replicated: Result<(), ReplicationError>,
        link: &mut Link,
    ) -> Result<(), LinkError> {
        let (mut last, mut stale, mut elsewhere) = (None, false, None);
        for (mut request, answer) in trip.into_iter().zip(answers) {
            let source = match Self::outcome(&request, answer) {
                PublishOutcome::Accepted(appended) => {
                    if !appended.repeated {
                        let through = appended.first.plus(appended.count as u64 - 1);
                        self.view.record_known(through);
                        last = Some(through);
                    }
                    request.answer(match replicated.clone() {
                        Ok(()) => Ok(appended),
                        Err(error) => Err(AppendError::OutcomeUnknown { source: error.into() }),
                    });
                    continue;
                }
                PublishOutcome::Unclear(error) => {
                    let source = error.into();
                    request.answer(Err(AppendError::OutcomeUnknown { source }));
                    continue;
                }
                PublishOutcome::Reused => {
                    request.answer(Err(AppendError::KeyReused));
                    continue;
                }
                PublishOutcome::Refused(PublishRefusal::Full(error)) => {
                    self.refused(&error);
                    request.answer(Err(AppendError::Full { source: error.into() }));
                    continue;
                }
                PublishOutcome::Refused(PublishRefusal::WritesRefused(error)) => {
                    self.refused(&error);
                    request.answer(Err(AppendError::Unavailable { source: error.into() }));
                    continue;
                }
                PublishOutcome::Refused(PublishRefusal::Stale) => {
                    stale = true;
                    "the epoch changed again and again".into()
                }
                PublishOutcome::Refused(PublishRefusal::Elsewhere(error)) => {
                    elsewhere = Some(Arc::clone(&error));
                    error.into()
                }
            };
            request.attempts += 1;
            if request.attempts < MAX_ATTEMPTS {
                request.stage.mark_unsent();
                self.again.push_back(request);
            } else {
                request.answer(Err(AppendError::Unavailable { source }));
            }
        }
        if let Some(last) = last {
            self.health.published(last);
            self.health.refusing(None);
        }
        if let Some(error) = elsewhere {
            return Err(error.into());
        }
        if stale {
            link.fence(&self.view.known()).await?;
        }
        Ok(())
    }

    /// Before the publisher is answered, so that readiness never contradicts the answer.
    fn refused(&mut self, error: &Arc<RedisRequestError>) {
        self.health.refusing(Some(Arc::clone(error)));
        self.upkeep.retry_soon();
    }

    /// Publishes requests that [share a call of the script](share_script_call).
    fn command(&self, link: &Link, requests: &[Request], epoch: u64, known: u64) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&link.scripts.publish);
        let (events, lineage) = (&*link.keys.events, &*link.keys.lineage);
        let key = requests.first().and_then(|request| request.batch.key.as_ref());
        let drafts = || requests.iter().flat_map(|request| &request.batch.drafts);
        let is_named = |draft: &Draft| draft.extras.as_ref().is_some_and(|it| it.id().is_some());
        let names = drafts().any(is_named);
        call.arg(2 + usize::from(key.is_some()) + 2 * usize::from(names)).arg(events).arg(lineage);
        if let Some(key) = key {
            call.arg(link.keys.idempotency(key.identity()));
        }
        if names {
            call.arg(&*link.keys.ids).arg(&*link.keys.id_order);
        }
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX).max(1);
        call.arg(epoch).arg(known).arg(self.upkeep.max_entries()).arg(window);
        call.arg(key.map_or("", IdempotencyKey::content));
        for draft in drafts() {
            let event_type = draft.event_type.as_ref().map_or("", |t| t.as_str());
            call.arg(draft.topic.as_str()).arg(event_type).arg(&*draft.message);
            call.arg(extras_text(draft));
        }
        call
    }

    fn outcome(request: &Request, answer: Value) -> PublishOutcome {
        let unclear = || PublishOutcome::Unclear(RedisRequestError::Unexpected("to a publish"));
        match answer {
            Value::ServerError(error) => PublishOutcome::Refused(PublishRefusal::of(error)),
            Value::Nil => PublishOutcome::Refused(PublishRefusal::Stale),
            Value::Array(mut earlier) => {
                let earlier = earlier.pop().and_then(text);
                let content = request.batch.key.as_ref().map_or("", IdempotencyKey::content);
                match earlier.as_deref().and_then(known_answer) {
                    Some((.., then)) if then != content && !then.is_empty() => {
                        PublishOutcome::Reused
                    }
                    Some((first, count, _)) => {
                        PublishOutcome::Accepted(appended(first, count, true))
                    }
                    None => unclear(),
                }
            }
            id => {
                let first = text(id).and_then(|id| id.parse().ok());
                let count = request.batch.drafts.len();
                first.map_or_else(unclear, |first| {
                    PublishOutcome::Accepted(appended(first, count, false))
                })
            }
        }
    }
}

/// Whether two requests are published by one call of the script, which costs Redis less: both are
/// accepted then, or neither.
fn share_script_call(one: &Request, next: &Request) -> bool {
    one.batch.key.is_none() && next.batch.key.is_none()
}

/// An answer for each request, where each call has answered for so many.
fn one_for_each(trip: &[Request], calls: &[usize], answers: Vec<Value>) -> Vec<Value> {
    let mut requests = trip.iter();
    let mut each = Vec::with_capacity(trip.len());
    for (answer, &count) in answers.into_iter().zip(calls) {
        let first = match &answer {
            Value::BulkString(_) if count > 1 => text(answer.clone()),
            _ => None,
        };
        let mut first = first.and_then(|id| id.parse::<Position>().ok());
        for request in requests.by_ref().take(count) {
            each.push(first.map_or_else(
                || answer.clone(),
                |first| Value::BulkString(first.to_string().into_bytes()),
            ));
            first = first.map(|first| first.plus(request.batch.drafts.len() as u64));
        }
    }
    each
}

/// What Redis made of one request.
enum PublishOutcome {
    Accepted(Appended),
    Refused(PublishRefusal),
    /// The key is known, with another content.
    Reused,
    Unclear(RedisRequestError),
}

/// Why it is not known whether enough replicas have what was written.
#[derive(Debug, Clone, thiserror::Error)]
enum ReplicationError {
    #[error("the replicas could not be asked whether they have it: {0}")]
    NotAsked(#[source] Arc<RedisRequestError>),
    #[error("not enough replicas have it yet")]
    TooFew,
}

fn appended(first: Position, count: usize, repeated: bool) -> Appended {
    Appended { first, count, repeated, durability: Durability::Engine }
}

/// `<first id> <count> <content>`, as the script keeps it under an idempotency key; earlier versions
/// wrote no content.
fn known_answer(text: &str) -> Option<(Position, usize, &str)> {
    let mut parts = text.splitn(3, ' ');
    let (first, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (count > 0).then_some((first, count, parts.next().unwrap_or_default()))
}
