//! What a service manager hears: readiness, the state in words, signs of life, reloads, the stop.
//!
//! The manager here is a datagram socket, as systemd's is: one message a datagram, heard when it is sent.
//!
//! Domains: `ptys`.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use kit::{Builder, Daemon, Home, PATIENCE, Signal, eventually, within};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::time::Instant;

use crate::support::{BINARY, daemon, status_with};

/// How often the manager here wants a sign of life at least.
const WATCHDOG: Duration = Duration::from_secs(1);

/// A service manager, and what it was told so far.
struct Manager {
    socket: UnixDatagram,
    home: Home,
    told: Vec<String>,
}

impl Manager {
    fn new() -> Self {
        let home = Home::new();
        let socket = UnixDatagram::bind(home.root().join("notify")).expect("a socket");
        Self {
            socket,
            home,
            told: Vec::new(),
        }
    }

    /// The options of a daemon that is run as a service.
    fn service(&self, builder: Builder) -> Builder {
        let path = self.home.root().join("notify");
        builder
            .home(&self.home)
            .env("NOTIFY_SOCKET", path.display().to_string())
    }

    /// The next message.
    async fn next(&mut self, wanted: &str) -> String {
        let mut message = vec![0; 4096];
        let what = format!("{wanted} after {:?}", self.told);
        let length = within(PATIENCE, &what, self.socket.recv(&mut message)).await;
        message.truncate(length.expect("readable"));
        let message = String::from_utf8(message).expect("text");
        self.note(&message)
    }

    /// Waits for a message that begins like this, and gives it.
    async fn hear(&mut self, wanted: &str) -> String {
        loop {
            let message = self.next(wanted).await;
            if message.starts_with(wanted) {
                return message;
            }
        }
    }

    /// Everything that was sent by a daemon which has ended.
    fn hear_rest(&mut self) {
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut message) {
            let message = message.get(..length).unwrap_or_default();
            self.note(&String::from_utf8_lossy(message));
        }
    }

    fn note(&mut self, message: &str) -> String {
        let message = message.trim_end().to_owned();
        self.told.push(message.clone());
        message
    }

    /// How many of the messages are, or begin, like this.
    fn count(&self, wanted: &str) -> usize {
        let told = self.told.iter();
        told.filter(|message| message.starts_with(wanted)).count()
    }
}

/// The monotonic clock, as the daemon reads it.
fn monotonic_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[tokio::test]
async fn it_is_told_once_that_the_daemon_is_ready_and_that_it_stops() {
    let mut manager = Manager::new();
    let daemon = manager.service(daemon()).spawn();
    manager.hear("READY=1").await;
    // Not before it is: the ready line is out, and who asks is told the same.
    daemon.local().get("/health/ready").await.expect(200);
    eventually(PATIENCE, async || {
        let line = daemon.stdout().text();
        if line.starts_with("mainstay ready on ") {
            Ok(())
        } else {
            Err(format!("the ready line, not {line:?}"))
        }
    })
    .await;
    daemon.stop().await;
    manager.hear_rest();
    assert_eq!(manager.count("READY=1"), 1, "{:?}", manager.told);
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.told);
    assert_eq!(manager.told.last().map(String::as_str), Some("STOPPING=1"));
    // It did not ask for signs of life.
    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:?}", manager.told);
}

#[tokio::test]
async fn a_stop_before_the_daemon_is_ready_is_told_as_well() {
    let mut manager = Manager::new();
    let daemon = manager.service(daemon()).spawn();
    eventually(PATIENCE, async || match daemon.socket().try_exists() {
        Ok(true) => Ok(()),
        _ => Err("it listens"),
    })
    .await;
    daemon.stop().await;
    manager.hear_rest();
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.told);
    assert!(manager.count("READY=1") <= 1, "{:?}", manager.told);
}

#[tokio::test]
async fn the_state_is_told_with_its_cause() {
    let mut manager = Manager::new();
    let daemon = manager.service(daemon()).start().await;
    manager.hear("STATUS=NORMAL").await;
    daemon.cli(&["stop", "/ptys/manager"]).await.expect(0);
    status_with(&daemon, "/ptys/manager", "state", "stopped").await;
    loop {
        let told = manager.hear("STATUS=").await;
        let Some(of) = told.strip_prefix("STATUS=") else {
            panic!("{told}")
        };
        if of == "NORMAL" {
            continue;
        }
        let (level, why) = of.split_once(": ").expect("a level and why");
        assert!(
            ["DEGRADED", "CRITICAL", "OFFLINE"].contains(&level),
            "{told}"
        );
        let cause = why.split_once(' ').expect("a path and what it says");
        // Before the daemon is ready every node is still starting.
        if cause.0.starts_with("/ptys") {
            assert!(!cause.1.is_empty(), "{told}");
            break;
        }
    }
    daemon.cli(&["start", "/ptys/manager"]).await.expect(0);
    manager.hear("STATUS=NORMAL").await;
    daemon.stop().await;
}

#[tokio::test]
async fn signs_of_life_come_more_often_than_asked_until_the_end() {
    const SIGNS: u32 = 8;
    let mut manager = Manager::new();
    // As systemd does it: the number of the very process, which keeps it through `exec`.
    let script = format!("#!/bin/sh\nWATCHDOG_PID=$$ exec '{BINARY}' \"$@\"\n");
    let program = manager.home.write("as-a-service", script);
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&program, executable).expect("writable");
    let daemon = manager
        .service(Daemon::builder(program))
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .start()
        .await;
    manager.hear("WATCHDOG=1").await;
    let first = Instant::now();
    for _ in 0..SIGNS {
        manager.hear("WATCHDOG=1").await;
    }
    // Twice as often, and on a machine with much else to do still never as rarely as asked.
    let took = first.elapsed();
    assert!(took < WATCHDOG * SIGNS * 3 / 4, "{took:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn signs_of_life_that_another_process_is_asked_for_are_not_sent() {
    let mut manager = Manager::new();
    let daemon = manager
        .service(daemon())
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", std::process::id().to_string())
        .start()
        .await;
    manager.hear("READY=1").await;
    daemon.stop().await;
    manager.hear_rest();
    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:?}", manager.told);
}

#[tokio::test]
async fn a_reload_is_told_from_its_beginning_to_its_end() {
    let mut manager = Manager::new();
    let daemon = manager.service(daemon()).start().await;
    manager.hear("READY=1").await;
    for _ in 0..2 {
        let asked = monotonic_us();
        daemon.signal(Signal::HUP);
        let began = manager.hear("RELOADING=1").await;
        let since = began
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
            .and_then(|since| since.parse::<i64>().ok());
        let since = since.unwrap_or_else(|| panic!("a time in {began:?}"));
        assert!(
            (asked..=monotonic_us()).contains(&since),
            "{since} after {asked}"
        );
        manager.hear("READY=1").await;
    }
    daemon.stop().await;
    manager.hear_rest();
    assert_eq!(manager.count("RELOADING=1"), 2, "{:?}", manager.told);
    assert_eq!(manager.count("READY=1"), 3, "{:?}", manager.told);
}
