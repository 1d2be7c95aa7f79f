//! The benches: how fast and how lean the daemon is, each figure beside a peer or a floor that is measured in the same run.
//!
//! Why ratios: the same machine is four times slower an hour later. So every goal that can be one is a ratio to a peer whose
//! rounds are interleaved with ours, and the line about the machine is printed with the figures. Nothing here fails because of
//! a time; what was reached is told, and wrong *results* (a byte lost, a terminal gone) are errors.
//!
//! # Layout
//!
//! * `options` reads the command line, `machine` tells where it ran, `table` and `figures` print.
//! * `start` ready time and idleness; `store` group commit; `ptys` output, echo and memory; `restart` a panicking manager;
//!   `supervision` the supervisor beside ractor, kameo and Erlang/OTP.
//! * `watchdog` a blocked runtime and an async hang; `edge` signed-in requests beside a bare handler and a Node gateway.
//! * `ptys::bare` is the peer of the terminals: a server of this same binary, in a process of its own.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a bench prints its figures to whoever started it"
)]

mod edge;
mod figures;
mod goals;
mod machine;
mod options;
mod process;
mod ptys;
mod restart;
mod start;
mod store;
mod supervision;
mod table;
mod watchdog;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use goals::Goals;
use options::{Bench, Plan, Task};

/// As the daemon has it: what is measured in this process allocates as it does there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = Task::parse(std::env::args().skip(1)).and_then(|task| match task {
        Task::Help => {
            print!("{}", options::USAGE);
            Ok(())
        }
        Task::Bare { workers } => ptys::bare::serve(workers),
        Task::BareEdge => edge::bare::serve(),
        Task::Supervise(order) => order.carry_out(),
        Task::Measure(plan) => measure(&plan),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> Result<()> {
    machine::leave_memory()?;
    // Daemons are started in directories of their own, where a relative path would lead nowhere.
    let binary = plan.binary.canonicalize().with_context(|| {
        format!(
            "no {}: build it, or name it with --daemon",
            plan.binary.display()
        )
    })?;
    kit::raise_file_limit();
    machine::print(&binary, &std::env::temp_dir())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system gives no event loop")?;
    let mut goals = Goals::default();
    let outcome = runtime.block_on(async {
        for bench in &plan.benches {
            run(*bench, &binary, plan.is_quick, &mut goals).await?;
        }
        Ok(())
    });
    goals.print();
    println!("load after: {}", machine::load());
    outcome
}

async fn run(bench: Bench, binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    println!("\n=== {} (load {})", bench.name(), machine::load());
    let outcome = match bench {
        Bench::Start => start::run(binary, is_quick, goals).await,
        Bench::Store => store::run(is_quick, goals).await,
        Bench::Ptys => ptys::run(binary, is_quick, goals).await,
        Bench::Restart => restart::run(binary, is_quick, goals).await,
        Bench::Supervision => supervision::run(is_quick, goals).await,
        Bench::Watchdog => watchdog::run(binary, is_quick, goals).await,
        Bench::Edge => edge::run(binary, is_quick, goals).await,
    };
    outcome.with_context(|| format!("bench {}", bench.name()))
}
