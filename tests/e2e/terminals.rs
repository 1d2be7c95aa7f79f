//! Real shells: what they are given, what they print, who looks on, and how they end.
//!
//! Domains: `ptys`.

use kit::{
    Frame, PATIENCE, Process, SharedDatabase, Terminal, descendants_of, eventually,
    on_both_databases,
};
use serde_json::{Value, json};

use crate::support::{
    daemon, daemon_on, gone, id_of, open, open_and_attach, say, shell, shell_pid, terminal_of,
    terminal_with_state,
};

on_both_databases![
    a_terminal_is_made_renamed_resized_and_deleted,
    an_exit_code_is_kept_and_no_byte_lost,
    what_cannot_start_is_refused,
];

async fn a_terminal_is_made_renamed_resized_and_deleted(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let wanted = json!({
        "shell": "/bin/bash", "cols": 81, "rows": 25, "name": "build", "cwd": "/usr", "env": { "STORY": "told" },
    });
    let made = operator
        .post("/api/v1/terminals", &wanted)
        .await
        .expect(201)
        .json();
    is_complete(&made);
    assert_eq!(
        (&made["name"], &made["cwd"]),
        (&json!("build"), &json!("/usr"))
    );
    let id = id_of(&made);
    let mut terminal = daemon.attach(&id, Some(0)).await;
    terminal.send_line("echo $STORY in $PWD; stty size").await;
    terminal.read_until("told in /usr").await;
    terminal.read_until("25 81").await;

    let path = format!("/api/v1/terminals/{id}");
    let change = json!({ "name": "deploy", "cols": 120, "rows": 50 });
    let changed = operator.patch(&path, &change).await.expect(200).json();
    assert_eq!(
        (&changed["name"], &changed["cols"]),
        (&json!("deploy"), &json!(120))
    );
    terminal.send_line("stty size").await;
    terminal.read_until("50 120").await;
    assert_eq!(terminal_of(&operator, &id).await["viewers"], 1);

    let pid = shell_pid(&mut terminal).await;
    let jobs = two_jobs(&mut terminal, pid).await;
    operator.delete(&path).await.expect(204);
    assert_eq!(terminal.read_notice_of("closed").await["reason"], "deleted");
    gone(pid).await;
    assert!(
        !jobs.iter().any(Process::is_alive),
        "jobs outlive their terminal"
    );
    operator.get(&path).await.problem(404);
    daemon.stop().await;
}

fn is_complete(terminal: &Value) {
    for member in [
        "id",
        "name",
        "shell",
        "cwd",
        "cols",
        "rows",
        "pid",
        "state",
        "exit_code",
        "created_at",
        "last_seq",
        "viewers",
    ] {
        assert!(
            terminal.get(member).is_some(),
            "no `{member}` in {terminal}"
        );
    }
}

/// One job in the background and one in the foreground, each in a process group of its own.
async fn two_jobs(terminal: &mut Terminal, pid: i32) -> Vec<Process> {
    terminal.send_line("sleep 1000 & sleep 1000").await;
    eventually(PATIENCE, async || {
        let jobs = descendants_of(pid);
        if jobs.len() == 2 {
            Ok(jobs)
        } else {
            Err(format!("two jobs, not {jobs:?}"))
        }
    })
    .await
}

async fn an_exit_code_is_kept_and_no_byte_lost(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.send_line("echo; seq 1 20000; exit 42").await;
    let exit = terminal.read_exit().await;
    assert_eq!(exit["exit_code"], 42);
    // The echo of what was typed names the ends too; the lines themselves stand alone.
    let output = terminal.output();
    let lines = output
        .lines()
        .filter(|line| line.parse::<u32>().is_ok())
        .count();
    assert_eq!(lines, 20_000, "{} bytes", output.len());
    assert_eq!(
        exit["seq"],
        terminal.received(),
        "the exit comes after the last byte"
    );
    let kept = terminal_with_state(&operator, &id, "exited").await;
    assert_eq!(kept["exit_code"], 42);

    // Whoever comes later still reads the output and the exit.
    let mut late = daemon.attach(&id, None).await;
    assert_eq!(late.read_exit().await["exit_code"], 42);
    assert!(late.output().contains("20000"));

    let (_, mut killed) = open_and_attach(&daemon, &shell()).await;
    killed.send_line("kill -KILL $$").await;
    let exit = killed.read_exit().await;
    assert_eq!(
        (&exit["exit_code"], &exit["signal"]),
        (&json!(137), &json!("SIGKILL"))
    );
    daemon.stop().await;
}

