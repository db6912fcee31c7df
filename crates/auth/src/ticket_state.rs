//! Tickets as they are handed to the process that goes on with a hub.
//!
//! What must hold: a ticket is good once, at whichever process, until the same moment; and whoever has drawn
//! tickets has no more room for others than before.

use fanfare_event::Timestamp;
use fanfare_handover::{Malformed, Reader, Writer};

use crate::holder_id::HolderId;
use crate::principal::Principal;
use crate::secret_digest::SecretDigest;
use crate::ticket::{Kept, MemoryTickets, TicketId, TicketShares};

impl MemoryTickets {
    /// Writes down what is kept.
    pub(crate) fn write_now(&self, writer: &mut Writer) {
        let kept = self.lock();
        let waiting: Vec<_> = kept
            .order
            .iter()
            .filter_map(|(_, id)| kept.by_id.get(id).map(|(holder, at)| (id, holder, at)))
            .collect();
        writer.count(waiting.len());
        for (id, holder, expires) in waiting {
            writer.bytes(id.digest().as_bytes());
            writer.u64(expires.as_millis());
            writer.text(&holder.listener_to_text());
        }
        kept.shares.write(writer);
    }

    /// Keeps what another process has kept.
    pub(crate) fn read_now(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let waiting = reader.list(|reader| {
            let id =
                SecretDigest::from_bytes(reader.bytes()?).ok_or(Malformed("no ticket's name"))?;
            let expires = Timestamp(reader.u64()?);
            let holder = Principal::listener_from_text(reader.text()?)
                .map_err(|_| Malformed("no holder of a ticket"))?;
            Ok::<_, Malformed>((TicketId::of_digest(id), holder, expires))
        })?;
        let mut kept = self.lock();
        let Kept { by_id, order, shares } = &mut *kept;
        for (id, holder, expires) in waiting {
            order.push_back((expires, id));
            by_id.insert(id, (holder, expires));
        }
        shares.read(reader)
    }
}

impl TicketShares {
    /// Writes down who has drawn how much.
    pub fn write(&self, writer: &mut Writer) {
        writer.count(self.order.len());
        for (expires, holder, bytes) in &self.order {
            writer.u64(expires.as_millis());
            writer.bytes(&holder.as_bytes());
            writer.u64(*bytes as u64);
        }
    }

    /// Counts what was drawn of another process, even beyond the shares: it was promised.
    ///
    /// # Errors
    ///
    /// It is not what [`TicketShares::write`] has written.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let drawn = reader.list(|reader| {
            let expires = Timestamp(reader.u64()?);
            let holder = reader.bytes()?.try_into().map_err(|_| Malformed("no holder's id"))?;
            let bytes = usize::try_from(reader.u64()?).map_err(|_| Malformed("too many bytes"))?;
            Ok::<_, Malformed>((expires, HolderId::of_bytes(holder), bytes))
        })?;
        for (expires, holder, bytes) in drawn {
            self.shares.take_beyond_capacity(holder, bytes);
            self.order.push_back((expires, holder, bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fanfare_shares::Amount;

    use super::*;
    use crate::StoreError;
    use crate::grant::{PublishGrant, SubscribeGrant};
    use crate::principal::Identity;

    fn handed_over(tickets: &MemoryTickets, room: Amount) -> MemoryTickets {
        let mut writer = Writer::new();
        tickets.write_now(&mut writer);
        let bytes = writer.finish();
        let successor = MemoryTickets::new(room);
        let mut reader = Reader::new(&bytes);
        successor.read_now(&mut reader).unwrap();
        reader.end().unwrap();
        for end in 0..bytes.len() {
            let cut = MemoryTickets::new(room);
            cut.read_now(&mut Reader::new(&bytes[..end])).unwrap_err();
        }
        successor
    }

    #[test]
    fn a_ticket_is_good_once_when_a_hub_changes_hands() {
        let room = Amount { count: 6, bytes: 1 << 20 };
        let tickets = MemoryTickets::new(room);
        let anyone = Principal::anonymous(PublishGrant::default(), SubscribeGrant::EVERYTHING);
        let by = HolderId::of(&Identity::Anonymous, [192, 0, 2, 1].into());
        let put = |tickets: &MemoryTickets, name: &str| {
            let (id, expires) = (TicketId::of(name), Timestamp(30));
            tickets.put_now(id, anyone.clone(), by, expires, Timestamp(0))
        };
        put(&tickets, "used").unwrap();
        put(&tickets, "kept").unwrap();
        put(&tickets, "late").unwrap();
        assert!(tickets.take_now(TicketId::of("used"), Timestamp(1)).is_some());
        let successor = handed_over(&tickets, room);
        let take = |name: &str, now| successor.take_now(TicketId::of(name), Timestamp(now));
        assert_eq!(take("used", 2), None);
        assert_eq!(take("kept", 2), Some(anyone.as_listener()));
        assert_eq!(take("kept", 2), None);
        assert_eq!(take("late", 30), None, "it runs out at the same moment");
        assert!(matches!(put(&successor, "more"), Err(StoreError::Share)), "its share is used up");
    }
}
