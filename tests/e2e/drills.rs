//! The table of drills and what the status must say of each, under a mixed load that it must not disturb elsewhere.
//!
//! The load goes on all the time: terminals are listed and typed in, tokens made, the status read. Each row says which of
//! these a drill may disturb; all others have no error at all.
//!
//! Domains: `accounts`, `ledger`, `ptys`, `store`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kit::{Client, Daemon, PATIENCE, SharedDatabase, Terminal, eventually, on_both_databases};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::support::{daemon, open_and_attach, say, shell, status, status_with};

/// What a client of the load does all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    List,
    Type,
    Tokens,
    Status,
}

/// A drill, and what must come of it.
struct Row {
    name: &'static str,
    target: Option<&'static str>,
    for_ms: u64,
    path: &'static str,
    level: &'static str,
    code: &'static str,
    /// Domains that are hit for long enough to be told.
    hit: &'static [&'static str],
    /// Work that the drill may disturb.
    disturbed: &'static [Work],
}

const MANAGER: &str = "/ptys/manager";
/// Without a database no token is made, and everything else goes on.
const WITHOUT_STORE: &[Work] = &[Work::Tokens];

/// On actors: only what the manager of terminals is asked may fail, and nobody attached notices.
const ON_ACTORS: &[Row] = &[
    on_manager("kill-actor", 5_000, "OFFLINE", "actor.killed", &[]),
    on_manager("panic-actor", 5_000, "OFFLINE", "actor.panicked", &[]),
    on_manager("hang-actor", 1_500, "DEGRADED", "actor.stuck", &["ptys"]),
    on_manager("block-actor", 1_500, "DEGRADED", "actor.blocked", &["ptys"]),
    on_manager(
        "mailbox-flood",
        1_500,
        "DEGRADED",
        "actor.flooded",
        &["ptys"],
    ),
    on_manager("crash-loop", 2_500, "OFFLINE", "actor.panicked", &["ptys"]),
    Row {
        name: "clock-jump",
        target: None,
        for_ms: 1_000,
        path: "/",
        level: "NORMAL",
        code: "drill",
        hit: &[],
        disturbed: &[],
    },
];

/// On any database.
const ON_STORE: &[Row] = &[
    on_database(
        "store-down",
        None,
        "CRITICAL",
        "store.unreachable",
        WITHOUT_STORE,
    ),
    on_database(
        "upstream-down",
        Some("store.database"),
        "CRITICAL",
        "store.unreachable",
        WITHOUT_STORE,
    ),
    on_database(
        "upstream-garbage",
        Some("/store/database"),
        "CRITICAL",
        "store.unreachable",
        WITHOUT_STORE,
    ),
    slow("store-slow", None),
    slow("upstream-slow", Some("store.database")),
];

/// On the embedded database alone.
const ON_DISK: &[Row] = &[Row {
    path: "/store/manager",
    ..on_database(
        "disk-full",
        None,
        "CRITICAL",
        "store.disk_full",
        WITHOUT_STORE,
    )
}];

const fn on_manager(
    name: &'static str,
    for_ms: u64,
    level: &'static str,
    code: &'static str,
    hit: &'static [&'static str],
) -> Row {
    Row {
        name,
        target: Some(MANAGER),
        for_ms,
        path: MANAGER,
        level,
        code,
        hit,
        disturbed: &[Work::List],
    }
}

const fn on_database(
    name: &'static str,
    target: Option<&'static str>,
    level: &'static str,
    code: &'static str,
    disturbed: &'static [Work],
) -> Row {
    Row {
        name,
        target,
        for_ms: 1_500,
        path: "/store/database",
        level,
        code,
        hit: &["accounts", "store"],
        disturbed,
    }
}

/// Slowness is slow and no error.
const fn slow(name: &'static str, target: Option<&'static str>) -> Row {
    Row {
        path: "/store/manager",
        for_ms: 4_000,
        ..on_database(name, target, "DEGRADED", "store.slow", &[])
    }
}

/// What was done of each kind of work: how often, and what failed.
type Counts = Arc<Mutex<BTreeMap<Work, (u64, Vec<String>)>>>;

/// Clients at work; what fails is counted by what they do.
struct Load {
    clients: JoinSet<()>,
    counts: Counts,
    is_over: Arc<AtomicBool>,
}

