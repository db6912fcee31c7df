//! Sections: what the old process writes of streams, of connections between requests and of the upgrade itself, under
//! which names. [`super::received_state`] reads it, [`crate::hub_state`] has the sections of the hub.
//!
//! What must hold: the bytes of a section never change within a [`Format`].

use fanfare_delivery::{Detached, Seat};
use fanfare_handover::Writer;
use fanfare_http::ParkedConnection;

use super::format::Format;
use super::progress::UpgradeProgress;
use crate::hub_state::StateSection;

/// Streams: of the hub, and of its consoles.
pub(super) const STREAMS: [&str; 2] = ["streams", "consoles"];
/// Which subscriptions of Mercure's protocol are active, and whose streams of the hub they are.
pub(super) const PRESENCE: &str = "presence";
/// Connections between two requests.
pub(super) const CONNECTIONS: &str = "connections";
/// How the upgrade is going.
pub(super) const UPGRADE: &str = "upgrade";

/// All of them but the presence.
pub(super) fn sections(
    streams: [&[Detached]; 2],
    parked: &[ParkedConnection],
    progress: &UpgradeProgress,
) -> Vec<StateSection> {
    let written = |streams: &[Detached]| {
        let mut written = Writer::new();
        written.count(streams.len());
        streams.iter().for_each(|stream| stream.subscription.write(&mut written));
        written.finish()
    };
    let mut connections = Writer::new();
    connections.count(parked.len());
    for ParkedConnection { address, read, idle, .. } in parked {
        connections.text(&address.to_string());
        connections.bytes(read);
        connections.flag(*idle);
    }
    let mut upgrade = Writer::new();
    progress.write(&mut upgrade);
    vec![
        (STREAMS[0], written(streams[0])),
        (STREAMS[1], written(streams[1])),
        (CONNECTIONS, connections.finish()),
        (UPGRADE, upgrade.finish()),
    ]
}

/// The presence, in a format that has it: the `board` of who is listed, and which of these streams of the hub they are.
pub(super) fn presence(
    format: Format,
    board: Option<&[u8]>,
    streams: &[Detached],
) -> Option<StateSection> {
    if !format.has_presence() {
        return None;
    }
    let mut written = Writer::new();
    written.option(board, Writer::bytes);
    let name = |stream: &Detached| stream.seats.iter().find_map(Seat::name);
    let named = streams.iter().enumerate().filter_map(|(at, stream)| Some((at, name(stream)?)));
    let named: Vec<_> = named.collect();
    written.count(named.len());
    for (number, name) in named {
        written.count(number);
        written.u128(name);
    }
    Some((PRESENCE, written.finish()))
}
