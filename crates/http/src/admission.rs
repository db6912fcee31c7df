//! Admission: the one way to a stream, whatever it is of and in whatever dialect it was asked for.
//!
//! In this order: a place among the requests, who asks, whether they may at all, what for, whether they may
//! that, a place among the streams, where to begin. What must hold: whoever is not admitted is counted,
//! once, and under the reason that is given; and nobody is given a seat who could not be let in otherwise.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::Method;
use axum::http::request::Parts;
use fanfare_auth::{Authorised, Forbidden, Pending, SubscribeGrant};
use fanfare_delivery::Delivery;
use fanfare_event::{Pattern, Selector};
use fanfare_hub::{Hub, Requested, Resolution, Start};
use tokio::time::{Instant, sleep};

use crate::access::Caller;
use crate::dialect::{self, Dialect, QueryForm, SubscribeRequest};
use crate::gate::GateState;
use crate::metrics::RefusalReason;
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::stream::{Admissible, AdmittedStream};

/// How long a client that is ahead of this node waits for it, at least, before it is told that what it has is lost; at
/// most, where the node has not heard all of what its engine has; and how often it looks.
const CATCH_UP: Duration = Duration::from_secs(2);
const CATCH_UP_AT_MOST: Duration = Duration::from_secs(10);
const CATCH_UP_LOOK: Duration = Duration::from_millis(20);

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// What is published, for whoever may hear it.
    Events,
    /// What the hub is doing, for administrators.
    Statistics,
}

/// A form that may still be arriving.
pub(crate) type PendingForm<'a> = Pending<'a, Result<QueryForm, Refusal>>;

/// What comes of a request for a stream.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The stream begins.
    Admitted(Box<AdmittedStream>),
    /// It would begin: the request was only for its head.
    HeadOnly,
    /// Not now. A client that comes back may be admitted.
    ComeBack(RefusalReason),
    /// Not like this.
    Refused(Refusal),
}

/// Decides on a request for a stream, and counts it if it is turned down.
pub(crate) async fn admit(
    app: &AppState,
    dialect: &dyn Dialect,
    feed: Feed,
    request: &mut Parts,
    form: Option<PendingForm<'_>>,
) -> Admission {
    let admission = match decide(app, dialect, feed, request, form).await {
        Ok(stream) => stream.map_or(Admission::HeadOnly, Admission::Admitted),
        Err(denied) => denied,
    };
    if let Some(reason) = admission.denied() {
        app.metrics.refused(reason);
    }
    admission
}

/// The stream, or nothing where only its head was asked for. An error is one of the other admissions.
async fn decide(
    app: &AppState,
    dialect: &dyn Dialect,
    feed: Feed,
    request: &mut Parts,
    form: Option<PendingForm<'_>>,
) -> Result<Option<Box<AdmittedStream>>, Admission> {
    let place = app.place(request).map_err(|none| Admission::ComeBack(none.reason()))?;
    let mut inside = app.gate.enter().await?;
    let listener = app.access.listener(request, dialect.credentials());
    // A ticket is used up by this. Whatever else is presented may have to wait for somebody's keys.
    let caller = if app.access.presents_ticket(request, dialect.credentials()) {
        listener.await?
    } else {
        inside.outside(listener).await??
    };
    if feed == Feed::Events {
        caller.may_subscribe()?;
    }
    if let Some(form) = form {
        // A hub that changes hands does not wait for it.
        request.extensions.insert(inside.outside(form).await??);
    }
    let request = &*request;
    let SubscribeRequest { selector, format, cadence, cursor, note } = match feed {
        Feed::Events => dialect.subscription(request)?,
        Feed::Statistics => {
            app.access.require_administrator(request, &caller)?;
            dialect::statistics(request)?
        }
    };
    let patterns = selector.topics.patterns();
    let named = selector.topics.topics().len() + patterns.len();
    let places = patterns.iter().map(Pattern::places).sum();
    let limit = app.quotas.max_topics;
    if named > limit {
        return Err(Refusal::TooManyTopics { named, limit }.into());
    }
    let selector = feed.authorise(&caller, selector)?;
    if request.method == Method::HEAD {
        return Ok(None);
    }
    not_draining(app)?;
    let lease = app.quotas.lease(&caller, places).map_err(Admission::ComeBack)?;
    let (hub, delivery) = feed.of(app);
    let seat = delivery.seat().ok_or(Admission::ComeBack(RefusalReason::Capacity))?;
    if feed == Feed::Statistics {
        app.hub.start_counting_topics();
    }
    // Whoever has to wait for this node holds a seat, and keeps no other request out.
    drop(place);
    // Its id says how long this takes.
    let ends = || app.is_draining() || app.gate.state() == GateState::Gone;
    let begin = inside.outside(begin(hub, cursor, ends)).await?;
    not_draining(app)?;
    let (cursor, start) = begin.ok_or(Admission::ComeBack(RefusalReason::LogUnavailable))?;
    let has_id = matches!(cursor, Requested::After(_));
    let private = caller.private_rights();
    let what = Admissible { selector, private, format, cadence, start, has_id };
    let address = caller.network().address();
    let stream = AdmittedStream::new(delivery, what, address, seat, lease, inside);
    let noted = note.map(|note| note(&caller, &app.quotas));
    Ok(Some(Box::new(stream.holding(noted))))
}

