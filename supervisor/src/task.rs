//! Tasks with an owner. A task that nobody owns is a leak that nobody sees: this is the one place that spawns.

use std::future::Future;

use tokio::task::{AbortHandle, JoinHandle};

/// A running task. Dropping it aborts the task.
#[derive(Debug)]
pub struct OwnedTask {
    handle: JoinHandle<()>,
}

impl OwnedTask {
    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Aborts the task at its next await.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// A handle that can abort the task from elsewhere.
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle.abort_handle()
    }

    /// Waits for the end of the task, however it ends. Cancel-safe: dropping the future leaves the task running until
    /// `self` is dropped.
    pub async fn finished(&mut self) {
        if let Err(error) = (&mut self.handle).await
            && error.is_panic()
        {
            tracing::error!(%error, "owned task panicked");
        }
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Spawns `future`; the returned value owns it.
#[must_use = "dropping the task aborts it"]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that spawns tasks; the result owns them"
)]
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> OwnedTask {
    OwnedTask {
        handle: tokio::spawn(future),
    }
}

/// Runs something that ends at its first poll, from outside of the runtime. It has no await, so there is nothing to own.
pub(crate) fn knock(
    runtime: &tokio::runtime::Handle,
    answer: impl Future<Output = ()> + Send + 'static,
) {
    drop(runtime.spawn(answer));
}
