//! A terminal manager that panics while 200 terminals are open: how long nobody can list them, and whether one is lost.
//!
//! A client lists over and over on a connection of its own. What it sees of the fault is the time from the last answer before to
//! the first answer after: at least one request's own time, which is told beside it. The supervisor's figure is the drill's: from
//! the injection to running again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use kit::{Client, Daemon, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::figures::{Spread, float_of, ms};
use crate::goals::Goals;
use crate::ptys::{OPEN_LIMIT, Viewer, open_detached};
use crate::table::Table;

const GOAL_MS: f64 = 5.0;
const MANAGER: &str = "/ptys/manager";
/// Terminals that somebody looks at through all faults.
const WATCHED: usize = 8;
/// How long the supervisor may take to forget restarts.
const FORGET: Duration = Duration::from_mins(1);

/// One fault, as both sides saw it.
struct Round {
    /// From the last good answer before to the first good answer after.
    gap: Duration,
    /// The usual time between two good answers.
    usual: Duration,
    /// Requests that were refused meanwhile.
    refused: usize,
    diagnosed: Duration,
    recovered: Duration,
}

/// Measures restarts of the manager.
///
/// # Errors
///
/// When a terminal is lost or does not echo, or the fault is not healed.
pub(crate) async fn run(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (terminals, rounds) = if is_quick { (20, 2) } else { (200, 20) };
    let daemon = Daemon::builder(binary)
        .config(OPEN_LIMIT)
        .drills()
        .start()
        .await;
    let operator = daemon.local();
    let mut ids = Vec::new();
    for _ in 0..terminals {
        ids.push(open_detached(&operator, Path::new("/bin/cat")).await?);
    }
    ids.sort();
    let mut watching = Vec::new();
    for id in ids.iter().take(WATCHED) {
        watching.push(attach(&daemon, id).await?);
    }
    let (mut first, mut repeated) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        forgive(&operator).await?;
        first.push(round(&daemon).await?);
        if number % 2 == 0 {
            repeated.push(round(&daemon).await?);
        }
        ensure!(
            listed(&operator).await == ids,
            "other terminals after fault {}",
            number + 1
        );
        for viewer in &mut watching {
            echo(viewer, number).await?;
        }
    }
    for id in &ids {
        let mut viewer = attach(&daemon, id).await?;
        echo(&mut viewer, 1_000)
            .await
            .with_context(|| format!("terminal {id}"))?;
        viewer.leave().await;
    }
    for viewer in watching {
        viewer.leave().await;
    }
    drop(daemon.stop().await);
    report("first fault", &first, terminals, goals);
    report("fault at once after another", &repeated, terminals, goals);
    println!("  terminals lost: 0 of {terminals}; all of them echo");
    Ok(())
}

fn report(kind: &str, measured: &[Round], terminals: usize, goals: &mut Goals) {
    let spread = |of: fn(&Round) -> Duration| Spread::of(measured.iter().map(of).collect());
    let mut table = Table::new(
        format!(
            "{kind}: {MANAGER} panics with {terminals} terminals open, {} times; ms",
            measured.len()
        ),
        &["", "p50", "p90", "max"],
    );
    let mut row = |what: &str, spread: &Spread| {
        let figures = [spread.p50(), spread.at(900), spread.max()];
        table.row(std::iter::once(what.to_owned()).chain(figures.map(ms)));
    };
    let gap = spread(|round| round.gap);
    let recovered = spread(|round| round.recovered);
    row("client: from the last list before to the first after", &gap);
    row(
        "client: between two lists usually",
        &spread(|round| round.usual),
    );
    row(
        "supervisor: injection to diagnosis",
        &spread(|round| round.diagnosed),
    );
    row("supervisor: injection to running", &recovered);
    table.print();
    let refused: usize = measured.iter().map(|round| round.refused).sum();
    println!(
        "  refused meanwhile: {:.1} requests a fault",
        float_of(refused) / float_of(measured.len().max(1)),
    );
    let in_ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let mut goal = |what: &str, value: Duration| {
        goals.at_most(
            format!("restart: {kind}, {what}"),
            GOAL_MS,
            in_ms(value),
            "ms",
        );
    };
    goal("client, p50", gap.p50());
    goal("client, max", gap.max());
    goal("supervisor, max", recovered.max());
}

