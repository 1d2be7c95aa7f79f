//! The breaker: lets calls through while a dependency is well, refuses them at once while it is not, and finds out by a
//! few trial calls when it is well again. A pure state machine: time and randomness are arguments.
//!
//! Every state has a number, and a ticket bears the number of the state that gave it. What a call that began in an
//! earlier state tells at its end is not heard: a thousand calls that were under way when the breaker opened would otherwise
//! fail its trial long after they mean anything.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dependency::policy::DependencyPolicy;

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Lets them through.
    Closed,
    /// Refuses them at once.
    Open,
    /// Lets a few through, as trials.
    HalfOpen,
}

impl BreakerState {
    /// The word in the status document: `closed`, `open` or `half_open`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What an operator or a drill holds a breaker at, whatever the calls say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forced {
    /// Every call is refused. Afterwards a trial decides.
    Open,
    /// Every call is let through. Afterwards it is closed and knows of no failure.
    Closed,
}

/// Leave to make one call. It must come back by [`Breaker::record`] or [`Breaker::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// How a call ended, as far as it tells of the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The dependency failed.
    pub(crate) is_fault: bool,
    /// How long the dependency asks to be left alone.
    pub(crate) wait: Option<Duration>,
}

impl Outcome {
    #[cfg(test)]
    pub(crate) const SUCCESS: Self = Self {
        is_fault: false,
        wait: None,
    };
    #[cfg(test)]
    pub(crate) const FAULT: Self = Self {
        is_fault: true,
        wait: None,
    };
}

/// Calls in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Calls that ended.
    pub calls: u32,
    /// Those that failed.
    pub faults: u32,
    /// Those that were slow.
    pub slow: u32,
}

impl Rates {
    /// Share of failed calls, in percent; 0 without calls.
    pub fn failure_percent(self) -> f64 {
        percent(self.faults, self.calls)
    }

    /// Share of slow calls, in percent; 0 without calls.
    pub fn slow_percent(self) -> f64 {
        percent(self.slow, self.calls)
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    f64::from(part) * 100.0 / f64::from(whole)
}

/// Whether `part` of `whole` is at least `percent`.
fn reaches(part: u32, whole: u32, percent: u32) -> bool {
    u64::from(part) * 100 >= u64::from(whole) * u64::from(percent)
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Duration,
    is_fault: bool,
    is_slow: bool,
}

/// The last calls, by number and by time, with their sums.
#[derive(Debug, Default)]
struct Window {
    ring: VecDeque<Entry>,
    faults: u32,
    slow: u32,
}

impl Window {
    fn push(&mut self, entry: Entry, policy: &DependencyPolicy) {
        while self.ring.len() >= policy.window_calls as usize {
            self.drop_oldest();
        }
        self.faults += u32::from(entry.is_fault);
        self.slow += u32::from(entry.is_slow);
        self.ring.push_back(entry);
        self.prune(entry.at, policy.window);
    }

    fn prune(&mut self, now: Duration, span: Duration) {
        while self
            .ring
            .front()
            .is_some_and(|oldest| oldest.at.saturating_add(span) < now)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.ring.pop_front() {
            self.faults -= u32::from(oldest.is_fault);
            self.slow -= u32::from(oldest.is_slow);
        }
    }

