//! People: the first owner, coming in, roles, being kept out, and the command line for all of it.
//!
//! Domains: `accounts`.

use std::path::Path;

use http::Method;
use kit::{Client, Daemon, Ended, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{BINARY, daemon, daemon_on};

on_both_databases![
    the_first_owner_is_made_with_what_the_start_prints,
    a_setup_token_is_good_until_the_next_start,
    what_is_wrong_with_a_sign_in_is_not_told,
    an_invitation_lets_somebody_in_once,
    what_is_changed_has_been_looked_at,
    nobody_rises_above_who_asks,
    the_last_owner_stays,
    who_is_disabled_is_out_at_once,
    ones_own_password_ends_the_other_sessions,
    the_command_line_adds_people,
    the_command_line_looks_after_people,
];

const PASSWORD: &str = "quartz lantern ferry";

/// The setup token that a start printed.
async fn setup_token(daemon: &Daemon) -> String {
    eventually(PATIENCE, async || {
        let text = daemon.stderr().text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("setup token: "));
        line.filter(|token| text.contains(&format!("{token}\n")))
            .map(str::to_owned)
            .ok_or_else(|| "a line `setup token: mss_…` on stderr".to_owned())
    })
    .await
}

async fn set_up(daemon: &Daemon, token: &str, email: &str) -> Reply {
    let body = json!({ "setup_token": token, "email": email, "password": PASSWORD, "name": "Ada" });
    daemon.anonymous().post("/api/v1/setup", &body).await
}

async fn sign_in(daemon: &Daemon, email: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "password": password });
    daemon.anonymous().post("/api/v1/auth/login", &body).await
}

/// A client with a session of a user.
async fn signed_in(daemon: &Daemon, email: &str, password: &str) -> Client {
    let tokens = sign_in(daemon, email, password).await.expect(200).json();
    daemon.with_token(tokens["access_token"].as_str().expect("an access token"))
}

/// A user made by the local operator, with [`PASSWORD`]; gives the id.
async fn user(daemon: &Daemon, email: &str, role: &str) -> String {
    let body = json!({ "email": email, "password": PASSWORD, "role": role });
    let made = daemon
        .local()
        .post("/api/v1/users", &body)
        .await
        .expect(201)
        .json();
    made["user"]["id"].as_str().expect("an id").to_owned()
}

/// A client with a personal access token of a user.
async fn token_of(daemon: &Daemon, email: &str) -> Client {
    let made = daemon
        .cli(&["token", "create", "--name", email, "--user", email])
        .await
        .expect(0);
    daemon.with_token(made.stdout.trim())
}

async fn patch(client: &Client, id: &str, version: &str, body: &Value) -> Reply {
    let request = client.request(Method::PATCH, &format!("/api/v1/users/{id}"));
    request.header("if-match", version).json(body).send().await
}

/// The command line with a line on its stdin.
async fn piped(daemon: &Daemon, line: &str, args: &[&str]) -> Ended {
    let script = r#"line=$1; shift; printf '%s\n' "$line" | "$0" "$@""#;
    let mut all = vec!["-c", script, BINARY, line];
    all.extend(args);
    kit::run_cli(Path::new("/bin/sh"), daemon.home(), &all, &[]).await
}

