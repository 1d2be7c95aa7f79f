//! The client against real sockets: a daemon that answers, refuses, is silent, breaks off, or talks nonsense.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    response::sse::{Event, Sse},
    routing::get,
};
use futures::stream;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use supervisor::task::{OwnedTask, spawn};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
};

use crate::data_dir::{DataDirLock, socket_path};

use super::{
    super::{exit::Exit, failure::Failure},
    Client, NoAnswer, Trouble, path_text, query_text,
};

/// A data directory with a socket on which `router` answers.
struct Daemon {
    home: TempDir,
    _serving: OwnedTask,
}

impl Daemon {
    fn serving(router: Router) -> Self {
        Self::with(|listener| {
            spawn(async move {
                drop(axum::serve(listener, router).await);
            })
        })
    }

    /// A daemon that reads the request, sends these bytes, and then is silent or hangs up.
    fn saying(bytes: &'static [u8], hangs_up: bool) -> Self {
        Self::with(|listener| {
            spawn(async move {
                let Ok((mut stream, _)) = listener.accept().await else {
                    return;
                };
                let mut request = [0; 1024];
                drop(stream.read(&mut request).await);
                drop(stream.write_all(bytes).await);
                if !hangs_up {
                    std::future::pending::<()>().await;
                }
            })
        })
    }

    fn with(serve: impl FnOnce(UnixListener) -> OwnedTask) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket_path(home.path())).unwrap();
        Self {
            home,
            _serving: serve(listener),
        }
    }

    fn client(&self) -> Client {
        Client::new(self.home.path())
    }
}

fn failed(outcome: Result<Value, Failure>) -> Failure {
    outcome.expect_err("a failure")
}

