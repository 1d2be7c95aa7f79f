//! The listener against clients that misbehave. Real sockets on free ports, short limits, no sleeps: every test waits for
//! what must happen, within a deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

use super::{Connection, Drain, ListenError, ListenGauges, Listeners, Server, Tls};
use crate::http::client::Proxies;
use crate::http::limits::Limits;

/// Within this time everything in these tests has happened.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(SOON, future).await else {
        panic!("waited too long for {what}")
    };
    value
}

/// A server of two routes: `/peer` tells who asks, `/slow` answers once it is let go.
pub(super) struct Running {
    server: Option<Server>,
    pub(super) address: SocketAddr,
    drain: Drain,
    pub(super) gauges: Arc<ListenGauges>,
    let_go: Arc<Notify>,
    pub(super) began: Arc<Notify>,
}

pub(super) async fn running(limits: Limits, socket: Option<&Path>) -> Running {
    running_with(limits, socket, None).await
}

pub(super) async fn running_with(
    limits: Limits,
    socket: Option<&Path>,
    tls: Option<Tls>,
) -> Running {
    let listeners = Listeners::bind(SocketAddr::from(([127, 0, 0, 1], 0)), socket)
        .await
        .expect("binds")
        .with_tls(tls);
    let (let_go, began) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (drain, gauges) = (Drain::new(), Arc::new(ListenGauges::default()));
    let slow = {
        let (let_go, began, drain) = (Arc::clone(&let_go), Arc::clone(&began), drain.clone());
        move || async move {
            let _in_flight = drain.begin();
            began.notify_one();
            let_go.notified().await;
            "late"
        }
    };
    let router = Router::new()
        .route(
            "/peer",
            get(|Extension(connection): Extension<Connection>| async move {
                connection.peer.to_string()
            }),
        )
        .route(
            "/tls",
            get(|Extension(connection): Extension<Connection>| async move {
                connection.is_tls.to_string()
            }),
        )
        .route("/slow", get(slow));
    let address = listeners.address();
    let server = Server::start(
        listeners,
        router,
        &limits,
        drain.clone(),
        Arc::clone(&gauges),
    )
    .expect("starts");
    Running {
        server: Some(server),
        address,
        drain,
        gauges,
        let_go,
        began,
    }
}

impl Running {
    pub(super) async fn connect(&self) -> TcpStream {
        soon("a connection", TcpStream::connect(self.address))
            .await
            .expect("connects")
    }

    fn server(&mut self) -> Server {
        self.server.take().expect("not drained before")
    }