    fn rates(&self) -> Rates {
        Rates {
            // At most 10,000.
            calls: u32::try_from(self.ring.len()).unwrap_or(u32::MAX),
            faults: self.faults,
            slow: self.slow,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Closed { since: Duration },
    Open { until: Duration },
    HalfOpen { in_flight: u32, succeeded: u32 },
}

/// The state machine. All times are spans since an epoch that does not change.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: DependencyPolicy,
    mode: Mode,
    /// The number of the present state.
    number: u64,
    /// How often it has opened without a healthy span between.
    opened: u32,
    forced: Option<(Forced, Duration)>,
    window: Window,
    /// Calls without a ticket that began earlier tell of a former state, or of what was forgotten.
    heard_from: Duration,
}

impl Breaker {
    pub(crate) fn new(policy: DependencyPolicy) -> Self {
        Self {
            policy,
            mode: Mode::Closed {
                since: Duration::ZERO,
            },
            number: 0,
            opened: 0,
            forced: None,
            window: Window::default(),
            heard_from: Duration::ZERO,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match (self.forced, self.mode) {
            (Some((Forced::Open, _)), _) | (None, Mode::Open { .. }) => BreakerState::Open,
            (Some((Forced::Closed, _)), _) | (None, Mode::Closed { .. }) => BreakerState::Closed,
            (None, Mode::HalfOpen { .. }) => BreakerState::HalfOpen,
        }
    }

    /// The number of the present state: another one after every change.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When the state may change by time alone: the end of an open span or of what an operator holds.
    pub(crate) fn until(&self) -> Option<Duration> {
        match (self.forced, self.mode) {
            (Some((_, until)), _) | (None, Mode::Open { until }) => Some(until),
            _ => None,
        }
    }

    /// What it is held at.
    pub(crate) fn forced(&self) -> Option<Forced> {
        self.forced.map(|(forced, _)| forced)
    }

    /// The calls in the window at this time.
    pub(crate) fn rates(&mut self, now: Duration) -> Rates {
        self.window.prune(now, self.policy.window);
        self.window.rates()
    }

    /// Whether it lets calls through of which too many are slow.
    pub(crate) fn is_slow(&mut self, now: Duration) -> bool {
        let rates = self.rates(now);
        self.state() == BreakerState::Closed
            && rates.calls >= self.policy.min_calls
            && reaches(rates.slow, rates.calls, self.policy.slow_rate_percent)
    }

    /// Leave for one call, or when to ask again. The first who asks after an open span begins the trial.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<Ticket, Duration> {
        self.pass_time(now);
        match (self.forced, &mut self.mode) {
            (Some((Forced::Open, until)), _) => return Err(until.saturating_sub(now)),
            (Some((Forced::Closed, _)), _) | (None, Mode::Closed { .. }) => {}
            (None, Mode::Open { until }) if now < *until => return Err(until.saturating_sub(now)),
            (None, Mode::Open { .. }) => self.enter(Mode::HalfOpen {
                in_flight: 1,
                succeeded: 0,
            }),
            (
                None,
                Mode::HalfOpen {
                    in_flight,
                    succeeded,
                },
            ) => {
                if *in_flight + *succeeded >= self.policy.half_open_calls {
                    return Err(self.policy.open.first);
                }
                *in_flight += 1;
            }
        }
        Ok(Ticket(self.number))
    }

    /// Takes the end of a call. `random` is for the jitter of an open span.
    pub(crate) fn record(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        took: Duration,
        now: Duration,
        random: u64,
    ) {
        self.pass_time(now);
        if ticket.0 != self.number {
            return;
        }
        let is_slow = took >= self.policy.slow_call;
        let is_bad = outcome.is_fault || (is_slow && self.policy.slow_opens);
        match &mut self.mode {
            Mode::Closed { .. } => self.count(outcome, is_slow, now, random),
            Mode::HalfOpen { .. } if is_bad => self.open(outcome.wait, now, random),
            Mode::HalfOpen {
                in_flight,
                succeeded,
            } => {
                *in_flight = in_flight.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= self.policy.half_open_calls {
                    self.close(now);
                }
            }
            // A ticket of this number was given only if it is held closed, and then it tells nothing.
            Mode::Open { .. } => {}
        }
    }

    /// Takes the end of a call that was made without a ticket. It tells something only while the breaker is closed, and only if
    /// it began in the present state; a trial is made with a ticket.
    pub(crate) fn hear(&mut self, outcome: Outcome, took: Duration, now: Duration, random: u64) {
        self.pass_time(now);
        let is_of_now = now.saturating_sub(took) >= self.heard_from;
        if is_of_now && matches!(self.mode, Mode::Closed { .. }) {
            let is_slow = took >= self.policy.slow_call;
            self.count(outcome, is_slow, now, random);
        }
    }

