//! Addresses: how anything talks to an actor.
//!
//! An `ActorRef` is dead for good after a restart, its queue has no bound and a call on it waits for ever. An [`Address`] is a slot that
//! the supervisor fills with each new incarnation. It refuses at once when the actor is down or its mailbox is full,
//! every ask has a deadline, and every accepted ask ends in a reply or a typed error. What a caller no longer waits for is
//! taken out of the mailbox again.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ask_error::AskError;
use crate::cell::{Depth, NodeCell};
use crate::level::Level;
use crate::slot::{Lane, Next, Refused, Slot};
use crate::waits;
use crate::worker::Worker;

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
pub(crate) struct Envelope<M> {
    pub(crate) load: Load<M>,
    /// Dropped unserved from then on.
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Load<M> {
    /// A request from outside.
    Work(M),
    /// A message that the actor sent itself by a timer.
    Timer(M),
    /// A fault that a drill injects.
    Inject(Injection),
    /// Takes a place in the mailbox and does nothing: a drill's flood, which goes on until then.
    Ballast(Instant),
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
    /// Its handler awaits what does not come for this long.
    Hang(Duration),
    /// Its handler blocks its thread for this long, at most [`LONGEST_BLOCK`]: nothing can end that early.
    Block(Duration),
    /// It panics, and again whenever it is ready, for this long or until an operator orders something of it.
    CrashLoop(Duration),
    /// Its mailbox is kept full of requests that mean nothing, for this long.
    Flood(Duration),
}

/// The longest that a drill blocks a thread.
pub const LONGEST_BLOCK: Duration = Duration::from_secs(5);

/// What a caller hears while nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What becomes of an ask whose reply is dropped unsent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The actor had it in hand, or had promised to reply later.
    Died,
    /// It was never begun.
    NeverBegun,
    /// Its time was over before it was begun.
    Expired,
}

thread_local! {
    /// The fate of replies that are dropped on this thread now.
    static FATE: Cell<Fate> = const { Cell::new(Fate::Died) };
}

/// Drops requests; their callers hear `fate`.
pub(crate) fn dismiss<T>(requests: T, fate: Fate) {
    struct Back(Fate);
    impl Drop for Back {
        fn drop(&mut self) {
            FATE.set(self.0);
        }
    }
    let _back = Back(FATE.replace(fate));
    drop(requests);
}

struct Inner<M> {
    cell: Arc<NodeCell>,
    slot: Slot<Envelope<M>, Down>,
    /// Which requests are served before others; set with the first incarnation.
    is_control: std::sync::OnceLock<fn(&M) -> bool>,
}

/// A stable way to reach an actor across its restarts. Cheap to clone.
pub struct Address<M> {
    inner: Arc<Inner<M>>,
}

impl<M> std::fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address")
            .field(self.inner.cell.path())
            .finish()
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// Where a reply goes. Dropping it unsent tells the caller [`AskError::Died`].
#[derive(Debug)]
pub struct Reply<R> {
    /// Gone once it was used.
    sender: Option<oneshot::Sender<Result<R, Fate>>>,
    asked_at: Instant,
    cell: Arc<NodeCell>,
}

impl<R> Reply<R> {
    /// Sends the reply. When the caller has gone the value is dropped: nobody waits for it.
    pub fn send(mut self, value: R) {
        self.cell.record_reply(self.asked_at);
        if let Some(sender) = self.sender.take() {
            drop(sender.send(Ok(value)));
        }
    }

    /// Whether the caller has gone, so that work for it may be dropped.
    pub fn is_abandoned(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Waits until the caller has gone. Cancel-safe.
    pub async fn abandoned(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.closed().await;
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            drop(sender.send(Err(FATE.get())));
        }
    }
}

/// Takes a request back out of the mailbox when its caller stops waiting.
struct Admitted<'a, M> {
    inner: &'a Inner<M>,
    ticket: Option<u64>,
}

impl<M> Drop for Admitted<'_, M> {
    fn drop(&mut self) {
        if let Some(request) = self
            .ticket
            .and_then(|ticket| self.inner.slot.withdraw(ticket))
        {
            dismiss(request, Fate::Expired);
        }
    }
}

