//! Bad requests, and everything that has a bound.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_with_a_request_is_told_at_once() {
    let daemon = Daemon::start(Config::default()).await;
    let new = NewTerminal {
        cwd: Some("/etc/passwd".to_owned()),
        shell: Some("/no/such/shell".to_owned()),
        env: BTreeMap::from([("MAINSTAY_TOKEN".to_owned(), "x".to_owned())]),
        cols: 0,
        rows: 100_000,
        name: None,
    };
    let Err(PtysError::Invalid(findings)) = within(daemon.handle.open(new)).await else {
        panic!("it is wrong")
    };
    let told: Vec<&str> = findings
        .iter()
        .map(|finding| finding.pointer.as_str())
        .collect();
    assert_eq!(
        told,
        ["/cols", "/rows", "/env/MAINSTAY_TOKEN", "/shell", "/cwd"]
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_that_the_kernel_refuses_is_a_finding() {
    let daemon = Daemon::start(Config::default()).await;
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let new = NewTerminal {
        shell: Some(script.to_str().unwrap().to_owned()),
        ..request(&home)
    };
    let Err(PtysError::Invalid(findings)) = within(daemon.handle.open(new)).await else {
        panic!("it cannot run")
    };
    assert_eq!(
        (findings[0].pointer.as_str(), findings[0].code.as_str()),
        ("/shell", "not_executable")
    );
    assert!(
        daemon
            .handle
            .list(ground::PageRequest::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_gets_a_clean_environment() {
    let daemon = Daemon::start(Config {
        env: vec!["COLOR=blue".to_owned()],
        ..Config::default()
    })
    .await;
    let shell = daemon.run("env | sort; stty size; tty; echo pgid=$(ps -o pgid= $$); ls /proc/$$/fd | tr '\\n' ,; exit").await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.take_all().await;
    let text = client.text();
    assert!(
        !text.contains("s3cret") && !text.contains("MAINSTAY"),
        "{text}"
    );
    assert!(
        !text.contains("CARGO"),
        "nothing of this test's own environment passes: {text}"
    );
    for wanted in [
        "TERM=xterm-256color\r",
        "COLORTERM=truecolor\r",
        "COLOR=blue\r",
        "SHELL=/bin/bash\r",
        "24 80\r",
        "/dev/pts/",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(
        text.contains("0,1,2,255,"),
        "no descriptor of the daemon: {text}"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_terminals_and_viewers_is_bounded() {
    let daemon = Daemon::start(Config {
        max_terminals: 2,
        max_viewers: 2,
        ..Config::default()
    })
    .await;
    let first = daemon.run("echo ready").await;
    let _second = daemon.run("echo ready").await;
    let home = home_with("");
    let refused = within(daemon.handle.open(request(&home))).await;
    assert!(matches!(refused, Err(PtysError::TooMany { limit: 2 })));

    let mut viewers = vec![
        daemon.attach(first.id(), None).await,
        daemon.attach(first.id(), None).await,
    ];
    assert!(matches!(
        daemon.handle.attach(first.id(), None).await,
        Err(PtysError::TooManyViewers { limit: 2 })
    ));
    assert_eq!(daemon.handle.get(first.id()).await.unwrap().viewers, 2);
    viewers.pop();
    viewers.push(daemon.attach(first.id(), None).await);

    // One that has ended takes no place.
    viewers[0].type_text("exit\n");
    viewers[0].take_all().await;
    let _third = daemon.run("echo ready").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_that_nobody_reads_is_bounded_and_blocks_nobody() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon
        .run("stty raw -echo; echo ready; trap : INT; sleep 1000; echo woken; exit")
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("ready").await;
    let part = vec![b'x'; 64 * 1024];
    for _ in 0..32 {
        client.send(0, &part);
    }
    let dropped = client.until_notice("input_dropped").await["bytes"]
        .as_u64()
        .unwrap();
    assert!((900_000..1_200_000).contains(&dropped), "{dropped}");
    let mut other = daemon.attach(shell.id(), None).await;
    other.until_text("ready").await;
    within(daemon.handle.delete(shell.id())).await.unwrap();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_frames_are_answered_and_harm_nothing() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    for (kind, payload, code) in [
        (9, "x", "ptys.frame_kind"),
        (1, r#"{"cols":100000,"rows":24}"#, "ptys.frame_resize"),
        (1, "{}", "ptys.frame_resize"),
        (2, "many", "ptys.frame_ack"),
    ] {
        client.send(kind, payload.as_bytes());
        assert_eq!(client.until_notice("refused").await["code"], code);
        client.notices.clear();
    }
    client.input.receive(b"");
    assert_eq!(
        client.until_notice("refused").await["code"],
        "ptys.frame_empty"
    );
    client
        .input
        .refuse("ws.text", "only binary messages are read");
    client.type_text("echo still-$((1+1))\n");
    client.until_text("still-2").await;
    let told = crate::frames::notice(&Notice::InputDropped { bytes: 1 });
    assert!(told.len() > 1);

    // After the exit: input is answered, all else ignored, until the stream ends.
    client.type_text("exit\n");
    eventually(async || {
        let info = daemon.handle.get(shell.id()).await.unwrap();
        (info.state == TerminalState::Exited).then_some(())
    })
    .await;
    client.type_text("echo nobody\n");
    client.send(1, br#"{"cols":90,"rows":30}"#);
    client.send(7, b"");
    client.take_all().await;
    assert!(
        client
            .notices
            .iter()
            .any(|notice| notice["type"] == "input_dropped")
    );
    assert!(client.exit.is_some());
    let late = client.input.clone();
    drop(client);
    late.receive(b"\x00x");
    daemon.stop().await;
}
