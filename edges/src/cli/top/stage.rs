//! The terminal while it is ours: raw keys, the other screen, no cursor; and how it is given back.
//!
//! It is given back when [`Stage`] is dropped, and by the panic hook before the panic is told, so that the message stands on
//! the screen that the user will see. Whether it is ours is known in one place, so that nothing is put back twice.

use std::{
    io::{self, BufWriter, Stdout, Write as _},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        event::{DisableBracketedPaste, EnableBracketedPaste},
        queue,
        terminal::{
            DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
            disable_raw_mode, enable_raw_mode,
        },
    },
    layout::Rect,
};
use rustix::process::{Signal, getpid, kill_process};

/// A frame of a big terminal fits, so that it arrives as a whole.
const BUFFER_BYTES: usize = 64 << 10;

static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours.
pub(crate) struct Stage {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Stage {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Whatever the system says; the terminal is as it was then.
    pub(crate) fn enter() -> io::Result<Self> {
        give_back_on_panic();
        take()?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        let terminal = Terminal::new(CrosstermBackend::new(out)).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Draws a frame: only what differs from the last one is sent.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// Makes the next frame be sent as a whole.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn repaint(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        // Not `clear`: that asks the terminal where the cursor is, and its answer would come among the keys.
        self.terminal
            .resize(Rect::from((ratatui::layout::Position::ORIGIN, size)))
    }

    /// Takes the terminal again, whatever somebody else has done to it meanwhile.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn again(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        self.repaint()
    }

    /// Gives the terminal back, stops this process until it is continued, and takes the terminal again.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        kill_process(getpid(), Signal::STOP)?;
        self.again()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    IS_OURS.store(true, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    queue!(
        out,
        EnterAlternateScreen,
        DisableLineWrap,
        EnableBracketedPaste,
        Hide
    )
    .and_then(|()| out.flush())
    .inspect_err(|_| give_back())
}

/// Puts everything back, once.
fn give_back() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout().lock();
    let _nobody_to_tell = queue!(
        out,
        Show,
        DisableBracketedPaste,
        EnableLineWrap,
        LeaveAlternateScreen
    )
    .and_then(|()| out.flush());
    let _nobody_to_tell = disable_raw_mode();
}

fn give_back_on_panic() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            told(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only of use in a terminal that one can look at: the next test runs it in one.
    #[test]
    #[ignore = "takes the terminal"]
    #[should_panic(expected = "the play is over")]
    fn panics_on_the_stage() {
        let _stage = Stage::enter().unwrap();
        panic!("the play is over");
    }

    #[tokio::test]
    async fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let Some(tmux) = kit::Tmux::start(100, 30) else {
            return;
        };
        let program = std::env::current_exe().unwrap();
        tmux.type_line(&format!(
            "{} --exact cli::top::stage::tests::panics_on_the_stage --ignored --nocapture; echo e''nd=$?.",
            program.display()
        ));
        tmux.shows(&["the play is over", "end=0."]).await;
        assert_eq!(tmux.ask("#{alternate_on} #{cursor_flag}"), "0 1");
        tmux.type_line("stty -a | grep -o '.icanon'; echo d''one");
        let screen = tmux.shows(&["done"]).await;
        assert!(
            screen.contains(" icanon") && !screen.contains("-icanon"),
            "{screen}"
        );
    }
}
