//! Signing in with passkeys: with an authenticator of the harness that also lies, and in a real browser with its own.
//!
//! Domains: `accounts`.

use http::Method;
use kit::{
    Authenticator, Browser, Client, Daemon, Lie, PATIENCE, Reply, SharedDatabase, eventually,
    on_both_databases,
};
use serde_json::{Value, json};

use crate::support::{cli, daemon, daemon_on, id_of};

on_both_databases![
    a_passkey_signs_in_by_itself,
    no_lie_is_told_from_another,
    passkeys_are_a_users_own,
];

const BASE: &str = "/api/v1/auth/passkeys";
const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "a long and winding password";

/// Where a browser on this machine finds the daemon, and trusts it.
fn origin_of(daemon: &Daemon) -> String {
    format!("http://localhost:{}", daemon.address().port())
}

/// Makes the first user, and signs them in.
async fn set_up(daemon: &Daemon) -> Client {
    with_tokens(daemon, &first_tokens(daemon).await)
}

/// The same; gives the tokens.
async fn first_tokens(daemon: &Daemon) -> Value {
    let setup_token = eventually(PATIENCE, async || {
        let log = daemon.stderr().text();
        let rest = log.split("setup token: ").nth(1);
        let token = rest.and_then(|rest| rest.split_whitespace().next());
        token.map(str::to_owned).ok_or("a setup token")
    })
    .await;
    let body = json!({ "setup_token": setup_token, "email": EMAIL, "password": PASSWORD });
    let made = daemon.anonymous().post("/api/v1/setup", &body).await;
    made.expect(200).json()
}

fn with_tokens(daemon: &Daemon, tokens: &Value) -> Client {
    let token = tokens["access_token"].as_str();
    daemon.with_token(token.expect("an access token"))
}

async fn begin(client: &Client, way: &str) -> Value {
    let begun = client
        .post(&format!("{BASE}/{way}/begin"), &json!({}))
        .await;
    begun.expect(200).json()
}

async fn finish(client: &Client, way: &str, begun: &Value, credential: Value) -> Reply {
    let body = json!({ "challenge_id": begun["challenge_id"], "credential": credential });
    client.post(&format!("{BASE}/{way}/finish"), &body).await
}

/// The whole way to a new passkey.
async fn add(user: &Client, authenticator: &mut Authenticator) -> Value {
    let begun = begin(user, "register").await;
    let made = authenticator.make(&begun["options"]);
    finish(user, "register", &begun, made)
        .await
        .expect(201)
        .json()
}

/// The whole way in.
async fn sign_in(daemon: &Daemon, authenticator: &mut Authenticator, lies: &[Lie]) -> Reply {
    let stranger = daemon.anonymous();
    let begun = begin(&stranger, "login").await;
    let proof = authenticator.sign_lying(&begun["options"], lies);
    finish(&stranger, "login", &begun, proof).await
}

async fn a_passkey_signs_in_by_itself(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let ada = set_up(&first).await;
    let mut hers = Authenticator::new(&origin_of(&first));
    let made = add(&ada, &mut hers).await;
    assert_eq!(
        (&made["name"], &made["last_used_at"]),
        (&json!("passkey"), &json!(null))
    );
    let tokens = sign_in(&first, &mut hers, &[]).await.expect(200).json();
    assert_eq!(tokens["token_type"], "Bearer");
    let in_by_passkey = with_tokens(&first, &tokens);
    let sessions = in_by_passkey
        .get("/api/v1/auth/sessions")
        .await
        .expect(200)
        .json();
    let newest = sessions["items"]
        .as_array()
        .and_then(|all| all.last())
        .cloned();
    let newest = newest.expect("a session");
    assert_eq!(
        (&newest["method"], &newest["second_factor"]),
        (&json!("passkey"), &json!(true))
    );
    let factors = in_by_passkey
        .get("/api/v1/auth/factors")
        .await
        .expect(200)
        .json();
    assert_eq!(factors["passkeys"], 1);
    let listed = in_by_passkey.get(BASE).await.expect(200).json();
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");

    // A restart forgets no passkey; the daemon listens where it did, as the passkey belongs there.
    let (address, home) = (first.address(), first.home().clone());
    first.stop().await;
    let second = daemon()
        .home(&home)
        .database(&database)
        .listen(address.to_string());
    let second = second.start().await;
    let tokens = sign_in(&second, &mut hers, &[]).await.expect(200).json();
    let again = with_tokens(&second, &tokens);
    // Signed in by a passkey is signed in in person.
    let one = format!("{BASE}/{}", id_of(&made));
    let renamed = again.patch(&one, &json!({ "name": "On my phone" })).await;
    assert_eq!(renamed.expect(200).json()["name"], "On my phone");
    again.delete(&one).await.expect(204);
    again.delete(&one).await.problem(404);
    let refused = sign_in(&second, &mut hers, &[]).await.problem(401);
    assert_eq!(refused["code"], "passkeys.refused");
    second.stop().await;
}

