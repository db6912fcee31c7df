//! Publishing by a body that need not end: its lines are appended in groups as they arrive, and each group is
//! answered as soon as it is durable, while the next one is read.
//!
//! Nothing runs beside the answer: whoever writes it to the peer drives it all. A peer that does not read is
//! not read from either, and its answer has the deadline of every other; one that is gone takes all with it.
//!
//! What must hold: answers come in the order of the lines; a line is answered once, with what became of it;
//! whatever ends the stream, its last answer says up to which line it got, and nothing behind that was
//! accepted. What a stream holds is bounded: a line, and two groups, one being gathered and one being appended.
//! Streams that have had no event for longer than a line may take hold no more than half of the places for
//! requests, and no address more of those than are still free.

mod group;
mod split;

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fanfare_event::{Position, Timestamp};
use fanfare_log::{Appended, Durability};
use http_body::{Body as _, Frame};
use tokio::time::sleep_until;

use self::group::{Group, Notes};
use self::split::{LineSplitter, TooLong};
use super::publish_rules::{admit, append, refuse_reserved};
use crate::access::Caller;
use crate::dialect::LineFormat;
use crate::endpoint::Endpoint;
use crate::gate::GateState;
use crate::layers::NO_STORE;
use crate::processor_time::noting_time;
use crate::publish_streams::OpenStream;
use crate::quotas::{RequestKind, RequestPlace};
use crate::refusal::Refusal;
use crate::request_body::{BodyLimit, BodyTerms};
use crate::state::AppState;

/// How long nothing is said at most: less than proxies wait for an answer that goes on.
const SILENCE: Duration = Duration::from_secs(15);
/// What an event counts among the memory for bodies, beside its line, until it is answered, in bytes.
const EVENT: usize = 128;

/// What became of a group without events.
const NOTHING: Appended =
    Appended { first: Position::ORIGIN, count: 0, repeated: false, durability: Durability::Memory };

