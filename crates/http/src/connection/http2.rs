//! HTTP/2: driven by hyper, within bounds on what a peer may make of one connection.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answerer, BodyService, PIECE};
use super::connections::Connections;
use super::http2_frames::Http2Frames;
use super::lifecycle::Lifecycle;
use super::limits::ConnectionLimits;
use super::progress::ResponseTasks;
use super::served_connection::ServedConnection;
use crate::metrics::RefusalReason;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// How much of requests an HTTP/2 peer may send ahead of what is read, in bytes: for one, and for
/// all of a connection.
const HTTP2_WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);
/// How many streams an HTTP/2 peer may have reset, faster than they are dealt with, before its
/// connection is closed ("rapid reset", CVE-2023-44487); and how many it may have made us reset.
const HTTP2_RESETS: (usize, usize) = (20, 64);

/// Serves HTTP/2, in clear text or over TLS, until the connection ends. Not an `async fn`: that would keep
/// room for the stream as it came and for the connection as it was built beside the one that runs.
pub(super) fn serve<I>(
    stream: I,
    answer: Answerer,
    connections: &Connections,
) -> ServedConnection<'_>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ConnectionLimits { head, http2_requests, .. } = connections.limits;
    // One that comes during the drain is told to go only when it has had its answers.
    let late = connections.has_reached(Lifecycle::Draining);
    let goes = if late { Lifecycle::Stopping } else { Lifecycle::Draining };
    let (stream, flooded) = Http2Frames::new(stream);
    let mut connection = Box::pin(
        http2::Builder::new(ResponseTasks)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .max_concurrent_streams(http2_requests)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(HTTP2_RESETS.0)
            .max_local_error_reset_streams(HTTP2_RESETS.1)
            .initial_stream_window_size(HTTP2_WINDOWS.0)
            .initial_connection_window_size(HTTP2_WINDOWS.1)
            // Of each answer: the next piece is asked for where less than this waits. It is a copy.
            .max_send_buf_size(PIECE)
            .serve_connection(TokioIo::new(stream), BodyService(answer)),
    );
    Box::pin(async move {
        let early = tokio::select! {
            served = &mut connection => Some(served),
            () = connections.reached(goes) => None,
        };
        let served = match early {
            Some(served) => served,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if flooded.load(Ordering::Relaxed) {
            connections.refused(RefusalReason::Flood);
            return served.map_err(Into::into);
        }
        connections.count(served).map_err(Into::into)
    })
}
