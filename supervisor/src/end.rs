//! How an incarnation ended, told apart where ractor blurs: a kill looks like a normal end, an error like a panic, and
//! a failed start raises no event at all.

use std::sync::{Mutex, PoisonError};

use crate::core::{EndKind, KillReason};

/// The end of one incarnation.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) kind: EndKind,
    /// Stable code of the cause.
    pub(crate) code: String,
    /// What happened, for an operator.
    pub(crate) message: String,
}

impl End {
    pub(crate) fn new(kind: EndKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
        }
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
}

impl Record {
    pub(crate) fn set_end(&self, end: End) {
        *lock(&self.end) = Some(end);
    }

    pub(crate) fn set_killed_for(&self, reason: KillReason) {
        *lock(&self.killed_for) = Some(reason);
    }

    /// The end, once ractor has told of it. `killed` is whether ractor reports a kill or a cancelled task, `failed` what it
    /// reports as a failure; `in_hand` the message that was
    /// being handled.
    pub(crate) fn conclude(
        &self,
        killed: bool,
        failed: Option<String>,
        in_hand: Option<&str>,
    ) -> End {
        if let Some(end) = lock(&self.end).take() {
            return end;
        }
        match (*lock(&self.killed_for), killed) {
            (Some(reason), true) => End::killed(reason, in_hand),
            (None, true) => End::new(
                EndKind::Cancelled,
                "actor.cancelled",
                "its task was cancelled from outside of the supervisor",
            ),
            (_, false) => failed.map_or_else(End::normal, |message| {
                End::new(EndKind::Failed, "actor.failed", message)
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
