//! A little hub with one flaw at a time.

mod encode;
mod exchange;
mod hub;
mod stream;
mod table;

pub(crate) use hub::{FlawedHub, LARGEST, ORIGIN, Served};
pub(crate) use table::TABLE;