    pub(super) async fn until_open(&self, connections: usize) {
        soon("the number of connections", async {
            while self.gauges.tcp.load(Relaxed) != connections {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(super) fn brisk() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(150),
        ..Limits::default()
    }
}

pub(super) fn patient() -> Limits {
    Limits {
        header_timeout: SOON,
        ..Limits::default()
    }
}

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    rest(stream).await
}

/// Everything until the server closes; a reset counts as closing.
pub(super) async fn rest<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    match soon("the end of the stream", stream.read_to_end(&mut bytes)).await {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let running = running(patient(), None).await;
    let mut stream = running.connect().await;
    let own = stream.local_addr().expect("bound");
    let answer = ask(&mut stream, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(&own.to_string()), "{answer}");
}

#[tokio::test]
async fn clients_that_say_nothing_are_closed_and_hurt_nobody() {
    let running = running(brisk(), None).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(running.connect().await);
    }
    let answer = ask(&mut running.connect().await, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for stream in &mut silent {
        assert_eq!(rest(stream).await, "");
    }
    running.until_open(0).await;
}

#[tokio::test]
async fn clients_that_begin_and_never_finish_are_closed() {
    let running = running(brisk(), None).await;
    // A cut-off HTTP/2 preface, a cut-off head, and the preface with nothing behind it.
    for beginning in [
        "PRI * HT",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = running.connect().await;
        stream
            .write_all(beginning.as_bytes())
            .await
            .expect("writes");
        rest(&mut stream).await;
    }
    running.until_open(0).await;
}

#[tokio::test]
async fn a_kept_connection_that_idles_is_closed() {
    let running = running(brisk(), None).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .expect("writes");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let running = running(
        Limits {
            max_header_bytes: 8 * 1024,
            ..patient()
        },
        None,
    )
    .await;
    let big = format!(
        "GET /peer HTTP/1.1\r\nHost: test\r\nX-Big: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let many = format!(
        "GET /peer HTTP/1.1\r\nHost: test\r\n{}\r\n",
        "X-Many: 1\r\n".repeat(500)
    );
    for flood in [big, many] {
        let mut stream = running.connect().await;
        // The server may hang up before all of it is written.
        let _sent = stream.write_all(flood.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    let answer = ask(&mut running.connect().await, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn noise_is_refused() {
    let running = running(patient(), None).await;
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\n\r\nhello\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = running.connect().await;
        stream.write_all(noise).await.expect("writes");
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_and_places_come_back() {
    let running = running(
        Limits {
            max_connections: 2,
            ..patient()
        },
        None,
    )
    .await;
    let (first, second) = (running.connect().await, running.connect().await);
    running.until_open(2).await;
    let answer = rest(&mut running.connect().await).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1"),
        "{answer}"
    );
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["code"], "http.overloaded");
    assert_eq!(running.gauges.refused.load(Relaxed), 1);
    drop((first, second));
    running.until_open(0).await;
    let answer = ask(&mut running.connect().await, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let limits = Limits {
        max_connections_per_address: 3,
        ..patient()
    };
    let running = running(limits.clone(), None).await;
    let held = [
        running.connect().await,
        running.connect().await,
        running.connect().await,
    ];
    running.until_open(3).await;
    let answer = rest(&mut running.connect().await).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("from this address"),
        "{answer}"
    );
    drop(held);
    running.until_open(0).await;
    let answer = ask(&mut running.connect().await, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A trusted proxy speaks for many.
    let proxies = Proxies::new(["127.0.0.0/8".parse().expect("a network")]);
    let behind = self::running(Limits { proxies, ..limits }, None).await;
    let mut many = Vec::new();
    for _ in 0..10 {
        many.push(behind.connect().await);
    }
    behind.until_open(10).await;
}

#[tokio::test]
async fn http_2_is_served_too() {
    // Another test may have installed it already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let running = running(patient(), None).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .expect("a client");
    let answer = soon(
        "an answer",
        client
            .get(format!("http://{}/peer", running.address))
            .send(),
    )
    .await
    .expect("answers");
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert!(
        answer
            .text()
            .await
            .expect("a body")
            .starts_with("127.0.0.1:")
    );
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight_and_refuses_connections() {
    let mut running = running(patient(), None).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .expect("writes");
    soon("the request", running.began.notified()).await;
    let idle = running.connect().await;
    let server = running.server();
    let draining = supervisor::task::spawn({
        let drain = running.drain.clone();
        let (let_go, address) = (Arc::clone(&running.let_go), running.address);
        async move {
            drain.refusing().await;
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            let_go.notify_one();
        }
    });
    let drained = soon("the drain", server.drain(SOON)).await;
    assert_eq!(drained.cut_off, 0);
    let answer = rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"),
        "{answer}"
    );
    drop((draining, idle));
    running.until_open(0).await;
}

#[tokio::test]
async fn what_is_still_in_flight_at_the_limit_is_cut_off() {
    let mut running = running(patient(), None).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .expect("writes");
    soon("the request", running.began.notified()).await;
    let drained = soon(
        "the drain",
        running.server().drain(Duration::from_millis(10)),
    )
    .await;
    assert_eq!(drained.cut_off, 1);
    assert_eq!(rest(&mut stream).await, "");
    running.until_open(0).await;
}

#[tokio::test]
async fn dropping_the_server_ends_everything() {
    let mut running = running(patient(), None).await;
    let mut stream = running.connect().await;
    running.until_open(1).await;
    drop(running.server());
    assert_eq!(rest(&mut stream).await, "");
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn the_socket_is_private_and_knows_its_peer() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mainstay.sock");
    let mut running = running(patient(), Some(&path)).await;
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).await.expect("connects");
    let answer = ask(&mut stream, "/peer").await;
    let uid = rustix::process::geteuid().as_raw();
    assert!(
        answer.ends_with(&format!("local uid={uid} pid={}", std::process::id())),
        "{answer}"
    );
    soon("the drain", running.server().drain(SOON)).await;
    assert!(
        !path.try_exists().expect("readable"),
        "the socket file was left behind"
    );
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mainstay.sock");
    // What a killed daemon leaves behind: a socket that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let live = Listeners::bind(anywhere, Some(&path))
        .await
        .expect("replaces");
    let refused = Listeners::bind(anywhere, Some(&path))
        .await
        .expect_err("in use");
    assert!(
        matches!(refused, ListenError::SocketInUse { .. }),
        "{refused}"
    );
    drop(live);
    std::fs::write(&path, "a file").expect("writes");
    let refused = Listeners::bind(anywhere, Some(&path))
        .await
        .expect_err("in the way");
    assert!(
        matches!(refused, ListenError::NotASocket { .. }),
        "{refused}"
    );
    assert_eq!(
        std::fs::read_to_string(&path).expect("still there"),
        "a file"
    );
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let first = Listeners::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None)
        .await
        .expect("binds");
    let refused = Listeners::bind(first.address(), None)
        .await
        .expect_err("taken");
    let ListenError::Tcp { address, source } = refused else {
        panic!("another error")
    };
    assert_eq!(
        (address, source.kind()),
        (first.address(), io::ErrorKind::AddrInUse)
    );
}
