//! A run with a network in it: a daemon calls a small server through a [`Dependency`], over simulated connections that break in all
//! the ways that those do, and a server that restarts, hangs, fails, or asks to be left alone.
//!
//! A plan is thrown from the seed: one trouble after the other, with time to recover between. Callers never stop. An observer looks
//! during each trouble and after it: whether calls are refused at once, whether the status names the server as the root wherever it is
//! missed, and whether all is well again by itself. What callers saw is checked at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervisor::task::{self, OwnedTask};
use supervisor::{
    Backoff, BreakerState, CallError, CallFault, Dependency, DependencyPolicy, Fault, FaultKind,
    Level, System,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::{TcpListener, TcpStream};

use crate::dice::Dice;
use crate::run::{Report, hash};
use crate::upstream;

/// How long the network may keep a message.
const LATENCY: Duration = Duration::from_millis(20);
/// How far the simulated network goes at once.
const TICK: Duration = Duration::from_millis(20);
/// Callers at the same time.
const CALLERS: u64 = 4;
/// Within this a lasting trouble opens the breaker: `min_calls` attempts of callers who come several times a second, each with its timeout.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
/// Within this all is well again: the longest open span with its jitter, a connection that is tried in vain, and the trials.
const WELL_WITHIN: Duration = Duration::from_secs(8);
const SERVER: &str = "server";
const DAEMON: &str = "daemon";
const PORT: u16 = 4_000;

fn policy() -> DependencyPolicy {
    DependencyPolicy {
        timeout: Duration::from_millis(600),
        call_limit: Duration::from_secs(3),
        attempts: 4,
        retry: Backoff {
            first: Duration::from_millis(50),
            max: Duration::from_millis(400),
        },
        min_calls: 6,
        window_calls: 20,
        window: Duration::from_secs(5),
        open: Backoff {
            first: Duration::from_millis(500),
            max: Duration::from_secs(3),
        },
        half_open_calls: 2,
        ..DependencyPolicy::default()
    }
}

/// What is wrong with the server, or the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Messages get lost.
    Partition,
    /// Messages come when it is over.
    Hold,
    /// The machine is down, and starts again when it is over.
    Crash,
    /// Connections are taken and not answered.
    Hang,
    /// Every answer is an error.
    Errors,
    /// Every answer is to come back later.
    Busy(Duration),
}

impl Trouble {
    /// Whether the server counts as away because of it.
    fn takes_away(self) -> bool {
        !matches!(self, Self::Busy(_))
    }
}

#[derive(Debug, Clone, Copy)]
struct Timed {
    trouble: Trouble,
    from: Duration,
    until: Duration,
}

fn plan(dice: &mut Dice) -> Vec<Timed> {
    let mut at = Duration::from_secs(2);
    (0..dice.between(2, 4))
        .map(|_| {
            let wait = dice.millis(100, 4_000);
            let troubles = [
                Trouble::Partition,
                Trouble::Hold,
                Trouble::Crash,
                Trouble::Hang,
                Trouble::Errors,
                Trouble::Busy(wait),
            ];
            let from = at + dice.millis(0, 2_000);
            let until = from + TOLD_WITHIN + dice.millis(500, 6_000);
            at = until + WELL_WITHIN;
            let trouble = dice.pick(&troubles);
            Timed {
                trouble,
                from,
                until,
            }
        })
        .collect()
}

/// What the server and the network do at present, and what callers saw.
#[derive(Debug, Default)]
struct Books {
    trouble: Mutex<Option<Trouble>>,
    calls: Mutex<Vec<Call>>,
    trace: Mutex<Vec<String>>,
    wrong: Mutex<Vec<String>>,
    /// Times at which a status was looked at for the root.
    looked: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One attempt: when it began, and when it was told to come back in how long.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    began: Duration,
    told: Option<(Duration, Duration)>,
}

#[derive(Debug, Clone)]
struct Call {
    began: Duration,
    ended: Duration,
    attempts: Vec<Attempt>,
    outcome: &'static str,
}

/// Plays the network's part of a seed.
pub fn network(seed: u64) -> Report {
    let mut dice = Dice::new(seed ^ 0x00C0_FFEE);
    let plan: Arc<[Timed]> = plan(&mut dice).into();
    let books = Arc::new(Books::default());
    let mut simulation = turmoil::Builder::new()
        .tick_duration(TICK)
        .simulation_duration(Duration::from_mins(10))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(LATENCY)
        .rng_seed(seed)
        .build();
    let served = Arc::clone(&books);
    simulation.host(SERVER, move || serve(Arc::clone(&served)));
    let scene = (Arc::clone(&plan), Arc::clone(&books));
    simulation.client(DAEMON, async move {
        play(seed, &scene.0, &scene.1).await;
        Ok(())
    });
    let mut over = false;
    while !over {
        let now = simulation.elapsed();
        let wanted = plan
            .iter()
            .find(|timed| timed.from <= now && now < timed.until)
            .map(|timed| timed.trouble);
        let before = std::mem::replace(&mut *lock(&books.trouble), wanted);
        if before != wanted {
            lock(&books.trace).push(format!("{now:?} {before:?} gives way to {wanted:?}"));
            turn(&mut simulation, before, wanted);
        }
        over = simulation.step().unwrap_or_else(|error| {
            lock(&books.wrong).push(error.to_string());
            true
        });
    }
    check(&books);
    let trace = std::mem::take(&mut *lock(&books.trace));
    Report {
        wrong: std::mem::take(&mut *lock(&books.wrong)),
        hash: hash(&trace),
        lines: trace.len(),
        asks: lock(&books.calls).len(),
        looked: *lock(&books.looked),
        trace,
    }
}

