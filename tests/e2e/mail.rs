//! Outgoing mail, against a server of the harness that fails as real ones do.
//!
//! Most mails here are rows that "another process" has written into the queue: what is found is theirs, and what is told is ours.
//!
//! Domains: `mail`.

use kit::smtp::{Fault, Sink};
use kit::{Client, Daemon, Home, PATIENCE, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, status, status_with, url_of};

on_both_databases![
    a_mail_is_delivered_over_starttls,
    what_fails_for_a_while_is_tried_again,
    what_is_refused_is_given_up,
    without_a_server_mails_lie_in_the_outbox,
    a_mail_that_waits_survives_a_kill,
];

const ID: &str = "01890000-0000-7000-8000-000000000001";
const SECRET: &str = "https://example.org/reset#very-secret-word";

/// Writes a mail into the queue past the daemon, due at once and wanted for decades.
async fn written(database: &SharedDatabase, home: &Home) {
    let url = url_of(database, home);
    let id = if url.starts_with("sqlite:") {
        format!("X'{}'", ID.replace('-', ""))
    } else {
        format!("'{ID}'")
    };
    let insert = format!(
        "INSERT INTO mail_queue (id, to_address, subject, body, kind, state, attempts, next_at, not_after, created_at) \
         VALUES ({id}, 'ann@example.org', 'A new password', '{SECRET}', 'test.mail', 'waiting', 0, 0, 4102444800000000, 1700000000000000)"
    );
    assert_eq!(kit::sql(&url, &insert).await, 1);
}

/// Writes a mail and has the daemon look at once.
async fn posted(database: &SharedDatabase, daemon: &Daemon) {
    written(database, daemon.home()).await;
    let retry = format!("/api/v1/mail/{ID}/retry");
    let answer = daemon.local().post(&retry, &json!({})).await;
    // It may have been found already.
    assert!(
        [202, 409].contains(&answer.status),
        "{} {}",
        answer.status,
        answer.text()
    );
}

/// The only mail of the queue, as an administrator sees it.
async fn only(client: &Client) -> Value {
    let listed = client.get("/api/v1/mail").await.expect(200).json();
    assert_eq!(
        listed["items"].as_array().map(Vec::len),
        Some(1),
        "{listed:#}"
    );
    listed["items"][0].clone()
}

async fn only_is(daemon: &Daemon, state: &str) -> Value {
    let local = daemon.local();
    eventually(PATIENCE, async || {
        let mail = only(&local).await;
        if mail["state"] == state {
            Ok(mail)
        } else {
            Err(format!("the mail becomes {state}: {mail:#}"))
        }
    })
    .await
}

/// Nothing of the mail's text is left in the queue, in the list, or in what was logged.
async fn leaves_no_text(database: &SharedDatabase, daemon: Daemon) {
    let url = url_of(database, daemon.home());
    let texts = kit::sql_text(&url, "SELECT body FROM mail_queue WHERE body IS NOT NULL").await;
    assert_eq!(texts, None);
    let listed = daemon.local().get("/api/v1/mail").await.expect(200).text();
    let ended = daemon.stop().await;
    for told in [listed, ended.stderr] {
        assert!(!told.contains("very-secret-word"), "{told}");
    }
}

async fn leading_to(sink: &Sink, database: &SharedDatabase) -> Daemon {
    let config = format!("[log]\nfilter = \"debug\"\n\n{}", sink.section());
    daemon().database(database).config(config).start().await
}

async fn a_mail_is_delivered_over_starttls(database: SharedDatabase) {
    let sink = Sink::start().await;
    let daemon = leading_to(&sink, &database).await;
    assert_eq!(status(&daemon, "/mail").await["level"], "NORMAL");
    // Nobody tells the daemon of this one: it looks by itself.
    written(&database, daemon.home()).await;
    let received = sink.received_at_least(1).await;
    assert!(received[0].is_protected);
    assert_eq!(received[0].to, ["ann@example.org"]);
    assert_eq!(received[0].text().trim_end(), SECRET);
    assert_eq!(
        received[0].header("Message-ID"),
        Some(format!("<{ID}@example.org>"))
    );
    let sent = only_is(&daemon, "sent").await;
    assert_eq!(
        (&sent["attempts"], &sent["last_error"]),
        (&json!(1), &Value::Null)
    );
    assert!(
        sent["ended_at"].is_string() && sent["next_attempt_at"].is_null(),
        "{sent:#}"
    );
    leaves_no_text(&database, daemon).await;
    assert_eq!(sink.received().len(), 1);
}

async fn what_fails_for_a_while_is_tried_again(database: SharedDatabase) {
    let sink = Sink::start().await;
    for fault in [
        Fault::Recipient(450),
        Fault::CutInData,
        Fault::Greeting(421),
    ] {
        sink.order(fault);
    }
    let daemon = leading_to(&sink, &database).await;
    posted(&database, &daemon).await;
    let sent = only_is(&daemon, "sent").await;
    assert!(sent["attempts"].as_u64() >= Some(2), "{sent:#}");
    assert!(sent["last_code"].is_string(), "{sent:#}");
    assert_eq!(sink.received().len(), 1);
    leaves_no_text(&database, daemon).await;
}

