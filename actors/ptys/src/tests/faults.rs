//! Faults inside the domain: nobody's terminal is lost, and attached viewers notice nothing.

use supervisor::{Injection, State};

use super::*;

impl Daemon {
    async fn inject(&self, path: &str, injection: Injection) {
        assert_eq!(
            within(self.system.inject(path, injection)).await,
            Ok(true),
            "{path}"
        );
    }

    fn restarts(&self, path: &str) -> u64 {
        self.system
            .status(Some(path), Some(0))
            .map_or(0, |node| node.restarts.count)
    }

    /// Whether the domain shows anything but that there is no store in these tests.
    fn suffers(&self) -> bool {
        let node = self.system.status(Some("/ptys"), None).unwrap();
        node.cause
            .is_some_and(|cause| cause.code != "ptys.records_not_saved")
    }

    /// Waits until the node was restarted `times` and runs again.
    async fn restarted(&self, path: &str, times: u64) {
        eventually(async || {
            let node = self.system.status(Some(path), Some(0))?;
            (node.restarts.count >= times && node.state == State::Running).then_some(())
        })
        .await;
    }
}

/// Asks until somebody answers: what a client does on 503.
async fn persist<T, E: std::fmt::Debug>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    eventually(async || ask().await.ok()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_manager_loses_no_terminal() {
    let daemon = Daemon::start(Config::default()).await;
    let mut shells = Vec::new();
    for number in 0..10 {
        shells.push(daemon.run(&format!("PS1='$ '; mark={number}")).await);
    }
    let mut client = daemon.attach(shells[0].id(), None).await;
    client.type_text("echo before-$((1+1))\n");
    client.until_text("before-2").await;

    daemon.inject("/ptys/manager", Injection::Panic).await;
    client.type_text("echo during-$((1+2))\n");
    client.until_text("during-3").await;
    daemon.restarted("/ptys/manager", 1).await;

    let listed = persist(async || daemon.handle.list(ground::PageRequest::default()).await).await;
    assert_eq!(listed.items.len(), 10);
    for (number, shell) in shells.iter().enumerate() {
        assert!(is_alive(shell.info.pid));
        let mut other = daemon.attach(shell.id(), None).await;
        other.type_text("echo mark-is-$mark\n");
        other.until_text(&format!("mark-is-{number}")).await;
    }
    assert_eq!(
        client.notices.len(),
        1,
        "only the greeting: {:?}",
        client.notices
    );
    let told = daemon.system.events(None, Some("/ptys/manager"), 100);
    assert!(told.iter().any(|event| {
        event
            .cause
            .as_ref()
            .is_some_and(|cause| cause.code == "actor.panicked")
    }));
    assert!(!daemon.suffers());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_a_terminals_actor_loses_nothing_and_bears_on_nobody() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    let path = format!("/ptys/terminals/{}", shell.id());
    for times in 1..=3 {
        daemon.inject(&path, Injection::Panic).await;
        daemon.restarted(&path, times).await;
        client.type_text(&format!("echo round-$(({times}*10))\n"));
        client.until_text(&format!("round-{times}0")).await;
        assert!(!daemon.suffers());
    }
    let change = crate::TerminalChange {
        name: Some("kept".to_owned()),
        ..crate::TerminalChange::default()
    };
    let info = persist(async || daemon.handle.update(shell.id(), change.clone()).await).await;
    assert_eq!((info.name.as_str(), info.pid), ("kept", shell.info.pid));
    within(daemon.handle.delete(shell.id())).await.unwrap();
    assert!(!is_alive(shell.info.pid));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_pump_is_started_again_and_loses_no_output() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("$ ").await;
    let terminal = daemon.ports.directory.terminal(shell.id()).unwrap();
    terminal.break_pump();
    client.type_text("seq 1 5000; echo end-$((1+1))\n");
    client.until_text("end-2").await;
    let text = client.text();
    let numbers: Vec<String> = (1..=5000).map(|n| n.to_string()).collect();
    assert!(text.contains(&numbers.join("\r\n")), "{text}");
    daemon
        .restarted(&format!("/ptys/terminals/{}", shell.id()), 1)
        .await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_get_new_actors_when_their_supervisor_was_killed() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    daemon.inject("/ptys/terminals", Injection::Kill).await;
    client.type_text("echo alive-$((1+1))\n");
    client.until_text("alive-2").await;
    let path = format!("/ptys/terminals/{}", shell.id());
    eventually(async || daemon.system.status(Some(&path), None).map(|_| ())).await;
    let change = crate::TerminalChange {
        cols: Some(100),
        ..crate::TerminalChange::default()
    };
    let info = persist(async || daemon.handle.update(shell.id(), change.clone()).await).await;
    assert_eq!((info.cols, info.rows), (100, 24));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_survive_a_restart_of_every_actor_by_hand() {
    use supervisor::Action;
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    for name in ["records", "keeper", "terminals", "manager"] {
        let path = format!("/ptys/{name}");
        let since = daemon.system.act(&path, Action::Restart).unwrap();
        eventually(async || {
            let events = daemon.system.events(Some(since), Some(&path), 100);
            events
                .iter()
                .any(|event| event.state == State::Running && event.path == path)
                .then_some(())
        })
        .await;
        client.type_text(&format!("echo after-{name}-$((1+1))\n"));
        client.until_text(&format!("after-{name}-2")).await;
    }
    assert!(is_alive(shell.info.pid));
    persist(async || daemon.handle.get(shell.id()).await).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_actor_keeps_nobody_from_ending_its_terminal() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("echo ready").await;
    let path = format!("/ptys/terminals/{}", shell.id());
    daemon.system.act(&path, supervisor::Action::Stop).unwrap();
    eventually(async || {
        let node = daemon.system.status(Some(&path), None);
        node.is_none_or(|node| node.state == State::Stopped)
            .then_some(())
    })
    .await;
    assert!(is_alive(shell.info.pid));
    within(daemon.handle.delete(shell.id())).await.unwrap();
    assert!(!is_alive(shell.info.pid));
    eventually(async || {
        daemon
            .system
            .status(Some(&path), None)
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(daemon.restarts("/ptys/manager"), 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_survive_when_the_whole_domain_is_killed() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut client = daemon.attach(shell.id(), None).await;
    daemon.inject("/ptys", Injection::Kill).await;
    daemon.restarted("/ptys", 1).await;
    client.type_text("echo alive-$((1+1))\n");
    client.until_text("alive-2").await;
    let info = persist(async || daemon.handle.get(shell.id()).await).await;
    assert_eq!(info.pid, shell.info.pid);
    daemon.stop().await;
    assert!(!is_alive(shell.info.pid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_domain_by_hand_ends_its_terminals() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("set -m; sleep 1000 & echo ready").await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("ready").await;
    daemon
        .system
        .act("/ptys", supervisor::Action::Restart)
        .unwrap();
    client.take_all().await;
    assert_eq!(client.notices.last().unwrap()["reason"], "shutdown");
    assert!(!is_alive(shell.info.pid));
    let listed = persist(async || daemon.handle.list(ground::PageRequest::default()).await).await;
    assert!(listed.items.is_empty());
    let next = daemon.run("echo ready").await;
    assert!(is_alive(next.info.pid));
    daemon.stop().await;
}
