//! Requests sent twice with one `Idempotency-Key`: the work is done once, and both get the same answer.
//!
//! Domains: `ptys`, `accounts`.

use http::Method;
use kit::{Client, Reply, SharedDatabase, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, daemon_on, id_of, shell};

on_both_databases![the_same_key_gives_the_same_answer];

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
