//! What all parts of a run share: the trace, how each actor behaves at present, who lives, what went wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervisor::{Address, AskError, StartError};
use tokio::time::Instant;

use crate::keys::{Children, Opened};
use crate::plan::Act;
use crate::worker::Msg;

/// How an ask ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the right reply.
    Reply,
    /// Refused: nobody is there.
    Down,
    /// Refused: the mailbox is full.
    Busy,
    /// Too late.
    Deadline,
    /// The actor ended with it.
    Died,
}

impl From<&AskError> for Outcome {
    fn from(error: &AskError) -> Self {
        match error {
            AskError::Down { .. } => Self::Down,
            AskError::Busy { .. } => Self::Busy,
            AskError::Deadline { .. } => Self::Deadline,
            AskError::Died { .. } => Self::Died,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A start began.
    Start(u64),
    /// A start ended well.
    Ready(u64),
    /// A graceful stop reached the worker.
    Stop(u64),
    /// Nothing is left of an incarnation.
    Gone(u64),
    /// A handler took a request.
    Serve(u64),
    /// A caller asked, and waits so long at most.
    Ask(u64, Duration),
    /// The caller heard.
    Answer(u64, Outcome),
    /// Something was done to it; whether it took effect.
    Act(Act, bool),
    /// Somebody opens the child of a key.
    Open(u64),
    /// They heard.
    Opened(u64, Opened),
    /// Something else is done to the child of a key.
    Key(&'static str),
    /// What the status stream told.
    Told(String),
    /// Everything is to stop.
    Shutdown,
    /// Everything has stopped.
    Ended,
}

/// One line of the trace.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Since the start.
    pub(crate) at: Duration,
    /// Where.
    pub(crate) path: Arc<str>,
    /// What.
    pub(crate) what: What,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>12?} {} ", self.at, self.path)?;
        match &self.what {
            What::Start(incarnation) => write!(f, "incarnation {incarnation} starts"),
            What::Ready(incarnation) => write!(f, "incarnation {incarnation} is ready"),
            What::Stop(incarnation) => write!(f, "incarnation {incarnation} stops"),
            What::Gone(incarnation) => write!(f, "incarnation {incarnation} is gone"),
            What::Serve(request) => write!(f, "takes request {request}"),
            What::Ask(request, limit) => write!(f, "is asked {request} within {limit:?}"),
            What::Answer(request, outcome) => write!(f, "answered {request}: {outcome:?}"),
            What::Act(act, true) => write!(f, "done to it: {act:?}"),
            What::Act(act, false) => write!(f, "over or in vain: {act:?}"),
            What::Open(request) => write!(f, "is opened by {request}"),
            What::Opened(request, opened) => write!(f, "answered {request}: {opened:?}"),
            What::Key(done) => f.write_str(done),
            What::Told(told) => write!(f, "status: {told}"),
            What::Shutdown => write!(f, "shutdown"),
            What::Ended => write!(f, "ended"),
        }
    }
}

/// How starts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StartMode {
    /// At once.
    #[default]
    Well,
    /// After so long.
    Slow(Duration),
    /// Not at all.
    Fails {
        /// And so it will stay.
        permanent: bool,
    },
}