/// Ends one trouble of the network, and begins another.
fn turn(simulation: &mut turmoil::Sim<'_>, before: Option<Trouble>, wanted: Option<Trouble>) {
    match before {
        Some(Trouble::Partition) => simulation.repair(DAEMON, SERVER),
        Some(Trouble::Hold) => simulation.release(DAEMON, SERVER),
        Some(Trouble::Crash) => simulation.bounce(SERVER),
        _ => {}
    }
    match wanted {
        Some(Trouble::Partition) => simulation.partition(DAEMON, SERVER),
        Some(Trouble::Hold) => simulation.hold(DAEMON, SERVER),
        Some(Trouble::Crash) => simulation.crash(SERVER),
        _ => {}
    }
}

/// The server: a byte of question, five bytes of answer.
async fn serve(books: Arc<Books>) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let mut answering = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let books = Arc::clone(&books);
        answering.spawn(async move {
            // Who asked may have gone.
            if stream.read_u8().await.is_err() {
                return;
            }
            let trouble = *lock(&books.trouble);
            let (word, millis) = match trouble {
                Some(Trouble::Hang) => return std::future::pending().await,
                Some(Trouble::Errors) => (b'e', 0),
                Some(Trouble::Busy(wait)) => {
                    (b'b', wait.as_millis().try_into().unwrap_or(u32::MAX))
                }
                _ => (b'k', 0),
            };
            let mut answer = vec![word];
            answer.extend(u32::to_be_bytes(millis));
            drop(stream.write_all(&answer).await);
        });
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    Gone,
    Failed,
    Busy(Duration),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "nobody answers",
            Self::Failed => "the answer is an error",
            Self::Busy(_) => "it is busy",
        })
    }
}

impl std::error::Error for NoAnswer {}

impl Fault for NoAnswer {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Gone => FaultKind::Unavailable,
            Self::Failed => FaultKind::Upstream,
            Self::Busy(_) => FaultKind::Limited,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Gone => "sim.gone",
            Self::Failed => "sim.failed",
            Self::Busy(_) => "sim.busy",
        }
    }

    fn outside(&self) -> String {
        self.to_string()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy(wait) => Some(*wait),
            _ => None,
        }
    }
}

impl CallFault for NoAnswer {
    fn unreachable(_detail: &str) -> Self {
        Self::Gone
    }

    fn garbage(_detail: &str) -> Self {
        Self::Failed
    }
}

/// Asks the server once.
///
/// # Errors
/// See [`NoAnswer`].
pub(crate) async fn question() -> Result<(), NoAnswer> {
    let gone = |_| NoAnswer::Gone;
    let mut stream = TcpStream::connect((SERVER, PORT)).await.map_err(gone)?;
    stream.write_u8(b'?').await.map_err(gone)?;
    let word = stream.read_u8().await.map_err(gone)?;
    let millis = stream.read_u32().await.map_err(gone)?;
    match word {
        b'k' => Ok(()),
        b'b' => Err(NoAnswer::Busy(Duration::from_millis(millis.into()))),
        _ => Err(NoAnswer::Failed),
    }
}

/// The daemon's part.
async fn play(seed: u64, plan: &[Timed], books: &Arc<Books>) {
    let begun = Instant::now();
    let dependency = Dependency::new(upstream::PATH, policy());
    let system = match upstream::start(&dependency).await {
        Ok(system) => system,
        Err(error) => return lock(&books.wrong).push(error),
    };
    system.ready().await;
    let callers: Vec<OwnedTask> = (0..CALLERS)
        .map(|number| {
            let dice = Dice::new(seed ^ (number + 1).wrapping_mul(0xCA11_CA11));
            call_again_and_again(dependency.clone(), Arc::clone(books), begun, dice)
        })
        .collect();
    let observer = Observer {
        system: &system,
        dependency: &dependency,
        books,
    };
    for timed in plan {
        sleep_until(begun + timed.from + TOLD_WITHIN).await;
        observer.during(timed.trouble);
        sleep_until(begun + timed.until + WELL_WITHIN).await;
        observer.after(timed.trouble);
    }
    drop(callers);
    system.stop().await;
}

