//! The harness tested on a stand-in for the daemon: a shell script that behaves, and ones that do not.
//!
//! Why: a check that can never fail proves nothing. Every assertion of the harness is seen failing here.

use std::time::Duration;

use kit::{Builder, Daemon, Home, PATIENCE, Postgres, Process, Signal, children_of, eventually};

const READY: &str = "echo 'mainstay ready on http://127.0.0.1:1 in 1 ms'";
const WAIT: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

/// `sh up …` runs the script `up` of its directory, which is the home's root.
fn stand_in(script: &str) -> (Home, Builder) {
    let home = Home::new();
    home.write("up", script);
    let builder = Daemon::builder("/bin/sh").home(&home);
    (home, builder)
}

fn failure_of(outcome: Result<(), tokio::task::JoinError>) -> String {
    let panic = outcome.expect_err("the harness must notice").into_panic();
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().expect("a panic with a text")).to_owned(),
    }
}

/// Runs what must panic, and gives back what it said.
async fn failing(test: impl Future<Output = ()> + 'static) -> String {
    let local = tokio::task::LocalSet::new();
    let task = local.spawn_local(test);
    failure_of(local.run_until(task).await)
}

#[tokio::test]
async fn a_clean_daemon_is_started_and_ended() {
    let (home, builder) = stand_in(&format!("{READY}; echo log >&2; {WAIT}"));
    let daemon = builder.start().await;
    assert_eq!(daemon.address().port(), 1);
    let ended = daemon.stop().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, "log\n"));
    let root = home.root().to_owned();
    drop((ended, home));
    assert!(
        !root.try_exists().expect("readable"),
        "the directory is removed"
    );
}

#[tokio::test]
async fn one_that_never_gets_ready_is_noticed() {
    let said = failing(async {
        let (_home, builder) = stand_in(WAIT);
        drop(
            builder
                .ready_within(Duration::from_millis(200))
                .start()
                .await,
        );
    })
    .await;
    assert!(said.contains("no ready line"), "{said}");
}

#[tokio::test]
async fn one_that_ends_before_it_is_ready_is_noticed() {
    let said = failing(async {
        let (_home, builder) = stand_in("exit 4");
        drop(builder.start().await);
    })
    .await;
    assert!(said.contains("ended before it was ready"), "{said}");
}

#[tokio::test]
async fn another_exit_code_is_noticed() {
    let said = failing(async {
        let (_home, builder) = stand_in(&format!(
            "{READY}; trap 'exit 3' TERM; while :; do sleep 0.05; done"
        ));
        drop(builder.start().await.stop().await);
    })
    .await;
    assert!(said.contains("exit code of the daemon"), "{said}");
}

#[tokio::test]
async fn a_second_line_on_stdout_is_noticed() {
    let said = failing(async {
        let (_home, builder) = stand_in(&format!("{READY}; echo more; {WAIT}"));
        drop(builder.start().await.stop().await);
    })
    .await;
    assert!(said.contains("the ready line alone"), "{said}");
}

#[tokio::test]
async fn a_child_left_behind_is_noticed_and_ended() {
    let (home, builder) = stand_in(&format!("setsid sleep 600 & {READY}; {WAIT}"));
    let said = failing(async move { drop(builder.start().await.stop().await) }).await;
    assert!(
        said.contains("processes left behind") && said.contains("sleep 600"),
        "{said}"
    );
    assert_eq!(home.processes(), [], "and is gone now");
}

#[tokio::test]
async fn dropping_a_daemon_ends_it_as_well() {
    let (_home, builder) = stand_in(&format!("{READY}; {WAIT}"));
    let daemon = builder.start().await;
    let process = Process::find(daemon.pid()).expect("runs");
    drop(daemon);
    assert!(!process.is_alive());
}

#[tokio::test]
async fn one_that_died_during_the_test_is_noticed() {
    let said = failing(async {
        let (_home, builder) = stand_in(&format!("{READY}; read _ < /dev/null; exit 0"));
        let mut daemon = builder.start().await;
        daemon.exited(PATIENCE).await;
        drop(daemon);
    })
    .await;
    assert!(said.contains("had ended before the test"), "{said}");
}

