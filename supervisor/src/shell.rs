//! The task around a worker: opens and closes the address, serves what it admits, tells how it ended.
//!
//! A worker is a task of its supervisor and not an actor of ractor: its mailbox is the slot of its address, so ractor's four
//! channels would be dead weight, two thirds of what an idle child costs. What ractor gives to supervisors it has all the same: an
//! owner with whom it ends, a kill at its next await, and an event of its end that nothing can keep from being sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::address::{Address, Injection, LONGEST_BLOCK, Load};
use crate::board::Board;
use crate::cell::NodeCell;
use crate::context::{Condition, Context};
use crate::core::{ChildId, EndKind};
use crate::end::{End, Record};
use crate::group::GroupMsg;
use crate::guard::{Fallen, Onlooker, STUCK_AFTER, guarded};
use crate::inbox::GroupRef;
use crate::level::Level;
use crate::panics::caught_as;
use crate::slot::Next;
use crate::task::{self, OwnedTask};
use crate::worker::{StartError, Worker};

/// How long one request of a drill's flood keeps the actor.
const BALLAST: Duration = Duration::from_millis(1);

/// Code of the alarm for an actor that makes no progress.
const STUCK: &str = "actor.stuck";

/// What an incarnation is launched with.
pub(crate) struct Launch<W: Worker> {
    pub(crate) seed: W::Seed,
    pub(crate) address: Address<W::Msg>,
    pub(crate) child: ChildId,
    pub(crate) incarnation: u64,
    pub(crate) handler_limit: Duration,
    pub(crate) record: Arc<Record>,
    pub(crate) group: GroupRef,
    pub(crate) board: Board,
}

/// Brings an incarnation to life. Dropping the task kills it.
pub(crate) fn spawn<W: Worker>(launch: Launch<W>) -> OwnedTask {
    // Claims the address at once: an order to stop that follows must not be taken for one to an incarnation before.
    let mut state = ShellState::new(launch);
    // Lent and not given away: what moves into another future is kept in both.
    task::spawn(async move { state.live().await })
}

/// Tells the supervisor that the incarnation has ended, however it did: also by a kill, and when it was never polled.
struct Farewell {
    group: GroupRef,
    child: ChildId,
    incarnation: u64,
    record: Arc<Record>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = "the supervisor's own code around it panicked";
            self.record
                .set_end(End::new(EndKind::Panicked, "actor.panicked", text));
        }
        let ended = GroupMsg::Ended {
            child: self.child,
            incarnation: self.incarnation,
        };
        // A supervisor that has ended needs no telling.
        drop(self.group.send(ended));
    }
}

struct ShellState<W: Worker> {
    seed: Option<W::Seed>,
    worker: Option<W>,
    cx: Context<W::Msg>,
    address: Address<W::Msg>,
    /// Names this incarnation among all of the address's.
    owner: u64,
    handler_limit: Duration,
    board: Board,
    /// Last and so dropped last: nothing of the incarnation is left when its end is told.
    farewell: Farewell,
}

impl<W: Worker> Drop for ShellState<W> {
    /// However it ended, also by a kill: nobody is behind the address any more.
    fn drop(&mut self) {
        self.address.close_own(self.owner);
        self.cx.abort_tasks();
        self.address.ended::<W>(Some(self.owner));
    }
}

/// Tells the status that an actor is stuck in a handler.
struct Watcher<'a> {
    board: &'a Board,
    cell: &'a NodeCell,
    message: &'static str,
    limit: Duration,
}

impl Onlooker for Watcher<'_> {
    fn stuck(&self) {
        let text = format!(
            "has handled {} for over {} ms and serves nothing meanwhile; it is killed after {} ms without progress",
            self.message,
            STUCK_AFTER.min(self.limit).as_millis(),
            self.limit.as_millis()
        );
        let alarm = Condition::new(Level::Degraded, STUCK, text);
        self.board.raise_alarm(self.cell.path(), alarm);
    }

    fn unstuck(&self) {
        self.board.end_alarm(self.cell.path(), STUCK);
    }
}

impl<W: Worker> ShellState<W> {
    fn new(launch: Launch<W>) -> Self {
        /// Names incarnations, of whatever child.
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        launch.address.claim::<W>(owner);
        let address = launch.address.clone();
        Self {
            seed: Some(launch.seed),
            worker: None,
            cx: Context::new(address, owner, launch.board.clone(), launch.incarnation),
            address: launch.address,
            owner,
            handler_limit: launch.handler_limit,
            board: launch.board,
            farewell: Farewell {
                group: launch.group,
                child: launch.child,
                incarnation: launch.incarnation,
                record: launch.record,
            },
        }
    }

    /// The whole life of the worker.
    async fn live(&mut self) {
        // Boxed, as all that an idle actor is not at: it should not keep the room.
        if let Err(end) = Box::pin(self.start()).await {
            return self.fail(end);
        }
        self.address.open(self.owner);
        self.tell_ready();
        match self.serve_all().await {
            // Nothing of it runs on; it has no word of its own about its end.
            Ok(()) if self.farewell.record.is_killed() => {}
            Ok(()) => Box::pin(self.stop()).await,
            Err(end) => self.fail(end),
        }
    }

    /// Ends this incarnation by a fault: nothing of it outlives the event that tells of it.
    fn fail(&mut self, end: End) {
        self.address.close_own(self.owner);
        self.cx.abort_tasks();
        let worker = self.worker.take();
        if catch_unwind(AssertUnwindSafe(|| drop(worker))).is_err() {
            tracing::warn!(path = self.address.path(), "panicked while it was dropped");
        }
        self.farewell.record.set_end(end);
    }

