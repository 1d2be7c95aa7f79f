//! Talking to systemd where it runs us: ready, status, watchdog, reload, stop. Elsewhere all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use supervisor::{System, Vitals, task};
use tokio::time::Instant;

/// Start-up, or a reload, is over.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A stop has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A reload has begun; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(since) => tell(&[NotifyState::Reloading, since]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells the level with its cause whenever it changes, until the task is dropped.
pub(crate) fn follow(system: System) -> task::OwnedTask {
    task::spawn(tell_levels(system))
}

/// The longest time between two calls of [`Feed::look`], but for a machine that is late itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Feeds the service manager's watchdog, as long as the runtime turns. Called at each look of ours.
#[derive(Debug)]
pub(crate) struct Feed {
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Feed {
    /// At least twice as often as the service manager asks for.
    pub(crate) fn new() -> Self {
        Self::twice_within(sd_notify::watchdog_enabled())
    }

    fn twice_within(limit: Option<Duration>) -> Self {
        Self {
            // A look earlier rather than a look late.
            every: limit.map(|limit| (limit / 2).saturating_sub(LOOK_EVERY)),
            last: None,
        }
    }

    /// Feeds it when it is time to.
    pub(crate) fn look(&mut self, vitals: &Vitals) {
        if self.is_due(Instant::now(), vitals) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Whether to feed now. A runtime that has stalled is not told as alive, so that the service manager ends it.
    fn is_due(&mut self, now: Instant, vitals: &Vitals) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        let was_long_ago = |last| now.saturating_duration_since(last) >= every;
        let is_due = self.last.is_none_or(was_long_ago) && !vitals.is_stalled();
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not told");
    }
}

async fn tell_levels(system: System) {
    let mut events = system.subscribe(None);
    loop {
        let line = summary(&system);
        tell(&[NotifyState::Status(&line)]);
        loop {
            match events.next().await {
                Some(event) if event.path == "/" => break,
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// The level and, below NORMAL, why.
fn summary(system: &System) -> String {
    let Some(root) = system.status(None, Some(0)) else {
        return String::new();
    };
    match root.cause {
        Some(cause) => format!("{}: {} {}", root.level, cause.path, cause.message),
        None => root.level.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Looks come late by a little, as on a machine that has much to do.
        #[test]
        fn the_watchdog_is_fed_twice_within_its_limit_while_the_runtime_turns(
            limit_ms in 1_000_u64..60_000,
            late_ms in prop::collection::vec(0_u64..10, 700..1_400),
        ) {
            let limit = Duration::from_millis(limit_ms);
            let mut feed = Feed::twice_within(Some(limit));
            let mut now = Instant::now();
            let mut last = now;
            // Late by a look at most, however late looks are.
            let longest = limit / 2 + Duration::from_millis(20);
            for late in late_ms {
                now += LOOK_EVERY + Duration::from_millis(late);
                if feed.is_due(now, &Vitals::default()) {
                    prop_assert!(now - last <= longest, "{:?} of {limit:?}", now - last);
                    last = now;
                }
            }
            prop_assert!(now - last <= longest);
            let stalled = Vitals { stalled_for: Duration::from_secs(1), ..Vitals::default() };
            prop_assert!(!feed.is_due(now + limit, &stalled));
            prop_assert!(feed.is_due(now + limit, &Vitals::default()));
        }
    }

    #[test]
    fn without_a_watchdog_nothing_is_fed() {
        let mut feed = Feed::twice_within(None);
        assert!(!feed.is_due(Instant::now(), &Vitals::default()));
    }
}
