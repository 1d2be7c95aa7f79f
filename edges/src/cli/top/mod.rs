//! `top`: all parts on the full screen, with what they do at this moment, and the keys to explain, restart, hold and release.
//!
//! It asks the daemon as every other verb does, draws only when something has changed and at most ten times a second, and
//! outlives the daemon. The terminal is given back however it ends: by a key, a signal, a failure or a panic.
//!
//! # Layout
//! - `tree`, `model`, `keys`: what is shown and what a key changes in it, pure.
//! - `view`, `table`, `panes`, `paint`: the picture, pure.
//! - `input`, `stage`: the terminal's keys and its two screens; `feed`: what comes from the daemon; `app`: the loop.

mod app;
mod feed;
mod input;
mod keys;
mod model;
mod paint;
mod panes;
mod stage;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use std::io::{self, IsTerminal as _};

use super::{Session, block_on, exit::Exit, failure::Failure};

/// Runs until the user has seen enough.
pub(crate) fn run(session: &Session) -> Result<Exit, Failure> {
    if !session.screen.can_redraw() || !io::stdin().is_terminal() {
        return Err(
            Failure::usage("top needs a terminal whose cursor can be moved")
                .next("mainstay status --watch tells each change on a line of its own"),
        );
    }
    let client = session.client()?.silent();
    block_on(app::run(&session.screen, &client))
}
