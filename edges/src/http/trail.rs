//! Putting on record what has no transaction of its own: operator actions and drills.
//!
//! The record never keeps anybody from acting: who restarts a store that is down must not need the store for it. What cannot be stored at
//! once waits in the audit's memory; what cannot even wait is in the log.

use ground::audit::{Entry, Outcome};
use supervisor::{Fault, FaultKind};

use super::state::AppState;

/// Records what was asked for and what came of it; answers when it is on disk, or when that has to wait.
pub(crate) async fn record<T, F: Fault>(edge: &AppState, entry: Entry, came: &Result<T, F>) {
    let entry = match came {
        Ok(_) => entry,
        Err(fault) => entry
            .with_outcome(outcome(fault.kind()))
            .with("code", fault.code()),
    };
    let (action, object) = (entry.action, entry.object.clone());
    if let Err(error) = edge.handles.audit.record(entry).await {
        tracing::warn!(%error, action, object, "what was done is not on record");
    }
}

fn outcome(kind: FaultKind) -> Outcome {
    match kind {
        FaultKind::Internal
        | FaultKind::Unavailable
        | FaultKind::Deadline
        | FaultKind::Upstream => Outcome::Failed,
        _ => Outcome::Refused,
    }
}
