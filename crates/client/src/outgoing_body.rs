//! What a request sends: all of it is there, or it is fed.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// The body of a request.
pub(crate) type OutgoingBody = Either<Full<Bytes>, Pipe>;

/// A body that is fed, until whoever feeds it has gone.
#[derive(Debug)]
pub(crate) struct Pipe(pub(crate) mpsc::Receiver<Bytes>);

impl Body for Pipe {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