impl Feed {
    /// The hub whose events it is made of, and who delivers them.
    fn of(self, app: &AppState) -> (&Hub, &Arc<Delivery>) {
        match self {
            Self::Events => (&app.hub, &app.delivery),
            Self::Statistics => (&app.console.hub, &app.console.delivery),
        }
    }

    fn authorise(
        self,
        caller: &Caller,
        selector: Selector,
    ) -> Result<Authorised<Selector>, Refusal> {
        match self {
            Self::Events => caller.subscribe(selector),
            // An administrator may see all of that hub; it holds nothing of the users'.
            Self::Statistics => SubscribeGrant::EVERYTHING
                .authorise(selector)
                .map_err(|Forbidden| Refusal::Forbidden(caller.identity().clone())),
        }
    }
}

fn not_draining(app: &AppState) -> Result<(), Admission> {
    if app.is_draining() { Err(Admission::ComeBack(RefusalReason::Draining)) } else { Ok(()) }
}

/// The id that it resumes after, by its position, and where it begins; `None` where the log cannot tell.
/// Nobody is waited for once the hub `ends`.
async fn begin(
    hub: &Hub,
    cursor: Requested,
    ends: impl Fn() -> bool,
) -> Option<(Requested, Start)> {
    let cursor = hub.locate(cursor).await.ok()?;
    let start = match hub.resolve(&cursor) {
        Resolution::Ready(start) => start,
        Resolution::Ahead(_) => catch_up(hub, &cursor, ends).await?,
    };
    Some((cursor, start))
}

/// Waits for a node that is behind its client: until it has heard of what the client has, or knows that its engine
/// does not have it. `None` where the node can say neither, because it does not hear its engine, or has more to hear
/// than this waits for. What another node has given out is then not lost, and whoever comes back finds it there, or
/// here later.
async fn catch_up(hub: &Hub, requested: &Requested, ends: impl Fn() -> bool) -> Option<Start> {
    let came = Instant::now();
    let mut hearing = hub.hear_all();
    let mut has_heard = false;
    loop {
        // Asked before the client's place is: what is ahead of a node that has heard everything, is nowhere.
        if !has_heard {
            let polled = poll_fn(|context| Poll::Ready(hearing.as_mut().poll(context)));
            has_heard = polled.await.is_ready();
        }
        let waited = came.elapsed();
        match hub.resolve(requested) {
            Resolution::Ready(start) => return Some(start),
            Resolution::Ahead(_) if ends() => return None,
            Resolution::Ahead(_) if waited >= CATCH_UP && !hub.is_in_step() => return None,
            Resolution::Ahead(start) if waited >= CATCH_UP && has_heard => return Some(start),
            Resolution::Ahead(_) if waited >= CATCH_UP_AT_MOST => return None,
            Resolution::Ahead(_) => sleep(CATCH_UP_LOOK).await,
        }
    }
}

impl Admission {
    /// Why nobody was admitted; `None` for those who were.
    fn denied(&self) -> Option<RefusalReason> {
        match self {
            Self::Admitted(_) | Self::HeadOnly => None,
            Self::ComeBack(reason) => Some(*reason),
            Self::Refused(refusal) => Some(refusal.reason()),
        }
    }
}

impl From<Refusal> for Admission {
    fn from(refusal: Refusal) -> Self {
        if refusal.is_transient() {
            Self::ComeBack(refusal.reason())
        } else {
            Self::Refused(refusal)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::Request;
    use axum::http::header::HOST;
    use fanfare_auth::{
        AccessKeys, HolderId, Pending, Principal, Secret, StoreError, TicketId, TicketStore,
    };
    use fanfare_event::Timestamp;
    use fanfare_handover::{Malformed, Reader, Writer};

    use super::*;
    use crate::access::{AccessConfig, Peer};
    use crate::dialect::NATIVE;
    use crate::quotas::QuotaLimits;

    const FEEDS: [Feed; 2] = [Feed::Events, Feed::Statistics];

    fn request(method: Method, target: &str) -> Parts {
        let peer = Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), tls: false };
        let request = Request::builder().method(method).uri(target).header(HOST, "localhost");
        request.extension(peer).body(()).unwrap().into_parts().0
    }

    fn hub() -> Arc<AppState> {
        AppState::idle(&QuotaLimits::few(), AccessConfig::private(), 8)
    }

