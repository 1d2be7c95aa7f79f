//! One terminal: everything of it that must outlive a fault of an actor.
//!
//! The master of the PTY, the shell, the scrollback and the viewers' places live here, in an `Arc` that the directory holds. The
//! actors around it (`manager.rs`, `terminal_actor.rs`) hold nothing that matters: they are built anew around the same
//! terminal, and whoever is attached notices nothing. The bytes move in `pump.rs`, a task that the terminal itself owns.

use std::collections::VecDeque;
use std::io;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ground::{Id, Micros};
use rustix::process::Pid;
use supervisor::task::{self, OwnedTask};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::attachment::Attachment;
use crate::config::Config;
use crate::directory::Place;
use crate::frames::ClosedReason;
use crate::launch::Launch;
use crate::locked::Locked;
use crate::master::{EndWatch, Master};
use crate::process::{self, Exit, Started};
use crate::pump::{self, Duty};
use crate::records::Records;
use crate::session::{self, Identity};
use crate::store::Record;
use crate::types::{Size, TerminalInfo, TerminalState};
use crate::view::View;

/// Input that waits for the program to read it, at most.
const MAX_INPUT: usize = 1 << 20;

/// How long after its last process a terminal may take to tell its end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What changes at a user's wish.
#[derive(Debug)]
struct Settings {
    name: String,
    size: Size,
}

/// What there is while the shell runs. Dropping it gives back its descriptors and its place.
#[derive(Debug)]
struct Running {
    master: Arc<Master>,
    child: Child,
    watch: Arc<EndWatch>,
    _place: Place,
}

/// A terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) id: Id,
    /// Whose it is; none: the local operator's.
    pub(crate) owner: Option<Id>,
    shell: String,
    cwd: String,
    pid: Pid,
    created_at: Micros,
    /// See `Config::unconfirmed_output`, in bytes.
    pub(crate) window: u64,
    max_viewers: usize,
    grace: Duration,
    records: Arc<Records>,

    settings: Locked<Settings>,
    pub(crate) view: Locked<View>,
    input: Locked<VecDeque<u8>>,
    running: Locked<Option<Running>>,
    ended_at: Locked<Option<Micros>>,
    /// Processes of the session that outlived the shell.
    leftovers: Locked<Vec<Identity>>,

    /// Rung for viewers: there may be a next frame.
    pub(crate) progress: Notify,
    /// Rung for the pump: viewers have caught up.
    pub(crate) caught_up: Notify,
    /// Rung for the pump: there is input to write.
    pub(crate) typed: Notify,
    /// Rung when the pump has ended, however it ended.
    pub(crate) pump_ended: Notify,
    is_pumping: AtomicBool,
    pump: Locked<Option<OwnedTask>>,
    is_closing: AtomicBool,
}

/// A terminal that the keeper is closing; dropping it lets the next round try again.
#[derive(Debug)]
pub(crate) struct Closing(Arc<Terminal>);

impl Closing {
    /// The terminal.
    pub(crate) fn terminal(&self) -> &Arc<Terminal> {
        &self.0
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.is_closing.store(false, Ordering::Release);
    }
}

impl Terminal {
    /// Takes a started shell into care and begins to pump. Must be called inside the runtime.
    ///
    /// # Errors
    /// The reactor takes no further descriptor; the shell is killed then.
    pub(crate) fn new(
        launch: Launch,
        owner: Option<Id>,
        started: Started,
        place: Place,
        config: &Config,
        records: Arc<Records>,
    ) -> io::Result<Arc<Self>> {
        let (master, mut child) = started.take()?;
        let watched = process::pid_of(&child)
            .ok_or_else(|| io::Error::other("a process without a number"))
            .and_then(|pid| Ok((pid, EndWatch::new(pid)?, Master::new(master)?)));
        let (pid, watch, master) = match watched {
            Ok(watched) => watched,
            Err(error) => {
                process::kill_now(&mut child);
                return Err(error);
            }
        };
        let terminal = Arc::new(Self {
            id: Id::generate(),
            owner,
            shell: launch.shell.to_string_lossy().into_owned(),
            cwd: launch.cwd.to_string_lossy().into_owned(),
            pid,
            created_at: Micros::now(),
            window: config.unconfirmed_output.0,
            max_viewers: usize::try_from(config.max_viewers).unwrap_or(usize::MAX),
            grace: config.hangup_grace,
            records,
            settings: Locked::new(Settings {
                name: launch.name,
                size: launch.size,
            }),
            view: Locked::new(View::new(config.scrollback.as_usize())),
            input: Locked::new(VecDeque::new()),
            running: Locked::new(Some(Running {
                master: Arc::new(master),
                child,
                watch: Arc::new(watch),
                _place: place,
            })),
            ended_at: Locked::new(None),
            leftovers: Locked::new(Vec::new()),
            progress: Notify::new(),
            caught_up: Notify::new(),
            typed: Notify::new(),
            pump_ended: Notify::new(),
            is_pumping: AtomicBool::new(false),
            pump: Locked::new(None),
            is_closing: AtomicBool::new(false),
        });
        terminal.ensure_pump();
        terminal.save();
        Ok(terminal)
    }

