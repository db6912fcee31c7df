//! The engine against a real redis-server, with a ledger of what was acknowledged as judge.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod broken_link;
mod changed_hands;
mod cluster_store;
mod crash;
mod doctor;
mod failover;
mod half_done;
mod idempotency;
mod ledger;
mod lost_extras;
mod lost_stream;
mod many_epochs;
mod no_witness;
mod one_key_gone;
mod order;
mod places;
mod read_past;
mod refused_writes;
mod retention;
mod slow_link;
mod standstill;
mod start;