    async fn ask(app: &AppState, feed: Feed) -> Admission {
        admit(app, &NATIVE, feed, &mut request(Method::GET, "/"), None).await
    }

    /// Each reason that was counted, as often as it was.
    fn counted(app: &AppState) -> Vec<(&'static str, u64)> {
        app.metrics.refusals().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[track_caller]
    fn assert_told_to_come_back(app: &AppState, admission: &Admission, why: RefusalReason) {
        assert_eq!(admission.denied(), Some(why), "{admission:?}");
        assert!(matches!(admission, Admission::ComeBack(_)), "{admission:?}");
        assert_eq!(counted(app), [(why.as_str(), 1)]);
    }

    #[tokio::test]
    async fn too_many_requests_are_told_to_come_back_and_counted_at_either_stream() {
        for feed in FEEDS {
            let app = hub();
            let _place = app.place(&request(Method::GET, "/")).unwrap();
            let turned_away = ask(&app, feed).await;
            assert_told_to_come_back(&app, &turned_away, RefusalReason::Requests);
        }
    }

    #[tokio::test]
    async fn too_many_streams_are_told_to_come_back_and_counted_at_either_stream() {
        for feed in FEEDS {
            let app = hub();
            let first = ask(&app, feed).await;
            assert!(matches!(first, Admission::Admitted(_)), "{first:?}");
            let second = ask(&app, feed).await;
            assert_told_to_come_back(&app, &second, RefusalReason::AddressCapacity);
        }
    }

    #[tokio::test]
    async fn a_stream_without_a_seat_is_told_to_come_back_and_counted_at_either_stream() {
        for feed in FEEDS {
            let app = hub();
            let _taken: Vec<_> = std::iter::from_fn(|| feed.of(&app).1.seat()).collect();
            let turned_away = ask(&app, feed).await;
            assert_told_to_come_back(&app, &turned_away, RefusalReason::Capacity);
        }
    }

    #[tokio::test]
    async fn a_draining_hub_says_to_come_back_and_counts_it_at_either_stream() {
        for feed in FEEDS {
            let app = hub();
            app.begin_drain();
            let turned_away = ask(&app, feed).await;
            assert_told_to_come_back(&app, &turned_away, RefusalReason::Draining);
        }
    }

    #[tokio::test]
    async fn credentials_that_cannot_be_looked_at_are_told_to_come_back_and_counted_at_either_stream()
     {
        for feed in FEEDS {
            let mut access = AccessConfig::private();
            access.keys.subscribe = AccessKeys::new(&[Secret::new("k".repeat(32), 1).unwrap()]);
            access.tickets = Some(Box::new(UnreachableStore));
            let app = AppState::idle(&QuotaLimits::few(), access, 8);
            let mut asked = request(Method::GET, &format!("/?ticket={}", "A".repeat(43)));
            let turned_away = admit(&app, &NATIVE, feed, &mut asked, None).await;
            let why = RefusalReason::CredentialsUnverifiable;
            assert_told_to_come_back(&app, &turned_away, why);
        }
    }

    #[tokio::test]
    async fn a_request_for_the_head_takes_no_seat_at_either_stream() {
        for feed in FEEDS {
            let app = hub();
            let mut asked = request(Method::HEAD, "/");
            let admission = admit(&app, &NATIVE, feed, &mut asked, None).await;
            assert!(matches!(admission, Admission::HeadOnly), "{admission:?}");
            assert_eq!(feed.of(&app).1.seats().taken(), 0);
            assert_eq!(counted(&app), []);
        }
    }

    #[tokio::test]
    async fn what_is_asked_for_in_vain_is_refused_and_counted_once() {
        let app = hub();
        let mut request = request(Method::GET, "/?topic=a&topic=b");
        let refused = admit(&app, &NATIVE, Feed::Events, &mut request, None).await;
        assert!(matches!(refused, Admission::Refused(Refusal::TooManyTopics { .. })));
        assert_eq!(counted(&app), [("too_many_topics", 1)]);
    }

    /// A store of tickets that nobody can reach.
    #[derive(Debug)]
    struct UnreachableStore;

    impl TicketStore for UnreachableStore {
        fn put(
            &self,
            _: TicketId,
            _: Principal,
            _: HolderId,
            _: Timestamp,
        ) -> Pending<'_, Result<(), StoreError>> {
            Box::pin(async { Err(StoreError::Unavailable("away".into())) })
        }

        fn take(
            &self,
            _: TicketId,
            _: Timestamp,
        ) -> Pending<'_, Result<Option<Principal>, StoreError>> {
            Box::pin(async { Err(StoreError::Unavailable("away".into())) })
        }

        fn write(&self, _: &mut Writer) {}

        fn read(&self, _: &mut Reader<'_>) -> Result<(), Malformed> {
            Ok(())
        }
    }
}
