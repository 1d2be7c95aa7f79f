//! The disk as it should not be: full, and read-only.
//!
//! Domains: `store`.

use std::io::Write;

use kit::{Daemon, PATIENCE, eventually};
use serde_json::json;

use crate::support::{daemon, shell};

/// Writes until nothing more fits, and gives the file.
fn fill(daemon: &Daemon) -> std::path::PathBuf {
    let path = daemon.data_dir_inside().join("filler");
    let mut file = std::fs::File::create(&path).expect("the disk takes a file");
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    if !kit::can_mount() {
        return;
    }
    let daemon = daemon().mount("size=8m").start().await;
    let local = daemon.local_inside();
    let status = async |path: &str| {
        local
            .get(&format!("/api/v1/status{path}"))
            .await
            .expect(200)
            .json()
    };
    let kept = local
        .post("/api/v1/tokens", &json!({ "name": "kept" }))
        .await
        .expect(201)
        .json();
    let filler = fill(&daemon);
    let refused = eventually(PATIENCE, async || {
        let reply = local
            .post("/api/v1/tokens", &json!({ "name": "x".repeat(100) }))
            .await;
        match reply.status {
            201 => Err("the disk is full"),
            _ => Ok(reply),
        }
    })
    .await;
    refused.problem(503);
    let store = eventually(PATIENCE, async || {
        let store = status("/store").await;
        if store["level"] == "NORMAL" {
            Err(format!("{store:#}"))
        } else {
            Ok(store)
        }
    })
    .await;
    assert!(
        store["cause"]["message"].to_string().contains("full"),
        "{store:#}"
    );
    // What was acknowledged is readable, and terminals open.
    let user = daemon.with_token(kept["token"].as_str().expect("a token"));
    user.get("/api/v1/tokens").await.expect(200);
    user.post("/api/v1/terminals", &shell()).await.expect(201);

    std::fs::remove_file(filler).expect("removable");
    eventually(PATIENCE, async || {
        let store = status("/store").await;
        if store["level"] == "NORMAL" {
            Ok(())
        } else {
            Err(format!("{store:#}"))
        }
    })
    .await;
    local
        .post("/api/v1/tokens", &json!({ "name": "after" }))
        .await
        .expect(201);
    daemon.stop().await;
}

#[tokio::test]
async fn a_read_only_data_directory_is_refused() {
    if !kit::can_mount() {
        return;
    }
    let ended = daemon().mount("ro").run_to_exit().await.expect(1);
    assert!(
        ended.stderr.contains("read-only") && ended.stderr.contains("next:"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_does_not_hang_it() {
    if !kit::can_mount() {
        return;
    }
    let mut daemon = daemon().mount("size=16k").spawn();
    // It either says at once that it cannot, or runs without its store; both are told.
    let told = eventually(PATIENCE, async || {
        let text = daemon.stderr().text();
        if text.to_lowercase().contains("full") || text.contains("No space left") {
            Ok(text)
        } else {
            Err(format!("a full disk is told in: {text}"))
        }
    })
    .await;
    assert!(!told.is_empty());
    daemon.signal(kit::Signal::TERM);
    let status = daemon.exited(PATIENCE).await;
    let ended = daemon.ended(status);
    assert!(ended.code <= 1, "{ended:?}");
}
