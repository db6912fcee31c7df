//! A command for each event.

use std::process::{ExitStatus, Stdio};

use fanfare_client::ReceivedEvent;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::commands::terminal::warn;

/// Runs a shell command for each event, and counts how often it failed.
#[derive(Debug)]
pub(super) struct Exec<'a> {
    command: &'a str,
    pub(super) failed: u64,
}

impl<'a> Exec<'a> {
    pub(super) fn new(command: &'a str) -> Self {
        Self { command, failed: 0 }
    }

    /// Runs it to its end. Meanwhile nothing is read from the stream: the hub keeps what follows,
    /// and if it closes the stream because nobody reads, it is resumed.
    pub(super) async fn run(&mut self, event: &ReceivedEvent) {
        let problem = match self.ended(event).await {
            Ok(status) if status.success() => return,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.failed += 1;
        warn(format_args!("the command failed for event {}: {problem}", event.id));
    }

    async fn ended(&self, event: &ReceivedEvent) -> std::io::Result<ExitStatus> {
        let mut child = Command::new("sh")
            .args(["-c", self.command])
            .env("FANFARE_ID", &event.id)
            .env("FANFARE_EVENT", event.event.as_deref().unwrap_or_default())
            .env("FANFARE_TOPIC", &event.topic)
            .stdin(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A command need not read its input.
                let _ = stdin.write_all(event.data.as_bytes()).await;
            }
        };
        let (status, ()) = tokio::join!(child.wait(), feed);
        status
    }
}
