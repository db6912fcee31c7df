//! What the server's process, and those it has started, have used, as `/proc` tells it (proc_pid_stat(5)).

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fs, io};

use crate::error::BenchError;

/// A local process, alone or with its descendants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalProcess {
    pid: u32,
    is_family: bool,
}

/// The CPU time a process has used up to one moment.
#[derive(Debug, Clone)]
pub(crate) struct CpuReading {
    /// Of each thread that lives, exact, in nanoseconds.
    threads: BTreeMap<u32, u64>,
    /// Of the whole process, threads that have ended included, in clock ticks.
    ticks: u64,
}

impl LocalProcess {
    /// Checks that the process exists.
    pub(crate) fn new(pid: u32) -> Result<Self, BenchError> {
        let process = Self { pid, is_family: false };
        process.resident_bytes()?;
        Ok(process)
    }

    /// The process with all that it, and they in turn, have started.
    pub(crate) fn with_descendants(self) -> Self {
        Self { is_family: true, ..self }
    }

    /// The resident memory, in bytes: `VmRSS`, of several processes the sum.
    pub(crate) fn resident_bytes(self) -> Result<u64, BenchError> {
        self.members().try_fold(0, |sum, member| Ok(sum + member.parsed("status", resident_bytes)?))
    }

    /// The CPU time used so far.
    pub(crate) fn cpu(self) -> Result<CpuReading, BenchError> {
        let mut reading = CpuReading { threads: BTreeMap::new(), ticks: 0 };
        for member in self.members() {
            member.add_cpu(&mut reading)?;
        }
        Ok(reading)
    }

    fn add_cpu(self, reading: &mut CpuReading) -> Result<(), BenchError> {
        reading.ticks += self.parsed("stat", ticks)?;
        let path = format!("/proc/{}/task", self.pid);
        for entry in fs::read_dir(path).map_err(|source| self.error(source))? {
            let entry = entry.map_err(|source| self.error(source))?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // A thread may end between the listing and the reading; `ticks` still has its time.
            let text = fs::read_to_string(entry.path().join("schedstat"));
            if let (Some(id), Some(used)) = (id, text.ok().and_then(|text| on_cpu(&text))) {
                reading.threads.insert(id, used);
            }
        }
        Ok(())
    }

    /// Itself, and its descendants where they count.
    fn members(self) -> impl Iterator<Item = Self> {
        let mut family = vec![self.pid];
        if self.is_family {
            let parents = parents();
            let mut next = 0;
            while let Some(&parent) = family.get(next) {
                let children = parents.iter().filter(|(_, of)| *of == parent);
                family.extend(children.map(|(child, _)| *child));
                next += 1;
            }
        }
        family.into_iter().map(|pid| Self { pid, is_family: false })
    }

    fn parsed(self, file: &str, parse: fn(&str) -> Option<u64>) -> Result<u64, BenchError> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.pid));
        let text = text.map_err(|source| self.error(source))?;
        parse(&text).ok_or_else(|| self.error(io::ErrorKind::InvalidData.into()))
    }

    fn error(self, source: io::Error) -> BenchError {
        BenchError::Process { pid: self.pid, source }
    }
}

impl CpuReading {
    /// What was used since `earlier`: exact where threads only began, to a clock tick where some
    /// ended or the kernel keeps no exact account.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let exact: u64 = self
            .threads
            .iter()
            .map(|(id, used)| used.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0)))
            .sum();
        let per_second = rustix::param::clock_ticks_per_second();
        let coarse = self.ticks.saturating_sub(earlier.ticks) * (1_000_000_000 / per_second);
        // Either figure of the coarse one may be off by a tick.
        let off = 2 * 1_000_000_000 / per_second;
        Duration::from_nanos(if coarse > exact + off { coarse } else { exact })
    }
}

/// All processes, each with the one that started it. One that ends meanwhile is left out.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pairs = pids.filter_map(|pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parent(&stat)?))
    });
    pairs.collect()
}

/// The process that started it, from `/proc/PID/stat`.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `utime` + `stime` from `/proc/PID/stat`. The name in brackets may itself hold brackets and
/// spaces, so the fields are counted from the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// `VmRSS` from `/proc/PID/status`, in bytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The time on the CPU from `/proc/PID/task/TID/schedstat`, in nanoseconds.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let stat = "42 (a) S 1 2 (b) R 1 42 42 0 -1 4194560 900 0 0 0 120 34 7 8 20 0 3 0 100 9 9";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(parent(stat), Some(1));
        assert_eq!(ticks("42 (a) R 1 42"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tfloor\nVmHWM:\t  9999 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n";
        assert_eq!(resident_bytes(status), Some(2 << 20));
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), None);
        assert_eq!(on_cpu("54628 42195 2\n"), Some(54_628));
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn threads_that_ended_are_found_in_the_ticks() {
        let reading = |threads: &[(u32, u64)], ticks| CpuReading {
            threads: threads.iter().copied().collect(),
            ticks,
        };
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let before = reading(&[(1, 500), (2, 900)], 10);
        let exact = reading(&[(1, 700), (2, 900), (3, 50)], 11).since(&before);
        assert_eq!(exact, Duration::from_nanos(250));
        let coarse = reading(&[(1, 700)], 110).since(&before);
        assert_eq!(coarse, Duration::from_nanos(100 * tick));
    }

    #[test]
    fn children_count_only_where_they_are_asked_for() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let alone = LocalProcess::new(std::process::id()).unwrap();
        let pids = |process: LocalProcess| process.members().map(|it| it.pid).collect::<Vec<_>>();
        assert_eq!(pids(alone), [std::process::id()]);
        assert!(pids(alone.with_descendants()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn this_process_can_be_read_and_none_is_an_error() {
        let process = LocalProcess::new(std::process::id()).unwrap();
        assert!(process.resident_bytes().unwrap() > 0);
        assert!(!process.cpu().unwrap().threads.is_empty());
        // Above the highest identifier Linux gives out (2^22).
        assert!(matches!(LocalProcess::new(1 << 30), Err(BenchError::Process { .. })));
    }
}