impl Load {
    async fn begin(daemon: &Daemon) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            counts: Arc::default(),
            is_over: Arc::default(),
        };
        load.ask(Work::List, daemon.operator().await);
        load.ask(Work::Tokens, daemon.operator().await);
        load.ask(Work::Status, daemon.local());
        let (_, terminal) = open_and_attach(daemon, &shell()).await;
        load.type_in(terminal);
        load
    }

    fn ask(&mut self, work: Work, client: Client) {
        let (counts, is_over) = (Arc::clone(&self.counts), Arc::clone(&self.is_over));
        self.clients.spawn(async move {
            let mut pace = interval(PACE);
            while !is_over.load(Ordering::Relaxed) {
                pace.tick().await;
                count(&counts, work, one(work, &client).await).await;
            }
        });
    }

    fn type_in(&mut self, mut terminal: Terminal) {
        let (counts, is_over) = (Arc::clone(&self.counts), Arc::clone(&self.is_over));
        self.clients.spawn(async move {
            let mut pace = interval(PACE);
            while !is_over.load(Ordering::Relaxed) {
                pace.tick().await;
                // It panics where the terminal does not answer, which fails the test.
                say(&mut terminal, "alive").await;
                count(&counts, Work::Type, None).await;
            }
        });
    }

    /// What was counted since the last call.
    async fn take(&self) -> BTreeMap<Work, (u64, Vec<String>)> {
        std::mem::take(&mut *self.counts.lock().await)
    }

    /// Waits until each kind of work was done `times` more, and gives what was counted since.
    async fn done(&self, times: u64) -> BTreeMap<Work, (u64, Vec<String>)> {
        drop(self.take().await);
        eventually(PATIENCE, async || {
            let counts = self.counts.lock().await;
            let all = counts.values().all(|(done, _)| *done >= times);
            if all && counts.len() == WORKS {
                Ok(())
            } else {
                Err(format!("{counts:?}"))
            }
        })
        .await;
        self.take().await
    }

    async fn end(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client of the load came to its end");
        }
    }
}

/// Kinds of work.
const WORKS: usize = 4;
/// How often each client does something.
const PACE: Duration = Duration::from_millis(50);

/// Does it once; what was wrong with the answer.
async fn one(work: Work, client: &Client) -> Option<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (reply, wanted) = match work {
        Work::List => (client.get("/api/v1/terminals?limit=5").await, 200),
        Work::Status => (client.get("/api/v1/status?depth=2").await, 200),
        Work::Tokens | Work::Type => {
            let name = format!("load-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            (
                client
                    .post("/api/v1/tokens", &json!({ "name": name }))
                    .await,
                201,
            )
        }
    };
    (reply.status != wanted).then(|| format!("{}: {}", reply.status, reply.text()))
}

async fn count(counts: &Counts, work: Work, error: Option<String>) {
    let mut counts = counts.lock().await;
    let (done, errors) = counts.entry(work).or_default();
    *done += 1;
    errors.extend(error);
}

/// Runs a drill to its end and gives the run.
async fn drill(operator: &Client, row: &Row) -> Value {
    let mut order = json!({ "for_ms": row.for_ms });
    if let Some(target) = row.target {
        order["target"] = json!(target);
    }
    let path = format!("/api/v1/drills/{}", row.name);
    let begun = operator.post(&path, &order).await.expect(202).json();
    over(operator, &begun).await
}

/// The run that has begun, once it is over.
async fn over(operator: &Client, begun: &Value) -> Value {
    let run = format!(
        "/api/v1/drills/runs/{}",
        begun["id"].as_str().expect("an id")
    );
    eventually(PATIENCE * 2, async || {
        let run = operator.get(&run).await.expect(200).json();
        if run["state"] == "done" {
            Ok(run)
        } else {
            Err(format!("{run:#}"))
        }
    })
    .await
}

/// Runs a row under the load, with all that it says.
async fn prove(daemon: &Daemon, load: &Load, row: &Row) {
    let operator = daemon.local();
    let mut stream = operator.events("/api/v1/status/stream", None).await;
    drop(load.take().await);
    let run = drill(&operator, row).await;
    let name = row.name;
    let diagnosis = json!({ "path": row.path, "level": row.level, "cause_code": row.code });
    assert_eq!(run["expected"], diagnosis, "{name}");
    assert_eq!(run["observed"], diagnosis, "{name}: {run:#}");
    assert_eq!(run["matched"], true, "{name}: {run:#}");
    let diagnosed = run["diagnosed_ms"].as_f64().expect("diagnosed");
    assert!(diagnosed <= 1_000.0, "{name}: {run:#}");
    assert!(run["recovered_ms"].is_f64(), "{name}: {run:#}");
    assert_eq!(run["hit_as_forecast"], true, "{name}: {run:#}");
    for domain in row.hit {
        let hit = run["hit"].as_array().expect("a list");
        assert!(
            hit.iter().any(|hit| hit == domain),
            "{name} hits {domain}: {run:#}"
        );
    }
    // The same as any reader of the stream sees it.
    stream
        .until(PATIENCE, |event| {
            let event = event.json();
            let is_noted = row.code == "drill" && event["change"] == "operator";
            event["path"] == row.path
                && event["level"] == row.level
                && (is_noted || event["cause"]["code"] == row.code)
        })
        .await;
    assert_eq!(status(daemon, row.path).await["level"], "NORMAL", "{name}");
    assert_eq!(status(daemon, "/").await["level"], "NORMAL", "{name}");
    for (work, (done, errors)) in load.take().await {
        let may_fail = row.disturbed.contains(&work);
        assert!(
            may_fail || errors.is_empty(),
            "{name} disturbs {work:?} ({done}): {errors:?}"
        );
    }
    // What was under way when it ended may still fail; what comes after may not.
    drop(load.done(1).await);
    for (work, (_, errors)) in load.done(2).await {
        assert!(errors.is_empty(), "{work:?} after {name}: {errors:?}");
    }
}