    /// What is told about it.
    pub(crate) fn info(&self) -> TerminalInfo {
        let (name, size) = self
            .settings
            .with(|settings| (settings.name.clone(), settings.size));
        self.view.with(|view| TerminalInfo {
            id: self.id,
            owner: self.owner,
            name,
            shell: self.shell.clone(),
            cwd: self.cwd.clone(),
            cols: size.cols,
            rows: size.rows,
            pid: self.pid.as_raw_nonzero().get().unsigned_abs(),
            state: match view.exit() {
                None => TerminalState::Running,
                Some(_) => TerminalState::Exited,
            },
            exit_code: view.exit().map(|exit| exit.exit_code),
            created_at: self.created_at,
            last_seq: view.end(),
            viewers: u32::try_from(view.viewers()).unwrap_or(u32::MAX),
        })
    }

    /// Has its present state recorded, soon.
    pub(crate) fn save(&self) {
        let ended_at = self.ended_at.with(|at| *at);
        self.records.save(Record::new(self.info(), ended_at));
    }

    /// Whether the shell has ended and all was told.
    pub(crate) fn has_exited(&self) -> bool {
        self.view.with(|view| view.exit().is_some())
    }

    /// When the shell ended.
    pub(crate) fn ended_at(&self) -> Option<Micros> {
        self.ended_at.with(|at| *at)
    }

