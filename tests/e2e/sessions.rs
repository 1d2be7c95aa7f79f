//! Signing in, staying signed in and leaving: over HTTP, with a browser's cookies, with tickets, over restarts.
//!
//! Domains: `accounts`.

use std::time::Duration;

use http::Method;
use kit::{Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, daemon_on, open, shell};

on_both_databases![
    strangers_see_the_keys_and_nothing_else,
    a_ticket_opens_one_socket,
    a_session_goes_on_and_ends,
    a_token_that_was_used_before_ends_its_session,
    fifty_at_once_keep_one_session,
    a_browser_has_its_tokens_in_cookies,
    a_browser_leaves_no_session_behind,
    a_session_survives_the_death_of_the_daemon,
];

const REFRESH: &str = "/api/v1/auth/refresh";
const SESSIONS: &str = "/api/v1/auth/sessions";
const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "correct horse battery staple";

/// Makes the first owner, and gives the answer of the setup.
async fn set_up(daemon: &Daemon, query: &str) -> Reply {
    let token = eventually(PATIENCE, async || {
        let told = daemon.stderr().text();
        let (_, rest) = told.split_once("setup token: ").ok_or("a setup token")?;
        let token = rest
            .split_whitespace()
            .next()
            .ok_or("a whole setup token")?;
        Ok::<_, &str>(token.to_owned())
    })
    .await;
    let body = json!({ "setup_token": token, "email": EMAIL, "password": PASSWORD });
    let path = format!("/api/v1/setup{query}");
    let reply = daemon.anonymous().post(&path, &body).await;
    assert!((200..300).contains(&reply.status), "{}", reply.text());
    reply
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    let text = document[member].as_str();
    text.unwrap_or_else(|| panic!("no `{member}` in {document}"))
}

async fn refresh(daemon: &Daemon, token: &str) -> Reply {
    let body = json!({ "refresh_token": token });
    daemon.anonymous().post(REFRESH, &body).await
}

async fn strangers_see_the_keys_and_nothing_else(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let stranger = daemon.anonymous();
    let keys = eventually(PATIENCE, async || {
        let keys = stranger
            .get("/.well-known/jwks.json")
            .await
            .expect(200)
            .json();
        let count = keys["keys"].as_array().map_or(0, Vec::len);
        if count == 1 {
            Ok(keys)
        } else {
            Err(format!("one key in {keys}"))
        }
    })
    .await;
    let key = &keys["keys"][0];
    assert_eq!((text(key, "kty"), text(key, "alg")), ("OKP", "EdDSA"));
    assert!(key.get("d").is_none(), "the public half alone");
    for (method, path) in [
        (Method::GET, SESSIONS),
        (Method::DELETE, SESSIONS),
        (Method::POST, "/api/v1/auth/logout"),
        (Method::POST, "/api/v1/ws-ticket"),
    ] {
        let refused = stranger.request(method, path).send().await;
        assert_eq!(refused.problem(401)["code"], "http.missing_token");
    }
    let made_up = format!("msr_{}", "A".repeat(43));
    let refused = refresh(&daemon, &made_up).await.problem(401);
    assert_eq!(refused["code"], "accounts.bad_refresh_token");
    for wrong in ["eyJhbGciOiJub25lIn0.e30.", "a.b.c", "..", "x.y"] {
        let refused = daemon.with_token(wrong).get("/api/v1/status").await;
        assert_eq!(refused.problem(401)["code"], "accounts.bad_access_token");
    }
    let operator = daemon.operator().await;
    let refused = operator.post("/api/v1/auth/logout", &json!({})).await;
    assert_eq!(refused.problem(409)["code"], "accounts.no_session");
    daemon.stop().await;
}

