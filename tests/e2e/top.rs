//! `top` on a real terminal: what it shows, what its keys do, and that it gives the terminal back. `status --watch` for those
//! that have no such terminal.

use kit::{Daemon, Home, PATIENCE, Signal, Tmux, eventually};
use serde_json::json;

use crate::support::{BINARY, cli, daemon, open_and_attach};

/// A terminal with `top` in it; `None` where there is no tmux.
async fn top(home: &Home, columns: u16, rows: u16) -> Option<Tmux> {
    let tmux = Tmux::start(columns, rows)?;
    tmux.type_line(&line(home, "top"));
    tmux.shows(&["mainstay ", "PART", "▾ /"]).await;
    Some(tmux)
}

/// The command line that runs `verb` and then tells its exit code.
fn line(home: &Home, verb: &str) -> String {
    let data = home.data_dir();
    format!(
        "{BINARY} --data-dir {} {verb}; echo e''nd=$?.",
        data.display()
    )
}

/// Selects the part by a filter that finds it and nothing below it.
async fn select(tmux: &Tmux, path: &str) {
    tmux.press(&["Escape"]);
    tmux.press(&["/"]);
    tmux.shows(&["Enter keeps the filter"]).await;
    tmux.press(&[path, "Enter", "G"]);
    // The pane of the selected part begins with its path.
    tmux.shows(&[&format!("── {path} ")]).await;
}

/// The screen's first line.
fn header(screen: &str) -> &str {
    screen.lines().next().unwrap_or_default()
}

/// The row of the part with this name, which is only one.
fn row<'s>(screen: &'s str, name: &str) -> &'s str {
    let is_row = |line: &&str| line.contains(&format!("─ {name} "));
    screen.lines().find(is_row).unwrap_or_default()
}

/// The terminal is as it was before: the shell's own screen, the cursor, lines and echo.
async fn is_given_back(tmux: &Tmux) {
    eventually(PATIENCE, async || {
        match tmux.ask("#{alternate_on} #{cursor_flag} #{pane_current_command}") {
            state if state == "0 1 bash" => Ok(()),
            state => Err(format!("alternate screen, cursor, command: {state}")),
        }
    })
    .await;
    tmux.type_line("clear; stty -a | grep -Eo '.(icanon|echo) '; echo d''one");
    let screen = tmux.shows(&["done"]).await;
    assert!(
        !screen.contains("-icanon") && !screen.contains("-echo"),
        "{screen}"
    );
}

async fn drill(daemon: &Daemon) {
    let order = json!({ "target": "/ptys/manager" });
    daemon
        .operator()
        .await
        .post("/api/v1/drills/panic-actor", &order)
        .await
        .expect(202);
}

#[tokio::test]
async fn all_parts_are_seen_and_what_happens_to_them() {
    let daemon = daemon().drills().start().await;
    let Some(tmux) = top(daemon.home(), 120, 60).await else {
        return;
    };
    let screen = tmux.shows(&["ptys", "store", "last changes"]).await;
    assert!(header(&screen).contains("  NORMAL  up "), "{screen}");
    for heading in [
        "LEVEL",
        "RESTARTS",
        "MAILBOX",
        "IN HAND",
        "P99",
        "REPLIES/S",
    ] {
        assert!(screen.contains(heading), "{heading}: {screen}");
    }
    assert!(
        row(&screen, "keeper").contains("NORMAL    running"),
        "{screen}"
    );

    drill(&daemon).await;
    let screen = tmux
        .shows(&["1 (1/5)", "panicked while it handled drill"])
        .await;
    assert!(row(&screen, "keeper").contains(" 0 "), "{screen}");

    select(&tmux, "/ptys/manager").await;
    tmux.press(&["e"]);
    tmux.shows(&[
        "── explain /ptys/manager ",
        "What happens next",
        "Last changes",
    ])
    .await;
    tmux.press(&["Escape"]);
    tmux.press(&["?"]);
    tmux.shows(&["── keys ", "Ctrl-Z"]).await;
    tmux.press(&["q"]);
    tmux.shows(&["── /ptys/manager "]).await;

    tmux.press(&["q"]);
    tmux.shows(&["end=0."]).await;
    is_given_back(&tmux).await;
    daemon.stop().await;
}