async fn the_first_owner_is_made_with_what_the_start_prints(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let token = setup_token(&daemon).await;
    assert!(token.starts_with("mss_"), "{token}");
    let made_up = format!("mss_{}", "A".repeat(49));
    for wrong in ["", "mss_", made_up.as_str()] {
        let refused = set_up(&daemon, wrong, "ada@example.com").await;
        assert_eq!(refused.problem(403)["code"], "accounts.bad_setup_token");
    }
    // Two at once: one of them is the owner.
    let (one, two) = tokio::join!(
        set_up(&daemon, &token, "ada@example.com"),
        set_up(&daemon, &token, "eve@example.com")
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(
        statuses == [200, 403] || statuses == [200, 409],
        "{one:?} {two:?}"
    );
    let tokens = if one.status == 200 { one } else { two }.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    assert!(tokens["access_token"].is_string() && tokens["refresh_token"].is_string());
    let again = set_up(&daemon, &token, "bob@example.com").await;
    assert_eq!(again.problem(409)["code"], "accounts.already_set_up");
    let users = daemon.local().get("/api/v1/users").await.expect(200).json();
    assert_eq!(users["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(users["items"][0]["role"], "owner");
    let email = users["items"][0]["email"]
        .as_str()
        .expect("an address")
        .to_owned();
    // What was answered is on disk, and nobody is offered a way in any more.
    let home = daemon.kill9().await;
    let daemon = crate::support::daemon()
        .home(&home)
        .database(&database)
        .start()
        .await;
    sign_in(&daemon, &email, PASSWORD).await.expect(200);
    let ended = daemon.stop().await;
    assert!(
        !ended.stderr.contains("setup token") && !ended.stderr.contains(PASSWORD),
        "{}",
        ended.stderr
    );
}

async fn a_setup_token_is_good_until_the_next_start(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let old = setup_token(&daemon).await;
    let home = daemon.kill9().await;
    let daemon = crate::support::daemon()
        .home(&home)
        .database(&database)
        .start()
        .await;
    let new = setup_token(&daemon).await;
    assert_ne!(old, new);
    set_up(&daemon, &old, "ada@example.com").await.problem(403);
    set_up(&daemon, &new, "ada@example.com").await.expect(200);
    daemon.stop().await;
}

/// A problem without what differs between any two requests.
fn plain(reply: &Reply, status: u16) -> Value {
    let mut problem = reply.problem(status);
    problem["request_id"] = Value::Null;
    problem
}

async fn what_is_wrong_with_a_sign_in_is_not_told(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    user(&daemon, "ada@example.com", "member").await;
    let bob = user(&daemon, "bob@example.com", "member").await;
    patch(&daemon.local(), &bob, "*", &json!({ "disabled": true }))
        .await
        .expect(200);
    let wrong = sign_in(&daemon, "ada@example.com", "wrong").await;
    let wanted = plain(&wrong, 401);
    assert_eq!(wanted["code"], "accounts.wrong_credentials");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("bob@example.com", PASSWORD),
        ("ada@example.com", "quartz lantern ferry\0"),
        ("eve@example.com", &"x".repeat(10_000)),
    ] {
        let refused = sign_in(&daemon, email, password).await;
        assert_eq!(plain(&refused, 401), wanted, "{email:?}");
        let names = |reply: &Reply| {
            let mut names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&refused), names(&wrong));
    }
    let tokens = sign_in(&daemon, "ADA@Example.com", PASSWORD)
        .await
        .expect(200)
        .json();
    assert_eq!(tokens["token_type"], "Bearer");
    // Guessing on becomes slow, for everybody at that account but not for others.
    let mut guessed = sign_in(&daemon, "ada@example.com", "guess").await;
    for _ in 0..5 {
        if guessed.status != 401 {
            break;
        }
        guessed = sign_in(&daemon, "ada@example.com", "guess").await;
    }
    assert_eq!(guessed.problem(429)["code"], "accounts.too_many_guesses");
    assert!(guessed.header("retry-after").is_some());
    daemon.stop().await;
}

async fn an_invitation_lets_somebody_in_once(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    user(&daemon, "owner@example.com", "owner").await;
    user(&daemon, "admin@example.com", "admin").await;
    let (admin, stranger) = (
        token_of(&daemon, "admin@example.com").await,
        daemon.anonymous(),
    );
    let register = async |email: &str, invite: Option<&str>| {
        let mut body = json!({ "email": email, "password": PASSWORD });
        if let Some(invite) = invite {
            body["invite"] = json!(invite);
        }
        stranger.post("/api/v1/auth/register", &body).await
    };
    let refused = register("new@example.com", None).await;
    assert_eq!(refused.problem(403)["code"], "accounts.invite_required");
    let above = admin
        .post("/api/v1/users/invites", &json!({ "role": "owner" }))
        .await;
    assert_eq!(above.problem(403)["code"], "accounts.above_oneself");
    let invite = admin
        .post("/api/v1/users/invites", &json!({ "role": "viewer" }))
        .await
        .expect(201)
        .json();
    let invite = invite["token"].as_str().expect("an invitation").to_owned();
    assert!(invite.starts_with("msi_"));
    // An address that somebody has: the same answer, nothing changed, and the invitation is used up.
    let second = admin
        .post("/api/v1/users/invites", &json!({}))
        .await
        .expect(201)
        .json();
    let taken = register("owner@example.com", second["token"].as_str())
        .await
        .expect(202);
    let free = register("new@example.com", Some(&invite)).await.expect(202);
    assert_eq!((taken.text(), free.text()), (String::new(), String::new()));
    for used in [
        invite.as_str(),
        second["token"].as_str().expect("an invitation"),
        "msi_made-up",
    ] {
        let refused = register("more@example.com", Some(used)).await;
        assert_eq!(refused.problem(403)["code"], "accounts.bad_invite");
    }
    sign_in(&daemon, "new@example.com", PASSWORD)
        .await
        .expect(200);
    let new = token_of(&daemon, "new@example.com").await;
    assert_eq!(
        new.get("/api/v1/me").await.expect(200).json()["role"],
        "viewer"
    );
    new.get("/api/v1/users").await.problem(403);
    daemon.stop().await;
}

fn code(reply: &Reply, status: u16) -> String {
    let code = reply.problem(status)["code"].clone();
    code.as_str().expect("a code").to_owned()
}

async fn what_is_changed_has_been_looked_at(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    user(&daemon, "admin@example.com", "admin").await;
    let member = user(&daemon, "member@example.com", "member").await;
    let admin = token_of(&daemon, "admin@example.com").await;
    let path = format!("/api/v1/users/{member}");
    let shown = admin.get(&path).await.expect(200);
    let tag = shown.header("etag").expect("a tag").to_owned();
    let bare = admin.patch(&path, &json!({ "name": "Bob" })).await;
    assert_eq!(code(&bare, 428), "http.if_match_required");
    let theirs = [
        token_of(&daemon, "member@example.com").await,
        signed_in(&daemon, "member@example.com", PASSWORD).await,
    ];
    let tier = async |client: &Client| {
        let me = client.get("/api/v1/me").await.expect(200);
        let told = me.json()["tier"].as_str().map(str::to_owned);
        (me.header("ratelimit-policy").map(str::to_owned), told)
    };
    let standard = (
        Some("\"signed-in\";q=600;w=60".into()),
        Some("standard".into()),
    );
    let premium = (
        Some("\"premium\";q=6000;w=60".into()),
        Some("premium".into()),
    );
    for client in &theirs {
        assert_eq!(tier(client).await, standard);
    }
    let body = json!({ "name": "Bob", "role": "viewer", "tier": "premium" });
    let changed = patch(&admin, &member, &tag, &body).await.expect(200);
    for client in &theirs {
        assert_eq!(
            tier(client).await,
            premium,
            "at once, whatever was remembered"
        );
    }
    assert_eq!(changed.json()["version"], 2);
    let stale = patch(&admin, &member, &tag, &json!({ "role": "member" })).await;
    assert_eq!(code(&stale, 412), "accounts.stale_user");
    let garbled = patch(&admin, &member, "three", &json!({})).await;
    assert_eq!(code(&garbled, 400), "http.bad_if_match");
    daemon.stop().await;
}

async fn nobody_rises_above_who_asks(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let owner = user(&daemon, "owner@example.com", "owner").await;
    let admin = user(&daemon, "admin@example.com", "admin").await;
    let member = user(&daemon, "member@example.com", "member").await;
    let by_admin = token_of(&daemon, "admin@example.com").await;
    let by_member = token_of(&daemon, "member@example.com").await;
    let (above, owners) = ("accounts.above_oneself", "accounts.only_owners");
    for (id, body, wanted) in [
        (&member, json!({ "role": "owner" }), above),
        (&admin, json!({ "role": "owner" }), above),
        (&owner, json!({ "disabled": true }), owners),
        (&owner, json!({ "role": "member" }), owners),
    ] {
        let refused = patch(&by_admin, id, "*", &body).await;
        assert_eq!(code(&refused, 403), wanted, "{body}");
    }
    let risen = patch(&by_member, &member, "*", &json!({ "role": "admin" })).await;
    risen.problem(403);
    let other = by_member.get(&format!("/api/v1/users/{owner}")).await;
    other.problem(404);
    let own = format!("/api/v1/users/{member}/export");
    let refused = by_member.get(&own).await;
    assert_eq!(code(&refused, 403), "accounts.not_fresh");
    let in_person = signed_in(&daemon, "member@example.com", PASSWORD).await;
    let told = in_person.get(&own).await.expect(200).json();
    assert_eq!(told["user"]["email"], "member@example.com");
    let renamed = by_member
        .patch("/api/v1/me", &json!({ "name": null }))
        .await;
    assert_eq!(renamed.expect(200).json()["name"], Value::Null);
    daemon.stop().await;
}

async fn the_last_owner_stays(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let owner = user(&daemon, "owner@example.com", "owner").await;
    let admin = user(&daemon, "admin@example.com", "admin").await;
    let (local, path) = (daemon.local(), format!("/api/v1/users/{owner}"));
    for body in [json!({ "role": "admin" }), json!({ "disabled": true })] {
        let refused = patch(&local, &owner, "*", &body).await;
        assert_eq!(code(&refused, 409), "accounts.last_owner");
    }
    assert_eq!(code(&local.delete(&path).await, 409), "accounts.last_owner");
    let old = token_of(&daemon, "admin@example.com").await;
    let risen = patch(&local, &admin, "*", &json!({ "role": "owner" })).await;
    risen.expect(200);
    // A token never has more rights than it was made with.
    old.delete(&path).await.problem(403);
    let new = token_of(&daemon, "admin@example.com").await;
    new.delete(&path).await.expect(204);
    new.get(&path).await.problem(404);
    daemon.stop().await;
}

async fn who_is_disabled_is_out_at_once(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    user(&daemon, "owner@example.com", "owner").await;
    let ada = user(&daemon, "ada@example.com", "admin").await;
    let client = token_of(&daemon, "ada@example.com").await;
    let session = signed_in(&daemon, "ada@example.com", PASSWORD).await;
    let mut stream = client.events("/api/v1/status/stream", None).await;
    let mut other = session.events("/api/v1/status/stream", None).await;
    client.get("/api/v1/me").await.expect(200);
    session.get("/api/v1/me").await.expect(200);
    daemon
        .cli(&["user", "disable", "ada@example.com"])
        .await
        .expect(0);
    client.get("/api/v1/me").await.problem(401);
    session.get("/api/v1/me").await.problem(401);
    stream.ended(PATIENCE).await;
    other.ended(PATIENCE).await;
    sign_in(&daemon, "ada@example.com", PASSWORD)
        .await
        .problem(401);
    // It holds over a crash, and ends when somebody ends it; tokens stay revoked.
    let home = daemon.kill9().await;
    let daemon = crate::support::daemon()
        .home(&home)
        .database(&database)
        .start()
        .await;
    sign_in(&daemon, "ada@example.com", PASSWORD)
        .await
        .problem(401);
    patch(&daemon.local(), &ada, "*", &json!({ "disabled": false }))
        .await
        .expect(200);
    sign_in(&daemon, "ada@example.com", PASSWORD)
        .await
        .expect(200);
    daemon.stop().await;
}

async fn ones_own_password_ends_the_other_sessions(database: SharedDatabase) {
    const NEW: &str = "seven green umbrellas";
    let daemon = daemon_on(&database).await;
    user(&daemon, "ada@example.com", "viewer").await;
    let (here, there) = (
        signed_in(&daemon, "ada@example.com", PASSWORD).await,
        signed_in(&daemon, "ada@example.com", PASSWORD).await,
    );
    let change = async |client: &Client, current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        client.post("/api/v1/auth/password/change", &body).await
    };
    let wrong = change(&here, "guess", NEW).await;
    assert_eq!(wrong.pointers(422), ["/current_password"]);
    assert_eq!(
        change(&here, PASSWORD, "ada@example.com")
            .await
            .pointers(422),
        ["/new_password"]
    );
    let nobody = change(&daemon.local(), PASSWORD, NEW).await;
    assert_eq!(nobody.problem(409)["code"], "accounts.not_a_user");
    change(&here, PASSWORD, NEW).await.expect(204);
    here.get("/api/v1/me").await.expect(200);
    there.get("/api/v1/me").await.problem(401);
    sign_in(&daemon, "ada@example.com", PASSWORD)
        .await
        .problem(401);
    sign_in(&daemon, "ada@example.com", NEW).await.expect(200);
    daemon.stop().await;
}

