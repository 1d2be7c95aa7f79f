//! External dependencies: what lies outside of the process, may go away at any time, and must take nobody with it.
//!
//! A [`Dependency`] is made at wiring time, before anything runs, and cloned to whoever calls out. Calls go through
//! [`Dependency::call`]: bounded in number and time, retried where that helps, refused at once while the breaker is open.
//! The obvious way (each caller with a timeout and a loop of its own) makes every caller wait for the same dead server,
//! and multiplies its load at the moment it gets up.
//!
//! [`ChildSpec::dependency`](crate::ChildSpec::dependency) puts it into the tree, where a small actor probes it and
//! tells its condition. What is known lives here and not in the actor, so that a restart of that forgets nothing. A call
//! crosses no mailbox: it takes one short lock when it begins and one when it ends.
//!
//! # Layout
//! `breaker` and `retry` decide, purely · `policy` the numbers · `fault` how errors are told apart · `call` the way of a call ·
//! `heard` the ends of calls that went another way · `node` the actor in the tree · `disturbance` drills · `system` what operators reach by path.

mod breaker;
mod call;
mod disturbance;
mod fault;
mod heard;
mod node;
mod policy;
mod retry;
mod shown;
mod system;

pub use breaker::{BreakerState, Forced, Rates};
pub use call::Pass;
pub use disturbance::Disturbance;
pub use fault::{Blame, CallError, CallFault};
pub use policy::DependencyPolicy;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{Epoch, WallTime};
use crate::latency::LatencyBook;

use breaker::Breaker;
use retry::RetryBudget;

/// Something outside of the process that is called. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Dependency {
    inner: Arc<Inner>,
}

struct Inner {
    path: Arc<str>,
    policy: DependencyPolicy,
    epoch: Epoch,
    in_flight: AtomicU32,
    /// Who makes the calls carries out their slowness too.
    carries_drag: AtomicBool,
    /// A drill disturbs calls, or did so until a moment ago: without one nobody takes the lock to find that out.
    is_disturbed: AtomicBool,
    /// Calls that went past [`Dependency::call`] and were well, since somebody last held the book: see `heard`.
    well: AtomicU64,
    latency: LatencyBook,
    /// Held for a few instructions, never across an await.
    book: Mutex<Book>,
    /// Rises with each change that the node or a follower must know of.
    changed: watch::Sender<u64>,
}

