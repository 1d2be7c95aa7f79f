//! Signing in by an outside issuer: up, in, linked, refused, and while the issuer is away.
//!
//! Domains: `accounts`.

use http::Method;
use kit::issuer::{Fault, Issuer, Person, Return};
use kit::{Client, Daemon, Reply, SharedDatabase, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, status_with, url_of};

on_both_databases![
    somebody_signs_up_and_in,
    another_issuer_is_linked_and_the_last_way_in_stays,
    github_vouches_too,
    whatever_is_wrong_is_refused_with_its_reason,
    an_issuer_that_is_away_is_named_and_takes_nobody_with_it,
];

const OPEN: &str = "registration = \"open\"";
const BEGIN: &str = "/api/v1/auth/issuers/fake/begin";
const FINISH: &str = "/api/v1/auth/issuers/fake/finish";

/// A daemon with issuers, whose calls take a second at most.
async fn started(database: &SharedDatabase, config: &str) -> Daemon {
    // A person does not come in twenty times a minute; a test does.
    let quick = "[limits]\nenabled = false\n[dependencies]\ntimeout = \"1s\"\nattempts = 1\nopen_first = \"100ms\"\n";
    let config = format!("{config}\n{quick}");
    daemon().database(database).config(config).start().await
}

async fn began(client: &Client, path: &str) -> Value {
    let body = json!({ "return_to": "/terminals" });
    client.post(path, &body).await.expect(200).json()
}

fn body_of(begun: &Value, back: &Return) -> Value {
    let mut body = json!({ "state": back.state, "flow": begun["flow"] });
    for (name, value) in [
        ("code", &back.code),
        ("iss", &back.iss),
        ("error", &back.error),
    ] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    body
}

/// The whole way at the issuer that is called `fake`.
async fn goes(daemon: &Daemon, issuer: &Issuer) -> Reply {
    let stranger = daemon.anonymous();
    let begun = began(&stranger, BEGIN).await;
    let url = begun["authorization_url"].as_str().expect("an address");
    let back = issuer.visit(url).await;
    stranger.post(FINISH, &body_of(&begun, &back)).await
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().expect("an access token")
}

async fn somebody_signs_up_and_in(database: SharedDatabase) {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    issuer.log_in(Person::new("ada-1", "ada@example.org"));
    let config = issuer.config("fake", OPEN) + &other.github_config("hub", "title = \"The Hub\"");
    let daemon = started(&database, &config).await;
    let listed = daemon.anonymous().get("/api/v1/auth/issuers").await;
    let listed = listed.expect(200).json();
    let expected = json!([
        { "name": "fake", "title": "fake", "kind": "oidc" },
        { "name": "hub", "title": "The Hub", "kind": "github" },
    ]);
    assert_eq!(listed["items"], expected);
    let up = goes(&daemon, &issuer).await.expect(200).json();
    assert_eq!(
        (&up["is_new"], &up["return_to"], &up["token_type"]),
        (&json!(true), &json!("/terminals"), &json!("Bearer"))
    );
    let again = goes(&daemon, &issuer).await.expect(200).json();
    assert_eq!(again["is_new"], json!(false));
    assert_ne!(access_token(&up), access_token(&again));
    // The same address at another issuer is another person, as far as anybody can tell.
    issuer.log_in(Person::new("mallory", "ada@example.org"));
    let stranger = goes(&daemon, &issuer).await.problem(403);
    assert_eq!(stranger["code"], "accounts.link_first");
    // A token of the local operator's belongs to nobody whose identities these could be.
    let operator = daemon.operator().await;
    operator.get("/api/v1/auth/identities").await.problem(403);
    daemon
        .anonymous()
        .get("/api/v1/auth/identities")
        .await
        .problem(401);
    daemon.stop().await;
}

