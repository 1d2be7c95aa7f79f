//! What a dependency shows of itself: its condition and the facts of its status document.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::WallTime;
use crate::context::Condition;
use crate::dependency::breaker::{BreakerState, Forced};
use crate::dependency::{Book, Dependency, Opened};
use crate::level::Level;
use crate::status::{Detail, Latency, Mailbox};

impl Dependency {
    /// How it is, when it is not well.
    pub(super) fn condition(&self) -> Option<Condition> {
        let policy = self.policy();
        let level = policy.bears.max(Level::Degraded);
        self.act(|book, now| {
            if let Some(opened) = &book.opened_for {
                return Some(Condition::new(level, opened.code, opened.message.clone()));
            }
            book.breaker.is_slow(now).then(|| {
                let rates = book.breaker.rates(now);
                let message = format!(
                    "{} of {} calls took {:?} or longer",
                    rates.slow, rates.calls, policy.slow_call
                );
                Condition::new(Level::Degraded, "dependency.slow", message)
            })
        })
    }

    /// Calls under way, and how many there may be.
    pub(crate) fn calls(&self) -> Mailbox {
        Mailbox {
            depth: self.inner.in_flight.load(Ordering::Relaxed),
            limit: self.policy().max_in_flight,
        }
    }

    /// How long its calls take.
    pub(crate) fn latency(&self) -> Option<Latency> {
        self.inner.latency.read(self.inner.epoch.now())
    }

    /// The facts of its status document.
    pub(crate) fn details(&self) -> BTreeMap<String, Detail> {
        let ended = self.inner.latency.total();
        let in_flight = self.inner.in_flight.load(Ordering::Relaxed);
        let next = self.next_probe();
        let wall = WallTime::now();
        self.act(|book, now| {
            let rates = book.breaker.rates(now);
            let mut details: BTreeMap<String, Detail> = [
                ("breaker", book.breaker.state().word().into()),
                ("failure_percent", rates.failure_percent().into()),
                ("slow_percent", rates.slow_percent().into()),
                ("calls_in_window", rates.calls.into()),
                ("in_flight", in_flight.into()),
                ("calls", i64::try_from(ended).unwrap_or(i64::MAX).into()),
            ]
            .map(|(name, value): (&str, Detail)| (name.to_owned(), value))
            .into();
            let mut text =
                |name: &str, value: String| details.insert(name.to_owned(), value.into());
            if let Some(last) = &book.last {
                text("last_error", format!("{} ({})", last.message, last.code));
                text("last_error_at", last.at.to_string());
            }
            if let Some(opened) = &book.opened_for {
                text("open_since", opened.since.to_string());
            }
            if let Some(next) = next {
                text("next_probe", wall.plus(next).to_string());
            }
            if let Some((disturbance, until)) = book.disturbance.filter(|(_, until)| now < *until) {
                text(
                    "drill",
                    format!(
                        "{disturbance} until {}",
                        wall.plus(until.saturating_sub(now))
                    ),
                );
            }
            if let Some(forced) = book.breaker.forced() {
                text("held", forced.word().to_owned());
            }
            details
        })
    }
}

impl Forced {
    /// The word in the status document: `open` or `closed`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => BreakerState::Open.word(),
            Self::Closed => BreakerState::Closed.word(),
        }
    }
}

impl Book {
    /// Why it is open now. What somebody knows for certain comes before what the rates say; one fault keeps its beginning and
    /// its code while the trials fail in other ways.
    pub(super) fn why_open(&mut self, now: Duration) -> Opened {
        let before = self.opened_for.take();
        let since = before
            .as_ref()
            .map_or_else(WallTime::now, |opened| opened.since);
        if self.breaker.forced().is_some() {
            let message = "an operator holds it open".to_owned();
            return Opened {
                code: OPEN,
                message,
                since,
            };
        }
        if let Some((code, message)) = self.verdict.clone() {
            return Opened {
                code: before.map_or(code, |opened| opened.code),
                message,
                since,
            };
        }
        let rates = self.breaker.rates(now);
        let mut message = format!(
            "{} of {} calls failed and {} were slow",
            rates.faults, rates.calls, rates.slow
        );
        if let Some(last) = &self.last {
            message = format!("{message}; last error: {} ({})", last.message, last.code);
        }
        Opened {
            code: before.map_or(OPEN, |opened| opened.code),
            message,
            since,
        }
    }
}

/// The code of an open breaker where nobody knows better.
const OPEN: &str = "dependency.open";
