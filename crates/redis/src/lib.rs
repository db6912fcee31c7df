//! The event log on Redis Streams: any number of nodes, one order.
//!
//! A namespace is one stream, `{ns}:events`. The id Redis gives an entry, `<epoch>-<seq>`, is the
//! event's position; every node tails the stream and fans out locally. Redis 7.0 or newer.
//!
//! What must hold:
//!
//! - *Fence*: no connection publishes or reads before it has been fenced (`fence.lua`). Where
//!   the server may have lost writes since the last fence (another process, another role, a stream
//!   that is gone or went back) a new epoch begins, with the old one's last position as its parent.
//!   Connections therefore never reconnect by themselves: they are thrown away and opened anew.
//! - *Positions come from the lineage*, a key beside the stream (`publish.lua`): a stream that goes back
//!   has a hole, and gives no position out again. Only both keys put back at once, on a running server,
//!   escape this; what the nodes have heard of remains.
//! - *Who knows more says so*: each node reports what it has heard of each epoch with every fence, and
//!   the lineage keeps it beside what is left. Where the server has changed and nobody can vouch that
//!   what is left is all there was, something counts as lost.
//! - *Half a script does no harm*: each writes so that any beginning of it is harmless and running it
//!   again completes it (`tests/engine/half_done.rs`).
//! - *One clock*: Redis's, which dates events and judges their age.
//! - *Order*: one task alone calls the [`Tail`](fanfare_log::Tail), in the order of the stream.
//! - *No silent loss*: every entry heard must follow on from the one before. Where it does not, the
//!   tail is told by [`Tail::begin`](fanfare_log::Tail::begin), and a reader by
//!   [`Page::trimmed`](fanfare_log::Page::trimmed). Where all keys have vanished there is no lineage,
//!   and every cursor meets an unknown epoch.
//! - *No loss without evidence*: a node says that an id belongs to no event only if it has received all that Redis
//!   had when it was asked (`soundings.rs`).
//! - *Nothing in secret*: while Redis is away a bounded number of publishes wait, none longer than
//!   the publish deadline. One that was never sent is `Unavailable`; one that was sent and not
//!   answered is `OutcomeUnknown`.
//!
//! An idle node sends about three commands a second: one blocking read, one check of the fence, and one
//! question whether the server still syncs every write.

mod back_off;
mod budget;
mod cluster_store;
mod connection;
mod dialer;
pub mod doctor;
mod entry;
mod error;
mod fence;
mod health;
mod keys;
mod link;
mod log;
mod publisher;
mod refusal;
mod request;
mod retention;
mod runs;
mod scripts;
mod sent_keys;
mod settings;
mod soundings;
mod state;
mod stepped;
mod stream_reader;
mod stream_state;
mod stream_trims;
mod tail;
mod url;
mod view;
mod waiting;

pub use cluster_store::{ClusterStore, ClusterStoreError, Notice, NoticeListener};
pub use connection::{CommandAnswers, SimulatedConnection, SimulatedNetwork};
pub use error::ConnectError;
pub use keys::{InvalidNamespace, Namespace};
pub use log::RedisLog;
pub use settings::RedisSettings;
pub use state::{RedisState, UnreadableState, Unsettled};
pub use stepped::RedisWork;
pub use url::{InvalidUrl, RedisUrl};
pub use waiting::WhileWaiting;
