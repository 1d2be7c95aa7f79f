//! Requests sent twice with one `Idempotency-Key`: the work is done once, and both get the same answer.
//!
//! Domains: `idempotency`, `ptys`, `accounts`.

use http::Method;
use kit::{Client, Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, daemon_on, id_of, shell, url_of};

on_both_databases![
    the_same_key_gives_the_same_answer,
    a_key_outlives_a_killed_daemon,
    nobody_knows_what_became_of_a_request_that_was_killed,
];

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Reply {
    let request = client.request(Method::POST, path);
    request
        .header("idempotency-key", key)
        .json(body)
        .send()
        .await
}

async fn the_same_key_gives_the_same_answer(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let first = post(&operator, "/api/v1/terminals", "story-1", &shell())
        .await
        .expect(201);
    let again = post(&operator, "/api/v1/terminals", "story-1", &shell())
        .await
        .expect(201);
    assert_eq!(id_of(&first.json()), id_of(&again.json()));
    let other = post(&operator, "/api/v1/terminals", "story-2", &shell())
        .await
        .expect(201);
    assert_ne!(id_of(&first.json()), id_of(&other.json()));
    // The key is this caller's own.
    let stranger = daemon.with_token(&daemon.new_token("another").await);
    let theirs = post(&stranger, "/api/v1/terminals", "story-1", &shell())
        .await
        .expect(201);
    assert_ne!(id_of(&first.json()), id_of(&theirs.json()));
    let token = post(
        &operator,
        "/api/v1/tokens",
        "story-1",
        &json!({ "name": "once" }),
    )
    .await
    .expect(201);
    let same = post(
        &operator,
        "/api/v1/tokens",
        "story-1",
        &json!({ "name": "once" }),
    )
    .await
    .expect(201);
    assert_eq!(token.json()["token"], same.json()["token"]);
    daemon.stop().await;
}

async fn terminals(daemon: &Daemon) -> usize {
    let listed = daemon.local().get("/api/v1/terminals").await.expect(200);
    listed.json()["items"].as_array().map_or(0, Vec::len)
}

async fn a_key_outlives_a_killed_daemon(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let local = first.local();
    let opened = post(&local, "/api/v1/terminals", "story-1", &shell())
        .await
        .expect(201);
    assert_eq!(opened.header("idempotency-replayed"), None);
    let wanted = json!({ "name": "once" });
    let token = post(&local, "/api/v1/tokens", "story-2", &wanted)
        .await
        .expect(201);
    let wrong = json!({ "cols": 0, "rows": 24 });
    post(&local, "/api/v1/terminals", "story-3", &wrong)
        .await
        .problem(422);
    let home = first.kill9().await;

    let second = daemon().database(&database).home(&home).start().await;
    let local = second.local();
    let again = post(&local, "/api/v1/terminals", "story-1", &shell())
        .await
        .expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), opened.header("location"));
    assert_eq!(again.json(), opened.json(), "to the last byte");
    assert_eq!(
        terminals(&second).await,
        1,
        "what the first one left, and no other"
    );
    let mut other = shell();
    other["cols"] = json!(81);
    let reused = post(&local, "/api/v1/terminals", "story-1", &other).await;
    assert_eq!(reused.problem(422)["code"], "http.idempotency_key_reused");
    // A token is shown once and stored nowhere: its key tells that there is one.
    let gone = post(&local, "/api/v1/tokens", "story-2", &wanted).await;
    assert_eq!(gone.problem(409)["code"], "idempotency.answer_withheld");
    let shown = token.json()["token"].as_str().expect("a token").to_owned();
    second
        .with_token(&shown)
        .get("/api/v1/terminals")
        .await
        .expect(200);
    // What was refused did nothing, so its key is free.
    post(&local, "/api/v1/terminals", "story-3", &shell())
        .await
        .expect(201);
    second.stop().await;
}

async fn nobody_knows_what_became_of_a_request_that_was_killed(database: SharedDatabase) {
    let first = daemon().database(&database).drills().start().await;
    let local = first.local();
    let hang = json!({ "target": "/ptys/manager", "for_ms": 20_000 });
    local
        .post("/api/v1/drills/hang-actor", &hang)
        .await
        .expect(202);
    let request = local.request(Method::POST, "/api/v1/terminals");
    let request = request.header("idempotency-key", "story-1").json(&shell());
    let asked = tokio::task::JoinSet::from_iter([async move { request.try_send().await }]);
    let url = url_of(&database, first.home());
    let state = "SELECT state FROM idempotency_keys WHERE key = 'story-1'";
    eventually(PATIENCE, async || {
        match kit::sql_text(&url, state).await.as_deref() {
            Some("claimed") => Ok(()),
            other => Err(format!("a claim on disk, not {other:?}")),
        }
    })
    .await;
    let home = first.kill9().await;
    drop(asked);

    let second = daemon().database(&database).home(&home).start().await;
    for _ in 0..2 {
        let unknown = post(&second.local(), "/api/v1/terminals", "story-1", &shell()).await;
        assert_eq!(unknown.problem(409)["code"], "idempotency.unknown_outcome");
    }
    let look = terminals(&second).await;
    assert!(look <= 1, "look first, says the answer");
    post(&second.local(), "/api/v1/terminals", "story-2", &shell())
        .await
        .expect(201);
    second.stop().await;
}

#[tokio::test]
async fn many_at_once_make_one() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = operator.clone();
        asked.spawn(async move { post(&client, "/api/v1/terminals", "burst", &shell()).await });
    }
    let mut ids: Vec<String> = Vec::new();
    for reply in asked.join_all().await {
        ids.push(id_of(&reply.expect(201).json()));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let listed = operator.get("/api/v1/terminals").await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    daemon.stop().await;
}

#[tokio::test]
async fn a_key_is_not_used_for_two_things() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    post(&operator, "/api/v1/terminals", "one", &shell())
        .await
        .expect(201);
    let mut other = shell();
    other["cols"] = json!(81);
    let refused = post(&operator, "/api/v1/terminals", "one", &other).await;
    assert_eq!(refused.problem(422)["code"], "http.idempotency_key_reused");
    for wrong in ["", "two words", &"x".repeat(256)] {
        let refused = post(&operator, "/api/v1/terminals", wrong, &shell()).await;
        assert_eq!(
            refused.problem(400)["code"],
            "http.bad_idempotency_key",
            "{wrong:?}"
        );
    }
    // A refusal did nothing, so its key is free for the mended request.
    let wrong = json!({ "cols": 0, "rows": 24 });
    post(&operator, "/api/v1/terminals", "mended", &wrong)
        .await
        .problem(422);
    post(&operator, "/api/v1/terminals", "mended", &shell())
        .await
        .expect(201);
    daemon.stop().await;
}
