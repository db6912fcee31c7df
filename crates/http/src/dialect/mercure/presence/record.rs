//! The record of a board: how who is subscribed, and what is still to be told of it, is written down for the process
//! that goes on with the hub.
//!
//! What must hold: what is read is what was written, or an error. What was being told has not been accepted, and is
//! told again there as it was.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_event::Topic;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_mercure::{ActiveSubscription, MatcherType, MercureSubscriberId};
use serde_json::{Map, Value};

use super::board::{Active, Board, MAX_WAITING, PresenceChange, update_draft};

type SharedPayload = Arc<Map<String, Value>>;

/// How matchers are read, by their numbers in a record.
const KINDS: [MatcherType; 3] = [MatcherType::Exact, MatcherType::UrlPattern, MatcherType::Older];

impl Board {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count(self.active.len());
        for (id, Active { subscriptions, told }) in &self.active {
            write_id(writer, *id);
            writer.flag(*told);
            write_subscriptions(writer, subscriptions);
        }
        writer.count(self.waiting.len());
        for change in &self.waiting {
            match change {
                PresenceChange::Joined(id) => {
                    writer.flag(true);
                    write_id(writer, *id);
                }
                PresenceChange::Left(id, subscriptions) => {
                    writer.flag(false);
                    write_id(writer, *id);
                    write_subscriptions(writer, subscriptions);
                }
            }
        }
        writer.count(self.telling.len());
        for draft in &self.telling {
            writer.text(draft.topic.as_str());
            writer.text(&draft.message);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut payloads = PayloadPool::default();
        let active = reader.list(|reader| {
            let (id, told) = (read_id(reader)?, reader.flag()?);
            let subscriptions = payloads.read_subscriptions(reader)?;
            Ok::<_, Malformed>((id, Active { subscriptions, told }))
        })?;
        let waiting = reader.list(|reader| {
            let (comes, id) = (reader.flag()?, read_id(reader)?);
            if comes {
                return Ok(PresenceChange::Joined(id));
            }
            Ok::<_, Malformed>(PresenceChange::Left(id, payloads.read_subscriptions(reader)?))
        })?;
        let comes =
            waiting.iter().filter(|change| matches!(change, PresenceChange::Joined(_))).count();
        if comes > MAX_WAITING {
            return Err(Malformed("more subscribers wait than there is room for"));
        }
        let telling = reader.list(|reader| {
            const INVALID: Malformed = Malformed("a subscription update is not a valid event");
            let topic = Topic::parse(reader.text()?).map_err(|_| INVALID)?;
            update_draft(topic, reader.text()?.to_owned()).ok_or(INVALID)
        })?;
        let failed = !telling.is_empty();
        let (active, waiting) = (active.into_iter().collect(), waiting.into());
        Ok(Self { active, waiting, telling, failed, ..Self::default() })
    }
}

/// Payloads by how they are written: those of one token stay one.
#[derive(Debug, Default)]
struct PayloadPool(HashMap<String, SharedPayload>);

impl PayloadPool {
    fn read_subscriptions(
        &mut self,
        reader: &mut Reader<'_>,
    ) -> Result<Arc<[ActiveSubscription]>, Malformed> {
        let subscriptions = reader.list(|reader| {
            let kind = KINDS.get(usize::from(reader.u8()?)).copied();
            let kind = kind.ok_or(Malformed("a matcher is of an unknown kind"))?;
            let matcher = reader.text()?.into();
            let payload = reader.option(|reader| self.of(reader.text()?))?;
            Ok::<_, Malformed>(ActiveSubscription { kind, matcher, payload })
        })?;
        Ok(subscriptions.into())
    }

    fn of(&mut self, text: &str) -> Result<SharedPayload, Malformed> {
        if let Some(known) = self.0.get(text) {
            return Ok(Arc::clone(known));
        }
        let read =
            serde_json::from_str(text).map_err(|_| Malformed("a payload is not an object"))?;
        let payload = Arc::new(read);
        self.0.insert(text.to_owned(), Arc::clone(&payload));
        Ok(payload)
    }
}

