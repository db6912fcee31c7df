//! The way to a hub: subscribes through the URL, publishes, and watches what arrives when.
//!
//! Events are told apart from those of other examinations by a name of this one.

use std::time::{Duration, Instant};

use fanfare_client::{
    Client, EventStream, Message, PublishBatch, RequestError, RetryKey, StreamEnd, SubscribeOptions,
};
use fanfare_event::Topic;
use fanfare_sse::{Parsed, ParsedEvent};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};
use tokio::time::timeout;

use super::finding::{DoctorFinding, DoctorReport};
use crate::commands::CommandError;
use crate::commands::error::advice;

/// How many messages are published.
const MESSAGES: usize = 5;
/// How long a message or the beginning of a stream may take; a proxy that buffers takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What takes longer than this is not live.
const SLOW: Duration = Duration::from_millis(500);

const UNBUFFER: &str = "a proxy in front holds events back until its buffer is full. nginx: \
                        `proxy_buffering off; proxy_cache off; gzip off;` and `proxy_http_version \
                        1.1;`. Apache: `SetEnv no-gzip 1` and `flushpackets=on`. Caddy: no \
                        `encode` on this path. A CDN: pass text/event-stream through";

/// One examination of the way to a hub.
#[derive(Debug)]
pub(super) struct StreamDoctor {
    client: Client,
    topic: Topic,
    keepalive: Duration,
    /// The messages, each once.
    messages: Vec<String>,
    /// Their ids, once published.
    ids: Vec<String>,
}

/// What came instead of an event.
enum Missing {
    /// Nothing.
    Nothing,
    /// The end of the stream.
    End(StreamEnd),
}

impl StreamDoctor {
    pub(super) fn new(client: Client, topic: Topic, keepalive: Duration) -> Self {
        let name = RetryKey::random();
        let messages = (1..=MESSAGES).map(|n| format!("{name} {n}")).collect();
        Self { client, topic, keepalive, messages, ids: Vec::new() }
    }

    /// Looks at one thing after the other, until one is so wrong that the next cannot be looked at.
    pub(super) async fn run(&mut self, report: &mut DoctorReport) -> Result<(), CommandError> {
        let subscription = SubscribeOptions::new(vec![self.topic.as_str().to_owned()], Vec::new())?;
        let begun = Instant::now();
        let mut stream = match self.client.open(&subscription, None).await {
            Ok(stream) => stream,
            Err(error) => return report.add(self.explain_missing_stream(&error).await),
        };
        let took = begun.elapsed();
        report.add(DoctorFinding::good(
            "subscribe",
            format!("{} in {took:.1?}", self.client.url()),
        ))?;
        for finding in headers(stream.headers()) {
            report.add(finding)?;
        }
        report.add(opening(&mut stream).await)?;
        let live = self.live(&mut stream).await;
        report.add(live)?;
        if self.ids.len() == MESSAGES {
            report.add(self.resume(&subscription).await)?;
            report.add(self.repeat().await)?;
        }
        report.add(self.compression(&subscription).await)?;
        if self.keepalive > Duration::ZERO {
            report.add(self.keepalive(stream).await)?;
        }
        Ok(())
    }

    /// Why there is no stream. One of which not even the head comes, where a publish is answered,
    /// is being held back: nginx waits for a whole buffer before it passes on anything.
    async fn explain_missing_stream(&self, error: &RequestError) -> DoctorFinding {
        const CHECK: &str = "subscribe";
        let silent = matches!(error, RequestError::Silent { .. });
        if silent && self.client.publish(&self.batch(0)).await.is_ok() {
            let saw = format!("{error}, although a publish through the same address was answered");
            return DoctorFinding::wrong(CHECK, saw, UNBUFFER);
        }
        failed(CHECK, error)
    }

