//! The console's feed: what the hub is doing, once a second.
//!
//! The statistics are events of a log of their own, five minutes long, with a hub and a delivery of
//! their own. So they reach the console as every event reaches its subscribers; a console that is
//! opened begins with the last minutes, by asking for `earliest`; and one that reconnects has no
//! hole in its charts. A reserved topic in the users' log would have cost that log retention and
//! ids, would have reached whoever subscribes to `**`, and would have counted itself.

mod observer;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_delivery::{Delivery, DeliverySettings, Retry, Seats, StepLimits};
use fanfare_event::{Draft, Timestamp, Topic};
use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, Retention};
use tokio::time::interval;

pub use self::observer::Observer;

/// How often statistics are published.
const EVERY: Duration = Duration::from_secs(1);
/// How many consoles may be open at once.
const CONSOLES: usize = 32;

/// The log of statistics, and its delivery.
#[derive(Debug)]
pub struct Console {
    /// Where statistics are published.
    pub hub: Arc<Hub>,
    /// Where they go.
    pub delivery: Arc<Delivery>,
    /// Whether nothing is published at the moment.
    frozen: Mutex<bool>,
}

/// How its streams are kept, as the users' streams are.
#[derive(Debug, Clone, Copy)]
pub struct StreamConfig {
    /// How often a quiet stream gets a comment.
    pub heartbeat: Duration,
    /// How long a subscriber may take no byte while there are some for it.
    pub write_timeout: Duration,
    /// The fewest bytes a second that it may take then; 0 asks for none.
    pub min_rate: u64,
    /// About how long it is told to wait before it comes back.
    pub retry: Duration,
}

impl Console {
    /// How far back the statistics go.
    pub const RETENTION: Retention =
        Retention { count: 300, bytes: 4 * 1024 * 1024, age: Duration::from_secs(300) };

    /// The window of its hub, to which its log has to tell what it accepts.
    pub fn window() -> Arc<Window> {
        let Retention { count, bytes, .. } = Self::RETENTION;
        let bounds = WindowBounds { count: count as usize, bytes: bytes as usize };
        Arc::new(Window::new(bounds, Self::RETENTION))
    }

    /// The console of this log, which keeps [`Console::RETENTION`] in memory and has what is published
    /// by the time that a publish returns. Its streams are kept like this.
    pub fn new(
        streams: StreamConfig,
        window: Arc<Window>,
        log: Arc<dyn EventLog>,
    ) -> io::Result<Self> {
        let hub = Arc::new(Hub::new(window, log));
        // A log in memory can be read.
        let _ = hub.warm(|| true);
        let seats = Seats::new(CONSOLES);
        let delivery = DeliverySettings {
            shards: 1,
            heartbeat: streams.heartbeat,
            longest_heartbeat: streams.heartbeat,
            write_timeout: streams.write_timeout,
            min_rate: streams.min_rate,
            max_age: None,
            retry: Retry(streams.retry),
            seats,
            limits: StepLimits::default(),
        };
        let delivery = Arc::new(Delivery::start(&hub, &delivery)?);
        Ok(Self { hub, delivery, frozen: Mutex::new(false) })
    }

    /// Publishes nothing more until [`Console::thaw`], so that its log can be handed to another process.
    pub fn freeze(&self) {
        *self.frozen() = true;
    }

    /// Goes on as if nothing had been asked.
    pub fn thaw(&self) {
        *self.frozen() = false;
    }

    fn frozen(&self) -> MutexGuard<'_, bool> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes what `observer` sees, every second, for ever.
    pub async fn feed(&self, mut observer: Observer) {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            let now = Timestamp::now();
            let watched = self.delivery.seats().taken() > 0;
            let message = observer.observe(now, watched).await.to_string().into();
            let draft = Draft { topic: Topic::default(), event_type: None, message, extras: None };
            let publishing = match *self.frozen() {
                true => continue,
                // A log in memory has it by the time that this returns.
                false => self.hub.publish(Batch { drafts: vec![draft], key: None }),
            };
            if let Err(error) = publishing.await {
                tracing::warn!(%error, "the console's statistics could not be published");
            }
            self.hub.expire(now);
        }
    }
}
