//! The `Idempotency-Key` of a publish, as the log is given it: with whose it is and what it was sent
//! with.

use axum::http::{HeaderMap, HeaderName};
use fanfare_auth::{HolderId, digest_of};
use fanfare_event::Draft;
use fanfare_log::{IdempotencyKey, InvalidKey};

pub(super) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// What a publisher calls its key.
pub(crate) struct KeyName([u8; 16]);

impl KeyName {
    /// The name in a request's headers, if there is one.
    pub(crate) fn find(headers: &HeaderMap) -> Result<Option<Self>, InvalidKey> {
        let mut lines = headers.get_all(HEADER).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            // Of two, either might be meant.
            return if headers.contains_key(HEADER) { Err(InvalidKey) } else { Ok(None) };
        };
        // What is not text is not a key either.
        let key = IdempotencyKey::parse(line.to_str().unwrap_or_default())?;
        Ok(Some(Self(digest_of(b'k', [key.as_str()]))))
    }

    /// The key of this owner, sent to publish these. What counts is what would be published, not how
    /// it was written: a client that repeats itself may put the fields of its JSON in another order.
    pub(crate) fn of(self, owner: HolderId, drafts: &[Draft]) -> IdempotencyKey {
        let retry =
            |draft: &Draft| draft.extras.as_ref()?.retry().map(|retry| format!("\n{retry}"));
        let retries: Vec<_> = drafts.iter().map(retry).collect();
        let parts = drafts.iter().zip(&retries).flat_map(|(draft, retry)| {
            let event_type = draft.event_type.as_ref().map_or("", |known| known.as_str());
            // Behind a message stands the next event's topic, or what begins with a line feed, which no topic
            // holds: so extras never read like the next event.
            let extras = draft.extras.iter().flat_map(|extras| {
                let private = if extras.is_private() { "\nprivate" } else { "\npublic" };
                let id = extras.id().map_or("", |id| id.as_str());
                let others = extras.others().iter().map(|topic| topic.as_str());
                let parts = [private, id].into_iter().chain(others).chain(retry.as_deref());
                parts.chain(["\n"])
            });
            [draft.topic.as_str(), event_type, &*draft.message].into_iter().chain(extras)
        });
        IdempotencyKey::of(owner.as_bytes(), self.0, digest_of(b'd', parts))
    }
}
