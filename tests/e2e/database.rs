//! The database as it should not be: something else, too new, edited, gone, frozen, and back again.
//!
//! Domains: `store`.

use kit::{Database, Home, PATIENCE, Postgres, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{
    cli, daemon, daemon_on, open, open_and_attach, say, shell, status, status_with, url_of,
};

on_both_databases![
    a_newer_database_is_refused_untouched,
    an_edited_migration_is_refused,
    a_second_start_changes_nothing,
];

/// Starts on a database that cannot be used, which the daemon refuses, and gives what it said.
async fn refused(database: &SharedDatabase, home: &Home) -> String {
    let ended = daemon().database(database).home(home).run_to_exit().await;
    let ended = ended.expect(1);
    assert_eq!(ended.stdout, "", "it never was ready");
    ended.stderr
}

async fn a_newer_database_is_refused_untouched(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let home = first.home().clone();
    first.stop().await;
    let url = url_of(&database, &home);
    let entry = "INSERT INTO store_migrations (version, domain, name, checksum, applied_at)
        SELECT 9999, domain, 'from_tomorrow', checksum, applied_at FROM store_migrations LIMIT 1";
    assert_eq!(kit::sql(&url, entry).await, 1);
    let told = refused(&database, &home).await;
    assert!(
        told.contains("from_tomorrow") && told.contains("newer"),
        "{told}"
    );
    let kept = kit::sql_text(
        &url,
        "SELECT name FROM store_migrations WHERE version = 9999",
    )
    .await;
    assert_eq!(kept.as_deref(), Some("from_tomorrow"));
    assert_eq!(
        kit::sql(&url, "DELETE FROM store_migrations WHERE version = 9999").await,
        1
    );
    let mended = daemon().database(&database).home(&home).start().await;
    assert_eq!(status(&mended, "/store").await["level"], "NORMAL");
    mended.stop().await;
}

async fn an_edited_migration_is_refused(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let home = first.home().clone();
    first.stop().await;
    let url = url_of(&database, &home);
    let edit = "UPDATE store_migrations
        SET checksum = (SELECT checksum FROM store_migrations WHERE version = 2) WHERE version = 1";
    assert_eq!(kit::sql(&url, edit).await, 1);
    let told = refused(&database, &home).await;
    assert!(told.contains("0001") && told.contains("changed"), "{told}");
}

async fn a_second_start_changes_nothing(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let token = first.new_token("kept").await;
    let home = first.home().clone();
    first.stop().await;
    let url = url_of(&database, &home);
    let count = "SELECT CAST(count(*) AS TEXT) FROM store_migrations";
    let before = kit::sql_text(&url, count).await;
    let second = daemon().database(&database).home(&home).start().await;
    second
        .with_token(&token)
        .get("/api/v1/status")
        .await
        .expect(200);
    second.stop().await;
    assert_eq!(kit::sql_text(&url, count).await, before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_untouched() {
    let sqlite = SharedDatabase::default();
    for content in [
        b"this is no database, but a letter to the operator\n".repeat(100),
        b"SQLite".to_vec(),
    ] {
        let home = Home::new();
        let file = prepared(&home, &content);
        let told = refused(&sqlite, &home).await;
        assert!(told.contains("not a Mainstay database"), "{told}");
        assert_eq!(std::fs::read(file).expect("still there"), content);
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let home = Home::new();
    let file = prepared(&home, b"");
    let url = format!("sqlite://{}", file.display());
    kit::sql(&url, "CREATE TABLE recipes (name TEXT)").await;
    let told = refused(&SharedDatabase::default(), &home).await;
    assert!(told.contains("not a Mainstay database"), "{told}");
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let first = daemon().start().await;
    let home = first.home().clone();
    for _ in 0..20 {
        first.new_token("filler").await;
    }
    first.stop().await;
    let file = home.data_dir().join("mainstay.db");
    let mut content = std::fs::read(&file).expect("readable");
    let from = 4096.min(content.len());
    content.iter_mut().skip(from).for_each(|byte| *byte = 0x5a);
    std::fs::write(&file, content).expect("writable");
    let told = refused(&SharedDatabase::default(), &home).await;
    assert!(
        told.contains("damaged") && told.contains("backup"),
        "{told}"
    );
}

/// Writes a database file before any daemon has.
fn prepared(home: &Home, content: &[u8]) -> std::path::PathBuf {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder
        .mode(0o700)
        .create(home.data_dir())
        .expect("a new directory");
    let file = home.data_dir().join("mainstay.db");
    std::fs::write(&file, content).expect("writable");
    file
}

#[tokio::test]
async fn a_database_server_lost_and_back() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let url = server.create_database("story").await;
    let daemon = daemon().store_url(&url).start().await;
    let token = daemon.operator_token().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    let mut stream = daemon.local().events("/api/v1/status/stream", None).await;

    for round in 0..2 {
        server.stop();
        let lost = stream
            .until(PATIENCE, |event| {
                let event = event.json();
                event["path"] == "/store" && event["level"] != "NORMAL" && !event["cause"].is_null()
            })
            .await
            .json();
        assert!(
            lost["cause"]["code"].is_string() && lost["impact"].is_string(),
            "{lost:#}"
        );
        assert_eq!(lost["cause"]["path"], "/store/database", "{lost:#}");
        told_as_a_dependency(&daemon).await;
        // What is open goes on, what needs no database works, and what does is refused at once, with a time to come back.
        say(&mut terminal, &format!("without-a-database-{round}")).await;
        let fresh = open(&daemon.local(), &shell()).await;
        daemon
            .local()
            .delete(&format!("/api/v1/terminals/{fresh}"))
            .await
            .expect(204);
        let refused = daemon.local().post("/api/v1/tokens", &json!({})).await;
        refused.problem(503);
        assert!(refused.header("retry-after").is_some());
        let ptys = status(&daemon, "/ptys").await;
        assert_eq!(ptys["level"], "DEGRADED", "{ptys:#}");
        assert_eq!(
            ptys["cause"]["path"], lost["cause"]["path"],
            "the root, not the symptom: {ptys:#}"
        );
        assert!(ptys["fallback"].is_string(), "{ptys:#}");

        server.start_again().await;
        stream
            .until(PATIENCE, |event| {
                let event = event.json();
                event["path"] == "/store" && event["level"] == "NORMAL"
            })
            .await;
        status_with(&daemon, "/", "level", "NORMAL").await;
        daemon
            .with_token(&token)
            .get("/api/v1/terminals")
            .await
            .expect(200);
    }
    say(&mut terminal, "all-the-same-shell").await;
    daemon.stop().await;
}

/// The node of a lost database tells its breaker's state and its last error, and `explain` what it is.
async fn told_as_a_dependency(daemon: &kit::Daemon) {
    let node = status(daemon, "/store/database").await;
    assert_eq!(node["kind"], "dependency");
    let breaker = &node["detail"]["breaker"];
    assert!(breaker == "open" || breaker == "half_open", "{node:#}");
    assert!(node["detail"]["last_error"].is_string(), "{node:#}");
    let told = daemon
        .cli(&["explain", "/store/database"])
        .await
        .expect(0)
        .stdout;
    assert!(told.contains("outside of this process"), "{told}");
}

#[tokio::test]
async fn a_frozen_database_server_hangs_nobody() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let url = server.create_database("story").await;
    let daemon = daemon()
        .store_url(&url)
        .config("[http]\nrequest_timeout = \"2s\"\n")
        .start()
        .await;
    let token = daemon.operator_token().await;
    let (_, mut terminal) = open_and_attach(&daemon, &shell()).await;
    server.freeze();
    for _ in 0..3 {
        let asked = daemon.local().post("/api/v1/tokens", &json!({})).await;
        assert!(
            asked.status == 503 || asked.status == 504,
            "{} {}",
            asked.status,
            asked.text()
        );
    }
    say(&mut terminal, "unfrozen").await;
    let store = eventually(PATIENCE, async || {
        let store = status(&daemon, "/store").await;
        if store["level"] == "NORMAL" {
            Err("the store is told to be unwell")
        } else {
            Ok(store)
        }
    })
    .await;
    assert!(store["cause"]["code"].is_string(), "{store:#}");
    server.thaw();
    status_with(&daemon, "/store", "level", "NORMAL").await;
    daemon
        .with_token(&token)
        .get("/api/v1/terminals")
        .await
        .expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_server_that_was_never_there_is_waited_for() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let url = server.create_database("story").await;
    server.stop();
    let daemon = daemon().store_url(&url).start().await;
    let store = status_with(&daemon, "/store", "level", "OFFLINE").await;
    assert_eq!(store["cause"]["code"], "store.unreachable", "{store:#}");
    server.start_again().await;
    status_with(&daemon, "/", "level", "NORMAL").await;
    daemon
        .operator()
        .await
        .get("/api/v1/terminals")
        .await
        .expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_password_in_the_url_is_told_to_nobody() {
    let url = "postgres://mainstay:hunter2@127.0.0.1:1/none";
    let daemon = daemon().store_url(url).start().await;
    let tree = daemon
        .local()
        .get("/api/v1/status")
        .await
        .expect(200)
        .text();
    let shown = daemon.cli(&["config", "show"]).await;
    let ended = daemon.stop().await;
    for told in [tree, shown.stdout, shown.stderr, ended.stderr] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn migrations_are_looked_at_and_taken_back_while_the_daemon_is_down() {
    let first = daemon().start().await;
    let home = first.home().clone();
    let busy = first.cli(&["migrate", "down"]).await;
    assert_ne!(busy.code, 0, "not under a running daemon");
    first.stop().await;
    let listed = cli(&home, &["migrate", "status", "--json"])
        .await
        .expect(0)
        .json();
    assert!(listed.to_string().contains("tokens"), "{listed:#}");
    cli(&home, &["migrate", "verify"]).await.expect(0);
    cli(&home, &["migrate", "down", "--steps", "1"])
        .await
        .expect(0);
    cli(&home, &["migrate", "up"]).await.expect(0);
    let again = daemon().home(&home).start().await;
    assert_eq!(status(&again, "/").await["level"], "NORMAL");
    again.stop().await;
    let edit = "UPDATE store_migrations
        SET checksum = (SELECT checksum FROM store_migrations WHERE version = 2) WHERE version = 1";
    kit::sql(&url_of(&SharedDatabase::default(), &home), edit).await;
    cli(&home, &["migrate", "verify"]).await.expect(1);
}

#[tokio::test]
async fn both_databases_serve_the_same_documents() {
    let mut seen: Vec<Vec<String>> = Vec::new();
    for database in [Database::Sqlite, Database::Postgres] {
        let Some(database) = database.fresh().await else {
            return;
        };
        let daemon = daemon_on(&database).await;
        let made = daemon
            .local()
            .post("/api/v1/tokens", &json!({ "name": "same" }))
            .await
            .expect(201)
            .json();
        let listed = daemon
            .local()
            .get("/api/v1/tokens")
            .await
            .expect(200)
            .json();
        let members = |document: &Value| -> Vec<String> {
            document
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        };
        seen.push([members(&made), members(&listed["items"][0])].concat());
        daemon.stop().await;
    }
    assert_eq!(seen.first(), seen.last());
}
