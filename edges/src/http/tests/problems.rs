//! Every sort of refusal has the same form. One snapshot a case: status, the headers that matter, body.

use axum::routing::get as on_get;
use serde_json::json;

use super::*;
use crate::http::layers;

fn shown(answer: &Answer) -> Value {
    let headers = [
        "content-type",
        "retry-after",
        "www-authenticate",
        "allow",
        "upgrade",
        "connection",
        "x-request-id",
    ];
    let told: Vec<(&str, Option<&str>)> = headers
        .into_iter()
        .map(|name| (name, answer.header(name)))
        .collect();
    let told: serde_json::Map<String, Value> = told
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
        .collect();
    json!({ "status": answer.status.as_u16(), "headers": told, "body": answer.json() })
}

macro_rules! assert_problem {
    ($name:literal, $answer:expr) => {
        insta::assert_json_snapshot!($name, shown(&$answer))
    };
}

fn open(body: impl Into<Body>) -> Ask {
    ask(Method::POST, "/api/v1/terminals").json(body)
}

#[tokio::test]
async fn routing() {
    let app = app().await;
    assert_problem!("unknown_route", get("/api/v1/nothing").of(&app).await);
    assert_problem!(
        "method_not_allowed",
        ask(Method::PUT, "/api/v1/terminals").of(&app).await
    );
    assert_problem!("bad_id", get("/api/v1/terminals/seven").of(&app).await);
    assert_problem!(
        "unknown_node",
        get("/api/v1/status/no/such/node").of(&app).await
    );
    assert_problem!(
        "unknown_action",
        ask(Method::POST, "/api/v1/supervisor/ptys/explode")
            .of(&app)
            .await
    );
    assert_problem!(
        "act_on_unknown_node",
        ask(Method::POST, "/api/v1/supervisor/ptys/restart")
            .of(&app)
            .await
    );
    assert_problem!(
        "act_on_root",
        ask(Method::POST, "/api/v1/supervisor/stop").of(&app).await
    );
}

#[tokio::test]
async fn input() {
    let app = app().await;
    assert_problem!(
        "malformed_json",
        open("{\"cols\": 80,\n\"rows\" 24}").of(&app).await
    );
    assert_problem!("empty_body", open("").of(&app).await);
    let wrong = json!({"cols": 0, "rows": 100_000, "cwd": 7, "env": {"A": true}, "nmae": "x"});
    assert_problem!("wrong_types", open(wrong.to_string()).of(&app).await);
    assert_problem!(
        "one_wrong_type",
        open(json!({"cols": 80}).to_string()).of(&app).await
    );
    let plain = ask(Method::POST, "/api/v1/terminals").with("content-type", "text/plain");
    assert_problem!("unsupported_media_type", plain.of(&app).await);
    assert_problem!(
        "no_media_type",
        ask(Method::POST, "/api/v1/terminals").of(&app).await
    );
    assert_problem!(
        "bad_query",
        get("/api/v1/terminals?limit=0&cursor=x&cusror=y")
            .of(&app)
            .await
    );
    assert_problem!(
        "bad_cursor",
        get("/api/v1/terminals?cursor=made-up").of(&app).await
    );
    assert_problem!(
        "not_acceptable",
        get("/api/v1/terminals")
            .with("accept", "text/html")
            .of(&app)
            .await
    );
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_declared_or_not() {
    let app = app().await;
    let big = "x".repeat(1024 * 1024 + 1);
    let answer = open(big.clone())
        .with("content-length", &big.len().to_string())
        .of(&app)
        .await;
    assert_problem!("body_too_large", answer);
    let pieces = futures::stream::iter(vec![Ok::<_, std::io::Error>(big.clone()), Ok(big)]);
    let answer = open(Body::from_stream(pieces)).of(&app).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (413, "http.body_too_large")
    );
    let broken = futures::stream::iter(vec![
        Ok("{".to_owned()),
        Err(std::io::Error::other("cut off")),
    ]);
    let answer = open(Body::from_stream(broken)).of(&app).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "http.bad_body")
    );
}

#[tokio::test]
async fn callers() {
    let app = app().await;
    assert_problem!(
        "missing_token",
        get("/api/v1/status").over_tcp().of(&app).await
    );
    assert_problem!(
        "bad_token",
        get("/api/v1/status").bearing("mst_wrong").of(&app).await
    );
    assert_problem!(
        "missing_scope",
        open("{}").bearing("mst_read").of(&app).await
    );
    assert_problem!(
        "missing_rights",
        ask(Method::POST, "/api/v1/tokens")
            .bearing("mst_operator")
            .of(&app)
            .await
    );
}

