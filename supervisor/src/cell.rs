//! What is known of one actor without asking it: depth, latency, the message in hand, facts that it published.
//!
//! The cell outlives every incarnation. It is written on the message path, so it holds atomics and two short locks that
//! are never held across an await.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Epoch;
use crate::latency::LatencyBook;
use crate::status::{Detail, Latency, Mailbox};

#[derive(Debug)]
pub(crate) struct NodeCell {
    path: Arc<str>,
    limit: u32,
    epoch: Epoch,
    depth: AtomicU32,
    latency: LatencyBook,
    in_hand: Mutex<Option<&'static str>>,
    details: Mutex<BTreeMap<&'static str, Detail>>,
}

impl NodeCell {
    pub(crate) fn new(path: Arc<str>, limit: u32) -> Arc<Self> {
        Arc::new(Self {
            path,
            limit: limit.max(1),
            epoch: Epoch::start(),
            depth: AtomicU32::new(0),
            latency: LatencyBook::default(),
            in_hand: Mutex::new(None),
            details: Mutex::new(BTreeMap::new()),
        })
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        Mailbox {
            depth: self.depth.load(Ordering::Relaxed),
            limit: self.limit,
        }
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        self.latency.read(self.epoch.now())
    }

    pub(crate) fn replies(&self) -> u64 {
        self.latency.total()
    }

    pub(crate) fn record_latency(&self, took: Duration) {
        self.latency.record(took, self.epoch.now());
    }

    /// Notes the message that a handler works on; `None` between messages.
    pub(crate) fn take_in_hand(&self, name: Option<&'static str>) {
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    pub(crate) fn in_hand(&self) -> Option<&'static str> {
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Admits one request, or tells the depth when the mailbox is full.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit, u32> {
        let admitted = self
            .depth
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |depth| {
                (depth < self.limit).then_some(depth + 1)
            });
        admitted.map(|_| Permit(Arc::clone(self)))
    }

    /// How long a caller that found the mailbox full should wait: about the time that the queue takes.
    pub(crate) fn retry_after(&self) -> Duration {
        let mailbox = self.mailbox();
        let per_reply = self.latency().map_or(1.0, |latency| latency.p50.max(0.01));
        let millis = (f64::from(mailbox.depth) * per_reply).clamp(50.0, 5_000.0);
        Duration::from_secs_f64(millis / 1_000.0)
    }
}

/// A place in the mailbox; given back when the request was served or dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<NodeCell>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_and_given_back() {
        let cell = NodeCell::new("/a".into(), 2);
        let first = cell.admit().unwrap();
        let _second = cell.admit().unwrap();
        assert_eq!(cell.admit().unwrap_err(), 2);
        drop(first);
        assert!(cell.admit().is_ok());
    }
}
