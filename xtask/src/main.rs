//! The project's commands: `cargo xtask run`, `test`, `lint`, `simulate`, `bench`.
//!
//! Why a program and not a page of shell: what a newcomer, a developer and CI run is one thing, and it is checked by
//! the compiler like the rest.
//!
//! # Layout
//!
//! * `options` reads the command line.
//! * `step` runs one command after another, with headings and durations, and leaves no process behind.
//! * `needs` looks for what the steps need on this machine, and installs it on Debian.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a command line tool talks to whoever started it"
)]

mod needs;
mod options;
mod step;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use options::{Choice, Options};
use step::{Step, Steps};

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(carry_out);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(options: Options) -> Result<()> {
    match options {
        Options::Help => {
            print!("{}", options::USAGE);
            Ok(())
        }
        Options::Run { release, args } => run(release, &args),
        Options::Test {
            only,
            repeat,
            filter,
        } => test(&only, repeat, filter.as_deref()),
        Options::Lint => lint(),
        Options::Simulate { seeds, from } => {
            let mut steps = Steps::begin()?;
            simulate(&mut steps, seeds, from)?;
            steps.report();
            Ok(())
        }
        Options::Bench { args } => bench(&args),
    }
}

/// Builds the daemon and becomes it, so that signals and the exit code are its own.
fn run(release: bool, args: &[String]) -> Result<()> {
    let mut build = step::cargo();
    build.args(["build", "--workspace", "--bin", "mainstay"]);
    if release {
        build.arg("--release");
    }
    let status = build.status().context("cargo does not start")?;
    if !status.success() {
        bail!("the daemon does not build");
    }
    let binary = binary(release)?;
    let error = Command::new(&binary).arg("up").args(args).exec();
    Err(error).with_context(|| format!("{} does not start", binary.display()))
}

fn test(only: &[Choice], repeat: u32, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::begin()?;
    let missing = needs::provide(&mut steps)?;
    for round in 1..=repeat {
        if repeat > 1 {
            println!("\n=== round {round} of {repeat}");
        }
        for choice in only {
            match choice {
                Choice::Simulate => simulate(&mut steps, options::SEEDS, 0)?,
                choice => steps.run(step_of(*choice, filter))?,
            }
        }
    }
    steps.report();
    for reason in missing {
        println!("skipped: {reason}");
    }
    Ok(())
}

fn lint() -> Result<()> {
    let mut steps = Steps::begin()?;
    for choice in [Choice::Fmt, Choice::Clippy, Choice::Tidy] {
        steps.run(step_of(choice, None))?;
    }
    steps.report();
    Ok(())
}

/// Each seed runs in a process of its own, so both programs are built first.
fn simulate(steps: &mut Steps, seeds: u64, from: u64) -> Result<()> {
    let build = ["build", "--package", "simulation", "--bins"];
    steps.run(Step::cargo("build the simulation", &build))?;
    let sweep = ["run", "--package", "simulation", "--bin", "sweep", "--"];
    let mut sweep = Step::cargo("simulation", &sweep);
    let (seeds, from) = (seeds.to_string(), from.to_string());
    sweep.command.args(["--seeds", &seeds, "--from", &from]);
    steps.run(sweep)
}

fn bench(args: &[String]) -> Result<()> {
    let mut steps = Steps::begin()?;
    let build = [
        "build",
        "--release",
        "--workspace",
        "--bin",
        "mainstay",
        "--bin",
        "bench",
    ];
    steps.run(Step::cargo("build for release", &build))?;
    let mut run = Step::cargo("bench", &["run", "--release", "--package", "bench", "--"]);
    run.command.args(args).env("MAINSTAY_BIN", binary(true)?);
    steps.run(run)?;
    steps.report();
    Ok(())
}

fn step_of(choice: Choice, filter: Option<&str>) -> Step {
    let mut step = match choice {
        Choice::Fmt => Step::cargo("format", &["fmt", "--all", "--check"]),
        Choice::Clippy => Step::cargo(
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        Choice::Tidy => Step::cargo("tidy", &["test", "--workspace", "--test", "tidy"]),
        Choice::Unit => Step::cargo(
            "unit tests",
            &[
                "test",
                "--workspace",
                "--lib",
                "--bins",
                "--test",
                "harness",
                "--test",
                "ractor_conformance",
            ],
        ),
        Choice::EndToEnd => Step::cargo(
            "end-to-end tests",
            &["test", "--workspace", "--test", "e2e"],
        ),
        // Shown what it says: it may have been skipped.
        Choice::Schemathesis => {
            let test = ["test", "--package", "edges", "--test", "e2e"];
            let mut step = Step::cargo("schemathesis", &test);
            let only = ["--", "--ignored", "--nocapture", "schemathesis"];
            step.command.args(only);
            return step;
        }
        // Everything in one call: unit, documentation, harness, tidy and end-to-end tests.
        Choice::All | Choice::Simulate => {
            Step::cargo("all tests", &["test", "--workspace", "--no-fail-fast"])
        }
    };
    if let Some(filter) = filter
        && !matches!(choice, Choice::Fmt | Choice::Clippy)
    {
        step.command.arg("--").arg(filter);
    }
    step
}

/// The daemon's binary: beside this one, in the folder of its profile.
fn binary(release: bool) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    let target = own
        .ancestors()
        .nth(2)
        .context("this program is not in cargo's target folder")?;
    let profile = if release { "release" } else { "debug" };
    Ok(target.join(profile).join("mainstay"))
}
