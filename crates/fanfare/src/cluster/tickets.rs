//! Tickets that the nodes of a cluster share: drawn at one, good once at any.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_auth::{Pending, Principal, StoreError, TicketId, TicketStore};
use fanfare_event::Timestamp;
use fanfare_redis::Commons;

/// Deposits under the tickets' digests.
#[derive(Debug)]
pub(crate) struct SharedTickets {
    commons: Arc<Commons>,
    capacity: usize,
    /// When those that this node has put expire, used or not; ascending.
    put: Mutex<VecDeque<Timestamp>>,
}

impl SharedTickets {
    pub(super) fn new(commons: Arc<Commons>, capacity: usize) -> Self {
        Self { commons, capacity, put: Mutex::default() }
    }

    fn count(&self, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        while put.front().is_some_and(|at| *at <= now) {
            put.pop_front();
        }
        if put.len() >= self.capacity {
            return Err(StoreError::Full);
        }
        put.push_back(expires);
        Ok(())
    }
}

impl TicketStore for SharedTickets {
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let now = Timestamp::now();
            self.count(expires, now)?;
            let keep = expires.as_millis().saturating_sub(now.as_millis());
            let (id, holder) = (id.to_text(), holder.listener_to_text());
            let kept = self.commons.deposit(&id, &holder, Duration::from_millis(keep));
            kept.await.map_err(unavailable)
        })
    }

    fn take(
        &self,
        id: TicketId,
        _: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>> {
        Box::pin(async move {
            let Some(text) = self.commons.withdraw(&id.to_text()).await.map_err(unavailable)?
            else {
                return Ok(None);
            };
            Principal::listener_from_text(&text).map(Some).map_err(unavailable)
        })
    }
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
