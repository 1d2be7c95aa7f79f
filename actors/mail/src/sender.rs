//! The actor: answers who asks about mails, and owns the work of sending them, which runs beside its mailbox.
//!
//! It keeps nothing that must survive: the queue is in the database, and what was being sent when it ended is sent again when
//! the lease has run out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ground::audit::Entry;
use ground::{Db, clock};
use supervisor::{Context, Dependency, StartError, Worker, WorkerError};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use crate::config::MailConfig;
use crate::courier::{Courier, LOOK};
use crate::error::MailError;
use crate::messages::{Answer, MailMsg};
use crate::outbox::Outbox;
use crate::smtp::Smtp;
use crate::store;

/// Requests under way at most.
const PLACES: usize = 32;

/// How mails leave.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Through a server.
    Smtp(Arc<Smtp>, Dependency),
    /// Into a folder.
    Outbox(Outbox),
}

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) config: MailConfig,
    pub(crate) db: Db,
    pub(crate) way: Way,
}

/// The actor behind the handle.
pub(crate) struct SenderActor {
    courier: Arc<Courier>,
    places: Arc<Semaphore>,
}

impl Worker for SenderActor {
    type Msg = MailMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<MailMsg>) -> Result<Self, StartError> {
        let courier = Arc::new(Courier::new(seed));
        cx.offload(rounds(Arc::clone(&courier), cx.clone()));
        Ok(Self {
            courier,
            places: Arc::new(Semaphore::new(PLACES)),
        })
    }

    async fn handle(&mut self, msg: MailMsg, cx: &Context<MailMsg>) -> Result<(), WorkerError> {
        match msg {
            MailMsg::List { page, reply } => self.serve(cx, reply, move |courier| async move {
                let mails = store::mails_of_page(courier.db(), &page).await?;
                Ok(page.page(mails, |mail| mail.id))
            }),
            MailMsg::Retry { id, by, reply } => self.serve(cx, reply, move |courier| async move {
                let entry = Entry::new(by.actor, "mail.retry", by.source).on(id);
                store::make_due(courier.db(), id, clock::now(), entry).await?;
                courier.nudge();
                Ok(())
            }),
        }
        Ok(())
    }

    /// What is being handed over is finished, so that it is not sent twice.
    async fn stop(&mut self, _cx: &Context<MailMsg>) {
        self.courier.finish().await;
    }

    fn message_name(msg: &MailMsg) -> &'static str {
        match msg {
            MailMsg::List { .. } => "list",
            MailMsg::Retry { .. } => "retry",
        }
    }

    /// Whoever still waits for an answer gets it from the next one.
    fn survives_restart(_msg: &MailMsg) -> bool {
        true
    }
}

impl SenderActor {
    /// Runs `work` in a task of its own.
    fn serve<T, F, W>(&self, cx: &Context<MailMsg>, reply: Answer<T>, work: W)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MailError>> + Send + 'static,
        W: FnOnce(Arc<Courier>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return reply.send(Err(MailError::Busy {
                retry_after: ground::db::BUSY_RETRY,
            }));
        };
        let work = work(Arc::clone(&self.courier));
        cx.offload(async move {
            let result = work.await;
            drop(place);
            reply.send(result);
        });
    }
}

/// One round after the other: when the bell of the database rings, when a mail is due, and now and then for what other
/// processes wrote. A round runs in a task of its own, so that one that panics ends alone.
async fn rounds(courier: Arc<Courier>, cx: Context<MailMsg>) {
    let mut bell = courier.db().bell();
    loop {
        let (done, pause) = oneshot::channel();
        let (own, told) = (Arc::clone(&courier), cx.clone());
        let mut round = supervisor::task::spawn(async move {
            let pause = own.round(&told).await;
            done.send(pause).ok();
        });
        round.finished().await;
        let pause: Duration = pause.await.unwrap_or(LOOK);
        tokio::select! {
            // The sender lives in the handle that the courier holds.
            rung = bell.changed() => drop(rung),
            () = courier.nudged() => {}
            () = sleep(pause) => {}
        }
    }
}
