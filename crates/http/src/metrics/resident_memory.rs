//! The process's resident memory, as the system counts it.

/// In bytes; `None` where the system does not say.
#[cfg(target_os = "linux")]
pub(crate) fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// In bytes; `None` where the system does not say.
#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_memory() -> Option<u64> {
    None
}
