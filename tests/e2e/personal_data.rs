//! What is kept of one person: told whole, and gone whole.
//!
//! Domains: `accounts`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use kit::issuer::{Issuer, Person};
use kit::{
    Authenticator, Client, Daemon, Home, PATIENCE, SharedDatabase, eventually, on_both_databases,
};
use serde_json::{Value, json};

use crate::support::{attach_as, daemon, gone, id_of, shell, shell_pid, url_of};

on_both_databases![
    all_that_is_kept_of_somebody_is_told,
    nothing_is_left_of_somebody_who_is_erased,
    an_erasure_that_was_cut_short_is_finished,
    what_lasts_takes_a_recent_sign_in,
];

const PASSWORD: &str = "quartz lantern ferry";
/// Words that stand nowhere but in what is Ada's.
const EMAIL: &str = "ada.lovelace@example.org";
const NAME: &str = "Ada Byron Lovelace";
const NEW_EMAIL: &str = "countess@example.net";
const OUTSIDE_EMAIL: &str = "ada@elsewhere.example";
const OUTSIDE_ID: &str = "815081508150";
const PASSKEY: &str = "the key with the tassel";
const TERMINAL: &str = "analytical engine";
const AGENT: &str = "difference-engine/2";
const WORDS: [&str; 8] = [
    EMAIL,
    NAME,
    NEW_EMAIL,
    OUTSIDE_EMAIL,
    OUTSIDE_ID,
    PASSKEY,
    TERMINAL,
    "notes-on-the-engine",
];

fn text(document: &Value, member: &str) -> String {
    let text = document[member].as_str();
    text.unwrap_or_else(|| panic!("no `{member}` in {document}"))
        .to_owned()
}

async fn started(database: &SharedDatabase, home: &Home, issuer: &Issuer) -> Daemon {
    let config =
        issuer.github_config("hub", "") + "[ptys]\nroles = [\"owner\", \"admin\", \"member\"]\n";
    let daemon = daemon().drills().home(home).database(database);
    daemon.config(config).start().await
}

async fn sign_in(daemon: &Daemon, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    let request = daemon
        .anonymous()
        .request(Method::POST, "/api/v1/auth/login");
    let reply = request.header("user-agent", AGENT).json(&body).send();
    reply.await.expect(200).json()
}

/// Ada with something of every sort, and an owner.
struct Ada {
    id: String,
    client: Client,
    owner: Client,
    /// A terminal of hers.
    terminal: kit::Terminal,
    shell: i32,
}

impl Ada {
    async fn new(daemon: &Daemon, issuer: &Issuer) -> Self {
        let body = json!({ "email": "owner@example.com", "password": PASSWORD, "role": "owner" });
        let local = daemon.local();
        local.post("/api/v1/users", &body).await.expect(201);
        let owner = sign_in(daemon, "owner@example.com").await;
        let owner = daemon.with_token(&text(&owner, "access_token"));
        // Asked with a key by somebody else: the answer tells of her.
        let body = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME, "role": "admin" });
        let made = owner.request(Method::POST, "/api/v1/users").json(&body);
        let made = made.header("idempotency-key", "ada-is-new").send().await;
        let id = id_of(&made.expect(201).json()["user"]);
        let signed_in = sign_in(daemon, EMAIL).await;
        let token = text(&signed_in, "access_token");
        let client = daemon.with_token(&token);

        let named = json!({ "name": "notes-on-the-engine" });
        client.post("/api/v1/tokens", &named).await.expect(201);
        let invites = "/api/v1/users/invites";
        client.post(invites, &json!({})).await.expect(201);
        let enroll = "/api/v1/auth/totp/enroll";
        client.post(enroll, &json!({})).await.expect(200);
        let base = "/api/v1/auth/passkeys/register";
        let begun = client.post(&format!("{base}/begin"), &json!({})).await;
        let begun = begun.expect(200).json();
        let origin = format!("http://localhost:{}", daemon.address().port());
        let made = Authenticator::new(&origin).make(&begun["options"]);
        let body =
            json!({ "challenge_id": begun["challenge_id"], "credential": made, "name": PASSKEY });
        let finish = format!("{base}/finish");
        client.post(&finish, &body).await.expect(201);
        let body = json!({ "new_email": NEW_EMAIL, "password": PASSWORD });
        let change = "/api/v1/auth/email/change";
        client.post(change, &body).await.expect(202);
        issuer.log_in(Person::new(OUTSIDE_ID, OUTSIDE_EMAIL));
        let path = "/api/v1/auth/issuers/hub/link/begin";
        let begun = client.post(path, &json!({})).await.expect(200).json();
        let back = issuer.visit(&text(&begun, "authorization_url")).await;
        let body = json!({ "state": back.state, "flow": begun["flow"], "code": back.code });
        let finish = "/api/v1/auth/issuers/hub/finish";
        daemon.anonymous().post(finish, &body).await.expect(200);
        let wrong = json!({ "email": EMAIL, "password": "not hers" });
        let login = "/api/v1/auth/login";
        daemon.anonymous().post(login, &wrong).await.problem(401);

        let mut wanted = shell();
        wanted["name"] = json!(TERMINAL);
        let (terminal, shell) = opened(daemon, &client, &token, &wanted).await;
        Self {
            id,
            client,
            owner,
            terminal,
            shell,
        }
    }
}