async fn what_cannot_start_is_refused(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let file = daemon.home().write("a-file", "text");
    let missing = daemon.home().root().join("missing");
    for (wrong, pointer) in [
        (json!({ "shell": "/no/such/shell" }), "/shell"),
        (json!({ "shell": "no-such-shell-anywhere" }), "/shell"),
        (json!({ "shell": file }), "/shell"),
        (json!({ "shell": "/usr" }), "/shell"),
        (json!({ "cwd": missing }), "/cwd"),
        (json!({ "cwd": file }), "/cwd"),
        (json!({ "cwd": "relative/path" }), "/cwd"),
        (json!({ "env": { "A=B": "x" } }), "/env/A=B"),
        (
            json!({ "env": { "MAINSTAY_TOKEN": "x" } }),
            "/env/MAINSTAY_TOKEN",
        ),
    ] {
        let mut wanted = wrong.clone();
        wanted["cols"] = json!(80);
        wanted["rows"] = json!(24);
        let refused = operator.post("/api/v1/terminals", &wanted).await;
        assert_eq!(refused.pointers(422), [pointer], "{wrong}");
    }
    let both = json!({ "shell": "/no/such", "cwd": "/no/such", "cols": 80, "rows": 24 });
    let mut pointers = operator
        .post("/api/v1/terminals", &both)
        .await
        .pointers(422);
    pointers.sort();
    assert_eq!(pointers, ["/cwd", "/shell"]);
    let listed = operator.get("/api/v1/terminals").await.expect(200).json();
    assert_eq!(listed["items"], json!([]), "nothing of them stays");
    daemon.stop().await;
}

