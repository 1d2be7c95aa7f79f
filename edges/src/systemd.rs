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

/// Feeds the service manager's watchdog, as long as the runtime turns. Called at each look of ours.
#[derive(Debug)]
pub(crate) struct Feed {
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Feed {
    /// Twice as often as the service manager asks for.
    pub(crate) fn new() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            last: None,
        }
    }

    /// Feeds it when it is time to. A runtime that has stalled is not told as alive, so that the service manager ends it.
    pub(crate) fn look(&mut self, vitals: &Vitals) {
        let Some(every) = self.every else { return };
        let is_due = self.last.is_none_or(|last| last.elapsed() >= every);
        if is_due && !vitals.is_stalled() {
            tell(&[NotifyState::Watchdog]);
            self.last = Some(Instant::now());
        }
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
