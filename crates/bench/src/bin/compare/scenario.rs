//! What is compared: for each scenario, two contenders and the figures they are held to.

use std::time::Duration;

use clap::ValueEnum;
use fanfare_bench::{BenchPlan, Load, Protocol, Target};

use crate::figure::{Figure, Goal};

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 1,000 subscribers, 50 messages a second
    Paced,
    /// 1,000 subscribers, messages as fast as the server takes them
    Unpaced,
    /// 15,000 subscribers, no messages
    Idle,
    /// 10 topics beside 100,000, one subscriber each
    Topics,
    /// As paced, in Mercure's protocol, held against the hub's own
    Mercure,
    /// As idle, in Mercure's protocol, held against the hub's own
    MercureIdle,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// The floor, or else the hub.
    pub(crate) is_floor: bool,
    pub(crate) dialect: Protocol,
    subscribers: u32,
    topics: u32,
    publishers: u32,
    load: Load,
    duration: Duration,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Paced => "paced",
            Self::Unpaced => "unpaced",
            Self::Idle => "idle",
            Self::Topics => "topics",
            Self::Mercure => "mercure",
            Self::MercureIdle => "mercure-idle",
        }
    }

    /// The two sides: what is measured against, then the hub.
    pub(crate) fn contenders(self, duration: Duration) -> [Contender; 2] {
        let floor = Contender {
            name: "floor",
            is_floor: true,
            dialect: Protocol::Native,
            subscribers: 1000,
            topics: 1,
            publishers: 1,
            load: Load::Paced { rate: 50.0 },
            duration,
        };
        let against_the_hub =
            |floor| [floor, Contender { name: "fanfare", is_floor: false, ..floor }];
        let in_both = |native| {
            let mercure =
                Contender { name: "fanfare, Mercure", dialect: Protocol::Mercure, ..native };
            [Contender { name: "fanfare, native", ..native }, mercure]
        };
        match self {
            Self::Paced => against_the_hub(floor),
            // The floor answers a publisher only when it has sent everything. With a single one it
            // would idle while the busy client finds time to publish the next message.
            Self::Unpaced => against_the_hub(Contender {
                publishers: 4,
                load: Load::Unpaced { in_flight: 10_000 },
                ..floor
            }),
            Self::Idle => {
                against_the_hub(Contender { subscribers: 15_000, load: Load::Idle, ..floor })
            }
            // A connection for each of 100,000 topics would take more open files than many a
            // system allows, so ten share one.
            Self::Topics => {
                let load = Load::Paced { rate: 2000.0 };
                let few = Contender { subscribers: 10, topics: 10, is_floor: false, load, ..floor };
                let many = Contender { subscribers: 10_000, topics: 100_000, ..few };
                [
                    Contender { name: "fanfare, 10 topics", ..few },
                    Contender { name: "fanfare, 100,000 topics", ..many },
                ]
            }
            Self::Mercure => in_both(Contender { is_floor: false, ..floor }),
            Self::MercureIdle => in_both(Contender {
                is_floor: false,
                subscribers: 15_000,
                load: Load::Idle,
                ..floor
            }),
        }
    }

    /// What the hub is started with.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Mercure | Self::MercureIdle => &["--mercure"],
            Self::Paced | Self::Unpaced | Self::Idle | Self::Topics => &[],
        }
    }

    /// What is read from the reports, the figures with a goal first.
    pub(crate) fn figures(self) -> Vec<Figure> {
        match self {
            Self::Paced => vec![
                Figure::CPU_PER_DELIVERY.held_to(Goal::TimesAtMost(1.1)),
                Figure::MEDIAN_LATENCY,
                Figure::TAIL_LATENCY,
            ],
            Self::Unpaced => vec![
                Figure::DELIVERIES.held_to(Goal::TimesAtLeast(5.0)),
                Figure::CPU_PER_DELIVERY,
                Figure::SERVER_LOAD,
                Figure::CLIENT_LOAD,
            ],
            Self::Idle => vec![
                Figure::MEMORY_PER_SUBSCRIBER.held_to(Goal::AtMost(1024.0)),
                Figure::CPU_PER_CONNECT.held_to(Goal::AtMost(50_000.0)),
            ],
            Self::Mercure => vec![
                Figure::CPU_PER_DELIVERY.held_to(Goal::TimesAtMost(1.05)),
                Figure::MEDIAN_LATENCY,
                Figure::TAIL_LATENCY,
            ],
            Self::MercureIdle => vec![
                Figure::MEMORY_PER_SUBSCRIBER.held_to(Goal::AtMost(0.6 * 1024.0)),
                Figure::CPU_PER_CONNECT,
            ],
            Self::Topics => vec![
                Figure::CPU_PER_PUBLISH.held_to(Goal::TimesAtMost(1.1)),
                Figure::MEDIAN_LATENCY,
                Figure::TAIL_LATENCY,
            ],
        }
    }
}

impl Contender {
    /// The plan of its run.
    pub(crate) fn plan(&self, url: Target, pid: u32) -> BenchPlan {
        BenchPlan {
            url,
            publish_url: None,
            authorization: None,
            subscribers: self.subscribers,
            dialect: self.dialect,
            load: self.load,
            size: 100,
            topics: self.topics,
            interval: None,
            slow: 0,
            requests: None,
            publishers: self.publishers,
            batch: 1,
            publish_stream: false,
            warmup: Duration::from_secs(2),
            duration: self.duration,
            pid: Some(pid),
        }
    }
}
