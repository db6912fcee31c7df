//! A proof that something was granted.

use std::ops::Deref;

use fanfare_event::Draft;

/// Something that a grant has allowed. Only [`PublishGrant::authorise`] and
/// [`SubscribeGrant::authorise`] make one, and only [`PublishGrant::authorise_another`] adds to one, so
/// that whoever takes it takes nothing else.
///
/// [`PublishGrant::authorise`]: crate::PublishGrant::authorise
/// [`PublishGrant::authorise_another`]: crate::PublishGrant::authorise_another
/// [`SubscribeGrant::authorise`]: crate::SubscribeGrant::authorise
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorised<T>(T);

/// What was asked for was not granted. Does not say which part, nor whether it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credentials do not grant what was asked for")]
pub struct Forbidden;

impl<T> Authorised<T> {
    pub(crate) fn new(granted: T) -> Self {
        Self(granted)
    }

    /// Of something that is put together, what was allowed so far.
    pub(crate) fn so_far(&mut self) -> &mut T {
        &mut self.0
    }

    /// What was allowed.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Authorised<Vec<Draft>> {
    /// All that was allowed so far; what is left is a batch without events.
    pub fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

impl<T> Deref for Authorised<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
