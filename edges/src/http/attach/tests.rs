//! An attached socket from end to end: a real listener, a real WebSocket client, a real shell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use accounts::{Accounts, Identity, Role, Tier};
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use ground::{Db, Id};
use http::{HeaderValue, StatusCode};
use ptys::{DaemonEnvironment, NewTerminal, Ptys, PtysHandle, SUBPROTOCOL, TerminalInfo};
use serde_json::{Value, json};
use supervisor::{Domain, SystemBuilder};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use super::upgrade::MAX_MESSAGE;
use crate::http::caller::{Caller, Gate};
use crate::http::problem::Problem;
use crate::http::{About, AppState, Drain, Limits, Listeners, Parts, Server, router};
use crate::wire::Handles;

/// Within this time everything in these tests has happened.
const SOON: Duration = Duration::from_secs(20);

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Lets everybody in, and ends every token when told.
struct OpenGate(CancellationToken);

impl Gate for OpenGate {
    fn verify<'a>(&'a self, _token: &'a str) -> BoxFuture<'a, Result<Caller, Problem>> {
        let identity = Identity {
            token_id: Id::from_bytes([7; 16]),
            name: "test".into(),
            owner: None,
            role: Role::Owner,
            tier: Tier::Standard,
            scopes: [].into_iter().collect(),
            expires_at: None,
        };
        Box::pin(async move { Ok(Caller::Token(identity)) })
    }

    fn ended(&self, _caller: &Caller) -> BoxFuture<'static, ()> {
        Box::pin(self.0.clone().cancelled_owned())
    }
}

/// A server over real terminals.
struct House {
    address: SocketAddr,
    ptys: PtysHandle,
    system: supervisor::System,
    server: Server,
    revoked: CancellationToken,
}

impl House {
    async fn open(limits: Limits) -> Self {
        let mut builder = SystemBuilder::new();
        let address = builder.address::<Ptys>();
        let ptys = Ptys::handle(address.clone());
        let path = std::env::vars_os().filter(|(name, _)| name == "PATH");
        let needs = ptys::Ports::new(Db::vacant(), DaemonEnvironment::new(path));
        builder.add::<Ptys>(address, ptys::Config::default(), needs);
        // Terminals need the store softly; here it is switched off.
        builder.disable::<store::Store>("not needed here");
        let accounts = Accounts::handle(builder.address::<Accounts>());
        let mail = mail::Outgoing::handle(builder.address::<mail::Outgoing>());
        let idempotency = builder.address::<idempotency::Idempotency>();
        let idempotency = idempotency::Idempotency::handle(idempotency);
        let audit = audit::Audit::handle(builder.address::<audit::Audit>());
        let system = builder.start().await.expect("a tree");
        timeout(SOON, system.ready()).await.expect("ready");

        let listeners = Listeners::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).await;
        let listeners = listeners.expect("binds");
        let address = listeners.address();
        let (drain, revoked) = (Drain::new(), CancellationToken::new());
        let handles = Handles {
            drills: crate::drills::Drills::new(false, system.clone()),
            system: system.clone(),
            accounts,
            audit,
            idempotency,
            ledger: ledger::LedgerHandle::default(),
            mail,
            ptys: ptys.clone(),
        };
        let about = About {
            name: "mainstay",
            version: "0.0.0",
            commit: None,
            built_at: None,
            domains: Vec::new(),
        };
        let parts = Parts {
            handles,
            limits: limits.clone(),
            drain: drain.clone(),
            about,
            started: Instant::now(),
            is_loopback_only: true,
            tls: None,
        };
        let state = AppState::with_gate(parts, Arc::new(OpenGate(revoked.clone())));
        let gauges = Arc::clone(&state.listening);
        let server =
            Server::start(listeners, router(&state), &limits, drain, gauges).expect("starts");
        Self {
            address,
            ptys,
            system,
            server,
            revoked,
        }
    }

    /// A terminal that runs `script`.
    async fn terminal(&self, script: &str) -> TerminalInfo {
        let new = NewTerminal {
            shell: Some("/bin/sh".to_owned()),
            env: [
                ("ENV".to_owned(), String::new()),
                ("PS1".to_owned(), String::new()),
            ]
            .into(),
            cols: 80,
            rows: 24,
            ..NewTerminal::default()
        };
        let terminal = self
            .ptys
            .of(ptys::Viewer::Operator)
            .open(new)
            .await
            .expect("a terminal");
        if !script.is_empty() {
            let mut client = self.attach(&terminal).await;
            type_in(&mut client, script).await;
            // Typed means taken: the echo proves it.
            until_output(
                &mut client,
                script.trim_end().lines().next().unwrap_or_default(),
            )
            .await;
        }
        terminal
    }

    async fn try_attach(&self, path: &str, protocol: Option<&str>) -> Result<Client, Error> {
        let url = format!("ws://{}/api/v1/terminals/{path}", self.address);
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("authorization", HeaderValue::from_static("Bearer mst_any"));
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", protocol.parse().expect("ascii"));
        }
        let connected = timeout(SOON, connect_async(request))
            .await
            .expect("an answer");
        connected.map(|(client, response)| {
            let selected = response.headers().get("sec-websocket-protocol");
            assert_eq!(
                selected.map(HeaderValue::as_bytes),
                protocol.map(|_| SUBPROTOCOL.as_bytes())
            );
            client
        })
    }

    async fn attach(&self, terminal: &TerminalInfo) -> Client {
        let path = format!("{}/attach", terminal.id);
        self.try_attach(&path, Some(SUBPROTOCOL))
            .await
            .expect("attached")
    }

    async fn close(self) {
        self.server.drain(SOON).await;
        self.system.stop().await;
    }
}