async fn the_command_line_adds_people(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let add = ["user", "add", "ada@example.com", "--password-stdin"];
    piped(&daemon, PASSWORD, &add).await.expect(0);
    sign_in(&daemon, "ada@example.com", PASSWORD)
        .await
        .expect(200);
    // Nobody to ask for a password: an invitation, alone on stdout.
    let added = daemon
        .cli(&["user", "add", "bob@example.com"])
        .await
        .expect(0);
    let invite = added.stdout.trim();
    assert!(invite.starts_with("msi_"), "{added:?}");
    assert!(!added.stderr.contains(invite), "{added:?}");
    let body = json!({ "email": "bob@example.com", "password": PASSWORD, "invite": invite });
    let registered = daemon
        .anonymous()
        .post("/api/v1/auth/register", &body)
        .await;
    registered.expect(202);
    sign_in(&daemon, "bob@example.com", PASSWORD)
        .await
        .expect(200);
    let passwd = ["user", "passwd", "bob@example.com", "--password-stdin"];
    let weak = piped(&daemon, "password1", &passwd).await;
    assert_eq!(weak.code, 2, "{weak:?}");
    assert!(weak.stderr.contains("/password"), "{weak:?}");
    assert!(!weak.stderr.contains("password1"), "{weak:?}");
    piped(&daemon, "seven green umbrellas", &passwd)
        .await
        .expect(0);
    sign_in(&daemon, "bob@example.com", PASSWORD)
        .await
        .problem(401);
    let new = sign_in(&daemon, "bob@example.com", "seven green umbrellas").await;
    new.expect(200);
    daemon.stop().await;
}

