//! The command line: every verb helps, answers in JSON where it shows something, and says what to do next when it fails.

use kit::{Home, PATIENCE, Signal, eventually};
use serde_json::Value;

use crate::support::{BINARY, cli, daemon, open_and_attach};

const VERBS: [&[&str]; 23] = [
    &[],
    &["up"],
    &["status"],
    &["top"],
    &["explain"],
    &["restart"],
    &["stop"],
    &["start"],
    &["doctor"],
    &["config", "init"],
    &["config", "check"],
    &["config", "show"],
    &["config", "diff"],
    &["migrate", "status"],
    &["migrate", "up"],
    &["migrate", "down"],
    &["migrate", "verify"],
    &["token", "create"],
    &["token", "list"],
    &["token", "revoke"],
    &["drill", "list"],
    &["completions"],
    &["version"],
];

#[tokio::test]
async fn every_verb_helps() {
    let home = Home::new();
    for verb in VERBS {
        let ended = cli(&home, &[verb, &["--help"]].concat()).await.expect(0);
        assert!(
            ended.stdout.contains("Usage:") && ended.stdout.contains("Example"),
            "{verb:?}: {}",
            ended.stdout
        );
    }
    assert!(
        !home.data_dir().try_exists().expect("readable"),
        "asking for help makes nothing"
    );
}

#[tokio::test]
async fn wrong_usage_is_two_and_names_the_nearest() {
    let home = Home::new();
    for wrong in [
        &["stats"][..],
        &["status", "--jsn"],
        &["token", "create", "--expires", "soon"],
        &["up", "--listen", "nowhere"],
        &["completions", "tcsh-ish"],
        &[],
    ] {
        let ended = cli(&home, wrong).await.expect(2);
        assert_eq!(ended.stdout, "", "{wrong:?}");
    }
    let ended = cli(&home, &["stats"]).await.expect(2);
    assert!(ended.stderr.contains("status"), "{}", ended.stderr);
}