#[tokio::test]
async fn kill9_leaves_the_home_for_a_next_start() {
    let (home, builder) = stand_in(&format!("{READY}; echo x > kept; {WAIT}"));
    let daemon = builder.start().await;
    let kept = home.root().join("kept");
    eventually(PATIENCE, async || std::fs::read(&kept)).await;
    let again = daemon.kill9().await;
    assert_eq!(again.root(), home.root());
    std::fs::read(&kept).expect("still there");
}

#[tokio::test]
async fn what_fails_to_start_tells_how() {
    let (_home, builder) = stand_in("echo broken >&2; exit 4");
    let ended = builder.run_to_exit().await.expect(4);
    assert_eq!(ended.stderr, "broken\n");
}

#[tokio::test]
async fn a_wait_says_what_was_missing() {
    let said = failing(async {
        let none: Result<(), &str> = Err("a second sun");
        eventually(Duration::from_millis(20), async || none).await;
    })
    .await;
    assert!(said.contains("a second sun"), "{said}");
}

#[tokio::test]
async fn a_server_of_our_own_stops_freezes_and_comes_back() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let url = server.create_database("story").await;
    kit::sql(&url, "CREATE TABLE kept (word text)").await;
    kit::sql(&url, "INSERT INTO kept VALUES ('here')").await;
    server.stop();
    server.start_again().await;
    let word = kit::sql_text(&url, "SELECT word FROM kept").await;
    assert_eq!(word.as_deref(), Some("here"));

    server.freeze();
    let asked =
        tokio::time::timeout(kit::SHORT, kit::sql_text(&url, "SELECT word FROM kept")).await;
    assert!(asked.is_err(), "a frozen server does not answer");
    server.thaw();
    assert!(kit::sql_text(&url, "SELECT word FROM kept").await.is_some());
}

#[tokio::test]
async fn children_are_found_by_descent() {
    let mut child = tokio::process::Command::new("sleep")
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let pid = i32::try_from(child.id().expect("runs")).expect("fits");
    let own = i32::try_from(std::process::id()).expect("fits");
    let found = children_of(own)
        .into_iter()
        .find(|process| process.pid == pid);
    found.expect("is our child").signal(Signal::TERM);
    child.wait().await.expect("ends");
}

const DOOMED: &str = "KIT_TEST_DOOMED";

/// Not a test of its own: [`a_killed_test_process_leaves_nothing`] runs it in a process that it then kills.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "told by the test that starts it")]
async fn doomed() {
    let Some(report) = std::env::var_os(DOOMED) else {
        return;
    };
    let (home, builder) = stand_in(&format!("setsid sleep 600 & {READY}; {WAIT}"));
    let _daemon = builder.start().await;
    let server = Postgres::start().await;
    let url = server
        .map(|server| server.url("postgres"))
        .unwrap_or_default();
    std::fs::write(report, format!("{}\n{url}", home.root().display())).expect("writable");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_process_leaves_nothing() {
    let home = Home::new();
    let report = home.root().join("report");
    let own = std::env::current_exe().expect("this program has a path");
    let mut child = std::process::Command::new(own)
        .args(["--exact", "doomed"])
        .env(DOOMED, &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let told = eventually(PATIENCE, async || std::fs::read_to_string(&report)).await;
    let pid = i32::try_from(child.id()).expect("fits");
    let family = kit::descendants_of(pid);
    assert!(family.len() >= 3, "{family:#?}");
    child.kill().expect("ours");
    child.wait().expect("ours");
    eventually(PATIENCE, async || {
        let left: Vec<&Process> = family.iter().filter(|process| process.is_alive()).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("ended: {left:#?}"))
        }
    })
    .await;
    let folder = told.lines().next().expect("a folder").to_owned();
    eventually(PATIENCE, async || match std::fs::metadata(&folder) {
        Ok(_) => Err("the folder is removed"),
        Err(_) => Ok(()),
    })
    .await;
}
