//! What the hub answers over HTTP.

pub(crate) mod pages;