async fn another_issuer_is_linked_and_the_last_way_in_stays(database: SharedDatabase) {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    issuer.log_in(Person::new("ada-1", "ada@example.org"));
    other.log_in(Person::new("99", "elsewhere@example.org"));
    let config = issuer.config("fake", OPEN) + &other.github_config("hub", "");
    let daemon = started(&database, &config).await;
    let up = goes(&daemon, &issuer).await.expect(200).json();
    let ada = daemon.with_token(access_token(&up));
    let refused = ada
        .delete("/api/v1/auth/identities/fake")
        .await
        .problem(409);
    assert_eq!(refused["code"], "accounts.last_way_in");
    let begun = began(&ada, "/api/v1/auth/issuers/hub/link/begin").await;
    let url = begun["authorization_url"].as_str().expect("an address");
    let back = other.visit(url).await;
    let path = "/api/v1/auth/issuers/hub/finish";
    let linked = daemon.anonymous().post(path, &body_of(&begun, &back)).await;
    let linked = linked.expect(200).json();
    assert_eq!(linked["is_linked"], json!(true));
    assert!(linked["access_token"].is_null(), "a link is no sign-in");
    let own = ada.get("/api/v1/auth/identities").await.expect(200).json();
    assert_eq!(own["items"][0]["issuer"], "fake");
    assert_eq!(own["items"][1]["issuer"], "hub");
    ada.delete("/api/v1/auth/identities/fake").await.expect(204);
    let stranger = goes(&daemon, &issuer).await.problem(403);
    assert_eq!(stranger["code"], "accounts.link_first");
    daemon.stop().await;
}

async fn github_vouches_too(database: SharedDatabase) {
    let issuer = Issuer::start().await;
    issuer.log_in(Person::new("583231", "octo@example.org"));
    let daemon = started(&database, &issuer.github_config("fake", OPEN)).await;
    let up = goes(&daemon, &issuer).await.expect(200).json();
    assert_eq!(up["is_new"], json!(true));
    let again = goes(&daemon, &issuer).await.expect(200).json();
    assert_eq!(again["is_new"], json!(false));
    issuer.log_in(Person {
        is_email_verified: false,
        ..Person::new("583232", "other@example.org")
    });
    let refused = goes(&daemon, &issuer).await.problem(403);
    assert_eq!(refused["code"], "accounts.identity_unknown");
    daemon.stop().await;
}

async fn whatever_is_wrong_is_refused_with_its_reason(database: SharedDatabase) {
    let issuer = Issuer::start().await;
    issuer.log_in(Person::new("ada-1", "ada@example.org"));
    let daemon = started(&database, &issuer.config("fake", OPEN)).await;
    let untrusted = "accounts.id_token_refused";
    for (fault, status, code, reason) in [
        (Fault::WrongIssuer, 403, untrusted, "issuer"),
        (Fault::WrongAudience, 403, untrusted, "audience"),
        (Fault::WrongNonce, 403, untrusted, "nonce"),
        (Fault::Expired, 403, untrusted, "expired"),
        (Fault::Unsigned, 403, untrusted, "algorithm"),
        (Fault::PublicKeyAsSecret, 403, untrusted, "algorithm"),
        (Fault::UnknownKey, 403, untrusted, "key"),
        (Fault::WrongSignature, 403, untrusted, "signature"),
        (Fault::MixedUp, 403, "accounts.issuer_mixed_up", "mixed_up"),
        (
            Fault::Huge,
            502,
            "accounts.issuer_garbage",
            "accounts.issuer_garbage",
        ),
    ] {
        issuer.suffer(Some(fault));
        let refused = goes(&daemon, &issuer).await.problem(status);
        assert_eq!(refused["code"], code, "{fault:?}");
        let query = "SELECT detail FROM audit_entries WHERE action = 'identity.refused' ORDER BY seq DESC LIMIT 1";
        let entry = kit::sql_text(&url_of(&database, daemon.home()), query).await;
        let entry = entry.expect("an entry");
        assert!(
            entry.contains(&format!("\"reason\":\"{reason}\"")),
            "{fault:?}: {entry}"
        );
    }
    issuer.suffer(None);
    goes(&daemon, &issuer).await.expect(200);
    let secret = kit::issuer::CLIENT_SECRET;
    let ended = daemon.stop().await;
    assert!(
        !ended.stderr.contains(secret),
        "the log holds the client's secret"
    );
}

