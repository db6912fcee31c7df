//! `fanfare publish`: one message, or standard input line by line.

mod lines;
mod stream;

use std::io;
use std::time::Duration;

use clap::Args;
use fanfare_client::{Client, Message, PublishBatch, PublishError, RetryKey, RetryNotice};
use fanfare_event::{EventType, Topic};
use fanfare_settings::parse_duration;
use serde_json::json;

use self::lines::LineBatch;
use super::CommandError;
use super::client_runtime::block_on;
use super::hub_args::HubArgs;
use super::terminal::{Output, note, warn};
use crate::exit::CODES;

/// How long a single message is tried for: over a short restart, not over a person's patience.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// How long lines are tried for: within the hub's default `--idempotency-window` of five minutes,
/// so that a line is never published twice.
const RETRY_LINES_FOR: Duration = Duration::from_secs(240);
/// What stands for standard input.
const STDIN: &str = "-";

const NO_MESSAGE: &str = "\
give a message, as in `fanfare publish 'Hello'`, or `-` for the lines of standard input, as in
  `echo Hello | fanfare publish -`";

const EXAMPLES: &str = "\
Examples:
  Publish to the topic `default`, or to another:
    fanfare publish 'Hello from server!'
    fanfare publish orders/1 '{\"state\": \"paid\"}' --event order.paid
  Follow a log file live; a restart of the hub loses no line and doubles none:
    tail -f app.log | fanfare publish logs -
  Publish as much as goes through, a million lines in some seconds:
    fanfare publish readings - --stream --quiet < readings.txt
  Publish once, however often it is run:
    fanfare publish reports 'ready' --key report-2026-11-24

What is printed is the id of each message, one a line.";

/// What `fanfare publish` is asked.
#[derive(Debug, Args)]
#[command(
    override_usage = "fanfare publish [OPTIONS] [TOPIC] <MESSAGE>\n       \
                      fanfare publish [OPTIONS] [TOPIC] -",
    after_help = "The message `-` stands for standard input, each line of which is a message.",
    after_long_help = format!("{EXAMPLES}\n\n{CODES}"),
)]
pub(crate) struct PublishArgs {
    /// Topic (`default` if left out) and message; the message `-` stands for standard input
    #[arg(num_args = 0..=2, value_name = "MESSAGE")]
    words: Vec<String>,
    /// Event type; browsers listen for it by this name
    #[arg(long, value_name = "TYPE", value_parser = EventType::given)]
    event: Option<EventType>,
    /// Idempotency key: the hub publishes once for it, however often this is run
    ///
    /// The hub remembers keys for its --idempotency-window. Without this flag every run has a
    /// key of its own, under which it repeats what failed.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Most lines of standard input in one request
    ///
    /// Lines that are there are sent at once; only those that arrive while a request is under way
    /// share the next one.
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Publish standard input in one request that goes on: quicker, and without a key
    ///
    /// Each line is acknowledged as soon as it is durable. A line whose acknowledgement is lost
    /// with the connection may be published twice; behind a line that is refused, others may have
    /// been published.
    #[arg(long, conflicts_with_all = ["key", "batch"])]
    stream: bool,
    /// Keep trying this long when the hub is away or busy [default: 2s, with standard input 4m]
    ///
    /// Beyond the hub's --idempotency-window, which is 5m unless set, a message may be published
    /// twice.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    retry_for: Option<Duration>,
    /// Print one JSON object for each message: its id, and its line
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print no ids
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Publishes what was asked for.
pub(crate) fn publish(args: &PublishArgs) -> Result<(), CommandError> {
    let (topic, message) = match &args.words[..] {
        [topic, message] => (topic.as_str(), message),
        [message] => (Topic::DEFAULT, message),
        _ => return Err(CommandError::Flags(NO_MESSAGE)),
    };
    let topic = Topic::given(topic)
        .map_err(|source| CommandError::Topic { text: topic.to_owned(), source })?;
    let key = args.key.as_deref().map(RetryKey::parse).transpose()?;
    let mut publisher =
        PublishSession { client: args.hub.client()?, topic, args, out: Output::new() };
    block_on(async {
        if message == STDIN {
            if key.is_some() {
                return Err(CommandError::Flags("--key is for one message, not for lines"));
            }
            publisher.lines().await
        } else if args.stream {
            Err(CommandError::Flags("--stream is for lines: give `-` for those of standard input"))
        } else {
            publisher.single(message, key.unwrap_or_else(RetryKey::random)).await
        }
    })
}

struct PublishSession<'a> {
    client: Client,
    topic: Topic,
    args: &'a PublishArgs,
    out: Output,
}

