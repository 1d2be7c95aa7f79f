//! Addresses: how anything talks to an actor.
//!
//! An `ActorRef` is dead for good after a restart, its queue has no bound and a call on it waits for ever. An [`Address`] is a slot that
//! the supervisor fills with each new incarnation. It refuses at once when the actor is down or its mailbox is full,
//! every ask has a deadline, and every accepted ask ends in a reply or a typed error.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cell::{NodeCell, Permit};
use crate::fault::{Fault, FaultKind};
use crate::level::Level;

/// Deadline of an ask when the caller has none.
pub const DEFAULT_ASK_LIMIT: Duration = Duration::from_secs(10);

tokio::task_local! {
    static AMBIENT_DEADLINE: Instant;
}

/// Runs `future` with a deadline that every ask inside keeps to.
pub async fn with_deadline<F: Future>(at: Instant, future: F) -> F::Output {
    AMBIENT_DEADLINE.scope(at, future).await
}

/// The deadline of the request that this task works for, if it has one.
pub fn ambient_deadline() -> Option<Instant> {
    AMBIENT_DEADLINE.try_with(|at| *at).ok()
}

/// What travels to an actor.
#[derive(Debug)]
pub(crate) enum Envelope<M> {
    /// A request from outside.
    Work {
        msg: M,
        deadline: Option<Instant>,
        permit: Permit,
    },
    /// A message that the actor sent itself by a timer.
    Timer(M),
    /// A fault that a drill injects.
    Inject(Injection),
}

/// A fault that a drill can inject into an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// Its handler panics.
    Panic,
    /// Its handler returns an error.
    Error,
    /// It is killed.
    Kill,
}

struct Target<M> {
    actor: ActorRef<Envelope<M>>,
}

/// What a caller hears while nobody is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Down {
    pub(crate) level: Level,
    pub(crate) retry_at: Option<Instant>,
}

impl Default for Down {
    fn default() -> Self {
        Self {
            level: Level::Offline,
            retry_at: None,
        }
    }
}

struct Slot<M> {
    cell: Arc<NodeCell>,
    target: ArcSwapOption<Target<M>>,
    /// The incarnation that may open and close the slot: an older one whose thread was blocked may still come to its end.
    owner: AtomicU64,
    down: ArcSwap<Down>,
}

/// A stable way to reach an actor across its restarts. Cheap to clone.
pub struct Address<M> {
    slot: Arc<Slot<M>>,
}

impl<M> std::fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address")
            .field(self.slot.cell.path())
            .finish()
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self {
            slot: Arc::clone(&self.slot),
        }
    }
}

/// Why an ask got no reply. All are safe to show; only [`AskError::Died`] leaves open whether the request took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody is there: not started, restarting, quarantined or stopped.
    #[error("{path} is down")]
    Down {
        /// Who was asked.
        path: Arc<str>,
        /// At which level it serves.
        level: Level,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The mailbox is full.
    #[error("{path} is busy with {depth} requests")]
    Busy {
        /// Who was asked.
        path: Arc<str>,
        /// Requests admitted and not finished.
        depth: u32,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// No reply within the deadline.
    #[error("{path} did not answer within the deadline")]
    Deadline {
        /// Who was asked.
        path: Arc<str>,
    },
    /// The actor ended with the request in its hands; it may have taken effect.
    #[error("{path} ended before it replied")]
    Died {
        /// Who was asked.
        path: Arc<str>,
    },
}

impl Fault for AskError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Deadline { .. } => FaultKind::Deadline,
            _ => FaultKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Down { .. } => "supervisor.down",
            Self::Busy { .. } => "supervisor.busy",
            Self::Deadline { .. } => "supervisor.deadline",
            Self::Died { .. } => "supervisor.died",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Down { path, .. } => {
                format!("{path} is not available at the moment; try again later")
            }
            Self::Busy { path, .. } => {
                format!("{path} has more requests than it can take; try again later")
            }
            Self::Deadline { path } => format!("{path} did not answer in time"),
            Self::Died { path } => format!(
                "{path} was restarted before it answered; the request may have taken effect, so look before you repeat it"
            ),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Down { retry_after, .. } | Self::Busy { retry_after, .. } => Some(*retry_after),
            Self::Died { .. } => Some(Duration::from_secs(1)),
            Self::Deadline { .. } => None,
        }
    }
}

/// Where a reply goes. Dropping it unsent tells the caller [`AskError::Died`].
#[derive(Debug)]
pub struct Reply<R> {
    sender: oneshot::Sender<R>,
    asked_at: Instant,
    cell: Arc<NodeCell>,
}

impl<R> Reply<R> {
    /// Sends the reply. When the caller has gone the value is dropped: nobody waits for it.
    pub fn send(self, value: R) {
        self.cell.record_latency(self.asked_at.elapsed());
        drop(self.sender.send(value));
    }

    /// Whether the caller has gone, so that work for it may be dropped.
    pub fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the caller has gone. Cancel-safe.
    pub async fn abandoned(&mut self) {
        self.sender.closed().await;
    }
}

