//! What an acknowledgement of the log on disk waits for.

use fanfare_log::{InvalidSyncPolicy, SyncPolicy};

use super::field::Value;

impl Value for SyncPolicy {
    const PLACEHOLDER: &'static str = "WHEN";
    const NOUN: &'static str = "a sync policy";
    type Error = InvalidSyncPolicy;

    fn parse(text: &str) -> Result<Self, InvalidSyncPolicy> {
        text.parse()
    }
}
