//! `fanfare subscribe`: events as lines, or a command for each.

mod exec;
mod hang_up;
mod render;

use std::time::Duration;

use clap::Args;
use fanfare_client::{Item, ReceivedEvent, SubscribeOptions};
use fanfare_settings::parse_duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::exec::Exec;
use self::hang_up::HangUp;
use self::render::Form;
use super::CommandError;
use super::client_runtime::block_on;
use super::hub_args::HubArgs;
use super::terminal::{Output, note, note_to_a_person, warn};
use crate::exit::CODES;

const EXAMPLES: &str = "\
Examples:
  Watch the topic `default`, or a family of topics:
    fanfare subscribe
    fanfare subscribe 'orders/**' alerts
  One JSON object a line (id, event, topic, published_at, data), from the beginning of history:
    fanfare subscribe orders/1 --since earliest --json | jq -r .data
  Run a command for each event, one after the other; it reads the data from standard input:
    fanfare subscribe deploys --exec './deploy.sh \"$FANFARE_EVENT\"'
  Wait for one event of a type:
    fanfare subscribe jobs/17 --event done --count 1

Events are printed as their data, with the topic before it where there may be several, and the
type where they have one. Gaps and reconnects are reported on standard error; on a terminal, so is
the first connection. A lost stream is taken up again after the last event that was received.";

/// What `fanfare subscribe` is asked.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct SubscribeArgs {
    /// Topics, and patterns in which `*` is one segment and `**` any number [default: default]
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only events of this type, `message` for those without; may be repeated
    #[arg(long = "event", value_name = "TYPE")]
    types: Vec<String>,
    /// Begin after the event with this id, or with `earliest` at the beginning of history
    #[arg(long, value_name = "ID")]
    since: Option<String>,
    /// Print one JSON object for each event
    #[arg(long, conflicts_with = "exec")]
    json: bool,
    /// Run this shell command for each event, with the data on its standard input
    ///
    /// One at a time, in order, by `sh -c`. FANFARE_ID, FANFARE_EVENT (empty where the event has
    /// no type) and FANFARE_TOPIC are in its environment. One that fails is reported on standard
    /// error, and makes the exit code 1 in the end.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Stop after this many events
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Receive events at most this often, several at a time: 10ms to 10s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    interval: Option<Duration>,
    /// Wait for a hub that is not there yet, rather than fail at the first attempt
    #[arg(long)]
    wait: bool,
    /// Reconnect when not even a keepalive has come for this long
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = parse_duration)]
    silence: Duration,
    #[command(flatten)]
    hub: HubArgs,
}

/// Subscribes to what was asked for.
pub(crate) fn subscribe(args: &SubscribeArgs) -> Result<(), CommandError> {
    let mut subscription = SubscribeOptions::new(args.topics.clone(), args.types.clone())?;
    if let Some(id) = &args.since {
        subscription = subscription.after(id)?;
    }
    subscription.silence = args.silence;
    subscription.interval = args.interval;
    subscription.wait_for_hub = args.wait;
    let client = args.hub.client()?;
    block_on(async {
        let interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Start)?;
        let form = Form::new(args.json, &subscription);
        let exec = args.exec.as_deref().map(Exec::new);
        let session =
            SubscribeSession { out: Output::new(), form, exec, interrupt, left: args.count };
        session.run(client.subscribe(subscription)).await
    })
}

struct SubscribeSession<'a> {
    out: Output,
    form: Form,
    exec: Option<Exec<'a>>,
    interrupt: Signal,
    left: Option<u64>,
}

impl SubscribeSession<'_> {
    async fn run(
        mut self,
        mut subscriber: fanfare_client::ResumingSubscriber,
    ) -> Result<(), CommandError> {
        let hang_up = HangUp::of_output();
        while self.left != Some(0) {
            // Output is written once nothing more has arrived.
            let item = match subscriber.next_unread()? {
                Some(item) => item,
                None => {
                    self.out.flush()?;
                    tokio::select! {
                        item = subscriber.next() => item?,
                        _ = self.interrupt.recv() => return Err(CommandError::Interrupted),
                        error = hang_up.wait() => return Err(CommandError::Output(error)),
                    }
                }
            };
            self.take(item).await?;
        }
        self.out.flush()?;
        match self.exec {
            Some(Exec { failed, .. }) if failed > 0 => Err(CommandError::Exec(failed)),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, item: Item) -> Result<(), CommandError> {
        match item {
            Item::Event(event) => {
                self.left = self.left.map(|left| left - 1);
                return self.event(&event).await;
            }
            Item::Gap(gap) => warn(format_args!(
                "gap ({}): events after {} are gone; going on after {}",
                gap.reason, gap.requested, gap.resumed_from
            )),
            Item::Connected { again: false, .. } => {
                note_to_a_person("connected; Ctrl-C ends it");
            }
            Item::Connected { again: true, after: Some(id) } => {
                note(format_args!("connected again, going on after {id}"));
            }
            Item::Connected { again: true, after: None } => warn(
                "connected again; the hub had given no id to go on after, so events published \
                 meanwhile are missed",
            ),
            Item::Disconnected { reason, retry_in } => {
                note(format_args!("{reason}; connecting again in {:.1} s", retry_in.as_secs_f64()));
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: &ReceivedEvent) -> Result<(), CommandError> {
        let Some(exec) = &mut self.exec else {
            return self.out.write(|buffer| self.form.render(event, buffer));
        };
        tokio::select! {
            () = exec.run(event) => Ok(()),
            _ = self.interrupt.recv() => Err(CommandError::Interrupted),
        }
    }
}
