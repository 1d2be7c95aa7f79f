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

/// How often a PTY that nobody has open is looked at again: a program that closed it may open it once more.
const REOPEN_POLL: Duration = Duration::from_millis(100);

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
    let mut is_open = true;
    loop {
        let (chunk, stop) = tokio::select! {
            biased;
            () = watch.ended() => return,
            () = feed(terminal, master) => continue,
            read = master.next_chunk(), if is_open => read,
            read = look_again(master), if !is_open => read,
        };
        // The reactor reports a closed PTY for ever, so from then on it is looked at by the clock.
        is_open &= stop != Stop::Closed;
        append(terminal, chunk, pace).await;
        if stop == Stop::Full {
            tokio::task::yield_now().await;
        }
    }
}

async fn look_again(master: &Master) -> (Option<Bytes>, Stop) {
    tokio::time::sleep(REOPEN_POLL).await;
    master.read_chunk()
}

/// Waits for input and writes what the PTY takes of it.
async fn feed(terminal: &Terminal, master: &Master) {
    if terminal.has_input() {
        master.when_writable(|| terminal.flush_input(master)).await;
    } else {
        terminal.typed.notified().await;
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
