//! Our supervisor beside its peers in one run: bare ractor, kameo, Erlang/OTP.
//!
//! A child does the same little work everywhere: it answers a ping with a number, and crashes when told to. Every measure of every
//! side runs in a process of its own, with the daemon's allocator where the side is Rust; rounds take turns in who goes first.
//! What is not finished after [`PATIENCE`] is told as not finished.
//!
//! # Layout
//!
//! * `peer` what is asked of a side, and the process it runs in; `drive` the measures.
//! * `ours`, `ractor`, `kameo` the sides that are Rust; `otp` and `otp_bench.erl` the one that is not.
//! * `report` the table and the goals.

mod drive;
mod kameo;
mod otp;
mod ours;
mod peer;
mod ractor;
mod report;

pub(crate) use peer::Order;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::goals::Goals;
use crate::options::SUPERVISION_PEER;
use otp::Otp;
use peer::{Crash, Job, Side};
use report::Measured;

/// How long one measure of one side may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// Who takes part. Ours is the first.
enum Contender {
    Rust(Side),
    Otp { name: String, otp: Otp },
}

/// Measures supervision.
///
/// # Errors
///
/// When a side does not start, and when it answers wrongly.
pub(crate) async fn run(is_quick: bool, goals: &mut Goals) -> Result<()> {
    let contenders = contenders().await?;
    let mut all = Vec::new();
    for (job, rounds) in plan(is_quick) {
        all.push(measure(&contenders, job, rounds).await?);
    }
    let names: Vec<&str> = contenders.iter().map(Contender::name).collect();
    report::print(&names, &all);
    report::judge(&all, contenders.len() > Side::ALL.len(), goals);
    Ok(())
}

async fn contenders() -> Result<Vec<Contender>> {
    let mut contenders: Vec<Contender> = Side::ALL.map(Contender::Rust).into();
    match Otp::prepare().await? {
        Some(otp) => {
            let name = Otp::name().await?;
            contenders.push(Contender::Otp { name, otp });
        }
        None => println!(
            "\nskipped beside Erlang/OTP: not installed (`{}`)",
            otp::INSTALL
        ),
    }
    Ok(contenders)
}

/// What is measured, and in how many rounds. A round has 2,000 crashes of each kind.
fn plan(is_quick: bool) -> Vec<(Job, usize)> {
    let crashes = |blocks, rounds| Crash::ALL.map(|how| (Job::Crash(how, blocks), rounds));
    let mut plan = if is_quick {
        vec![(Job::Spawn(1_000), 1), (Job::Spawn(10_000), 1)]
    } else {
        vec![(Job::Spawn(10_000), 3), (Job::Spawn(100_000), 3)]
    };
    if is_quick {
        plan.extend(crashes(1, 1));
        plan.extend([
            (Job::Storm(3), 1),
            (Job::Calls(20_000), 1),
            (Job::Hung(100_000), 1),
        ]);
    } else {
        plan.extend(crashes(20, 5));
        plan.extend([
            (Job::Storm(20), 5),
            (Job::Calls(500_000), 5),
            (Job::Hung(1_000_000), 1),
        ]);
    }
    plan
}

/// All rounds of one measure, in turns.
async fn measure(contenders: &[Contender], job: Job, rounds: usize) -> Result<Measured> {
    let mut sides = vec![Some(Vec::new()); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let number = (round + turn) % contenders.len();
            let (Some(contender), Some(side)) = (contenders.get(number), sides.get_mut(number))
            else {
                continue;
            };
            // Who did not finish once is not waited for again.
            let Some(outcomes) = side else {
                continue;
            };
            let outcome = contender.measure(job).await;
            match outcome
                .with_context(|| format!("{}: {}", contender.name(), job.words().join(" ")))?
            {
                Some(outcome) => outcomes.push(outcome),
                None => *side = None,
            }
        }
    }
    Ok(Measured { job, sides })
}

impl Contender {
    fn name(&self) -> &str {
        match self {
            Self::Rust(side) => side.name(),
            Self::Otp { name, .. } => name,
        }
    }

    fn command(&self, job: Job) -> Result<Command> {
        match self {
            Self::Rust(side) => {
                let own = std::env::current_exe().context("this program has no path")?;
                let mut command = Command::new(own);
                command
                    .args([SUPERVISION_PEER, side.name()])
                    .args(job.words());
                Ok(command)
            }
            Self::Otp { otp, .. } => Ok(otp.command(job)),
        }
    }

    /// One measure in a process of its own; `None` when it does not finish.
    async fn measure(&self, job: Job) -> Result<Option<Value>> {
        let mut command = self.command(job)?;
        command.stdin(Stdio::null()).kill_on_drop(true);
        let Ok(output) = timeout(PATIENCE, command.output()).await else {
            return Ok(None);
        };
        let output = output?;
        let told = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {told}{said}", output.status);
        let outcome = serde_json::from_str(&told).with_context(|| format!("told: {told}{said}"))?;
        Ok(Some(outcome))
    }
}
