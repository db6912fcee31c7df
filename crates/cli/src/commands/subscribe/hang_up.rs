//! Hang-up: noticing that nobody reads the output any more, before there is something to write.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

/// Watches standard output, where it is a pipe.
#[derive(Debug)]
pub(super) struct HangUp(Option<Sender>);

impl HangUp {
    pub(super) fn of_output() -> Self {
        Self(watch().ok().flatten())
    }

    /// Resolves once the pipe's reader has gone.
    pub(super) async fn wait(&self) -> io::Error {
        let Some(pipe) = &self.0 else { return std::future::pending().await };
        match pipe.ready(Interest::ERROR).await {
            Ok(_) => io::ErrorKind::BrokenPipe.into(),
            Err(error) => error,
        }
    }
}

fn watch() -> io::Result<Option<Sender>> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if !output.metadata()?.file_type().is_fifo() {
        return Ok(None);
    }
    // Nothing is written through it, so the pipe, which others may share, can stay as it is:
    // blocking.
    Sender::from_file_unchecked(output).map(Some)
}
