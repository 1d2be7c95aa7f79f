//! The pump of a terminal: PTY to scrollback, waiting input to PTY, and the end.
//!
//! One task a terminal, owned by the terminal. No byte of output is told after the exit and none before it is lost: when the shell
//! has ended the PTY is read until it is dry (a background process may hold it open, so its end may never come), then the
//! shell is reaped, then the exit is told. The kernel hands over what is under way before it says "dry", so this is exact.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::master::{EndWatch, Master, Stop};
use crate::pace::Pace;
use crate::session;
use crate::terminal::Terminal;
use crate::view::View;

/// How often a PTY that nobody has open is looked at again.
const REOPEN_POLL: Duration = Duration::from_millis(100);

/// How soon it is looked at again after it gave output and closed.
const BUSY_POLL: Duration = Duration::from_millis(1);

/// What the kernel may hold of one PTY at most, generously: a background process that prints without end would else keep the
/// shell's exit from ever being told.
const MAX_UNDER_WAY: usize = 1 << 20;

/// Tells the terminal that its pump has ended, however it ended: also by a panic, and when it was never polled.
pub(crate) struct Duty(Arc<Terminal>);

impl Duty {
    /// The duty to pump `terminal`.
    pub(crate) fn new(terminal: Arc<Terminal>) -> Self {
        Self(terminal)
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.note_pump_end();
    }
}

/// Pumps until the shell has ended and its end was told.
pub(crate) async fn run(duty: Duty) {
    let terminal = &duty.0;
    let Some((master, watch)) = terminal.io() else {
        return;
    };
    let mut pace = Pace::new(terminal.view.with(|view| view.scrollback_limit()));
    pump(terminal, &master, &watch, &mut pace).await;
    // Before the shell is reaped: until then its number names this session alone.
    terminal.set_leftovers(session::living(terminal.session()).await);
    drain(terminal, &master, &mut pace).await;
    drop((master, watch));
    terminal.conclude();
}

/// Moves bytes both ways until the shell has ended.
async fn pump(terminal: &Terminal, master: &Master, watch: &EndWatch, pace: &mut Pace) {
    // How long to wait before the next read, once the PTY has to be read by the clock.
    let mut by_clock = None;
    loop {
        let (chunk, stop) = tokio::select! {
            biased;
            () = watch.ended() => return,
            () = feed(terminal, master) => {
                // Input alone must not keep the other two from being seen.
                tokio::task::yield_now().await;
                continue;
            }
            read = read(master, by_clock) => read,
        };
        by_clock = match stop {
            Stop::Closed if chunk.is_some() => Some(BUSY_POLL),
            Stop::Closed => Some(REOPEN_POLL),
            Stop::Full => by_clock,
            // Somebody has it open: the reactor tells when more comes.
            Stop::Dry => None,
        };
        append(terminal, chunk, pace).await;
        if stop == Stop::Full {
            tokio::task::yield_now().await;
        }
    }
}

/// The next output. A PTY that nobody has open is read by the clock until somebody does: a program may open it again, which the
/// reactor does not tell.
async fn read(master: &Master, by_clock: Option<Duration>) -> (Option<Bytes>, Stop) {
    match by_clock {
        None => master.next_chunk().await,
        Some(delay) => {
            tokio::time::sleep(delay).await;
            master.read_chunk()
        }
    }
}

/// Waits for input and writes what the PTY takes of it.
async fn feed(terminal: &Terminal, master: &Master) {
    if !terminal.has_input() {
        terminal.typed.notified().await;
    } else if !master.when_writable(|| terminal.flush_input(master)).await {
        tokio::time::sleep(REOPEN_POLL).await;
    }
}

/// Reads what is left after the shell's end.
async fn drain(terminal: &Terminal, master: &Master, pace: &mut Pace) {
    let mut read = 0;
    while read < MAX_UNDER_WAY {
        let (chunk, stop) = master.read_chunk();
        read += chunk.as_ref().map_or(0, Bytes::len);
        append(terminal, chunk, pace).await;
        if stop != Stop::Full {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Appends a chunk, tells the viewers, and waits for them as far as `pace.rs` says.
async fn append(terminal: &Terminal, chunk: Option<Bytes>, pace: &mut Pace) {
    let Some(chunk) = chunk else {
        return;
    };
    pace.earn(chunk.len());
    let mut lag = terminal.view.with(|view| {
        view.append(chunk);
        view.too_far_behind()
    });
    terminal.progress.notify_waiters();
    while let Some(behind) = lag
        && let Some(allowance) = pace.allowance(behind.moves)
    {
        let began = Instant::now();
        let waited = timeout(allowance, terminal.caught_up.notified()).await;
        let moves = terminal.view.with(|view| view.moves());
        pace.spend(began.elapsed(), behind.moves, moves);
        if waited.is_err() {
            return;
        }
        lag = terminal.view.with(View::too_far_behind);
    }
}