async fn a_ticket_opens_one_socket(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let id = open(&operator, &shell()).await;
    let other = open(&operator, &shell()).await;
    let path = format!("/api/v1/terminals/{id}/attach");
    let ticket = async || {
        let body = json!({ "path": path });
        let given = operator.post("/api/v1/ws-ticket", &body).await.expect(200);
        text(&given.json(), "ticket").to_owned()
    };
    let offer = |ticket: &str| {
        let protocols = format!("mainstay.pty.v1, ticket.{ticket}");
        vec![("sec-websocket-protocol", protocols)]
    };
    let good = ticket().await;
    let attached = daemon.try_attach_with(&id, &offer(&good)).await;
    attached.expect("a socket").detach().await;
    let again = daemon.try_attach_with(&id, &offer(&good)).await;
    assert_eq!(again.expect_err("once").json()["code"], "http.bad_ticket");
    let elsewhere = daemon
        .try_attach_with(&other, &offer(&ticket().await))
        .await;
    assert_eq!(elsewhere.expect_err("another path").status, 401);
    let mut foreign = offer(&ticket().await);
    foreign.push(("origin", daemon.url()));
    let foreign = daemon.try_attach_with(&id, &foreign).await;
    assert_eq!(foreign.expect_err("another origin").status, 401);
    daemon.stop().await;
}

async fn a_session_goes_on_and_ends(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let first = set_up(&daemon, "").await.json();
    assert_eq!(first["token_type"], "Bearer");
    assert!(
        first["expires_in"]
            .as_u64()
            .is_some_and(|left| (880..=900).contains(&left))
    );
    let user = daemon.with_token(text(&first, "access_token"));
    let listed = user.get(SESSIONS).await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["items"][0]["is_current"], true);
    assert_eq!(listed["items"][0]["address"], "127.0.0.1");

    let next = refresh(&daemon, text(&first, "refresh_token"))
        .await
        .expect(200)
        .json();
    let again = refresh(&daemon, text(&first, "refresh_token"))
        .await
        .expect(200)
        .json();
    assert_eq!(next["refresh_token"], again["refresh_token"]);
    assert_eq!(next["access_token"], again["access_token"]);

    let token = text(&next, "access_token");
    let id = open(&daemon.with_token(token), &shell()).await;
    let mut attached = daemon
        .try_attach(&id, None, Some(token), None)
        .await
        .expect("a socket");
    let mut stream = user.events("/api/v1/status/stream", None).await;
    let leaving = daemon.with_token(token);
    let left = leaving.post("/api/v1/auth/logout", &json!({})).await;
    left.expect(204);
    let left = std::pin::pin!(tokio::time::timeout(
        Duration::from_secs(1),
        attached.read_close()
    ));
    assert_eq!(left.await.expect("within a second"), Some(4401));
    stream.ended(Duration::from_secs(1)).await;
    // Both access tokens of the session are dead, and so is the way to another one.
    let refused = user.get("/api/v1/status").await.problem(401);
    assert_eq!(refused["code"], "accounts.session_ended");
    refresh(&daemon, text(&next, "refresh_token"))
        .await
        .problem(401);
    daemon.stop().await;
}

async fn a_token_that_was_used_before_ends_its_session(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let first = set_up(&daemon, "").await.json();
    let next = refresh(&daemon, text(&first, "refresh_token"))
        .await
        .expect(200)
        .json();
    let refused = eventually(PATIENCE, async || {
        let reply = refresh(&daemon, text(&first, "refresh_token")).await;
        if reply.status == 200 {
            Err("the grace is over")
        } else {
            Ok(reply)
        }
    })
    .await;
    assert_eq!(
        refused.problem(401)["code"],
        "accounts.refresh_token_reused"
    );
    let refused = refresh(&daemon, text(&next, "refresh_token")).await;
    assert_eq!(refused.problem(401)["code"], "accounts.session_ended");
    let user = daemon.with_token(text(&next, "access_token"));
    user.get("/api/v1/status").await.problem(401);
    daemon.stop().await;
}

async fn fifty_at_once_keep_one_session(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let first = set_up(&daemon, "").await.json();
    let old = text(&first, "refresh_token");
    let replies = futures::future::join_all((0..50).map(|_| refresh(&daemon, old))).await;
    let told: Vec<Value> = replies
        .into_iter()
        .map(|reply| reply.expect(200).json()["refresh_token"].clone())
        .collect();
    assert!(told.iter().all(|token| *token == told[0]));
    let next = refresh(&daemon, told[0].as_str().expect("a token")).await;
    let next = next.expect(200).json();
    let user = daemon.with_token(text(&next, "access_token"));
    let listed = user.get(SESSIONS).await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    daemon.stop().await;
}

