//! Catching up: how a subscriber that the ring cannot serve is sent what the log holds.
//!
//! What must hold: the shard never waits for the log; while a page is on its way, the subscriber's
//! cursor belongs to it; a page is about as large as what the subscriber took of the last, so that
//! one that sips costs no more than what it takes.

use std::sync::Arc;

use fanfare_log::{PageLimit, ReadError, ReadFrom};

use super::Shard;
use crate::counters::CloseReason;
use crate::cursor::Cursor;
use crate::inbox::ShardCommand;
use crate::now::Now;
use crate::readers::{LoadedPage, ReadJob};
use crate::subscriber_key::SubscriberKey;

impl Shard {
    /// Has the log read for a subscriber that the ring cannot serve.
    pub(super) fn request_page(&mut self, key: SubscriberKey) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let Cursor::At(from) = subscriber.cursor else { return };
        if subscriber.reading.is_some() {
            return;
        }
        let reading = Arc::new(());
        let awaited = Arc::downgrade(&reading);
        subscriber.reading = Some(reading);
        let handle = Arc::clone(&self.handle);
        let page = self.limits.page;
        self.read_queue.submit(ReadJob {
            address_group: subscriber.address_group,
            awaited,
            from,
            limit: PageLimit { bytes: page.bytes.min(subscriber.offer(&self.limits)), ..page },
            most_bytes: page.bytes,
            interest: Arc::clone(&subscriber.interest),
            envelope: subscriber.wire().envelope(),
            done: Box::new(move |read| handle.send(ShardCommand::Read(key, read))),
        });
    }

    /// Sends what was read, or has it read again a little later.
    pub(super) fn take_page(
        &mut self,
        key: SubscriberKey,
        read: Result<LoadedPage, ReadError>,
        now: Now,
    ) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        subscriber.reading = None;
        let page = match read {
            _ if subscriber.is_closing() => return,
            Ok(page) => page.catchup,
            Err(error) => {
                tracing::debug!(%error, "a subscriber's catching up has to wait");
                subscriber.awaits.retry = true;
                self.failed_reads.push(key);
                return;
            }
        };
        if page.gap.is_some() && subscriber.ends_at_gap(false) {
            return self.close(key, CloseReason::Gap, now);
        }
        self.totals.pages += 1;
        self.totals.page_events += page.slots.len() as u64;
        if let Some(gap) = &page.gap {
            self.totals.gaps[gap.reason.index()] += 1;
        }
        let next = ReadFrom::After(page.next);
        let (gap, slots) = (page.gap.as_ref(), &page.slots);
        self.with(key, now, |subscriber, context| subscriber.send_page(gap, slots, next, context));
    }
}
