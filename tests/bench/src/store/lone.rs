//! One client alone: what a write costs beyond the disk's own sync.
//!
//! The floor is measured on the same file system in the same minute, in turns of a few writes each: as many bytes as a row adds
//! to the write-ahead log, appended to a growing file as the log does it, then `fdatasync`. The same over bytes that are
//! there already is told too, as a log that was reset is written over.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ::store::testing::Folder;
use anyhow::Result;
use tokio::time::Instant;

use super::Ground;
use super::grouped::Grouped;
use super::rows::Taker;
use crate::figures::Spread;
use crate::goals::Goals;
use crate::table::Table;

/// What one row adds to SQLite's write-ahead log: a page and its header.
const BYTES: usize = 4096 + 24;
/// Writes of one kind before it is the next one's turn.
const TURN: usize = 25;
const GOAL_BEYOND_SYNC_MS: f64 = 1.0;

pub(super) async fn measure(ground: &Ground, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let turns = if is_quick { 2 } else { 24 };
    let (naive, naive_folder) = ground.naive().await?;
    let (stage, open) = ground.open().await?;
    let grouped = Grouped::prepare(&open.db).await?;
    let disk = Folder::fresh();
    let mut growing = Disk::new(&disk.path().join("growing"))?;
    let mut steady = Disk::new(&disk.path().join("steady"))?;

    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let (mut append, mut over) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        puts(&grouped, &mut ours).await?;
        for _ in 0..TURN {
            append.push(growing.write_and_sync()?);
        }
        puts(&naive, &mut peer).await?;
        for _ in 0..TURN {
            steady.rewind()?;
            over.push(steady.write_and_sync()?);
        }
    }
    naive.close().await;
    open.close().await;
    drop((stage, naive_folder));

    let [ours, peer, append, over] = [ours, peer, append, over].map(Spread::of);
    let mut table = Table::new(
        format!(
            "{}, one writer alone, {} writes each, ms",
            ground.name(),
            ours.count()
        ),
        &["", "p50 / p99 / max"],
    );
    let mut row = |what: String, spread: &Spread| table.row([what, spread.in_ms()]);
    row(format!("disk: append {BYTES} bytes, fdatasync"), &append);
    row(format!("disk: write {BYTES} bytes over, fdatasync"), &over);
    row("writer".into(), &ours);
    row("pool of 10, BEGIN … COMMIT".into(), &peer);
    table.print();
    if matches!(ground, Ground::Files) {
        let beyond = ours.p50().as_secs_f64() - append.p50().as_secs_f64();
        goals.at_most(
            "store: lone write beyond the disk's sync, p50",
            GOAL_BEYOND_SYNC_MS,
            beyond * 1e3,
            "ms",
        );
    }
    Ok(())
}

/// One turn of writes.
async fn puts(taker: &impl Taker, took: &mut Vec<Duration>) -> Result<()> {
    // A turn's first write pays for what the others' turns pushed out of the caches.
    taker.put().await?;
    for _ in 0..TURN {
        let began = Instant::now();
        taker.put().await?;
        took.push(began.elapsed());
    }
    Ok(())
}

/// A file to which nothing but one row's bytes is written at a time.
struct Disk {
    file: File,
}

impl Disk {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            file: File::create_new(path)?,
        })
    }

    fn rewind(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(())
    }

    fn write_and_sync(&mut self) -> Result<Duration> {
        let bytes = [0xa5; BYTES];
        let began = Instant::now();
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        Ok(began.elapsed())
    }
}
