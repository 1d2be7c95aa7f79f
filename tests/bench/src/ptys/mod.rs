//! Terminals through a WebSocket, beside a bare program that does nothing else.
//!
//! # Layout
//!
//! * `bare` the peer, in a process of its own; `server` both sides by one face; `viewer` a client of either.
//! * `flood` processor time and completeness of a big output; `echo` keystrokes; `idle` memory and threads of many.

pub(crate) mod bare;
mod echo;
mod flood;
mod idle;
mod server;
mod viewer;

pub(crate) use server::{OPEN_LIMIT, open_detached};
pub(crate) use viewer::Viewer;

use std::path::Path;

use anyhow::Result;

use crate::goals::Goals;
use server::Server;

/// Measures terminals.
///
/// # Errors
///
/// When a server does not start, and when output is lost, doubled or wrong.
pub(crate) async fn run(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let servers = [
        Server::mainstay(binary).await?,
        Server::bare(workers()).await?,
        Server::bare(1).await?,
    ];
    flood::measure(&servers, is_quick, goals).await?;
    echo::measure(&servers, is_quick, goals).await?;
    for server in servers {
        server.stop().await?;
    }
    idle::measure(binary, is_quick, goals).await
}

/// As many threads as a runtime takes by itself.
fn workers() -> usize {
    std::thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2)
}