/// A terminal that was asked for with a key, and the process of its shell.
async fn opened(
    daemon: &Daemon,
    client: &Client,
    token: &str,
    wanted: &Value,
) -> (kit::Terminal, i32) {
    let open = client
        .request(Method::POST, "/api/v1/terminals")
        .json(wanted);
    let opened = open.header("idempotency-key", "engine-1").send().await;
    let id = id_of(&opened.expect(201).json());
    let mut terminal = attach_as(daemon, &id, token).await;
    let shell = shell_pid(&mut terminal).await;
    (terminal, shell)
}

/// The mails of the outbox.
fn outbox(daemon: &Daemon) -> Vec<PathBuf> {
    let folder = daemon.home().data_dir().join("outbox");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect()
}

/// Waits until both mails about the change of her address were put away.
async fn mails_put_away(daemon: &Daemon) {
    eventually(PATIENCE, async || match outbox(daemon).len() {
        2 => Ok(()),
        others => Err(format!("{others} mails in the outbox, not 2")),
    })
    .await;
}

/// Each sort of data is there, with at least so many rows.
fn is_whole(export: &Value) {
    for (sort, least) in [
        ("password", 1),
        ("tokens", 1),
        ("invites", 1),
        ("networks", 1),
        ("sessions", 1),
        ("refresh_tokens", 1),
        ("totp", 1),
        ("passkeys", 1),
        ("identities", 1),
        ("mailed_tokens", 1),
        ("terminals", 1),
        ("mails", 2),
        ("requests", 1),
        ("audit", 5),
    ] {
        let rows = export[sort].as_array();
        let rows = rows.unwrap_or_else(|| panic!("no `{sort}` in {export:#}"));
        assert!(rows.len() >= least, "{sort}: {rows:?}");
    }
}

fn holds_what_is_hers(export: &Value) {
    assert!(export["recovery_codes"].is_array());
    assert_eq!(export["user"]["email"], EMAIL);
    assert_eq!(export["failed_sign_ins"]["count"], 1);
    assert_eq!(export["sessions"][0]["user_agent"], AGENT);
    assert_eq!(export["identities"][0]["subject"], OUTSIDE_ID);
    assert_eq!(export["mailed_tokens"][0]["new_email"], NEW_EMAIL);
    assert_eq!(export["passkeys"][0]["name"], PASSKEY);
    assert_eq!(export["terminals"][0]["name"], TERMINAL);
    assert_eq!(export["requests"][0]["key"], "engine-1");
}

/// Secrets, and what is of others.
fn hides_what_is_not(export: &Value, ada: &str) {
    for secret in ["argon2", "mst_", "msi_", "otpauth", "secret", "hash\":\""] {
        // The hash of the chain is no secret, and of the audit.
        let mut searched = export.clone();
        searched["audit"] = Value::Null;
        assert!(
            !searched.to_string().contains(secret),
            "{secret}: {searched:#}"
        );
    }
    // Of what others did to her it is not told from where.
    let entries = export["audit"].as_array().expect("entries");
    let others = entries
        .iter()
        .filter(|entry| entry["actor"]["user"] != *ada);
    let others: Vec<_> = others.collect();
    assert!(others.iter().any(|entry| entry["action"] == "user.create"));
    assert!(others.iter().all(|entry| entry["address"].is_null()));
}