fn write_subscriptions(writer: &mut Writer, subscriptions: &[ActiveSubscription]) {
    writer.count(subscriptions.len());
    for ActiveSubscription { kind, matcher, payload } in subscriptions {
        let number = KINDS.iter().position(|known| known == kind).unwrap_or_default();
        writer.u8(number as u8);
        writer.text(matcher);
        writer.option(payload.as_deref(), |writer, payload| {
            writer.text(&Value::Object(payload.clone()).to_string());
        });
    }
}

fn write_id(writer: &mut Writer, id: MercureSubscriberId) {
    writer.u128(id.bits());
}

fn read_id(reader: &mut Reader<'_>) -> Result<MercureSubscriberId, Malformed> {
    Ok(MercureSubscriberId::of(reader.u128()?.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::board::BoardMessage;
    use super::super::board::tests::{came, id, of};
    use super::*;

    fn written(board: &Board) -> Vec<u8> {
        let mut writer = Writer::new();
        board.write(&mut writer);
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Result<Board, Malformed> {
        let mut reader = Reader::new(bytes);
        let board = Board::read(&mut reader)?;
        reader.end()?;
        Ok(board)
    }

    /// One that was told of, one who has left, one that is being told of, and one that waits.
    fn board() -> Board {
        let mut board = Board::default();
        board.apply(came(1, 2));
        board.apply(came(2, 1));
        board.next().unwrap();
        board.telling.clear();
        let payload = serde_json::from_str(r#"{"n": 1}"#).unwrap();
        let older = ActiveSubscription {
            kind: MatcherType::Older,
            matcher: "/a/{b}".into(),
            payload: Some(Arc::new(payload)),
        };
        board.apply(BoardMessage::Joined(id(3), Arc::from([older])));
        board.next().unwrap();
        board.apply(BoardMessage::Left(id(2)));
        board.apply(came(4, 1));
        board
    }

    #[test]
    fn what_was_being_told_is_told_as_it_was() {
        let bytes = written(&board());
        let mut read = read(&bytes).unwrap();
        assert_eq!(read.active.len(), 3);
        assert!(read.failed, "it is told again");
        assert_eq!(read.telling, board().telling);
        assert_eq!(of(&read.next().unwrap()), [("/a/{b}".to_owned(), true)]);
        read.telling.clear();
        assert_eq!(
            of(&read.next().unwrap()),
            [("2/0".to_owned(), false), ("4/0".to_owned(), true)]
        );
        assert!(read.active.values().all(|active| active.told));
    }

    /// Whoever changes these bytes makes a new format of the hand-over.
    #[test]
    fn the_bytes_of_format_2_never_change() {
        let payload: Map<String, Value> = serde_json::from_str(r#"{"n": 1}"#).unwrap();
        let one = |kind, matcher: &str, payload: Option<SharedPayload>| ActiveSubscription {
            kind,
            matcher: matcher.into(),
            payload,
        };
        let mut board = Board::default();
        let subscriptions = [
            one(MatcherType::Exact, "a", None),
            one(MatcherType::Older, "/a/{b}", Some(Arc::new(payload))),
        ];
        let subscriptions = Arc::from(subscriptions);
        board.active.insert(id(1), Active { subscriptions, told: true });
        board.waiting.push_back(PresenceChange::Joined(id(9)));
        let left = Arc::from([one(MatcherType::UrlPattern, "/b/:c", None)]);
        board.waiting.push_back(PresenceChange::Left(id(2), left));
        let bytes = written(&board);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../../tests/golden/presence-2.hex").trim());
        assert_eq!(written(&read(&bytes).unwrap()), bytes);
    }

    #[test]
    fn a_board_that_cannot_be_is_refused() {
        let bytes = written(&board());
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0xff;
            // Whatever it is, it does not end the process.
            let _ = read(&spoilt);
        }
    }
}
