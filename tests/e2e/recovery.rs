//! A forgotten password and a changed address, over mails that a server of the harness takes.
//!
//! Domains: `accounts`, `mail`.

use http::Method;
use kit::smtp::{Received, Sink};
use kit::{Client, Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::json;

use crate::support::daemon;

on_both_databases![
    a_forgotten_password_is_set_anew_by_mail,
    an_address_is_changed_by_whoever_reads_it,
    what_was_promised_survives_a_kill,
    a_reset_that_is_cut_short_is_done_or_not,
];

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "quartz lantern ferry";
const NEW_PASSWORD: &str = "another plum harbour";

/// Killed at whatever moment of it: either the new password and a token that is used up, or the old one and a token that still works.
async fn a_reset_that_is_cut_short_is_done_or_not(database: SharedDatabase) {
    let sink = Sink::start().await;
    let mut house = house(&sink, &database).await;
    let (mut present, mut next) = (PASSWORD.to_owned(), NEW_PASSWORD.to_owned());
    for round in 0..3 {
        forgot(&house, ANN).await.expect(202);
        let mails = async || {
            let subject = Some("Set a new password".to_owned());
            let received = sink.received().into_iter();
            let mails = received.filter(|mail| mail.header("Subject") == subject);
            mails.collect::<Vec<_>>()
        };
        let mail = eventually(PATIENCE, async || {
            mails().await.into_iter().nth(round).ok_or("a mail")
        });
        let token = token_in(&mail.await);
        let body = json!({ "token": token, "password": next });
        let path = "/api/v1/auth/password/reset";
        let asked = house.anonymous().request(Method::POST, path).json(&body);
        let (asked, home) = tokio::join!(asked.try_send(), house.kill9());
        let config = format!(
            "[accounts]\npublic_url = \"https://mainstay.example.org\"\n\n{}",
            sink.section()
        );
        let again = daemon().database(&database).home(&home).config(config);
        house = again.start().await;
        let is_done = sign_in(&house, ANN, &next).await.status == 200;
        assert!(is_done || asked.is_err(), "what was answered is done");
        let old = sign_in(&house, ANN, &present).await;
        assert_eq!(old.status, if is_done { 401 } else { 200 });
        let repeated = house.anonymous().post(path, &body).await;
        assert_eq!(repeated.status, if is_done { 403 } else { 204 });
        sign_in(&house, ANN, &next).await.expect(200);
        std::mem::swap(&mut present, &mut next);
    }
    house.stop().await;
}

/// A daemon whose mails go to a server, and its first owner.
async fn house(sink: &Sink, database: &SharedDatabase) -> Daemon {
    let config = format!(
        "[log]\nfilter = \"debug\"\n\n[accounts]\npublic_url = \"https://mainstay.example.org\"\n\n{}",
        sink.section()
    );
    let daemon = daemon().database(database).config(config).start().await;
    let token = eventually(PATIENCE, async || {
        let text = daemon.stderr().text();
        let line = text
            .split_inclusive('\n')
            .find_map(|line| line.strip_prefix("setup token: ")?.strip_suffix('\n'));
        line.map(str::to_owned).ok_or("a setup token on stderr")
    })
    .await;
    let owner = json!({ "setup_token": token, "email": ANN, "password": PASSWORD });
    let made = daemon.anonymous().post("/api/v1/setup", &owner).await;
    assert!(made.status < 300, "{} {}", made.status, made.text());
    daemon
}

async fn ask(daemon: &Daemon, path: &str, body: &serde_json::Value) -> Reply {
    let path = format!("/api/v1/auth/{path}");
    daemon.anonymous().post(&path, body).await
}

async fn forgot(daemon: &Daemon, email: &str) -> Reply {
    ask(daemon, "password/forgot", &json!({ "email": email })).await
}

async fn reset(daemon: &Daemon, token: &str) -> Reply {
    let body = json!({ "token": token, "password": NEW_PASSWORD });
    ask(daemon, "password/reset", &body).await
}

async fn sign_in(daemon: &Daemon, email: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "password": password });
    ask(daemon, "login", &body).await
}

async fn signed_in(daemon: &Daemon, email: &str) -> Client {
    let tokens = sign_in(daemon, email, PASSWORD).await.expect(200).json();
    daemon.with_token(tokens["access_token"].as_str().expect("an access token"))
}

/// The newest mail to an address with this subject.
async fn mailed(sink: &Sink, to: &str, subject: &str) -> Received {
    eventually(PATIENCE, async || {
        let received = sink.received();
        let fits = |mail: &&Received| {
            mail.to == [to] && mail.header("Subject").as_deref() == Some(subject)
        };
        let found = received.iter().rev().find(fits).cloned();
        found.ok_or_else(|| format!("{subject:?} to {to} among {received:?}"))
    })
    .await
}

