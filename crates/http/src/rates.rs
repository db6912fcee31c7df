//! Rates: how often something may be done in a second, by whom.
//!
//! What must hold: the table is bounded, and those who do not fit into it are limited all the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use fanfare_handover::{Malformed, Reader, Writer};

/// How many are told apart.
const KEYS: usize = 65_536;
/// How often those that have been quiet are looked for when there are too many.
const SWEEP: Duration = Duration::from_secs(1);

/// A bucket for each; `None` is for those for whom there is no place in the table.
#[derive(Debug)]
pub(crate) struct Rates<K, const BURST: u8 = 2> {
    buckets: HashMap<Option<K>, TokenBucket<BURST>>,
    swept: Instant,
}

/// A token bucket that may be overdrawn: how much is in a batch is known only when it is read. As much as
/// comes in `BURST` seconds may be taken at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket<const BURST: u8 = 2> {
    left: f64,
    at: Instant,
}

impl<K> Rates<K> {
    pub(crate) fn new() -> Self {
        Self::with_burst()
    }
}

impl<K, const BURST: u8> Rates<K, BURST> {
    pub(crate) fn with_burst() -> Self {
        Self { buckets: HashMap::new(), swept: Instant::now() }
    }
}

impl<K: Eq + Hash, const BURST: u8> Rates<K, BURST> {
    pub(crate) fn bucket(&mut self, key: K, rate: f64, now: Instant) -> &mut TokenBucket<BURST> {
        let key = Some(key);
        let full = self.buckets.len() >= KEYS;
        if full && now - self.swept >= SWEEP {
            self.swept = now;
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        let known = self.buckets.len() < KEYS || self.buckets.contains_key(&key);
        self.buckets.entry(key.filter(|_| known)).or_insert(TokenBucket::full(rate, now))
    }
}

impl<K: Eq + Hash> Rates<K> {
    /// Writes down from which buckets something was taken; `write` writes whose.
    pub(crate) fn write(&self, writer: &mut Writer, now: Instant, write: impl Fn(&mut Writer, &K)) {
        writer.count(self.buckets.len());
        for (key, TokenBucket { left, at }) in &self.buckets {
            writer.option(key.as_ref(), &write);
            writer.u64(left.to_bits());
            let age = now.saturating_duration_since(*at);
            writer.u64(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Takes in what another process has written; `read` reads whose.
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        now: Instant,
        read: impl Fn(&mut Reader<'_>) -> Result<K, Malformed>,
    ) -> Result<(), Malformed> {
        let buckets = reader.list(|reader| {
            let key = reader.option(&read)?;
            let left = f64::from_bits(reader.u64()?);
            if !left.is_finite() {
                return Err(Malformed("a rate is not a number"));
            }
            let age = Duration::from_millis(reader.u64()?);
            Ok((key, TokenBucket { left, at: now.checked_sub(age).unwrap_or(now) }))
        })?;
        self.buckets.extend(buckets.into_iter().take(KEYS + 1));
        Ok(())
    }
}

#[cfg(test)]
impl<K, const BURST: u8> Rates<K, BURST> {
    /// How many bytes the table takes up.
    pub(crate) fn table_bytes(&self) -> usize {
        table_bytes(&self.buckets)
    }
}

/// How many bytes a table takes up, beside what its entries point to: a byte for each place beside the place,
/// of which an eighth stays free.
#[cfg(test)]
pub(crate) fn table_bytes<K, V>(table: &HashMap<K, V>) -> usize {
    table.capacity() * 8 / 7 * (size_of::<(K, V)>() + 1)
}

impl<const BURST: u8> TokenBucket<BURST> {
    /// One from which nothing was taken yet.
    pub(crate) fn full(rate: f64, now: Instant) -> Self {
        Self { left: rate * f64::from(BURST), at: now }
    }

    /// Whether all that was taken has come back.
    pub(crate) fn is_full(self, rate: f64, now: Instant) -> bool {
        self.refilled(rate, now).left >= rate * f64::from(BURST)
    }

    fn refilled(self, rate: f64, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        Self { left: (self.left + passed * rate).min(rate * f64::from(BURST)), at: now }
    }

    /// Takes one, or says when there will be one.
    pub(crate) fn draw(&mut self, rate: f64, now: Instant) -> Result<(), Duration> {
        *self = self.refilled(rate, now);
        let missing = 1.0 - self.left;
        if missing > 0.0 {
            return Err(Duration::from_secs_f64(missing / rate));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// Takes none; says when nothing will be owed any more.
    pub(crate) fn check(self, rate: f64, now: Instant) -> Result<(), Duration> {
        match self.refilled(rate, now).left {
            left if left < 0.0 => Err(Duration::from_secs_f64(-left / rate)),
            _ => Ok(()),
        }
    }

    /// Takes so many, whether they are there or not.
    pub(crate) fn charge(&mut self, events: f64, rate: f64, now: Instant) {
        *self = self.refilled(rate, now);
        self.left -= events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_and_a_quiet_publisher_does_not_wait() {
        let begin = Instant::now();
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut bucket: TokenBucket = TokenBucket { left: 20.0, at: begin };
        for _ in 0..20 {
            bucket.draw(10.0, begin).unwrap();
        }
        let wait = bucket.draw(10.0, begin).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        bucket.draw(10.0, at(0.1)).unwrap();
        assert!(bucket.draw(10.0, at(0.1)).is_err());
        for _ in 0..20 {
            bucket.draw(10.0, at(100.0)).unwrap();
        }
        assert!(bucket.draw(10.0, at(100.0)).is_err());
    }

    #[test]
    fn a_batch_costs_as_much_as_its_events() {
        let begin = Instant::now();
        let mut bucket: TokenBucket = TokenBucket { left: 20.0, at: begin };
        bucket.draw(10.0, begin).unwrap();
        bucket.charge(118.0, 10.0, begin);
        let wait = bucket.draw(10.0, begin).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        let mut bucket: TokenBucket = TokenBucket { left: 2.0, at: begin };
        let mut accepted = 0;
        for second in 0..20 {
            let now = begin + Duration::from_secs(second);
            if bucket.draw(1.0, now).is_ok() {
                bucket.charge(1.0, 1.0, now);
                accepted += 2;
            }
        }
        assert!(accepted <= 22, "batches of two go at twice the rate: {accepted}");
    }

    #[test]
    fn whoever_has_used_up_a_rate_does_not_have_it_again_when_the_hub_changes_hands() {
        let (mut rates, now) = (Rates::new(), Instant::now());
        for name in ["quick", "quick", "slow"] {
            rates.bucket(name.to_owned(), 1.0, now).draw(1.0, now).unwrap();
        }
        let (mut writer, later) = (Writer::new(), now + Duration::from_millis(500));
        rates.write(&mut writer, later, |writer, name| writer.text(name));
        let bytes = writer.finish();
        let mut successor = Rates::new();
        let mut reader = Reader::new(&bytes);
        successor.read(&mut reader, later, |reader| reader.text().map(str::to_owned)).unwrap();
        reader.end().unwrap();
        let mut draw = |name: &str| successor.bucket(name.to_owned(), 1.0, later).draw(1.0, later);
        assert_eq!(draw("quick"), Err(Duration::from_millis(500)));
        assert_eq!((draw("slow"), draw("other")), (Ok(()), Ok(())));
        for end in 0..bytes.len() {
            let name = |reader: &mut Reader<'_>| reader.text().map(str::to_owned);
            Rates::new().read(&mut Reader::new(&bytes[..end]), later, name).unwrap_err();
        }
    }

    #[test]
    fn a_million_addresses_do_not_fill_the_memory() {
        let mut rates = Rates::new();
        let now = rates.swept;
        for n in 0..KEYS as u32 + 1_000 {
            let _ = rates.bucket(n, 1.0, now).draw(1.0, now);
        }
        assert_eq!(rates.buckets.len(), KEYS + 1);
        assert!(rates.buckets[&None].left < 1.0, "they share one");
        rates.bucket(KEYS as u32 + 5_000, 1.0, now + Duration::from_secs(60));
        assert_eq!(rates.buckets.len(), 1, "the quiet ones are forgotten");
    }
}
