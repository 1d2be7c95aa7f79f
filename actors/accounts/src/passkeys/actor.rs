//! The actor: takes requests and hands what waits for the database to owned tasks.
//!
//! It keeps nothing: passkeys are in the database, and challenges are shared with the handle, so that a restart loses none.

use std::future::Future;
use std::sync::Arc;

use supervisor::{Context, StartError, Worker, WorkerError};

use super::desk::Desk;
use super::error::PasskeyError;
use super::messages::{Answer, PasskeysMsg};
use crate::error::AccountsError;

/// The actor behind the handle.
pub(crate) struct PasskeysActor {
    desk: Arc<Desk>,
}

impl Worker for PasskeysActor {
    type Msg = PasskeysMsg;
    type Seed = Arc<Desk>;

    async fn start(desk: Arc<Desk>, cx: &Context<PasskeysMsg>) -> Result<Self, StartError> {
        cx.detail("belongs_to", desk.place());
        Ok(Self { desk })
    }

    async fn handle(
        &mut self,
        msg: PasskeysMsg,
        cx: &Context<PasskeysMsg>,
    ) -> Result<(), WorkerError> {
        match msg {
            PasskeysMsg::BeginNew { by, origin, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.begin_new(by, origin).await
                });
            }
            PasskeysMsg::FinishNew { new, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.finish_new(*new).await },
                );
            }
            PasskeysMsg::BeginSignIn {
                source,
                origin,
                reply,
            } => reply.send(self.desk.begin_sign_in(&source, origin.as_deref())),
            PasskeysMsg::FinishSignIn { sign_in, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.finish_sign_in(*sign_in).await
                });
            }
            PasskeysMsg::Of { user, reply } => {
                self.serve(cx, reply, move |desk| async move { desk.of(user).await });
            }
            PasskeysMsg::Rename {
                by,
                id,
                name,
                reply,
            } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.rename(by, id, name).await
                });
            }
            PasskeysMsg::Remove { by, id, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.remove(by, id).await },
                );
            }
        }
        cx.detail("challenges", self.desk.challenges());
        Ok(())
    }

    /// What is under way is finished.
    async fn stop(&mut self, _cx: &Context<PasskeysMsg>) {
        self.desk.finish().await;
    }

    fn message_name(msg: &PasskeysMsg) -> &'static str {
        match msg {
            PasskeysMsg::BeginNew { .. } => "begin_new",
            PasskeysMsg::FinishNew { .. } => "finish_new",
            PasskeysMsg::BeginSignIn { .. } => "begin_sign_in",
            PasskeysMsg::FinishSignIn { .. } => "finish_sign_in",
            PasskeysMsg::Of { .. } => "of",
            PasskeysMsg::Rename { .. } => "rename",
            PasskeysMsg::Remove { .. } => "remove",
        }
    }

    /// Whoever still waits for an answer gets it from the next incarnation.
    fn survives_restart(_msg: &PasskeysMsg) -> bool {
        true
    }
}

impl PasskeysActor {
    /// Runs `work` in a task of its own, to its end even when the caller leaves.
    fn serve<T, F, W>(&self, cx: &Context<PasskeysMsg>, reply: Answer<T>, work: W)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PasskeyError>> + Send + 'static,
        W: FnOnce(Arc<Desk>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.desk.places).try_acquire_owned() else {
            let retry_after = ground::db::BUSY_RETRY;
            return reply.send(Err(AccountsError::Busy { retry_after }.into()));
        };
        let desk = Arc::clone(&self.desk);
        cx.offload(async move {
            let result = work(desk).await;
            drop(place);
            reply.send(result);
        });
    }
}