impl PublishSession<'_> {
    async fn single(&mut self, message: &str, key: RetryKey) -> Result<(), CommandError> {
        let batch = PublishBatch::single(self.message(message), key);
        let retry_for = self.args.retry_for.unwrap_or(RETRY_FOR);
        let ids = self.client.publish_with_retries(&batch, retry_for, |_| ()).await?;
        for id in ids {
            self.acknowledged(None, &id)?;
        }
        self.out.flush()
    }

    /// Publishes standard input, one request after the other, so that the order is kept.
    async fn lines(&mut self) -> Result<(), CommandError> {
        let mut lines = lines::read(io::stdin(), usize::from(self.args.batch));
        let retry_for = self.args.retry_for.unwrap_or(RETRY_LINES_FOR);
        if self.args.stream {
            return self.stream(lines, retry_for).await;
        }
        let mut replaced = 0;
        while let Some(lines) = lines.recv().await {
            let lines = lines?;
            warn_about_replaced_bytes(&lines, &mut replaced);
            self.piece(&lines, retry_for).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, lines: &LineBatch, retry_for: Duration) -> Result<(), CommandError> {
        // A request is accepted or refused as a whole: halving a refused one publishes the good
        // lines before a bad one, and finds out which that is.
        let mut parts = vec![(lines.first, &lines.texts[..])];
        while let Some((first, texts)) = parts.pop() {
            let messages = texts.iter().map(|text| self.message(text));
            let batch = PublishBatch::of(messages, RetryKey::random());
            let mut attempts = 1;
            let published = self
                .client
                .publish_with_retries(&batch, retry_for, |retry| {
                    attempts = retry.attempts + 1;
                    if retry.attempts == 1 {
                        note(trying_again(retry, retry_for));
                    }
                })
                .await;
            match published {
                Ok(ids) => {
                    if attempts > 1 {
                        note(format_args!("published after {attempts} attempts"));
                    }
                    for (line, id) in (first..).zip(&ids) {
                        self.acknowledged(Some(line), id)?;
                    }
                    self.out.flush()?;
                }
                Err(error) if texts.len() > 1 && is_about_the_content(&error) => {
                    let (before, after) = texts.split_at(texts.len() / 2);
                    parts.push((first + before.len() as u64, after));
                    parts.push((first, before));
                }
                Err(source) => return Err(CommandError::PublishLine { line: first, source }),
            }
        }
        Ok(())
    }

    fn message<'a>(&'a self, text: &'a str) -> Message<'a> {
        Message { topic: &self.topic, event: self.args.event.as_ref(), text }
    }

    fn acknowledged(&mut self, line: Option<u64>, id: &str) -> Result<(), CommandError> {
        match (self.args.json, line) {
            _ if self.args.quiet => Ok(()),
            (false, _) => self.out.line(id),
            (true, None) => self.out.line(json!({ "id": id })),
            (true, Some(line)) => self.out.line(json!({ "line": line, "id": id })),
        }
    }
}

/// Says once that what was read is not what was given.
fn warn_about_replaced_bytes(lines: &LineBatch, replaced: &mut usize) {
    if lines.replaced > 0 && *replaced == 0 {
        warn("the input is not UTF-8 throughout; what is not is replaced by U+FFFD");
    }
    *replaced += lines.replaced;
}

fn is_about_the_content(error: &PublishError) -> bool {
    let answer = error.request_error().answer();
    answer.is_some_and(|answer| matches!(answer.status.as_u16(), 400 | 413 | 422))
}

fn trying_again(retry: &RetryNotice<'_>, retry_for: Duration) -> String {
    format!("{}; trying again for up to {} s", retry.error, retry_for.as_secs())
}
