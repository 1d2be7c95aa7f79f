//! Talking to systemd where it runs us: ready, status, watchdog, reload, stop. Elsewhere all of this does nothing.

use sd_notify::NotifyState;
use supervisor::{System, task};

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

/// Tells the level with its cause whenever it changes, and that the runtime still turns, until the tasks are dropped.
pub(crate) fn follow(system: System) -> Vec<task::OwnedTask> {
    let status = task::spawn(tell_levels(system));
    let watchdog = sd_notify::watchdog_enabled().map(|limit| task::spawn(tell_alive(limit / 2)));
    std::iter::once(status).chain(watchdog).collect()
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

async fn tell_alive(every: std::time::Duration) {
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(every).await;
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