async fn no_lie_is_told_from_another(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let ada = set_up(&daemon).await;
    let mut hers = Authenticator::new(&origin_of(&daemon));
    add(&ada, &mut hers).await;
    sign_in(&daemon, &mut hers, &[]).await.expect(200);
    let lies = [
        (Lie::Origin("http://localhost:1"), "origin"),
        (Lie::CrossOrigin, "cross_origin"),
        (Lie::RpId("example.org"), "rp_id"),
        (Lie::Challenge, "challenge"),
        (Lie::NotVerified, "user_not_verified"),
        (Lie::Count(1), "counter"),
        (Lie::Key, "signature"),
        (Lie::User([7; 16]), "user_handle"),
        (Lie::Unknown, "unknown_passkey"),
    ];
    let mut told = Vec::new();
    for (lie, _) in &lies {
        let reply = sign_in(&daemon, &mut hers, std::slice::from_ref(lie)).await;
        let mut problem = reply.problem(401);
        let id = problem["request_id"].take();
        assert!(id.is_string() || id.is_null(), "{id}");
        told.push(problem);
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
    let begun = begin(&daemon.anonymous(), "login").await;
    let proof = hers.sign(&begun["options"]);
    finish(&daemon.anonymous(), "login", &begun, proof.clone())
        .await
        .expect(200);
    finish(&daemon.anonymous(), "login", &begun, proof)
        .await
        .problem(401);

    let operator = daemon.local();
    let refusals = operator.get("/api/v1/audit?action=session.refused").await;
    let refusals = refusals.expect(200).json();
    let reasons: Vec<&str> = refusals["items"]
        .as_array()
        .expect("a list")
        .iter()
        .rev()
        .filter_map(|entry| entry["detail"]["reason"].as_str())
        .collect();
    let mut expected: Vec<&str> = lies.iter().map(|(_, reason)| *reason).collect();
    expected.push("no_challenge");
    assert_eq!(reasons, expected);
    daemon.stop().await;
}

async fn passkeys_are_a_users_own(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let ada = set_up(&daemon).await;
    let origin = origin_of(&daemon);
    let mut hers = Authenticator::new(&origin);
    let made = add(&ada, &mut hers).await;
    let one = format!("{BASE}/{}", id_of(&made));
    // Personal tokens need nobody to be present.
    let token = ada
        .post("/api/v1/tokens", &json!({ "name": "script" }))
        .await;
    let token = token.expect(201).json();
    let script = daemon.with_token(token["token"].as_str().expect("a token"));
    for refused in [
        script
            .post(&format!("{BASE}/register/begin"), &json!({}))
            .await,
        script.delete(&one).await,
    ] {
        assert_eq!(refused.problem(403)["code"], "passkeys.not_fresh");
    }
    script.get(BASE).await.expect(200);
    let body = json!({ "email": "bob@example.org", "password": "quite another password" });
    let bob = daemon.local().post("/api/v1/users", &body).await;
    assert!(matches!(bob.status, 200 | 201), "{}", bob.text());
    let login = daemon.anonymous().post("/api/v1/auth/login", &body).await;
    let bob = with_tokens(&daemon, &login.expect(200).json());
    assert_eq!(
        bob.delete(&one).await.problem(404)["code"],
        "passkeys.not_found"
    );
    bob.patch(&one, &json!({ "name": "mine" }))
        .await
        .problem(404);
    let other = begin(&ada, "register").await;
    let stolen = hers.make(&other["options"]);
    let refused = finish(&bob, "register", &other, stolen).await.problem(403);
    assert_eq!(refused["code"], "passkeys.not_made");
    // A page elsewhere is told where passkeys belong.
    let elsewhere = daemon
        .anonymous()
        .request(Method::POST, &format!("{BASE}/login/begin"));
    let elsewhere = elsewhere
        .header("origin", &daemon.url())
        .json(&json!({}))
        .send()
        .await;
    let refused = elsewhere.problem(403);
    assert_eq!(refused["code"], "passkeys.wrong_origin");
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains(&origin)),
        "{refused}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_place_that_cannot_have_passkeys_says_what_to_set() {
    let config = "[accounts]\npublic_url = \"http://127.0.0.1:4110\"\n";
    let daemon = daemon().config(config).start().await;
    let path = format!("{BASE}/login/begin");
    let begun = daemon.anonymous().post(&path, &json!({})).await;
    let refused = begun.problem(409);
    assert_eq!(refused["code"], "passkeys.not_configured");
    daemon.stop().await;

    let home = kit::Home::new();
    let check = async |text: &str| {
        let file = home.write("check.toml", text);
        let file = file.to_str().expect("plain");
        cli(&home, &["config", "check", file]).await
    };
    let sound =
        "[accounts.passkeys]\nrp_id = \"example.org\"\norigins = [\"https://a.example.org\"]\n";
    check(sound).await.expect(0);
    let wrong = check(
        "[accounts.passkeys]\nrp_id = \"example.com\"\norigins = [\"https://a.example.org\"]\n",
    );
    let wrong = wrong.await;
    let told = format!("{}{}", wrong.stdout, wrong.stderr);
    assert_ne!(wrong.code, 0, "{told}");
    assert!(
        told.contains("accounts.passkeys.rp_id") && told.contains("https://a.example.org"),
        "{told}"
    );
}

