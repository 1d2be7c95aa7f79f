//! A runtime whose only thread a handler blocks: after how long the status names it, and what health takes meanwhile; and an
//! async hang: after how long the status says so, and how exactly it is killed at its limit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use kit::{Daemon, PATIENCE, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::{Spread, ms};
use crate::goals::Goals;
use crate::table::Table;

const MANAGER: &str = "/ptys/manager";
/// How long the thread is blocked: longer than anything here may take.
const BLOCKED_MS: u64 = 1_500;
/// The limit of a handler, as the supervisor's policies have it.
const HANDLER_LIMIT: Duration = Duration::from_secs(5);

/// Measures both.
///
/// # Errors
///
/// When nothing is told within the time of the fault, or it does not pass.
pub(crate) async fn run(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (blocks, hangs) = if is_quick { (1, 1) } else { (8, 3) };
    // One thread, so that one handler holds all of the runtime.
    let daemon = Daemon::builder(binary)
        .env("TOKIO_WORKER_THREADS", "1")
        .drills()
        .start()
        .await;
    let (mut named, mut health) = (Vec::new(), Vec::new());
    for _ in 0..blocks {
        let round = block(&daemon).await?;
        named.push(round.named);
        health.extend(round.health);
    }
    let (mut told, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..hangs {
        let round = hang(&daemon).await?;
        told.push(round.told);
        killed.push(round.killed);
    }
    drop(daemon.stop().await);
    report(
        [named, health, told, killed].map(Spread::of),
        (blocks, hangs),
        goals,
    );
    Ok(())
}

struct Block {
    named: Duration,
    health: Vec<Duration>,
}

async fn block(daemon: &Daemon) -> Result<Block> {
    calm(daemon).await;
    let (client, order) = (
        daemon.local(),
        json!({ "target": MANAGER, "for_ms": BLOCKED_MS }),
    );
    let begin = Instant::now();
    let mut ordered = JoinSet::new();
    // Its answer comes through the runtime that it blocks.
    ordered.spawn(async move {
        client
            .post("/api/v1/drills/block-actor", &order)
            .await
            .expect(202)
            .json()
    });
    let mut health = Vec::new();
    let named = loop {
        let asked = Instant::now();
        let answer = daemon.anonymous().get("/health").await;
        health.push(asked.elapsed());
        ensure!(
            matches!(answer.status, 200 | 503),
            "health answered {}",
            answer.status
        );
        if cause(daemon).await?.as_deref() == Some("actor.blocked") {
            break begin.elapsed();
        }
        ensure!(
            begin.elapsed() < Duration::from_millis(BLOCKED_MS),
            "it was never named"
        );
    };
    let run = ordered.join_next().await.context("it was ordered")?;
    over(daemon, &run.context("the drill was refused")?).await;
    Ok(Block { named, health })
}

struct Hang {
    told: Duration,
    killed: Duration,
}

async fn hang(daemon: &Daemon) -> Result<Hang> {
    calm(daemon).await;
    let restarts = restarts(daemon).await?;
    let order = json!({ "target": MANAGER, "for_ms": 10_000 });
    let begin = Instant::now();
    let ordered = daemon
        .local()
        .request(Method::POST, "/api/v1/drills/hang-actor");
    let run = ordered.json(&order).send().await.expect(202).json();
    let told = loop {
        if cause(daemon).await?.as_deref() == Some("actor.stuck") {
            break begin.elapsed();
        }
        ensure!(begin.elapsed() < HANDLER_LIMIT, "it was never told");
    };
    let killed = loop {
        if self::restarts(daemon).await? > restarts {
            break begin.elapsed();
        }
        ensure!(begin.elapsed() < HANDLER_LIMIT * 2, "it was never killed");
    };
    over(daemon, &run).await;
    Ok(Hang { told, killed })
}

/// Waits until a drill is over: one at a time.
async fn over(daemon: &Daemon, run: &Value) {
    let path = format!(
        "/api/v1/drills/runs/{}",
        run["id"].as_str().unwrap_or_default()
    );
    eventually(PATIENCE, async || {
        let run: Value = daemon.local().get(&path).await.json();
        match run["state"].as_str() {
            Some("done") => Ok(()),
            other => Err(format!("the drill is {other:?}")),
        }
    })
    .await;
}

/// Waits until the system is well, forgives what failed, and no drill runs.
async fn calm(daemon: &Daemon) {
    let path = format!("/api/v1/supervisor{MANAGER}/restart");
    eventually(PATIENCE, async || {
        let root: Value = daemon.local().get("/api/v1/status?depth=0").await.json();
        match root["level"].as_str() {
            Some("NORMAL") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    drop(daemon.local().post(&path, &json!({})).await.expect(202));
    eventually(PATIENCE, async || {
        let node = node(daemon).await.map_err(|error| error.to_string())?;
        match (
            node["state"].as_str(),
            node["restarts"]["in_window"].as_u64(),
        ) {
            (Some("running"), Some(0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn node(daemon: &Daemon) -> Result<Value> {
    let answer = daemon
        .local()
        .get(&format!("/api/v1/status{MANAGER}"))
        .await;
    ensure!(
        answer.status == 200,
        "the status answered {}",
        answer.status
    );
    Ok(answer.json())
}

async fn cause(daemon: &Daemon) -> Result<Option<String>> {
    let node = node(daemon).await?;
    Ok(node["cause"]["code"].as_str().map(str::to_owned))
}

async fn restarts(daemon: &Daemon) -> Result<u64> {
    let node = node(daemon).await?;
    node["restarts"]["count"].as_u64().context("a count")
}

fn report(
    [named, health, told, killed]: [Spread; 4],
    (blocks, hangs): (usize, usize),
    goals: &mut Goals,
) {
    let mut table = Table::new(
        format!(
            "{MANAGER} blocks the runtime's only thread {blocks} times and hangs {hangs} times; ms"
        ),
        &["", "p50", "max"],
    );
    let rows = [
        ("blocked: from the order until the status names it", &named),
        ("blocked: an answer of /health on a new connection", &health),
        ("hung: from the order until the status says stuck", &told),
        (
            "hung: from the order until it was killed and restarted",
            &killed,
        ),
    ];
    for (what, spread) in rows {
        table.row([what.to_owned(), ms(spread.p50()), ms(spread.max())]);
    }
    table.print();
    let in_ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    goals.at_most(
        "watchdog: blocked, named, max",
        500.0,
        in_ms(named.max()),
        "ms",
    );
    goals.at_most(
        "watchdog: blocked, health, max",
        50.0,
        in_ms(health.max()),
        "ms",
    );
    let ratio = killed.max().as_secs_f64() / HANDLER_LIMIT.as_secs_f64();
    goals.at_most("watchdog: hung, killed, to its limit, max", 1.1, ratio, "×");
}
