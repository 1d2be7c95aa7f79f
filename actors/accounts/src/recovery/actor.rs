//! The actor: hands each request to an owned task, since all of them wait for the database or for a hash. It keeps nothing.

use std::future::Future;
use std::sync::Arc;

use ground::DbError;
use supervisor::{Context, Fault as _, FaultKind, StartError, Worker, WorkerError};
use tokio::sync::Semaphore;

use super::desk::Desk;
use super::error::RecoveryError;
use super::messages::{Answer, RecoveryMsg};

/// Requests under way at most.
const PLACES: usize = 64;

/// The actor behind [`Recovery`](super::Recovery).
pub(crate) struct RecoveryActor {
    desk: Arc<Desk>,
    places: Arc<Semaphore>,
}

impl Worker for RecoveryActor {
    type Msg = RecoveryMsg;
    type Seed = Arc<Desk>;

    async fn start(seed: Arc<Desk>, _cx: &Context<RecoveryMsg>) -> Result<Self, StartError> {
        Ok(Self {
            desk: seed,
            places: Arc::new(Semaphore::new(PLACES)),
        })
    }

    async fn handle(
        &mut self,
        msg: RecoveryMsg,
        cx: &Context<RecoveryMsg>,
    ) -> Result<(), WorkerError> {
        let desk = Arc::clone(&self.desk);
        match msg {
            RecoveryMsg::Forgot {
                email,
                source,
                reply,
            } => self.serve(cx, reply, async move { desk.forgot(&email, source).await }),
            RecoveryMsg::Reset {
                reset,
                source,
                reply,
            } => self.serve(cx, reply, async move { desk.reset(reset, source).await }),
            RecoveryMsg::Verify {
                token,
                source,
                reply,
            } => self.serve(cx, reply, async move { desk.verify(&token, source).await }),
            RecoveryMsg::Resend { by, reply } => {
                self.serve(cx, reply, async move { desk.resend(by).await });
            }
            RecoveryMsg::Change { by, new, reply } => {
                self.serve(cx, reply, async move { desk.change(by, new).await });
            }
        }
        Ok(())
    }

    fn message_name(msg: &RecoveryMsg) -> &'static str {
        match msg {
            RecoveryMsg::Forgot { .. } => "forgot",
            RecoveryMsg::Reset { .. } => "reset",
            RecoveryMsg::Verify { .. } => "verify",
            RecoveryMsg::Resend { .. } => "resend",
            RecoveryMsg::Change { .. } => "change",
        }
    }

    /// Whoever still waits for an answer gets it from the next one.
    fn survives_restart(_msg: &RecoveryMsg) -> bool {
        true
    }
}

impl RecoveryActor {
    /// Does it in a task of its own, to its end even when the caller leaves.
    fn serve(
        &self,
        cx: &Context<RecoveryMsg>,
        reply: Answer,
        work: impl Future<Output = Result<(), RecoveryError>> + Send + 'static,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return reply.send(Err(RecoveryError::Store(DbError::Busy {
                retry_after: ground::db::BUSY_RETRY,
            })));
        };
        cx.offload(async move {
            let result = work.await;
            drop(place);
            if let Err(error) = &result
                && error.kind() == FaultKind::Internal
            {
                let inside = std::error::Error::source(error).map(tracing::field::display);
                tracing::error!(%error, inside, "a step of recovery failed");
            }
            reply.send(result);
        });
    }
}
