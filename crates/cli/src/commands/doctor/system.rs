//! This machine: what its limits allow a hub.

use std::fs;
use std::str::FromStr;

use rustix::process::{Resource, getrlimit};

use super::finding::{DoctorFinding, DoctorReport};
use crate::commands::CommandError;

/// Fewer open files than a hub is usually wanted for, and fewer than one can be run with at all.
const FEW_FILES: u64 = 65_536;
const TOO_FEW_FILES: u64 = 1_024;
/// Fewer waiting connections than a fleet that reconnects makes at once.
const SHORT_BACKLOG: u32 = 4_096;
/// Fewer ports than streams that a proxy on this machine might open to the hub.
const FEW_PORTS: u32 = 20_000;
/// Fewer connections than a firewall should be able to keep in mind.
const FEW_TRACKED: u64 = 262_144;
/// Less memory for all sockets than a few thousand slow subscribers fill.
const LITTLE_TCP_MEMORY: u64 = 256 * 1024 * 1024;
/// What `tcp_mem` counts in, in bytes; at least this much on every machine.
const PAGE: u64 = 4096;

/// Examines the limits. One that the system does not have is passed over.
pub(super) fn examine(report: &mut DoctorReport) -> Result<(), CommandError> {
    report.add(open_files(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)))?;
    let findings = [
        number("/proc/sys/net/core/somaxconn").map(backlog),
        numbers("/proc/sys/net/ipv4/ip_local_port_range").and_then(|range| ports(&range)),
        numbers("/proc/sys/net/ipv4/tcp_mem").and_then(|pages| tcp_memory(&pages)),
        number("/proc/sys/net/netfilter/nf_conntrack_max").map(tracked),
    ];
    findings.into_iter().flatten().try_for_each(|finding| report.add(finding))
}

fn open_files(limit: u64) -> DoctorFinding {
    const CHECK: &str = "open files";
    let saw = format!("a process of this user may open {limit}; each subscriber takes one");
    let advice = "raise the hard limit: LimitNOFILE=1048576 in the systemd unit, --ulimit nofile \
                  for a container, or /etc/security/limits.conf";
    match limit {
        ..TOO_FEW_FILES => DoctorFinding::wrong(CHECK, saw, advice),
        TOO_FEW_FILES..FEW_FILES => DoctorFinding::advice(CHECK, saw, advice),
        FEW_FILES.. => DoctorFinding::good(CHECK, saw),
    }
}

fn backlog(somaxconn: u32) -> DoctorFinding {
    const CHECK: &str = "listen backlog";
    let saw = format!("{somaxconn} connections may wait to be accepted (net.core.somaxconn)");
    if somaxconn >= SHORT_BACKLOG {
        return DoctorFinding::good(CHECK, saw);
    }
    let advice = "when many clients reconnect at once, some will be turned away: \
                  sysctl -w net.core.somaxconn=65535";
    DoctorFinding::advice(CHECK, saw, advice)
}

fn ports(range: &[u32]) -> Option<DoctorFinding> {
    const CHECK: &str = "ephemeral ports";
    let [first, last] = *range else { return None };
    let ports = (last + 1).saturating_sub(first);
    let saw = format!("{ports} ({first} to {last})");
    if ports >= FEW_PORTS {
        return Some(DoctorFinding::good(CHECK, saw));
    }
    let advice = "a proxy on this machine takes one for each stream: \
                  sysctl -w net.ipv4.ip_local_port_range='1024 65535'";
    Some(DoctorFinding::advice(CHECK, saw, advice))
}

fn tcp_memory(pages: &[u64]) -> Option<DoctorFinding> {
    const CHECK: &str = "TCP memory";
    let most = pages.get(2)?.saturating_mul(PAGE);
    let saw = format!("all sockets together may hold {} MiB (net.ipv4.tcp_mem)", most >> 20);
    if most >= LITTLE_TCP_MEMORY {
        return Some(DoctorFinding::good(CHECK, saw));
    }
    let advice = "subscribers that read slowly fill it, and every connection suffers: raise \
                  net.ipv4.tcp_mem, whose unit is a page of 4 KiB";
    Some(DoctorFinding::advice(CHECK, saw, advice))
}

fn tracked(most: u64) -> DoctorFinding {
    const CHECK: &str = "connection tracking";
    let saw = format!("the firewall keeps {most} connections in mind (nf_conntrack_max)");
    if most >= FEW_TRACKED {
        return DoctorFinding::good(CHECK, saw);
    }
    let advice = "beyond that, new connections are dropped without a trace at the hub: \
                  sysctl -w net.netfilter.nf_conntrack_max=1048576";
    DoctorFinding::advice(CHECK, saw, advice)
}

fn number<N: FromStr>(path: &str) -> Option<N> {
    numbers(path)?.into_iter().next()
}

fn numbers<N: FromStr>(path: &str) -> Option<Vec<N>> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().map(|number| number.parse().ok()).collect()
}
