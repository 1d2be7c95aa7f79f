//! The actor: takes requests and hands all of them to owned tasks, since each waits for somebody.
//!
//! The attempts that are under way are its only state, and a restart loses them: see `flows`.

use std::future::Future;
use std::sync::Arc;

use ground::Db;
use supervisor::{Context, StartError, Worker, WorkerError};

use super::desk::Desk;
use super::error::FederationError;
use super::issuer::Issuers;
use super::messages::{Answer, FederationMsg};
use super::seams::Neighbours;
use crate::error::AccountsError;
use ground::lock;

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) db: Db,
    pub(crate) issuers: Issuers,
    pub(crate) neighbours: Neighbours,
}

/// The actor behind the handle.
pub(crate) struct FederationActor {
    desk: Arc<Desk>,
}

impl Worker for FederationActor {
    type Msg = FederationMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<FederationMsg>) -> Result<Self, StartError> {
        cx.detail("issuers", seed.issuers.all().count());
        let desk = Desk::new(seed.db, seed.issuers, seed.neighbours);
        Ok(Self {
            desk: Arc::new(desk),
        })
    }

    async fn handle(
        &mut self,
        msg: FederationMsg,
        cx: &Context<FederationMsg>,
    ) -> Result<(), WorkerError> {
        match msg {
            FederationMsg::Issuers { reply } => reply.send(Ok(self.desk.issuers())),
            FederationMsg::Begin { begin, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.begin(begin).await },
                );
            }
            FederationMsg::Finish { finish, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.finish(*finish).await },
                );
            }
            FederationMsg::Identities { user, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.identities(user).await },
                );
            }
            FederationMsg::Unlink { by, issuer, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.unlink(by, issuer).await
                });
            }
        }
        cx.detail("attempts_under_way", lock(&self.desk.flows).len());
        Ok(())
    }

    /// What is under way is finished.
    async fn stop(&mut self, _cx: &Context<FederationMsg>) {
        self.desk.wait_until_idle().await;
    }

    fn message_name(msg: &FederationMsg) -> &'static str {
        match msg {
            FederationMsg::Issuers { .. } => "issuers",
            FederationMsg::Begin { .. } => "begin",
            FederationMsg::Finish { .. } => "finish",
            FederationMsg::Identities { .. } => "identities",
            FederationMsg::Unlink { .. } => "unlink",
        }
    }

    /// Whoever still waits for an answer gets it from the next incarnation.
    fn survives_restart(_msg: &FederationMsg) -> bool {
        true
    }
}

impl FederationActor {
    /// Runs `work` in a task of its own, to its end even when the caller leaves.
    fn serve<T, F, W>(&self, cx: &Context<FederationMsg>, reply: Answer<T>, work: W)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, FederationError>> + Send + 'static,
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
