//! Calls that are made past [`Dependency::call`], because they are too many or too short for a lock: their owner bounds them
//! and tells here how each ended, and the breaker opens by them as by any other.
//!
//! A call that was well costs a few counters and no lock. They are put into the breaker's window, all at once, by whoever
//! looks at it next: the next probe, the next reader of the status, the next call that was not well. A call that failed or was slow
//! takes the lock; it has cost far more already.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::dependency::breaker::Outcome;
use crate::dependency::fault::{Blame, CallFault};
use crate::dependency::{Book, Dependency};

impl Dependency {
    /// Takes how long a call took that has just ended, and its error if it had one; what counts is whom that blames. Not heard while
    /// the breaker is not closed, and of calls that began before it last closed.
    ///
    /// Neither makes a probe superfluous nor holds one of the places for calls at the same time.
    pub fn heard<E: CallFault>(&self, took: Duration, error: Option<&E>) {
        let blame = error.map_or(Blame::Caller, CallFault::blame);
        if blame == Blame::Nobody {
            return;
        }
        self.inner.latency.record(took, self.inner.epoch.now());
        let fault = error.filter(|_| blame == Blame::Dependency);
        if fault.is_none() && took < self.policy().slow_call {
            self.inner.well.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.act(|book, now| {
            let outcome = Outcome {
                is_fault: fault.is_some(),
                wait: fault.and_then(CallFault::wait),
            };
            if let Some(error) = fault {
                book.note(error.code(), error.outside());
            }
            book.breaker.hear(outcome, took, now, rand::random());
        });
    }

    /// Puts the calls that were well into the window.
    pub(super) fn fold(&self, book: &mut Book, now: Duration) {
        if self.inner.well.load(Ordering::Relaxed) == 0 {
            return;
        }
        let well = self.inner.well.swap(0, Ordering::Relaxed);
        book.breaker.hear_well(well, now, rand::random());
    }
}
