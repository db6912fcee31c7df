//! A sealer: the direction that we write in.
//!
//! What must hold: no number is used twice with one secret, and it is the only one that uses them.

use aws_lc_rs::aead::{Aad, LessSafeKey};

use super::record::{self, ContentType, HEADER, KEY_UPDATE, TAG, UPDATE_NOT_REQUESTED};
use super::traffic_secret::{Iv, TrafficKeys, TrafficSecret};
use super::{CipherSuite, Direction};

pub(super) struct Sealer {
    secret: TrafficSecret,
    /// The secret's, at hand: to derive it costs more than sealing.
    key: LessSafeKey,
    iv: Iv,
    /// The number of the next record.
    next: u64,
    /// How many a secret may seal.
    limit: u64,
}

impl Sealer {
    pub(super) fn new(direction: Direction, limit: u64) -> Self {
        let Direction { secret, next } = direction;
        let TrafficKeys { key, iv } = secret.keys();
        Self { secret, key, iv, next, limit }
    }

    pub(super) fn into_direction(self) -> Direction {
        Direction { secret: self.secret, next: self.next }
    }

    pub(super) fn suite(&self) -> CipherSuite {
        self.secret.suite()
    }

    /// Whether the secret has sealed as much as it may.
    pub(super) fn is_spent(&self) -> bool {
        self.next >= self.limit
    }

    /// Appends a `KeyUpdate` to `out`; all that follows it is under the next secret.
    pub(super) fn update(&mut self, out: &mut Vec<u8>) {
        let [a, b, c, d] = KEY_UPDATE;
        self.seal(ContentType::Handshake, out, |out| {
            out.extend_from_slice(&[a, b, c, d, UPDATE_NOT_REQUESTED]);
        });
        *self = Self::new(Direction { secret: self.secret.next(), next: 0 }, self.limit);
    }

    /// Appends a record to `out`, of what `content` appends: at most `MAX_CONTENT` bytes.
    pub(super) fn seal(
        &mut self,
        kind: ContentType,
        out: &mut Vec<u8>,
        content: impl FnOnce(&mut Vec<u8>),
    ) {
        self.seal_inner(out, |out| {
            content(out);
            out.push(kind as u8);
        });
    }

    /// The same of content with its type and its padding.
    pub(super) fn seal_inner(&mut self, out: &mut Vec<u8>, inner: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        inner(out);
        let (head, sealed) = out[start..].split_at_mut(HEADER);
        let header = record::header(sealed.len() + TAG);
        head.copy_from_slice(&header);
        let nonce = record::nonce(&self.iv, self.next);
        // Used, whatever comes of it. The limit is far from where it would wrap.
        self.next += 1;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(header), sealed);
        out.extend_from_slice(tag.expect("less than the AEAD's limit").as_ref());
    }
}
