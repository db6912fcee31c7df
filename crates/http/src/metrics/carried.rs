//! Carried counters: what the counters of the process before had come to, so that they go on counting.
//!
//! What must hold: a counter never goes back because the hub changed hands; one that nobody counts any more
//! is not shown.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fanfare_handover::{Malformed, Reader, Writer};

/// A counter: its name, and the value of its label if it has one.
type CounterKey = (String, String);

/// Counters that go along by themselves, or are of one process.
const ON_THEIR_OWN: &[&str] = &["upgrades", "upgrades_failed"];

/// What counters begin with here, and what they have come to.
#[derive(Debug, Default)]
pub(super) struct CarriedCounters {
    begins: Mutex<HashMap<CounterKey, u64>>,
}

impl CarriedCounters {
    /// What a counter shows that has come to so much in this process.
    pub(super) fn total(&self, name: &str, label: &str, value: u64) -> u64 {
        let begins = self.lock();
        if begins.is_empty() {
            return value;
        }
        let begun = begins.get(&(name.to_owned(), label.to_owned()));
        value.saturating_add(begun.copied().unwrap_or(0))
    }

    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let counters = reader.list(|reader| {
            let key = (reader.text()?.to_owned(), reader.text()?.to_owned());
            Ok::<_, Malformed>((key, reader.u64()?))
        })?;
        let counts_on = |(name, _): &CounterKey| !ON_THEIR_OWN.contains(&name.as_str());
        *self.lock() = counters.into_iter().filter(|(key, _)| counts_on(key)).collect();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CounterKey, u64>> {
        self.begins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all counters show at one moment.
#[derive(Debug, Default)]
pub(super) struct CounterSnapshot(Vec<(CounterKey, u64)>);

impl CounterSnapshot {
    pub(super) fn note(&mut self, name: &str, label: &str, value: u64) {
        self.0.push(((name.to_owned(), label.to_owned()), value));
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count(self.0.len());
        for ((name, label), value) in &self.0 {
            writer.text(name);
            writer.text(label);
            writer.u64(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_counter_goes_back_when_the_hub_changes_hands() {
        let (carried, mut shown) = (CarriedCounters::default(), CounterSnapshot::default());
        assert_eq!(carried.total("publishes", "", 3), 3);
        shown.note("publishes", "", 3);
        shown.note("refused", "capacity", 2);
        shown.note("upgrades", "", 1);
        let mut writer = Writer::new();
        shown.write(&mut writer);
        let bytes = writer.finish();
        for end in 0..bytes.len() {
            carried.read(&mut Reader::new(&bytes[..end])).unwrap_err();
        }
        let mut reader = Reader::new(&bytes);
        carried.read(&mut reader).unwrap();
        reader.end().unwrap();
        assert_eq!(carried.total("publishes", "", 4), 7);
        assert_eq!(carried.total("refused", "capacity", 0), 2);
        assert_eq!(carried.total("refused", "draining", 1), 1);
        assert_eq!(carried.total("upgrades", "", 1), 1, "it goes along by itself");
    }
}