#[tokio::test]
async fn without_a_daemon_it_is_three_and_says_what_to_do() {
    let home = Home::new();
    for verb in [
        &["status"][..],
        &["status", "--json"],
        &["explain", "/"],
        &["restart", "/ptys"],
        &["token", "create"],
        &["token", "list"],
        &["drill", "list"],
    ] {
        let ended = cli(&home, verb).await.expect(3);
        assert!(
            ended.stderr.contains("mainstay up"),
            "{verb:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "", "{verb:?}");
    }
    // These need none.
    for verb in [
        &["version"][..],
        &["version", "--json"],
        &["config", "init"],
        &["completions", "bash"],
    ] {
        cli(&home, verb).await.expect(0);
    }
}

#[tokio::test]
async fn what_shows_something_shows_it_as_json_too() {
    let daemon = daemon().drills().start().await;
    daemon.new_token("listed").await;
    for verb in [
        &["status"][..],
        &["status", "/ptys"],
        &["explain", "/"],
        &["token", "list"],
        &["drill", "list"],
        &["config", "show"],
        &["config", "diff"],
        &["version"],
    ] {
        let document = daemon
            .cli(&[verb, &["--json"]].concat())
            .await
            .expect(0)
            .json();
        assert!(
            document.is_object() || document.is_array(),
            "{verb:?}: {document}"
        );
        let plain = daemon.cli(verb).await.expect(0).stdout;
        assert!(
            !plain.contains('\u{1b}'),
            "{verb:?} paints into a pipe: {plain:?}"
        );
    }
    let tree = daemon.cli(&["status", "--json"]).await.expect(0).json();
    assert_eq!(
        (&tree["path"], &tree["level"]),
        (&Value::from("/"), &Value::from("NORMAL"))
    );
    let shallow = daemon
        .cli(&["status", "--json", "--depth", "0"])
        .await
        .expect(0)
        .json();
    assert_eq!(shallow["children"], serde_json::json!([]));
    daemon.stop().await;
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_how_to_mend_it() {
    let daemon = daemon().start().await;
    let found = daemon.cli(&["doctor", "--json"]).await;
    let checks = found.json().to_string().to_lowercase();
    for about in [
        "port", "data", "database", "shell", "clock", "disk", "limit",
    ] {
        assert!(checks.contains(about), "nothing about {about} in {checks}");
    }
    let plain = daemon.cli(&["doctor"]).await;
    assert_eq!(plain.code, found.code);
    daemon.stop().await;

    // A database file that is none is found while the daemon is down.
    let home = Home::new();
    std::fs::create_dir(home.data_dir()).expect("a new directory");
    std::fs::write(home.data_dir().join("mainstay.db"), "no database at all").expect("writable");
    let found = cli(&home, &["doctor"]).await.expect(1);
    assert!(found.stdout.contains("mainstay.db"), "{}", found.stdout);
}

#[tokio::test]
async fn completions_are_offered_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = cli(&home, &["completions", shell]).await.expect(0);
        assert!(
            ended.stdout.contains("mainstay") && ended.stdout.contains("status"),
            "{shell}"
        );
    }
    let script = cli(&home, &["completions", "bash"]).await.expect(0).stdout;
    let script = home.write("completions.bash", script);
    let sourced = std::process::Command::new("bash")
        .args(["-n".as_ref(), script.as_os_str()])
        .status()
        .expect("bash runs");
    assert!(sourced.success());
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let daemon = daemon().start().await;
    let created = daemon
        .cli(&[
            "token",
            "create",
            "--name",
            "laptop",
            "--scope",
            "read,terminals",
            "--expires",
            "30d",
        ])
        .await
        .expect(0);
    assert!(created.stdout.starts_with("mst_") && created.stdout.lines().count() == 1);
    let listed = daemon
        .cli(&["token", "list", "--json"])
        .await
        .expect(0)
        .json();
    let token = listed["items"]
        .as_array()
        .and_then(|items| items.first())
        .expect("one")
        .clone();
    assert_eq!(token["name"], "laptop");
    assert!(token["expires_at"].is_string(), "{token}");
    let id = token["id"].as_str().expect("an id").to_owned();
    daemon.cli(&["token", "revoke", &id]).await.expect(0);
    let again = daemon
        .cli(&["token", "revoke", "0198c2a4-8f3e-7c1d-b6a5-0f2e4d6c8b1a"])
        .await
        .expect(1);
    assert!(!again.stderr.is_empty());
    let wrong = daemon.cli(&["token", "revoke", "nonsense"]).await;
    assert_ne!(wrong.code, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn unknown_parts_are_refused_with_what_there_is() {
    let daemon = daemon().start().await;
    for verb in ["status", "explain", "restart", "stop", "start"] {
        let ended = daemon.cli(&[verb, "/ptis"]).await.expect(1);
        assert!(!ended.stderr.is_empty(), "{verb}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn on_a_terminal_the_tree_is_drawn_and_painted() {
    let daemon = daemon().start().await;
    let wanted = serde_json::json!({ "shell": "/bin/bash", "cols": 120, "rows": 50 });
    let (_, mut terminal) = open_and_attach(&daemon, &wanted).await;
    let data = daemon.home().data_dir().display().to_string();
    terminal
        .send_line(&format!(
            "{BINARY} --data-dir {data} status; echo e''nd=$?."
        ))
        .await;
    let shown = terminal.read_until("end=0.").await;
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("ptys") && shown.contains('\u{1b}') && shown.contains('─'),
        "{shown}"
    );
    terminal
        .send_line(&format!(
            "NO_COLOR=1 {BINARY} --data-dir {data} status | cat; echo e''nd=$?."
        ))
        .await;
    terminal.read_until("end=0.").await;
    daemon.stop().await;
}

#[tokio::test]
async fn watching_outlives_the_daemon_and_goes_on() {
    let first = daemon().start().await;
    let home = first.home().clone();
    let out = home.root().join("watched");
    let mut watching = std::process::Command::new(BINARY)
        .args(["--data-dir".as_ref(), home.data_dir().as_os_str()])
        .args(["status", "--watch", "--json"])
        .env("HOME", home.user_home())
        .stdout(std::fs::File::create(&out).expect("a new file"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let told = async || {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        text.lines()
            .filter(|line| line.contains("\"path\":\"/ptys"))
            .count()
    };
    let restart_is_told = async |daemon: &kit::Daemon| {
        let before = told().await;
        eventually(PATIENCE, async || {
            daemon.cli(&["restart", "/ptys"]).await.expect(0);
            match told().await {
                now if now > before => Ok(()),
                _ => Err("the restart is told"),
            }
        })
        .await;
    };
    restart_is_told(&first).await;
    first.stop().await;
    let second = daemon().home(&home).start().await;
    restart_is_told(&second).await;

    let pid = i32::try_from(watching.id()).expect("fits");
    kit::Process::find(pid)
        .expect("still watching")
        .signal(Signal::INT);
    let ended = eventually(PATIENCE, async || match watching.try_wait() {
        Ok(Some(status)) => Ok(status),
        _ => Err(format!("{:?} ends", kit::Process::find(pid))),
    })
    .await;
    // The code tells the last level seen, which may still have been that of the restart.
    assert!(matches!(ended.code(), Some(0 | 10 | 11 | 12)), "{ended:?}");
    second.stop().await;
}
