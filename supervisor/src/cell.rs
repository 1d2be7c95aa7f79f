//! What is known of one actor without asking it: depth, latency, the message in hand, facts that it published.
//!
//! The cell outlives every incarnation. It is written on the message path, so it holds atomics and short locks that
//! are never held across an await.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Epoch;
use crate::latency::LatencyBook;
use crate::status::{Detail, Latency, Mailbox};

/// Cells with refusals that were not counted yet; each is in it at most once.
static FLOODED: Mutex<Vec<Weak<NodeCell>>> = Mutex::new(Vec::new());

/// The actors that refused requests since the last call, with how many they were.
pub(crate) fn take_refusals() -> Vec<(Arc<NodeCell>, u32)> {
    let flooded = std::mem::take(&mut *FLOODED.lock().unwrap_or_else(PoisonError::into_inner));
    let living = flooded.iter().filter_map(Weak::upgrade);
    living
        .map(|cell| {
            let refused = cell.refused.swap(0, Ordering::Relaxed);
            (cell, refused)
        })
        .collect()
}

/// What knows how many requests it has admitted and not finished.
pub(crate) trait Depth: Send + Sync {
    fn depth(&self) -> u32;
}

/// A message that a handler works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InHand {
    pub(crate) message: &'static str,
    pub(crate) since: Instant,
}

pub(crate) struct NodeCell {
    /// Tells actors apart on the marks of threads; never 0.
    id: u64,
    path: Arc<str>,
    limit: u32,
    epoch: Epoch,
    /// The mailbox, which knows its depth.
    queue: OnceLock<Weak<dyn Depth>>,
    /// Made with the first reply.
    latency: OnceLock<Box<LatencyBook>>,
    in_hand: Mutex<Option<InHand>>,
    is_busy: AtomicBool,
    /// When the handler last said that it gets on: microseconds since the epoch.
    progress_us: AtomicU64,
    /// Sections under way that may take as long as they like.
    protected: AtomicU32,
    /// Requests refused by a full mailbox since they were last counted.
    refused: AtomicU32,
    details: Mutex<BTreeMap<&'static str, Detail>>,
}

impl std::fmt::Debug for NodeCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeCell").field(&self.path).finish()
    }
}

impl NodeCell {
    pub(crate) fn new(path: Arc<str>, limit: u32) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            path,
            limit: limit.max(1),
            epoch: Epoch::start(),
            queue: OnceLock::new(),
            latency: OnceLock::new(),
            in_hand: Mutex::new(None),
            is_busy: AtomicBool::new(false),
            progress_us: AtomicU64::new(0),
            protected: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            details: Mutex::new(BTreeMap::new()),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Sets where the depth is known. Called once.
    pub(crate) fn set_queue(&self, queue: Weak<dyn Depth>) {
        // A second queue for the same cell does not exist.
        drop(self.queue.set(queue));
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        let queue = self.queue.get().and_then(Weak::upgrade);
        Mailbox {
            depth: queue.map_or(0, |queue| queue.depth()),
            limit: self.limit,
        }
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        self.latency.get()?.read(self.epoch.now())
    }

    pub(crate) fn replies(&self) -> u64 {
        self.latency.get().map_or(0, |book| book.total())
    }

    /// Counts a reply to what was asked at `asked_at`.
    pub(crate) fn record_reply(&self, asked_at: Instant) {
        let now = Instant::now();
        self.latency.get_or_init(Box::default).record(
            now.saturating_duration_since(asked_at),
            self.epoch.until(now),
        );
    }

    /// Notes the message that a handler works on from now on.
    pub(crate) fn begin(&self, message: &'static str, now: Instant) {
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(InHand {
            message,
            since: now,
        });
        self.is_busy.store(true, Ordering::Release);
        self.protected.store(0, Ordering::Relaxed);
        self.progress_us.store(0, Ordering::Relaxed);
    }

    /// Nothing is in hand any more.
    pub(crate) fn done(&self) {
        self.is_busy.store(false, Ordering::Release);
    }

    pub(crate) fn in_hand(&self) -> Option<InHand> {
        if !self.is_busy.load(Ordering::Acquire) {
            return None;
        }
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handler gets on.
    pub(crate) fn mark_progress(&self) {
        let micros = u64::try_from(self.epoch.now().as_micros()).unwrap_or(u64::MAX);
        self.progress_us.store(micros, Ordering::Relaxed);
    }

    /// When the handler last got on, if it ever said so.
    pub(crate) fn last_progress(&self) -> Option<Instant> {
        let micros = self.progress_us.load(Ordering::Relaxed);
        (micros > 0).then(|| self.epoch.instant(Duration::from_micros(micros)))
    }

    pub(crate) fn protect(&self) {
        self.protected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unprotect(&self) {
        // What ends after the next message began protects nothing any more.
        let fewer = |protected: u32| protected.checked_sub(1);
        let _before = self
            .protected
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        self.mark_progress();
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn set_detail(&self, key: &'static str, value: Detail) {
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        details.insert(key, value);
    }

    pub(crate) fn details(&self) -> BTreeMap<String, Detail> {
        let details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        details
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    /// Counts a request that a full mailbox refused.
    pub(crate) fn note_refused(self: &Arc<Self>) {
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut flooded = FLOODED.lock().unwrap_or_else(PoisonError::into_inner);
            flooded.push(Arc::downgrade(self));
        }
    }

    /// How long a caller that found the mailbox full should wait: about the time that the queue takes.
    pub(crate) fn retry_after(&self) -> Duration {
        let mailbox = self.mailbox();
        let per_reply = self.latency().map_or(1.0, |latency| latency.p50.max(0.01));
        let millis = (f64::from(mailbox.depth) * per_reply).clamp(50.0, 5_000.0);
        Duration::from_secs_f64(millis / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_told_while_it_is() {
        let cell = NodeCell::new("/a".into(), 2);
        assert_eq!(cell.in_hand(), None);
        cell.begin("Open", Instant::now());
        assert_eq!(cell.in_hand().map(|hand| hand.message), Some("Open"));
        cell.done();
        assert_eq!(cell.in_hand(), None);
    }

    #[test]
    fn protection_ends_once_and_marks_progress() {
        let cell = NodeCell::new("/a".into(), 2);
        assert!(cell.last_progress().is_none() && !cell.is_protected());
        cell.protect();
        assert!(cell.is_protected());
        cell.unprotect();
        cell.unprotect();
        assert!(!cell.is_protected());
        assert!(cell.last_progress().is_some());
    }
}
