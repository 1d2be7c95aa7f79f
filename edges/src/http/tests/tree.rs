//! Health, the tree, its history and stream, the metrics: over a real, empty tree.

use super::*;
use crate::http::input::{Findings, Pointer, Rules, check};
use crate::http::schema::{EventSchema, NodeSchema};
use supervisor::{
    Cause, Change, Detail, Ended, EndedBy, Latency, Level, Mailbox, NodeKind, NodeStatus, Restarts,
    State, StatusEvent, WallTime,
};

/// What a value breaks of a schema.
fn broken<T: utoipa::ToSchema + 'static>(
    value: &impl serde::Serialize,
) -> Vec<supervisor::Finding> {
    let mut findings = Findings::default();
    let value = serde_json::to_value(value).expect("serialises");
    check(&value, &Rules::of::<T>(), Pointer::Root, &mut findings);
    findings.into_vec()
}

fn cause() -> Cause {
    Cause {
        path: "/store".to_owned(),
        code: "store.unreachable".to_owned(),
        message: "no answer".to_owned(),
        since: WallTime(0),
        chain: vec!["/store".to_owned(), "/".to_owned()],
    }
}

fn node() -> NodeStatus {
    NodeStatus {
        path: "/".to_owned(),
        kind: NodeKind::Root,
        state: State::Quarantined,
        level: Level::Critical,
        since: WallTime(1),
        cause: Some(cause()),
        also: Vec::new(),
        impact: Some("much".to_owned()),
        fallback: None,
        restarts: Restarts {
            last_at: Some(WallTime(2)),
            last_reason: Some("panic".to_owned()),
            ..Restarts::default()
        },
        mailbox: Some(Mailbox { depth: 1, limit: 2 }),
        latency_ms: Some(Latency { p50: 0.5, p99: 1.5 }),
        detail: [
            ("open".to_owned(), Detail::Int(3)),
            ("word".to_owned(), Detail::Text("x".to_owned())),
        ]
        .into(),
        children: Vec::new(),
    }
}

#[test]
fn the_schema_of_a_node_is_what_the_supervisor_says() {
    let bare = NodeStatus {
        cause: None,
        impact: None,
        mailbox: None,
        latency_ms: None,
        restarts: Restarts::default(),
        ..node()
    };
    let whole = NodeStatus {
        children: vec![bare.clone(), node()],
        ..node()
    };
    for node in [bare, whole] {
        assert_eq!(broken::<NodeSchema>(&node), []);
    }
    let fields = serde_json::to_value(node()).expect("serialises");
    assert_eq!(names_of::<NodeSchema>(), names(&fields));
}

#[test]
fn the_schema_of_an_event_is_what_the_supervisor_says() {
    let event = StatusEvent {
        id: 1,
        at: WallTime(0),
        path: "/ptys".to_owned(),
        change: Change::Level,
        state: State::Running,
        previous_state: Some(State::Starting),
        level: Level::Normal,
        previous_level: None,
        cause: Some(cause()),
        impact: None,
        fallback: None,
        action: Some("restart".to_owned()),
        end: Some(Ended {
            kind: EndedBy::Panic,
            incarnation: 2,
            message_type: Some("Open".to_owned()),
            mailbox_depth: 3,
            location: Some("manager.rs:1:2".to_owned()),
        }),
    };
    assert_eq!(broken::<EventSchema>(&event), []);
    // What the history adds.
    let mut described = names_of::<EventSchema>();
    described.retain(|name| !["lost", "run"].contains(&name.as_str()));
    assert_eq!(
        described,
        names(&serde_json::to_value(&event).expect("serialises"))
    );
}

fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    names.sort();
    names
}

/// The fields that a schema lists.
fn names_of<T: utoipa::ToSchema + 'static>() -> Vec<String> {
    Rules::of::<T>().properties.keys().cloned().collect()
}

#[tokio::test]
async fn probes_answer_strangers() {
    let app = app().await;
    let health = get("/health").over_tcp().of(&app).await;
    assert_eq!(health.status, StatusCode::OK);
    let body = health.json();
    assert_eq!(
        (&body["status"], &body["version"], &body["domains"]),
        (&"NORMAL".into(), &"0.0.0".into(), &serde_json::json!({}))
    );
    assert!(
        body["uptime_s"].is_u64()
            && body["since"]
                .as_str()
                .is_some_and(|since| since.ends_with('Z'))
    );
    assert_eq!(
        get("/health/live").over_tcp().of(&app).await.json()["live"],
        true
    );
    assert_eq!(
        get("/health/ready").over_tcp().of(&app).await.json()["ready"],
        true
    );
    let info = get("/info").over_tcp().of(&app).await.json();
    assert_eq!(
        (&info["name"], &info["domains"]),
        (&"mainstay".into(), &serde_json::json!(["ptys"]))
    );
}

