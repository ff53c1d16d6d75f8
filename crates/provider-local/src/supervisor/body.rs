//! The body of an answer, counted while it is passed back.

use super::{instance::Ticket, meters::Meters};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// One request to a release, until its answer has been passed back: then it is counted.
pub(super) struct Count {
    meters: Arc<Meters>,
    ticket: Ticket,
    began: Instant,
    is_error: bool,
}

impl Count {
    /// A request that is under way.
    pub(super) fn new(meters: Arc<Meters>, ticket: Ticket, began: Instant) -> Self {
        Count { meters, ticket, began, is_error: false }
    }

    /// The release did not answer as it should.
    pub(super) fn fail(&mut self) {
        self.is_error = true;
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.meters.count(&self.ticket.instance().version, self.began.elapsed(), self.is_error);
    }
}

/// The body of an answer.
pub(super) struct Counted {
    body: Incoming,
    count: Option<Count>,
}

impl Counted {
    pub(super) fn new(body: Incoming, count: Count) -> Self {
        // An answer without a body is not asked for frames.
        let count = Some(count).filter(|_| !body.is_end_stream());
        Counted { body, count }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => {
                if let Some(count) = &mut self.count {
                    count.fail();
                }
                self.count = None;
            }
            // With the last frame, and not after it: the caller may ask what was counted as soon as it has the answer.
            Some(Ok(_)) if self.body.is_end_stream() => self.count = None,
            None => self.count = None,
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
