//! The kept history of changes: a bounded ring with ids that rise across restarts of the daemon.

use std::collections::VecDeque;

use crate::clock::WallTime;
use crate::status::StatusEvent;

/// Events kept in memory.
const KEPT: usize = 4_096;

pub(crate) struct History {
    ring: VecDeque<StatusEvent>,
    /// The id after which this run of the daemon counts.
    origin: u64,
    newest: u64,
}

impl History {
    /// Ids begin at the start time in microseconds: fewer than a million events a second, so a later daemon's ids are
    /// higher, and clients that resume by id never see an old one again.
    pub(crate) fn new(started_at: WallTime) -> Self {
        let origin = u64::try_from(started_at.0).unwrap_or(0);
        Self {
            ring: VecDeque::new(),
            origin,
            newest: origin,
        }
    }

    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    /// Keeps the event and gives its id.
    pub(crate) fn append(&mut self, mut event: StatusEvent) -> u64 {
        self.newest += 1;
        event.id = self.newest;
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(event);
        self.newest
    }

    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The oldest `limit` events after `since`, of `path` and below when given.
    pub(crate) fn after(&self, since: u64, path: Option<&str>, limit: usize) -> Vec<StatusEvent> {
        self.ring
            .iter()
            .skip(self.ring.partition_point(|event| event.id <= since))
            .filter(|event| {
                path.is_none_or(|path| {
                    event.path == path || crate::model::is_below(&event.path, path)
                })
            })
            .take(limit)
            .cloned()
            .collect()
    }

    /// The oldest (or newest) `limit` events that `wanted` takes, in that order.
    pub(crate) fn select(
        &self,
        newest_first: bool,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent> {
        let taken = |event: &&StatusEvent| wanted(event);
        if newest_first {
            let newest = self.ring.iter().rev().filter(taken);
            return newest.take(limit).cloned().collect();
        }
        let oldest = self.ring.iter().filter(taken);
        oldest.take(limit).cloned().collect()
    }
}