async fn the_command_line_looks_after_people(database: SharedDatabase) {
    const BOB: &str = "bob@example.com";
    let daemon = daemon_on(&database).await;
    user(&daemon, "ada@example.com", "owner").await;
    user(&daemon, BOB, "member").await;
    let cli = async |args: &[&str], code| daemon.cli(args).await.expect(code);
    cli(&["user", "role", BOB, "admin"], 0).await;
    let listed = cli(&["user", "list", "--json"], 0).await.json();
    assert_eq!(listed["items"][1]["role"], "admin");
    let table = cli(&["user", "list"], 0).await.stdout;
    assert!(table.contains("ada@example.com"), "{table}");
    cli(&["user", "disable", BOB], 0).await;
    sign_in(&daemon, BOB, PASSWORD).await.problem(401);
    cli(&["user", "enable", BOB], 0).await;
    sign_in(&daemon, BOB, PASSWORD).await.expect(200);
    let last = cli(&["user", "disable", "ada@example.com"], 1).await;
    assert!(last.stderr.contains("last owner"), "{last:?}");
    let export = cli(&["user", "export", BOB], 0).await;
    assert_eq!(export.json()["user"]["email"], BOB);
    assert!(!export.stdout.contains("argon2"), "{export:?}");
    cli(&["user", "erase", BOB], 2).await;
    cli(&["user", "erase", BOB, "--yes"], 0).await;
    cli(&["user", "export", BOB], 1).await;
    cli(&["user", "role", "ada@example.com", "king"], 2).await;
    daemon.stop().await;
}

