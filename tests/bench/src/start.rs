//! How soon the daemon is ready, and what it costs when nobody asks anything.
//!
//! A start is timed from the spawn to the ready line at the reader's end of the pipe: what a service manager or a test waits
//! for. The floor beside it is the same binary printing its version: the loader and the kernel, and nothing of the daemon.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kit::{Home, Signal};
use rustix::process::{Pid, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::figures::{Spread, float, ms};
use crate::goals::Goals;
use crate::process::{Cpu, footprint};
use crate::table::Table;

const PATIENCE: Duration = Duration::from_secs(30);
const GOAL_EMPTY_MS: f64 = 150.0;
const GOAL_EXISTING_MS: f64 = 60.0;
const GOAL_RESIDENT_MB: f64 = 30.0;
const GOAL_CPU_PERCENT: f64 = 0.5;

/// A daemon that is ready.
struct Started {
    child: Child,
    pid: i32,
    /// From the spawn to the ready line.
    took: Duration,
    /// What the ready line says itself.
    told: Duration,
}

/// Measures starts and idleness.
///
/// # Errors
///
/// When the daemon does not start, does not become ready or does not end cleanly.
pub(crate) async fn run(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let runs = if is_quick { 3 } else { 30 };
    let (mut floor, mut empty, mut existing) = (Vec::new(), Vec::new(), Vec::new());
    let (mut told_empty, mut told_existing, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let home = Home::new();
        floor.push(version(binary, &home).await?);
        let first = Started::launch(binary, &home).await?;
        empty.push(first.took);
        told_empty.push(first.told);
        stops.push(first.stop(&home).await?);
        let second = Started::launch(binary, &home).await?;
        existing.push(second.took);
        told_existing.push(second.told);
        stops.push(second.stop(&home).await?);
    }
    let [empty, existing] = [empty, existing].map(Spread::of);
    let mut table = Table::new(
        format!("ready time over {runs} interleaved rounds, ms"),
        &["", "p50", "p90", "min", "max"],
    );
    let mut row = |what: &str, spread: &Spread| {
        let figures = [spread.p50(), spread.at(900), spread.min(), spread.max()];
        table.row(std::iter::once(what.to_owned()).chain(figures.map(ms)));
    };
    row("empty data dir, migrations included", &empty);
    row("existing data dir", &existing);
    row(
        "  empty, as the ready line tells it",
        &Spread::of(told_empty),
    );
    row(
        "  existing, as the ready line tells it",
        &Spread::of(told_existing),
    );
    row("floor: `mainstay version`, to its end", &Spread::of(floor));
    row("stop: SIGTERM to exit 0", &Spread::of(stops));
    table.print();
    let in_ms = |spread: &Spread| spread.p50().as_secs_f64() * 1e3;
    goals.at_most(
        "start: empty data dir, p50",
        GOAL_EMPTY_MS,
        in_ms(&empty),
        "ms",
    );
    goals.at_most(
        "start: existing data dir, p50",
        GOAL_EXISTING_MS,
        in_ms(&existing),
        "ms",
    );
    idle(binary, is_quick, goals).await
}

/// A daemon that nobody asks anything.
async fn idle(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (settle, watch) = if is_quick { (1, 2) } else { (10, 30) };
    let home = Home::new();
    let started = Started::launch(binary, &home).await?;
    sleep(Duration::from_secs(settle)).await;
    let memory = footprint(started.pid)?;
    let (before, began) = (Cpu::of(started.pid)?, Instant::now());
    sleep(Duration::from_secs(watch)).await;
    let used = Cpu::of(started.pid)?.since(&before);
    let percent = used.div_duration_f64(began.elapsed()) * 100.0;
    started.stop(&home).await?;

    let megabytes = |bytes: u64| float(bytes) / 1e6;
    let mut table = Table::new("idle", &["", "value"]);
    let mut row = |what: String, value: String| table.row([what, value]);
    row(
        format!("resident after {settle} s"),
        format!("{:.1} MB", megabytes(memory.resident)),
    );
    row(
        "  of it the process's own".into(),
        format!("{:.1} MB", megabytes(memory.own)),
    );
    row("threads".into(), memory.threads.to_string());
    row(
        format!("CPU over {watch} s, of one core"),
        format!("{percent:.2} %"),
    );
    table.print();
    goals.at_most(
        "start: idle, resident",
        GOAL_RESIDENT_MB,
        megabytes(memory.resident),
        "MB",
    );
    goals.at_most(
        "start: idle, CPU of one core",
        GOAL_CPU_PERCENT,
        percent,
        "%",
    );
    Ok(())
}

/// How long the binary takes to say its version.
async fn version(binary: &Path, home: &Home) -> Result<Duration> {
    let mut command = command(binary, home)?;
    command.arg("version").stdout(Stdio::null());
    let began = Instant::now();
    let status = timeout(PATIENCE, command.status()).await??;
    anyhow::ensure!(status.success(), "`mainstay version`: {status}");
    Ok(began.elapsed())
}

/// The binary in an environment that holds nothing of the machine's; its log goes to a file.
#[expect(clippy::disallowed_methods, reason = "the path is what finds a shell")]
fn command(binary: &Path, home: &Home) -> Result<Command> {
    let log = std::fs::File::create(home.root().join("log")).context("no file for the log")?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.user_home())
        .env("LANG", "C.UTF-8")
        .current_dir(home.root())
        .stdin(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

impl Started {
    async fn launch(binary: &Path, home: &Home) -> Result<Self> {
        let mut command = command(binary, home)?;
        command
            .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(home.data_dir())
            .stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().context("the daemon does not start")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        timeout(PATIENCE, reader.read_line(&mut line))
            .await
            .context("no ready line")??;
        let took = began.elapsed();
        let Some(told) = parse_ready(&line) else {
            bail!("{line:?} is not the ready line; its log:\n{}", log_of(home));
        };
        let pid = child.id().context("the daemon ended at once")?;
        Ok(Self {
            child,
            pid: i32::try_from(pid)?,
            took,
            told,
        })
    }

    /// Ends it, and tells how long that took.
    async fn stop(mut self, home: &Home) -> Result<Duration> {
        let pid = Pid::from_raw(self.pid).context("a process id")?;
        let began = Instant::now();
        kill_process(pid, Signal::TERM)?;
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .context("it does not end")??;
        anyhow::ensure!(
            status.success(),
            "it ended with {status}; its log:\n{}",
            log_of(home)
        );
        Ok(began.elapsed())
    }
}

fn log_of(home: &Home) -> String {
    std::fs::read_to_string(home.root().join("log")).unwrap_or_default()
}

fn parse_ready(line: &str) -> Option<Duration> {
    let rest = line.strip_prefix("mainstay ready on http://")?;
    let (_, duration) = rest.trim_end().rsplit_once(" in ")?;
    duration
        .strip_suffix(" ms")?
        .parse()
        .ok()
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_the_time() {
        let line = "mainstay ready on http://127.0.0.1:4110 in 12 ms\n";
        assert_eq!(parse_ready(line), Some(Duration::from_millis(12)));
        assert_eq!(parse_ready(""), None);
    }
}
