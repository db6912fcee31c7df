//! Tickets that the nodes of a cluster share: drawn at one, good once at any.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_auth::{HolderId, Pending, Principal, StoreError, TicketId, TicketShares, TicketStore};
use fanfare_event::Timestamp;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_redis::ClusterStore;
use fanfare_shares::Amount;

/// Deposits under the tickets' digests.
#[derive(Debug)]
pub(super) struct SharedTickets {
    store: Arc<ClusterStore>,
    /// What this node has left in Redis: all of it stays there until it runs out.
    put: Mutex<TicketShares>,
}

impl SharedTickets {
    pub(super) fn new(store: Arc<ClusterStore>, capacity: Amount) -> Self {
        Self { store, put: Mutex::new(TicketShares::new(capacity)) }
    }
}

impl TicketStore for SharedTickets {
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        drawn_by: HolderId,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let now = Timestamp::now();
            let keep = expires.as_millis().saturating_sub(now.as_millis());
            let (id, holder) = (id.to_text(), holder.listener_to_text());
            {
                let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
                put.take(drawn_by, holder.len(), expires, now)?;
            }
            let kept = self.store.deposit(&id, &holder, Duration::from_millis(keep));
            kept.await.map_err(unavailable)
        })
    }

    fn take(
        &self,
        id: TicketId,
        _: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>> {
        Box::pin(async move {
            let Some(text) = self.store.withdraw(&id.to_text()).await.map_err(unavailable)? else {
                return Ok(None);
            };
            Principal::listener_from_text(&text).map(Some).map_err(unavailable)
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.put.lock().unwrap_or_else(PoisonError::into_inner).write(writer);
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner).read(reader)
    }
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
