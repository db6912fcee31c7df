//! Lines in one request that goes on: quicker than batches, and without a key.
//!
//! What must hold: the order is kept, and no line is lost while the hub comes back in time: what was not answered is
//! sent again. Only where an answer was lost with its connection may that be twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fanfare_client::{Backoff, LineAnswer, LineAnswers, LineSender, PublishError, RequestError};
use fanfare_event::Position;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::lines::LineBatch;
use super::{PublishSession, warn_about_replaced_bytes};
use crate::commands::CommandError;
use crate::commands::terminal::note;

/// How many bytes of lines may wait for their answer.
const WINDOW: usize = 8 * 1024 * 1024;
/// How much is sent at once, in bytes.
const PIECE: usize = 64 * 1024;
/// The first wait after a failure, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Where lines come from.
type Input = mpsc::Receiver<Result<LineBatch, CommandError>>;

/// The lines that have no answer yet.
#[derive(Debug, Default)]
struct UnansweredLines {
    lines: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// How many of them were sent in this request.
    sent: usize,
    /// How many lines of this request were answered.
    answered: u64,
    /// There will be no more.
    is_last: bool,
}

/// How a request ended.
enum RequestEnd {
    /// All lines are published.
    Complete,
    /// Not all; whether anything was published since it began.
    Failed(RequestError, bool),
}

impl PublishSession<'_> {
    /// Publishes lines as they come.
    pub(super) async fn stream(
        &mut self,
        mut input: Input,
        retry_for: Duration,
    ) -> Result<(), CommandError> {
        let mut window = UnansweredLines::default();
        let mut backoff = Backoff::new(WAITS.0, WAITS.1);
        let (mut failing, mut attempts, mut unknown) = (None, 0, false);
        let mut replaced = 0;
        loop {
            let (end, opened) = match self.client.publish_lines().await {
                Ok((sender, answers)) => {
                    window.begin();
                    let end = self.request(&mut input, &mut window, &mut replaced, sender, answers);
                    (end.await?, true)
                }
                Err(error) => (RequestEnd::Failed(error, false), false),
            };
            let (error, progressed) = match end {
                RequestEnd::Complete => return self.out.flush(),
                RequestEnd::Failed(error, progressed) => (error, progressed),
            };
            self.out.flush()?;
            // A request that had nothing to send has not failed to send it.
            if progressed || (opened && window.lines.is_empty()) {
                (failing, attempts, unknown) = (None, 0, false);
            }
            if progressed {
                backoff.succeeded();
            }
            let line = window.lines.front().map_or(1, |(line, _)| *line);
            if !error.may_pass() {
                let source = PublishError::Refused(error);
                return Err(CommandError::PublishLine { line, source });
            }
            attempts += 1;
            unknown |= window.sent > 0 && error.outcome_is_unknown();
            let after = failing.get_or_insert_with(Instant::now).elapsed();
            let asked_for = error.answer().and_then(|answer| answer.retry_after);
            let wait = backoff.failed().max(asked_for.unwrap_or_default());
            if after + wait > retry_for {
                let source = PublishError::GaveUp {
                    attempts,
                    after,
                    source: error,
                    outcome_is_unknown: unknown,
                };
                return Err(CommandError::PublishLine { line, source });
            }
            if attempts == 1 {
                let seconds = retry_for.as_secs();
                note(format_args!("{error}; going on with line {line}, for up to {seconds} s"));
            }
            sleep(wait).await;
        }
    }

    /// Sees one request to its end.
    async fn request(
        &mut self,
        input: &mut Input,
        window: &mut UnansweredLines,
        replaced: &mut usize,
        sender: LineSender,
        mut answers: LineAnswers,
    ) -> Result<RequestEnd, CommandError> {
        // Gone once there is nothing more to send.
        let mut sender = Some(sender);
        let (mut progressed, mut piece) = (false, Bytes::new());
        loop {
            if piece.is_empty() {
                piece = window.unsent();
            }
            if window.is_last && piece.is_empty() {
                sender = None;
            }
            let send = async {
                match &sender {
                    Some(sender) if !piece.is_empty() => sender.send(piece.clone()).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = answers.next() => match answer {
                    Ok(LineAnswer::Published { lines: [_, last], first, .. }) => {
                        progressed = true;
                        self.published(window, last, &first)?;
                    }
                    Ok(LineAnswer::Refused { line, answer }) => {
                        self.out.flush()?;
                        let line = window.answer(line).next_back().map_or(line, |(line, _)| line);
                        let source = PublishError::Refused(answers.refusal(answer));
                        return Err(CommandError::RefusedLine { line, source });
                    }
                    Ok(LineAnswer::Ended { why: None, .. }) if window.lines.is_empty() => {
                        return Ok(RequestEnd::Complete);
                    }
                    Ok(LineAnswer::Ended { why, .. }) => {
                        // What has no answer was not published.
                        window.sent = 0;
                        let error = match why {
                            Some(answer) => answers.refusal(answer),
                            None => continue,
                        };
                        return Ok(RequestEnd::Failed(error, progressed));
                    }
                    Err(error) => return Ok(RequestEnd::Failed(error, progressed)),
                },
                sent = send => match sent {
                    Ok(()) => window.was_sent(std::mem::take(&mut piece).len()),
                    // The answers say why.
                    Err(_) => sender = None,
                },
                lines = input.recv(), if !window.is_last && window.bytes < WINDOW => {
                    let Some(lines) = lines else {
                        window.is_last = true;
                        continue;
                    };
                    let lines = lines?;
                    warn_about_replaced_bytes(&lines, replaced);
                    for (number, text) in (lines.first..).zip(&lines.texts) {
                        let line = self.message(text).to_line();
                        window.bytes += line.len();
                        window.lines.push_back((number, line));
                    }
                }
            }
        }
    }

    /// Lines up to this one are published, the first of those without an answer under this id.
    fn published(
        &mut self,
        window: &mut UnansweredLines,
        last: u64,
        first: &str,
    ) -> Result<(), CommandError> {
        let ids = first.parse::<Position>().ok();
        for (n, (line, _)) in (0..).zip(window.answer(last)) {
            match ids {
                Some(first) => self.acknowledged(Some(line), &first.plus(n).to_string())?,
                None => self.acknowledged(Some(line), first)?,
            }
        }
        self.out.flush()
    }
}

impl UnansweredLines {
    /// A new request begins.
    fn begin(&mut self) {
        (self.sent, self.answered) = (0, 0);
    }

    /// What is to be sent next.
    fn unsent(&self) -> Bytes {
        let mut piece = BytesMut::new();
        for (_, line) in self.lines.iter().skip(self.sent) {
            if !piece.is_empty() && piece.len() + line.len() > PIECE {
                break;
            }
            piece.extend_from_slice(line);
        }
        piece.freeze()
    }

    /// So many bytes of it were sent: whole lines.
    fn was_sent(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some((_, line)) = self.lines.get(self.sent) else { return };
            bytes = bytes.saturating_sub(line.len());
            self.sent += 1;
        }
    }

    /// The lines that are answered by what is said of this one of the request.
    fn answer(&mut self, line: u64) -> std::vec::IntoIter<(u64, Bytes)> {
        let count = usize::try_from(line.saturating_sub(self.answered)).unwrap_or(usize::MAX);
        let count = count.min(self.sent);
        self.answered = line;
        self.sent -= count;
        let answered: Vec<_> = self.lines.drain(..count).collect();
        self.bytes -= answered.iter().map(|(_, line)| line.len()).sum::<usize>();
        answered.into_iter()
    }
}