    async fn start(&mut self) -> Result<(), End> {
        let Some(seed) = self.seed.take() else {
            return Ok(());
        };
        let actor = self.address.cell().id();
        let start = pin!(W::start(seed, &self.cx));
        let worker = caught_as(actor, start)
            .await
            .map_err(|panic| End {
                kind: EndKind::FailedStart { permanent: false },
                ..End::panicked("actor.start_panicked", "starting", panic)
            })?
            .map_err(|error| failed_start(&error))?;
        self.worker = Some(worker);
        Ok(())
    }

    /// Serves until it is asked to end or killed, or a handler falls.
    async fn serve_all(&mut self) -> Result<(), End> {
        while !self.farewell.record.is_killed() {
            let (load, now) = match self.address.next(self.owner).await {
                Next::Serve(next) => next,
                Next::Drained | Next::Stop | Next::Replaced => return Ok(()),
            };
            let served = match load {
                Load::Work(msg) | Load::Timer(msg) => self.serve(msg, now).await,
                Load::Inject(injection) => Box::pin(self.suffer(injection, now)).await,
                Load::Ballast(until) => {
                    Box::pin(bear(&self.address, until, now)).await;
                    Ok(())
                }
            };
            if let Err(mut end) = served {
                let cell = self.address.cell();
                end.mailbox_depth = cell.mailbox().depth;
                cell.done();
                return Err(end);
            }
            self.address.cell().done();
            if self.cx.is_finishing() {
                self.address.drain();
            }
        }
        Ok(())
    }

    async fn serve(&mut self, msg: W::Msg, now: Instant) -> Result<(), End> {
        let name = W::message_name(&msg);
        let limit = W::handler_limit(&msg).unwrap_or(self.handler_limit);
        let Some(worker) = self.worker.as_mut() else {
            return Ok(());
        };
        let cell = self.address.cell();
        cell.begin(name, now);
        let watcher = Watcher {
            board: &self.board,
            cell,
            message: name,
            limit,
        };
        let handling = pin!(worker.handle(msg, &self.cx));
        match guarded(cell, now, limit, &watcher, handling).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(name, &chain_of(&*error))),
            Err(fallen) => Err(fell(name, limit, fallen)),
        }
    }

    /// Carries out an injected fault.
    async fn suffer(&mut self, injection: Injection, now: Instant) -> Result<(), End> {
        const NAME: &str = "drill";
        let cell = self.address.cell();
        cell.begin(NAME, now);
        let limit = self.handler_limit;
        let watcher = Watcher {
            board: &self.board,
            cell,
            message: NAME,
            limit,
        };
        let fault = pin!(async {
            match injection {
                Injection::Panic | Injection::CrashLoop(_) => panic!("a drill made it panic"),
                Injection::Error => Err(failed(NAME, "a drill made it fail")),
                Injection::Hang(span) => {
                    tokio::time::sleep(span).await;
                    Ok(())
                }
                Injection::Block(span) => {
                    block(span);
                    Ok(())
                }
                // A kill comes from the supervisor, and a flood is no single request.
                Injection::Kill | Injection::Flood(_) => Ok(()),
            }
        });
        match guarded(cell, now, limit, &watcher, fault).await {
            Ok(ended) => ended,
            Err(fallen) => Err(fell(NAME, limit, fallen)),
        }
    }

    async fn stop(&mut self) {
        self.address.close_own(self.owner);
        if let Some(mut worker) = self.worker.take() {
            let actor = self.address.cell().id();
            let stopping = pin!(worker.stop(&self.cx));
            let stopped = caught_as(actor, stopping).await;
            if let Err(panic) = stopped {
                tracing::warn!(path = self.address.path(), %panic, "panicked while stopping");
            }
        }
        self.cx.abort_tasks();
        self.farewell.record.set_end(End::normal());
    }

    fn tell_ready(&self) {
        let ready = GroupMsg::Ready {
            child: self.farewell.child,
            incarnation: self.farewell.incarnation,
            up: true,
        };
        // A supervisor that has ended takes this actor down anyway.
        drop(self.farewell.group.send(ready));
    }
}

/// Bears one request of a drill's flood, which fills up again behind it until its time is over.
async fn bear<M: Send + 'static>(address: &Address<M>, until: Instant, now: Instant) {
    if now < until {
        // First what takes the place of the one before, so that hardly a caller gets in between.
        address.flood(until);
        tokio::time::sleep(BALLAST).await;
    }
}

/// Blocks this thread, as a handler does that waits in the wrong way.
fn block(span: Duration) {
    // Nobody sends: the wait ends by its time.
    let (_nobody, never) = std::sync::mpsc::channel::<()>();
    if never.recv_timeout(span.min(LONGEST_BLOCK)).is_ok() {
        tracing::error!("a drill's block was ended by nobody");
    }
}

fn failed(message_type: &'static str, why: &str) -> End {
    End {
        message_type: Some(message_type),
        ..End::new(
            EndKind::Failed,
            "actor.failed",
            format!("failed while it handled {message_type}: {why}"),
        )
    }
}

/// The end of an incarnation whose handler did not end as it should.
fn fell(message_type: &'static str, limit: Duration, fallen: Fallen) -> End {
    let end = match fallen {
        Fallen::Panicked(panic) => End::panicked(
            "actor.panicked",
            &format!("it handled {message_type}"),
            panic,
        ),
        Fallen::Hung => End::new(
            EndKind::Killed,
            "actor.hung",
            format!(
                "made no progress with {message_type} for {} ms and was killed",
                limit.as_millis()
            ),
        ),
    };
    End {
        message_type: Some(message_type),
        ..end
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