impl<M: Send + 'static> Address<M> {
    /// A slot that nobody fills yet. `path` is where the actor will be in the tree, `mailbox_limit` (at least 1) how many
    /// requests it admits at most.
    pub fn vacant(path: impl Into<String>, mailbox_limit: u32) -> Self {
        let path: Arc<str> = path.into().into();
        let cell = NodeCell::new(path, mailbox_limit);
        let inner = Arc::new(Inner {
            slot: Slot::new(cell.limit(), Down::default()),
            cell,
            is_control: std::sync::OnceLock::new(),
        });
        let queue: Weak<Inner<M>> = Arc::downgrade(&inner);
        inner.cell.set_queue(queue);
        Self { inner }
    }

    /// Where the actor is in the tree.
    pub fn path(&self) -> &str {
        self.inner.cell.path()
    }

    /// Whether both are the same slot.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether an incarnation is ready to serve.
    pub fn is_up(&self) -> bool {
        self.inner.slot.is_open()
    }

    /// Asks, and waits for the reply until the ambient deadline ([`with_deadline`]), or 10 s where there is none.
    ///
    /// # Errors
    /// See [`AskError`]. Cancel-safe: dropping the future takes the request back, unless a handler has begun it.
    pub async fn ask<R: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let now = Instant::now();
        let deadline = ambient_deadline().unwrap_or_else(|| now + DEFAULT_ASK_LIMIT);
        self.ask_until(now, deadline, make).await
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
        let now = Instant::now();
        let own = now + limit;
        let deadline = ambient_deadline().map_or(own, |ambient| ambient.min(own));
        self.ask_until(now, deadline, make).await
    }

    async fn ask_until<R: Send + 'static>(
        &self,
        now: Instant,
        deadline: Instant,
        make: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let inner = &*self.inner;
        if deadline <= now {
            return Err(self.late());
        }
        let (sender, receiver) = oneshot::channel();
        let request = make(Reply {
            sender: Some(sender),
            asked_at: now,
            cell: Arc::clone(&inner.cell),
        });
        let ticket = self.admit(Some(deadline), request)?;
        let mut admitted = Admitted {
            inner,
            ticket: Some(ticket),
        };
        let _waiting = waits::note(&inner.cell, now);
        let answer = until(deadline, receiver).await;
        if answer.is_some() {
            admitted.ticket = None;
        }
        match answer {
            Some(Ok(Ok(reply))) => Ok(reply),
            Some(Ok(Err(Fate::NeverBegun))) => Err(self.down(None)),
            Some(Ok(Err(Fate::Expired))) | None => Err(self.late()),
            Some(Ok(Err(Fate::Died)) | Err(_)) => Err(AskError::Died {
                path: Arc::clone(inner.cell.path()),
            }),
        }
    }

    /// Sends without waiting for an answer. Admission is bounded like that of an ask.
    ///
    /// # Errors
    /// [`AskError::Down`] or [`AskError::Busy`].
    pub fn tell(&self, msg: M) -> Result<(), AskError> {
        self.admit(None, msg).map(|_ticket| ())
    }

    fn admit(&self, deadline: Option<Instant>, msg: M) -> Result<u64, AskError> {
        let inner = &*self.inner;
        let is_control = inner.is_control.get().is_some_and(|is| is(&msg));
        let lane = if is_control {
            Lane::Control
        } else {
            Lane::Work
        };
        let load = Load::Work(msg);
        match inner.slot.push(lane, Envelope { load, deadline }) {
            Ok(ticket) => Ok(ticket),
            Err((Refused::Shut(down), _refused)) => Err(self.down(Some(down))),
            Err((Refused::Full(depth), _refused)) => {
                inner.cell.note_refused();
                Err(AskError::Busy {
                    path: Arc::clone(inner.cell.path()),
                    depth,
                    retry_after: inner.cell.retry_after(),
                })
            }
        }
    }

    fn late(&self) -> AskError {
        AskError::Deadline {
            path: Arc::clone(self.inner.cell.path()),
        }
    }

    fn down(&self, down: Option<Down>) -> AskError {
        let down = down
            .or_else(|| self.inner.slot.shut_for())
            .unwrap_or_default();
        let soonest = Duration::from_millis(10);
        let retry_after = down.retry_at.map_or(Duration::from_secs(1), |at| {
            at.saturating_duration_since(Instant::now()).max(soonest)
        });
        AskError::Down {
            path: Arc::clone(self.inner.cell.path()),
            level: down.level,
            retry_after,
        }
    }

    /// From now on the slot is this incarnation's. What the one before left is served if it survives restarts.
    pub(crate) fn claim<W: Worker<Msg = M>>(&self, owner: u64) {
        self.inner.is_control.get_or_init(|| W::is_control);
        let left = self.inner.slot.claim(owner, survives::<W>);
        dismiss(left, Fate::NeverBegun);
        self.inner.cell.done();
    }

    /// Puts a fresh incarnation behind the address, if the slot is still its own.
    pub(crate) fn open(&self, owner: u64) {
        self.inner.slot.open(owner);
    }

    /// This incarnation serves no more, if the slot is still its own: callers hear that it is down.
    pub(crate) fn close_own(&self, owner: u64) {
        self.inner.slot.shut_own(owner, Down::default());
    }

    /// Refuses new requests: callers hear that it is down. What was admitted stays.
    pub(crate) fn close(&self, down: Down) {
        self.inner.slot.shut(down);
    }

    /// Refuses new requests; the incarnation ends when it has served what is there.
    pub(crate) fn drain(&self) {
        self.inner.slot.drain(Down::default());
    }

    /// Refuses new requests; the incarnation ends after what it has in hand.
    pub(crate) fn stop(&self) {
        self.inner.slot.stop(Down::default());
    }

    /// The incarnation (any, with `None`) has ended: what does not survive a restart is dismissed.
    pub(crate) fn ended<W: Worker<Msg = M>>(&self, owner: Option<u64>) {
        let left = self.inner.slot.end(owner, survives::<W>);
        dismiss(left, Fate::NeverBegun);
    }

    /// No next incarnation is coming: everything that waits is dismissed.
    pub(crate) fn dismiss_all(&self) {
        let left = self.inner.slot.end(None, |_| false);
        dismiss(left, Fate::NeverBegun);
    }

    /// What this incarnation does next. Expired requests are dropped unserved. `now` is when it was taken.
    pub(crate) async fn next(&self, owner: u64) -> Next<(Load<M>, Instant)> {
        let slot = &self.inner.slot;
        loop {
            let next = poll_fn(|cx| slot.poll_next(owner, cx)).await;
            let now = Instant::now();
            match next {
                Next::Serve(envelope) => {
                    if envelope.deadline.is_some_and(|deadline| deadline <= now) {
                        dismiss(envelope, Fate::Expired);
                        continue;
                    }
                    return Next::Serve((envelope.load, now));
                }
                Next::Drained => return Next::Drained,
                Next::Stop => return Next::Stop,
                Next::Replaced => return Next::Replaced,
            }
        }
    }

    /// A message of an incarnation to itself: it takes no place, and is nobody's when the incarnation has ended.
    pub(crate) fn push_own(&self, owner: u64, load: Load<M>) {
        let deadline = None;
        dismiss(
            self.inner
                .slot
                .push_own(Some(owner), Envelope { load, deadline }),
            Fate::NeverBegun,
        );
    }

    /// Injects what goes through the mailbox; `false` when the actor is down.
    pub(crate) fn inject(&self, injection: Injection) -> bool {
        let is_up = self.is_up();
        match injection {
            _ if !is_up => {}
            Injection::Flood(span) => self.flood(Instant::now() + span),
            other => {
                let load = Load::Inject(other);
                let deadline = None;
                drop(self.inner.slot.push_own(None, Envelope { load, deadline }));
            }
        }
        is_up
    }

    /// Fills the mailbox with requests that mean nothing, and with one more, which is refused as a caller's would be.
    pub(crate) fn flood(&self, until: Instant) {
        for _ in 0..=self.inner.cell.limit() {
            let ballast = Envelope {
                load: Load::Ballast(until),
                deadline: None,
            };
            match self.inner.slot.push(Lane::Work, ballast) {
                Ok(_) => {}
                Err((Refused::Full(_), _)) => return self.inner.cell.note_refused(),
                Err((Refused::Shut(_), _)) => return,
            }
        }
    }

    pub(crate) fn cell(&self) -> &Arc<NodeCell> {
        &self.inner.cell
    }
}

impl<M: Send> Depth for Inner<M> {
    fn depth(&self) -> u32 {
        self.slot.taken()
    }
}

fn survives<W: Worker>(envelope: &Envelope<W::Msg>) -> bool {
    match &envelope.load {
        Load::Work(msg) => W::survives_restart(msg),
        Load::Timer(_) | Load::Inject(_) | Load::Ballast(_) => false,
    }
}

/// The answer, or `None` at the deadline. Most answers come at once, before a timer is worth its cost.
async fn until<T>(
    deadline: Instant,
    receiver: oneshot::Receiver<T>,
) -> Option<Result<T, oneshot::error::RecvError>> {
    tokio::time::timeout_at(deadline, receiver).await.ok()
}
