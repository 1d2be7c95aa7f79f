//! The edge against strangers: how often they may ask, who they say they are, how slowly they send, and HTTPS without a proxy.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kit::{Daemon, Home, PATIENCE, Signal, eventually, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{cli, daemon, open, shell, status, status_with};

const FEW: &str = "[limits]\nanonymous_per_minute = 3\nsigned_in_per_minute = 8\n";

#[tokio::test]
async fn quotas_are_told_kept_and_can_be_raised_live() {
    let daemon = daemon().config(FEW).start().await;
    let stranger = daemon.anonymous();
    for left in [2, 1, 0] {
        let answer = stranger.get("/api/v1/status").await;
        answer.problem(401);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"anonymous\";q=3;w=60")
        );
        let told = answer.header("ratelimit").unwrap_or_default();
        assert!(told.contains(&format!("r={left};")), "{told}");
    }
    let over = stranger.get("/api/v1/status").await;
    assert_eq!(over.problem(429)["code"], "http.rate_limited");
    assert!(over.header("retry-after").is_some());
    // Not even a right token is looked up there now, but who asks for health is answered, and so is the local operator.
    let token = daemon.operator_token().await;
    let owner = daemon.with_token(&token);
    owner.get("/api/v1/status").await.problem(429);
    for path in ["/health", "/health/ready", "/info"] {
        stranger.get(path).await.expect(200);
    }
    daemon.local().get("/api/v1/status").await.expect(200);

    // The counts are nobody's state who restarts.
    daemon.cli(&["restart", "/accounts/manager"]).await;
    status_with(&daemon, "/accounts", "level", "NORMAL").await;
    stranger.get("/api/v1/status").await.problem(429);

    let more = FEW.replace("= 3", "= 1000").replace("= 8", "= 5");
    daemon.home().write("mainstay.toml", more);
    daemon.signal(Signal::HUP);
    eventually(PATIENCE, async || {
        let answer = owner.get("/api/v1/status").await;
        match answer.header("ratelimit-policy") {
            Some("\"signed-in\";q=5;w=60") => Ok(()),
            other => Err(format!("{} {other:?}", answer.status)),
        }
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(owner.get("/api/v1/status").await.status);
    }
    assert_eq!(answers.last(), Some(&429), "{answers:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_proxy_is_believed_about_clients_and_nobody_else_is() {
    let behind = daemon()
        .config(format!(
            "{FEW}\n[http]\ntrusted_proxies = [\"127.0.0.1\"]\npublic_hosts = [\"box.example\"]\n"
        ))
        .start()
        .await;
    let ask = async |daemon: &Daemon, client: &str| {
        let request = daemon
            .anonymous()
            .request(http::Method::GET, "/api/v1/status");
        let request = request.header("x-forwarded-for", client);
        request.header("x-forwarded-proto", "https").send().await
    };
    for client in ["192.0.2.1", "2001:db8::1"] {
        for _ in 0..3 {
            ask(&behind, client).await.problem(401);
        }
        ask(&behind, client).await.problem(429);
    }
    let answer = ask(&behind, "192.0.2.2").await;
    answer.problem(401);
    assert!(answer.header("strict-transport-security").is_some());
    let request = behind.anonymous().request(http::Method::GET, "/health");
    let renamed = request.header("x-forwarded-host", "rebind.example").send();
    assert_eq!(renamed.await.problem(421)["code"], "http.unknown_host");
    let ended = behind.stop().await;
    assert!(
        ended.stderr.contains("192.0.2.2"),
        "the log tells the client"
    );

    let alone = daemon().config(FEW).start().await;
    for number in 0..3 {
        ask(&alone, &format!("192.0.2.{number}")).await.problem(401);
    }
    let over = ask(&alone, "192.0.2.99").await;
    over.problem(429);
    assert_eq!(over.header("strict-transport-security"), None);
    alone.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_is_told_so() {
    let daemon = daemon()
        .config("[http]\nbody_timeout = \"300ms\"\n")
        .start()
        .await;
    let token = daemon.operator_token().await;
    let head = format!(
        "POST /api/v1/terminals HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"cols\"",
        daemon.address()
    );
    let mut stream = TcpStream::connect(daemon.address())
        .await
        .expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    drop(within(PATIENCE, "the answer and the end", read).await);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("http.body_timeout"), "{answer}");
    daemon.stop().await;
}

/// A pair for `localhost` in a home: the certificate's file, and the certificate.
fn renew(home: &Home) -> rcgen::Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a pair");
    put(home, "key.pem", &made.signing_key.serialize_pem(), 0o600);
    put(home, "cert.pem", &made.cert.pem(), 0o644);
    made.cert
}

