//! All terminals of this daemon, and the records of those that an earlier one left.
//!
//! It belongs to no actor. It comes with the domain's ports and so survives even a restart of the whole domain: whoever is built
//! anew finds every terminal here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use ground::Id;

use crate::records::Records;
use crate::store::Record;
use crate::terminal::Terminal;
use crate::types::TerminalInfo;

/// The right to run one more shell; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Every terminal that is listed.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    terminals: DashMap<Id, Arc<Terminal>>,
    departed: DashMap<Id, Record>,
    taken: Arc<AtomicU32>,
    records: Arc<Records>,
}

impl Directory {
    /// What is yet to be recorded.
    pub(crate) fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// A place for one more shell, unless `most` are taken.
    pub(crate) fn take_place(&self, most: u32) -> Option<Place> {
        let taken = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < most).then_some(taken + 1)
            });
        taken.ok().map(|_| Place(Arc::clone(&self.taken)))
    }

    /// Lists a terminal.
    pub(crate) fn insert(&self, terminal: Arc<Terminal>) {
        self.terminals.insert(terminal.id, terminal);
    }

    /// The terminal with this id.
    pub(crate) fn terminal(&self, id: Id) -> Option<Arc<Terminal>> {
        self.terminals
            .get(&id)
            .map(|entry| Arc::clone(entry.value()))
    }

    /// All terminals, in no order.
    pub(crate) fn terminals(&self) -> Vec<Arc<Terminal>> {
        self.terminals
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// Takes a terminal off the list; its record stays.
    pub(crate) fn unlist(&self, id: Id) {
        self.terminals.remove(&id);
    }

    /// What an earlier daemon left.
    pub(crate) fn set_departed(&self, records: Vec<Record>) {
        for record in records {
            self.departed.insert(record.id, record);
        }
    }

    /// The record of a terminal of an earlier daemon.
    pub(crate) fn departed(&self, id: Id) -> Option<Record> {
        self.departed.get(&id).map(|entry| entry.value().clone())
    }

    /// All records of terminals of earlier daemons, in no order.
    pub(crate) fn all_departed(&self) -> Vec<Record> {
        self.departed
            .iter()
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// Forgets a terminal of an earlier daemon; whether there was one.
    pub(crate) fn forget(&self, id: Id) -> bool {
        let known = self.departed.remove(&id).is_some();
        if known {
            self.records.remove(id);
        }
        known
    }

    /// What is told about the terminal with this id.
    pub(crate) fn info(&self, id: Id) -> Option<TerminalInfo> {
        let terminal = self.terminal(id).map(|terminal| terminal.info());
        terminal.or_else(|| self.departed(id).map(|record| record.info()))
    }

    /// What is told about all of them, oldest first.
    pub(crate) fn infos(&self) -> Vec<TerminalInfo> {
        let mut all: Vec<TerminalInfo> = self
            .terminals()
            .iter()
            .map(|terminal| terminal.info())
            .collect();
        all.extend(self.all_departed().iter().map(Record::info));
        all.sort_unstable_by_key(|info| info.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let directory = Directory::default();
        let first = directory.take_place(2).expect("free");
        let second = directory.take_place(2).expect("free");
        assert!(directory.take_place(2).is_none());
        drop(first);
        let third = directory.take_place(2).expect("one came back");
        drop((second, third));
        assert_eq!(directory.taken.load(Ordering::Acquire), 0);
    }
}
