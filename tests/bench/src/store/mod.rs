//! Group commit beside a transaction a request, on the same disk in the same run.
//!
//! One row is a UUIDv7 key and 200 bytes. A row counts when its commit has returned, and only what returned within the round
//! counts towards the rate. Every round begins with two empty databases, and takes turns in who goes first.
//!
//! # Layout
//!
//! * `rows` the closed loop of clients; `grouped` our writer, through the handle that all domains use; `naive` the peer.
//! * `lone` one writer alone, beside what the disk takes to sync as many bytes.
//! * `server` a PostgreSQL that syncs, unlike those of the tests.

mod grouped;
mod lone;
mod naive;
mod rows;
mod server;

use std::time::Duration;

use ::store::Location;
use ::store::testing::{Folder, Open, Stage};
use anyhow::{Context, Result};
use ground::Secret;
use ground::db::Engine;

use crate::figures::{float, median, times};
use crate::goals::Goals;
use crate::table::Table;
use grouped::Grouped;
use naive::Naive;
use rows::{Outcome, closed_loop};
use server::Server;

/// Clients that each wait for their answer before they write the next row.
const CLIENTS: usize = 64;
const GOAL_RATIO: f64 = 3.0;

/// Where the databases of both sides come from.
enum Ground {
    Files,
    Server(Box<Server>),
}

/// Measures the write path on SQLite, and on PostgreSQL where a server is installed.
///
/// # Errors
///
/// When a database cannot be made or opened.
pub(crate) async fn run(is_quick: bool, goals: &mut Goals) -> Result<()> {
    measure(&Ground::Files, is_quick, goals).await?;
    let Some(server) = Server::start().await? else {
        println!(
            "
skipped on PostgreSQL: no server binaries (`apt-get install postgresql`)"
        );
        return Ok(());
    };
    measure(&Ground::Server(Box::new(server)), is_quick, goals).await
}

async fn measure(ground: &Ground, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (rounds, span) = if is_quick {
        (2, Duration::from_millis(300))
    } else {
        (5, Duration::from_secs(3))
    };
    let engine = ground.name();
    let mut table = Table::new(
        format!(
            "{engine}, {CLIENTS} closed-loop writers, {span:?} a cell; latency p50 / p99 / max in ms"
        ),
        &[
            "round",
            "pool of 10, rows/s",
            "writer, rows/s",
            "ratio",
            "pool of 10, latency",
            "writer, latency",
            "rows a commit",
            "refused",
        ],
    );
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (naive, grouped, rows_a_commit) = ground.round(round % 2 == 0, span).await?;
        let ratio = grouped.rate() / naive.rate();
        ratios.push(ratio);
        table.row([
            round.to_string(),
            format!("{:.0}", naive.rate()),
            format!("{:.0}", grouped.rate()),
            times(ratio),
            naive.latency.in_ms(),
            grouped.latency.in_ms(),
            format!("{rows_a_commit:.0}"),
            format!("{} / {}", naive.refused, grouped.refused),
        ]);
    }
    table.print();
    println!("  median ratio {}", times(median(&ratios)));
    if matches!(ground, Ground::Files) {
        let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        goals.at_least(
            format!("store: {engine}, writer to pool of 10, worst of {rounds} rounds"),
            GOAL_RATIO,
            worst,
            "×",
        );
    }
    lone::measure(ground, is_quick, goals).await
}

impl Ground {
    fn name(&self) -> &'static str {
        match self {
            Self::Files => "SQLite, synchronous = FULL",
            Self::Server(_) => "PostgreSQL, fsync = on",
        }
    }

    /// Both sides once; the peer's outcome, ours, and how many rows shared a commit of ours.
    async fn round(&self, is_ours_first: bool, span: Duration) -> Result<(Outcome, Outcome, f64)> {
        if is_ours_first {
            let (grouped, rows) = self.grouped_round(span).await?;
            Ok((self.naive_round(span).await?, grouped, rows))
        } else {
            let naive = self.naive_round(span).await?;
            let (grouped, rows) = self.grouped_round(span).await?;
            Ok((naive, grouped, rows))
        }
    }

    async fn naive_round(&self, span: Duration) -> Result<Outcome> {
        let (naive, folder) = self.naive().await?;
        let outcome = closed_loop(&naive, CLIENTS, span).await;
        naive.close().await;
        drop(folder);
        outcome
    }

    async fn grouped_round(&self, span: Duration) -> Result<(Outcome, f64)> {
        let (stage, open) = self.open().await?;
        let grouped = Grouped::prepare(&open.db).await?;
        let (writes_before, commits_before) = open.figures();
        let outcome = closed_loop(&grouped, CLIENTS, span).await;
        let (writes, commits) = open.figures();
        open.close().await;
        drop(stage);
        let commits = float((commits - commits_before).max(1));
        Ok((outcome?, float(writes - writes_before) / commits))
    }

    /// A fresh database of our store's own, with its writer and readers.
    async fn open(&self) -> Result<(Stage, Open)> {
        let stage = match self {
            Self::Files => Stage::sqlite(),
            Self::Server(server) => {
                let url = Secret::new(server.fresh_database().await?);
                let folder = Folder::fresh();
                let location = Location::parse(&url, folder.path()).context("the server's URL")?;
                Stage { location, folder }
            }
        };
        anyhow::ensure!(
            matches!(self, Self::Files) == (stage.engine() == Engine::Sqlite),
            "another engine"
        );
        let open = stage.open().await;
        Ok((stage, open))
    }

    /// A fresh database of the peer's.
    async fn naive(&self) -> Result<(Naive, Folder)> {
        let folder = Folder::fresh();
        let naive = match self {
            Self::Files => Naive::sqlite(&folder.path().join("naive.db")).await?,
            Self::Server(server) => Naive::postgres(&server.fresh_database().await?).await?,
        };
        Ok((naive, folder))
    }
}