async fn all_that_is_kept_of_somebody_is_told(database: SharedDatabase) {
    let (issuer, home) = (Issuer::start().await, Home::new());
    let daemon = started(&database, &home, &issuer).await;
    let ada = Ada::new(&daemon, &issuer).await;
    mails_put_away(&daemon).await;
    let export = ada.client.get("/api/v1/me/export").await.expect(200).json();
    is_whole(&export);
    holds_what_is_hers(&export);
    hides_what_is_not(&export, &ada.id);
    // An administrator is told the same, and so is the operator.
    let path = format!("/api/v1/users/{}/export", ada.id);
    let by_owner = ada.owner.get(&path).await.expect(200).json();
    assert_eq!(by_owner["terminals"], export["terminals"]);
    let by_operator = daemon
        .cli(&["user", "export", EMAIL])
        .await
        .expect(0)
        .json();
    assert_eq!(by_operator["identities"], export["identities"]);
    ada.terminal.detach().await;
    daemon.stop().await;
    // Else it would prove nothing that they are not found any more after an erasure.
    let all = dump(&database, &home).await;
    for word in WORDS {
        assert!(all.contains(word), "{word} is found before");
    }
}

/// All that is in the database, as text and as it lies on the disk.
async fn dump(database: &SharedDatabase, home: &Home) -> String {
    let url = url_of(database, home);
    if url.starts_with("sqlite:") {
        kit::sql(&url, "VACUUM").await;
        return files_of(&home.data_dir());
    }
    let tables = "SELECT string_agg(table_name, ' ') FROM information_schema.tables WHERE table_schema = current_schema()";
    let tables = kit::sql_text(&url, tables).await.expect("tables");
    let mut all = files_of(&home.data_dir());
    for table in tables.split(' ') {
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        all.push_str(&kit::sql_text(&url, &rows).await.unwrap_or_default());
    }
    all
}

/// The bytes of all files in a folder and below it.
fn files_of(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut all = String::new();
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            all.push_str(&files_of(&path));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).expect("a readable file");
            all.push_str(&path.display().to_string());
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    all
}

fn hex(word: &str) -> String {
    let halves = word.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    halves
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}

async fn nothing_is_left_of_somebody_who_is_erased(database: SharedDatabase) {
    let (issuer, home) = (Issuer::start().await, Home::new());
    let daemon = started(&database, &home, &issuer).await;
    let mut ada = Ada::new(&daemon, &issuer).await;
    mails_put_away(&daemon).await;
    let path = format!("/api/v1/users/{}", ada.id);
    let mut stream = ada.client.events("/api/v1/status/stream", None).await;
    ada.owner.delete(&path).await.expect(204);
    let closed = tokio::time::timeout(Duration::from_secs(2), ada.terminal.read_close());
    assert!(closed.await.expect("her terminal is closed").is_some());
    stream.ended(Duration::from_secs(2)).await;
    gone(ada.shell).await;
    ada.client.get("/api/v1/me").await.problem(401);
    assert!(outbox(&daemon).is_empty(), "{:?}", outbox(&daemon));
    for left in [
        ada.owner.get(&path),
        ada.owner.get(&format!("{path}/export")),
    ] {
        let refused = left.await.problem(404);
        assert_eq!(refused["code"], "accounts.user_not_found");
    }
    ada.owner.delete(&path).await.problem(404);
    let audit = daemon.cli(&["audit", "verify"]).await;
    audit.expect(0);
    let kept = format!("/api/v1/audit?object={}", ada.id);
    let kept = ada.owner.get(&kept).await.expect(200).json();
    assert_eq!(kept["items"][0]["action"], "user.erase");
    daemon.stop().await;
    let all = dump(&database, &home).await;
    assert!(all.contains("owner@example.com"), "what is there is found");
    assert!(all.contains(&ada.id), "the audit keeps who it was");
    names_nobody(&all);
}