impl<M: Send + 'static> Address<M> {
    /// A slot that nobody fills yet. `path` is where the actor will be in the tree, `mailbox_limit` (at least 1) how many
    /// requests it admits at most.
    pub fn vacant(path: impl Into<String>, mailbox_limit: u32) -> Self {
        let path: Arc<str> = path.into().into();
        Self {
            slot: Arc::new(Slot {
                cell: NodeCell::new(path, mailbox_limit),
                target: ArcSwapOption::empty(),
                owner: AtomicU64::new(0),
                down: ArcSwap::from_pointee(Down::default()),
            }),
        }
    }

    /// Where the actor is in the tree.
    pub fn path(&self) -> &str {
        self.slot.cell.path()
    }

    #[cfg(test)]
    pub(crate) fn actor_for_tests(&self) -> Option<ActorRef<Envelope<M>>> {
        let target = self.slot.target.load();
        target.as_ref().map(|target| target.actor.clone())
    }

    /// Whether both are the same slot.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slot, &other.slot)
    }

    /// Whether an incarnation is ready to serve.
    pub fn is_up(&self) -> bool {
        self.slot.target.load().is_some()
    }

    /// Asks, and waits for the reply until the ambient deadline ([`with_deadline`]), or 10 s where there is none.
    ///
    /// # Errors
    /// See [`AskError`]. Cancel-safe in so far as dropping the future abandons the reply; the request may still be served.
    pub async fn ask<R: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let deadline = ambient_deadline().unwrap_or_else(|| Instant::now() + DEFAULT_ASK_LIMIT);
        self.ask_until(deadline, make).await
    }

    /// Asks, and waits at most `limit` (and never past the ambient deadline).
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_within<R: Send + 'static>(
        &self,
        limit: Duration,
        make: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let own = Instant::now() + limit;
        let deadline = ambient_deadline().map_or(own, |ambient| ambient.min(own));
        self.ask_until(deadline, make).await
    }

    async fn ask_until<R: Send + 'static>(
        &self,
        deadline: Instant,
        make: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let (sender, receiver) = oneshot::channel();
        let asked_at = Instant::now();
        self.admit(Some(deadline), || {
            make(Reply {
                sender,
                asked_at,
                cell: Arc::clone(&self.slot.cell),
            })
        })?;
        match tokio::time::timeout_at(deadline, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            // An expired request is dropped unserved just as its caller's timer fires.
            Ok(Err(_)) if Instant::now() < deadline => Err(AskError::Died {
                path: Arc::clone(self.slot.cell.path()),
            }),
            Ok(Err(_)) | Err(_) => Err(AskError::Deadline {
                path: Arc::clone(self.slot.cell.path()),
            }),
        }
    }

    /// Sends without waiting for an answer. Admission is bounded like that of an ask.
    ///
    /// # Errors
    /// [`AskError::Down`] or [`AskError::Busy`].
    pub fn tell(&self, msg: M) -> Result<(), AskError> {
        self.admit(None, || msg)
    }

    fn admit(&self, deadline: Option<Instant>, msg: impl FnOnce() -> M) -> Result<(), AskError> {
        let target = self.slot.target.load();
        let Some(target) = target.as_ref() else {
            return Err(self.down());
        };
        let permit = self.slot.cell.admit().map_err(|depth| AskError::Busy {
            path: Arc::clone(self.slot.cell.path()),
            depth,
            retry_after: self.slot.cell.retry_after(),
        })?;
        let envelope = Envelope::Work {
            msg: msg(),
            deadline,
            permit,
        };
        target.actor.send_message(envelope).map_err(|_| self.down())
    }

    fn down(&self) -> AskError {
        let down = **self.slot.down.load();
        let soonest = Duration::from_millis(10);
        let retry_after = down.retry_at.map_or(Duration::from_secs(1), |at| {
            at.saturating_duration_since(Instant::now()).max(soonest)
        });
        AskError::Down {
            path: Arc::clone(self.slot.cell.path()),
            level: down.level,
            retry_after,
        }
    }

    /// From now on the slot is this incarnation's.
    pub(crate) fn claim(&self, actor: &ActorRef<Envelope<M>>) {
        self.slot
            .owner
            .store(actor.get_id().pid(), Ordering::Release);
        self.slot.cell.take_in_hand(None);
    }

    fn is_owned_by(&self, actor: &ActorRef<Envelope<M>>) -> bool {
        self.slot.owner.load(Ordering::Acquire) == actor.get_id().pid()
    }

    /// Puts a fresh incarnation behind the address, if the slot is still its own.
    pub(crate) fn open(&self, actor: ActorRef<Envelope<M>>) {
        if self.is_owned_by(&actor) {
            self.slot.target.store(Some(Arc::new(Target { actor })));
        }
    }

    /// Takes this incarnation away, if the slot is still its own.
    pub(crate) fn close_own(&self, actor: &ActorRef<Envelope<M>>) {
        if self.is_owned_by(actor) {
            self.close(Down::default());
        }
    }

    /// Takes the incarnation away: from now on callers hear that it is down.
    pub(crate) fn close(&self, down: Down) {
        self.slot.down.store(Arc::new(down));
        self.slot.target.store(None);
    }

    pub(crate) fn inject(&self, injection: Injection) -> bool {
        self.slot.target.load().as_ref().is_some_and(|target| {
            target
                .actor
                .send_message(Envelope::Inject(injection))
                .is_ok()
        })
    }

    pub(crate) fn cell(&self) -> &Arc<NodeCell> {
        &self.slot.cell
    }
}