    /// Publishes, and measures when each message arrives.
    async fn live(&mut self, stream: &mut EventStream) -> DoctorFinding {
        const CHECK: &str = "live delivery";
        let mut worst = Duration::ZERO;
        for at in 0..MESSAGES {
            let begun = Instant::now();
            let id = match self.client.publish(&self.batch(at)).await {
                Ok(ids) => ids.into_iter().next().unwrap_or_default(),
                Err(error) => return failed("publish", &error),
            };
            let arrived = self.await_message(stream, at).await;
            self.ids.push(id);
            match arrived {
                Ok(_) => worst = worst.max(begun.elapsed()),
                Err(Missing::Nothing) => {
                    let saw = format!(
                        "a message was published and did not arrive within {} s",
                        TIMEOUT.as_secs()
                    );
                    return DoctorFinding::wrong(CHECK, saw, UNBUFFER);
                }
                Err(Missing::End(end)) => return ended(CHECK, &end),
            }
        }
        let saw =
            format!("{MESSAGES} messages, each published and received in {worst:.1?} or less");
        if worst < SLOW {
            return DoctorFinding::good(CHECK, saw);
        }
        DoctorFinding::advice(CHECK, saw, "if the network is not that slow, a proxy in front is")
    }

    /// Resumes after the first message: the others must come again, and not the first.
    async fn resume(&self, subscription: &SubscribeOptions) -> DoctorFinding {
        const CHECK: &str = "resume";
        let advice = "a client that reconnects will lose events or get them twice: have the proxy \
                      pass the Last-Event-ID header through, and see that all nodes behind this \
                      address share one event log";
        let after = HeaderValue::from_str(&self.ids[0]).ok();
        let mut stream = match self.client.open(subscription, after.as_ref()).await {
            Ok(stream) => stream,
            Err(error) => return failed(CHECK, &error),
        };
        for at in 1..MESSAGES {
            match self.await_message(&mut stream, at).await {
                Ok(first_seen) if first_seen == at => {}
                Ok(_) => {
                    return DoctorFinding::wrong(CHECK, "events came in another order", advice);
                }
                Err(Missing::Nothing) => {
                    let saw = "a second stream was not sent what followed the first message";
                    return DoctorFinding::wrong(CHECK, saw, advice);
                }
                Err(Missing::End(end)) => return ended(CHECK, &end),
            }
        }
        DoctorFinding::good(
            CHECK,
            "a second stream was sent exactly what followed the first message",
        )
    }

    /// Publishes the first message again, under its key.
    async fn repeat(&self) -> DoctorFinding {
        const CHECK: &str = "idempotency";
        match self.client.publish(&self.batch(0)).await {
            Ok(ids) if ids.first() == self.ids.first() => DoctorFinding::good(
                CHECK,
                "a publish repeated under its key was not published again",
            ),
            Ok(_) => DoctorFinding::wrong(
                CHECK,
                "a publish repeated under its key was published again",
                "have the proxy pass the Idempotency-Key header through, and see that all nodes \
                 behind this address share one event log",
            ),
            Err(error) => failed(CHECK, &error),
        }
    }

