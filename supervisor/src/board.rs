//! The board: what is known of every node, in one place that supervisors write and readers read.
//!
//! Supervisors write a change and go on; nothing is queued, so nothing is lost and nothing grows. Levels are rolled up by the
//! monitor a moment later, or by the next reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, watch};

use crate::cell::NodeCell;
use crate::context::Condition;
use crate::domain::Manifest;
use crate::end::End;
use crate::inbox::GroupRef;
use crate::level::{Level, State};
use crate::model::Model;
use crate::status::NodeKind;

/// What does not change of a node.
pub(crate) struct NodeFacts {
    pub(crate) path: Arc<str>,
    pub(crate) kind: NodeKind,
    pub(crate) bears: Level,
    pub(crate) budget: u32,
    pub(crate) cell: Option<Arc<NodeCell>>,
    pub(crate) manifest: Option<&'static Manifest>,
}

/// A change of state as its supervisor tells it.
pub(crate) struct StateChange {
    pub(crate) path: Arc<str>,
    pub(crate) state: State,
    pub(crate) restarts: u64,
    pub(crate) in_window: u32,
    /// Until the next attempt.
    pub(crate) next_in: Option<Duration>,
}

struct Inner {
    model: Mutex<Model>,
    groups: DashMap<Arc<str>, GroupRef>,
    /// Something changed that has not been rolled up.
    changed: Notify,
    /// Id of the newest event.
    newest: watch::Sender<u64>,
    ready: watch::Sender<bool>,
    killed: Mutex<Vec<String>>,
}

/// Shared by everything that supervises or reads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Board {
    inner: Arc<Inner>,
}

impl Board {
    pub(crate) fn new() -> Self {
        let model = Model::new();
        let newest = watch::Sender::new(model.newest_event());
        Self {
            inner: Arc::new(Inner {
                model: Mutex::new(model),
                groups: DashMap::new(),
                changed: Notify::new(),
                newest,
                ready: watch::Sender::new(false),
                killed: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Runs `act` on the model. Short: supervisors wait for it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = lock(&self.inner.model);
        let (old, was_dirty) = (model.newest_event(), model.is_dirty());
        let result = act(&mut model);
        let newest = model.newest_event();
        let is_dirty = model.is_dirty();
        drop(model);
        if newest != old {
            self.inner.newest.send_if_modified(|seen| {
                // A slower caller must not take back what a faster one told.
                let changed = newest > *seen;
                if changed {
                    *seen = newest;
                }
                changed
            });
        }
        // Who made it dirty has told the monitor already.
        if is_dirty && !was_dirty {
            self.inner.changed.notify_one();
        }
        result
    }

    pub(crate) fn add(&self, facts: NodeFacts) {
        self.with(|model| model.add(facts));
    }

    pub(crate) fn remove(&self, path: &str) {
        self.with(|model| model.remove(path));
    }

    pub(crate) fn remove_below(&self, path: &str) {
        self.inner
            .groups
            .retain(|group, _| !crate::model::is_below(group, path));
        self.with(|model| model.remove_below(path));
    }

    pub(crate) fn change(&self, change: &StateChange) {
        self.with(|model| model.change(change));
    }

    pub(crate) fn ended(&self, path: &str, end: &End) {
        self.with(|model| model.ended(path, end));
    }

    pub(crate) fn condition(&self, path: &str, condition: Option<Condition>) {
        self.with(|model| model.set_condition(path, condition));
    }

    pub(crate) fn raise_alarm(&self, path: &str, alarm: Condition) {
        self.with(|model| model.raise_alarm(path, alarm));
    }

    pub(crate) fn end_alarm(&self, path: &str, code: &str) {
        self.with(|model| model.end_alarm(path, code));
    }

    pub(crate) fn register_group(&self, path: Arc<str>, group: GroupRef) {
        self.inner.groups.insert(path, group);
    }

    pub(crate) fn unregister_group(&self, path: &str) {
        self.inner.groups.remove(path);
    }

    pub(crate) fn group(&self, path: &str) -> Option<GroupRef> {
        self.inner.groups.get(path).map(|entry| entry.clone())
    }

    pub(crate) fn set_ready(&self) {
        self.inner.ready.send_replace(true);
    }

    pub(crate) fn ready(&self) -> watch::Receiver<bool> {
        self.inner.ready.subscribe()
    }

    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.inner.newest.subscribe()
    }

    /// Notes who had to be killed, for the report of a stop.
    pub(crate) fn note_killed(&self, path: &str) {
        lock(&self.inner.killed).push(path.to_owned());
    }

    pub(crate) fn take_killed(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.inner.killed))
    }

    /// Rolls levels up whenever something changed, a moment later so that a burst is one roll-up.
    pub(crate) async fn monitor(self) {
        const BURST: Duration = Duration::from_millis(5);
        /// While a timer is due this soon, one that is set for later (every ask sets one) need not wake the thread that waits for
        /// timers: a system call saved with each ask.
        const PULSE: Duration = Duration::from_millis(250);
        // What was there before this ran has told nobody.
        self.with(Model::settle);
        loop {
            tokio::select! {
                () = self.inner.changed.notified() => {
                    tokio::time::sleep(BURST).await;
                    self.with(Model::settle);
                }
                () = tokio::time::sleep(PULSE) => {}
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