fn put(home: &Home, name: &str, text: &str, mode: u32) {
    let path = home.write(&format!("{name}.new"), text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its own");
    std::fs::rename(path, home.root().join(name)).expect("renames");
}

fn tls_config(home: &Home) -> String {
    let root = home.root().display();
    format!("[http.tls]\ncert_file = \"{root}/cert.pem\"\nkey_file = \"{root}/key.pem\"\n")
}

/// Asks over HTTPS, believing this certificate alone; `None` when that is not the one that is shown.
async fn ask(daemon: &Daemon, trusted: &rcgen::Certificate) -> Option<reqwest::Response> {
    let trusted = reqwest::Certificate::from_der(trusted.der()).expect("a certificate");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .resolve("localhost", daemon.address())
        .build()
        .expect("a client");
    let url = format!("https://localhost:{}/health", daemon.address().port());
    let sent = within(PATIENCE, "an answer", client.get(url).send()).await;
    sent.ok()
}

#[tokio::test]
async fn https_is_served_and_the_certificate_renewed() {
    let home = Home::new();
    let first = renew(&home);
    let daemon = daemon().home(&home).config(tls_config(&home)).start().await;
    assert!(daemon.url().starts_with("https://"), "{}", daemon.url());
    let answer = ask(&daemon, &first).await.expect("served");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert!(answer.headers().contains_key("strict-transport-security"));

    // Plain HTTP is hung up on, cleanly.
    let mut plain = TcpStream::connect(daemon.address())
        .await
        .expect("connects");
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    plain.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    let read = within(PATIENCE, "the end", plain.read_to_end(&mut answer)).await;
    assert_eq!(read.expect("no reset"), 0);

    // Half of a renewal is told and not taken.
    put(&home, "cert.pem", "not a certificate", 0o644);
    daemon.signal(Signal::HUP);
    eventually(PATIENCE, async || {
        let root = status(&daemon, "/").await;
        let told = root["detail"]["tls_certificate"].as_str();
        let told = told.unwrap_or_default().to_owned();
        if told.contains("cert.pem") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    assert!(ask(&daemon, &first).await.is_some(), "the old one stays");

    // Without a word the files are seen, too.
    let second = renew(&home);
    eventually(PATIENCE, async || {
        ask(&daemon, &second).await.map(drop).ok_or("the new one")
    })
    .await;
    assert!(ask(&daemon, &first).await.is_none());
    assert_eq!(
        status(&daemon, "/").await["detail"]["tls_certificate"],
        Value::Null
    );
    daemon.stop().await;
}

async fn check(home: &Home, text: &str) -> kit::Ended {
    let file = home.write("checked.toml", text);
    let file = file.to_str().expect("a plain path").to_owned();
    cli(home, &["config", "check", &file]).await
}

#[tokio::test]
async fn a_pair_that_is_none_is_refused_before_the_start() {
    let home = Home::new();
    let tls = tls_config(&home);
    renew(&home);
    check(&home, &tls).await.expect(0);
    put(&home, "key.pem", "", 0o600);
    let told = check(&home, &tls).await.expect(4).stderr;
    assert!(
        told.contains("key_file") && told.contains("no private key"),
        "{told}"
    );
    renew(&home);
    let key = home.root().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("its own");
    let told = check(&home, &tls).await.expect(4).stderr;
    assert!(
        told.contains("key_file") && told.contains("chmod 600"),
        "{told}"
    );
    renew(&home);
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    put(&home, "cert.pem", &other.expect("a pair").cert.pem(), 0o644);
    let told = check(&home, &tls).await.expect(4).stderr;
    assert!(told.contains("cert_file"), "{told}");
    // A daemon does not start on that either.
    let ended = daemon().home(&home).config(tls).run_to_exit().await;
    assert_eq!(ended.code, 4, "{}", ended.stderr);
}

#[tokio::test]
async fn configuration_that_locks_everybody_out_is_refused() {
    let home = Home::new();
    for (text, key) in [
        ("[http.tls]\n", "cert_file"),
        ("[http.tls]\ncert_file = \"/x\"\n", "key_file"),
        (
            "[limits]\nanonymous_per_minute = 0\n",
            "anonymous_per_minute",
        ),
        (
            "[http]\nlisten = \"0.0.0.0:1\"\npublic_hosts = [\"localhost\"]\n",
            "public_hosts",
        ),
        (
            "[http]\npublic_hosts = [\"https://box.example\"]\n",
            "public_hosts",
        ),
        (
            "[http]\ntrusted_proxies = [\"proxy.example\"]\n",
            "trusted_proxies",
        ),
        (
            "[http]\ntrusted_proxies = [\"10.1.2.3/8\"]\n",
            "trusted_proxies",
        ),
        ("[http]\ncors_origins = [\"*\"]\n", "cors_origins"),
    ] {
        let told = check(&home, text).await.expect(4).stderr;
        assert!(told.contains(key), "{text}: {told}");
    }
    for (text, key) in [
        (
            "[http]\ntrusted_proxies = [\"0.0.0.0/0\"]\n",
            "trusted_proxies",
        ),
        ("[http]\ntrusted_proxies = [\"::/0\"]\n", "trusted_proxies"),
        ("[http]\nlisten = \"0.0.0.0:1\"\n", "listen"),
    ] {
        let told = check(&home, text).await.expect(0).stderr;
        assert!(
            told.contains("warning") && told.contains(key),
            "{text}: {told}"
        );
    }
}

#[tokio::test]
async fn one_address_does_not_lock_out_the_others() {
    let daemon = daemon()
        .config("[http]\nmax_connections_per_address = 4\n")
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let stream = TcpStream::connect(daemon.address()).await;
        held.push(stream.expect("connects"));
    }
    eventually(PATIENCE, async || {
        let mut stream = TcpStream::connect(daemon.address())
            .await
            .expect("connects");
        let mut answer = String::new();
        drop(within(PATIENCE, "an answer", stream.read_to_string(&mut answer)).await);
        if answer.contains("from this address") {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
    // From another address of this machine.
    let other = tokio::net::TcpSocket::new_v4().expect("a socket");
    other
        .bind(([127, 0, 0, 2], 0).into())
        .expect("loopback is a network");
    let mut other = other.connect(daemon.address()).await.expect("connects");
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    other.write_all(request).await.expect("sent");
    let mut answer = String::new();
    let read = within(PATIENCE, "an answer", other.read_to_string(&mut answer)).await;
    read.expect("whole");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(held);
    daemon.stop().await;
}

#[tokio::test]
async fn the_secrets_of_tls_are_in_no_log() {
    let home = Home::new();
    renew(&home);
    let key = std::fs::read_to_string(home.root().join("key.pem")).expect("readable");
    let secret = key.lines().nth(1).expect("a line of the key").to_owned();
    let daemon = daemon()
        .home(&home)
        .config(format!("[log]\nfilter = \"trace\"\n{}", tls_config(&home)))
        .start()
        .await;
    put(
        &home,
        "key.pem",
        &format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
        0o600,
    );
    daemon.signal(Signal::HUP);
    status_tells(&daemon, "key.pem").await;
    let id = open(&daemon.local(), &shell()).await;
    assert!(!id.is_empty());
    let ended = daemon.stop().await;
    assert!(!ended.stderr.contains(&secret));
    assert!(Path::new(&home.root().join("key.pem")).is_file());
}

async fn status_tells(daemon: &Daemon, word: &str) {
    eventually(PATIENCE, async || {
        let root = status(daemon, "/").await;
        if root["detail"].to_string().contains(word) {
            Ok(())
        } else {
            Err(root.to_string())
        }
    })
    .await;
}