    /// Takes so many calls without a ticket that were neither slow nor failed, all at once.
    pub(crate) fn hear_well(&mut self, calls: u64, now: Duration, random: u64) {
        self.pass_time(now);
        if !matches!(self.mode, Mode::Closed { .. }) {
            return;
        }
        let entry = Entry {
            at: now,
            is_fault: false,
            is_slow: false,
        };
        for _ in 0..calls.min(u64::from(self.policy.window_calls)) {
            self.window.push(entry, &self.policy);
        }
        // Those that failed may have been too few to mean anything until now.
        self.judge(None, now, random);
    }

    fn count(&mut self, outcome: Outcome, is_slow: bool, now: Duration, random: u64) {
        let entry = Entry {
            at: now,
            is_fault: outcome.is_fault,
            is_slow,
        };
        self.window.push(entry, &self.policy);
        self.judge(outcome.wait, now, random);
    }

    /// Opens when the window says so.
    fn judge(&mut self, wait: Option<Duration>, now: Duration, random: u64) {
        if self.forced.is_none() && self.is_over() {
            self.open(wait, now, random);
        }
    }

    /// Takes a ticket back whose call says nothing about the dependency.
    pub(crate) fn release(&mut self, ticket: Ticket) {
        if let Mode::HalfOpen { in_flight, .. } = &mut self.mode
            && ticket.0 == self.number
        {
            *in_flight = in_flight.saturating_sub(1);
        }
    }

    /// Opens at once: somebody knows for certain that the dependency is gone. One that is open already stays as it is.
    pub(crate) fn trip(&mut self, wait: Option<Duration>, now: Duration, random: u64) {
        self.pass_time(now);
        if self.forced.is_none() && !matches!(self.mode, Mode::Open { .. }) {
            self.open(wait, now, random);
        }
    }

    /// Closes at once: somebody knows for certain that the dependency is well.
    pub(crate) fn reset(&mut self, now: Duration) {
        self.pass_time(now);
        if self.forced.is_none() && !matches!(self.mode, Mode::Closed { .. }) {
            self.close(now);
        }
    }

    /// Forgets the calls of the window, which tell nothing any more.
    pub(crate) fn forget(&mut self, now: Duration) {
        self.window = Window::default();
        self.heard_from = now;
    }

    /// Holds it until then, whatever the calls say.
    pub(crate) fn force(&mut self, forced: Forced, until: Duration) {
        self.forced = Some((forced, until));
        self.number += 1;
    }

    /// Lets go of what it was held at, if that is over by now.
    pub(crate) fn pass_time(&mut self, now: Duration) {
        let over = self.forced.take_if(|(_, until)| *until <= now);
        match over {
            // Nobody knows how it is: the next call is a trial.
            Some((Forced::Open, until)) => self.enter(Mode::Open { until }),
            Some((Forced::Closed, until)) => self.close(until),
            None => {}
        }
    }

    fn is_over(&self) -> bool {
        let rates = self.window.rates();
        let policy = &self.policy;
        rates.calls >= policy.min_calls
            && (reaches(rates.faults, rates.calls, policy.failure_rate_percent)
                || policy.slow_opens && reaches(rates.slow, rates.calls, policy.slow_rate_percent))
    }

    fn open(&mut self, wait: Option<Duration>, now: Duration, random: u64) {
        if let Mode::Closed { since } = self.mode
            && now.saturating_sub(since) >= self.policy.window
        {
            self.opened = 0;
        }
        let span = self.policy.open.delay(self.opened, random);
        let span = wait.map_or(span, |wait| span.max(wait.min(LONGEST_WAIT)));
        self.opened = self.opened.saturating_add(1);
        self.enter(Mode::Open {
            until: now.saturating_add(span),
        });
    }

    fn close(&mut self, now: Duration) {
        self.forget(now);
        self.enter(Mode::Closed { since: now });
    }

    fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        self.number += 1;
    }
}

/// The longest that a dependency can ask to be left alone.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests;
