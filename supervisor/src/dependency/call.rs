//! The way of a call: a place, leave of the breaker, the attempt within its time, what it tells, and perhaps another one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::address::with_deadline;
use crate::dependency::breaker::{BreakerState, Outcome, Ticket};
use crate::dependency::fault::{Blame, CallError, CallFault};
use crate::dependency::retry::{self, Next};
use crate::dependency::{Dependency, SOONEST};

/// One of the places for calls at the same time; given back on drop.
struct Place(Dependency);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inner.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An attempt that the breaker let through. Dropped without an end it counts as neither success nor failure.
pub(super) struct Attempt {
    dependency: Dependency,
    ticket: Option<Ticket>,
    began: Instant,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.dependency.act(|book, _| book.breaker.release(ticket));
        }
    }
}

impl Attempt {
    pub(super) fn succeeded(self) {
        self.end(None, None);
    }

    /// A probe found it well. Where it took no time and nobody is tried, that is not counted among the calls: a fault that hits
    /// every call and no probe would drown in well probes.
    pub(super) fn found_well(self) {
        let took = self.began.elapsed();
        let (dependency, is_quick) = (
            self.dependency.clone(),
            took < self.dependency.policy().slow_call,
        );
        if !is_quick || dependency.state() != BreakerState::Closed {
            return self.succeeded();
        }
        drop(self);
        dependency.act(|book, now| book.heard_at = now);
        let now = dependency.inner.epoch.now();
        dependency.inner.latency.record(took, now);
    }

    /// Counts the error as its blame says.
    pub(super) fn failed<E: CallFault>(self, error: &E) {
        match error.blame() {
            Blame::Dependency => self.end(Some((error.code(), error.outside())), error.wait()),
            Blame::Caller => self.end(None, None),
            Blame::Nobody => drop(self),
        }
    }

    /// Counts a failure.
    pub(super) fn end(mut self, fault: Option<(&'static str, String)>, wait: Option<Duration>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let took = self.began.elapsed();
        self.dependency.act(|book, now| {
            book.heard_at = now;
            let is_fault = fault.is_some();
            if let Some((code, message)) = fault {
                book.note(code, message);
            }
            let outcome = Outcome { is_fault, wait };
            book.breaker
                .record(ticket, outcome, took, now, rand::random());
        });
        let now = self.dependency.inner.epoch.now();
        self.dependency.inner.latency.record(took, now);
    }

    /// Counts a failure that leaves no doubt: the breaker opens whatever the rates.
    pub(super) fn condemned(self, code: &'static str, message: String, wait: Option<Duration>) {
        let dependency = self.dependency.clone();
        dependency.act(|book, _| book.verdict = Some((code, message.clone())));
        self.end(Some((code, message.clone())), wait);
        dependency.act(|book, now| book.condemn(code, message, wait, now));
    }
}

/// Leave to make one call in one's own way, as for a stream that outlives every timeout. Holds one of the places for calls
/// at the same time; dropped without an end it counts as neither success nor failure.
#[must_use = "dropping it gives the place back"]
pub struct Pass {
    attempt: Attempt,
    _place: Place,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pass")
            .field(&self.attempt.dependency)
            .finish()
    }
}

impl Pass {
    /// The dependency did what it was asked, and it took as long as this pass is old.
    pub fn succeeded(self) {
        self.attempt.succeeded();
    }

    /// The call failed.
    pub fn failed<E: CallFault>(self, error: &E) {
        self.attempt.failed(error);
    }
}

