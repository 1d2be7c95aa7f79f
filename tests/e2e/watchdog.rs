//! A handler that blocks the whole runtime: what answers meanwhile, what the status says, and that it passes.
//!
//! Domains: `ptys`.

use kit::{PATIENCE, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{daemon, status_with};

#[tokio::test]
async fn health_and_status_answer_while_every_thread_of_the_runtime_is_held() {
    // One thread, so that one handler holds them all.
    let daemon = daemon()
        .env("TOKIO_WORKER_THREADS", "1")
        .drills()
        .start()
        .await;
    let block = json!({ "target": "/ptys/manager", "for_ms": 3_000 });
    let local = daemon.local();
    // Its answer may come through the runtime that it blocks, so nobody waits for it here.
    let mut ordered = JoinSet::new();
    ordered.spawn(async move { local.post("/api/v1/drills/block-actor", &block).await });

    let blocked: Value = eventually(PATIENCE, async || {
        let node = daemon
            .local()
            .get("/api/v1/status/ptys/manager")
            .await
            .expect(200)
            .json();
        match node["cause"]["code"].as_str() {
            Some("actor.blocked") => Ok(node),
            other => Err(format!("the cause is {other:?}")),
        }
    })
    .await;
    assert_eq!(blocked["level"], "DEGRADED");
    let root: Value = eventually(PATIENCE, async || {
        let root = daemon
            .local()
            .get("/api/v1/status?depth=0")
            .await
            .expect(200)
            .json();
        match root["cause"]["path"].as_str() {
            Some("/ptys/manager") => Ok(root),
            other => Err(format!("the cause is at {other:?}")),
        }
    })
    .await;
    // Which it only is when no thread turns: one blocked actor is not so bad.
    assert_eq!(root["level"], "CRITICAL");
    // A stranger's probe is answered as well, on a connection of its own.
    assert_eq!(daemon.anonymous().get("/health/live").await.status, 200);
    assert_eq!(daemon.anonymous().get("/health").await.status, 503);

    status_with(&daemon, "/", "level", "NORMAL").await;
    let order = ordered.join_next().await.expect("it was ordered");
    order.expect("no panic").expect(202);
    daemon.stop().await;
}
