//! Settings: what delivery is to be like, and how much one step of it does.

use std::time::Duration;

use fanfare_log::PageLimit;

use crate::retry::Retry;
use crate::seats::Seats;

/// What delivery is to be like.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How many shards; at least one.
    pub shards: usize,
    /// How often a quiet subscriber gets a comment.
    pub heartbeat: Duration,
    /// How far that interval may grow for one whose connection has survived quiet ones; as long as the
    /// heartbeat, or shorter, is not at all.
    pub longest_heartbeat: Duration,
    /// How long a subscriber may take no byte while there are some for it.
    pub write_timeout: Duration,
    /// The fewest bytes a second that it may take then, over that time; 0 asks for none.
    pub min_rate: u64,
    /// How long a stream lasts at most, or up to a tenth less; `None` is for as long as its subscriber may stay.
    pub max_age: Option<Duration>,
    /// What subscribers are told about reconnecting.
    pub retry: Retry,
    /// How many subscribers there may be.
    pub seats: Seats,
    /// How much one step does.
    pub limits: StepLimits,
}

/// How much of each thing one step does before others have their turn. None may be 0.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// What a shard's turn walks of what is new in the window: slots, and for each slot those whom it
    /// concerns and what finding them has taken. Finding those of one slot may take several turns. Beside that, it
    /// looks as far for the subscribers of a topic that is counted.
    pub batch_work: usize,
    /// What it walks, counted so, to find out who has missed what the window dropped before the shard came to it.
    /// Beyond it, everyone looks in the log.
    pub dropped: usize,
    /// How many slots one subscriber's turn looks at, so that a far-behind one with a quiet topic
    /// does not hold up its shard. A slot counts once more for each segment of its patterns that is compared.
    pub turn_scan: usize,
    /// How many all turns of a shard's turn look at, counted so: those who are behind then wait for the next.
    pub scan: usize,
    /// How many bytes one subscriber's turn writes.
    pub turn_bytes: usize,
    /// How many bytes one write is offered.
    pub write_bytes: usize,
    /// How many buffers one write is offered.
    pub write_buffers: usize,
    /// How many bytes a subscriber is offered that took nothing when it was last offered something.
    pub min_offer: usize,
    /// How much one page of the log holds.
    pub page: PageLimit,
    /// How many subscribers that want another turn a shard's turn serves.
    pub queued: usize,
    /// How many subscribers a shard's turn takes in; one with patterns counts for each of them.
    pub joins: usize,
    /// How many pages it sends; each may be as large as what one subscriber's turn writes.
    pub pages: usize,
    /// How many signals from bodies it acts on.
    pub signals: usize,
    /// How many of operators' requests it answers; each may look at every subscriber.
    pub requests: usize,
    /// What a publisher does in a turn on its own thread.
    pub short_turn: ShortTurnLimits,
}

/// How much a publisher does for a shard, so that it need not be woken.
#[derive(Debug, Clone, Copy)]
pub struct ShortTurnLimits {
    /// How many subscribers it delivers to.
    pub subscribers: usize,
    /// How many bytes it delivers to them in all.
    pub bytes: usize,
    /// How many frames it looks at.
    pub frames: usize,
    /// How long the shard must have had no turn: where more is published, it gathers until there is one. May be 0.
    pub rest: Duration,
}

impl StepLimits {
    /// So little that a test or a simulation meets every one of them.
    pub const SMALL: Self = Self {
        batch_work: 24,
        dropped: 120,
        turn_scan: 12,
        scan: 120,
        turn_bytes: 1500,
        write_bytes: 600,
        write_buffers: 4,
        min_offer: 40,
        page: PageLimit { events: 5, bytes: 4096 },
        queued: 256,
        joins: 2,
        pages: 2,
        signals: 3,
        requests: 2,
        short_turn: ShortTurnLimits {
            subscribers: 3,
            bytes: 2000,
            frames: 4,
            rest: Duration::ZERO,
        },
    };
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            batch_work: 262_144,
            dropped: 1_048_576,
            turn_scan: 4096,
            scan: 131_072,
            turn_bytes: 1024 * 1024,
            write_bytes: 256 * 1024,
            write_buffers: 128,
            min_offer: 4 * 1024,
            page: PageLimit { events: 512, bytes: 256 * 1024 },
            queued: 256,
            joins: 256,
            pages: 16,
            signals: 1024,
            requests: 8,
            short_turn: ShortTurnLimits {
                subscribers: 4,
                bytes: 16 * 1024,
                frames: 64,
                rest: Duration::from_micros(200),
            },
        }
    }
}