async fn a_browser_has_its_tokens_in_cookies(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let reply = set_up(&daemon, "?cookie=true").await;
    let body = reply.json();
    assert_eq!(body["token_type"], "Cookie");
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none());
    let cookies = cookies_of(&reply);
    let page = |method, path: &str, origin: Option<&str>| {
        let request = daemon
            .anonymous()
            .request(method, path)
            .header("cookie", &cookies);
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    let own = daemon.url();
    page(Method::GET, SESSIONS, None).send().await.expect(200);
    let blind = page(Method::DELETE, SESSIONS, None).send().await;
    assert_eq!(blind.problem(403)["code"], "http.cookie_needs_origin");
    let foreign = page(Method::DELETE, SESSIONS, Some("http://evil.example"));
    assert_eq!(
        foreign.send().await.problem(403)["code"],
        "http.foreign_origin"
    );
    page(Method::DELETE, SESSIONS, Some(&own))
        .send()
        .await
        .expect(200);
    let next = page(Method::POST, REFRESH, Some(&own))
        .json(&json!({}))
        .send()
        .await
        .expect(200);
    assert_ne!(cookies_of(&next), cookies);
    let left = page(Method::POST, "/api/v1/auth/logout", Some(&own))
        .send()
        .await
        .expect(204);
    assert_eq!(cookies_of(&left), "mainstay=; mainstay-refresh=");
    page(Method::GET, SESSIONS, None).send().await.problem(401);
    daemon.stop().await;
}

/// Nobody stays signed in behind who comes after at the same browser; who fails to come in ends nothing.
async fn a_browser_leaves_no_session_behind(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let first = cookies_of(&set_up(&daemon, "?cookie=true").await);
    let own = daemon.url();
    let sign_in = async |query: &str, password: &str| {
        let body = json!({ "email": EMAIL, "password": password });
        let request = daemon.anonymous();
        let request = request.request(Method::POST, &format!("/api/v1/auth/login{query}"));
        let request = request.header("cookie", &first).header("origin", &own);
        request.json(&body).send().await
    };
    let me = async |cookies: &str| {
        let request = daemon.anonymous().request(Method::GET, "/api/v1/me");
        request.header("cookie", cookies).send().await.status
    };
    sign_in("?cookie=true", "not the password")
        .await
        .problem(401);
    // Tokens in the body replace no cookies.
    sign_in("", PASSWORD).await.expect(200);
    assert_eq!(me(&first).await, 200);
    let second = cookies_of(&sign_in("?cookie=true", PASSWORD).await.expect(200));
    assert_eq!((me(&first).await, me(&second).await), (401, 200));
    daemon.stop().await;
}

/// What a browser would send back.
fn cookies_of(reply: &Reply) -> String {
    let lines = reply.headers.get_all("set-cookie").iter();
    let pairs: Vec<&str> = lines
        .map(|line| {
            let line = line.to_str().expect("ASCII");
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            line.split(';').next().unwrap_or_default()
        })
        .collect();
    pairs.join("; ")
}

async fn a_session_survives_the_death_of_the_daemon(database: SharedDatabase) {
    let before = daemon_on(&database).await;
    let first = set_up(&before, "").await.json();
    let home = before.kill9().await;
    let after = daemon().home(&home).database(&database).start().await;
    let user = after.with_token(text(&first, "access_token"));
    user.get(SESSIONS).await.expect(200);
    let next = refresh(&after, text(&first, "refresh_token"))
        .await
        .expect(200)
        .json();
    let user = after.with_token(text(&next, "access_token"));
    user.request(Method::POST, "/api/v1/auth/logout")
        .send()
        .await
        .expect(204);
    let home = after.kill9().await;
    let last = daemon().home(&home).database(&database).start().await;
    for token in [&first, &next] {
        let user = last.with_token(text(token, "access_token"));
        let refused = user.get(SESSIONS).await.problem(401);
        assert_eq!(refused["code"], "accounts.session_ended");
    }
    last.stop().await;
}