#[tokio::test]
async fn odd_passwords_and_addresses_are_refused_with_their_reasons() {
    let daemon = daemon().start().await;
    let local = daemon.local();
    let add = async |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        local.post("/api/v1/users", &body).await
    };
    let long = "z q ".repeat(2_500);
    let longer = "z".repeat(10_001);
    for (email, password, pointers) in [
        ("ada@example.com", "short", vec!["/password"]),
        ("ada@example.com", "password123", vec!["/password"]),
        ("ada@example.com", "nul\0 in the middle", vec!["/password"]),
        ("ada@example.com", long.as_str(), vec!["/password"]),
        ("ada@example.com", longer.as_str(), vec!["/password"]),
        ("ada@ex\u{430}mple.com", PASSWORD, vec!["/email"]),
        ("ada\u{202e}@example.com", PASSWORD, vec!["/email"]),
        ("ada\0@example.com", PASSWORD, vec!["/email"]),
        ("nobody", "short", vec!["/email", "/password"]),
    ] {
        let refused = add(email, password).await;
        assert_eq!(refused.pointers(422), pointers, "{email:?}");
        assert!(
            password.len() < 6 || !refused.text().contains(password),
            "the password is not repeated"
        );
    }
    // At least 64 characters of any script are taken, byte by byte.
    let wide: String = (0x1f300..0x1f340).filter_map(char::from_u32).collect();
    add("ada@example.com", &wide).await.expect(201);
    sign_in(&daemon, "ada@example.com", &wide).await.expect(200);
    sign_in(&daemon, "ada@example.com", &format!("{wide} "))
        .await
        .problem(401);
    let taken = add("\u{ff21}DA@Example.com", PASSWORD).await;
    assert_eq!(taken.problem(409)["code"], "accounts.email_taken");
    daemon.stop().await;
}

