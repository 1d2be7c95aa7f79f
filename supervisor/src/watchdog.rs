//! The watchdog: a thread of its own that sees what the runtime cannot see of itself.
//!
//! A handler that blocks its thread stops every other actor on that thread, and when all threads are blocked nobody is left
//! to say so. This thread needs none of them: it looks at the marks that each poll leaves (`on_thread.rs`), asks the runtime for a
//! sign of life, and writes what it finds to the status itself. Between two looks it sleeps.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::board::Board;
use crate::cell::{NodeCell, take_refusals};
use crate::context::Condition;
use crate::level::Level;
use crate::on_thread::{self, Turn};
use crate::task;
use crate::waits;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A handler that is polled this long without a break blocks its thread. With the time between looks this is found within 500 ms.
const BLOCKED_AFTER: Duration = Duration::from_millis(300);
/// Actors that wait for each other in a circle this long are told.
const CIRCLE_AFTER: Duration = Duration::from_secs(1);
/// An actor whose mailbox refused nothing for this long is flooded no more.
const CALM_AFTER: Duration = Duration::from_secs(2);

const BLOCKED: &str = "actor.blocked";
const STALLED: &str = "runtime.stalled";
const CIRCLE: &str = "actor.wait_circle";
const FLOODED: &str = "actor.flooded";

/// A handler that blocks its thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The actor.
    pub path: String,
    /// The message that it handles, or what else of it runs.
    pub message: Option<String>,
    /// For how long at least.
    pub since_at_least: Duration,
}

/// What a look found.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// How long the runtime has given no sign of life; zero while it does.
    pub stalled_for: Duration,
    /// Handlers that block their threads now.
    pub blocked: Vec<Blocked>,
}

impl Vitals {
    /// Whether no thread of the runtime turns.
    pub fn is_stalled(&self) -> bool {
        self.stalled_for >= BLOCKED_AFTER
    }
}

#[derive(Default)]
struct End {
    is_asked: Mutex<bool>,
    asked: Condvar,
}

/// The running watchdog; it ends when this is dropped.
pub struct Watchdog {
    end: Arc<End>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}

impl Watchdog {
    /// Starts the thread. `on_look` is called at each look, ten times a second, on that thread.
    pub(crate) fn start(
        board: Board,
        runtime: Handle,
        mut on_look: impl FnMut(&Vitals) + Send + 'static,
    ) -> std::io::Result<Self> {
        let end = Arc::new(End::default());
        let asked = Arc::clone(&end);
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                let mut watch = Watch::new(board, runtime);
                while !asked.wait(LOOK_EVERY) {
                    let vitals = watch.look(Instant::now());
                    on_look(&vitals);
                }
            })?;
        Ok(Self {
            end,
            thread: Some(thread),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *lock(&self.end.is_asked) = true;
        self.end.asked.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watchdog panicked");
        }
    }
}

