//! What drills do to the children of a group.
//!
//! A fault that comes back with each incarnation is kept here and not in the child: nothing of a child outlives its end.

use super::GroupState;
use crate::address::Injection;
use crate::core::{ChildId, KillReason};

impl GroupState {
    /// Injects a fault into the child of this name; `false` when it is not there to suffer it.
    pub(super) fn inject(&mut self, name: &str, injection: Injection) -> bool {
        let Some(child) = self.names.get(name).copied() else {
            return false;
        };
        if injection == Injection::Kill {
            let live = self
                .slots
                .get(&child)
                .is_some_and(|slot| slot.live.is_some());
            self.kill_child(child, KillReason::Drill);
            return live;
        }
        let Some(slot) = self.slots.get_mut(&child) else {
            return false;
        };
        let mailbox = slot.launcher.mailbox();
        let took_effect = mailbox.is_some_and(|mailbox| mailbox.inject(injection));
        if let (Injection::CrashLoop(span), true) = (injection, took_effect) {
            slot.crash_until = Some(self.epoch.now().saturating_add(span));
        }
        took_effect
    }

    /// The child is ready: a drill may have it panic again.
    pub(super) fn crash_again(&mut self, child: ChildId) {
        let now = self.epoch.now();
        if let Some(slot) = self.slots.get_mut(&child)
            && slot.crash_until.is_some()
        {
            slot.crash_until = slot.crash_until.filter(|until| now < *until);
            if let (Some(_), Some(mailbox)) = (slot.crash_until, slot.launcher.mailbox()) {
                mailbox.inject(Injection::Panic);
            }
        }
    }

    /// An operator orders something of the child: a drill that keeps it crashing is over.
    pub(super) fn end_crashes(&mut self, child: ChildId) {
        if let Some(slot) = self.slots.get_mut(&child) {
            slot.crash_until = None;
        }
    }
}