/// None of her words, neither as they were written nor in another shape.
fn names_nobody(all: &str) {
    for word in WORDS {
        for told in [word.to_owned(), word.to_lowercase(), hex(word)] {
            assert!(!all.contains(&told), "{told} is still there");
        }
    }
}

/// Killed with the person kept out and all the rest still there: whoever asks again erases the rest.
async fn an_erasure_that_was_cut_short_is_finished(database: SharedDatabase) {
    let (issuer, home) = (Issuer::start().await, Home::new());
    let daemon = started(&database, &home, &issuer).await;
    let ada = Ada::new(&daemon, &issuer).await;
    mails_put_away(&daemon).await;
    // Nobody can end a terminal without a manager, so that it ends there.
    let manager = "/api/v1/supervisor/ptys/manager/stop";
    daemon.local().post(manager, &json!({})).await.expect(202);
    crate::support::status_with(&daemon, "/ptys/manager", "state", "stopped").await;
    let path = format!("/api/v1/users/{}", ada.id);
    let refused = ada.owner.delete(&path).await.problem(503);
    assert_eq!(refused["code"], "supervisor.down");
    let half = ada.owner.get(&path).await.expect(200).json();
    assert!(half["disabled_at"].is_string(), "kept out: {half}");
    ada.client.get("/api/v1/me").await.problem(401);
    let home = daemon.kill9().await;
    let daemon = started(&database, &home, &issuer).await;
    daemon
        .cli(&["user", "erase", EMAIL, "--yes"])
        .await
        .expect(0);
    daemon.local().get(&path).await.problem(404);
    daemon.cli(&["audit", "verify"]).await.expect(0);
    daemon.stop().await;
    names_nobody(&dump(&database, &home).await);
}

/// An hour after the sign-in, with a session that goes on.
async fn what_lasts_takes_a_recent_sign_in(database: SharedDatabase) {
    let (issuer, home) = (Issuer::start().await, Home::new());
    let daemon = started(&database, &home, &issuer).await;
    let body = json!({ "email": "owner@example.com", "password": PASSWORD, "role": "owner" });
    let local = daemon.local();
    let made = local.post("/api/v1/users", &body).await.expect(201).json();
    let id = id_of(&made["user"]);
    let session = sign_in(&daemon, "owner@example.com").await;
    let client = daemon.with_token(&text(&session, "access_token"));
    let named = json!({ "name": "fresh" });
    let token = client.post("/api/v1/tokens", &named).await.expect(201);
    let token = daemon.with_token(&text(&token.json(), "token"));
    client.get("/api/v1/me/export").await.expect(200);

    let order = json!({ "for_ms": 60_000 });
    let drill = "/api/v1/drills/clock-jump";
    local.post(drill, &order).await.expect(202);
    let client = eventually(PATIENCE, async || {
        // Until the clock has jumped the access token is good.
        let reply = client.get("/api/v1/me").await;
        if reply.status == 200 {
            return Err("an access token of an hour ago is refused");
        }
        let body = json!({ "refresh_token": session["refresh_token"] });
        let next = daemon.anonymous().post("/api/v1/auth/refresh", &body).await;
        let next = next.expect(200).json();
        Ok(daemon.with_token(&text(&next, "access_token")))
    })
    .await;
    client.get("/api/v1/me").await.expect(200);
    let own = format!("/api/v1/users/{id}/export");
    for refused in [
        client.post("/api/v1/tokens", &named).await,
        client.get("/api/v1/me/export").await,
        client.get(&own).await,
        // A token was never a sign-in.
        token.get("/api/v1/me/export").await,
        token.get(&own).await,
    ] {
        assert_eq!(refused.problem(403)["code"], "accounts.not_fresh");
    }
    // It makes nothing that can do more than itself.
    token.post("/api/v1/tokens", &named).await.expect(201);
    local.post("/api/v1/tokens", &named).await.expect(201);
    local.get(&own).await.expect(200);
    let fresh = sign_in(&daemon, "owner@example.com").await;
    let fresh = daemon.with_token(&text(&fresh, "access_token"));
    fresh.post("/api/v1/tokens", &named).await.expect(201);
    fresh.get(&own).await.expect(200);
    daemon.stop().await;
}
