//! The process itself: how it starts, what keeps it from starting, and every way it ends.
//!
//! Domains: `accounts`, `store`, `ptys`.

use std::net::TcpListener;

use kit::{
    Home, PATIENCE, Process, SharedDatabase, Signal, descendants_of, eventually, on_both_databases,
};
use serde_json::json;

use crate::support::{
    cli, daemon, daemon_on, gone, open, open_and_attach, say, shell, shell_pid, status, url_of,
};

on_both_databases![
    what_was_acknowledged_survives_kill_9,
    sigterm_in_the_middle_of_everything,
    sigterm_while_statements_hang,
];

async fn what_was_acknowledged_survives_kill_9(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let token = first.new_token("survivor").await;
    let (id, mut terminal) = open_and_attach(&first, &shell()).await;
    let pid = shell_pid(&mut terminal).await;
    let home = first.kill9().await;
    // The kernel hangs up on the shell, as its terminal is gone.
    gone(pid).await;

    let second = daemon().database(&database).home(&home).start().await;
    let user = second.with_token(&token);
    let path = format!("/api/v1/terminals/{id}");
    // Records of an earlier daemon are read when the store is there, and terminals do not wait for the store.
    let lost = eventually(PATIENCE, async || match user.get(&path).await {
        reply if reply.status == 200 => Ok(reply.json()),
        reply => Err(reply.text()),
    })
    .await;
    assert_eq!(lost["state"], "lost");
    assert!(lost["exit_code"].is_null(), "{lost}");
    let refused = second.try_attach(&id, None, Some(&token), None).await;
    assert_eq!(refused.expect_err("it is lost").json()["code"], "ptys.lost");
    user.delete(&path).await.expect(204);
    let (_, mut terminal) = open_and_attach(&second, &shell()).await;
    say(&mut terminal, "fresh").await;
    assert_eq!(status(&second, "/").await["level"], "NORMAL");
    second.stop().await;
}

async fn sigterm_in_the_middle_of_everything(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let mut terminals = Vec::new();
    for _ in 0..4 {
        let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
        terminal.send_line("yes in-the-middle").await;
        terminal.read_until("\nin-the-middle").await;
        terminals.push(terminal);
    }
    let mut stream = operator.events("/api/v1/status/stream", None).await;
    // Requests go on until they are refused; each gets an answer or an end of its connection, and none hangs.
    let asking = operator.clone();
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = asking.clone();
        load.spawn(async move {
            let mut answered = 0_u32;
            loop {
                let request = client.request(http::Method::POST, "/api/v1/terminals");
                let wanted = json!({ "shell": "/bin/true", "cols": 80, "rows": 24 });
                match request.json(&wanted).try_send().await {
                    Ok(reply) if reply.status < 500 => answered += 1,
                    Ok(reply) => {
                        assert_eq!(reply.status, 503, "{}", reply.text());
                        assert!(reply.header("retry-after").is_some());
                        return answered;
                    }
                    Err(_closed) => return answered,
                }
            }
        });
    }
    eventually(PATIENCE, async || {
        let listed = operator
            .get("/api/v1/terminals?limit=200")
            .await
            .expect(200)
            .json();
        let count = listed["items"].as_array().map_or(0, Vec::len);
        if count >= 8 {
            Ok(())
        } else {
            Err(format!("8 terminals, not {count}"))
        }
    })
    .await;
    daemon.signal(Signal::TERM);
    let ended = daemon.stopped(PATIENCE).await;
    assert_eq!(ended.code, 0);
    for answered in load.join_all().await {
        assert!(answered < 1_000_000);
    }
    for terminal in &mut terminals {
        terminal.read_close().await;
    }
    stream.ended(PATIENCE).await;
}

/// Another program holds a lock on the database, for which the statements of several requests wait: longer than any part may take
/// to stop. Whoever waits for them is killed and named, and everybody else stops as ever.
async fn sigterm_while_statements_hang(database: SharedDatabase) {
    let builder = daemon().database(&database).config(
        "[http]\nrequest_timeout = \"1s\"\n\
         [store]\nprobe_interval = \"5m\"\nprobe_limit = \"1m\"\nread_limit = \"1m\"\nwrite_limit = \"1m\"\n",
    );
    let first = builder.start().await;
    let (_, mut terminal) = open_and_attach(&first, &shell()).await;
    let lock = if database.url().is_some() {
        "BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE"
    } else {
        "BEGIN IMMEDIATE"
    };
    let home = first.home().clone();
    let held = kit::hold(&url_of(&database, &home), lock).await;
    // One after the other, so that they do not share a commit: SQLite waits 5 s for each.
    for number in 0..2 {
        let wanted = json!({ "name": format!("hung-{number}") });
        let reply = first.local().post("/api/v1/tokens", &wanted).await;
        assert_eq!(reply.status, 504, "{}", reply.text());
    }
    say(&mut terminal, "undisturbed").await;

    let asked = tokio::time::Instant::now();
    first.signal(Signal::TERM);
    let ended = first.stopped(PATIENCE).await;
    let took = asked.elapsed();
    assert_eq!(ended.code, 0);
    // The limits of the two that wait for the database, one after the other, and no request is left to be waited for.
    assert!(took.as_secs() < 15, "{took:?}: {}", ended.stderr);
    let mut lines = ended.stderr.lines();
    let named = lines.find(|line| line.contains("did not stop within their limits"));
    let named = named.unwrap_or_else(|| panic!("who was killed is told in {}", ended.stderr));
    assert!(named.contains("/accounts/manager"), "{named}");
    for innocent in ["/ptys/manager", "/ptys/keeper", "/ptys/terminals"] {
        assert!(!named.contains(innocent), "{named}");
    }
    terminal.read_close().await;

    // What was left behind is in nobody's way.
    drop(held);
    let next = daemon().database(&database).home(&home).start().await;
    next.new_token("afterwards").await;
    next.stop().await;
}

