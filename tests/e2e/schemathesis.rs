//! A foreign program reads the API's description and tries whatever it allows and forbids, against the real daemon.
//!
//! Why not always: it takes minutes and is not on every machine. `cargo xtask test --only schemathesis` runs it, and says that it
//! was skipped where the program (`pip install schemathesis`, `st` on the `PATH`) is missing.

use std::path::Path;
use std::time::Duration;

use kit::{Daemon, within};
use tokio::process::Command;

use crate::support::daemon;

/// The same dice every time.
const SEED: &str = "1";
/// Tries an operation.
const TRIES: &str = "50";
/// A run that is not over by then hangs.
const LIMIT: Duration = Duration::from_mins(15);

/// What no description can say: that a cursor must come from a list, and that a key which is sent again gets the first answer,
/// although what that made may be gone.
const NOT_IN_A_SCHEMA: &str = "positive_data_acceptance,ensure_resource_availability";
/// Streams, which have no end.
const ENDLESS: [&str; 2] = ["/api/v1/status/stream", "/api/v1/terminals/{id}/attach"];
/// What would end the run itself: its own token, and parts of the daemon.
const DEADLY: &str = "^/api/v1/(tokens/|supervisor/)";

#[tokio::test]
#[ignore = "takes minutes: `cargo xtask test --only schemathesis`"]
async fn schemathesis_finds_nothing() {
    if Command::new("st").arg("--version").output().await.is_err() {
        eprintln!("skipped: there is no program `st`; install it with `pip install schemathesis`");
        return;
    }
    let daemon = daemon().config("[limits]\nenabled = false\n").start().await;
    let client = daemon.operator().await;
    let document = client.get("/api/openapi.json").await.expect(200);
    let document = daemon.home().write("openapi.json", &document.body);

    let most = ["--exclude-path-regex", DEADLY, "--exclude-path", ENDLESS[0]];
    let most = [&most[..], &["--exclude-path", ENDLESS[1]]].concat();
    run(&daemon, &document, &most).await;
    // With a token of its own, which it may revoke.
    run(&daemon, &document, &["--include-path-regex", DEADLY]).await;

    daemon.local().get("/api/v1/status").await.expect(200);
    daemon.stop().await;
}

async fn run(daemon: &Daemon, document: &Path, choice: &[&str]) {
    let token = daemon.new_token("schemathesis").await;
    let mut command = Command::new("st");
    command
        .arg("run")
        .arg(document)
        .args(["--url", &daemon.url()])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--seed", SEED, "--max-examples", TRIES])
        .args(["--exclude-checks", NOT_IN_A_SCHEMA])
        .args([
            "--request-timeout",
            "30",
            "--continue-on-failure",
            "--no-color",
        ])
        .args(choice)
        .current_dir(daemon.home().root())
        .kill_on_drop(true);
    let ended = within(LIMIT, "schemathesis", command.output()).await;
    let ended = ended.expect("it starts");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}");
}