async fn what_is_refused_is_given_up(database: SharedDatabase) {
    let sink = Sink::start().await;
    sink.order(Fault::Recipient(550));
    let daemon = leading_to(&sink, &database).await;
    posted(&database, &daemon).await;
    let given_up = only_is(&daemon, "given_up").await;
    assert_eq!(given_up["last_code"], "mail.refused");
    assert!(
        given_up["last_error"]
            .as_str()
            .is_some_and(|told| told.contains("550")),
        "{given_up:#}"
    );
    assert_eq!(
        status(&daemon, "/mail").await["level"],
        "NORMAL",
        "one bad address is no trouble"
    );
    let again = daemon
        .local()
        .post(&format!("/api/v1/mail/{ID}/retry"), &json!({}))
        .await;
    assert_eq!(again.problem(409)["code"], "mail.ended");
    leaves_no_text(&database, daemon).await;
    assert!(sink.received().is_empty());
}

async fn without_a_server_mails_lie_in_the_outbox(database: SharedDatabase) {
    use std::os::unix::fs::PermissionsExt;
    let daemon = daemon().database(&database).start().await;
    assert_eq!(status(&daemon, "/mail").await["level"], "NORMAL");
    posted(&database, &daemon).await;
    only_is(&daemon, "outbox").await;
    let file = daemon
        .home()
        .data_dir()
        .join("outbox")
        .join(format!("{ID}.eml"));
    let text = std::fs::read_to_string(&file).expect("a mail");
    assert!(
        text.contains("To: ann@example.org") && text.contains(SECRET),
        "{text}"
    );
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(&file), mode(file.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    let node = status_with(&daemon, "/mail", "level", "DEGRADED").await;
    assert_eq!(node["cause"]["code"], "mail.outbox", "{node:#}");
    assert!(
        node["impact"].is_string() && node["fallback"].is_string(),
        "{node:#}"
    );
    assert_eq!(status(&daemon, "/").await["level"], "DEGRADED");
    std::fs::remove_file(&file).expect("handed over");
    status_with(&daemon, "/mail", "level", "NORMAL").await;
    leaves_no_text(&database, daemon).await;
}

async fn a_mail_that_waits_survives_a_kill(database: SharedDatabase) {
    let mut sink = Sink::start().await;
    sink.leave().await;
    let first = leading_to(&sink, &database).await;
    posted(&database, &first).await;
    let node = status_with(&first, "/mail/smtp", "level", "DEGRADED").await;
    assert_eq!(node["kind"], "dependency", "{node:#}");
    assert_eq!(node["cause"]["code"], "mail.unreachable", "{node:#}");
    assert_eq!(only(&first.local()).await["state"], "waiting");
    let home = first.kill9().await;
    sink.come_back().await;
    let second = daemon()
        .database(&database)
        .home(&home)
        .config(sink.section())
        .start()
        .await;
    only_is(&second, "sent").await;
    assert_eq!(sink.received().len(), 1);
    second.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_with_its_cause_and_forgotten_when_it_is_back() {
    let database = SharedDatabase::default();
    let mut sink = Sink::start().await;
    let daemon = leading_to(&sink, &database).await;
    sink.leave().await;
    posted(&database, &daemon).await;
    let domain = status_with(&daemon, "/mail", "level", "DEGRADED").await;
    assert_eq!(
        domain["cause"]["path"], "/mail/smtp",
        "the root, not the symptom: {domain:#}"
    );
    assert!(
        domain["impact"].is_string() && domain["fallback"].is_string(),
        "{domain:#}"
    );
    assert_eq!(status(&daemon, "/").await["level"], "DEGRADED");
    sink.come_back().await;
    status_with(&daemon, "/mail/smtp", "level", "NORMAL").await;
    status_with(&daemon, "/", "level", "NORMAL").await;
    only_is(&daemon, "sent").await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_queue_is_for_administrators() {
    let daemon = daemon().start().await;
    daemon.anonymous().get("/api/v1/mail").await.problem(401);
    let limited = daemon
        .cli(&["token", "create", "--scope", "read"])
        .await
        .expect(0);
    let limited = daemon.with_token(limited.stdout.trim());
    limited.get("/api/v1/mail").await.problem(403);
    limited
        .post(&format!("/api/v1/mail/{ID}/retry"), &json!({}))
        .await
        .problem(403);
    let operator = daemon.operator().await;
    let listed = operator.get("/api/v1/mail").await.expect(200).json();
    assert_eq!(listed, json!({ "items": [], "next_cursor": null }));
    let unknown = operator
        .post(&format!("/api/v1/mail/{ID}/retry"), &json!({}))
        .await;
    assert_eq!(unknown.problem(404)["code"], "mail.not_found");
    let stop = daemon
        .local()
        .post("/api/v1/supervisor/mail/stop", &json!({}))
        .await;
    stop.expect(202);
    status_with(&daemon, "/mail", "state", "stopped").await;
    let refused = operator.get("/api/v1/mail").await;
    refused.problem(503);
    daemon.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_together_is_told_before_anything_starts() {
    let config = "[mail]\nsmtp_host = \"mail.example.org\"\ntls = \"none\"\nusername = \"me\"\n";
    let ended = daemon().config(config).run_to_exit().await.expect(4);
    for key in ["from", "tls", "username"] {
        assert!(ended.stderr.contains(key), "{key}\n{}", ended.stderr);
    }
}