#[tokio::test]
async fn answers_carry_their_headers() {
    let app = app().await;
    let answer = get("/health")
        .with(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .of(&app)
        .await;
    for (name, value) in [
        ("x-request-id", "test"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
        ),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let mut unnamed = get("/health");
    unnamed.request = Request::builder()
        .uri("/health")
        .header("host", "localhost")
        .header("x-request-id", "bad id");
    let answer = unnamed.of(&app).await;
    assert_eq!(
        answer.header("x-request-id").map(str::len),
        Some(36),
        "a bad id is replaced"
    );
}

#[tokio::test]
async fn the_tree_is_shown_whole_or_in_part() {
    let app = app().await;
    let root = get("/api/v1/status?depth=1").of(&app).await.json();
    assert_eq!(
        (&root["path"], &root["state"], &root["level"]),
        (&"/".into(), &"running".into(), &"NORMAL".into())
    );
    assert_eq!(get("/api/v1/status?depth=65").of(&app).await.status, 422);
    assert_eq!(
        get("/api/v1/status/events?limit=201").of(&app).await.status,
        422
    );
    let page = get("/api/v1/status/events?since=0&path=%2Fptys&limit=5")
        .of(&app)
        .await
        .json();
    assert_eq!(page, serde_json::json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn the_history_is_told_in_either_order() {
    let app = app().await;
    let told = async |query: &str| {
        let page = get(&format!("/api/v1/status/events?{query}"));
        page.of(&app).await
    };
    // The ledger's table is away, so memory answers, and says so.
    let all = told("limit=200").await;
    assert_eq!(
        all.header("mainstay-degraded"),
        Some("ledger; reason=store_unavailable")
    );
    let all = all.json()["items"].clone();
    let items = all.as_array().expect("a list");
    let first = &items[0];
    assert_eq!(broken::<EventSchema>(first), []);
    assert!(first["run"].is_u64(), "{first}");
    let newest = told("order=desc&limit=1").await.json();
    assert_eq!(Some(&newest["items"][0]), items.last());

    let (id, at) = (&first["id"], first["at"].as_str().expect("a time"));
    for query in [
        format!("since={id}"),
        format!("cursor={id}"),
        "until=0".to_owned(),
        "until=1970-01-01T00:00:00Z".to_owned(),
        "since=9999-01-01T00:00:00%2B02:00".to_owned(),
    ] {
        let items = told(&query).await.json()["items"].clone();
        assert!(
            items.as_array().is_some_and(|items| !items.contains(first)),
            "{query}: {items}"
        );
    }
    let then = told(&format!("since={at}&until={at}")).await.json();
    assert_eq!(&then["items"][0], first);

    for (query, pointer) in [
        ("since=yesterday", "/since"),
        ("until=-1", "/until"),
        ("cursor=x", "/cursor"),
        ("order=random", "/order"),
        ("limit=0", "/limit"),
    ] {
        let refused = told(query).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{query}");
    }
    let both = told("since=x&until=y").await.json();
    assert_eq!(both["errors"].as_array().map(Vec::len), Some(2), "{both}");
}

#[tokio::test]
async fn metrics_are_told() {
    let app = app().await;
    get("/health").of(&app).await;
    let metrics = get("/metrics").bearing("mst_read").of(&app).await;
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        "mainstay_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1",
        "mainstay_http_in_flight 1",
        "mainstay_http_streams 0",
        "mainstay_node_level{path=\"/\"} 0",
        "mainstay_build_info{version=\"0.0.0\",commit=\"unknown\"} 1",
    ] {
        assert!(
            metrics.text.lines().any(|found| found == line),
            "{line}\n{}",
            metrics.text
        );
    }
    for name in [
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(
            metrics
                .text
                .lines()
                .any(|line| line.starts_with(&format!("{name} "))),
            "{name}"
        );
    }
    for line in metrics.text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn the_stream_ends_when_the_server_stops() {
    let state = edge(Limits::default()).await;
    let app = super::super::router(&state);
    let ask = get("/api/v1/status/stream").with("accept", "text/event-stream");
    let stream = ask.of(&app);
    let stop = async {
        while state.drain.in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        state.drain.refuse();
    };
    let both = tokio::time::timeout(SOON, async { tokio::join!(stream, stop) });
    let (answer, ()) = both.await.expect("the stream ends");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(state.drain.in_flight(), 0);
}