#[tokio::test]
async fn output_resumes_by_its_number_without_loss() {
    let daemon = daemon().start().await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    say(&mut terminal, "first-part").await;
    let seen = terminal.received();
    let all_before = daemon.attach(&id, Some(0)).await;
    drop(terminal);
    drop(all_before);

    // While nobody looks on, the shell goes on.
    let mut other = daemon.attach(&id, Some(seen)).await;
    let mut resumed = daemon.attach(&id, Some(seen)).await;
    say(&mut other, "second-part").await;
    resumed.read_until("second-part").await;
    assert!(!resumed.output().contains("first-part"));

    // Every byte of a viewer that comes and goes is the same as of one that stays.
    let mut whole = daemon.attach(&id, Some(0)).await;
    whole.read_until("second-part").await;
    let from_start = whole.received();
    let mut at_end = daemon.attach(&id, Some(from_start)).await;
    say(&mut at_end, "third-part").await;
    // A number from the future cannot be resumed from: the scrollback comes instead.
    let mut future = daemon.attach(&id, Some(u64::MAX)).await;
    let greeting = future.read_notice_of("attached").await;
    assert_eq!(
        (&greeting["type"], &greeting["resumed"]),
        (&json!("attached"), &json!(false))
    );
    future.read_until("third-part").await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_has_left_the_scrollback_comes_as_a_snapshot() {
    let daemon = daemon()
        .config("[ptys]\nscrollback = \"64KiB\"\n")
        .start()
        .await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal
        .send_line("head -c 300000 /dev/zero | tr '\\0' x; echo; echo e''nd")
        .await;
    terminal.read_until("end").await;
    let mut late = daemon.attach(&id, Some(1)).await;
    let greeting = late.read_notice_of("attached").await;
    assert_eq!(greeting["resumed"], false);
    assert!(
        greeting["seq"].as_u64().is_some_and(|seq| seq > 200_000),
        "{greeting}"
    );
    let frame = late.next(PATIENCE).await;
    assert!(matches!(frame, Frame::Snapshot(_)), "not {frame:?}");
    late.read_until("end").await;
    daemon.stop().await;
}

#[tokio::test]
async fn several_viewers_see_and_type_the_same() {
    let daemon = daemon().start().await;
    let (id, mut first) = open_and_attach(&daemon, &shell()).await;
    let mut second = daemon.attach(&id, Some(0)).await;
    let mut third = daemon.attach(&id, Some(0)).await;
    say(&mut first, "from-the-first").await;
    second.read_until("from-the-first").await;
    third.read_until("from-the-first").await;
    say(&mut second, "from-the-second").await;
    first.read_until("from-the-second").await;
    let operator = daemon.operator().await;
    assert_eq!(terminal_of(&operator, &id).await["viewers"], 3);
    third.detach().await;
    eventually(PATIENCE, async || {
        match terminal_of(&operator, &id).await["viewers"].as_u64() {
            Some(2) => Ok(()),
            viewers => Err(format!("two viewers, not {viewers:?}")),
        }
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_shell_that_ignores_the_hang_up_is_ended_all_the_same() {
    let daemon = daemon()
        .config("[ptys]\nhangup_grace = \"200ms\"\n")
        .start()
        .await;
    let operator = daemon.operator().await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal
        .send_line("trap '' HUP TERM; (trap '' HUP TERM; while :; do sleep 1; done) & echo d''eaf")
        .await;
    terminal.read_until("deaf").await;
    let pid = shell_pid(&mut terminal).await;
    let jobs = descendants_of(pid);
    operator
        .delete(&format!("/api/v1/terminals/{id}"))
        .await
        .expect(204);
    gone(pid).await;
    assert!(!jobs.iter().any(Process::is_alive), "{jobs:?}");

    // The same at the daemon's end, which `stop` proves.
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.send_line("trap '' HUP TERM; echo d''eaf").await;
    terminal.read_until("deaf").await;
    daemon.stop().await;
}

#[tokio::test]
async fn one_that_prints_for_ever_harms_nobody() {
    let daemon = daemon().start().await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    terminal.send_line("yes print-for-ever").await;
    terminal.read_until("\nprint-for-ever").await;
    drop(terminal);

    // With nobody reading, it goes on in bounded memory, and others are served.
    let operator = daemon.operator().await;
    let printed = async |more_than: u64| {
        eventually(PATIENCE, async || {
            match terminal_of(&operator, &id).await["last_seq"].as_u64() {
                Some(seq) if seq > more_than => Ok(seq),
                seq => Err(format!("more than {more_than} bytes, not {seq:?}")),
            }
        })
        .await
    };
    let before = printed(20_000_000).await;
    let resident = kit::resident_bytes(daemon.pid()).expect("it runs");
    printed(before + 50_000_000).await;
    let now = kit::resident_bytes(daemon.pid()).expect("it runs");
    assert!(
        now < resident + 32 * 1024 * 1024,
        "{resident} grew to {now}"
    );
    let (_, mut other) = open_and_attach(&daemon, &shell()).await;
    say(&mut other, "served").await;

    // A viewer that reads nothing holds up neither the shell nor another viewer.
    let idle = daemon.attach(&id, None).await;
    let mut reading = daemon.attach(&id, None).await;
    let before = reading.received();
    while reading.received() < before + 20_000_000 {
        reading.next(PATIENCE).await;
    }
    reading.send_input("\x03").await;
    say(&mut reading, "interrupted").await;
    drop(idle);
    daemon.stop().await;
}

#[tokio::test]
async fn a_viewer_that_falls_behind_is_told_what_it_missed() {
    let daemon = daemon()
        .config("[ptys]\nscrollback = \"64KiB\"\nunconfirmed_output = \"16KiB\"\n")
        .start()
        .await;
    let (id, mut terminal) = open_and_attach(&daemon, &shell()).await;
    say(&mut terminal, "ready").await;
    // This one confirms, so it gets 16 KiB and then waits to be confirmed.
    let mut slow = daemon.attach(&id, Some(terminal.received())).await;
    slow.ack(0).await;
    slow.ping(b"settled").await;
    while slow.next(PATIENCE).await != Frame::Pong(b"settled".to_vec()) {}
    terminal.send_line("seq 1 100000; echo e''nd").await;
    terminal.read_until("end").await;
    slow.ack(16 * 1024).await;
    let missed = loop {
        match slow.next(PATIENCE).await {
            Frame::Notice(notice) if notice["type"] == "missed" => break notice,
            Frame::Output(bytes) | Frame::Snapshot(bytes) => slow.ack(bytes.len() as u64).await,
            Frame::Closed(code) => panic!("closed with {code:?}"),
            _ => {}
        }
    };
    let number = |member: &str| missed[member].as_u64().expect("a number");
    assert_eq!(number("to") - number("from"), number("bytes"));
    assert!(number("bytes") > 0);
    daemon.stop().await;
}

#[tokio::test]
async fn terminals_and_viewers_are_limited() {
    let daemon = daemon()
        .config("[ptys]\nmax_terminals = 2\nmax_viewers = 2\n")
        .start()
        .await;
    let operator = daemon.operator().await;
    let (id, _first) = open_and_attach(&daemon, &shell()).await;
    let _second = daemon.attach(&id, None).await;
    let token = daemon.operator_token().await;
    let refused = daemon
        .try_attach(&id, None, Some(&token), None)
        .await
        .expect_err("a third viewer");
    assert_eq!(refused.json()["code"], "ptys.too_many_viewers");
    let other = open(&operator, &shell()).await;
    let refused = operator.post("/api/v1/terminals", &shell()).await;
    assert_eq!(refused.problem(429)["code"], "ptys.too_many");
    assert!(refused.header("retry-after").is_some());
    operator
        .delete(&format!("/api/v1/terminals/{other}"))
        .await
        .expect(204);
    open(&operator, &shell()).await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_idle_terminal_is_closed() {
    let daemon = daemon()
        .config("[ptys]\nidle_timeout = \"300ms\"\n")
        .start()
        .await;
    let operator = daemon.operator().await;
    let id = open(&operator, &shell()).await;
    eventually(PATIENCE, async || {
        match operator
            .get(&format!("/api/v1/terminals/{id}"))
            .await
            .status
        {
            404 => Ok(()),
            status => Err(format!("it is closed, not {status}")),
        }
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn no_thread_is_spent_on_a_terminal() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    open(&operator, &shell()).await;
    let before = kit::thread_count(daemon.pid()).expect("it runs");
    for _ in 0..30 {
        open(&operator, &shell()).await;
    }
    let after = kit::thread_count(daemon.pid()).expect("it runs");
    assert!(after < before + 15, "{before} threads grew to {after}");
    daemon.stop().await;
}