/// Begins to answer a publish whose body need not end.
pub(super) async fn publish_lines(
    endpoint: &Endpoint,
    request: &Parts,
    body: Body,
    format: &'static dyn LineFormat,
) -> Result<Response, Refusal> {
    let app = &endpoint.app;
    // From now on it hears of cuts: what is found out about the caller after this is not outdated.
    let endings = app.publish_streams.open();
    let (place, caller) = admit(endpoint, request).await?;
    request.uri.query().map_or(Ok(()), |query| endpoint.dialect.check_publish_query(query))?;
    format.admits(&request.headers)?;
    if let Some(why) = app.is_ending() {
        return Err(why);
    }
    let terms = request.extensions.get::<Arc<BodyTerms>>().ok_or(Refusal::NoPeer)?;
    let allowed = terms.make_endless();
    let batch = caller.publish(Vec::new())?;
    let stream = LineStream {
        splitter: LineSplitter::new(format.longest(app.max_message)),
        group: Group::new(batch),
        format,
        body,
        body_ended: false,
        input_drained: false,
        terms: Arc::clone(terms),
        allowed,
        partial: None,
        idle: Idleness::Since(Instant::now()),
        in_flight: None,
        answered: 0,
        owed: 0,
        said: Instant::now(),
        not_before: None,
        expires: caller.expires().map(moment),
        app: Arc::clone(app),
        endings,
        caller,
        _place: place,
    };
    let headers = [
        (CONTENT_TYPE, format.content_type()),
        (CACHE_CONTROL, NO_STORE),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let answers = LineAnswerBody { next: Some(next_answer(Box::new(stream))) };
    Ok((StatusCode::OK, headers, Body::new(answers)).into_response())
}

/// What a stream says next. Its address is charged for the processor time that this takes.
fn next_answer(stream: Box<LineStream>) -> Pin<Box<dyn Future<Output = NextAnswer> + Send>> {
    let (app, from) = (Arc::clone(&stream.app), stream.caller.address);
    let charge = move |took| app.quotas.places.charge(from, took, Instant::now);
    Box::pin(noting_time(stream.next(), charge))
}

/// When it is this late, as far as this process's clock tells.
fn moment(at: Timestamp) -> Instant {
    let left = at.as_millis().saturating_sub(Timestamp::now().as_millis());
    let now = Instant::now();
    // A century is as good as never.
    now.checked_add(Duration::from_millis(left)).unwrap_or(now + SILENCE * 200_000_000)
}

/// The answers, each made when the peer has room for it.
struct LineAnswerBody {
    next: Option<Pin<Box<dyn Future<Output = NextAnswer> + Send>>>,
}

/// Some lines of the answer, and whoever makes the next.
type NextAnswer = (Vec<u8>, Option<Box<LineStream>>);

/// A publish under way.
struct LineStream {
    app: Arc<AppState>,
    caller: Caller,
    format: &'static dyn LineFormat,
    body: Body,
    body_ended: bool,
    /// Whether nothing more has come since this was last asked.
    input_drained: bool,
    terms: Arc<BodyTerms>,
    /// How long a line may take.
    allowed: Duration,
    /// The line that has begun, and since when it is waited for.
    partial: Option<(usize, Instant)>,
    idle: Idleness,
    splitter: LineSplitter,
    /// What is being gathered.
    group: Group,
    in_flight: Option<InFlight>,
    /// Up to which line everything was answered.
    answered: usize,
    /// What the last answers still count among the memory for bodies.
    owed: usize,
    /// When something was last said.
    said: Instant,
    /// Before that, nothing may be published: it was too much.
    not_before: Option<Instant>,
    expires: Option<Instant>,
    endings: OpenStream,
    _place: RequestPlace,
}

/// Whether events come.
enum Idleness {
    /// There are none, since then.
    Since(Instant),
    /// There were none for long.
    Long(#[expect(dead_code, reason = "it is held, and given back")] RequestPlace),
}

/// A group that is being appended.
struct InFlight {
    appending: Pin<Box<dyn Future<Output = Result<Appended, Refusal>> + Send>>,
    notes: Notes,
}

/// Why a stream goes on.
enum WakeReason {
    Over(Refusal),
    Appended(Result<Appended, Refusal>),
    Read(Option<Result<Frame<Bytes>, axum::Error>>),
    InputDrained,
    Allowed,
    Idle,
    KeepaliveDue,
}

impl LineStream {
    /// Goes on until there is something to say.
    async fn next(mut self: Box<Self>) -> NextAnswer {
        self.terms.share().release(std::mem::take(&mut self.owed));
        let why = loop {
            match self.gather() {
                Ok(()) => {}
                Err(refusal) => break Some(refusal),
            }
            if self.in_flight.is_none() && self.is_due() {
                if let Err(wait) = self.begin_append() {
                    self.not_before = Some(Instant::now() + wait);
                } else {
                    continue;
                }
            }
            if self.body_ended && self.in_flight.is_none() && self.group.is_empty() {
                break None;
            }
            match self.wait_for_next().await {
                WakeReason::Over(refusal) => break Some(refusal),
                WakeReason::Appended(Ok(appended)) => {
                    let mut answer = Vec::new();
                    self.settle(&appended, &mut answer);
                    if !answer.is_empty() {
                        return self.say(answer);
                    }
                }
                WakeReason::Appended(Err(refusal)) => {
                    self.in_flight = None;
                    break Some(refusal);
                }
                WakeReason::Read(Some(Ok(frame))) => {
                    self.input_drained = false;
                    if let Ok(bytes) = frame.into_data() {
                        self.splitter.push(bytes);
                    }
                }
                WakeReason::Read(Some(Err(error))) => break Some(Refusal::of_body(error)),
                WakeReason::Read(None) => self.body_ended = true,
                WakeReason::InputDrained => self.input_drained = true,
                WakeReason::Allowed => self.not_before = None,
                WakeReason::Idle => {
                    let address = self.caller.address;
                    let kind = RequestKind::Ordinary;
                    match self.app.quotas.idle_lines.take(address, kind) {
                        Ok(place) => self.idle = Idleness::Long(place),
                        Err(refusal) => break Some(refusal),
                    }
                }
                WakeReason::KeepaliveDue => {
                    let word = self.format.keepalive().to_vec();
                    return self.say(word);
                }
            }
        };
        self.end(why).await
    }

    fn say(mut self: Box<Self>, answer: Vec<u8>) -> NextAnswer {
        self.said = Instant::now();
        (answer, Some(self))
    }

    /// Says the last.
    async fn end(mut self: Box<Self>, mut why: Option<Refusal>) -> NextAnswer {
        let mut answer = Vec::new();
        // What was begun is answered, whatever happens then.
        if let Some(InFlight { appending, .. }) = &mut self.in_flight {
            match appending.await {
                Ok(appended) => self.settle(&appended, &mut answer),
                Err(refusal) => why = Some(refusal),
            }
        }
        if let Some(why) = &why {
            self.app.metrics.refused(why.reason());
            self.app.trail.refused(&why.note(), self.caller.address);
        }
        self.format.ended(self.answered, why.as_ref(), &mut answer);
        (answer, None)
    }

    /// Reads lines out of what has come, until the group is full.
    fn gather(&mut self) -> Result<(), Refusal> {
        let (before, mut held) = (self.group.events(), 0);
        while !self.group.is_full() {
            let Self { splitter, group, app, caller, format, body_ended, .. } = self;
            let taken = splitter.next(*body_ended, |number, line| {
                let read = format.read(line, number, app.max_message).and_then(|draft| {
                    let Some(draft) = draft else { return Ok(false) };
                    refuse_reserved(app, &draft)?;
                    caller.publish_another(draft, &mut group.batch)?;
                    Ok(true)
                });
                // Its end counts too, where it has one.
                let bytes = line.len() + 1;
                match read {
                    Ok(is_event) => group.note_line(number, bytes, is_event),
                    Err(refusal) => {
                        app.metrics.refused(refusal.reason());
                        app.trail.refused(&refusal.note(), caller.address);
                        held += group.note_refusal(number, bytes, |into| {
                            format.refused(number, &refusal, into);
                        });
                    }
                }
            });
            match taken {
                Ok(true) => {}
                Ok(false) => break,
                Err(TooLong { limit }) => return Err(Refusal::LineTooLong { limit }),
            }
        }
        held += (self.group.events() - before) * EVENT;
        self.terms.share().take(held).map_err(Refusal::BodyLimit)?;
        let begun = self.splitter.partial();
        if begun != self.partial.map(|(number, _)| number) {
            self.partial = begun.map(|number| (number, Instant::now()));
        }
        if self.group.events() > 0 {
            self.idle = Idleness::Since(Instant::now());
        }
        Ok(())
    }

    /// Whether what was gathered is to be appended, rather than more to be waited for: what comes together is
    /// appended together.
    fn is_due(&self) -> bool {
        let whole = self.group.is_full() || self.input_drained || self.body_ended;
        whole && !self.group.is_empty() && self.not_before.is_none()
    }

    /// Hands on what was gathered; or says how long to wait, where too much was published.
    fn begin_append(&mut self) -> Result<(), Duration> {
        let events = self.group.events();
        self.app.quotas.places.check(self.caller.address, Instant::now())?;
        self.app.quotas.publish_or_wait(&self.caller, self.group.charge())?;
        self.input_drained = false;
        let (batch, notes) = self.group.take();
        let (app, began) = (Arc::clone(&self.app), Instant::now());
        let appending = async move {
            if events == 0 {
                return Ok(NOTHING);
            }
            append(&app, batch, None, began).await
        };
        self.in_flight = Some(InFlight { appending: Box::pin(appending), notes });
        Ok(())
    }

    /// Answers what has been appended.
    fn settle(&mut self, appended: &Appended, answer: &mut Vec<u8>) {
        let Some(InFlight { notes, .. }) = self.in_flight.take() else { return };
        self.answered = notes.last_line();
        self.owed += notes.refusals_held();
        self.terms.share().release(notes.lines_held() + appended.count * EVENT);
        notes.answer(self.format, appended, answer);
        // Time in which nothing could be read is no time that a line took, nor that nobody sent one.
        if let Some((_, since)) = &mut self.partial {
            *since = Instant::now();
        }
        if let Idleness::Since(since) = &mut self.idle {
            *since = Instant::now();
        }
    }

    /// Waits for what happens next.
    async fn wait_for_next(&mut self) -> WakeReason {
        let reads = !self.body_ended && self.splitter.has_room();
        let may_drain =
            reads && !self.input_drained && self.in_flight.is_none() && !self.group.is_empty();
        let late = self.partial.filter(|_| reads).map(|(_, since)| since + self.allowed);
        let silence = self.said + SILENCE;
        // Whoever waits for what it has sent is not idle.
        let waits = self.in_flight.is_some() || !self.group.is_empty();
        let idle = match self.idle {
            Idleness::Since(since) if !waits => Some(since + self.allowed),
            Idleness::Since(_) | Idleness::Long(_) => None,
        };
        let Self { app, caller, endings, body, in_flight, not_before, expires, .. } = self;
        if let Some(why) = endings.told(caller) {
            return WakeReason::Over(why);
        }
        let moves = app.gate.reached(|state| state != GateState::Open);
        let appended = async {
            match in_flight {
                Some(in_flight) => (&mut in_flight.appending).await,
                None => pending().await,
            }
        };
        let frame = poll_fn(|context| match reads {
            true => Pin::new(&mut *body).poll_frame(context),
            false => Poll::Pending,
        });
        tokio::select! {
            biased;
            () = until(*expires) => WakeReason::Over(expired()),
            _ = moves => WakeReason::Over(Refusal::Moving),
            appended = appended => WakeReason::Appended(appended),
            frame = frame => WakeReason::Read(frame),
            // Whoever reads for us has a turn first.
            () = tokio::task::yield_now(), if may_drain => WakeReason::InputDrained,
            why = endings.ended(caller) => WakeReason::Over(why),
            () = until(*not_before), if not_before.is_some() => WakeReason::Allowed,
            () = until(late) => WakeReason::Over(Refusal::BodyLimit(BodyLimit::Late)),
            () = until(idle) => WakeReason::Idle,
            () = until(Some(silence)) => WakeReason::KeepaliveDue,
        }
    }
}

/// Waits until then, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}

fn expired() -> Refusal {
    Refusal::Untrusted(fanfare_auth::InvalidToken::Expired.into())
}

impl http_body::Body for LineAnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let (answer, goes_on) = ready!(next.as_mut().poll(context));
        self.next = match goes_on {
            Some(stream) => Some(next_answer(stream)),
            None => None,
        };
        Poll::Ready(Some(Ok(Frame::data(answer.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none()
    }
}
