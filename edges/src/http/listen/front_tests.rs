//! The front beside a main runtime that does not turn, or ends. Every route tells the thread that served it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::{Drain, ListenGauges, Listeners, Server};
use crate::http::limits::Limits;

/// Within this time everything in these tests has happened.
const SOON: Duration = Duration::from_secs(20);
/// Threads of the main runtime.
const WORKERS: usize = 2;
/// The name of each of them.
const MAIN: &str = "main-runtime";
/// The name of the thread in front of them.
const FRONT: &str = "front";

/// A gate at which whole threads wait.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    waiting: Mutex<usize>,
    came: Condvar,
}

impl Gate {
    fn block(&self) {
        *self.waiting.lock().unwrap() += 1;
        self.came.notify_all();
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn until_waiting(&self, threads: usize) {
        let waiting = self.waiting.lock().unwrap();
        let fewer = |waiting: &mut usize| *waiting < threads;
        let (_waiting, late) = self.came.wait_timeout_while(waiting, SOON, fewer).unwrap();
        assert!(!late.timed_out(), "{threads} threads do not block");
    }
}

/// A server on a runtime of its own, driven from outside of any.
struct Running {
    runtime: Option<Runtime>,
    server: Option<Server>,
    address: SocketAddr,
    socket: PathBuf,
    gauges: Arc<ListenGauges>,
    drain: Drain,
    gate: Arc<Gate>,
    _dir: tempfile::TempDir,
}

impl Drop for Running {
    /// A test that fails leaves no thread blocked.
    fn drop(&mut self) {
        self.gate.open();
        drop(self.server.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SOON);
        }
    }
}

async fn which_thread() -> String {
    std::thread::current().name().unwrap_or("?").to_owned()
}

fn router(gate: &Arc<Gate>, drain: &Drain) -> Router {
    let gate = Arc::clone(gate);
    let block = move || {
        let gate = Arc::clone(&gate);
        async move {
            gate.block();
            which_thread().await
        }
    };
    let drain = drain.clone();
    let hang = move || {
        let drain = drain.clone();
        async move {
            let _in_flight = drain.begin();
            std::future::pending::<()>().await;
        }
    };
    Router::new()
        .route("/block", get(block))
        .route("/hang", get(hang.clone()))
        .route("/health/hang", get(hang))
        .route("/health", get(which_thread))
        .route("/health/live", get(which_thread))
        .route("/api/v1/status", get(which_thread))
        .route("/where", get(which_thread))
}

fn running() -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name(MAIN)
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("mainstay.sock");
    let (gate, drain) = (Arc::new(Gate::default()), Drain::new());
    let gauges = Arc::new(ListenGauges::default());
    let limits = Limits {
        header_timeout: SOON,
        ..Limits::default()
    };
    let (server, address) = runtime.block_on(async {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(anywhere, Some(&socket))
            .await
            .expect("binds");
        let address = listeners.address();
        let router = router(&gate, &drain);
        let counted = Arc::clone(&gauges);
        let server = Server::start(listeners, router, &limits, drain.clone(), counted);
        (server.expect("starts"), address)
    });
    Running {
        runtime: Some(runtime),
        server: Some(server),
        address,
        socket,
        gauges,
        drain,
        gate,
        _dir: dir,
    }
}

impl Running {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it runs")
    }

    fn server(&mut self) -> Server {
        self.server.take().expect("not taken before")
    }

    fn tcp(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address).expect("connects");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(SOON)).expect("an option");
        BufReader::new(stream)
    }

    fn unix(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(&self.socket).expect("connects");
        stream.set_read_timeout(Some(SOON)).expect("an option");
        BufReader::new(stream)
    }

    /// Blocks every thread of the main runtime. One after the other, so that no thread has the next one's work in hand.
    fn block_all(&self) -> Vec<BufReader<TcpStream>> {
        (1..=WORKERS)
            .map(|blocked| {
                let mut client = self.tcp();
                send(client.get_mut(), "/block");
                self.gate.until_waiting(blocked);
                client
            })
            .collect()
    }

    fn until(&self, what: &str, mut check: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !check(self) {
            assert!(Instant::now() < deadline, "never came true: {what}");
            std::thread::yield_now();
        }
    }

    fn until_none_is_open(&self) {
        self.until("no connection is open", |running| {
            running.gauges.tcp.load(Relaxed) + running.gauges.local.load(Relaxed) == 0
        });
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

fn send(to: &mut impl Write, path: &str) {
    to.write_all(request(path).as_bytes()).expect("writes");
}

/// The body of a 200; the connection stays open.
fn answer(from: &mut impl BufRead) -> String {
    let mut length = 0;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("an answer in time");
        assert!(!line.is_empty(), "closed after {head:?}");
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().expect("a number");
        }
        head.push_str(&line);
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut body = vec![0; length];
    from.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("text")
}

