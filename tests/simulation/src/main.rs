//! Plays one seed: `simulation SEED [--trace]`. Exit code 0 when all held, 1 when not.
//!
//! One process a seed: ids that count up for a process, and hash keys that are drawn once for a thread, then begin alike
//! every time, so a seed alone does what it did among a thousand others.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a program for people and for the sweep"
)]

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use simulation::{Plan, Report, network, run};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Every so many seeds a network takes part as well, which costs as much as all the rest.
const WITH_NETWORK: u64 = 16;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(seed) = args.next().and_then(|seed| seed.parse::<u64>().ok()) else {
        println!("usage: simulation SEED [--trace]");
        return ExitCode::from(2);
    };
    let with_trace = args.next().is_some_and(|arg| arg == "--trace");
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
    let errors = listen_for_errors();
    let played = play(seed);
    let Some(mut report) = played else {
        println!("seed {seed}: did not end");
        return ExitCode::FAILURE;
    };
    if seed.is_multiple_of(WITH_NETWORK) {
        let _clocks = mad_turmoil::time::SimClocksGuard::init();
        report.join(network(seed));
    }
    report.wrong.extend(taken(&errors));
    if with_trace {
        for line in &report.trace {
            println!("{line}");
        }
    }
    for wrong in &report.wrong {
        println!("seed {seed}: {wrong}");
    }
    let Report {
        hash,
        lines,
        asks,
        looked,
        ..
    } = report;
    println!("seed {seed}: trace {hash:016x}, {lines} lines, {asks} asks, {looked} roots");
    if report.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Time and chance are the simulation's own while this runs.
fn play(seed: u64) -> Option<Report> {
    let _clocks = mad_turmoil::time::SimClocksGuard::init();
    let mut simulation = turmoil::Builder::new()
        .tick_duration(Duration::from_millis(500))
        .simulation_duration(Duration::from_hours(10))
        .rng_seed(seed)
        .build();
    let report = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&report);
    simulation.client("daemon", async move {
        let played = run(Plan::of(seed)).await;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(played);
        Ok(())
    });
    let ended = simulation.run();
    let mut report = report
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()?;
    if let Err(error) = ended {
        report.wrong.push(error.to_string());
    }
    Some(report)
}

type Lines = Arc<Mutex<Vec<u8>>>;

/// What the supervisor logs as an error is one: a broken invariant ends there in a debug build.
fn listen_for_errors() -> Lines {
    let lines = Lines::default();
    let writer = Arc::clone(&lines);
    let errors = Targets::new().with_target("supervisor", LevelFilter::ERROR);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_writer(move || Sink(Arc::clone(&writer)));
    tracing_subscriber::registry()
        .with(layer.with_filter(errors))
        .init();
    lines
}

struct Sink(Lines);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn taken(lines: &Lines) -> Vec<String> {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&lines);
    text.lines().map(str::to_owned).collect()
}