/// One fault.
async fn round(daemon: &Daemon) -> Result<Round> {
    let is_over = AtomicBool::new(false);
    let (asking, injecting) = (daemon.local(), daemon.local());
    let (answers, run) = tokio::join!(
        keep_listing(&asking, &is_over),
        inject(&injecting, &is_over)
    );
    let (good, refused) = answers?;
    let run = run?;
    let gaps: Vec<Duration> = good
        .windows(2)
        .filter_map(|pair| Some(*pair.get(1)? - *pair.first()?))
        .collect();
    let gaps = Spread::of(gaps);
    let figure = |name: &str| -> Result<Duration> {
        let ms = run.get(name).and_then(Value::as_f64);
        Ok(Duration::from_secs_f64(
            ms.with_context(|| format!("no {name} in {run}"))? / 1e3,
        ))
    };
    Ok(Round {
        gap: gaps.max(),
        usual: gaps.p50(),
        refused,
        diagnosed: figure("diagnosed_ms")?,
        recovered: figure("recovered_ms")?,
    })
}

/// Lists until the fault is over and one more list has come; the times of good answers, and how many were refused.
async fn keep_listing(client: &Client, is_over: &AtomicBool) -> Result<(Vec<Instant>, usize)> {
    let (mut good, mut refused) = (Vec::new(), 0);
    loop {
        let was_over = is_over.load(Ordering::Acquire);
        let reply = client
            .request(Method::GET, "/api/v1/terminals?limit=1")
            .try_send()
            .await?;
        match reply.status {
            200 => good.push(Instant::now()),
            503 => refused += 1,
            _ => drop(reply.expect(200)),
        }
        if was_over && reply_is_enough(&good) {
            return Ok((good, refused));
        }
    }
}

/// Enough answers that a usual time can be told.
fn reply_is_enough(good: &[Instant]) -> bool {
    good.len() > 2
}

/// Has the manager panic, and waits for the drill's own report.
async fn inject(client: &Client, is_over: &AtomicBool) -> Result<Value> {
    // A few lists come first, so that there is an answer before the fault.
    for _ in 0..5 {
        drop(client.get("/api/v1/terminals?limit=1").await.expect(200));
    }
    let order = json!({ "target": MANAGER, "for_ms": 5_000 });
    let run = client
        .post("/api/v1/drills/panic-actor", &order)
        .await
        .expect(202)
        .json();
    let id = run
        .get("id")
        .and_then(Value::as_str)
        .context("a run has an id")?;
    let path = format!("/api/v1/drills/runs/{id}");
    let done = eventually(Duration::from_secs(10), async || {
        let run = client.get(&path).await.expect(200).json();
        if run.get("state").and_then(Value::as_str) == Some("done") {
            Ok(run)
        } else {
            Err(run)
        }
    })
    .await;
    is_over.store(true, Ordering::Release);
    Ok(done)
}

/// Has the supervisor forget earlier faults: a restart by the operator's hand does that.
async fn forgive(operator: &Client) -> Result<()> {
    let path = format!("/api/v1/supervisor{MANAGER}/restart");
    drop(operator.post(&path, &json!({})).await.expect(202));
    eventually(FORGET, async || is_forgiven(operator).await).await;
    Ok(())
}

async fn is_forgiven(operator: &Client) -> Result<(), String> {
    let path = format!("/api/v1/status{MANAGER}");
    let status = operator.get(&path).await.expect(200).json();
    let in_window = status
        .pointer("/restarts/in_window")
        .and_then(Value::as_u64);
    let state = status.get("state").and_then(Value::as_str);
    match (in_window, state) {
        (Some(0), Some("running")) => Ok(()),
        _ => Err(format!("not forgiven: {status}")),
    }
}

/// The ids of all terminals that run.
async fn listed(operator: &Client) -> Vec<String> {
    let list = operator
        .get("/api/v1/terminals?limit=200")
        .await
        .expect(200)
        .json();
    let items = list
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let running = items
        .iter()
        .filter(|item| item.get("state").and_then(Value::as_str) == Some("running"));
    let ids = running.filter_map(|item| item.get("id").and_then(Value::as_str).map(str::to_owned));
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

async fn attach(daemon: &Daemon, id: &str) -> Result<Viewer> {
    let token = daemon.operator_token().await;
    Viewer::attach(daemon.address(), id, &token).await
}

/// Types a line and waits for it to come back.
async fn echo(viewer: &mut Viewer, number: u32) -> Result<()> {
    let word = format!("still here {number}.");
    viewer.send(format!("{word}\n").as_bytes()).await?;
    viewer.until(word.as_bytes()).await
}