#[tokio::test]
async fn an_interrupt_from_the_keyboard_ends_it_as_well() {
    let daemon = daemon().start().await;
    open(&daemon.operator().await, &shell()).await;
    daemon.signal(Signal::INT);
    daemon.stopped(PATIENCE).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut daemon = daemon()
        .config("[ptys]\nhangup_grace = \"5s\"\n")
        .start()
        .await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.send_line("trap '' HUP TERM; echo d''eaf").await;
    terminal.read_until("deaf").await;
    daemon.signal(Signal::TERM);
    eventually(PATIENCE, async || {
        let refused = daemon
            .anonymous()
            .request(http::Method::GET, "/health/ready")
            .try_send()
            .await;
        match refused {
            Ok(reply) if reply.status == 200 => Err("it has begun to stop"),
            _ => Ok(()),
        }
    })
    .await;
    let asked = tokio::time::Instant::now();
    // As somebody at the keyboard does: until it is gone. Two that come at once count as one.
    eventually(PATIENCE, async || {
        daemon.signal(Signal::TERM);
        match Process::find(daemon.pid()) {
            Some(_) => Err("it ends"),
            None => Ok(()),
        }
    })
    .await;
    let took = asked.elapsed();
    assert!(
        took.as_millis() < 2_500,
        "{took:?}, although the shell's own grace is 5 s"
    );
    let status = daemon.exited(PATIENCE).await;
    let ended = daemon.ended(status);
    assert!(ended.code <= 143, "{ended:?}");
}

#[tokio::test]
async fn a_taken_port_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = daemon().listen(&address).run_to_exit().await.expect(1);
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("next:"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused() {
    let first = daemon().start().await;
    let (_, mut terminal) = open_and_attach(&first, &shell()).await;
    let second = daemon().home(first.home()).run_to_exit().await.expect(5);
    assert!(
        second.stderr.contains(&first.pid().to_string()),
        "{}",
        second.stderr
    );
    assert!(second.stderr.contains("next:"), "{}", second.stderr);
    // The first does not even notice.
    say(&mut terminal, "undisturbed").await;
    first.cli(&["status"]).await.expect(0);
    first.stop().await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_one_is_refused() {
    let home = Home::new();
    std::fs::write(home.data_dir(), "a file").expect("writable");
    let ended = daemon().home(&home).run_to_exit().await.expect(1);
    assert!(ended.stderr.contains("not a directory"), "{}", ended.stderr);

    let long = "x".repeat(120);
    let home = Home::new();
    let ended = daemon()
        .home(&home)
        .arg("--data-dir")
        .arg(home.root().join(long).display().to_string())
        .run_to_exit()
        .await;
    assert!(ended.code == 1 || ended.code == 2, "{ended:?}");
}

#[tokio::test]
async fn port_zero_is_told_by_the_ready_line_and_ipv6_works() {
    let daemon = daemon().listen("[::1]:0").start().await;
    assert!(daemon.address().is_ipv6() && daemon.address().port() != 0);
    daemon.anonymous().get("/health").await.expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn stale_sockets_and_locks_are_in_nobodys_way() {
    let first = daemon().start().await;
    let home = first.kill9().await;
    assert!(
        home.data_dir()
            .join("mainstay.sock")
            .try_exists()
            .expect("readable"),
        "left by the crash"
    );
    for _ in 0..3 {
        let next = daemon().home(&home).start().await;
        next.cli(&["status"]).await.expect(0);
        next.kill9().await;
    }
    let last = daemon().home(&home).start().await;
    last.stop().await;
    let unreachable = cli(&home, &["status"]).await.expect(3);
    assert!(
        unreachable.stderr.contains("next:"),
        "{}",
        unreachable.stderr
    );
}

#[tokio::test]
async fn domains_can_be_left_out() {
    let daemon_without = daemon().arg("--without").arg("ptys").start().await;
    assert_eq!(status(&daemon_without, "/store").await["state"], "running");
    let refused = daemon_without
        .local()
        .post("/api/v1/terminals", &shell())
        .await;
    refused.problem(503);
    daemon_without.stop().await;
    let unknown = daemon()
        .arg("--only")
        .arg("ptis")
        .run_to_exit()
        .await
        .expect(2);
    assert!(
        unknown.stderr.contains("ptys"),
        "the nearest name: {}",
        unknown.stderr
    );
}

#[tokio::test]
async fn no_shell_inherits_what_the_daemon_has_open() {
    let daemon = daemon().start().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    let pid = shell_pid(&mut terminal).await;
    let family = descendants_of(daemon.pid());
    assert!(family.iter().any(|process: &Process| process.pid == pid));
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    for target in &open {
        assert!(
            target.starts_with("/dev/pts/") || target.starts_with("/dev/tty"),
            "{open:?}"
        );
    }
    daemon.stop().await;
}