    /// Asks as a browser does, which would accept a compressed stream.
    async fn compression(&self, subscription: &SubscribeOptions) -> DoctorFinding {
        const CHECK: &str = "compression";
        let accept = HeaderValue::from_static("gzip, deflate, br, zstd");
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accept)]);
        let stream = match self.client.open_with(subscription, None, &headers).await {
            Ok(stream) => stream,
            Err(error) => return failed(CHECK, &error),
        };
        match stream.headers().get(CONTENT_ENCODING) {
            None => DoctorFinding::good(CHECK, "none is put on the stream"),
            Some(encoding) => DoctorFinding::wrong(
                CHECK,
                format!("something in front compresses the stream: {encoding:?}"),
                UNBUFFER,
            ),
        }
    }

    /// Waits for a sign of life on a stream on which nothing is published.
    async fn keepalive(&self, mut stream: EventStream) -> DoctorFinding {
        const CHECK: &str = "keepalive";
        let begun = Instant::now();
        let comment = async {
            loop {
                match stream.next().await {
                    Ok(Parsed::Comment(_)) => return Ok(()),
                    Ok(_) => {}
                    Err(end) => return Err(end),
                }
            }
        };
        let seconds = |elapsed: Duration| format!("{:.1} s", elapsed.as_secs_f64());
        match timeout(self.keepalive, comment).await {
            Ok(Ok(())) => {
                DoctorFinding::good(CHECK, format!("seen after {}", seconds(begun.elapsed())))
            }
            Ok(Err(end)) => DoctorFinding::wrong(
                CHECK,
                format!("the quiet stream ended after {}: {end}", seconds(begun.elapsed())),
                "give the proxy a longer read time-out (nginx: `proxy_read_timeout 1h`), or the \
                 hub a shorter --heartbeat",
            ),
            Err(_) => DoctorFinding::advice(
                CHECK,
                format!("none in {}", seconds(self.keepalive)),
                "if the hub's --heartbeat is shorter than that, something in front holds it back; \
                 if it is longer, wait longer with --wait",
            ),
        }
    }

    /// Reads on until the message of this number comes; returns the number of the first of this
    /// examination's messages that was met.
    async fn await_message(&self, stream: &mut EventStream, at: usize) -> Result<usize, Missing> {
        let mut first = None;
        let wanted = async {
            loop {
                let Parsed::Event(ParsedEvent { data, .. }) = stream.next().await? else {
                    continue;
                };
                // Data is the message in an envelope; none of the messages is part of another.
                let met = self.messages.iter().position(|message| data.contains(message));
                let Some(met) = met else { continue };
                let first = *first.get_or_insert(met);
                if met == at {
                    return Ok(first);
                }
            }
        };
        match timeout(TIMEOUT, wanted).await {
            Ok(arrived) => arrived.map_err(Missing::End),
            Err(_) => Err(Missing::Nothing),
        }
    }

    /// The message of this number, always under the same key.
    fn batch(&self, at: usize) -> PublishBatch {
        let text = &self.messages[at];
        let key = RetryKey::parse(text).unwrap_or_else(|_| RetryKey::random());
        PublishBatch::single(Message { topic: &self.topic, event: None, text }, key)
    }
}

/// What the headers must say for the way to leave the stream alone.
fn headers(headers: &HeaderMap) -> Vec<DoctorFinding> {
    const CACHE: &str = "Cache-Control";
    const BUFFERING: &str = "X-Accel-Buffering";
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let cache = text(CACHE_CONTROL.as_str()).unwrap_or_default();
    let cache = if cache.contains("no-store") && cache.contains("no-transform") {
        DoctorFinding::good(CACHE, cache)
    } else {
        let saw = format!("it arrives as {cache:?}, not as `no-store, no-transform`");
        let advice = "a cache may keep the stream, or rewrite it: have the proxy leave the header \
                      as it is";
        DoctorFinding::wrong(CACHE, saw, advice)
    };
    let buffering = match text("x-accel-buffering") {
        Some("no") => DoctorFinding::good(BUFFERING, "no"),
        _ => DoctorFinding::good(BUFFERING, "not passed on; nginx removes it after applying it"),
    };
    vec![cache, buffering]
}

/// The hub says something at once: what is not there at once is held back.
async fn opening(stream: &mut EventStream) -> DoctorFinding {
    const CHECK: &str = "first bytes";
    let begun = Instant::now();
    match timeout(TIMEOUT, stream.next()).await {
        Ok(Ok(_)) => DoctorFinding::good(CHECK, format!("there after {:.1?}", begun.elapsed())),
        Ok(Err(end)) => ended(CHECK, &end),
        Err(_) => {
            let saw = format!("none within {} s of the headers", TIMEOUT.as_secs());
            DoctorFinding::wrong(CHECK, saw, UNBUFFER)
        }
    }
}

fn failed(check: &'static str, error: &RequestError) -> DoctorFinding {
    let advice = advice(error).unwrap_or_else(|| "see what the hub and the proxy log".to_owned());
    DoctorFinding::wrong(check, error.to_string(), advice)
}

fn ended(check: &'static str, end: &StreamEnd) -> DoctorFinding {
    let advice = "a hub closes streams when it shuts down or has too many (see its log and \
                  --max-subscribers); otherwise something in front did";
    DoctorFinding::wrong(check, end.to_string(), advice)
}
