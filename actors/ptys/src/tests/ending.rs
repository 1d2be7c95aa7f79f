//! How terminals end: by themselves, by DELETE, by time, with the daemon; and what is left behind: nothing.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_child_does_not_hold_back_the_exit_and_ends_with_the_terminal() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon
        .run("(trap '' HUP; echo child=$BASHPID ; exec sleep 1000) &\nread -r; exit 5")
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    let child = client.number_after("child=").await;
    client.type_text("\n");
    client.take_all().await;
    assert_eq!(client.exit.as_ref().unwrap()["exit_code"], 5);
    let info = daemon.handle.get(shell.id()).await.unwrap();
    assert_eq!(
        (info.state, info.exit_code),
        (TerminalState::Exited, Some(5))
    );
    assert!(is_alive(child), "an exit leaves it alone");
    within(daemon.handle.delete(shell.id())).await.unwrap();
    assert!(!is_alive(child), "a delete does not");
    assert!(matches!(
        daemon.handle.get(shell.id()).await,
        Err(PtysError::NotFound(_))
    ));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_ends_the_whole_session() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon
        .run(
            "set -m\nsleep 1000 & echo one=$! ;\n(sleep 1000; true) & echo two=$! ;\n\
             sleep 1000 & echo three=$! ; kill -STOP $!\necho shell=$$ ;\n",
        )
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    let mut pids = Vec::new();
    for label in ["one=", "two=", "three=", "shell="] {
        pids.push(client.number_after(label).await);
    }
    assert_eq!(pids[3], shell.info.pid);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    within(daemon.handle.delete(shell.id())).await.unwrap();
    for pid in pids {
        assert!(!is_alive(pid), "{pid}");
    }
    client.take_all().await;
    assert_eq!(client.exit.as_ref().unwrap()["signal"], "SIGHUP");
    assert_eq!(client.exit.as_ref().unwrap()["exit_code"], 129);
    assert_eq!(
        client.notices.last().unwrap(),
        &serde_json::json!({"type": "closed", "reason": "deleted"})
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_that_ignores_the_hangup_is_killed_after_the_grace() {
    let config = Config {
        hangup_grace: Duration::from_millis(300),
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let shell = daemon
        .run("trap '' HUP TERM INT; echo ready; while :; do sleep 1000; done")
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("ready").await;
    within(daemon.handle.delete(shell.id())).await.unwrap();
    assert!(!is_alive(shell.info.pid));
    client.take_all().await;
    assert_eq!(client.exit.as_ref().unwrap()["signal"], "SIGKILL");
    assert_eq!(client.exit.as_ref().unwrap()["exit_code"], 137);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_the_daemon_ends_every_shell() {
    let daemon = Daemon::start(Config::default()).await;
    let mut pids = Vec::new();
    let mut clients = Vec::new();
    let mut homes = Vec::new();
    for script in [
        "sleep 1000",
        "trap '' HUP; sleep 1000",
        "set -m; sleep 1000 &",
        "yes",
    ] {
        let shell = daemon.run(&format!("echo ready\n{script}")).await;
        let mut client = daemon.attach(shell.id(), None).await;
        client.until_text("ready").await;
        pids.push(shell.info.pid);
        clients.push(client);
        homes.push(shell);
    }
    daemon.stop().await;
    for pid in pids {
        assert!(!is_alive(pid), "{pid}");
    }
    for mut client in clients {
        client.take_all().await;
        assert!(client.exit.is_some());
        assert_eq!(client.notices.last().unwrap()["reason"], "shutdown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_terminal_is_closed_and_a_watched_one_is_not() {
    let config = Config {
        idle_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let watched = daemon.run("echo ready").await;
    let client = daemon.attach(watched.id(), None).await;
    let idle = daemon.run("echo ready").await;
    eventually(async || daemon.handle.get(idle.id()).await.is_err().then_some(())).await;
    assert!(!is_alive(idle.info.pid));
    assert_eq!(
        daemon.handle.get(watched.id()).await.unwrap().state,
        TerminalState::Running
    );
    drop(client);
    eventually(async || daemon.handle.get(watched.id()).await.is_err().then_some(())).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_terminals_are_kept_by_number_and_time() {
    let config = Config {
        keep_exited: 2,
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let shell = daemon.run("exit").await;
        let mut client = daemon.attach(shell.id(), None).await;
        client.take_all().await;
        ids.push(shell.id());
    }
    let listed = eventually(async || {
        let page = daemon
            .handle
            .list(ground::PageRequest::default())
            .await
            .unwrap();
        (page.items.len() == 2).then(|| page.items.iter().map(|info| info.id).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(listed, ids[2..]);
    daemon.stop().await;

    let config = Config {
        keep_exited_for: Duration::ZERO,
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let shell = daemon.run("exit").await;
    eventually(async || daemon.handle.get(shell.id()).await.is_err().then_some(())).await;
    daemon.stop().await;
}