/// What a page does: `navigator.credentials` with what the API gives, cookies for tokens.
const PAGE: &str = r#"
globalThis.post = async (path, body) => {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
    return { status: reply.status, body: await reply.json().catch(() => null) };
};
globalThis.add = async () => {
    const begun = (await post("/api/v1/auth/passkeys/register/begin")).body;
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(begun.options);
    const made = await navigator.credentials.create({ publicKey });
    const credential = made.toJSON();
    return post("/api/v1/auth/passkeys/register/finish", { challenge_id: begun.challenge_id, credential, name: "browser" });
};
globalThis.signIn = async () => {
    const begun = (await post("/api/v1/auth/passkeys/login/begin")).body;
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.options);
    const got = await navigator.credentials.get({ publicKey });
    const credential = got.toJSON();
    return post("/api/v1/auth/passkeys/login/finish?cookie=true", { challenge_id: begun.challenge_id, credential });
};
"page"
"#;

#[tokio::test]
async fn a_real_browser_makes_a_passkey_and_signs_in_with_it() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let daemon = daemon().start().await;
    let tokens = first_tokens(&daemon).await;
    let ada = with_tokens(&daemon, &tokens);
    let authenticator = browser.add_authenticator().await;
    // A page: an answer of the API is shown in a sandbox, where nothing can be asked.
    let page = format!("{}/api/docs", origin_of(&daemon));
    let token = tokens["access_token"].as_str().expect("an access token");
    browser.visit_with(&page, token).await;
    browser.evaluate(PAGE).await;
    let login = format!(
        "post('/api/v1/auth/login?cookie=true', {{ email: '{EMAIL}', password: '{PASSWORD}' }})"
    );
    assert_eq!(browser.evaluate(&login).await["status"], 200);
    let added = browser.evaluate("add()").await;
    assert_eq!(
        (&added["status"], &added["body"]["name"]),
        (&json!(201), &json!("browser")),
        "{added}"
    );
    // The authenticator knows the passkey already, and the browser does not even ask for another.
    let twice = browser.evaluate("add().catch(error => error.name)").await;
    assert_eq!(twice, "InvalidStateError");
    let out = browser
        .evaluate("post('/api/v1/auth/logout').then(reply => reply.status)")
        .await;
    assert!(out == 204 || out == 200, "{out}");
    for _ in 0..2 {
        let signed_in = browser.evaluate("signIn()").await;
        assert_eq!(
            (&signed_in["status"], &signed_in["body"]["token_type"]),
            (&json!(200), &json!("Cookie")),
            "{signed_in}"
        );
    }
    let me = browser
        .evaluate("fetch('/api/v1/auth/passkeys').then(reply => reply.json())")
        .await;
    assert_eq!(me["items"][0]["name"], "browser", "{me}");
    assert!(me["items"][0]["last_used_at"].is_string());

    // Nobody who does not show who they are.
    let nobody = json!({ "authenticatorId": authenticator, "isUserVerified": false });
    browser.command("WebAuthn.setUserVerified", nobody).await;
    let refused = browser
        .evaluate("signIn().catch(error => error.name)")
        .await;
    assert_eq!(refused, "NotAllowedError");
    // A page of the same server by another name.
    let page = format!("{}/api/docs", daemon.url());
    browser.visit_with(&page, token).await;
    browser.evaluate(PAGE).await;
    let elsewhere = browser
        .evaluate("post('/api/v1/auth/passkeys/login/begin')")
        .await;
    assert_eq!(
        elsewhere["body"]["code"], "passkeys.wrong_origin",
        "{elsewhere}"
    );
    ada.get(BASE).await.expect(200);
    drop(browser);
    daemon.stop().await;
}
