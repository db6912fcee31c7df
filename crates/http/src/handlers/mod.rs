//! Handlers: what each path answers, beside the files of the pages.

mod body;
mod operations;
mod publish;
mod publish_lines;
mod publish_rules;
mod subscribe;
mod subscribers;
mod tickets;

pub(crate) use self::operations::{healthz, metrics, readyz};
pub(crate) use self::publish::{publish, publish_at, publish_text};
pub(crate) use self::subscribe::{events, events_at, query, query_method, statistics};
pub(crate) use self::subscribers::{cut, list};
pub(crate) use self::tickets::issue;