async fn an_issuer_that_is_away_is_named_and_takes_nobody_with_it(database: SharedDatabase) {
    let mut issuer = Issuer::start().await;
    issuer.log_in(Person::new("ada-1", "ada@example.org"));
    let daemon = started(&database, &issuer.config("fake", OPEN)).await;
    let up = goes(&daemon, &issuer).await.expect(200).json();
    let begun = began(&daemon.anonymous(), BEGIN).await;
    let back = issuer
        .visit(begun["authorization_url"].as_str().expect("an address"))
        .await;
    issuer.go_away().await;
    let refused = daemon
        .anonymous()
        .post(FINISH, &body_of(&begun, &back))
        .await;
    assert_eq!(refused.problem(503)["code"], "accounts.issuer_unreachable");
    let accounts = status_with(&daemon, "/accounts", "level", "DEGRADED").await;
    assert_eq!(accounts["cause"]["path"], "/accounts/issuer_fake");
    // Who is in stays in, and whoever comes otherwise comes in.
    let ada = daemon.with_token(access_token(&up));
    ada.get("/api/v1/auth/identities").await.expect(200);
    let token = daemon.new_token("laptop").await;
    daemon
        .with_token(&token)
        .get("/api/v1/status")
        .await
        .expect(200);
    issuer.come_back().await;
    status_with(&daemon, "/accounts", "level", "NORMAL").await;
    goes(&daemon, &issuer).await.expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_browser_keeps_the_secret_in_a_cookie_and_the_code_in_a_fragment() {
    let issuer = Issuer::start().await;
    issuer.log_in(Person::new("ada-1", "ada@example.org"));
    let daemon = daemon().config(issuer.config("fake", OPEN)).start().await;
    let stranger = daemon.anonymous();
    let begun = stranger.post(BEGIN, &json!({ "cookie": true })).await;
    let begun = begun.expect(200);
    let cookie = begun.header("set-cookie").expect("a cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let begun = begun.json();
    assert!(begun["flow"].is_null(), "{begun}");
    let back = issuer
        .visit(begun["authorization_url"].as_str().expect("an address"))
        .await;
    let (_, query) = back.location.split_once('?').expect("a query");
    let callback = format!("/api/v1/auth/issuers/fake/callback?{query}");
    let sent_on = stranger.get(&callback).await.expect(303);
    let page = sent_on.header("location").expect("a page");
    assert!(page.starts_with("/#/sign-in/fake?"), "{page}");
    assert!(page.contains("code=") && page.contains("state="), "{page}");
    assert_eq!(sent_on.header("referrer-policy"), Some("no-referrer"));

    let mut body = body_of(&begun, &back);
    body.as_object_mut().expect("an object").remove("flow");
    let post = |cookie: &str, origin: Option<&str>| {
        let request = stranger
            .request(Method::POST, FINISH)
            .header("cookie", cookie);
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    let without = stranger.post(FINISH, &body).await;
    assert_eq!(without.pointers(422), ["/flow"]);
    // A foreign page cannot make the browser finish what it began.
    post(&cookie, None).json(&body).send().await.problem(403);
    let foreign = post(&cookie, Some("http://evil.example")).json(&body);
    foreign.send().await.problem(403);
    let own = daemon.url();
    let wrong = post("mainstay-flow=another", Some(&own)).json(&body);
    assert_eq!(
        wrong.send().await.problem(403)["code"],
        "accounts.flow_not_found"
    );
    let done = post(&cookie, Some(&own))
        .json(&body)
        .send()
        .await
        .expect(200);
    let cleared = done.header("set-cookie").expect("it is taken away");
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    let ended = daemon.stop().await;
    let code = back.code.expect("a code");
    assert!(!ended.stderr.contains(&code), "the log holds the code");
}