#[tokio::test]
async fn parts_are_restarted_held_and_released_by_keys() {
    let daemon = daemon().start().await;
    let Some(tmux) = top(daemon.home(), 120, 40).await else {
        return;
    };
    select(&tmux, "/store/manager").await;
    tmux.press(&["r"]);
    tmux.shows(&["restart /store/manager and what runs below it? y/n"])
        .await;
    tmux.press(&["n"]);
    tmux.until("no is no", |screen| !screen.contains("? y/n"))
        .await;
    tmux.press(&["r", "y"]);
    tmux.shows(&["restarted: /store/manager is NORMAL after"])
        .await;

    tmux.press(&["h"]);
    tmux.shows(&["hold /store/manager: ", "? y/n"]).await;
    tmux.press(&["y"]);
    let screen = tmux
        .shows(&["held: /store/manager is OFFLINE stopped after"])
        .await;
    assert!(screen.contains("last changes"), "{screen}");
    let screen = tmux
        .until("the whole is not well, and says why", |screen| {
            let mut lines = screen.lines();
            let system = lines.next().unwrap_or_default();
            system.contains("OFFLINE")
                && lines
                    .next()
                    .is_some_and(|why| why.contains("/store/manager: was stopped"))
        })
        .await;
    assert!(screen.contains("impact    stored data"), "{screen}");

    tmux.press(&["l"]);
    tmux.shows(&["released: /store/manager is NORMAL after"])
        .await;
    tmux.until("all is well again", |screen| {
        header(screen).contains("  NORMAL  ")
    })
    .await;
    tmux.press(&["g", "r"]);
    tmux.shows(&["the whole daemon cannot be told to restart"])
        .await;
    tmux.press(&["C-c"]);
    tmux.shows(&["end=0."]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn it_follows_the_window_and_goes_to_the_background() {
    let daemon = daemon().start().await;
    let Some(tmux) = top(daemon.home(), 120, 40).await else {
        return;
    };
    tmux.resize(60, 16);
    tmux.until("it is narrow", |screen| {
        screen.lines().count() == 16 && screen.contains("LEVEL") && !screen.contains("IN HAND")
    })
    .await;
    tmux.resize(20, 5);
    tmux.until("it is tiny", |screen| {
        header(screen).starts_with("mainstay  NORMAL") && screen.contains("▾ /")
    })
    .await;
    tmux.resize(120, 40);
    tmux.shows(&["IN HAND", "last changes"]).await;

    tmux.press(&["C-z"]);
    is_given_back(&tmux).await;
    tmux.type_line("fg");
    tmux.shows(&["IN HAND", "last changes"]).await;
    tmux.press(&["j", "j"]);
    let pid = eventually(PATIENCE, async || {
        let shell = tmux.ask("#{pane_pid}").parse().map_err(|_| "a shell")?;
        let running = kit::children_of(shell);
        running.first().cloned().ok_or("top runs")
    })
    .await;
    pid.signal(Signal::TERM);
    is_given_back(&tmux).await;
    daemon.stop().await;
}

#[tokio::test]
async fn it_outlives_the_daemon_and_goes_on() {
    let first = daemon().start().await;
    let home = first.home().clone();
    let Some(tmux) = top(&home, 100, 40).await else {
        return;
    };
    first.stop().await;
    let screen = tmux
        .shows(&["NO ANSWER", "since ", " UTC, trying again: "])
        .await;
    assert!(screen.contains("ptys"), "what was known stays: {screen}");
    let second = daemon().home(&home).start().await;
    tmux.until("it is back", |screen| {
        header(screen).contains("  NORMAL  up ")
    })
    .await;
    // Its changes are told as well.
    second.cli(&["restart", "/ptys/keeper"]).await.expect(0);
    tmux.shows(&["/ptys/keeper  OFFLINE, stopping → starting"])
        .await;
    tmux.press(&["q"]);
    tmux.shows(&["end=0."]).await;
    second.stop().await;
}

#[tokio::test]
async fn a_closed_window_ends_it() {
    let daemon = daemon().start().await;
    let Some(tmux) = top(daemon.home(), 80, 24).await else {
        return;
    };
    let shell = tmux.ask("#{pane_pid}").parse().expect("a process id");
    let running = kit::children_of(shell);
    assert_eq!(running.len(), 1, "{running:?}");
    drop(tmux);
    eventually(PATIENCE, async || {
        match running.iter().find(|one| one.is_alive()) {
            None => Ok(()),
            Some(left) => Err(format!("{left:?} ends")),
        }
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_terminal_it_says_what_does_without() {
    let daemon = daemon().start().await;
    let ended = daemon.cli(&["top"]).await.expect(2);
    assert!(
        ended.stderr.contains("mainstay status --watch"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    if let Some(tmux) = Tmux::start(100, 30) {
        tmux.type_line(&format!("TERM=dumb {}", line(daemon.home(), "top")));
        tmux.shows(&["mainstay status --watch", "end=2."]).await;
    }
    daemon.stop().await;
    // Without a daemon it is told as by every other verb, and the terminal stays as it is.
    let home = Home::new();
    if let Some(tmux) = Tmux::start(100, 30) {
        tmux.type_line(&line(&home, "top"));
        tmux.shows(&["mainstay up", "end=3."]).await;
    }
    cli(&home, &["top"]).await.expect(2);
}

#[tokio::test]
async fn a_dumb_terminal_gets_a_plain_line_for_each_change() {
    let daemon = daemon().start().await;
    let wanted = json!({ "shell": "/bin/bash", "cols": 60, "rows": 24 });
    let (_, mut terminal) = open_and_attach(&daemon, &wanted).await;
    let data = daemon.home().data_dir().display().to_string();
    terminal
        .send_line(&format!(
            "echo be''gun; TERM=dumb {BINARY} --data-dir {data} status --watch /ptys/keeper"
        ))
        .await;
    terminal.read_until("begun\r\n").await;
    let shown = terminal.read_until("\n").await;
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(
        shown.contains("/ptys/keeper") && shown.contains("NORMAL"),
        "how it is, first: {shown:?}"
    );
    daemon.cli(&["restart", "/ptys/keeper"]).await.expect(0);
    let told = terminal.read_until("starting -> running").await;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(!told.contains('\u{1b}') && told.is_ascii(), "{told:?}");
    for line in told.lines().filter(|line| !line.is_empty()) {
        assert!(line.contains("/ptys/keeper  "), "{line:?} of {told:?}");
    }
    daemon.stop().await;
}
