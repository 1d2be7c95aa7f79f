//! Long-lived answers (WebSockets, event streams): how many there may be, and what ends them from outside.

use futures::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::caller::Caller;
use super::codes;
use super::listen::Drain;
use super::problem::Problem;
use super::state::AppState;

/// Why a stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The server is stopping.
    Stopping,
    /// The caller's token was revoked or has expired, or their session has ended.
    TokenEnded,
}

/// A place among the streams. The server waits for its holder when it drains.
pub(crate) struct StreamPlace {
    _place: OwnedSemaphorePermit,
    _in_flight: TaskTrackerToken,
    drain: Drain,
    token_ended: BoxFuture<'static, ()>,
}

impl StreamPlace {
    /// Takes a place for `caller`.
    ///
    /// # Errors
    /// 503 when all places are taken.
    pub(crate) fn take(edge: &AppState, caller: &Caller) -> Result<Self, Problem> {
        let place = edge
            .stream_places
            .clone()
            .try_acquire_owned()
            .map_err(|_| {
                edge.meters.shed();
                let detail = "too many streams are open; close one or try again";
                Problem::new(&codes::OVERLOADED, detail)
                    .retry_after(std::time::Duration::from_secs(5))
            })?;
        let token_ended = edge.gate.ended(caller);
        Ok(Self {
            _place: place,
            _in_flight: edge.drain.begin(),
            drain: edge.drain.clone(),
            token_ended,
        })
    }

    /// Waits until the stream has to end. Cancel-safe.
    pub(crate) async fn end(&mut self) -> StreamEnd {
        tokio::select! {
            () = self.drain.refusing() => StreamEnd::Stopping,
            () = &mut self.token_ended => StreamEnd::TokenEnded,
        }
    }
}
