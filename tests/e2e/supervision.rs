//! The tree under an operator's hands and under drills: levels, causes, history, and what goes on meanwhile.
//!
//! Domains: `ptys`, `store`.

use kit::{PATIENCE, SharedDatabase, on_both_databases};
use serde_json::json;

use crate::support::{daemon, daemon_on, open_and_attach, say, shell, status, status_with};

on_both_databases![
    a_killed_actor_comes_back_and_is_told,
    an_operator_stops_restarts_and_starts,
];

async fn a_killed_actor_comes_back_and_is_told(database: SharedDatabase) {
    let daemon = daemon().database(&database).drills().start().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    let operator = daemon.operator().await;
    let mut stream = operator.events("/api/v1/status/stream", None).await;
    for round in 1..=2 {
        operator
            .post(
                "/api/v1/drills/kill-actor",
                &json!({ "target": "/ptys/manager" }),
            )
            .await
            .expect(202);
        for state in ["restarting", "running"] {
            stream
                .until(PATIENCE, |event| {
                    let event = event.json();
                    event["path"] == "/ptys/manager" && event["state"] == state
                })
                .await;
        }
        assert_eq!(
            status(&daemon, "/ptys/manager").await["restarts"]["count"],
            round
        );
        say(&mut terminal, "alive").await;
    }
    daemon.stop().await;
}

async fn an_operator_stops_restarts_and_starts(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    operator
        .post("/api/v1/supervisor/ptys/restart", &json!({}))
        .await
        .expect(202);
    status_with(&daemon, "/ptys", "level", "NORMAL").await;

    daemon.cli(&["stop", "/ptys"]).await.expect(0);
    let stopped = status_with(&daemon, "/ptys", "state", "stopped").await;
    assert!(
        stopped["impact"].is_string(),
        "what the user loses is told: {stopped}"
    );
    let refused = operator.post("/api/v1/terminals", &shell()).await;
    refused.problem(503);
    assert!(refused.header("retry-after").is_some());
    let level = daemon.cli(&["status"]).await;
    assert!((10..=12).contains(&level.code), "{level:?}");
    let told = daemon.cli(&["explain", "/ptys"]).await.expect(0).stdout;
    assert!(told.contains("stop"), "{told}");

    daemon.cli(&["start", "/ptys"]).await.expect(0);
    status_with(&daemon, "/ptys", "level", "NORMAL").await;
    operator
        .post("/api/v1/terminals", &shell())
        .await
        .expect(201);

    let events = operator
        .get("/api/v1/status/events?path=/ptys&limit=200")
        .await
        .expect(200)
        .json();
    let states: Vec<&str> = events["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|event| event["path"] == "/ptys")
        .filter_map(|event| event["state"].as_str())
        .collect();
    assert!(
        states.contains(&"stopped") && states.contains(&"running"),
        "{states:?}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn the_stream_resumes_where_a_reader_left_it() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let mut stream = operator.events("/api/v1/status/stream", None).await;
    daemon.cli(&["restart", "/ptys"]).await.expect(0);
    let first = stream.until(PATIENCE, |event| event.name == "change").await;
    drop(stream);
    daemon.cli(&["restart", "/ptys"]).await.expect(0);
    let mut resumed = operator
        .events("/api/v1/status/stream", Some(&first.id))
        .await;
    let next = resumed.next(PATIENCE).await;
    let (before, after): (u64, u64) = (
        first.id.parse().expect("a number"),
        next.id.parse().expect("a number"),
    );
    assert_eq!(
        after,
        before + 1,
        "nothing between {first:?} and {next:?} is lost"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn unknown_nodes_and_actions_are_refused() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    operator.get("/api/v1/status/no/such").await.problem(404);
    operator
        .post("/api/v1/supervisor/no/such/restart", &json!({}))
        .await
        .problem(404);
    operator
        .post("/api/v1/supervisor/ptys/explode", &json!({}))
        .await
        .problem(404);
    operator
        .post("/api/v1/supervisor/restart", &json!({}))
        .await
        .problem(409);
    daemon.stop().await;
}

#[tokio::test]
async fn drills_are_off_by_default() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let refused = operator
        .post(
            "/api/v1/drills/panic-actor",
            &json!({ "target": "/ptys/manager" }),
        )
        .await;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert_eq!(
        status(&daemon, "/ptys/manager").await["restarts"]["count"],
        0
    );
    daemon.stop().await;
}

#[tokio::test]
async fn health_tells_no_internals_and_metrics_are_readable() {
    let daemon = daemon().start().await;
    let stranger = daemon.anonymous();
    stranger.get("/health/live").await.expect(200);
    stranger.get("/health/ready").await.expect(200);
    let health = stranger.get("/health").await.expect(200).json();
    assert_eq!(health["status"], "NORMAL");
    for member in ["since", "version", "uptime_s", "domains"] {
        assert!(!health[member].is_null(), "{health}");
    }
    assert_eq!(health["domains"]["ptys"], "NORMAL");
    let info = stranger.get("/info").await.expect(200).json();
    assert_eq!(info["name"], "mainstay");
    let metrics = daemon
        .operator()
        .await
        .get("/metrics")
        .await
        .expect(200)
        .text();
    assert!(
        metrics.lines().any(|line| line.starts_with("# TYPE ")),
        "{metrics}"
    );
    daemon.stop().await;
}
