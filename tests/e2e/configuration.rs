//! The configuration as people get it wrong: every error at once, each with its place and the nearest right name.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use kit::{Ended, Home, PATIENCE, Signal, eventually};
use rustix::process::geteuid;

use crate::support::{cli, daemon, status};

/// Starts with a configuration that is wrong, and gives what was said.
async fn refused(text: &str) -> Ended {
    let ended = daemon().config(text).run_to_exit().await.expect(4);
    assert_eq!(ended.stdout, "");
    ended
}

#[tokio::test]
async fn broken_syntax_is_told_with_its_line() {
    let ended = refused("[http]\nlisten = \"127.0.0.1:0\n").await;
    assert!(ended.stderr.contains("mainstay.toml:2"), "{}", ended.stderr);
    let ended = refused("[http\n").await;
    assert!(ended.stderr.contains("mainstay.toml:1"), "{}", ended.stderr);
    let ended = refused("\u{0}\u{1}\u{2}").await;
    assert!(ended.stderr.contains("mainstay.toml"), "{}", ended.stderr);
}

#[tokio::test]
async fn all_errors_are_told_at_once_with_the_nearest_names() {
    let text = "[http]\nlisten = 7\nmax_conections = 10\n\n[ptys]\nmax_terminals = 0\nscrollback = \"lots\"\n\n[strore]\nurl = \"x\"\n";
    let ended = refused(text).await;
    for told in [
        "mainstay.toml:2",
        "mainstay.toml:3",
        "max_connections",
        "mainstay.toml:6",
        "mainstay.toml:7",
        "mainstay.toml:9",
        "store",
        "next:",
    ] {
        assert!(ended.stderr.contains(told), "no {told} in {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told() {
    let home = Home::new();
    let missing = home.root().join("none.toml").display().to_string();
    let ended = daemon()
        .arg("--config")
        .arg(&missing)
        .run_to_exit()
        .await
        .expect(4);
    assert!(ended.stderr.contains("none.toml"), "{}", ended.stderr);
    let folder = home.root().display().to_string();
    daemon()
        .arg("--config")
        .arg(&folder)
        .run_to_exit()
        .await
        .expect(4);
    let binary = home.write("binary.toml", [0xff, 0xfe, 0x00]);
    let ended = daemon()
        .arg("--config")
        .arg(binary.display().to_string())
        .run_to_exit()
        .await
        .expect(4);
    assert!(ended.stderr.contains("binary.toml"), "{}", ended.stderr);
    // Root may read everything.
    if !geteuid().is_root() {
        let closed = home.write("closed.toml", "");
        std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("ours");
        let ended = daemon()
            .arg("--config")
            .arg(closed.display().to_string())
            .run_to_exit()
            .await
            .expect(4);
        assert!(ended.stderr.contains("closed.toml"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_environment_is_checked_as_well() {
    let ended = daemon()
        .env("MAINSTAY_HTTP__MAX_STREAM", "7")
        .run_to_exit()
        .await
        .expect(4);
    assert!(
        ended.stderr.contains("MAINSTAY_HTTP__MAX_STREAM")
            && ended.stderr.contains("MAINSTAY_HTTP__MAX_STREAMS"),
        "{}",
        ended.stderr
    );
    let ended = daemon()
        .env("MAINSTAY_PTYS__MAX_TERMINALS", "many")
        .run_to_exit()
        .await
        .expect(4);
    assert!(
        ended.stderr.contains("MAINSTAY_PTYS__MAX_TERMINALS"),
        "{}",
        ended.stderr
    );
    let ended = daemon()
        .store_url("mysql://user:hunter2@host/db")
        .run_to_exit()
        .await
        .expect(4);
    assert!(
        ended.stderr.contains("postgres://") && !ended.stderr.contains("hunter2"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn later_layers_win() {
    // The default, the file, the environment, a flag: each over the one before.
    let daemon_from_file = daemon()
        .config("[http]\nlisten = \"127.0.0.1:0\"\n[ptys]\nmax_viewers = 5\n")
        .listen_by_configuration()
        .env("MAINSTAY_PTYS__MAX_VIEWERS", "7")
        .start()
        .await;
    let shown = daemon_from_file
        .cli(&[
            "--config",
            &daemon_from_file
                .home()
                .root()
                .join("mainstay.toml")
                .display()
                .to_string(),
            "config",
            "show",
            "--json",
        ])
        .await
        .expect(0);
    assert!(shown.stdout.contains("max_viewers"), "{}", shown.stdout);
    daemon_from_file.stop().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let by_flag = daemon()
        .config(format!("[http]\nlisten = \"{address}\"\n"))
        .env("MAINSTAY_HTTP__LISTEN", address.to_string())
        .start()
        .await;
    assert_ne!(by_flag.address(), address);
    by_flag.stop().await;
}

#[tokio::test]
async fn secrets_come_from_files_and_are_never_shown() {
    let home = Home::new();
    let secret = home.write("url", "postgres://mainstay:hunter2@127.0.0.1:1/none\n");
    let text = format!("[store]\nurl = {{ file = \"{}\" }}\n", secret.display());
    let open_to_all = refused(&text).await;
    assert!(
        open_to_all.stderr.contains("chmod 600"),
        "{}",
        open_to_all.stderr
    );
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("ours");
    let config = home.write("with-secret.toml", &text);
    let config = config.display().to_string();
    let shown = cli(&home, &["--config", &config, "config", "show"])
        .await
        .expect(0);
    let as_json = cli(&home, &["--config", &config, "config", "show", "--json"])
        .await
        .expect(0);
    let diff = cli(&home, &["--config", &config, "config", "diff"])
        .await
        .expect(0);
    for ended in [shown, as_json, diff] {
        assert!(
            !ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"),
            "{ended:?}"
        );
    }
    let daemon = daemon().home(&home).config(text).start().await;
    assert_eq!(
        status(&daemon, "/store").await["cause"]["code"],
        "store.unreachable"
    );
    daemon.stop().await;
    let missing = refused("[store]\nurl = { file = \"/no/such/secret\" }\n").await;
    assert!(
        missing.stderr.contains("/no/such/secret"),
        "{}",
        missing.stderr
    );
}

#[tokio::test]
async fn the_verbs_write_check_show_and_compare() {
    let home = Home::new();
    for preset in ["development", "production"] {
        let written = cli(&home, &["config", "init", "--env", preset])
            .await
            .expect(0);
        let file = home
            .write("written.toml", &written.stdout)
            .display()
            .to_string();
        cli(&home, &["config", "check", &file]).await.expect(0);
    }
    let broken = home
        .write("broken.toml", "[http]\nlisten = 7\nlimit = 1\n")
        .display()
        .to_string();
    let checked = cli(&home, &["config", "check", &broken]).await.expect(4);
    let told = format!("{}{}", checked.stdout, checked.stderr);
    assert!(
        told.contains("broken.toml:2") && told.contains("broken.toml:3"),
        "{told}"
    );
    let as_json = cli(&home, &["config", "check", &broken, "--json"])
        .await
        .expect(4);
    assert!(
        as_json.json().to_string().contains("config.unknown_key"),
        "{as_json:?}"
    );
    let changed = home
        .write("changed.toml", "[ptys]\nmax_terminals = 3\n")
        .display()
        .to_string();
    let diff = cli(&home, &["--config", &changed, "config", "diff"])
        .await
        .expect(0);
    assert!(
        diff.stdout.contains("max_terminals") && !diff.stdout.contains("max_viewers"),
        "{}",
        diff.stdout
    );
}

#[tokio::test]
async fn a_hang_up_reloads_and_an_invalid_file_changes_nothing() {
    let daemon = daemon().config("[log]\nfilter = \"info\"\n").start().await;
    let file = daemon.home().root().join("mainstay.toml");
    let said = async |wanted: &str| {
        eventually(PATIENCE, async || {
            let log = daemon.stderr().text();
            if log.contains(wanted) {
                Ok(())
            } else {
                Err(format!("`{wanted}` in {log}"))
            }
        })
        .await;
    };
    std::fs::write(&file, "[log]\nfilter = \"info\"\nfoo = 1\n").expect("writable");
    daemon.signal(Signal::HUP);
    said("foo").await;
    daemon.anonymous().get("/health").await.expect(200);
    std::fs::write(
        &file,
        "[log]\nfilter = \"debug\"\n\n[ptys]\nmax_terminals = 9\n",
    )
    .expect("writable");
    daemon.signal(Signal::HUP);
    // What cannot change live is named.
    said("max_terminals").await;
    assert_eq!(status(&daemon, "/").await["level"], "NORMAL");
    daemon.stop().await;
}
