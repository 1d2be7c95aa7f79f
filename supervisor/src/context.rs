//! What a worker can do besides serving: own tasks, timers, reports about its own health.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::address::{Address, Load, Reply};
use crate::board::Board;
use crate::cell::NodeCell;
use crate::level::Level;
use crate::panics::caught_as;
use crate::status::Detail;

/// What a node says of its own health while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How well it serves.
    pub level: Level,
    /// Stable code, `<domain>.<what>`.
    pub code: &'static str,
    /// What is wrong, for an operator. No secrets.
    pub message: String,
    /// What the user loses; the manifest's sentence for the level where there is none.
    pub impact: Option<String>,
    /// What serves instead; the manifest's where there is none.
    pub fallback: Option<String>,
    /// The node where it began, when that is another one (`/store`).
    pub root: Option<String>,
}

impl Condition {
    /// A condition without texts of its own for impact and fallback.
    pub fn new(level: Level, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level,
            code,
            message: message.into(),
            impact: None,
            fallback: None,
            root: None,
        }
    }

    /// Sets [`Condition::impact`].
    #[must_use]
    pub fn with_impact(mut self, impact: impl Into<String>) -> Self {
        self.impact = Some(impact.into());
        self
    }

    /// Sets [`Condition::fallback`].
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Into<String>) -> Self {
        self.fallback = Some(fallback.into());
        self
    }

    /// Sets [`Condition::root`].
    #[must_use]
    pub fn with_root(mut self, root: impl Into<String>) -> Self {
        self.root = Some(root.into());
        self
    }
}

struct Inner<M> {
    address: Address<M>,
    /// Names this incarnation to the address.
    owner: u64,
    board: Board,
    incarnation: u64,
    /// Made with the first: most actors never have one.
    tasks: Mutex<Option<JoinSet<()>>>,
    finishing: AtomicBool,
}

/// A section of a handler that may take as long as it likes.
struct Protected<'a>(&'a NodeCell);

impl<'a> Protected<'a> {
    fn begin(cell: &'a NodeCell) -> Self {
        cell.protect();
        Self(cell)
    }
}

impl Drop for Protected<'_> {
    fn drop(&mut self) {
        self.0.unprotect();
    }
}

/// The surroundings of one incarnation of a worker. Cheap to clone; what it spawned ends with the incarnation.
pub struct Context<M> {
    inner: Arc<Inner<M>>,
}

impl<M> Clone for Context<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<M> std::fmt::Debug for Context<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("incarnation", &self.inner.incarnation)
            .finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Context<M> {
    pub(crate) fn new(address: Address<M>, owner: u64, board: Board, incarnation: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                address,
                owner,
                board,
                incarnation,
                tasks: Mutex::new(None),
                finishing: AtomicBool::new(false),
            }),
        }
    }

    /// Where this actor is in the tree.
    pub fn path(&self) -> &str {
        self.inner.address.path()
    }

    /// The address of this actor; it outlives the incarnation.
    pub fn address(&self) -> &Address<M> {
        &self.inner.address
    }

    /// Which incarnation this is; the first is 1.
    pub fn incarnation(&self) -> u64 {
        self.inner.incarnation
    }

    /// Runs `future` beside the handlers. It is aborted when the incarnation ends. A panic in it is logged and ends
    /// only the task.
    pub fn offload(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock_tasks();
        let tasks = tasks.get_or_insert_default();
        while tasks.try_join_next().is_some() {}
        let actor = self.inner.address.cell().id();
        let path = Arc::clone(self.inner.address.cell().path());
        tasks.spawn(async move {
            let future = pin!(future);
            if let Err(panic) = caught_as(actor, future).await {
                tracing::error!(%path, %panic, "offloaded task panicked");
            }
        });
    }

    /// Runs `future` beside the handlers and sends its result as the reply. When the caller leaves, the work is dropped at
    /// its next await.
    pub fn reply_later<R: Send + 'static>(
        &self,
        mut reply: Reply<R>,
        future: impl Future<Output = R> + Send + 'static,
    ) {
        self.offload(async move {
            let result = tokio::select! {
                result = future => Some(result),
                () = reply.abandoned() => None,
            };
            if let Some(result) = result {
                reply.send(result);
            }
        });
    }

    /// Delivers `msg` to this incarnation after `delay`. It ends with the incarnation and takes no place in the mailbox.
    pub fn after(&self, delay: Duration, msg: M) {
        let (address, owner) = (self.inner.address.clone(), self.inner.owner);
        self.offload(async move {
            tokio::time::sleep(delay).await;
            address.push_own(owner, Load::Timer(msg));
        });
    }

    /// Says that the handler gets on: its limit counts from now. Only for work that shows progress by itself, like rows copied.
    pub fn progress(&self) {
        self.inner.address.cell().mark_progress();
    }

    /// Awaits something inside a handler that is known to take long and to end by itself; its time does not count against the
    /// handler's limit.
    pub async fn protect<F: Future>(&self, known_to_be_long: F) -> F::Output {
        let _section = Protected::begin(self.inner.address.cell());
        known_to_be_long.await
    }

    /// Says how well this actor serves. Replaces what it said before; a restart clears it.
    pub fn report(&self, condition: Condition) {
        self.inner
            .board
            .condition(self.inner.address.cell().path(), Some(condition));
    }

    /// Says that all is well again.
    pub fn clear(&self) {
        self.inner
            .board
            .condition(self.inner.address.cell().path(), None);
    }

    /// Publishes a fact in the status document of this actor.
    pub fn detail(&self, key: &'static str, value: impl Into<Detail>) {
        self.inner.address.cell().set_detail(key, value.into());
    }

    /// Ends this incarnation normally after the present handler: nothing new is admitted, what is queued is served.
    pub fn finish(&self) {
        self.inner.finishing.store(true, Ordering::Release);
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.inner.finishing.load(Ordering::Acquire)
    }

    /// Aborts everything that this incarnation spawned.
    pub(crate) fn abort_tasks(&self) {
        if let Some(tasks) = self.lock_tasks().as_mut() {
            tasks.abort_all();
        }
    }

    fn lock_tasks(&self) -> std::sync::MutexGuard<'_, Option<JoinSet<()>>> {
        self.inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