impl Dependency {
    /// Calls the dependency: `attempt` is run with the number of the attempt (from 1) until one succeeds, its error is
    /// not to be retried, or attempts, retry budget or deadline are used up. The deadline is the ambient one
    /// ([`with_deadline`](crate::with_deadline)), or the policy's `call_limit` where that is sooner; asks inside keep to
    /// the attempt's. `what` names the call in the log.
    ///
    /// For calls that do no harm when they are made twice: one that got no answer in time is made again. The call keeps its
    /// place among those under way during the pauses, so that waiting callers are bounded too.
    ///
    /// Cancel-safe: a dropped call gives its place back and counts as neither success nor failure.
    ///
    /// # Errors
    /// See [`CallError`]. A `Retry-After` that does not fit the deadline ends the call at once with the dependency's
    /// error, which tells it.
    pub async fn call<T, E, F, R>(
        &self,
        what: &'static str,
        mut attempt: F,
    ) -> Result<T, CallError<E>>
    where
        E: CallFault,
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let _place = self.place()?;
        let deadline = self.deadline();
        let mut admitted = self.admit(true)?;
        let mut made = 1;
        loop {
            let error = match self.run(admitted, deadline, attempt(made)).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = self.pause(&error, made, deadline) else {
                return Err(error);
            };
            tracing::debug!(path = self.path(), what, made, ?pause, %error, "trying again");
            sleep(pause).await;
            // Others have found out meanwhile that it is away: the own error tells more.
            admitted = match self.admit::<E>(false) {
                Ok(admitted) => admitted,
                Err(_) => return Err(error),
            };
            made += 1;
        }
    }

    /// Calls the dependency once, for what must not be done twice. Everything else is as in [`Dependency::call`].
    ///
    /// # Errors
    /// See [`CallError`]. After `Timeout` the call may have taken effect.
    pub async fn call_once<T, E, R>(&self, attempt: R) -> Result<T, CallError<E>>
    where
        E: CallFault,
        R: Future<Output = Result<T, E>>,
    {
        let _place = self.place()?;
        let deadline = self.deadline();
        let admitted = self.admit(true)?;
        self.run(admitted, deadline, attempt).await
    }

    /// Leave to make one call in one's own way, without timeout and retries.
    ///
    /// # Errors
    /// [`CallError::Open`] or [`CallError::Full`], at once.
    pub fn enter<E>(&self) -> Result<Pass, CallError<E>> {
        let place = self.place()?;
        let attempt = self.admit(true)?;
        Ok(Pass {
            attempt,
            _place: place,
        })
    }

    fn place<E>(&self) -> Result<Place, CallError<E>> {
        let limit = self.policy().max_in_flight;
        let in_flight = &self.inner.in_flight;
        let taken = in_flight.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
            (taken < limit).then_some(taken + 1)
        });
        match taken {
            Ok(_) => Ok(Place(self.clone())),
            Err(in_flight) => Err(CallError::Full {
                path: Arc::clone(&self.inner.path),
                in_flight,
                retry_after: self.usual_time(),
            }),
        }
    }

    /// About as long as a call takes, within sensible bounds.
    fn usual_time(&self) -> Duration {
        let millis = self.latency().map_or(1_000.0, |latency| latency.p50);
        Duration::from_secs_f64(millis.clamp(50.0, 5_000.0) / 1_000.0)
    }

    pub(super) fn admit<E>(&self, is_first: bool) -> Result<Attempt, CallError<E>> {
        let admitted = self.act(|book, now| {
            if is_first {
                book.budget.earn();
            }
            book.breaker.admit(now)
        });
        match admitted {
            Ok(ticket) => Ok(Attempt {
                dependency: self.clone(),
                ticket: Some(ticket),
                began: Instant::now(),
            }),
            Err(wait) => Err(CallError::Open {
                path: Arc::clone(&self.inner.path),
                retry_after: wait.max(SOONEST),
            }),
        }
    }

    async fn run<T, E: CallFault>(
        &self,
        admitted: Attempt,
        deadline: Instant,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let limit = deadline.min(admitted.began + self.policy().timeout);
        let running = async {
            self.suffer::<E>().await?;
            attempt.await
        };
        match with_deadline(limit, timeout_at(limit, running)).await {
            Ok(Ok(value)) => {
                admitted.succeeded();
                Ok(value)
            }
            Ok(Err(error)) => {
                admitted.failed(&error);
                Err(CallError::Failed(error))
            }
            Err(_) => {
                self.timed_out(admitted);
                Err(CallError::Timeout {
                    path: Arc::clone(&self.inner.path),
                })
            }
        }
    }

    /// An attempt that its caller's deadline cut short speaks against the dependency only if it was slow already.
    fn timed_out(&self, admitted: Attempt) {
        let policy = self.policy();
        let took = admitted.began.elapsed();
        if took >= policy.timeout.min(policy.slow_call) {
            let message = format!("no answer within {took:.1?}");
            admitted.end(Some(("dependency.timeout", message)), None);
        }
    }

    /// How long to wait before another attempt; nothing when there is to be none.
    fn pause<E: CallFault>(
        &self,
        error: &CallError<E>,
        made: u32,
        deadline: Instant,
    ) -> Option<Duration> {
        let (is_retryable, wait) = match error {
            CallError::Failed(error) => (error.is_retryable(), error.wait()),
            CallError::Timeout { .. } => (true, None),
            CallError::Open { .. } | CallError::Full { .. } => (false, None),
        };
        if !is_retryable {
            return None;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match retry::next(self.policy(), made, wait, left, rand::random()) {
            Next::After(pause) => self.act(|book, _| book.budget.spend()).then_some(pause),
            Next::GiveUp => None,
        }
    }
}
