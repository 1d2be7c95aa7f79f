//! How an incarnation ended, told apart where ractor blurs: a kill looks like a normal end, an error like a panic, and
//! a failed start raises no event at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::core::{EndKind, KillReason};
use crate::panics::Panic;
use crate::status::{Ended, EndedBy};

/// The end of one incarnation.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) kind: EndKind,
    /// Stable code of the cause.
    pub(crate) code: String,
    /// What happened, for an operator.
    pub(crate) message: String,
    /// Where in the source, for a panic.
    pub(crate) location: Option<String>,
    /// The message in hand.
    pub(crate) message_type: Option<&'static str>,
    /// Requests admitted and not finished, that one included.
    pub(crate) mailbox_depth: u32,
    /// Which incarnation it was.
    pub(crate) incarnation: u64,
}

impl End {
    pub(crate) fn new(kind: EndKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            location: None,
            message_type: None,
            mailbox_depth: 0,
            incarnation: 0,
        }
    }

    /// A panic, during `what`.
    pub(crate) fn panicked(code: &'static str, what: &str, panic: Panic) -> Self {
        let message = format!("panicked while {what}: {panic}");
        Self {
            location: panic.location,
            ..Self::new(EndKind::Panicked, code, message)
        }
    }

    /// This for the status document; `None` for a normal end.
    pub(crate) fn told(&self) -> Option<Ended> {
        let kind = match self.kind {
            EndKind::Normal => return None,
            EndKind::FailedStart { .. } => EndedBy::FailedStart,
            EndKind::Failed => EndedBy::Error,
            EndKind::Panicked => EndedBy::Panic,
            EndKind::Killed => EndedBy::Kill,
            EndKind::Cancelled => EndedBy::Cancel,
        };
        Some(Ended {
            kind,
            incarnation: self.incarnation,
            message_type: self.message_type.map(str::to_owned),
            mailbox_depth: self.mailbox_depth,
            location: self.location.clone(),
        })
    }

    pub(crate) fn normal() -> Self {
        Self::new(EndKind::Normal, "actor.ended", "ended normally")
    }

    fn killed(reason: KillReason, in_hand: Option<&str>) -> Self {
        let working_on =
            in_hand.map_or_else(String::new, |name| format!(" while it handled {name}"));
        match reason {
            KillReason::StartLimit => Self::new(
                EndKind::FailedStart { permanent: false },
                "actor.start_limit",
                "was not ready within its start limit and was killed",
            ),
            KillReason::StopLimit => Self::new(
                EndKind::Killed,
                "actor.stop_limit",
                format!("did not stop within its limit and was killed{working_on}"),
            ),
            KillReason::Drill => Self::new(
                EndKind::Killed,
                "actor.killed",
                format!("was killed by a drill{working_on}"),
            ),
        }
    }
}

/// What both sides write about one incarnation: the worker's shell how it ended, the supervisor why it killed.
#[derive(Debug, Default)]
pub(crate) struct Record {
    end: Mutex<Option<End>>,
    killed_for: Mutex<Option<KillReason>>,
    /// Whether `killed_for` is set: asked before every request, so without a lock.
    is_killed: AtomicBool,
}

impl Record {
    pub(crate) fn set_end(&self, end: End) {
        *lock(&self.end) = Some(end);
    }

    pub(crate) fn set_killed_for(&self, reason: KillReason) {
        *lock(&self.killed_for) = Some(reason);
        self.is_killed.store(true, Ordering::Release);
    }

    /// Whether the supervisor has killed the incarnation. A kill takes effect when the task yields, which a thread that was
    /// blocked need not do between two requests.
    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Acquire)
    }

    /// The end, once it was told. `failed` is what ractor reports as a failure (of a supervisor), `in_hand` the message that was
    /// being handled. What ended without a word of its own was killed: by us, or from outside.
    pub(crate) fn conclude(&self, failed: Option<String>, in_hand: Option<&str>) -> End {
        if let Some(end) = lock(&self.end).take() {
            return end;
        }
        match (*lock(&self.killed_for), failed) {
            (_, Some(message)) => End::new(EndKind::Failed, "actor.failed", message),
            (Some(reason), None) => End::killed(reason, in_hand),
            (None, None) => End::new(
                EndKind::Cancelled,
                "actor.cancelled",
                "its task was cancelled from outside of the supervisor",
            ),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
