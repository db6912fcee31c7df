//! An opener: the direction that the client writes in, which has nothing to say but that it ends.
//!
//! What must hold: at most one record is kept that has not come whole, and nothing while none has begun.
//! A key is derived when something comes, and forgotten: most clients never send anything.

use aws_lc_rs::aead::Aad;

use super::record::{
    self, Alert, ContentType, HEADER, KEY_UPDATE, UPDATE_NOT_REQUESTED, UPDATE_REQUESTED,
};
use super::traffic_secret::{TrafficKeys, TrafficSecret};
use super::{Direction, PEER_UPDATES};

pub(super) struct Opener {
    secret: TrafficSecret,
    /// The number of the next record.
    next: u64,
    /// What has come of a record that has not come whole.
    begun: Vec<u8>,
    /// How often the peer has changed its key.
    updates: u32,
}

/// What a client has said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClientRecords {
    /// That it says nothing more.
    pub(super) end: bool,
    /// That our key is to change.
    pub(super) update_requested: bool,
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client broke the protocol: it is to be told this.
    Violation(Alert),
    /// The client sent a fatal alert: it is to be told nothing.
    ByAlert(u8),
}

impl Opener {
    pub(super) fn new(direction: Direction, begun: Vec<u8>, updates: u32) -> Self {
        let Direction { secret, next } = direction;
        Self { secret, next, begun, updates }
    }

    pub(super) fn into_parts(self) -> (Direction, Vec<u8>, u32) {
        let Self { secret, next, begun, updates } = self;
        (Direction { secret, next }, begun, updates)
    }

    /// Takes what has come. What follows the client's end is ignored (RFC 8446, 6.1).
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<ClientRecords, Broken> {
        self.begun.extend_from_slice(bytes);
        let mut begun = std::mem::take(&mut self.begun);
        let (mut keys, mut heard, mut at) = (None, ClientRecords::default(), 0);
        while let Some((header, rest)) = begun[at..].split_first_chunk_mut::<HEADER>()
            && !heard.end
        {
            let header = *header;
            let length = record::sealed_length(header).map_err(Broken::Violation)?;
            let Some(sealed) = rest.get_mut(..length) else { break };
            at += HEADER + length;
            let own = keys.take().unwrap_or_else(|| self.secret.keys());
            let content = self.open(&own, header, sealed).map_err(Broken::Violation)?;
            match content {
                (ContentType::ApplicationData, _) => keys = Some(own),
                (ContentType::Alert, &[_, CLOSE_NOTIFY]) => heard.end = true,
                // It goes with an end, and says nothing by itself.
                (ContentType::Alert, &[_, USER_CANCELED]) => keys = Some(own),
                (ContentType::Alert, &[_, alert]) => return Err(Broken::ByAlert(alert)),
                (ContentType::Alert, _) => return Err(Broken::Violation(Alert::DecodeError)),
                (ContentType::Handshake, message) => {
                    heard.update_requested |= self.follow(message).map_err(Broken::Violation)?;
                }
            }
        }
        if at < begun.len() && !heard.end {
            begun.drain(..at);
            self.begun = begun;
        }
        Ok(heard)
    }

    /// Opens a record: its type, and its content without padding.
    fn open<'a>(
        &mut self,
        keys: &TrafficKeys,
        header: [u8; HEADER],
        sealed: &'a mut [u8],
    ) -> Result<(ContentType, &'a [u8]), Alert> {
        let nonce = record::nonce(&keys.iv, self.next);
        let opened = keys.key.open_in_place(nonce, Aad::from(header), sealed);
        let opened: &[u8] = opened.map_err(|_| Alert::BadRecordMac)?;
        self.next += 1;
        let last = opened.iter().rposition(|byte| *byte != 0).ok_or(Alert::UnexpectedMessage)?;
        let (content, kind) = (&opened[..last], opened[last]);
        if content.len() > record::MAX_CONTENT {
            return Err(Alert::RecordOverflow);
        }
        let known = [ContentType::Alert, ContentType::Handshake, ContentType::ApplicationData];
        let kind = known.into_iter().find(|known| *known as u8 == kind);
        Ok((kind.ok_or(Alert::UnexpectedMessage)?, content))
    }

    /// Follows a change of the peer's key; whether ours is to change, too. Nothing else can be said in
    /// a handshake message after the handshake: a server that has asked for no certificate gets none.
    fn follow(&mut self, message: &[u8]) -> Result<bool, Alert> {
        let requested = match message.strip_prefix(&KEY_UPDATE) {
            Some([UPDATE_NOT_REQUESTED]) => false,
            Some([UPDATE_REQUESTED]) => true,
            _ => return Err(Alert::UnexpectedMessage),
        };
        self.updates += 1;
        if self.updates > PEER_UPDATES {
            return Err(Alert::UnexpectedMessage);
        }
        self.secret = self.secret.next();
        self.next = 0;
        Ok(requested)
    }
}

const CLOSE_NOTIFY: u8 = Alert::CloseNotify as u8;
const USER_CANCELED: u8 = 90;
