//! Catching up: how a subscriber that the ring cannot serve is sent what the log holds.
//!
//! What must hold: the shard never waits for the log; while a page is on its way, the subscriber's
//! cursor belongs to it; a page is about as large as what the subscriber took of the last, so that
//! one that sips costs no more than what it takes.

use std::sync::Arc;
use std::time::Instant;

use fanfare_log::{PageLimit, ReadError, ReadFrom};
use mio::Token;

use super::Shard;
use crate::inbox::Command;
use crate::readers::{Job, PAGE, Page};
use crate::subscriber::Cursor;

impl Shard {
    /// Has the log read for a subscriber that the ring cannot serve.
    pub(super) fn read_on(&mut self, token: Token) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        let Cursor::At(from) = subscriber.cursor else { return };
        if subscriber.reading.is_some() {
            return;
        }
        let reading = Arc::new(());
        let awaited = Arc::downgrade(&reading);
        subscriber.reading = Some(reading);
        let handle = Arc::clone(&self.handle);
        self.readers.submit(Job {
            source: subscriber.source,
            awaited,
            from,
            limit: PageLimit { events: PAGE.events, bytes: PAGE.bytes.min(subscriber.offer()) },
            interest: Arc::clone(&subscriber.interest),
            envelope: subscriber.envelope(),
            done: Box::new(move |read| handle.send(Command::Read(token, read))),
        });
    }

    /// Sends what was read, or has it read again a little later.
    pub(super) fn take_read(&mut self, token: Token, read: Result<Page, ReadError>, now: Instant) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        subscriber.reading = None;
        if subscriber.is_closing() {
            return;
        }
        let page = match read {
            Ok(page) => page.catchup,
            Err(error) => {
                tracing::debug!(%error, "a subscriber's catching up has to wait");
                subscriber.unread = true;
                self.unread.push(token);
                return;
            }
        };
        self.totals.pages += 1;
        self.totals.page_events += page.slots.len() as u64;
        let gap = page.gap.map(|gap| {
            self.totals.gaps[gap.reason.index()] += 1;
            (subscriber.framing().bytes(&gap.encode()), gap.resumed_from)
        });
        let next = ReadFrom::After(page.next);
        let turned = subscriber.take_page(gap, &page.slots, next, now, &mut self.totals);
        self.settle(token, turned, now);
    }
}