/// The token in a mail: it stands in the fragment of the link, and alone on a line.
fn token_in(mail: &Received) -> String {
    let text = mail.text();
    let link = text
        .lines()
        .find(|line| line.starts_with("https://mainstay.example.org/"))
        .unwrap_or_else(|| panic!("no link in {text}"));
    let (page, token) = link.split_once("#token=").expect("a fragment");
    assert!(!page.contains('?'), "{link}");
    assert!(text.lines().any(|line| line == token), "{text}");
    token.to_owned()
}

async fn a_forgotten_password_is_set_anew_by_mail(database: SharedDatabase) {
    let sink = Sink::start().await;
    let daemon = house(&sink, &database).await;
    let inside = signed_in(&daemon, ANN).await;
    inside.get("/api/v1/me").await.expect(200);

    let unknown = forgot(&daemon, "nobody@example.org").await.expect(202);
    let known = forgot(&daemon, ANN).await.expect(202);
    assert_eq!(known.body, unknown.body, "nobody learns who has an account");
    forgot(&daemon, "no address").await.problem(422);
    let token = token_in(&mailed(&sink, ANN, "Set a new password").await);

    let made_up = token.replace(|c: char| c.is_ascii_digit(), "A");
    for wrong in ["x", &made_up] {
        let refused = reset(&daemon, wrong).await.problem(403);
        assert_eq!(refused["code"], "recovery.bad_token");
    }
    let weak = json!({ "token": token, "password": "password" });
    ask(&daemon, "password/reset", &weak).await.problem(422);
    reset(&daemon, &token).await.expect(204);
    reset(&daemon, &token).await.problem(403);

    inside.get("/api/v1/me").await.problem(401);
    sign_in(&daemon, ANN, PASSWORD).await.problem(401);
    sign_in(&daemon, ANN, NEW_PASSWORD).await.expect(200);
    mailed(&sink, ANN, "Your password was changed").await;
    assert!(sink.received().iter().all(|mail| mail.to == [ANN]));

    let listed = daemon.local().get("/api/v1/mail").await.expect(200).text();
    let ended = daemon.stop().await;
    for told in [listed, ended.stderr] {
        assert!(!told.contains(&token) && !told.contains(NEW_PASSWORD));
    }
}

async fn an_address_is_changed_by_whoever_reads_it(database: SharedDatabase) {
    const NEW: &str = "ann.lovelace@example.net";
    let sink = Sink::start().await;
    let daemon = house(&sink, &database).await;
    let ann = signed_in(&daemon, ANN).await;
    let path = "/api/v1/auth/email/change";
    let guessed = json!({ "new_email": NEW, "password": "a wild guess" });
    ann.post(path, &guessed).await.problem(422);
    daemon.anonymous().post(path, &guessed).await.problem(401);
    daemon
        .operator()
        .await
        .post(path, &guessed)
        .await
        .problem(403);
    let wanted = json!({ "new_email": NEW, "password": PASSWORD });
    ann.post(path, &wanted).await.expect(202);
    mailed(&sink, ANN, "A new address for your account").await;
    let token = token_in(&mailed(&sink, NEW, "Confirm your new address").await);
    assert_eq!(ann.get("/api/v1/me").await.expect(200).json()["email"], ANN);

    let proof = json!({ "token": token });
    ask(&daemon, "email/verify", &proof).await.expect(204);
    ask(&daemon, "email/verify", &proof).await.problem(403);
    let me = ann.get("/api/v1/me").await.expect(200).json();
    assert_eq!(me["email"], NEW, "{me:#}");
    assert!(me["email_verified_at"].is_string(), "{me:#}");
    sign_in(&daemon, ANN, PASSWORD).await.problem(401);
    sign_in(&daemon, NEW, PASSWORD).await.expect(200);
    mailed(&sink, ANN, "Your address was changed").await;
    let again = ann
        .post("/api/v1/auth/email/verify/resend", &json!({}))
        .await;
    assert_eq!(again.problem(409)["code"], "recovery.already_verified");
    daemon.stop().await;
}

/// What was answered with 202 is on disk: the mail comes after a kill, and its token works.
async fn what_was_promised_survives_a_kill(database: SharedDatabase) {
    let mut sink = Sink::start().await;
    let first = house(&sink, &database).await;
    sink.leave().await;
    forgot(&first, ANN).await.expect(202);
    let home = first.kill9().await;
    sink.come_back().await;
    let config = format!(
        "[accounts]\npublic_url = \"https://mainstay.example.org\"\n\n{}",
        sink.section()
    );
    let second = daemon()
        .database(&database)
        .home(&home)
        .config(config)
        .start()
        .await;
    let token = token_in(&mailed(&sink, ANN, "Set a new password").await);
    reset(&second, &token).await.expect(204);
    let home = second.kill9().await;
    let third = daemon()
        .database(&database)
        .home(&home)
        .config(sink.section())
        .start()
        .await;
    sign_in(&third, ANN, NEW_PASSWORD).await.expect(200);
    reset(&third, &token).await.problem(403);
    mailed(&sink, ANN, "Your password was changed").await;
    third.stop().await;
}