async fn type_in(client: &mut Client, text: &str) {
    let message = [&[0], text.as_bytes()].concat();
    client
        .send(Message::Binary(message.into()))
        .await
        .expect("sent");
}

/// The next message that is not a ping.
async fn next(client: &mut Client) -> Message {
    loop {
        let message = timeout(SOON, client.next())
            .await
            .expect("a message in time");
        match message.expect("no end yet").expect("no error") {
            Message::Ping(_) => {}
            other => return other,
        }
    }
}

/// The next frame: its kind and payload.
async fn frame(client: &mut Client) -> (u8, Vec<u8>) {
    let Message::Binary(bytes) = next(client).await else {
        panic!("not a binary message")
    };
    let (kind, payload) = bytes.split_first().expect("a kind");
    (*kind, payload.to_vec())
}

/// Reads until the output holds `text`.
async fn until_output(client: &mut Client, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        if let (0 | 1, payload) = frame(client).await {
            seen.push_str(&String::from_utf8_lossy(&payload));
        }
    }
}

/// The next notice of this type; output before it is passed over.
async fn notice(client: &mut Client, kind: &str) -> Value {
    loop {
        if let (4, payload) = frame(client).await {
            let told: Value = serde_json::from_slice(&payload).expect("JSON");
            if told["type"] == kind {
                return told;
            }
        }
    }
}

/// The close code; whatever comes before it is passed over.
async fn close_code(client: &mut Client) -> u16 {
    loop {
        if let Message::Close(Some(frame)) = next(client).await {
            return frame.code.into();
        }
    }
}

#[tokio::test]
async fn what_is_typed_comes_back_and_the_exit_closes() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let mut client = house.attach(&terminal).await;
    assert_eq!(notice(&mut client, "attached").await["resumed"], false);
    type_in(&mut client, "echo $((20 + 22))\n").await;
    until_output(&mut client, "42").await;
    type_in(&mut client, "exit 3\n").await;
    let exit = loop {
        if let (2, payload) = frame(&mut client).await {
            break serde_json::from_slice::<Value>(&payload).expect("JSON");
        }
    };
    assert_eq!(exit["exit_code"], 3);
    assert_eq!(close_code(&mut client).await, 1000);
    house.close().await;
}

#[tokio::test]
async fn resize_ping_and_frames_that_cannot_be_used_are_answered() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let mut client = house.attach(&terminal).await;
    for (bad, code) in [
        (&b""[..], "ptys.frame_empty"),
        (b"\x09what", "ptys.frame_kind"),
        (b"\x01{\"cols\":0,\"rows\":24}", "ptys.frame_resize"),
        (b"\x01{\"cols\":100000,\"rows\":24}", "ptys.frame_resize"),
        (b"\x02many", "ptys.frame_ack"),
    ] {
        client
            .send(Message::Binary(bad.to_vec().into()))
            .await
            .expect("sent");
        assert_eq!(notice(&mut client, "refused").await["code"], code);
    }
    client
        .send(Message::Binary(b"\x03are you there".to_vec().into()))
        .await
        .expect("sent");
    loop {
        if let (3, payload) = frame(&mut client).await {
            assert_eq!(payload, b"are you there");
            break;
        }
    }
    let size = json!({"cols": 101, "rows": 31}).to_string();
    client
        .send(Message::Binary([b"\x01", size.as_bytes()].concat().into()))
        .await
        .expect("sent");
    type_in(&mut client, "stty size\n").await;
    until_output(&mut client, "31 101").await;
    house.close().await;
}

