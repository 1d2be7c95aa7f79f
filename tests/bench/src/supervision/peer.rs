//! What is asked of every side, and the process in which one side does it.
//!
//! Every measure of every side runs in a process of its own: memory is then the side's alone, and what one measure leaves behind
//! (freed pages, warm queues) is nothing to the next. This program starts itself for that under a hidden name.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::Value;
use tokio::sync::oneshot;

use super::drive;
use super::kameo::Kameo;
use super::ours::Ours;
use super::ractor::Bare;

/// The deadline of every call.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How a child is made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Its handler returns an error.
    Error,
    /// Its handler panics.
    Panic,
    /// It is killed.
    Kill,
}

impl Crash {
    /// All ways.
    pub(crate) const ALL: [Self; 3] = [Self::Error, Self::Panic, Self::Kill];

    /// What it is called on the command line and in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Kill => "kill",
        }
    }
}

/// What all children of a side have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    starts: AtomicU64,
    hangs: AtomicBool,
}

impl Shared {
    /// Counts a start. The number names the incarnation: no other one of the process has it.
    pub(crate) fn started(&self) -> u64 {
        self.starts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Never returns; told by [`Shared::hangs`].
    pub(crate) async fn hang(&self) {
        self.hangs.store(true, Ordering::Release);
        pending::<()>().await;
    }

    /// Whether a child hangs.
    pub(crate) fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Acquire)
    }
}

/// One side: a supervisor whose children answer a ping with the number of their incarnation, and crash when told to.
pub(crate) trait Peer: Sized + Send + Sync + 'static {
    /// What a caller holds of a child. It leads to the child's next incarnation as well.
    type Child: Clone + Send + Sync + 'static;

    /// A supervisor without children.
    fn start(shared: Arc<Shared>) -> impl Future<Output = Result<Self>> + Send;

    /// What its children have in common.
    fn shared(&self) -> &Shared;

    /// Starts children the fastest way that the side has; returns when all are ready.
    fn open(&self, count: usize) -> impl Future<Output = Result<Vec<Self::Child>>> + Send;

    /// Ends children for good.
    fn close(&self, children: Vec<Self::Child>) -> impl Future<Output = Result<()>> + Send;

    /// Tells a child to crash. It may still run when this returns.
    fn crash(&self, child: &Self::Child, how: Crash) -> impl Future<Output = Result<()>> + Send;

    /// Asks with [`LIMIT`] for the number of the present incarnation; `None` without a reply.
    fn ping(&self, child: &Self::Child) -> impl Future<Output = Option<u64>> + Send;

    /// Tells a child to never return from its handler.
    fn hang(&self, child: &Self::Child) -> impl Future<Output = Result<()>> + Send;

    /// Asks as [`Peer::ping`] does and gives up as soon as the request is in the queue: whether it came that far.
    fn is_taken(&self, child: &Self::Child) -> bool;
}

/// The sides that are Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Ractor,
    Kameo,
}

impl Side {
    /// All of them, ours first.
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Ractor, Self::Kameo];

    /// What it is called on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
        }
    }
}

/// A measure with how often, as the peers' command lines have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// So many children started.
    Spawn(usize),
    /// So many blocks of children, each of which crashes once.
    Crash(Crash, usize),
    /// So many times that all children of a block crash at once.
    Storm(usize),
    /// So many calls, one after the other.
    Calls(usize),
    /// So many asks to an actor that hangs.
    Hung(usize),
}

impl Job {
    /// Its two words.
    pub(crate) fn words(self) -> [String; 2] {
        let (name, count) = match self {
            Self::Spawn(count) => ("spawn".to_owned(), count),
            Self::Crash(how, blocks) => (format!("crash-{}", how.name()), blocks),
            Self::Storm(times) => ("storm".to_owned(), times),
            Self::Calls(count) => ("calls".to_owned(), count),
            Self::Hung(asks) => ("hung".to_owned(), asks),
        };
        [name, count.to_string()]
    }

    fn parse(name: &str, count: usize) -> Option<Self> {
        let known = [
            Self::Spawn(count),
            Self::Storm(count),
            Self::Calls(count),
            Self::Hung(count),
        ];
        let crashes = Crash::ALL.map(|how| Self::Crash(how, count));
        let mut known = known.into_iter().chain(crashes);
        known.find(|job| job.words()[0] == name)
    }
}

/// What the hidden command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    side: Side,
    job: Job,
}

impl Order {
    /// Reads side, measure and count.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut word = || words.next().context("a side, a measure and a count");
        let (side, name, count) = (word()?, word()?, word()?.parse()?);
        let known = Side::ALL.into_iter().find(|known| known.name() == side);
        let Some(side) = known else {
            bail!("`{side}` is no side");
        };
        let job = Job::parse(&name, count).with_context(|| format!("`{name}` is no measure"))?;
        Ok(Self { side, job })
    }

    /// Measures, and tells the outcome in one line of JSON.
    ///
    /// # Errors
    ///
    /// When the side fails, and when it answers wrongly.
    pub(crate) fn carry_out(self) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Ours puts its own in front of this one; a trace on stderr would cost more than a restart.
        std::panic::set_hook(Box::new(|_| {}));
        // As the daemon has it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(async move {
            match self.side {
                Side::Ours => in_a_task::<Ours>(self.job).await,
                Side::Ractor => in_a_task::<Bare>(self.job).await,
                Side::Kameo => in_a_task::<Kameo>(self.job).await,
            }
        });
        println!("{}", outcome?);
        // A hundred thousand actors need not be ended one by one.
        runtime.shutdown_background();
        Ok(())
    }
}

/// On a worker of the runtime: the thread that waits for all of it would have to be woken for every reply.
async fn in_a_task<P: Peer>(job: Job) -> Result<Value> {
    let (answer, answered) = oneshot::channel();
    let task = ::supervisor::task::spawn(async move {
        // The receiver is below.
        drop(answer.send(drive::measure::<P>(job).await));
    });
    let outcome = answered.await.context("the measuring task panicked");
    drop(task);
    outcome?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for side in Side::ALL {
            for job in [
                Job::Spawn(10),
                Job::Crash(Crash::Error, 1),
                Job::Crash(Crash::Panic, 2),
                Job::Crash(Crash::Kill, 3),
                Job::Storm(4),
                Job::Calls(5),
                Job::Hung(6),
            ] {
                let words = [side.name().to_owned()].into_iter().chain(job.words());
                let order = Order::parse(words).expect("parses");
                assert_eq!(order, Order { side, job });
            }
        }
    }

    #[test]
    fn other_orders_are_refused() {
        for line in [
            "",
            "ours",
            "ours spawn",
            "ours spawn x",
            "ours crash 1",
            "theirs spawn 1",
        ] {
            let words = line.split_whitespace().map(str::to_owned);
            assert!(Order::parse(words).is_err(), "{line}");
        }
    }
}