#[tokio::test]
async fn documents_come_and_go() {
    let echo = |method: Method, headers: HeaderMap, body: String| async move {
        let kind = headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Json(json!({"method": method.as_str(), "body": body, "type": kind}))
    };
    let nothing = || async { StatusCode::NO_CONTENT };
    let daemon = Daemon::serving(
        Router::new()
            .route("/echo", get(echo).post(echo))
            .route("/gone", axum::routing::delete(nothing)),
    );
    let client = daemon.client();
    assert_eq!(client.get("/echo").await.unwrap()["method"], "GET");
    let answer = client.post("/echo", Some(&json!({"a": 1}))).await.unwrap();
    assert_eq!(
        answer,
        json!({"method": "POST", "body": "{\"a\":1}", "type": "application/json"})
    );
    assert_eq!(client.post("/echo", None).await.unwrap()["type"], "");
    assert_eq!(client.delete("/gone").await.unwrap(), Value::Null);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_daemons_words() {
    let busy = || async {
        let problem =
            json!({"detail": "the store is away.", "code": "store.down", "request_id": "r-9"});
        (
            StatusCode::SERVICE_UNAVAILABLE,
            [("retry-after", "7")],
            Json(problem),
        )
    };
    let daemon = Daemon::serving(Router::new().route("/busy", get(busy)));
    let failure = failed(daemon.client().get("/busy").await);
    assert_eq!(
        (failure.exit, failure.message.as_str()),
        (Exit::Failed, "the store is away (store.down)")
    );
    assert_eq!(failure.request_id.as_deref(), Some("r-9"));
    assert!(
        failure.next[0].starts_with("try again in 7 s"),
        "{:?}",
        failure.next
    );
    match daemon.client().ask(Method::GET, "/missing", None).await {
        Err(NoAnswer::Refused(refusal)) => assert_eq!(refusal.status, 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let silent = Daemon::saying(b"", false);
    let _lock = DataDirLock::acquire(silent.home.path()).unwrap();
    let failure = failed(
        silent
            .client()
            .within(Duration::from_millis(50))
            .get("/")
            .await,
    );
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(
        failure.message.contains("did not answer within 50ms"),
        "{}",
        failure.message
    );

    let hung_up = Daemon::saying(b"", true);
    let failure = failed(hung_up.client().get("/").await);
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.message.contains("broke off"), "{}", failure.message);

    let half = Daemon::saying(
        b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"a\":",
        true,
    );
    let failure = failed(half.client().get("/").await);
    assert_eq!(failure.exit, Exit::Unreachable);

    let garbage = Daemon::saying(b"SSH-2.0-OpenSSH_9.2\r\n", true);
    assert_eq!(
        failed(garbage.client().get("/").await).exit,
        Exit::Unreachable
    );

    let page = Daemon::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", true);
    let failure = failed(page.client().get("/").await);
    assert_eq!(
        (failure.exit, failure.message.as_str()),
        (Exit::Failed, "the daemon's answer is no JSON document")
    );
}

#[tokio::test]
async fn nobody_there_is_told_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let reason = |home: &std::path::Path| {
        let client = Client::new(home);
        async move { failed(client.get("/").await) }
    };
    let failure = reason(&home.path().join("missing")).await;
    assert!(
        failure.message.contains("there is no data directory"),
        "{}",
        failure.message
    );
    let failure = reason(home.path()).await;
    assert!(
        failure.message.contains("no socket there"),
        "{}",
        failure.message
    );
    drop(UnixListener::bind(socket_path(home.path())).unwrap());
    let failure = reason(home.path()).await;
    assert!(failure.message.contains("left over"), "{}", failure.message);
    let lock = DataDirLock::acquire(home.path()).unwrap();
    let failure = reason(home.path()).await;
    assert!(
        failure
            .message
            .contains(&format!("process {}", std::process::id())),
        "{}",
        failure.message
    );
    drop(lock);
    let failure = reason(&home.path().join("x".repeat(120))).await;
    assert_eq!(failure.exit, Exit::Unreachable);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let endless = || async {
        let chunk = bytes::Bytes::from(vec![b' '; 1 << 20]);
        Body::from_stream(stream::repeat_with(move || {
            Ok::<_, Infallible>(chunk.clone())
        }))
    };
    let daemon = Daemon::serving(Router::new().route("/", get(endless)));
    let failure = failed(daemon.client().get("/").await);
    assert!(
        failure.message.contains("larger than 64 MiB"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn streams_are_read_and_resumed() {
    let events = |headers: HeaderMap| async move {
        let after = headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok()?.parse::<u64>().ok())
            .unwrap_or(0);
        Sse::new(stream::iter((after + 1..=3).map(|id| {
            Ok::<_, Infallible>(
                Event::default()
                    .id(id.to_string())
                    .data(format!("change {id}")),
            )
        })))
    };
    let daemon = Daemon::serving(Router::new().route("/stream", get(events)));
    let client = daemon.client();
    let mut stream = client.stream("/stream", None).await.unwrap();
    let first = stream.next().await.unwrap();
    assert_eq!(
        (first.id.as_deref(), first.data.as_str()),
        (Some("1"), "change 1")
    );
    let mut resumed = client.stream("/stream", first.id.as_deref()).await.unwrap();
    assert_eq!(resumed.next().await.unwrap().data, "change 2");
    assert_eq!(resumed.next().await.unwrap().data, "change 3");
    assert_eq!(resumed.next().await, None);
    assert!(matches!(
        client.stream("/missing", None).await,
        Err(NoAnswer::Refused(_))
    ));
    let nobody = Client::new(&daemon.home.path().join("missing"));
    assert!(matches!(
        nobody.stream("/stream", None).await,
        Err(NoAnswer::Trouble(Trouble::Connect(_)))
    ));
}

#[test]
fn what_a_user_types_cannot_change_the_request() {
    assert_eq!(path_text("/ptys/a b?c#d%é"), "/ptys/a%20b%3Fc%23d%25%C3%A9");
    assert_eq!(query_text("/a&b=c"), "%2Fa%26b%3Dc");
}
