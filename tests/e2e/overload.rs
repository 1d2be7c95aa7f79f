//! Too many at once: the daemon answers some at once with «later», serves the rest, and stays small.

use kit::{PATIENCE, Signal, eventually, raise_file_limit, resident_bytes};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{daemon, open_and_attach, say, shell};

const SILENT: usize = 1000;

#[tokio::test]
async fn a_thousand_silent_clients_starve_nobody() {
    raise_file_limit();
    let daemon = daemon()
        .config("[http]\nheader_timeout = \"3s\"\nmax_connections_per_address = 4096\n")
        .start()
        .await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    let before = resident_bytes(daemon.pid()).expect("it runs");
    let mut silent = Vec::with_capacity(SILENT);
    for number in 0..SILENT {
        let mut stream = TcpStream::connect(daemon.address())
            .await
            .expect("connects");
        // Half of them say nothing, half begin a request and then say nothing more.
        if number % 2 == 0 {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nhost: ")
                .await
                .expect("sent");
        }
        silent.push(stream);
    }
    for _ in 0..20 {
        daemon.anonymous().get("/health").await.expect(200);
        daemon
            .operator()
            .await
            .get("/api/v1/status")
            .await
            .expect(200);
    }
    say(&mut terminal, "not-starved").await;
    let grown = resident_bytes(daemon.pid())
        .expect("it runs")
        .saturating_sub(before);
    assert!(
        grown < 96 * 1024 * 1024,
        "{grown} bytes for {SILENT} silent clients"
    );
    // They are not kept for ever.
    for mut stream in silent {
        let mut answer = Vec::new();
        drop(
            kit::within(
                PATIENCE,
                "a silent client is hung up on",
                stream.read_to_end(&mut answer),
            )
            .await,
        );
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
            "{answer:?}"
        );
    }
    daemon.stop().await;
}

#[tokio::test]
async fn sigterm_does_not_wait_for_the_silent() {
    raise_file_limit();
    let daemon = daemon()
        .config("[http]\nmax_connections_per_address = 4096\n")
        .start()
        .await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(
            TcpStream::connect(daemon.address())
                .await
                .expect("connects"),
        );
    }
    daemon.anonymous().get("/health").await.expect(200);
    daemon.signal(Signal::TERM);
    let asked = tokio::time::Instant::now();
    daemon.stopped(PATIENCE).await;
    assert!(asked.elapsed().as_secs() < 8, "{:?}", asked.elapsed());
    drop(silent);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told() {
    let daemon = daemon()
        .config("[http]\nmax_connections = 8\n")
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(
            TcpStream::connect(daemon.address())
                .await
                .expect("connects"),
        );
    }
    eventually(PATIENCE, async || {
        let mut stream = TcpStream::connect(daemon.address())
            .await
            .expect("connects");
        // It may be hung up on before it has asked.
        drop(
            stream
                .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await,
        );
        let mut answer = vec![0; 12];
        match stream.read_exact(&mut answer).await {
            Ok(_) if answer == b"HTTP/1.1 503" => Ok(()),
            _ => Err(format!("a 503, not {:?}", String::from_utf8_lossy(&answer))),
        }
    })
    .await;
    // The local operator has a way in of their own.
    daemon.local().get("/api/v1/status").await.expect(200);
    drop(held);
    eventually(PATIENCE, async || {
        let reply = daemon
            .anonymous()
            .request(http::Method::GET, "/health")
            .try_send()
            .await;
        match reply {
            Ok(reply) if reply.status == 200 => Ok(()),
            other => Err(format!("served again, not {other:?}")),
        }
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_at_once() {
    let daemon = daemon().config("[http]\nmax_streams = 2\n").start().await;
    let operator = daemon.operator().await;
    let first = operator.events("/api/v1/status/stream", None).await;
    let _second = operator.events("/api/v1/status/stream", None).await;
    let refused = operator.get("/api/v1/status/stream").await;
    assert_eq!(refused.problem(503)["code"], "http.overloaded");
    assert!(refused.header("retry-after").is_some());
    drop(first);
    eventually(PATIENCE, async || {
        let request = operator.request(
            http::Method::GET,
            "/api/v1/terminals/0198c2a4-8f3e-7c1d-b6a5-0f2e4d6c8b1a",
        );
        let reply = request.send().await;
        if reply.status == 404 {
            Ok(())
        } else {
            Err(reply.text())
        }
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_burst_is_answered_one_way_or_the_other() {
    raise_file_limit();
    let daemon = daemon()
        .config("[http]\nmax_in_flight = 16\nmax_connections_per_address = 4096\n[ptys]\nmax_terminals = 4\n")
        .start()
        .await;
    let operator = daemon.operator().await;
    let mut burst = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let client = operator.clone();
        burst.spawn(async move {
            let wanted = json!({ "shell": "/bin/cat", "cols": 80, "rows": 24 });
            client.post("/api/v1/terminals", &wanted).await
        });
    }
    let replies = burst.join_all().await;
    for reply in &replies {
        match reply.status {
            201 => {}
            429 | 503 => assert!(reply.header("retry-after").is_some(), "{}", reply.text()),
            other => panic!("{other}: {}", reply.text()),
        }
    }
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 4, "as many as may be, and not one more");
    daemon.stop().await;
}
