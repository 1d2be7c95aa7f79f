//! What many terminals cost in which nothing happens: memory and threads of the server alone.

use std::path::Path;

use anyhow::Result;

use super::server::Server;
use super::workers;
use crate::figures::{float, float_of};
use crate::goals::Goals;
use crate::process::{Footprint, settled};
use crate::table::Table;

const GOAL_KIB: f64 = 64.0;
/// None, but for one that the runtime may start for a moment whatever the terminals do.
const GOAL_THREADS: f64 = 0.1;
const PROGRAM: &str = "/bin/cat";

/// The table, and what its rows refer to.
struct Report {
    table: Table,
    goal: f64,
    threads: f64,
}

pub(super) async fn measure(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let steps: &[usize] = if is_quick { &[5, 10] } else { &[50, 200] };
    let table = Table::new(
        "idle terminals, each with `cat` waiting for input",
        &[
            "",
            "terminals",
            "viewers",
            "resident, MB",
            "own, MB",
            "KiB a terminal",
            "threads",
        ],
    );
    let mut report = Report {
        table,
        goal: 0.0,
        threads: 0.0,
    };
    let server = Server::mainstay(binary).await?;
    detached(&server, steps, &mut report).await?;
    server.stop().await?;
    for server in [
        Server::mainstay(binary).await?,
        Server::bare(workers()).await?,
        Server::bare(1).await?,
    ] {
        attached(&server, steps, &mut report).await?;
        server.stop().await?;
    }
    report.table.print();
    goals.at_most(
        "ptys: memory of an idle terminal",
        GOAL_KIB,
        report.goal,
        "KiB",
    );
    goals.at_most(
        "ptys: threads of an idle terminal",
        GOAL_THREADS,
        report.threads,
        "",
    );
    Ok(())
}

/// Terminals that nobody looks at: what the goal is about.
async fn detached(server: &Server, steps: &[usize], report: &mut Report) -> Result<()> {
    warm_up(server).await?;
    let none = settled(server.pid()).await?;
    report.row(server.name(), (0, 0), none, none);
    let mut open = Vec::new();
    for &step in steps {
        while open.len() < step {
            open.push(server.open_alone(Path::new(PROGRAM)).await?);
        }
        let now = settled(server.pid()).await?;
        report.goal = report.row(server.name(), (step, 0), now, none);
        report.threads = (float(now.threads) - float(none.threads)).max(0.0) / float_of(step);
    }
    let mut viewers = Vec::new();
    for id in &open {
        viewers.push(server.attach(id).await?);
    }
    let now = settled(server.pid()).await?;
    report.row(server.name(), (open.len(), viewers.len()), now, none);
    for viewer in viewers {
        viewer.leave().await;
    }
    Ok(())
}

/// Terminals with a viewer each, which is all that the peer has.
async fn attached(server: &Server, steps: &[usize], report: &mut Report) -> Result<()> {
    warm_up(server).await?;
    let none = settled(server.pid()).await?;
    report.row(server.name(), (0, 0), none, none);
    let mut viewers = Vec::new();
    for &step in steps {
        while viewers.len() < step {
            viewers.push(server.open(Path::new(PROGRAM)).await?);
        }
        let now = settled(server.pid()).await?;
        report.row(server.name(), (step, step), now, none);
    }
    for viewer in viewers {
        viewer.leave().await;
    }
    Ok(())
}

/// What a first terminal costs once and for all must not be counted to the others.
async fn warm_up(server: &Server) -> Result<()> {
    let mut viewer = server.open(Path::new(PROGRAM)).await?;
    viewer.send(b"warm\n").await?;
    viewer.until(b"warm").await?;
    viewer.leave().await;
    Ok(())
}

impl Report {
    /// Adds a row and gives the KiB of each terminal beyond `none`.
    fn row(
        &mut self,
        name: &str,
        (terminals, viewers): (usize, usize),
        now: Footprint,
        none: Footprint,
    ) -> f64 {
        let more = float(now.resident) - float(none.resident);
        let each = if terminals == 0 {
            0.0
        } else {
            more / 1024.0 / float_of(terminals)
        };
        self.table.row([
            name.to_owned(),
            terminals.to_string(),
            viewers.to_string(),
            format!("{:.2}", float(now.resident) / 1e6),
            format!("{:.2}", float(now.own) / 1e6),
            format!("{each:.1}"),
            now.threads.to_string(),
        ]);
        each
    }
}
