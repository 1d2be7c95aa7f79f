//! Plays many seeds: `sweep [--seeds N] [--from S]`. Each is played twice, in processes of its own, and must say the same twice.
//! Exit code 0 when all held, 1 when not, 2 for wrong usage.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::process::{ExitCode, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// A seed takes some tens of milliseconds. One that has not ended by then never will.
const LIMIT: Duration = Duration::from_mins(1);
/// Failing seeds that are shown with what they said.
const SHOWN: usize = 10;

struct Sweep {
    program: PathBuf,
    next: AtomicU64,
    end: u64,
    asks: AtomicU64,
    roots: AtomicU64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some((from, seeds)) = options(std::env::args().skip(1)) else {
        println!("usage: sweep [--seeds N] [--from S]");
        return ExitCode::from(2);
    };
    let Some(program) = beside_this("simulation") else {
        println!("the program `simulation` is not beside this one: cargo build -p simulation");
        return ExitCode::from(2);
    };
    let sweep = Arc::new(Sweep {
        program,
        next: AtomicU64::new(from),
        end: from.saturating_add(seeds),
        asks: AtomicU64::new(0),
        roots: AtomicU64::new(0),
    });
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        workers.spawn(Arc::clone(&sweep).work());
    }
    let mut failed: Vec<(u64, String)> = workers.join_all().await.concat();
    failed.sort_by_key(|(seed, _)| *seed);
    for (seed, said) in failed.iter().take(SHOWN) {
        println!("{said}\n    replay: cargo run -p simulation -- {seed} --trace\n");
    }
    println!(
        "{seeds} seeds from {from}, each twice: {} failed; {} requests, {} looks for a root, {:.1} s",
        failed.len(),
        sweep.asks.load(Ordering::Relaxed),
        sweep.roots.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64()
    );
    if failed.len() > SHOWN {
        let seeds: Vec<String> = failed.iter().map(|(seed, _)| seed.to_string()).collect();
        println!("failing seeds: {}", seeds.join(" "));
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Option<(u64, u64)> {
    let (mut from, mut seeds) = (0, 1_000);
    while let Some(flag) = args.next() {
        let value = args.next()?.parse().ok()?;
        match flag.as_str() {
            "--from" => from = value,
            "--seeds" => seeds = value,
            _ => return None,
        }
    }
    Some((from, seeds))
}

fn beside_this(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.with_file_name(name);
    path.is_file().then_some(path)
}

impl Sweep {
    /// Plays seeds until none is left; tells of those that failed.
    async fn work(self: Arc<Self>) -> Vec<(u64, String)> {
        let mut failed = Vec::new();
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end {
                return failed;
            }
            if let Err(said) = self.play_twice(seed).await {
                failed.push((seed, said));
            }
        }
    }

    async fn play_twice(&self, seed: u64) -> Result<(), String> {
        let first = self.play(seed).await?;
        let second = self.play(seed).await?;
        self.count(&first);
        if first == second {
            Ok(())
        } else {
            Err(format!(
                "seed {seed} is not the same twice:\n{first}{second}"
            ))
        }
    }

    async fn play(&self, seed: u64) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command
            .arg(seed.to_string())
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LOG")
            .kill_on_drop(true);
        let ended = timeout(LIMIT, command.output()).await;
        let Ok(Ok(Output {
            status,
            stdout,
            stderr,
        })) = ended
        else {
            return Err(format!("seed {seed}: did not end within {LIMIT:?}"));
        };
        let said = String::from_utf8_lossy(&stdout).into_owned();
        if status.success() {
            Ok(said)
        } else {
            let lines: Vec<&str> = said.lines().take(8).collect();
            let crash = String::from_utf8_lossy(&stderr);
            Err(format!(
                "seed {seed}: {status}\n{}\n{crash}",
                lines.join("\n")
            ))
        }
    }

    /// Reads the figures from the line that a seed ends with.
    fn count(&self, said: &str) {
        let figure = |unit: &str| {
            let before = said
                .split(',')
                .find_map(|part| part.trim().strip_suffix(unit));
            before.and_then(|figure| figure.trim().parse::<u64>().ok())
        };
        self.asks
            .fetch_add(figure("asks").unwrap_or(0), Ordering::Relaxed);
        self.roots
            .fetch_add(figure("roots").unwrap_or(0), Ordering::Relaxed);
    }
}