    /// Since when nobody has used it; `None` while somebody looks at it.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.view.with(|view| view.idle_since())
    }

    /// Attaches a viewer; `None` when as many as may be are attached. See [`View::attach`].
    pub(crate) fn attach(self: &Arc<Self>, since: Option<u64>) -> Option<Attachment> {
        let key = self
            .view
            .with(|view| view.attach(since, self.max_viewers))?;
        Some(Attachment::new(Arc::clone(self), key))
    }

    /// The most viewers at once.
    pub(crate) fn max_viewers(&self) -> u32 {
        u32::try_from(self.max_viewers).unwrap_or(u32::MAX)
    }

    /// Gives it another name.
    pub(crate) fn rename(&self, name: String) {
        self.settings.with(|settings| settings.name = name);
        self.save();
    }

    /// Gives it another size, of which the program is told. Whether the shell still runs.
    pub(crate) fn resize(&self, size: Size) -> bool {
        let Some(master) = self.master() else {
            return false;
        };
        // Inside one step, so that of two resizes at once the one that is kept is the one that the program has.
        let changed = self.settings.with(|settings| {
            if settings.size == size {
                return false;
            }
            if let Err(error) = master.resize(size) {
                tracing::warn!(id = %self.id, %error, "the terminal did not take its size");
            }
            settings.size = size;
            true
        });
        if changed {
            self.save();
        }
        true
    }

    /// Types `bytes`. Returns how many were dropped: all of them when the shell has ended or when too much input waits.
    pub(crate) fn type_in(&self, bytes: &[u8]) -> usize {
        let Some(master) = self.master() else {
            return bytes.len();
        };
        self.view.with(View::touch);
        let outcome = self.input.with(|waiting| {
            let mut rest = bytes;
            // Usually nothing waits and the PTY takes all: then no other task is needed.
            if waiting.is_empty() {
                let written = master.write(bytes)?;
                rest = bytes.get(written..).unwrap_or_default();
            }
            if waiting.len() + rest.len() > MAX_INPUT {
                return Ok(rest.len());
            }
            waiting.extend(rest);
            Ok(0)
        });
        self.typed.notify_one();
        outcome.unwrap_or_else(|error: io::Error| {
            tracing::debug!(id = %self.id, %error, "the terminal takes no input");
            bytes.len()
        })
    }

    /// Whether input waits.
    pub(crate) fn has_input(&self) -> bool {
        self.input.with(|waiting| !waiting.is_empty())
    }

    /// Writes what waits as far as the PTY takes it; whether all of it went.
    pub(crate) fn flush_input(&self, master: &Master) -> bool {
        self.input.with(|waiting| {
            let (front, back) = waiting.as_slices();
            let first = if front.is_empty() { back } else { front };
            let wanted = first.len();
            let written = master.write(first).unwrap_or(wanted);
            waiting.drain(..written);
            if waiting.is_empty() {
                waiting.shrink_to_fit();
            }
            written == wanted
        })
    }

    fn master(&self) -> Option<Arc<Master>> {
        self.running
            .with(|running| running.as_ref().map(|running| Arc::clone(&running.master)))
    }

    /// What the pump works on, while the shell runs.
    pub(crate) fn io(&self) -> Option<(Arc<Master>, Arc<EndWatch>)> {
        self.running.with(|running| {
            running
                .as_ref()
                .map(|running| (Arc::clone(&running.master), Arc::clone(&running.watch)))
        })
    }

    /// Starts the pump unless it runs or is no longer needed. Must be called inside the runtime.
    pub(crate) fn ensure_pump(self: &Arc<Self>) {
        if self.has_exited() || self.is_pumping.swap(true, Ordering::AcqRel) {
            return;
        }
        let pump = task::spawn(pump::run(Duty::new(Arc::clone(self))));
        self.pump.with(|slot| *slot = Some(pump));
    }

    /// The pump has ended. Called by the pump alone, however it ends.
    pub(crate) fn note_pump_end(&self) {
        self.is_pumping.store(false, Ordering::Release);
        self.pump_ended.notify_waiters();
        self.progress.notify_waiters();
    }

    /// Waits until the pump has ended, and tells whether it ended too early.
    pub(crate) async fn pump_lost(&self) -> bool {
        loop {
            let ended = self.pump_ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if !self.is_pumping.load(Ordering::Acquire) {
                return !self.has_exited();
            }
            ended.await;
        }
    }

    /// Ends the pump where it stands. For tests, where no other fault reaches it.
    #[cfg(test)]
    pub(crate) fn break_pump(&self) {
        drop(self.pump.with(Option::take));
    }

    /// Keeps the processes that outlived the shell in mind.
    pub(crate) fn set_leftovers(&self, leftovers: Vec<Identity>) {
        self.leftovers.with(|slot| *slot = leftovers);
    }

    /// The id of the shell's session.
    pub(crate) fn session(&self) -> Pid {
        self.pid
    }

    /// Reaps the shell, gives back what it held, and tells its end. All output must have been appended.
    pub(crate) fn conclude(&self) {
        let Some(mut running) = self.running.with(Option::take) else {
            return;
        };
        let exit = match running.child.try_wait() {
            Ok(Some(status)) => Exit::from(status),
            other => {
                tracing::error!(id = %self.id, ?other, "the shell's exit status is not known");
                Exit::unknown()
            }
        };
        drop(running);
        self.input.with(|waiting| *waiting = VecDeque::new());
        self.ended_at.with(|at| *at = Some(Micros::now()));
        self.view.with(|view| view.set_exit(exit.code, exit.signal));
        self.progress.notify_waiters();
        self.save();
    }

    /// Takes it for closing, unless that is under way.
    pub(crate) fn begin_closing(self: &Arc<Self>) -> Option<Closing> {
        let is_first = !self.is_closing.swap(true, Ordering::AcqRel);
        is_first.then(|| Closing(Arc::clone(self)))
    }

    /// Ends all processes of the terminal and waits until its end was told. Returns how many processes are left, which is
    /// 0 but for some that hang in the kernel. May be called more than once and cancelled at any time.
    pub(crate) async fn end(&self, reason: ClosedReason) -> usize {
        self.view.with(|view| view.set_closed(reason));
        self.progress.notify_waiters();
        if self.has_exited() {
            return self.end_leftovers().await;
        }
        let left = session::end(self.pid, self.grace).await;
        if left == 0 {
            // The pump reads the last output, then tells the end; should it have been lost, its restart does.
            drop(tokio::time::timeout(LAST_WORDS, self.exited()).await);
        }
        left
    }

    /// A number is used again once nobody has it, so the session is only touched while somebody is in it who was there when the
    /// shell ended.
    async fn end_leftovers(&self) -> usize {
        let known = self.leftovers.with(|known| known.clone());
        if known.is_empty() {
            return 0;
        }
        let living = session::living(self.pid).await;
        if living.iter().any(|one| known.contains(one)) {
            return session::end(self.pid, self.grace).await;
        }
        0
    }

    /// Waits until the shell's end was told.
    async fn exited(&self) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.has_exited() {
                return;
            }
            progress.await;
        }
    }
}

/// A terminal that nobody holds any more takes its shell with it.
impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.with(Option::take) {
            process::kill_group(self.pid);
            if let Err(error) = running.child.try_wait() {
                tracing::debug!(id = %self.id, %error, "a killed shell could not be reaped");
            }
        }
    }
}