#[tokio::test]
async fn who_may_register_is_configured() {
    for (policy, wanted) in [("closed", 403), ("open", 202)] {
        let daemon = daemon()
            .config(format!("[accounts]\nregistration = \"{policy}\"\n"))
            .start()
            .await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        daemon
            .anonymous()
            .post("/api/v1/auth/register", &body)
            .await
            .expect(wanted);
        let status = sign_in(&daemon, "ada@example.com", PASSWORD).await.status;
        assert_eq!(status == 200, wanted == 202, "{policy}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_token_is_its_owners_and_nobody_elses() {
    let daemon = daemon().start().await;
    let ada = user(&daemon, "ada@example.com", "member").await;
    user(&daemon, "bob@example.com", "member").await;
    let (by_ada, by_bob) = (
        token_of(&daemon, "ada@example.com").await,
        token_of(&daemon, "bob@example.com").await,
    );
    let own = by_ada
        .post("/api/v1/tokens", &json!({ "name": "second" }))
        .await
        .expect(201)
        .json();
    let listed = by_ada.get("/api/v1/tokens").await.expect(200).json();
    let owners: Vec<&Value> = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|token| &token["owner"])
        .collect();
    assert_eq!(owners, [&json!(ada), &json!(ada)]);
    let path = format!("/api/v1/tokens/{}", own["id"].as_str().expect("an id"));
    by_bob.delete(&path).await.problem(404);
    let foreign = by_bob
        .post("/api/v1/tokens", &json!({ "owner": ada }))
        .await;
    assert_eq!(foreign.pointers(422), ["/owner"]);
    assert_eq!(
        daemon
            .local()
            .get("/api/v1/tokens")
            .await
            .expect(200)
            .json()["items"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    by_ada.delete(&path).await.expect(204);
    let unknown = daemon
        .cli(&["token", "create", "--user", "nobody@example.com"])
        .await;
    assert_eq!(unknown.code, 1, "{unknown:?}");
    daemon.stop().await;
}
