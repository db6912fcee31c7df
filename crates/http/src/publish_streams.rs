//! Publishers that stream: how many there are, and what ends them before they end themselves.
//!
//! What must hold: whoever streams is reached by every cut that is said after it was found out who it is, and
//! hears of a shutdown; who missed something that was said ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fanfare_delivery::Cut;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::access::Caller;
use crate::metrics::{MetricSource, Rows};
use crate::refusal::Refusal;

/// How much may have been said that a stream has not heard yet. Each looks whenever it has something to do,
/// and is woken where it has nothing.
const SIGNAL_BACKLOG: usize = 64;

/// The streams of publishers at this node.
#[derive(Debug)]
pub struct PublishStreams {
    said: broadcast::Sender<EndSignal>,
    open: AtomicUsize,
}

/// One of them, as long as it is held.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<PublishStreams>,
    heard: broadcast::Receiver<EndSignal>,
}

#[derive(Debug, Clone)]
enum EndSignal {
    /// Everyone's.
    Drain,
    /// Those of these subjects and credentials.
    Cuts(Arc<[Cut]>),
    /// Those whose credentials were looked at before.
    Reverify(Instant),
}

impl PublishStreams {
    /// None yet.
    pub fn new() -> Arc<Self> {
        let (said, _) = broadcast::channel(SIGNAL_BACKLOG);
        Arc::new(Self { said, open: AtomicUsize::new(0) })
    }

    /// Ends those of these subjects and credentials.
    pub fn cut(&self, cuts: &Arc<[Cut]>) {
        self.say(EndSignal::Cuts(Arc::clone(cuts)));
    }

    /// Cuts may have been missed until then: ends those that could have been meant.
    pub fn reverify(&self, until: Instant) {
        self.say(EndSignal::Reverify(until));
    }

    /// Ends all.
    pub(crate) fn drain(&self) {
        self.say(EndSignal::Drain);
    }

    fn say(&self, ending: EndSignal) {
        // An error says that nobody streams.
        let _ = self.said.send(ending);
    }

    /// One more. To be called before it is found out who it is.
    pub(crate) fn open(self: &Arc<Self>) -> OpenStream {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenStream { streams: Arc::clone(self), heard: self.said.subscribe() }
    }
}

impl OpenStream {
    /// Why the stream of this caller has to end, if it was told so by now.
    pub(crate) fn told(&mut self, caller: &Caller) -> Option<Refusal> {
        loop {
            let why = match self.heard.try_recv() {
                Ok(ending) => ending.concerns(caller),
                Err(TryRecvError::Lagged(_)) => Some(Refusal::Cut),
                // The sender is held here.
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            };
            if why.is_some() {
                return why;
            }
        }
    }

    /// Resolves when it is told so.
    pub(crate) async fn ended(&mut self, caller: &Caller) -> Refusal {
        loop {
            let why = match self.heard.recv().await {
                Ok(ending) => ending.concerns(caller),
                Err(RecvError::Lagged(_) | RecvError::Closed) => Some(Refusal::Cut),
            };
            if let Some(why) = why {
                return why;
            }
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl EndSignal {
    fn concerns(&self, caller: &Caller) -> Option<Refusal> {
        let names = || {
            let credential = caller.credential().map(|credential| &**credential.name());
            caller.subject().map(|subject| &**subject).into_iter().chain(credential)
        };
        let hit = match self {
            Self::Drain => return Some(Refusal::Draining),
            Self::Cuts(cuts) => names().any(|name| {
                cuts.iter().any(|cut| *cut.subject == *name && cut.at >= caller.verified)
            }),
            Self::Reverify(until) => names().next().is_some() && *until >= caller.verified,
        };
        hit.then_some(Refusal::Cut)
    }
}

impl MetricSource for PublishStreams {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let help = "Publishers that stream lines";
        rows.gauge("publish_streams", help, self.open.load(Ordering::Relaxed) as u64)
    }
}