fn call_again_and_again(
    dependency: Dependency,
    books: Arc<Books>,
    begun: Instant,
    mut dice: Dice,
) -> OwnedTask {
    task::spawn(async move {
        loop {
            sleep(dice.millis(50, 250)).await;
            let call = one_call(&dependency, begun).await;
            let Call { outcome, .. } = &call;
            let (ended, made) = (call.ended, call.attempts.len());
            lock(&books.trace).push(format!("{ended:?} {outcome} after {made}"));
            lock(&books.calls).push(call);
        }
    })
}

async fn one_call(dependency: &Dependency, begun: Instant) -> Call {
    let asked = begun.elapsed();
    let attempts: Mutex<Vec<Attempt>> = Mutex::default();
    let called = dependency
        .call("question", |_| {
            lock(&attempts).push(Attempt {
                began: begun.elapsed(),
                told: None,
            });
            async {
                let answer = question().await;
                if let (Err(NoAnswer::Busy(wait)), Some(last)) =
                    (&answer, lock(&attempts).last_mut())
                {
                    last.told = Some((begun.elapsed(), *wait));
                }
                answer
            }
        })
        .await;
    Call {
        began: asked,
        ended: begun.elapsed(),
        attempts: attempts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        outcome: match called {
            Ok(()) => "answered",
            Err(CallError::Open { .. }) => "refused",
            Err(CallError::Full { .. }) => "full",
            Err(CallError::Timeout { .. }) => "timeout",
            Err(CallError::Failed(error)) => error.code(),
        },
    }
}

/// Looks at what operators see.
struct Observer<'a> {
    system: &'a System,
    dependency: &'a Dependency,
    books: &'a Books,
}

impl Observer<'_> {
    fn complain(&self, what: impl std::fmt::Display) {
        lock(&self.books.wrong).push(format!("network: {what}"));
    }

    /// The trouble has lasted for long enough to be told.
    fn during(&self, trouble: Trouble) {
        let state = self.dependency.state();
        if !trouble.takes_away() {
            if state != BreakerState::Closed {
                self.complain(format_args!("{state} during {trouble:?}"));
            }
            return;
        }
        if state == BreakerState::Closed {
            let rates = self.dependency.rates();
            return self.complain(format_args!("closed during {trouble:?}: {rates:?}"));
        }
        for (path, least) in upstream::REACHED {
            *lock(&self.books.looked) += 1;
            let Some(status) = self.system.status(Some(path), Some(0)) else {
                self.complain(format_args!("{path} is not in the status"));
                continue;
            };
            let cause = status.cause.as_ref().map(|cause| cause.path.as_str());
            if status.level < least || cause != Some(upstream::PATH) {
                let level = status.level;
                self.complain(format_args!(
                    "{path} is {level} because of {cause:?} during {trouble:?}"
                ));
            }
        }
    }

    /// It has been over for long enough to be forgotten.
    fn after(&self, trouble: Trouble) {
        let state = self.dependency.state();
        let level = self.system.level();
        if state != BreakerState::Closed || level != Level::Normal {
            self.complain(format_args!("{state} and {level} after {trouble:?}"));
        }
        let last = lock(&self.books.calls).last().cloned();
        if last.as_ref().is_none_or(|call| call.outcome != "answered") {
            self.complain(format_args!(
                "after {trouble:?} a call ends like this: {last:?}"
            ));
        }
    }
}

/// What callers saw.
fn check(books: &Books) {
    let policy = policy();
    let mut wrong = Vec::new();
    let calls = lock(&books.calls);
    for call in calls.iter() {
        let took = call.ended.saturating_sub(call.began);
        // The clock of a host stands still while the others have their turn.
        if took > policy.call_limit + TICK {
            wrong.push(format!("network: a call took {took:?}"));
        }
        if call.attempts.len() > policy.attempts as usize {
            wrong.push(format!("network: too many attempts: {call:?}"));
        }
        if call.outcome == "refused" && (took > Duration::ZERO || !call.attempts.is_empty()) {
            wrong.push(format!("network: not refused at once: {call:?}"));
        }
        for pair in call.attempts.windows(2) {
            let [first, second] = pair else { continue };
            if let Some((at, wait)) = first.told
                && second.began < at + wait
            {
                wrong.push(format!("network: a retry came before its time: {call:?}"));
            }
        }
        let last = call.attempts.last().and_then(|attempt| attempt.told);
        if let Some((at, wait)) = last
            && at + wait > call.began + policy.call_limit
            && call.ended > at + TICK
        {
            wrong.push(format!("network: a caller waited in vain: {call:?}"));
        }
    }
    let retries: usize = calls
        .iter()
        .map(|call| call.attempts.len().saturating_sub(1))
        .sum();
    let allowed = 10 + calls.len() * policy.retry_budget_percent as usize / 100;
    if retries > allowed {
        wrong.push(format!(
            "network: {retries} retries of {} calls",
            calls.len()
        ));
    }
    lock(&books.wrong).extend(wrong);
}
