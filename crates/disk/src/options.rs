//! Settings of the log on disk.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fanfare_log::{Durability, Retention};

/// How the log on disk behaves.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// How much is kept. Segments are unlinked whole, so up to an eighth more is kept than asked
    /// for, and a segment of at least 4 KiB or a second, never less. Bytes are those on disk.
    pub retention: Retention,
    /// How many events of each topic are readable; older ones count as trimmed, though their
    /// bytes stay until their segment goes. `None` sets no limit.
    ///
    /// Topics are then trimmed at different places: a reader of several is told of each stretch
    /// that is missing between what they retain.
    pub retain_topic_count: Option<u64>,
    /// What an acknowledgement waits for.
    pub sync: SyncPolicy,
    /// At what size a segment is closed and the next begun, in bytes; taken as 4 KiB to 1 GiB.
    /// A batch is never divided, so one larger than this makes a larger segment.
    pub segment_bytes: u64,
    /// For how long an idempotency key is answered, restarts included.
    pub key_window: Duration,
    /// How many idempotency keys are remembered at most; further ones are refused.
    pub key_capacity: usize,
    /// How many batches may wait for the disk. Further ones are answered
    /// [`AppendError::Unavailable`](fanfare_log::AppendError::Unavailable).
    pub queue_batches: usize,
    /// How many bytes of events may wait for the disk; a single batch may be larger.
    pub queue_bytes: usize,
    /// How many bytes the indices take that readers behind the newest segment use: some eight for each event
    /// of a segment. Those of other segments are read when somebody asks for them. With
    /// [`DiskOptions::retain_topic_count`], all are kept whatever they take.
    pub index_bytes: usize,
    /// How many trimmed segments may wait on disk because there is no room to keep their idempotency
    /// keys elsewhere. While there are more, publishes are answered
    /// [`AppendError::Full`](fanfare_log::AppendError::Full).
    pub unreclaimed_segments: usize,
}

impl DiskOptions {
    /// Segments of 64 MiB, a queue of 16,384 batches or 64 MiB, acknowledged when on disk, 100,000
    /// idempotency keys for ten minutes, of eight trimmed segments at most without a place of their own, and
    /// 64 MiB of indices.
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            retain_topic_count: None,
            sync: SyncPolicy::Disk,
            segment_bytes: 64 << 20,
            key_window: Duration::from_secs(600),
            key_capacity: 100_000,
            queue_batches: 16_384,
            queue_bytes: 64 << 20,
            index_bytes: 64 << 20,
            unreclaimed_segments: 8,
        }
    }

    /// The size at which a segment is closed: small enough that whole segments keep to the
    /// retention by bytes.
    pub(crate) fn roll_bytes(&self) -> u64 {
        let grain = (self.retention.bytes / GRAIN).max(4 << 10);
        self.segment_bytes.clamp(4 << 10, 1 << 30).min(grain)
    }

    /// The number of events at which a segment is closed.
    pub(crate) fn roll_count(&self) -> u64 {
        (self.retention.count / GRAIN).max(1)
    }

    /// The age at which a segment is closed, in milliseconds.
    pub(crate) fn roll_age(&self) -> u64 {
        (millis(self.retention.age) / GRAIN).max(1000)
    }

    /// Whether all indices are kept in memory: what a topic no longer shows is found in them.
    pub(crate) fn keeps_indices(&self) -> bool {
        self.retain_topic_count.is_some()
    }

    /// For how long a key is answered, in milliseconds.
    pub(crate) fn key_window(&self) -> u64 {
        millis(self.key_window)
    }

    /// The greatest age, in milliseconds.
    pub(crate) fn age(&self) -> u64 {
        millis(self.retention.age)
    }
}

/// Into how many segments, at least, what is retained is divided.
const GRAIN: u64 = 8;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What an acknowledgement waits for: `disk`, `interval:100ms` or `os`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncPolicy {
    /// `fdatasync`, shared by all batches that were waiting for it. Survives the machine.
    Disk,
    /// The write; a sync follows within this time. Survives the process; the machine's death
    /// loses at most what was written in that time.
    Interval(Duration),
    /// The write; the operating system syncs when it likes. Survives the process.
    Os,
}

impl SyncPolicy {
    /// What an acknowledgement under this policy is worth.
    pub fn durability(self) -> Durability {
        match self {
            Self::Disk => Durability::Disk,
            Self::Interval(_) | Self::Os => Durability::Os,
        }
    }
}

/// A text that is not a [`SyncPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write `disk`, `os` or `interval:` and a time of 1ms to 60s such as `interval:100ms`")]
pub struct InvalidSyncPolicy;

impl FromStr for SyncPolicy {
    type Err = InvalidSyncPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidSyncPolicy> {
        match text {
            "disk" => return Ok(Self::Disk),
            "os" => return Ok(Self::Os),
            _ => {}
        }
        let time = text.strip_prefix("interval:").ok_or(InvalidSyncPolicy)?;
        let (digits, unit) = match time.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (time.strip_suffix('s').ok_or(InvalidSyncPolicy)?, 1000),
        };
        let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let count: u64 = digits.parse().ok().filter(|_| plain).ok_or(InvalidSyncPolicy)?;
        match count * unit {
            millis @ 1..=60_000 => Ok(Self::Interval(Duration::from_millis(millis))),
            _ => Err(InvalidSyncPolicy),
        }
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("disk"),
            Self::Os => f.write_str("os"),
            Self::Interval(time) => write!(f, "interval:{}ms", time.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_policy_is_one_of_three_words() {
        assert_eq!("disk".parse(), Ok(SyncPolicy::Disk));
        assert_eq!("os".parse(), Ok(SyncPolicy::Os));
        let interval = SyncPolicy::Interval(Duration::from_millis(1500));
        assert_eq!(interval.to_string().parse(), Ok(interval));
        assert_eq!("interval:2s".parse(), Ok(SyncPolicy::Interval(Duration::from_secs(2))));
        for bad in [
            "",
            "Disk",
            "interval",
            "interval:",
            "interval:0ms",
            "interval:61s",
            "interval:-1s",
            "interval:ms",
            "interval:99999999999999999999s",
            "interval:1",
        ] {
            assert_eq!(bad.parse::<SyncPolicy>(), Err(InvalidSyncPolicy), "{bad:?}");
        }
    }
}
