//! A note: what the reader of another protocol's tokens wants to find again in a principal.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What the reader of a protocol's tokens has noted of one, for its own use. No part of who someone is.
#[derive(Clone)]
pub struct Note(Arc<dyn Any + Send + Sync>);

impl Note {
    /// Notes this.
    pub fn of(noted: impl Any + Send + Sync) -> Self {
        Self(Arc::new(noted))
    }

    /// What was noted, if it is of this kind.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0).downcast().ok()
    }
}

impl PartialEq for Note {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Note {}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Note")
    }
}
