//! One keystroke and its echo: the way of a byte through client, server, kernel and back.
//!
//! The terminal runs `cat`, so it is the kernel's line discipline that echoes. All sides have their terminal open at the same
//! time and take turns of a few keystrokes, with a pause before each as between a person's: a server that spins is no better.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep, timeout};

use super::server::Server;
use super::viewer::{PATIENCE, Viewer};
use crate::figures::{Spread, ratio, times, us};
use crate::goals::Goals;
use crate::table::Table;

const GOAL_P99_RATIO: f64 = 2.0;
/// Keystrokes of one side before it is the next one's turn.
const TURN: usize = 50;
const PAUSE: Duration = Duration::from_millis(2);

pub(super) async fn measure(servers: &[Server], is_quick: bool, goals: &mut Goals) -> Result<()> {
    let turns = if is_quick { 2 } else { 40 };
    let mut sides = Vec::new();
    for server in servers {
        let mut viewer = server.open(Path::new("/bin/cat")).await?;
        keystroke(&mut viewer).await?;
        sides.push((server.name(), viewer, Vec::new()));
    }
    for _ in 0..turns {
        for (name, viewer, took) in &mut sides {
            for _ in 0..TURN {
                sleep(PAUSE).await;
                let key = timeout(PATIENCE, keystroke(viewer)).await;
                took.push(
                    key.context("no echo")?
                        .with_context(|| (*name).to_owned())?,
                );
            }
        }
    }
    let mut table = Table::new(
        format!(
            "keystroke to echo, {} each, µs; ratio: mainstay to it",
            turns * TURN
        ),
        &["", "p50", "ratio", "p99", "ratio", "max"],
    );
    let mut spreads = Vec::new();
    for (name, viewer, took) in sides {
        viewer.leave().await;
        spreads.push((name, Spread::of(took)));
    }
    let (_, ours) = spreads.first().cloned().context("the daemon is measured")?;
    for (index, (name, theirs)) in spreads.iter().enumerate() {
        let p99 = ratio(ours.p99(), theirs.p99());
        if index > 0 {
            let what = format!("ptys: echo p99 to {name}");
            goals.at_most(what, GOAL_P99_RATIO, p99, "×");
        }
        table.row([
            (*name).to_owned(),
            us(theirs.p50()),
            times(ratio(ours.p50(), theirs.p50())),
            us(theirs.p99()),
            times(p99),
            us(theirs.max()),
        ]);
    }
    table.print();
    Ok(())
}

/// Types one character and waits for it.
async fn keystroke(viewer: &mut Viewer) -> Result<Duration> {
    let began = Instant::now();
    viewer.send(b"x").await?;
    match viewer.output().await? {
        Some(echo) if echo.as_ref() == b"x" => Ok(began.elapsed()),
        Some(other) => bail!("{:?} is not the echo", String::from_utf8_lossy(&other)),
        None => bail!("closed before the echo"),
    }
}
