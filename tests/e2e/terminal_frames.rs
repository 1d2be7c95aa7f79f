//! What a viewer may send by mistake or malice over the WebSocket, and that only it hears of it.
//!
//! Domains: `ptys`.

use kit::{Frame, PATIENCE};
use serde_json::json;

use crate::support::{daemon, open_and_attach, say, shell, terminal_of};

#[tokio::test]
async fn frames_that_cannot_be_read_are_answered_and_harm_nobody() {
    let daemon = daemon().start().await;
    let (id, mut clumsy) = open_and_attach(&daemon, &shell()).await;
    let mut bystander = daemon.attach(&id, Some(0)).await;
    let size = |cols: u64, rows: u64| {
        json!({ "cols": cols, "rows": rows })
            .to_string()
            .into_bytes()
    };
    let wrong: [(u8, Vec<u8>, &str); 9] = [
        (9, b"what".to_vec(), "ptys.frame_kind"),
        (255, Vec::new(), "ptys.frame_kind"),
        (1, b"{".to_vec(), "ptys.frame_resize"),
        (1, size(0, 24), "ptys.frame_resize"),
        (1, size(80, 0), "ptys.frame_resize"),
        (1, size(100_000, 24), "ptys.frame_resize"),
        (2, b"many".to_vec(), "ptys.frame_ack"),
        (2, b"-1".to_vec(), "ptys.frame_ack"),
        (3, vec![b'x'; 4000], "ptys.frame_ping"),
    ];
    for (kind, payload, code) in wrong {
        clumsy.send_frame(kind, &payload).await;
        let told = clumsy.read_notice_of("refused").await;
        assert_eq!(told["code"], code, "{told}");
        assert!(told["message"].is_string(), "{told}");
    }
    let terminal = terminal_of(&daemon.operator().await, &id).await;
    assert_eq!(
        (&terminal["cols"], &terminal["rows"]),
        (&json!(80), &json!(24))
    );
    say(&mut clumsy, "still-typing").await;
    bystander.read_until("still-typing").await;
    let frames = bystander.poll(kit::SHORT).await;
    assert!(
        !matches!(frames, Some(Frame::Notice(_))),
        "a bystander hears of it: {frames:?}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_text_message_ends_only_its_sender() {
    let daemon = daemon().start().await;
    let (id, mut clumsy) = open_and_attach(&daemon, &shell()).await;
    let mut bystander = daemon.attach(&id, Some(0)).await;
    clumsy.send_text("text where only bytes are read").await;
    assert_eq!(clumsy.read_close().await, Some(1003));
    say(&mut bystander, "unharmed").await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_oversized_message_ends_only_its_sender() {
    let daemon = daemon().start().await;
    let (id, mut clumsy) = open_and_attach(&daemon, &shell()).await;
    let mut bystander = daemon.attach(&id, Some(0)).await;
    clumsy.send_frame(0, &vec![b'x'; 32 * 1024 * 1024]).await;
    // 1009 is «message too big»; a reset while we were still sending says the same.
    let code = clumsy.read_close().await;
    assert!(matches!(code, Some(1009) | None), "{code:?}");
    say(&mut bystander, "unharmed").await;
    daemon.stop().await;
}

#[tokio::test]
async fn pings_are_answered_with_their_bytes() {
    let daemon = daemon().start().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        terminal.ping(payload).await;
        while terminal.next(PATIENCE).await != Frame::Pong(payload.to_vec()) {}
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_resize_over_the_socket_reaches_the_program() {
    let daemon = daemon().start().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.resize(132, 43).await;
    terminal.send_line("stty size").await;
    terminal.read_until("43 132").await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_comes_after_the_exit_is_ignored() {
    let daemon = daemon().start().await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    let mut late = daemon.attach(&id, Some(0)).await;
    terminal.send_line("exit 3").await;
    for frame in 0..200_u8 {
        terminal
            .send_frame(frame % 5, b"{\"cols\":80,\"rows\":24}")
            .await;
    }
    assert_eq!(terminal.read_exit().await["exit_code"], 3);
    terminal.send_line("echo too late").await;
    terminal.resize(100, 30).await;
    terminal.read_close().await;
    assert_eq!(late.read_exit().await["exit_code"], 3);
    daemon.anonymous().get("/health").await.expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_program_that_reads_nothing_blocks_nobody() {
    let daemon = daemon().start().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal
        .send_line("stty raw -echo; echo r''aw; sleep 1000")
        .await;
    terminal.read_until("raw").await;
    for _ in 0..64 {
        terminal.send_input(vec![b'x'; 64 * 1024]).await;
    }
    let dropped = terminal.read_notice_of("input_dropped").await;
    assert!(
        dropped["bytes"].as_u64().is_some_and(|bytes| bytes > 0),
        "{dropped}"
    );
    let (_, mut other) = open_and_attach(&daemon, &shell()).await;
    say(&mut other, "free").await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_unknown_terminal_or_protocol_is_no_web_socket() {
    let daemon = daemon().start().await;
    let token = daemon.operator_token().await;
    for (id, status) in [
        ("0198c2a4-8f3e-7c1d-b6a5-0f2e4d6c8b1a", 404),
        ("nonsense", 404),
    ] {
        let refused = daemon
            .try_attach(id, None, Some(&token), None)
            .await
            .expect_err("there is no such terminal");
        assert_eq!(refused.status, status);
    }
    let (id, attached) = open_and_attach(&daemon, &shell()).await;
    attached.detach().await;
    let plain = daemon
        .operator()
        .await
        .get(&format!("/api/v1/terminals/{id}/attach"))
        .await;
    assert_eq!(plain.problem(426)["code"], "http.upgrade_required");
    daemon.stop().await;
}
