//! The caller: whoever made a request, and what they were granted.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use fanfare_auth::{
    Authorised, CredentialId, Forbidden, HolderId, Identity, Principal, SubscribeGrant,
};
use fanfare_event::{Draft, PrivateRights, Selector, Timestamp, Topic};

use crate::network64::Network64;
use crate::refusal::Refusal;

/// Whoever made a request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(super) principal: Arc<Principal>,
    /// What they may listen to by credentials of their own, without what everyone may.
    pub(super) own: SubscribeGrant,
    /// Where they are.
    pub(crate) address: IpAddr,
    /// When their credentials were looked at.
    pub(crate) verified: Instant,
    /// Whether they said who they are.
    pub(super) presented: bool,
}

impl Caller {
    /// Who they are, as far as they have said.
    pub(crate) fn identity(&self) -> &Identity {
        &self.principal.identity
    }

    /// Under which network limits count them.
    pub(crate) fn network(&self) -> Network64 {
        Network64::of(self.address)
    }

    /// Under whom what they take of a shared table is counted.
    pub(crate) fn holder(&self) -> HolderId {
        HolderId::of(self.identity(), self.network().address())
    }

    /// Whose streams theirs are.
    pub(crate) fn subject(&self) -> Option<&Arc<str>> {
        self.principal.subject()
    }

    /// By which credential they were let in.
    pub(crate) fn credential(&self) -> Option<&CredentialId> {
        self.principal.credential.as_ref()
    }

    /// When their right ends.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.principal.expires
    }

    /// Whether they said who they are.
    pub(crate) fn has_presented(&self) -> bool {
        self.presented
    }

    /// Refuses those who may publish nowhere, before their body is read.
    pub(crate) fn may_publish(&self) -> Result<(), Refusal> {
        if self.principal.publish.grants_nothing() { Err(self.refuse(Forbidden)) } else { Ok(()) }
    }

    /// Refuses those who may listen nowhere, before it is read what to.
    pub(crate) fn may_subscribe(&self) -> Result<(), Refusal> {
        if self.principal.subscribe.grants_nothing() { Err(self.refuse(Forbidden)) } else { Ok(()) }
    }

    pub(crate) fn publish(&self, drafts: Vec<Draft>) -> Result<Authorised<Vec<Draft>>, Refusal> {
        self.principal.publish.authorise(drafts).map_err(|error| self.refuse(error))
    }

    /// Adds one more to a batch that they may publish.
    pub(crate) fn publish_another(
        &self,
        draft: Draft,
        batch: &mut Authorised<Vec<Draft>>,
    ) -> Result<(), Refusal> {
        let added = self.principal.publish.authorise_another(draft, batch);
        added.map_err(|error| self.refuse(error))
    }

    pub(crate) fn subscribe(&self, selector: Selector) -> Result<Authorised<Selector>, Refusal> {
        self.principal.subscribe.authorise(selector).map_err(|error| self.refuse(error))
    }

    /// What they may hear that is private: what is everyone's grants nothing of it.
    pub(crate) fn private_rights(&self) -> PrivateRights {
        self.own.private_rights()
    }

    /// Refuses those who may not hear what is private in this topic.
    pub(crate) fn check_private(&self, topic: &Topic) -> Result<(), Refusal> {
        let heard = self.private_rights().cover([topic]);
        if heard { Ok(()) } else { Err(self.refuse(Forbidden)) }
    }

    /// What the reader of their token has noted.
    pub(crate) fn note<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.principal.note.as_ref()?.get()
    }

    /// What a ticket of theirs is worth: what everyone may hear is added when it is used.
    pub(super) fn as_listener(&self) -> Principal {
        Principal { subscribe: self.own.clone(), ..self.principal.as_listener() }
    }

    /// Refuses those who may not cut the streams of others.
    pub(crate) fn administer(&self) -> Result<(), Refusal> {
        if self.principal.admin { Ok(()) } else { Err(self.refuse(Forbidden)) }
    }

    /// Those who have not said who they are may try again when they have.
    fn refuse(&self, _: Forbidden) -> Refusal {
        if self.presented {
            Refusal::Forbidden(self.identity().clone())
        } else {
            Refusal::Unauthenticated
        }
    }
}
