//! `fanfare doctor`: what stands between a hub and its subscribers, on this machine and on the way
//! to a URL; or how the Redis behind it is set up. Each finding says what was seen, and if it is not good, what to do.

mod finding;
#[cfg(feature = "redis")]
mod redis;
mod stream;
mod system;

use std::time::Duration;

use clap::Args;
use fanfare_client::BearerToken;
use fanfare_event::Topic;
#[cfg(feature = "redis")]
use fanfare_redis::Namespace;
use fanfare_settings::parse_duration;

use self::finding::{DoctorFinding, DoctorReport};
use self::stream::StreamDoctor;
use super::CommandError;
use super::client_runtime::block_on;
use super::hub_args::HubArgs;
use crate::exit::CODES;

const EXAMPLES: &str = "\
Examples:
  On the machine of a hub, while it runs:
    fanfare doctor
  Through the proxy that subscribers go through:
    fanfare doctor --url https://example.com/sse/
  The Redis that nodes share, before they do, from where they run:
    fanfare doctor --redis redis://10.0.0.7
  The one that FANFARE_REDIS names, which may hold a password:
    fanfare doctor --redis

Limits are those of the machine and the user that run this: run it where the hub runs, as the hub's
user. Through the URL a few messages are published to --topic. The exit code is 1 where something
is wrong; advice alone leaves it 0.";

/// What `fanfare doctor` is asked.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct DoctorArgs {
    /// Topic to publish a few messages to and to subscribe to
    #[arg(long, value_name = "TOPIC", default_value = "fanfare/doctor", value_parser = Topic::given)]
    topic: Topic,
    /// Wait this long for a keepalive, 0s not to
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    wait: Duration,
    /// Examine this machine only, no hub
    #[arg(long)]
    offline: bool,
    #[cfg(feature = "redis")]
    /// Examine this Redis only: its version, policy, persistence, latency and clock
    ///
    /// As `fanfare serve --redis` takes it; without a value, the one in FANFARE_REDIS: other users
    /// of this machine can read a flag, and with it a password. Nothing is written there.
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with_all = ["offline", "topic", "wait", "url"])]
    redis: Option<Option<String>>,
    #[cfg(feature = "redis")]
    /// Whose events are in that Redis; in a Redis Cluster it says on which server
    #[arg(long, value_name = "NAME", default_value = "fanfare", value_parser = Namespace::parse, requires = "redis")]
    namespace: Namespace,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Examines the machine, and the way to a hub.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<(), CommandError> {
    let mut report = DoctorReport::new(args.json);
    #[cfg(feature = "redis")]
    if let Some(url) = &args.redis {
        let url = redis::url(url.as_deref())?;
        block_on(redis::examine(&url, &args.namespace, &mut report))?;
        return report.verdict();
    }
    system::examine(&mut report)?;
    if !args.offline {
        let client = args.hub.client()?;
        if let Some(finding) = exposed(&args.hub.token()?, client.url()) {
            report.add(finding)?;
        }
        let mut examination = StreamDoctor::new(client, args.topic.clone(), args.wait);
        block_on(examination.run(&mut report))?;
    }
    report.verdict()
}

/// A token that anyone on the way can read.
fn exposed(token: &Option<BearerToken>, url: &fanfare_client::HubUrl) -> Option<DoctorFinding> {
    (token.is_some() && !url.is_encrypted() && !url.is_local()).then(|| {
        DoctorFinding::wrong(
            "token",
            format!("it is sent to {url} without encryption"),
            "use an https:// address, and have this token replaced",
        )
    })
}
