//! The executor that HTTP/2 gives its streams to: every stream's task is counted and ends with the server.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns onto a tracker; cancelling the token ends every task at its next await.
#[derive(Debug, Clone)]
pub(super) struct OwnedExecutor {
    pub(super) tracker: TaskTracker,
    pub(super) ended: CancellationToken,
}

impl<F> Executor<F> for OwnedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let ended = self.ended.clone();
        self.tracker
            .spawn(async move { ended.run_until_cancelled_owned(future).await.map(drop) });
    }
}