#[tokio::test]
async fn messages_that_break_the_protocol_end_that_socket_alone() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let mut other = house.attach(&terminal).await;

    let mut client = house.attach(&terminal).await;
    client
        .send(Message::Text("ls\n".into()))
        .await
        .expect("sent");
    assert_eq!(close_code(&mut client).await, 1003);

    let mut client = house.attach(&terminal).await;
    let big = vec![0; MAX_MESSAGE + 1];
    // The server may close before it has read all of it.
    let _sent = client.send(Message::Binary(big.into())).await;
    assert_eq!(close_code(&mut client).await, 1009);

    type_in(&mut other, "echo still $((1 + 1)) here\n").await;
    until_output(&mut other, "still 2 here").await;
    house.close().await;
}

#[tokio::test]
async fn the_end_of_a_token_closes_within_a_second() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let mut client = house.attach(&terminal).await;
    notice(&mut client, "attached").await;
    let started = Instant::now();
    house.revoked.cancel();
    assert_eq!(close_code(&mut client).await, 4401);
    assert!(started.elapsed() < Duration::from_secs(1));
    house.close().await;
}

#[tokio::test]
async fn stopping_closes_and_the_drain_does_not_wait_for_it() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let mut client = house.attach(&terminal).await;
    notice(&mut client, "attached").await;
    let closed = async {
        let code = close_code(&mut client).await;
        drop(client);
        code
    };
    let both = async { tokio::join!(house.server.drain(SOON), closed) };
    let (drained, code) = timeout(SOON, both).await.expect("a quick drain");
    assert_eq!((drained.cut_off, code), (0, 1001));
    house.system.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_dead_is_let_go_and_one_that_answers_is_kept() {
    let limits = Limits {
        ping_interval: Duration::from_millis(50),
        dead_after: Duration::from_millis(400),
        ..Limits::default()
    };
    let house = House::open(limits).await;
    let terminal = house.terminal("").await;
    // It never reads, so it never answers a ping.
    let dead = house.attach(&terminal).await;
    let mut alive = house.attach(&terminal).await;
    let viewers = async {
        loop {
            let info = house
                .ptys
                .of(ptys::Viewer::Operator)
                .get(terminal.id)
                .await
                .expect("there");
            if info.viewers == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        while let Some(Ok(_)) = alive.next().await {}
        panic!("the one that answers was let go");
    };
    tokio::select! {
        () = viewers => {}
        () = reading => {}
        () = tokio::time::sleep(SOON) => panic!("the dead one is still attached"),
    }
    type_in(&mut alive, "echo ok $((1 + 1))\n").await;
    until_output(&mut alive, "ok 2").await;
    drop(dead);
    house.close().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let stuck = house.attach(&terminal).await;
    let mut client = house.attach(&terminal).await;
    type_in(&mut client, "i=0; while [ $i -lt 200000 ]; do echo line $i; i=$((i+1)); done; echo all $((1 + 1)) done\n").await;
    until_output(&mut client, "all 2 done").await;
    drop(stuck);
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_attached_is_an_http_error() {
    let house = House::open(Limits::default()).await;
    let terminal = house.terminal("").await;
    let refused =
        async |path: &str, protocol: Option<&str>| match house.try_attach(path, protocol).await {
            Err(Error::Http(response)) => {
                let body: Value =
                    serde_json::from_slice(response.body().as_deref().unwrap_or_default())
                        .unwrap_or_default();
                (
                    response.status(),
                    body["code"].as_str().unwrap_or_default().to_owned(),
                )
            }
            other => panic!("{other:?}"),
        };
    let nobody = format!("{}/attach", Id::generate());
    let (status, code) = refused(&nobody, Some(SUBPROTOCOL)).await;
    assert_eq!(
        (status, code.as_str()),
        (StatusCode::NOT_FOUND, "ptys.not_found")
    );
    let path = format!("{}/attach", terminal.id);
    let (status, code) = refused(&path, Some("ssh.v2")).await;
    assert_eq!(
        (status, code.as_str()),
        (StatusCode::BAD_REQUEST, "http.unknown_sub_protocol")
    );
    let (status, code) = refused(&format!("{path}?since=-1"), Some(SUBPROTOCOL)).await;
    assert_eq!(
        (status, code.as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "http.invalid")
    );
    // A client that names no sub-protocol is served the only one there is.
    assert!(house.try_attach(&path, None).await.is_ok());
    house.close().await;
}