fn ask<S: Read + Write>(client: &mut BufReader<S>, path: &str) -> String {
    send(client.get_mut(), path);
    answer(client)
}

/// Waits until the other end has closed; a reset counts.
fn ended(client: &mut impl Read) {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => assert_eq!(String::from_utf8_lossy(&rest), ""),
    }
}

#[test]
fn health_and_the_operators_status_answer_while_every_main_thread_is_blocked() {
    let running = running();
    let mut blocked = running.block_all();
    for path in ["/health", "/health/live"] {
        assert_eq!(ask(&mut running.tcp(), path), FRONT);
        assert_eq!(ask(&mut running.unix(), path), FRONT);
    }
    assert_eq!(ask(&mut running.unix(), "/api/v1/status"), FRONT);
    // Who is not the operator waits for the main runtime, and is served when it turns again.
    let mut waiting = running.tcp();
    send(waiting.get_mut(), "/api/v1/status");
    running.gate.open();
    assert_eq!(answer(&mut waiting), MAIN);
    for client in &mut blocked {
        assert_eq!(answer(client), MAIN);
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let running = running();
    let metrics = running.runtime().metrics();
    let idle = metrics.num_alive_tasks();
    for path in ["/health", "/where"] {
        let mut client = running.tcp();
        let request = request(path);
        let (first, rest) = request.as_bytes().split_at(1);
        client.get_mut().write_all(first).expect("writes");
        // One byte tells nothing, so the connection is the main runtime's.
        running.until("it is handed over", |_| metrics.num_alive_tasks() > idle);
        for byte in rest {
            client.get_mut().write_all(&[*byte]).expect("writes");
        }
        assert_eq!(answer(&mut client), MAIN);
        drop(client);
        running.until("it is gone", |_| metrics.num_alive_tasks() == idle);
    }
}

#[test]
fn http_2_goes_to_the_main_runtime() {
    // Another test may have installed it already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let running = running();
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let answered = client.block_on(async {
        let client = reqwest::Client::builder()
            .http2_prior_knowledge()
            .no_proxy()
            .timeout(SOON)
            .build()
            .expect("a client");
        let url = format!("http://{}/health", running.address);
        let answer = client.get(url).send().await.expect("answers");
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        answer.text().await.expect("a body")
    });
    assert_eq!(answered, MAIN);
}

/// A connection that each runtime serves, and one that has said nothing yet.
fn one_of_each(running: &Running) -> [BufReader<TcpStream>; 3] {
    let (mut front, mut main, silent) = (running.tcp(), running.tcp(), running.tcp());
    assert_eq!(ask(&mut front, "/health"), FRONT);
    assert_eq!(ask(&mut main, "/where"), MAIN);
    running.until("all are open", |running| {
        running.gauges.tcp.load(Relaxed) == 3
    });
    [front, main, silent]
}

#[test]
fn a_drain_closes_idle_connections_of_both_runtimes() {
    let mut running = running();
    let clients = one_of_each(&running);
    let server = running.server();
    let drained = running.runtime().block_on(server.drain(SOON));
    assert_eq!(drained.cut_off, 0);
    for mut client in clients {
        ended(&mut client);
    }
    running.until_none_is_open();
}

#[test]
fn a_drain_cuts_off_what_hangs_on_either_runtime() {
    let mut running = running();
    let mut clients = [running.tcp(), running.tcp()];
    for (client, path) in clients.iter_mut().zip(["/hang", "/health/hang"]) {
        send(client.get_mut(), path);
    }
    running.until("both hang", |running| running.drain.in_flight() == 2);
    let server = running.server();
    let limit = Duration::from_millis(10);
    let drained = running.runtime().block_on(server.drain(limit));
    assert_eq!(drained.cut_off, 2);
    for mut client in clients {
        ended(&mut client);
    }
    running.until_none_is_open();
}

#[test]
fn a_drop_ends_the_connections_of_both_runtimes() {
    let mut running = running();
    let clients = one_of_each(&running);
    drop(running.server());
    for mut client in clients {
        ended(&mut client);
    }
    running.until_none_is_open();
    assert!(TcpStream::connect(running.address).is_err());
}