#[tokio::test]
async fn hosts_and_origins() {
    let app = app().await;
    let foreign = || {
        open("{}")
            .bearing("mst_all")
            .with("origin", "https://evil.example")
    };
    assert_problem!("foreign_origin", foreign().of(&app).await);
    let socket = get("/api/v1/terminals/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f/attach");
    let socket = socket
        .bearing("mst_all")
        .with("upgrade", "websocket")
        .with("origin", "http://localhost:1");
    assert_eq!(socket.of(&app).await.code(), "http.foreign_origin");
    let own = open("{}")
        .bearing("mst_all")
        .with("origin", "http://localhost");
    assert_eq!(own.of(&app).await.status, 422);
    let two_hosts = get("/api/v1/status").with("host", "other");
    assert_problem!("bad_host", two_hosts.of(&app).await);
    let mut rebound = get("/health").over_tcp();
    rebound.request = Request::builder()
        .uri("/health")
        .header("host", "rebind.example:4110")
        .header("x-request-id", "test");
    assert_problem!("unknown_host", rebound.of(&app).await);
}

#[tokio::test]
async fn a_domain_that_is_down() {
    let app = app().await;
    assert_problem!("domain_down", get("/api/v1/terminals").of(&app).await);
    assert_eq!(get("/api/v1/tokens").of(&app).await.status, 503);
}

#[tokio::test]
async fn sockets_that_are_none() {
    let app = app().await;
    let path = "/api/v1/terminals/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f/attach";
    assert_problem!("upgrade_required", get(path).of(&app).await);
    let half = get(path)
        .with("connection", "upgrade")
        .with("upgrade", "websocket");
    assert_problem!("bad_upgrade", half.of(&app).await);
}

#[tokio::test]
async fn overload_and_stopping() {
    let full = edge(Limits {
        max_in_flight: 0,
        max_streams: 0,
        ..Limits::default()
    })
    .await;
    let app = super::super::router(&full);
    assert_problem!("overloaded", get("/api/v1/status").of(&app).await);
    assert_eq!(
        get("/health").of(&app).await.status,
        200,
        "probes are served under overload"
    );
    let no_streams = edge(Limits {
        max_streams: 0,
        ..Limits::default()
    })
    .await;
    let app = super::super::router(&no_streams);
    assert_eq!(
        get("/api/v1/status/stream").of(&app).await.code(),
        "http.overloaded"
    );
    let stopping = edge(Limits::default()).await;
    stopping.drain.refuse();
    let app = super::super::router(&stopping);
    assert_problem!("draining", get("/api/v1/status").of(&app).await);
    assert_eq!(get("/health/live").of(&app).await.status, 200);
    assert_eq!(get("/health/ready").of(&app).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_hang_or_panic() {
    let state = edge(Limits::default()).await;
    let bad = Router::new()
        .route(
            "/health",
            on_get(|| async { std::future::pending::<()>().await }),
        )
        .route(
            "/info",
            on_get(|| async { panic!("a secret inside") as () }),
        )
        .route(
            "/metrics",
            on_get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "a secret inside") }),
        );
    let app = layers::around(bad, &state).with_state(state);
    assert_problem!("deadline", get("/health").of(&app).await);
    let panicked = get("/info").of(&app).await;
    assert!(!panicked.text.contains("secret"));
    assert_problem!("panicked", panicked);
    let bare = get("/metrics").of(&app).await;
    assert!(
        !bare.text.contains("secret"),
        "an error that is not ours is replaced"
    );
    assert_eq!(bare.code(), codes::INTERNAL.code);
}

#[tokio::test]
async fn a_request_with_a_key_does_not_happen_without_a_promise() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let state = edge(Limits::default()).await;
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let make = {
        let count = std::sync::Arc::clone(&count);
        move || async move {
            (
                StatusCode::CREATED,
                count.fetch_add(1, Ordering::Relaxed).to_string(),
            )
        }
    };
    let route = Router::new().route("/api/v1/terminals", axum::routing::post(make));
    let app = layers::around(route, &state).with_state(state);
    let keyed = |key: &str| open("{}").with("idempotency-key", key);
    // Nobody keeps the key, so nobody could promise that it happens once.
    assert_problem!("keys_down", keyed("one").of(&app).await);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert_eq!(open("{}").of(&app).await.text, "0", "without a key it does");
    assert_problem!("bad_idempotency_key", keyed("two words").of(&app).await);
}
