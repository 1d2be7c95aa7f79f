//! Which actor's code runs on which thread, at this very moment.
//!
//! A handler that blocks its thread cannot tell anybody, and the runtime does not know whose code it polls. So each poll of an
//! actor's code leaves a mark on its thread: two stores, no clock. The watchdog, on a thread of its own, sees a mark that
//! does not move. The same mark tells an ask on whose behalf it is made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What runs on one thread.
#[derive(Debug, Default)]
struct Mark {
    /// Number of the actor whose code is being polled; 0 for none.
    actor: AtomicU64,
    /// Rises with each poll that begins or ends.
    turns: AtomicU64,
}

static MARKS: Mutex<Vec<Weak<Mark>>> = Mutex::new(Vec::new());

thread_local! {
    static MARK: Arc<Mark> = register();
}

fn register() -> Arc<Mark> {
    let mark = Arc::new(Mark::default());
    let mut marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    marks.retain(|mark| mark.strong_count() > 0);
    marks.push(Arc::downgrade(&mark));
    mark
}

/// Ends the mark of a poll.
#[derive(Debug)]
pub(crate) struct Entered {
    before: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        set(self.before);
    }
}

/// Marks that code of `actor` runs on this thread until the result is dropped.
pub(crate) fn enter(actor: u64) -> Entered {
    Entered { before: set(actor) }
}

fn set(actor: u64) -> u64 {
    // A thread that is ending has no mark any more.
    MARK.try_with(|mark| {
        let before = mark.actor.load(Ordering::Relaxed);
        mark.actor.store(actor, Ordering::Relaxed);
        let turns = mark.turns.load(Ordering::Relaxed);
        mark.turns.store(turns + 1, Ordering::Release);
        before
    })
    .unwrap_or(0)
}

/// The actor whose code runs on this thread; 0 for none.
pub(crate) fn current() -> u64 {
    MARK.try_with(|mark| mark.actor.load(Ordering::Relaxed))
        .unwrap_or(0)
}

/// What a thread does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Tells threads apart.
    pub(crate) thread: usize,
    pub(crate) actor: u64,
    pub(crate) turns: u64,
}

/// All threads that are inside an actor's code now.
pub(crate) fn busy() -> Vec<Turn> {
    let marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    let living = marks.iter().filter_map(Weak::upgrade);
    living
        .map(|mark| Turn {
            thread: Arc::as_ptr(&mark).addr(),
            turns: mark.turns.load(Ordering::Acquire),
            actor: mark.actor.load(Ordering::Relaxed),
        })
        .filter(|turn| turn.actor != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_nest_and_end() {
        assert_eq!(current(), 0);
        let outer = enter(u64::MAX);
        assert_eq!(current(), u64::MAX);
        {
            let _inner = enter(u64::MAX - 1);
            assert_eq!(current(), u64::MAX - 1);
        }
        let of_mine = |actor| {
            busy()
                .into_iter()
                .filter(|turn| turn.actor == actor)
                .count()
        };
        assert_eq!((of_mine(u64::MAX), of_mine(u64::MAX - 1)), (1, 0));
        drop(outer);
        assert_eq!((current(), of_mine(u64::MAX)), (0, 0));
    }
}
