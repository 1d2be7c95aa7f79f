//! Launchers: how a supervisor brings one child to life, whatever it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorId;

use crate::address::{Address, Down, Injection};
use crate::board::Board;
use crate::cell::NodeCell;
use crate::core::ChildId;
use crate::end::Record;
use crate::inbox::GroupRef;
use crate::shell::{self, Launch};
use crate::status::NodeKind;
use crate::task::OwnedTask;
use crate::worker::Worker;

/// Everything that a launch needs to know.
pub(crate) struct Call {
    pub(crate) child: ChildId,
    pub(crate) incarnation: u64,
    pub(crate) path: Arc<str>,
    pub(crate) group: GroupRef,
    pub(crate) board: Board,
}

/// A live incarnation in the hands of its supervisor.
pub(crate) struct Live {
    pub(crate) body: Body,
    pub(crate) record: Arc<Record>,
}

/// What lives.
pub(crate) enum Body {
    /// A worker's task. It ends with its supervisor, which owns it.
    Task(OwnedTask),
    /// A supervisor: it stops its children before itself.
    Group(GroupRef),
}

impl Body {
    /// Ends it at its next await.
    pub(crate) fn kill(&self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Group(group) => group.kill(),
        }
    }

    /// The id by which ractor tells of its end; workers tell of theirs themselves.
    pub(crate) fn actor(&self) -> Option<ActorId> {
        match self {
            Self::Task(_) => None,
            Self::Group(group) => Some(group.id()),
        }
    }
}

/// An incarnation on its way to life.
pub(crate) enum Launching {
    /// It lives.
    Live(Live),
    /// It is being brought to life.
    Soon(Pin<Box<dyn Future<Output = Result<Live, String>> + Send>>),
}

impl Launching {
    pub(crate) async fn live(self) -> Result<Live, String> {
        match self {
            Self::Live(live) => Ok(live),
            Self::Soon(live) => live.await,
        }
    }
}

/// Brings incarnations of one child to life.
pub(crate) trait Launcher: Send + Sync {
    fn kind(&self) -> NodeKind;
    /// Returns at once: a slow start runs inside the child.
    fn launch(&self, call: Call) -> Launching;
    /// The mailbox of a worker; a group has none.
    fn mailbox(&self) -> Option<&dyn Mailbox> {
        None
    }
    /// The child is gone for good.
    fn removed(&self) {}
}

/// What a supervisor does to the mailbox of a worker.
pub(crate) trait Mailbox {
    fn cell(&self) -> &Arc<NodeCell>;
    /// From now on callers hear that it is down; what was admitted stays.
    fn close(&self, down: Down);
    /// No next incarnation is coming: what was admitted is dismissed.
    fn dismiss(&self);
    /// Lets the live incarnation end when it has served what was admitted.
    fn drain(&self);
    /// Lets the live incarnation end after what it has in hand.
    fn stop(&self);
    /// The incarnation has ended, however: what does not survive is dismissed.
    fn ended(&self);
    fn inject(&self, injection: Injection) -> bool;
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

    fn launch(&self, call: Call) -> Launching {
        let record = Arc::new(Record::default());
        let task = shell::spawn::<W>(Launch {
            seed: self.seed.clone(),
            address: self.address.clone(),
            child: call.child,
            incarnation: call.incarnation,
            handler_limit: self.handler_limit,
            record: Arc::clone(&record),
            group: call.group,
            board: call.board,
        });
        let body = Body::Task(task);
        Launching::Live(Live { body, record })
    }

    fn mailbox(&self) -> Option<&dyn Mailbox> {
        Some(self)
    }
}

impl<W: Worker> Mailbox for WorkerLauncher<W> {
    fn cell(&self) -> &Arc<NodeCell> {
        self.address.cell()
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

    fn inject(&self, injection: Injection) -> bool {
        self.address.inject(injection)
    }
}
