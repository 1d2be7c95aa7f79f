//! What every part of the edge knows about shutting down, and what is still in flight.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The state of shutting down. Clones share it.
///
/// Two tokens, because a stop has two moments: at *refusing*, new work is turned away and long-lived streams say good
/// bye; at *closed*, connections are ended.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    refusing: CancellationToken,
    closed: CancellationToken,
    in_flight: TaskTracker,
}

impl Drain {
    /// Nothing is shutting down.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on new work is refused.
    pub fn refuse(&self) {
        self.refusing.cancel();
        self.in_flight.close();
    }

    /// Whether new work is refused.
    pub fn is_refusing(&self) -> bool {
        self.refusing.is_cancelled()
    }

    /// Waits until new work is refused: the moment at which streams end.
    pub async fn refusing(&self) {
        self.refusing.cancelled().await;
    }

    /// Counts a request or stream as in flight until the token is dropped.
    pub fn begin(&self) -> TaskTrackerToken {
        self.in_flight.token()
    }

    /// How many requests and streams are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits until nothing is in flight, at most `limit`; tells whether it came to that.
    pub(super) async fn finished(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.in_flight.wait())
            .await
            .is_ok()
    }
}
