//! What the armour of the edge costs: `GET /api/v1/me` signed in, with limits, tracing and audit on, beside a bare axum handler
//! and beside the Node gateway that it takes the place of; and what ten thousand idle signed-in WebSockets hold.

pub(crate) mod bare;
mod load;
mod node;
mod sockets;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use kit::{Daemon, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::figures::{Spread, float, median, times};
use crate::goals::Goals;
use crate::options::BARE_EDGE;
use crate::process::Cpu;
use crate::table::Table;
use load::{Target, flood, paced};
use node::Stack;

/// How long any step may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// Limits on, but none that the bench would meet.
const CONFIG: &str = "[ptys]\nmax_terminals = 400\nmax_viewers = 50\n[http]\nmax_connections = 20000\nmax_streams = 20000\nmax_connections_per_address = 20000\n\
    [limits]\nsigned_in_per_minute = 1000000\npremium_per_minute = 1000000\nanonymous_per_minute = 1000000\nanonymous_auth_per_minute = 1000000\n";

/// One server under load: where it is, and the processes that serve.
struct Side {
    name: &'static str,
    target: Target,
    pids: Vec<i32>,
    rates: Vec<f64>,
    /// Processor time a request, in microseconds.
    costs: Vec<f64>,
}

/// Measures all of it.
///
/// # Errors
///
/// When a server does not start or answers wrongly.
pub(crate) async fn run(binary: &Path, is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (rounds, seconds) = if is_quick { (1, 1) } else { (5, 4) };
    let daemon = Daemon::builder(binary).config(CONFIG).start().await;
    let token = sign_in(&daemon).await?;
    let (bare, bare_address) = start_bare().await?;
    let stack = match Stack::start().await {
        Ok(stack) => Some(stack),
        Err(error) => {
            println!("skipped: the Node gateway: {error:#}");
            None
        }
    };
    let side = |name, address: String, token: &str, pids| Side {
        name,
        target: Target {
            address,
            token: token.to_owned(),
        },
        pids,
        rates: Vec::new(),
        costs: Vec::new(),
    };
    let bare_pid = i32::try_from(bare.id().context("the peer ended at once")?)?;
    let mut sides = vec![
        side(
            "mainstay",
            daemon.address().to_string(),
            &token,
            vec![daemon.pid()],
        ),
        side("bare axum", bare_address, &token, vec![bare_pid]),
    ];
    if let Some(stack) = &stack {
        let (address, pids) = (stack.address.clone(), stack.pids.to_vec());
        sides.push(side("node gateway", address, &stack.token, pids));
    }
    for round in 0..rounds {
        let turn = round % sides.len();
        sides.rotate_left(turn);
        for side in &mut sides {
            one_round(side, seconds).await?;
        }
        sides.rotate_right(turn);
    }
    let ours = sides.first().context("there is our side")?;
    let half = median(&ours.rates) / 2.0;
    let span = Duration::from_secs(seconds * 2);
    let late = Spread::of(paced(&ours.target, half, span).await?);
    report(&sides, goals);
    // The same requests at the same rate to the peer show what of it is the load generator's, which has the same two cores.
    let peer =
        Spread::of(paced(&sides.get(1).context("there is a peer")?.target, half, span).await?);
    report_half(half, &late, &peer, goals);
    sockets::measure(&daemon, &token, is_quick, goals).await?;
    drop(daemon.stop().await);
    Ok(())
}

async fn one_round(side: &mut Side, seconds: u64) -> Result<()> {
    let used = |pids: &[i32]| {
        pids.iter()
            .map(|pid| Cpu::of(*pid))
            .collect::<Result<Vec<_>>>()
    };
    let before = used(&side.pids)?;
    let flood = flood(&side.target, seconds)
        .await
        .with_context(|| side.name.to_owned())?;
    let spent: Duration = used(&side.pids)?
        .iter()
        .zip(&before)
        .map(|(after, before)| after.since(before))
        .sum();
    side.rates.push(flood.per_second);
    side.costs
        .push(spent.as_secs_f64() * 1e6 / float(flood.requests));
    Ok(())
}

fn report_half(half: f64, ours: &Spread, peer: &Spread, goals: &mut Goals) {
    let mut table = Table::new(
        format!("half load: {half:.0} requests/s"),
        &["", "requests", "p50 / p99 / max, ms"],
    );
    for (name, spread) in [("mainstay", ours), ("bare axum", peer)] {
        table.row([name.to_owned(), spread.count().to_string(), spread.in_ms()]);
    }
    table.print();
    let p99 = ours.p99().as_secs_f64() * 1e3;
    goals.at_most("edge: p99 at half load", 5.0, p99, "ms");
}

fn report(sides: &[Side], goals: &mut Goals) {
    let mut table = Table::new(
        "GET /api/v1/me, signed in; the middle of the rounds",
        &[
            "",
            "requests/s",
            "CPU a request, µs",
            "requests/s to ours",
            "CPU to ours",
        ],
    );
    let Some(ours) = sides.first() else { return };
    let (our_rate, our_cost) = (median(&ours.rates), median(&ours.costs));
    for side in sides {
        let (rate, cost) = (median(&side.rates), median(&side.costs));
        table.row([
            side.name.to_owned(),
            format!("{rate:.0}"),
            format!("{cost:.1}"),
            times(rate / our_rate),
            times(cost / our_cost),
        ]);
        match side.name {
            "bare axum" => {
                let share = our_rate / rate * 100.0;
                goals.at_least("edge: requests/s of a bare axum handler", 60.0, share, "%");
                let more = our_cost / cost;
                goals.at_most(
                    "edge: CPU a request, to a bare axum handler",
                    2.5,
                    more,
                    "×",
                );
            }
            "node gateway" => {
                let less = cost / our_cost;
                goals.at_least(
                    "edge: CPU a request of the Node gateway, to ours",
                    15.0,
                    less,
                    "×",
                );
            }
            _ => {}
        }
    }
    table.print();
}

/// The first owner, made with the token that the daemon printed; gives the access token.
async fn sign_in(daemon: &Daemon) -> Result<String> {
    let setup_token = eventually(PATIENCE, async || {
        let text = daemon.stderr().text();
        let line = text
            .lines()
            .find_map(|line| line.split_once("setup token: "));
        line.map(|(_, token)| token.trim().to_owned())
            .ok_or("no setup token yet")
    })
    .await;
    let body = json!({
        "setup_token": setup_token, "email": "owner@bench.example", "password": "a long sentence nobody says aloud", "name": "Owner",
    });
    let pair: Value = daemon
        .anonymous()
        .post("/api/v1/setup", &body)
        .await
        .expect(200)
        .json();
    let token = pair.get("access_token").and_then(Value::as_str);
    Ok(token.context("the owner is signed in")?.to_owned())
}

async fn start_bare() -> Result<(Child, String)> {
    let own = std::env::current_exe().context("this program has no path")?;
    let mut child = Command::new(own)
        .arg(BARE_EDGE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await??;
    Ok((child, line.trim_end().to_owned()))
}
