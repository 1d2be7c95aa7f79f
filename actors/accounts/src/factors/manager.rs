//! The actor: takes requests and hands what waits for the database to owned tasks.
//!
//! It keeps nothing: factors are in the database, and who guessed how often is shared with the handle.

use std::future::Future;
use std::sync::Arc;

use ground::{Db, Sealer};
use supervisor::{Context, StartError, Worker, WorkerError};

use crate::factors::desk::Desk;
use crate::factors::error::FactorError;
use crate::factors::handle::Factors;
use crate::factors::keys;
use crate::factors::messages::{Answer, FactorsMsg};
use ground::lock;

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) db: Db,
    pub(crate) sealer: Sealer,
    pub(crate) factors: Factors,
}

/// The actor behind the handle.
pub(crate) struct FactorsActor {
    desk: Arc<Desk>,
}

impl Worker for FactorsActor {
    type Msg = FactorsMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<FactorsMsg>) -> Result<Self, StartError> {
        let desk = Desk::new(seed.db, seed.sealer, seed.factors.guesses);
        let actor = Self {
            desk: Arc::new(desk),
        };
        actor.tick(cx);
        Ok(actor)
    }

    async fn handle(
        &mut self,
        msg: FactorsMsg,
        cx: &Context<FactorsMsg>,
    ) -> Result<(), WorkerError> {
        match msg {
            FactorsMsg::Check {
                user,
                shown,
                source,
                reply,
            } => self.serve(cx, reply, move |desk| async move {
                desk.check(user, shown, source).await
            }),
            FactorsMsg::Enroll { by, reply } => {
                self.serve(cx, reply, move |desk| async move { desk.enroll(by).await });
            }
            FactorsMsg::Confirm { by, code, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.confirm(by, code).await
                });
            }
            FactorsMsg::Disable { by, shown, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.disable(by, shown).await
                });
            }
            FactorsMsg::Renew { by, shown, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.renew(by, shown).await },
                );
            }
            FactorsMsg::Overview { user, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.overview(user).await },
                );
            }
            FactorsMsg::Tick => self.tick(cx),
        }
        Ok(())
    }

    /// What is under way is finished.
    async fn stop(&mut self, _cx: &Context<FactorsMsg>) {
        self.desk.finish().await;
    }

    fn message_name(msg: &FactorsMsg) -> &'static str {
        match msg {
            FactorsMsg::Check { .. } => "check",
            FactorsMsg::Enroll { .. } => "enroll",
            FactorsMsg::Confirm { .. } => "confirm",
            FactorsMsg::Disable { .. } => "disable",
            FactorsMsg::Renew { .. } => "renew",
            FactorsMsg::Overview { .. } => "overview",
            FactorsMsg::Tick => "tick",
        }
    }

    /// Whoever still waits for an answer gets it from the next one.
    fn survives_restart(msg: &FactorsMsg) -> bool {
        !matches!(msg, FactorsMsg::Tick)
    }
}

impl FactorsActor {
    /// Runs `work` in a task of its own, to its end even when the caller leaves.
    fn serve<T, F, W>(&self, cx: &Context<FactorsMsg>, reply: Answer<T>, work: W)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, FactorError>> + Send + 'static,
        W: FnOnce(Arc<Desk>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.desk.places).try_acquire_owned() else {
            return reply.send(Err(FactorError::busy()));
        };
        let desk = Arc::clone(&self.desk);
        cx.offload(async move {
            let result = work(desk).await;
            drop(place);
            reply.send(result);
        });
    }

    /// Sees whether the master key fits, beside the mailbox.
    fn tick(&self, cx: &Context<FactorsMsg>) {
        cx.detail("users_with_wrong_codes", lock(&self.desk.guesses).len());
        let (desk, own) = (Arc::clone(&self.desk), cx.clone());
        cx.offload(async move {
            let again = keys::look(&desk, &own).await;
            own.after(again, FactorsMsg::Tick);
        });
    }
}
