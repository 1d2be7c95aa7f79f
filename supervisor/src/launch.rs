//! Launchers: how a supervisor brings one child to life, whatever it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef};

use crate::address::{Address, Down, Injection};
use crate::board::Board;
use crate::cell::NodeCell;
use crate::core::ChildId;
use crate::end::Record;
use crate::group::GroupMsg;
use crate::shell::{Launch, Shell};
use crate::status::NodeKind;
use crate::worker::Worker;

/// Everything that a launch needs to know.
pub(crate) struct Call {
    pub(crate) child: ChildId,
    pub(crate) incarnation: u64,
    pub(crate) path: Arc<str>,
    pub(crate) group: ActorRef<GroupMsg>,
    pub(crate) board: Board,
}

/// A live incarnation in the hands of its supervisor.
pub(crate) struct Live {
    pub(crate) actor: ActorCell,
    pub(crate) record: Arc<Record>,
    /// Set for groups: they stop their children before themselves.
    pub(crate) control: Option<ActorRef<GroupMsg>>,
}

pub(crate) type Launching = Pin<Box<dyn Future<Output = Result<Live, String>> + Send>>;

/// Brings incarnations of one child to life.
pub(crate) trait Launcher: Send + Sync {
    fn kind(&self) -> NodeKind;
    fn cell(&self) -> Option<Arc<NodeCell>>;
    /// Returns at once: a slow start runs inside the child.
    fn launch(&self, call: Call) -> Launching;
    /// From now on callers hear that it is down; what was admitted stays.
    fn close(&self, down: Down);
    /// There is no next incarnation for now: what was admitted is dismissed.
    fn dismiss(&self) {}
    /// Lets the live incarnation end when it has served what was admitted.
    fn drain(&self);
    /// Lets the live incarnation end after what it has in hand.
    fn stop(&self);
    /// The incarnation has ended, however: what does not survive is dismissed.
    fn ended(&self) {}
    fn inject(&self, injection: Injection) -> bool;
    /// Fills the mailbox but for `spare` places; tells how many requests that took.
    fn flood(&self, _spare: u32) -> u32 {
        0
    }
    /// The child is gone for good.
    fn removed(&self) {}
}

/// Launches a worker.
pub(crate) struct WorkerLauncher<W: Worker> {
    pub(crate) address: Address<W::Msg>,
    pub(crate) seed: W::Seed,
    pub(crate) handler_limit: Duration,
}

impl<W: Worker> Launcher for WorkerLauncher<W> {
    fn kind(&self) -> NodeKind {
        NodeKind::Actor
    }

    fn cell(&self) -> Option<Arc<NodeCell>> {
        Some(Arc::clone(self.address.cell()))
    }

    fn launch(&self, call: Call) -> Launching {
        let record = Arc::new(Record::default());
        let launch = Launch::<W> {
            seed: self.seed.clone(),
            address: self.address.clone(),
            child: call.child,
            incarnation: call.incarnation,
            handler_limit: self.handler_limit,
            record: Arc::clone(&record),
            group: call.group.clone(),
            board: call.board,
        };
        Box::pin(async move {
            let supervisor = call.group.get_cell();
            let (actor, _task) = Actor::spawn_linked(None, Shell::<W>::new(), launch, supervisor)
                .await
                .map_err(|error| error.to_string())?;
            Ok(Live {
                actor: actor.get_cell(),
                record,
                control: None,
            })
        })
    }

    fn close(&self, down: Down) {
        self.address.close(down);
    }

    fn dismiss(&self) {
        self.address.dismiss_all();
    }

    fn drain(&self) {
        self.address.drain();
    }

    fn stop(&self) {
        self.address.stop();
    }

    fn ended(&self) {
        self.address.ended::<W>(None);
    }

    fn flood(&self, spare: u32) -> u32 {
        self.address.flood(spare)
    }

    fn inject(&self, injection: Injection) -> bool {
        self.address.inject(injection)
    }
}