impl End {
    /// Waits this long; whether the end was asked for.
    fn wait(&self, long: Duration) -> bool {
        let asked = lock(&self.is_asked);
        let (asked, _timed_out) = self
            .asked
            .wait_timeout_while(asked, long, |asked| !*asked)
            .unwrap_or_else(PoisonError::into_inner);
        *asked
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watch {
    board: Board,
    runtime: Handle,
    /// Set by the runtime in answer to the newest knock.
    answered: Arc<AtomicBool>,
    answered_at: Instant,
    /// Threads inside an actor's code: the turn seen, and when it was first seen.
    turns: HashMap<usize, (Turn, Instant)>,
    /// Alarms raised here and not ended: path and code.
    raised: Vec<(String, &'static str)>,
    /// Actors that refused requests, when they last did.
    flooded: HashMap<u64, (Arc<NodeCell>, Instant)>,
}

impl Watch {
    fn new(board: Board, runtime: Handle) -> Self {
        Self {
            board,
            runtime,
            answered: Arc::new(AtomicBool::new(true)),
            answered_at: Instant::now(),
            turns: HashMap::new(),
            raised: Vec::new(),
            flooded: HashMap::new(),
        }
    }

    fn look(&mut self, now: Instant) -> Vitals {
        let mut alarms = Vec::new();
        let vitals = Vitals {
            stalled_for: self.knock(now),
            blocked: self.blocked(now, &mut alarms),
        };
        if vitals.is_stalled() {
            alarms.push(("/".to_owned(), stalled(&vitals)));
        }
        self.circles(now, &mut alarms);
        self.floods(now, &mut alarms);
        self.tell(alarms);
        vitals
    }

    /// Asks the runtime for a sign of life; how long the last one is overdue.
    fn knock(&mut self, now: Instant) -> Duration {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.answered_at = now;
            let answered = Arc::clone(&self.answered);
            task::knock(&self.runtime, async move {
                answered.store(true, Ordering::Release);
            });
            return Duration::ZERO;
        }
        now.saturating_duration_since(self.answered_at)
    }

    fn blocked(&mut self, now: Instant, alarms: &mut Vec<(String, Condition)>) -> Vec<Blocked> {
        let busy = on_thread::busy();
        let seen = std::mem::take(&mut self.turns);
        for turn in busy {
            let since = match seen.get(&turn.thread) {
                Some((before, since)) if *before == turn => *since,
                _ => now,
            };
            self.turns.insert(turn.thread, (turn, since));
        }
        let long = self
            .turns
            .values()
            .filter(|(_, since)| now - *since >= BLOCKED_AFTER);
        let long: Vec<(u64, Duration)> = long
            .map(|(turn, since)| (turn.actor, now - *since))
            .collect();
        if long.is_empty() {
            return Vec::new();
        }
        let cells = self.board.with(|model| model.cells());
        let mut blocked = Vec::new();
        for (actor, since_at_least) in long {
            let Some(cell) = cells.get(&actor) else {
                // An actor of another tree in this process.
                continue;
            };
            let message = cell.in_hand().map(|hand| hand.message.to_owned());
            let doing = message.as_deref().unwrap_or("work beside its handlers");
            let text = format!(
                "{doing} has blocked a thread of the runtime for over {} ms: others on that thread wait, and it cannot be killed until it yields",
                BLOCKED_AFTER.as_millis()
            );
            alarms.push((
                cell.path().to_string(),
                Condition::new(Level::Degraded, BLOCKED, text),
            ));
            blocked.push(Blocked {
                path: cell.path().to_string(),
                message,
                since_at_least,
            });
        }
        blocked
    }

    fn circles(&self, now: Instant, alarms: &mut Vec<(String, Condition)>) {
        let open = waits::open();
        if open.is_empty() {
            return;
        }
        let circles = waits::circles(&open, now, CIRCLE_AFTER);
        if circles.is_empty() {
            return;
        }
        let cells = self.board.with(|model| model.cells());
        for circle in circles {
            let paths: Option<Vec<String>> = circle
                .iter()
                .map(|id| cells.get(id).map(|cell| cell.path().to_string()))
                .collect();
            let Some(paths) = paths else { continue };
            let Some(first) = paths.first() else { continue };
            let way = paths.join(" -> ");
            let text = format!(
                "waits in a circle, {way} -> {first}: it ends only with the deadlines of these requests"
            );
            for path in &paths {
                let alarm = Condition::new(Level::Degraded, CIRCLE, text.clone()).with_root(first);
                alarms.push((path.clone(), alarm));
            }
        }
    }

    fn floods(&mut self, now: Instant, alarms: &mut Vec<(String, Condition)>) {
        for (cell, _refused) in take_refusals() {
            self.flooded.insert(cell.id(), (cell, now));
        }
        self.flooded
            .retain(|_, (_, last)| now.saturating_duration_since(*last) < CALM_AFTER);
        for (cell, _) in self.flooded.values() {
            let limit = cell.limit();
            let text = format!(
                "its mailbox of {limit} requests is full and refuses more; callers are told to come back later"
            );
            alarms.push((
                cell.path().to_string(),
                Condition::new(Level::Degraded, FLOODED, text),
            ));
        }
    }

    /// Raises what is new and ends what is over, and rolls levels up here: the runtime may not be able to.
    fn tell(&mut self, alarms: Vec<(String, Condition)>) {
        if alarms.is_empty() && self.raised.is_empty() {
            return;
        }
        let before = std::mem::take(&mut self.raised);
        self.board.with(|model| {
            for (path, alarm) in alarms {
                self.raised.push((path.clone(), alarm.code));
                model.raise_alarm(&path, alarm);
            }
            for (path, code) in before {
                let goes_on = |(other, its): &(String, &str)| *other == path && *its == code;
                if !self.raised.iter().any(goes_on) {
                    model.end_alarm(&path, code);
                }
            }
            model.settle();
        });
    }
}

fn stalled(vitals: &Vitals) -> Condition {
    let text = match vitals.blocked.first() {
        Some(blocked) => format!(
            "no thread of the runtime turns: {} holds one in {}",
            blocked.path,
            blocked
                .message
                .as_deref()
                .unwrap_or("work beside its handlers")
        ),
        None => "no thread of the runtime turns; what holds them is no actor".to_owned(),
    };
    let alarm = Condition::new(Level::Critical, STALLED, text)
        .with_impact("requests wait until a thread is free again; health and status still answer");
    match vitals.blocked.first() {
        Some(blocked) => alarm.with_root(&blocked.path),
        None => alarm,
    }
}