/// How an actor behaves at present.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Behaviour {
    /// Its starts.
    pub(crate) start: StartMode,
    /// Each request makes it fail.
    pub(crate) crashes: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lab {
    begun: Instant,
    trace: Mutex<Vec<Entry>>,
    behaviours: Mutex<BTreeMap<String, Behaviour>>,
    alive: Mutex<BTreeMap<Arc<str>, u64>>,
    addresses: Mutex<BTreeMap<String, Address<Msg>>>,
    children: Mutex<BTreeMap<String, Children>>,
    wrong: Mutex<Vec<String>>,
    requests: AtomicU64,
    ending: AtomicBool,
    resting: AtomicBool,
    /// Times at which a status was looked at for a root.
    pub(crate) looked: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    /// An empty one; time counts from here.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            trace: Mutex::default(),
            behaviours: Mutex::default(),
            alive: Mutex::default(),
            addresses: Mutex::default(),
            children: Mutex::default(),
            wrong: Mutex::default(),
            requests: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            looked: AtomicU64::new(0),
        })
    }

    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Writes a line of the trace.
    pub(crate) fn note(&self, path: &Arc<str>, what: What) {
        let entry = Entry {
            at: self.now(),
            path: Arc::clone(path),
            what,
        };
        lock(&self.trace).push(entry);
    }

    /// The trace so far.
    pub(crate) fn trace(&self) -> Vec<Entry> {
        lock(&self.trace).clone()
    }

    /// Whether the trace holds a line after `since` that `wanted` takes.
    pub(crate) fn has(&self, since: Duration, wanted: impl Fn(&Entry) -> bool) -> bool {
        let trace = lock(&self.trace);
        let mut late = trace.iter().rev().take_while(|entry| entry.at >= since);
        late.any(wanted)
    }

    /// Notes what must not be.
    pub(crate) fn complain(&self, what: impl std::fmt::Display) {
        let at = self.now();
        lock(&self.wrong).push(format!("{at:?}: {what}"));
    }

    /// What must not have been.
    pub(crate) fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    /// How it behaves.
    pub(crate) fn behaviour(&self, path: &str) -> Behaviour {
        lock(&self.behaviours)
            .get(path)
            .copied()
            .unwrap_or_default()
    }

    /// From now on it behaves like this.
    pub(crate) fn behave(&self, path: &str, behaviour: Behaviour) {
        lock(&self.behaviours).insert(path.to_owned(), behaviour);
    }

    /// Everybody behaves well again.
    pub(crate) fn calm(&self) {
        lock(&self.behaviours).clear();
    }

    /// A start, as it is to go.
    ///
    /// # Errors
    /// When it is to fail.
    pub(crate) async fn start_of(&self, path: &str) -> Result<(), StartError> {
        match self.behaviour(path).start {
            StartMode::Well => Ok(()),
            StartMode::Slow(span) => {
                tokio::time::sleep(span).await;
                Ok(())
            }
            StartMode::Fails { permanent: true } => {
                Err(StartError::permanent("sim.refused", "will not start"))
            }
            StartMode::Fails { permanent: false } => {
                Err(StartError::retry("sim.failed", "does not start"))
            }
        }
    }

    /// A number for a request.
    pub(crate) fn request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes an address known.
    pub(crate) fn know(&self, address: Address<Msg>) {
        lock(&self.addresses).insert(address.path().to_owned(), address);
    }

    /// The address of the actor at a path.
    pub(crate) fn address(&self, path: &str) -> Address<Msg> {
        let known = lock(&self.addresses).get(path).cloned();
        known.unwrap_or_else(|| {
            self.complain(format_args!("no address of {path}"));
            Address::vacant(path, 1)
        })
    }

    /// Makes the directory of a group known.
    pub(crate) fn know_children(&self, path: &str, children: Children) {
        lock(&self.children).insert(path.to_owned(), children);
    }

    /// The directory of the group at a path.
    ///
    /// # Panics
    /// When nobody made it known.
    pub(crate) fn children(&self, path: &str) -> Children {
        lock(&self.children)[path].clone()
    }

    /// From now on nobody opens, closes or hurts the child of a key.
    pub(crate) fn rest(&self) {
        self.resting.store(true, Ordering::Relaxed);
    }

    /// Whether the users of keys rest.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// The end has begun.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the end has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Who lives still.
    pub(crate) fn survivors(&self) -> Vec<String> {
        let alive = lock(&self.alive);
        let alive = alive.iter().filter(|(_, count)| **count > 0);
        alive.map(|(path, _)| path.to_string()).collect()
    }
}

/// Held by an incarnation from the first line of its start to its very end.
#[derive(Debug)]
pub(crate) struct Life {
    lab: Arc<Lab>,
    path: Arc<str>,
    incarnation: u64,
}

impl Life {
    /// A new incarnation lives.
    pub(crate) fn begin(lab: &Arc<Lab>, path: &Arc<str>, incarnation: u64) -> Self {
        lab.note(path, What::Start(incarnation));
        let mut alive = lock(&lab.alive);
        let count = alive.entry(Arc::clone(path)).or_default();
        *count += 1;
        if *count > 1 {
            lab.complain(format_args!("{path}: {count} incarnations at once"));
        }
        drop(alive);
        Self {
            lab: Arc::clone(lab),
            path: Arc::clone(path),
            incarnation,
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.lab.alive).get_mut(&self.path) {
            *count -= 1;
        }
        self.lab.note(&self.path, What::Gone(self.incarnation));
    }
}