async fn prove_all(daemon: Daemon, rows: &[&[Row]]) {
    let load = Load::begin(&daemon).await;
    drop(load.done(2).await);
    for row in rows.iter().copied().flatten() {
        prove(&daemon, &load, row).await;
    }
    load.end().await;
    daemon.stop().await;
}

on_both_databases![
    each_drill_on_the_database_is_diagnosed,
    slow_statements_are_seen_at_the_database,
];

#[tokio::test]
async fn each_drill_on_an_actor_is_diagnosed() {
    prove_all(daemon().drills().start().await, &[ON_ACTORS]).await;
}

async fn each_drill_on_the_database_is_diagnosed(database: SharedDatabase) {
    let is_embedded = database.url().is_none();
    let daemon = daemon().database(&database).drills().start().await;
    if is_embedded {
        return prove_all(daemon, &[ON_STORE, ON_DISK]).await;
    }
    let refused = daemon
        .local()
        .post("/api/v1/drills/disk-full", &json!({}))
        .await;
    assert_eq!(refused.problem(409)["code"], "drills.unsuited");
    prove_all(daemon, &[ON_STORE]).await;
}

/// Makes so many tokens at once, each of which is a statement at least.
async fn make_tokens(operator: &Client, count: u64) {
    let mut making = JoinSet::new();
    for _ in 0..count {
        let operator = operator.clone();
        making.spawn(async move { one(Work::Tokens, &operator).await });
    }
    for error in making.join_all().await {
        assert_eq!(error, None, "slow and no error");
    }
}

/// What domains ask of the database counts, and not only the looks at it.
async fn slow_statements_are_seen_at_the_database(database: SharedDatabase) {
    let daemon = daemon().database(&database).drills().start().await;
    let operator = daemon.operator().await;
    make_tokens(&operator, 12).await;
    let node = status(&daemon, "/store/database").await;
    let calls = node["detail"]["calls_in_window"].as_i64();
    assert!(calls >= Some(12), "{node:#}");
    assert_eq!(node["detail"]["slow_percent"], 0.0, "{node:#}");
    let order = json!({ "for_ms": 8_000 });
    let begun = operator.post("/api/v1/drills/store-slow", &order).await;
    let begun = begun.expect(202).json();
    make_tokens(&operator, 40).await;
    let slow = status_with(&daemon, "/store/database", "level", "DEGRADED").await;
    assert_eq!(slow["cause"]["code"], "dependency.slow", "{slow:#}");
    assert_eq!(slow["detail"]["breaker"], "closed", "{slow:#}");
    let share = slow["detail"]["slow_percent"].as_f64().expect("a share");
    assert!(share >= 50.0, "{slow:#}");
    let run = over(&operator, &begun).await;
    assert_eq!(run["matched"], true, "{run:#}");
    assert_eq!(run["hit_as_forecast"], true, "{run:#}");
    status_with(&daemon, "/", "level", "NORMAL").await;
    daemon.stop().await;
}