/// What is known of it.
struct Book {
    breaker: Breaker,
    budget: RetryBudget,
    disturbance: Option<(Disturbance, Duration)>,
    /// The newest failure.
    last: Option<LastFault>,
    /// What somebody who knows for certain says is wrong, while it is not closed.
    verdict: Option<(&'static str, String)>,
    /// Why it is not closed, in the words of the moment when it opened.
    opened_for: Option<Opened>,
    /// Whether it was slow when last looked.
    was_slow: bool,
    is_suspected: bool,
    /// When it was last heard of, by a call or a probe.
    heard_at: Duration,
    /// When it was last probed.
    probed_at: Duration,
}

/// A failure, as operators read it.
#[derive(Debug, Clone)]
struct LastFault {
    code: &'static str,
    message: String,
    at: WallTime,
}

/// Why the breaker opened.
#[derive(Debug, Clone)]
struct Opened {
    code: &'static str,
    message: String,
    since: WallTime,
}

impl std::fmt::Debug for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependency")
            .field("path", &self.inner.path)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Dependency {
    /// A dependency that nobody has called yet. `path` is where it will be in the tree, like `/store/database`; the
    /// policy's values are drawn into their ranges.
    pub fn new(path: impl Into<String>, policy: DependencyPolicy) -> Self {
        let policy = policy.bounded();
        let path: Arc<str> = path.into().into();
        Self {
            inner: Arc::new(Inner {
                path,
                policy,
                epoch: Epoch::start(),
                in_flight: AtomicU32::new(0),
                carries_drag: AtomicBool::new(false),
                is_disturbed: AtomicBool::new(false),
                well: AtomicU64::new(0),
                latency: LatencyBook::default(),
                book: Mutex::new(Book {
                    breaker: Breaker::new(policy),
                    budget: RetryBudget::new(policy.retry_budget_percent),
                    disturbance: None,
                    last: None,
                    verdict: None,
                    opened_for: None,
                    was_slow: false,
                    is_suspected: false,
                    heard_at: Duration::ZERO,
                    probed_at: Duration::ZERO,
                }),
                changed: watch::Sender::new(0),
            }),
        }
    }

    /// Where it is in the tree.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// The policy it was made with, drawn into its ranges.
    pub fn policy(&self) -> &DependencyPolicy {
        &self.inner.policy
    }

    /// What its breaker does with calls.
    pub fn state(&self) -> BreakerState {
        self.act(|book, _| book.breaker.state())
    }

    /// Ended calls in the window.
    pub fn rates(&self) -> Rates {
        self.act(|book, now| book.breaker.rates(now))
    }

    /// How long callers should stay away while it is open; nothing otherwise.
    pub fn retry_after(&self) -> Option<Duration> {
        self.act(|book, now| {
            let until = book.breaker.until()?;
            let is_open = book.breaker.state() == BreakerState::Open;
            is_open.then(|| until.saturating_sub(now).max(SOONEST))
        })
    }

    /// Says for certain that it is gone: the breaker opens at once, whatever the rates. One that is open stays open.
    pub fn trip<E: CallFault>(&self, error: &E) {
        self.act(|book, now| book.condemn(error.code(), error.outside(), error.wait(), now));
    }

    /// Says for certain that it is well: the breaker closes at once. What an operator or a drill holds it at stays.
    pub fn reset(&self) {
        self.act(|book, now| {
            book.heard_at = now;
            book.breaker.reset(now);
        });
    }

    /// Holds the breaker open or closed for `span` (at most 1 h), whatever the calls say.
    pub fn force(&self, forced: Forced, span: Duration) {
        self.act(|book, now| {
            let until = now.saturating_add(span.min(breaker::LONGEST_WAIT));
            book.breaker.force(forced, until);
        });
    }

    /// Asks for a probe at once: something hints at trouble. Without effect while the breaker is not closed.
    pub fn suspect(&self) {
        self.act(|book, _| book.is_suspected = true);
        self.bump();
    }

    /// Waits until the breaker is not closed. Cancel-safe.
    pub async fn away(&self) {
        let mut changes = self.inner.changed.subscribe();
        while self.state() == BreakerState::Closed {
            // The sender lives in `self`.
            drop(changes.changed().await);
        }
    }

    /// Runs `act` on what is known, and tells of it when the breaker has changed.
    fn act<T>(&self, act: impl FnOnce(&mut Book, Duration) -> T) -> T {
        let now = self.inner.epoch.now();
        let mut book = lock(&self.inner.book);
        let before = (book.breaker.number(), book.was_slow);
        book.breaker.pass_time(now);
        self.fold(&mut book, now);
        let result = act(&mut book, now);
        book.was_slow = book.breaker.is_slow(now);
        let has_changed = before != (book.breaker.number(), book.was_slow);
        if has_changed {
            book.turn(&self.inner.path, now);
        }
        drop(book);
        if has_changed {
            self.bump();
        }
        result
    }

    fn bump(&self) {
        self.inner
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// When a call that begins now must have ended.
    fn deadline(&self) -> Instant {
        let own = Instant::now() + self.inner.policy.call_limit;
        crate::address::ambient_deadline().map_or(own, |ambient| ambient.min(own))
    }
}

/// The soonest that a refused caller is asked back.
const SOONEST: Duration = Duration::from_millis(10);

impl Book {
    fn note(&mut self, code: &'static str, message: String) {
        self.last = Some(LastFault {
            code,
            message,
            at: WallTime::now(),
        });
    }

    /// Takes the word of somebody who knows for certain that it is gone.
    fn condemn(
        &mut self,
        code: &'static str,
        message: String,
        wait: Option<Duration>,
        now: Duration,
    ) {
        self.verdict = Some((code, message.clone()));
        self.note(code, message);
        self.breaker.trip(wait, now, rand::random());
        if self.breaker.state() == BreakerState::Closed {
            // Somebody holds it closed.
            self.verdict = None;
        }
    }

    /// Puts down why the breaker is where it is now, and logs it.
    fn turn(&mut self, path: &str, now: Duration) {
        match self.breaker.state() {
            BreakerState::Closed => {
                self.verdict = None;
                if self.opened_for.take().is_some() {
                    tracing::info!(path, "the dependency is back");
                }
            }
            BreakerState::HalfOpen => tracing::debug!(path, "the dependency is tried"),
            BreakerState::Open => {
                let opened = self.why_open(now);
                let until = self.breaker.until().unwrap_or(now);
                tracing::warn!(
                    path,
                    code = opened.code,
                    reason = opened.message,
                    again_in_ms = until.saturating_sub(now).as_millis(),
                    "the dependency is away"
                );
                self.opened_for = Some(opened);
            }
        }
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
