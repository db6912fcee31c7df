//! The judge: what publishers were told, what clients' sockets took, and nothing else.
//!
//! What must hold: it shares no code with what it judges. It takes the chunks apart, reads the event
//! stream, compares ids and matches topics by rules of its own, so that it does not repeat a mistake
//! of the hub.

mod event_stream;
mod facts;
mod finding;
mod flat_json;
mod id;
mod ledger;
mod reader;
mod spec;
mod unchunked;

pub(crate) use facts::{BatchNumber, Guarantees, SentMessage};
pub use finding::{BrokenGuarantee, FindingKind};
pub(crate) use flat_json::flat_json;
pub(crate) use id::{IdRank, JudgedId};
pub(crate) use ledger::JudgeLedger;
pub(crate) use reader::{ConnectCursor, ReaderAccount};
pub(crate) use spec::{SpecEnvelope, SubscriptionSpec};
pub(crate) use unchunked::Unchunked;
