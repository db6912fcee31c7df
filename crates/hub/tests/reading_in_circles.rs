//! An engine answers with a page that leads nowhere: it is not asked the same again for ever.
#![allow(clippy::unwrap_used)]

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{EventId, Position, PrivateRights, Selector};
use fanfare_hub::{Envelope, Hub, Interest, Window, WindowBounds};
use fanfare_log::{
    AppendError, Appending, Batch, EventLog, Finding, Lineage, Page, PageLimit, ReadError,
    ReadFrom, Retention, Tail, Unready,
};

/// Has nothing, and says that it has come no further than this.
struct StandingStill(Position);

impl EventLog for StandingStill {
    fn append(&self, _: Batch) -> Appending {
        Box::pin(ready(Err(AppendError::Unavailable { source: "a test says so".into() })))
    }

    fn read(
        &self,
        _: ReadFrom,
        _: Position,
        _: &Selector,
        _: PageLimit,
    ) -> Result<Page, ReadError> {
        Ok(Page { trimmed: None, events: Vec::new(), next: self.0 })
    }

    fn find(&self, _: &EventId) -> Finding {
        Box::pin(ready(Ok(None)))
    }

    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
}

#[test]
fn a_page_that_does_not_lead_on_is_an_error() {
    let at = |seq| Position::new(7, seq);
    let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
    window.begin(&Lineage::root(7), at(9));
    let read = |from: ReadFrom, next: Position| {
        let hub = Hub::new(Arc::clone(&window), Arc::new(StandingStill(next)));
        let interest = Interest::new(Selector::default(), PrivateRights::None);
        let limit = PageLimit { events: 10, bytes: 1 << 20 };
        hub.catch_up(from, &interest, Envelope::None, limit).map(|page| page.next)
    };
    for next in [at(0), at(4)] {
        let stuck = read(ReadFrom::After(at(4)), next).unwrap_err().to_string();
        assert!(stuck.contains("did not lead on"), "{stuck}");
    }
    assert!(read(ReadFrom::Earliest, Position::ORIGIN).is_err());
    assert_eq!(read(ReadFrom::After(at(4)), at(5)).unwrap(), at(5));
    assert_eq!(read(ReadFrom::After(at(9)), at(9)).unwrap(), at(9), "there is no more");
}

#[test]
fn a_page_that_could_not_be_read_is_counted() {
    let at = |seq| Position::new(7, seq);
    let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
    window.begin(&Lineage::root(7), at(9));
    let hub = Hub::new(window, Arc::new(StandingStill(at(5))));
    let interest = Interest::new(Selector::default(), PrivateRights::None);
    let limit = PageLimit { events: 10, bytes: 1 << 20 };
    let read = |seq| hub.catch_up(ReadFrom::After(at(seq)), &interest, Envelope::None, limit);
    assert!(read(4).is_ok());
    assert_eq!(hub.failed_pages(), 0);
    assert!(read(5).is_err() && read(6).is_err());
    assert_eq!(hub.failed_pages(), 2);
}
