//! Who may do what: over TCP nobody without a token, and no page of a foreign origin.
//!
//! Domains: `accounts`.

use std::os::unix::fs::PermissionsExt;

use http::Method;
use kit::{Frame, PATIENCE, SharedDatabase, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, daemon_on, open, open_and_attach, shell};

on_both_databases![
    nothing_answers_without_a_token,
    a_revoked_token_is_dead_at_once,
    scopes_bound_a_token,
    tokens_are_listed_without_their_secret,
];

const CLOSED: [(Method, &str); 8] = [
    (Method::GET, "/api/v1/status"),
    (Method::GET, "/api/v1/status/stream"),
    (Method::GET, "/api/v1/terminals"),
    (Method::POST, "/api/v1/terminals"),
    (Method::POST, "/api/v1/tokens"),
    (Method::POST, "/api/v1/supervisor/ptys/stop"),
    (Method::GET, "/metrics"),
    // A stranger does not even learn what exists.
    (Method::GET, "/no/such/route"),
];

async fn nothing_answers_without_a_token(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let stranger = daemon.anonymous();
    for (method, path) in CLOSED {
        let refused = stranger.request(method, path).send().await;
        assert_eq!(refused.problem(401)["code"], "http.missing_token");
        assert!(refused.header("www-authenticate").is_some(), "{path}");
    }
    for wrong in [
        "Bearer nonsense",
        "Bearer mst_",
        "Basic bXN0Og==",
        "Bearer",
        "mst_x",
    ] {
        let request = stranger.request(Method::GET, "/api/v1/status");
        request
            .header("authorization", wrong)
            .send()
            .await
            .problem(401);
    }
    let made_up = format!("mst_{}", "A".repeat(43));
    daemon
        .with_token(&made_up)
        .get("/api/v1/status")
        .await
        .problem(401);
    // Right in form, but from another daemon.
    let other = crate::support::daemon().start().await;
    let foreign = other.new_token("elsewhere").await;
    other.stop().await;
    let refused = daemon.with_token(&foreign).get("/api/v1/status").await;
    assert_eq!(refused.problem(401)["code"], "accounts.unknown_token");
    for open in ["/health", "/health/live", "/health/ready", "/info"] {
        stranger.get(open).await.expect(200);
    }
    // The local operator needs none.
    daemon.local().get("/api/v1/status").await.expect(200);
    daemon.stop().await;
}

async fn a_revoked_token_is_dead_at_once(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let token = daemon.new_token("short-lived").await;
    let user = daemon.with_token(&token);
    let id = open(&user, &shell()).await;
    let mut attached = daemon
        .try_attach(&id, None, Some(&token), None)
        .await
        .expect("it still works");
    let mut stream = user.events("/api/v1/status/stream", None).await;
    let listed = daemon
        .cli(&["token", "list", "--json"])
        .await
        .expect(0)
        .json();
    let token_id = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|item| item["name"] == "short-lived")
        .and_then(|item| item["id"].as_str())
        .expect("it is listed")
        .to_owned();

    daemon.cli(&["token", "revoke", &token_id]).await.expect(0);
    let refused = user.get("/api/v1/status").await.problem(401);
    assert_eq!(refused["code"], "accounts.revoked_token");
    assert_eq!(attached.read_close().await, Some(4401));
    stream.ended(PATIENCE).await;
    // The shell itself belongs to nobody's token.
    let terminal = daemon
        .local()
        .get(&format!("/api/v1/terminals/{id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(terminal["state"], "running");
    daemon.stop().await;
}

async fn scopes_bound_a_token(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let created = daemon
        .cli(&["token", "create", "--scope", "read"])
        .await
        .expect(0);
    let reader = daemon.with_token(created.stdout.trim());
    reader.get("/api/v1/terminals").await.expect(200);
    for (path, body) in [
        ("/api/v1/terminals", shell()),
        ("/api/v1/tokens", json!({})),
        ("/api/v1/supervisor/ptys/stop", json!({})),
    ] {
        let refused = reader.post(path, &body).await;
        assert_eq!(refused.problem(403)["code"], "http.missing_scope", "{path}");
    }
    let unknown = daemon
        .cli(&["token", "create", "--scope", "everything-and-more"])
        .await;
    assert_ne!(unknown.code, 0, "{unknown:?}");
    daemon.stop().await;
}

/// Who was refused what, by which request, and nothing that whoever reads the log could use.
#[tokio::test]
async fn the_log_tells_who_was_refused_what() {
    let daemon = daemon().start().await;
    let made = daemon.cli(&["token", "create", "--scope", "read"]).await;
    let token = made.expect(0).stdout.trim().to_owned();
    let reader = daemon.with_token(&token);
    let path = "/api/v1/supervisor/ptys/stop?secret=in-a-query";
    reader.post(path, &json!({})).await.problem(403);
    let ended = daemon.stop().await;
    let told = |line: &&str| line.contains("/api/v1/supervisor/ptys/stop");
    let line = ended.stderr.lines().find(told).expect("a line of it");
    for what in [
        "status=403",
        "caller=token:",
        "request_id=",
        "client=127.0.0.1",
        "Z ",
    ] {
        assert!(line.contains(what), "{what} in {line}");
    }
    assert!(!ended.stderr.contains("in-a-query") && !ended.stderr.contains(&token));
}

async fn tokens_are_listed_without_their_secret(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let token = daemon.new_token("laptop").await;
    let listed = daemon
        .local()
        .get("/api/v1/tokens")
        .await
        .expect(200)
        .text();
    assert!(listed.contains("laptop") && !listed.contains(&token));
    daemon
        .with_token(&token)
        .get("/api/v1/status")
        .await
        .expect(200);
    let data_dir = daemon.home().data_dir();
    let ended = daemon.stop().await;
    assert!(!ended.stderr.contains(&token), "the log holds the token");
    for entry in std::fs::read_dir(data_dir).expect("readable") {
        let path = entry.expect("an entry").path();
        let content = std::fs::read(&path).unwrap_or_default();
        let found = content
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found, "{} holds the token", path.display());
    }
}

