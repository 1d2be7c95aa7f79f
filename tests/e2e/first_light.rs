//! The whole story: up, in, a terminal, a fault that nobody loses anything to, and a clean end.
//!
//! Domains: `store`, `accounts`, `ptys`.

use kit::{Client, Daemon, PATIENCE, SharedDatabase, Terminal, on_both_databases};
use serde_json::json;

use crate::support::{daemon, open, say, shell, shell_pid, status};

on_both_databases![from_start_to_end];

async fn from_start_to_end(database: SharedDatabase) {
    let daemon = daemon().database(&database).drills().start().await;
    everything_is_well(&daemon).await;

    // A way in, and a real shell behind it.
    let token = daemon.new_token("newcomer").await;
    let user = daemon.with_token(&token);
    let id = open(&user, &shell()).await;
    let attached = daemon.try_attach(&id, Some(0), Some(&token), None).await;
    let mut terminal = attached.expect("the token opens the terminal");
    terminal.send_line("echo hel''lo").await;
    terminal.read_until("hello").await;
    let pid = shell_pid(&mut terminal).await;

    the_manager_panics(&user).await;

    assert_eq!(shell_pid(&mut terminal).await, pid, "the same shell");
    nobody_lost_anything(&daemon, &user, &id, &mut terminal).await;
    the_fault_is_explained(&daemon).await;

    // The end, with viewers still attached: exit 0 and nothing left, which `stop` proves.
    daemon.stop().await;
}

/// The tree is drawn, and everything in it is well.
async fn everything_is_well(daemon: &Daemon) {
    let drawn = daemon.cli(&["status"]).await.expect(0).stdout;
    for domain in ["store", "accounts", "ptys"] {
        assert!(drawn.contains(domain), "{drawn}");
        assert_eq!(
            status(daemon, &format!("/{domain}")).await["level"],
            "NORMAL"
        );
    }
}

/// The manager of all terminals panics. The stream tells of it, with its cause, and of its recovery.
async fn the_manager_panics(user: &Client) {
    let mut stream = user.events("/api/v1/status/stream", None).await;
    let target = json!({ "target": "/ptys/manager" });
    user.post("/api/v1/drills/panic-actor", &target)
        .await
        .expect(202);
    let fault = stream
        .until(PATIENCE, |event| {
            let event = event.json();
            event["path"] == "/ptys/manager" && event["state"] == "restarting"
        })
        .await
        .json();
    assert_eq!(fault["cause"]["path"], "/ptys/manager", "{fault}");
    assert!(
        fault["cause"]["message"].to_string().contains("panic"),
        "{fault}"
    );
    stream
        .until(PATIENCE, |event| {
            let event = event.json();
            event["path"] == "/ptys/manager"
                && event["state"] == "running"
                && event["level"] == "NORMAL"
        })
        .await;
}

/// The same shell answers to the same viewer, and to a new one.
async fn nobody_lost_anything(daemon: &Daemon, user: &Client, id: &str, terminal: &mut Terminal) {
    say(terminal, "still-here").await;
    let listed = user.get("/api/v1/terminals").await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], id);
    assert_eq!(listed["items"][0]["state"], "running");
    let mut second = daemon.attach(id, None).await;
    second.read_until("still-here").await;
}

async fn the_fault_is_explained(daemon: &Daemon) {
    let manager = status(daemon, "/ptys/manager").await;
    assert_eq!(manager["restarts"]["count"], 1, "{manager}");
    let reason = manager["restarts"]["last_reason"].to_string();
    assert!(reason.contains("panic"), "{manager}");
    let explained = daemon
        .cli(&["explain", "/ptys/manager"])
        .await
        .expect(0)
        .stdout;
    assert!(explained.contains("panic"), "{explained}");
}
