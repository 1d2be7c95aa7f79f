//! What happened is remembered: through a crash of the daemon, its stop, and a loss of the database.
//!
//! Domains: `ledger`.

use kit::{Client, Daemon, PATIENCE, Postgres, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{cli, daemon, daemon_on, status, status_with, url_of};

on_both_databases![
    what_was_stored_survives_the_daemon,
    a_graceful_stop_can_be_read_afterwards,
    every_way_of_reading_tells_the_same,
    the_table_is_kept_small,
];

const KILL: &str = "/api/v1/drills/kill-actor";

/// All events that a query finds, page by page.
async fn events(client: &Client, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = client
            .get(&format!("/api/v1/status/events?{query}{cursor}"))
            .await
            .expect(200);
        assert_eq!(reply.header("mainstay-degraded"), None);
        let page = reply.json();
        all.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn ids(events: &[Value]) -> Vec<u64> {
    let id = |event: &Value| event["id"].as_u64().expect("an id");
    events.iter().map(id).collect()
}

/// Kills an actor and gives the event that tells of it.
async fn killed(daemon: &Daemon, target: &str) -> Value {
    let before = events(&daemon.local(), "order=desc&limit=200").await;
    daemon
        .local()
        .post(KILL, &json!({ "target": target }))
        .await
        .expect(202);
    let since = ids(&before)[0];
    eventually(PATIENCE, async || {
        let told = events(&daemon.local(), &format!("since={since}&path={target}")).await;
        told.into_iter()
            .find(|event| event["state"] == "restarting")
            .ok_or("the end is told")
    })
    .await
}

/// Waits until an event is in the table.
async fn stored(url: &str, event: &Value) {
    let query = format!(
        "SELECT path FROM ledger_events WHERE id = {}",
        event["id"].as_u64().expect("an id")
    );
    eventually(PATIENCE, async || {
        kit::sql_text(url, &query).await.ok_or("it is stored")
    })
    .await;
}

async fn what_was_stored_survives_the_daemon(database: SharedDatabase) {
    let first = daemon().database(&database).drills().start().await;
    let end = killed(&first, "/ptys/manager").await;
    stored(&url_of(&database, first.home()), &end).await;
    let home = first.kill9().await;

    let second = daemon().database(&database).home(&home).start().await;
    let told = events(&second.local(), "path=/ptys/manager").await;
    assert!(
        told.contains(&end),
        "as it was told before: {end} {told:#?}"
    );
    let runs: Vec<&Value> = told.iter().map(|event| &event["run"]).collect();
    assert!(
        runs.iter().any(|run| **run != end["run"]),
        "and what happened since: {runs:?}"
    );

    let explained = second.cli(&["explain", "/ptys"]).await.expect(0).stdout;
    let (_, ends) = explained.split_once("Last ends").expect("the ends");
    assert!(
        ends.contains("before the daemon was started") && ends.contains("/ptys/manager"),
        "{explained}"
    );
    assert!(ends.contains("actor.killed"), "{explained}");
    let shown = second
        .cli(&["status", "events", "--path", "/ptys/manager"])
        .await
        .expect(0)
        .stdout;
    assert!(
        shown.contains("actor.killed") && shown.contains("-- the daemon was started at"),
        "{shown}"
    );
    second.stop().await;
}

async fn a_graceful_stop_can_be_read_afterwards(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let last = events(&first.local(), "order=desc&limit=1").await;
    let home = first.home().clone();
    first.stop().await;
    let second = daemon().database(&database).home(&home).start().await;
    let since = ids(&last)[0];
    let told = events(&second.local(), &format!("since={since}")).await;
    let of_first: Vec<&Value> = told
        .iter()
        .filter(|event| event["run"] == last[0]["run"])
        .collect();
    let has = |path: &str, state: &str| {
        of_first
            .iter()
            .any(|event| event["path"] == path && event["state"] == state)
    };
    assert!(
        has("/", "stopping") && has("/ledger", "stopping"),
        "{of_first:#?}"
    );
    second.stop().await;
}

async fn every_way_of_reading_tells_the_same(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let home = first.home().clone();
    first.stop().await;
    let second = daemon().database(&database).home(&home).start().await;
    second.cli(&["restart", "/ptys"]).await.expect(0);
    status_with(&second, "/", "level", "NORMAL").await;

    let newest = events(&second.local(), "order=desc&limit=1").await;
    let until = format!("until={}", ids(&newest)[0]);
    let whole = events(&second.local(), &format!("{until}&limit=200")).await;
    assert!(ids(&whole).is_sorted_by(|a, b| a < b));
    assert!(whole.iter().any(|event| event["run"] != newest[0]["run"]));
    let small = events(&second.local(), &format!("{until}&limit=7")).await;
    assert_eq!(small, whole);
    let mut turned = events(&second.local(), &format!("{until}&limit=9&order=desc")).await;
    turned.reverse();
    assert_eq!(turned, whole);

    // Of this run, the stream tells the same out of memory.
    let begin = newest[0]["run"].to_string();
    let mut stream = second
        .local()
        .events("/api/v1/status/stream", Some(&begin))
        .await;
    for mut event in whole {
        if event["run"] != newest[0]["run"] {
            continue;
        }
        let fields = event.as_object_mut().expect("an object");
        fields.remove("run");
        assert_eq!(stream.next(PATIENCE).await.json(), event);
    }
    second.stop().await;
}

async fn the_table_is_kept_small(database: SharedDatabase) {
    let daemon = daemon()
        .database(&database)
        .config("[ledger]\nkeep_rows = 10\n")
        .start()
        .await;
    daemon.cli(&["restart", "/ptys"]).await.expect(0);
    let url = url_of(&database, daemon.home());
    let count = "SELECT CAST(count(*) AS TEXT) FROM ledger_events";
    let count = eventually(PATIENCE, async || {
        let count = kit::sql_text(&url, count).await.unwrap_or_default();
        let rows = status(&daemon, "/ledger/writer").await["detail"]["rows"].clone();
        match count.parse() {
            Ok(1_u64..=10) if rows.as_u64() == count.parse().ok() => Ok(count),
            _ => Err(format!("{count} rows, {rows} told")),
        }
    })
    .await;
    // What the table has let go of is still in memory.
    let told = events(&daemon.local(), "").await;
    assert!(told.len() > count.parse().expect("a number"), "{count}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_lost_database_slows_no_restart_and_is_caught_up_with() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let url = server.create_database("story").await;
    let daemon = daemon().store_url(&url).drills().start().await;
    let before = killed(&daemon, "/ptys/keeper").await;
    stored(&url, &before).await;

    server.stop();
    let ledger = status_with(&daemon, "/ledger", "level", "DEGRADED").await;
    let root = ledger["cause"]["path"].as_str().expect("a cause");
    assert!(root.starts_with("/store"), "{ledger:#}");
    assert_eq!(
        ledger["fallback"], "the newest 4,096 events are kept in memory",
        "{ledger:#}"
    );
    let since = before["id"].as_u64().expect("an id");
    let told = crashed_quickly(&daemon, since).await;
    // What is older than memory could be asked for: that it cannot be read is told.
    let all = daemon
        .local()
        .get("/api/v1/status/events")
        .await
        .expect(200);
    let header = all.header("mainstay-degraded").expect("it says so");
    assert!(header.starts_with("ledger; reason=store_"), "{header}");
    let hinted = daemon.cli(&["status", "events"]).await.expect(0);
    assert!(
        hinted.stderr.contains("not complete") && hinted.stdout.contains("/ptys/manager"),
        "{hinted:?}"
    );

    server.start_again().await;
    status_with(&daemon, "/ledger", "level", "NORMAL").await;
    for event in &told {
        stored(&url, event).await;
    }
    let all = events(&daemon.local(), "limit=200").await;
    let (ids, first) = (ids(&all), all[0]["id"].as_u64().expect("an id"));
    assert_eq!(
        ids,
        (first..first + ids.len() as u64).collect::<Vec<_>>(),
        "every event, and no gap"
    );
    daemon.stop().await;
}

/// Kills an actor three times, sees that it is back at once each time, and gives its changes of state after an event.
async fn crashed_quickly(daemon: &Daemon, since: u64) -> Vec<Value> {
    for round in 1..=3 {
        // One drill at a time: the one before may still watch what it hit.
        eventually(PATIENCE, async || {
            let target = json!({ "target": "/ptys/manager" });
            let ordered = daemon.local().post(KILL, &target).await;
            match ordered.status {
                202 => Ok(()),
                _ => Err(ordered.problem(409)["code"].to_string()),
            }
        })
        .await;
        eventually(PATIENCE, async || {
            let node = status(daemon, "/ptys/manager").await;
            if node["restarts"]["count"] == round && node["state"] == "running" {
                Ok(())
            } else {
                Err(format!("{round} restarts: {node}"))
            }
        })
        .await;
    }
    let query = format!("/api/v1/status/events?path=/ptys/manager&limit=200&since={since}");
    let told = daemon.local().get(&query).await.expect(200);
    assert_eq!(
        told.header("mainstay-degraded"),
        None,
        "memory has all of it"
    );
    let mut told = told.json()["items"].as_array().expect("a list").clone();
    told.retain(|event| event["change"] == "state");
    let ends = told.iter().filter(|event| event["state"] == "restarting");
    assert_eq!(ends.count(), 3);
    for pair in told.windows(2) {
        if pair[0]["state"] == "restarting" {
            let (ended, up) = (millis(&pair[0]), millis(&pair[1]));
            assert!(up - ended < 500, "{pair:#?}");
        }
    }
    told
}

/// When an event happened, in milliseconds of its hour.
fn millis(event: &Value) -> i64 {
    let at = event["at"].as_str().expect("a time");
    let (_, time) = at.split_once('T').expect("a time");
    let number = |range: std::ops::Range<usize>| -> i64 {
        time.get(range)
            .and_then(|digits| digits.parse().ok())
            .expect("digits")
    };
    (number(3..5) * 60 + number(6..8)) * 1000 + number(9..12)
}

#[tokio::test]
async fn events_are_told_on_the_command_line() {
    let daemon = daemon().start().await;
    let first = daemon
        .cli(&["status", "events", "--json", "--limit", "1"])
        .await
        .expect(0)
        .json();
    let since = first["id"].as_u64().expect("an id").to_string();
    daemon.cli(&["restart", "/ptys/manager"]).await.expect(0);
    let args = ["status", "events", "--path", "ptys", "--since", &since];
    let told = daemon.cli(&args).await.expect(0).stdout;
    assert!(
        told.contains("/ptys/manager") && told.contains("operator: restart"),
        "{told}"
    );
    assert!(!told.contains("/store"), "{told}");
    let lately = daemon
        .cli(&["status", "events", "--since", "1h", "--json"])
        .await
        .expect(0)
        .stdout;
    let ids: Vec<u64> = lately
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event a line"))
        .map(|event: Value| event["id"].as_u64().expect("an id"))
        .collect();
    assert!(ids.len() > 1 && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    daemon
        .cli(&["status", "events", "--since", "tomorrow"])
        .await
        .expect(2);

    let home = daemon.home().clone();
    daemon.stop().await;
    let down = cli(&home, &["status", "events"]).await.expect(3);
    assert!(down.stderr.contains("mainstay up"), "{}", down.stderr);
}

#[tokio::test]
async fn the_command_line_follows_what_happens() {
    let daemon = daemon().start().await;
    let mut follow = tokio::process::Command::new(crate::support::BINARY)
        .args(["status", "events", "--follow", "--json", "--limit", "1"])
        .args(["--path", "/ptys/manager", "--data-dir"])
        .arg(daemon.home().data_dir())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary runs");
    let out = follow.stdout.take().expect("a pipe");
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(out));
    let first = kit::within(PATIENCE, "the newest event", lines.next_line()).await;
    assert!(first.expect("readable").is_some());
    daemon.cli(&["restart", "/ptys/manager"]).await.expect(0);
    let told = kit::within(PATIENCE, "the restart", async {
        loop {
            let line = lines.next_line().await.expect("readable").expect("a line");
            let event: Value = serde_json::from_str(&line).expect("an event");
            assert_eq!(event["path"], "/ptys/manager");
            if event["action"] == "operator: restart" {
                return event;
            }
        }
    });
    told.await;
    follow.kill().await.expect("it ends");
    daemon.stop().await;
}