#[tokio::test]
async fn foreign_origins_are_refused() {
    let daemon = daemon().start().await;
    let (id, attached) = open_and_attach(&daemon, &shell()).await;
    attached.detach().await;
    let token = daemon.operator_token().await;
    for foreign in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "https://127.0.0.1",
    ] {
        let refused = daemon
            .try_attach(&id, None, Some(&token), Some(foreign))
            .await
            .expect_err("a foreign page");
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (403, &Value::from("http.foreign_origin"))
        );
        let post = daemon
            .operator()
            .await
            .request(Method::POST, "/api/v1/terminals");
        post.header("origin", foreign)
            .json(&shell())
            .send()
            .await
            .problem(403);
    }
    let own = daemon.url();
    let accepted = daemon.try_attach(&id, None, Some(&token), Some(&own)).await;
    accepted.expect("the own origin").detach().await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_allowed_origin_is_served() {
    let daemon = daemon()
        .config("[http]\nallowed_origins = [\"https://console.example\"]\n")
        .start()
        .await;
    let id = open(&daemon.operator().await, &shell()).await;
    let token = daemon.operator_token().await;
    let attached = daemon
        .try_attach(&id, None, Some(&token), Some("https://console.example"))
        .await;
    attached.expect("the allowed origin").detach().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_name_that_was_pointed_here_is_not_served() {
    let daemon = daemon().start().await;
    let request = daemon
        .operator()
        .await
        .request(Method::GET, "/api/v1/status");
    let refused = request.header("host", "rebind.example").send().await;
    assert_eq!(refused.problem(421)["code"], "http.unknown_host");
    daemon.stop().await;
}

#[tokio::test]
async fn a_web_socket_without_a_token_is_refused() {
    let daemon = daemon().start().await;
    let (id, mut attached) = open_and_attach(&daemon, &shell()).await;
    let refused = daemon
        .try_attach(&id, None, None, None)
        .await
        .expect_err("a stranger");
    assert_eq!(refused.status, 401);
    let wrong = format!("mst_{}", "B".repeat(43));
    let refused = daemon
        .try_attach(&id, None, Some(&wrong), None)
        .await
        .expect_err("a made-up token");
    assert_eq!(refused.status, 401);
    // And whoever is attached rightly does not notice.
    attached.ping(b"still").await;
    while attached.next(PATIENCE).await != Frame::Pong(b"still".to_vec()) {}
    daemon.stop().await;
}

#[tokio::test]
async fn the_data_directory_is_the_users_alone() {
    let daemon = daemon().start().await;
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&daemon.home().data_dir()), 0o700);
    assert_eq!(mode(&daemon.socket()) & 0o077, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_shell_gets_none_of_the_daemons_secrets() {
    let daemon = daemon()
        .env("MAINSTAY_LOG__FILTER", "info")
        .env("OPENAI_API_KEY", "sk-secret")
        .start()
        .await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.send_line("env; echo d''one").await;
    let shown = terminal.read_until("done").await;
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("HOME=") && shown.contains("TERM="),
        "{shown}"
    );
    for secret in ["MAINSTAY_", "sk-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    daemon.stop().await;
}