#[tokio::test]
async fn all_drills_are_in_the_table_and_listed_with_what_they_hit() {
    let daemon = daemon().drills().start().await;
    let listed = daemon
        .local()
        .get("/api/v1/drills")
        .await
        .expect(200)
        .json();
    let rows = [ON_ACTORS, ON_STORE, ON_DISK];
    let mut of_table: Vec<&str> = rows.iter().copied().flatten().map(|row| row.name).collect();
    let items = listed["items"].as_array().expect("a list");
    let mut names: Vec<&str> = items
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    of_table.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, of_table);
    let down = items
        .iter()
        .find(|item| item["name"] == "store-down")
        .expect("listed");
    let forecast: Vec<(&str, &str)> = down["forecast"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|hit| Some((hit["domain"].as_str()?, hit["level"].as_str()?)))
        .collect();
    for hit in [
        ("store", "CRITICAL"),
        ("accounts", "CRITICAL"),
        ("ptys", "DEGRADED"),
        ("ledger", "DEGRADED"),
    ] {
        assert!(forecast.contains(&hit), "{hit:?} in {forecast:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_drill_is_refused_where_it_proves_nothing_or_harms() {
    let daemon = daemon().drills().start().await;
    let operator = daemon.local();
    let refused = async |name: &str, order: Value| {
        let reply = operator
            .post(&format!("/api/v1/drills/{name}"), &order)
            .await;
        reply.problem(reply.status)["code"]
            .as_str()
            .map(str::to_owned)
    };
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(refused("no-such", json!({})).await, code("drills.unknown"));
    let nobody = json!({ "target": "/ptys/nobody" });
    assert_eq!(
        refused("hang-actor", nobody).await,
        code("drills.no_target")
    );
    let elsewhere = json!({ "target": "elsewhere" });
    assert_eq!(
        refused("upstream-down", elsewhere).await,
        code("drills.no_target")
    );

    // One at a time.
    let manager = json!({ "target": MANAGER });
    let jump = json!({ "for_ms": 1_000 });
    let begun = operator
        .post("/api/v1/drills/clock-jump", &jump)
        .await
        .expect(202)
        .json();
    assert_eq!(
        refused("kill-actor", manager.clone()).await,
        code("drills.running")
    );
    over(&operator, &begun).await;

    // Not where something is wrong already.
    daemon.cli(&["stop", "/ptys/keeper"]).await.expect(0);
    status_with(&daemon, "/ptys", "level", "DEGRADED").await;
    assert_eq!(
        refused("kill-actor", manager.clone()).await,
        code("drills.not_well")
    );
    daemon.cli(&["start", "/ptys/keeper"]).await.expect(0);
    status_with(&daemon, "/ptys", "level", "NORMAL").await;

    // Not where the restarts are used up but for one.
    for _ in 0..4 {
        let begun = operator
            .post("/api/v1/drills/kill-actor", &manager)
            .await
            .expect(202)
            .json();
        over(&operator, &begun).await;
        status_with(&daemon, "/ptys", "level", "NORMAL").await;
    }
    assert_eq!(
        refused("kill-actor", manager).await,
        code("drills.budget_low")
    );
    daemon.stop().await;
}

#[tokio::test]
async fn the_command_line_tells_the_forecast_and_the_outcome() {
    let daemon = daemon().drills().start().await;
    let told = daemon
        .cli(&["drill", "run", "hang-actor", MANAGER, "--for", "1s"])
        .await
        .expect(0)
        .stdout;
    let at = |words: &str| {
        told.find(words)
            .unwrap_or_else(|| panic!("{words} in {told}"))
    };
    assert!(at("may hit") < at("diagnosed as expected"), "{told}");
    assert!(at("ptys") > 0 && at("as forecast") > 0, "{told}");
    // Too short to be seen as blocked.
    let short = ["drill", "run", "block-actor", MANAGER, "--for", "100ms"];
    let told = daemon.cli(&short).await.expect(1).stdout;
    assert!(told.contains("not diagnosed"), "{told}");
    daemon.stop().await;
}

/// A daemon that stops in the middle of a drill stops as ever.
#[tokio::test]
async fn a_stop_ends_a_drill() {
    let daemon = daemon().drills().start().await;
    let order = json!({ "target": MANAGER, "for_ms": 60_000 });
    daemon
        .local()
        .post("/api/v1/drills/crash-loop", &order)
        .await
        .expect(202);
    daemon.stop().await;
}

/// While the clock is ahead what happens is dated ahead, and afterwards it is not.
#[tokio::test]
async fn the_clock_jumps_and_comes_back() {
    let daemon = daemon().drills().start().await;
    let operator = daemon.local();
    let created = async |name: &str| {
        let token = json!({ "name": name });
        let made = operator
            .post("/api/v1/tokens", &token)
            .await
            .expect(201)
            .json();
        made["created_at"].as_str().expect("a time").to_owned()
    };
    let before = created("before").await;
    let order = json!({ "for_ms": 3_000 });
    let begun = operator
        .post("/api/v1/drills/clock-jump", &order)
        .await
        .expect(202)
        .json();
    let during = created("during").await;
    over(&operator, &begun).await;
    let after = created("after").await;
    // RFC 3339 in UTC sorts as text.
    assert!(
        before < after && after < during,
        "{before} {during} {after}"
    );
    daemon.stop().await;
}
