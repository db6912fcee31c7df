//! A cable between the hub and a client elsewhere, which can be pulled: a network namespace with
//! one address, joined to this one by a pair of virtual devices.
//!
//! It takes root and iproute2 to lay one. Where it is pulled, packets vanish: no FIN, no RST, as
//! when a phone loses its network or a machine its power.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A cable. It is taken away when dropped.
#[derive(Debug)]
pub(crate) struct Cable {
    /// The namespace, which is also what this end's device is called.
    name: String,
    /// This end's address, where a hub can listen.
    here: IpAddr,
}

/// What the device at the other end is called.
const PLUG: &str = "plug";

impl Cable {
    pub(crate) fn lay() -> Self {
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let number = CABLES.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        // Of the addresses that are for tests of networks (RFC 2544), four for each cable.
        let net = (pid.wrapping_mul(16) + number) % (1 << 15);
        let [high, low] = ((net * 4) as u16).to_be_bytes();
        let second = 18 + (net >> 14) as u8;
        let address = |host: u8| IpAddr::from([198, second, high, low + host]);
        let cable = Self { name: format!("ff{pid}-{number}"), here: address(1) };
        let (name, here, there) = (&cable.name, address(1), address(2));
        ip(&format!("netns add {name}"));
        ip(&format!("link add {name} type veth peer name {PLUG} netns {name}"));
        ip(&format!("address add {here}/30 dev {name}"));
        ip(&format!("link set {name} up"));
        ip(&format!("-n {name} address add {there}/30 dev {PLUG}"));
        cable.plug_in();
        cable
    }

    /// This end's address, where a hub can listen.
    pub(crate) fn here(&self) -> IpAddr {
        self.here
    }

    /// Does something at the other end: what is connected there stays there.
    pub(crate) fn at_the_other_end<T>(&self, act: impl FnOnce() -> T) -> T {
        let enter = |namespace: &File| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a network namespace");
        };
        let home = File::open("/proc/thread-self/ns/net").unwrap();
        let there = File::open(format!("/run/netns/{}", self.name)).unwrap();
        enter(&there);
        let done = act();
        enter(&home);
        done
    }

    pub(crate) fn pull(&self) {
        ip(&format!("-n {} link set {PLUG} down", self.name));
    }

    pub(crate) fn plug_in(&self) {
        ip(&format!("-n {} link set {PLUG} up", self.name));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // The devices go with it.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(command: &str) {
    let output = Command::new("ip").args(command.split(' ')).output().unwrap_or_else(|error| {
        panic!("`ip` cannot be run: {error}; scripts/test installs iproute2");
    });
    assert!(
        output.status.success(),
        "this test lays a cable between network namespaces, which takes root (CAP_SYS_ADMIN and \
         CAP_NET_ADMIN): `ip {command}`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
