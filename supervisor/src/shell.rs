//! The ractor actor around a worker: opens and closes the address, tells how it ended, drops what nobody waits for.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use crate::address::{Address, Envelope, Injection};
use crate::board::Board;
use crate::context::Context;
use crate::core::{ChildId, EndKind};
use crate::end::{End, Record};
use crate::group::GroupMsg;
use crate::panics::caught;
use crate::worker::{StartError, Worker};

/// What an incarnation is launched with.
pub(crate) struct Launch<W: Worker> {
    pub(crate) seed: W::Seed,
    pub(crate) address: Address<W::Msg>,
    pub(crate) child: ChildId,
    pub(crate) incarnation: u64,
    pub(crate) record: Arc<Record>,
    pub(crate) group: ActorRef<GroupMsg>,
    pub(crate) board: Board,
}

pub(crate) struct Shell<W>(PhantomData<fn() -> W>);

impl<W> Shell<W> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct ShellState<W: Worker> {
    seed: Option<W::Seed>,
    worker: Option<W>,
    cx: Context<W::Msg>,
    address: Address<W::Msg>,
    record: Arc<Record>,
    group: ActorRef<GroupMsg>,
    child: ChildId,
    incarnation: u64,
}

impl<W: Worker> Drop for ShellState<W> {
    fn drop(&mut self) {
        self.cx.abort_tasks();
    }
}

impl<W: Worker> ShellState<W> {
    /// Ends this incarnation by a fault: nothing of it outlives the event that tells of it.
    fn fail(&mut self, myself: &ActorRef<Envelope<W::Msg>>, end: End) -> ActorProcessingErr {
        self.address.close_own(myself);
        self.cx.abort_tasks();
        let worker = self.worker.take();
        if catch_unwind(AssertUnwindSafe(|| drop(worker))).is_err() {
            tracing::warn!(path = self.address.path(), "panicked while it was dropped");
        }
        let message = end.message.clone();
        self.record.set_end(end);
        message.into()
    }

    async fn start(&mut self) -> Result<(), End> {
        let Some(seed) = self.seed.take() else {
            return Ok(());
        };
        let worker = caught(W::start(seed, &self.cx))
            .await
            .map_err(|panic| {
                End::new(
                    EndKind::FailedStart { permanent: false },
                    "actor.start_panicked",
                    format!("panicked while starting: {panic}"),
                )
            })?
            .map_err(|error| failed_start(&error))?;
        self.worker = Some(worker);
        Ok(())
    }

    async fn serve(&mut self, msg: W::Msg) -> Result<(), End> {
        let name = W::message_name(&msg);
        let cell = Arc::clone(self.address.cell());
        let Some(worker) = self.worker.as_mut() else {
            return Ok(());
        };
        cell.take_in_hand(Some(name));
        let served = caught(worker.handle(msg, &self.cx)).await;
        let end = match served {
            Ok(Ok(())) => {
                cell.take_in_hand(None);
                return Ok(());
            }
            Ok(Err(error)) => End::new(
                EndKind::Failed,
                "actor.failed",
                format!("failed while it handled {name}: {}", chain_of(&*error)),
            ),
            Err(panic) => End::new(
                EndKind::Panicked,
                "actor.panicked",
                format!("panicked while it handled {name}: {panic}"),
            ),
        };
        cell.take_in_hand(None);
        Err(end)
    }
}

impl<W: Worker> Actor for Shell<W> {
    type Msg = Envelope<W::Msg>;
    type State = ShellState<W>;
    type Arguments = Launch<W>;

    /// Only stores what is needed: a slow start here would hold up the supervisor, and its failure would raise no event.
    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        launch: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        launch.address.claim(&myself);
        let cx = Context::new(
            launch.address.clone(),
            myself,
            launch.board,
            launch.incarnation,
        );
        Ok(ShellState {
            seed: Some(launch.seed),
            worker: None,
            cx,
            address: launch.address,
            record: launch.record,
            group: launch.group,
            child: launch.child,
            incarnation: launch.incarnation,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Err(end) = state.start().await {
            return Err(state.fail(&myself, end));
        }
        state.address.open(myself);
        let ready = GroupMsg::Ready {
            child: state.child,
            incarnation: state.incarnation,
            up: true,
        };
        state.group.send_message(ready)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (served, _permit) = match envelope {
            Envelope::Work {
                deadline: Some(deadline),
                ..
            } if deadline <= Instant::now() => return Ok(()),
            Envelope::Work { msg, permit, .. } => (state.serve(msg).await, Some(permit)),
            Envelope::Timer(msg) => (state.serve(msg).await, None),
            Envelope::Inject(injection) => (suffer(injection).await, None),
        };
        if let Err(end) = served {
            return Err(state.fail(&myself, end));
        }
        if state.cx.is_finishing() {
            state.address.close_own(&myself);
            myself.drain()?;
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.address.close_own(&myself);
        if let Some(mut worker) = state.worker.take() {
            let cx = state.cx.clone();
            let stopped = caught(async move { worker.stop(&cx).await }).await;
            if let Err(panic) = stopped {
                tracing::warn!(path = state.address.path(), %panic, "panicked while stopping");
            }
        }
        state.cx.abort_tasks();
        state.record.set_end(End::normal());
        Ok(())
    }
}

/// Carries out an injected fault.
async fn suffer(injection: Injection) -> Result<(), End> {
    match injection {
        Injection::Panic => {
            let panic = caught(async { panic!("a drill made it panic") }).await;
            let text = panic.map_or_else(|panic| panic.to_string(), |(): ()| String::new());
            Err(End::new(
                EndKind::Panicked,
                "actor.panicked",
                format!("panicked while it handled drill: {text}"),
            ))
        }
        Injection::Error => Err(End::new(
            EndKind::Failed,
            "actor.failed",
            "failed while it handled drill: a drill made it fail",
        )),
        // A kill comes from the supervisor, not through the mailbox.
        Injection::Kill => Ok(()),
    }
}

fn failed_start(error: &StartError) -> End {
    End::new(
        EndKind::FailedStart {
            permanent: error.permanent,
        },
        error.code,
        chain_of(error),
    )
}

/// An error with its sources, for operators.
pub(crate) fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Many errors tell their source already.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
