//! Second factors and the key that they are sealed with.
//!
//! Domains: `accounts`.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use kit::{Client, Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::support::{daemon, daemon_on, open, shell, status, status_with};

on_both_databases![
    the_master_key_stays_with_the_data_directory,
    factors_are_a_users_own,
];

async fn the_master_key_stays_with_the_data_directory(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let home = first.home().clone();
    let file = home.data_dir().join("master.key");
    let key = std::fs::read_to_string(&file).expect("made at the first start");
    let mode = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(level_of(&first, "/accounts/factors").await, "NORMAL");
    let ended = first.stop().await;
    assert!(!ended.stderr.contains(key.trim()), "the log holds the key");

    let second = daemon().home(&home).database(&database).start().await;
    let again = std::fs::read_to_string(&file).expect("still there");
    assert_eq!(again, key);
    second.stop().await;
}

/// A damaged key stops nothing that needs none, is told with its cause, and is not written over.
#[tokio::test]
async fn a_damaged_master_key_is_told() {
    let first = daemon().start().await;
    let home = first.home().clone();
    first.stop().await;
    let file = home.data_dir().join("master.key");
    std::fs::write(&file, "half a ke").expect("damaged");

    let second = daemon().home(&home).start().await;
    let node = status_with(&second, "/accounts/factors", "level", "DEGRADED").await;
    assert_eq!(node["cause"]["code"], "factors.no_master_key", "{node:#}");
    assert!(node["impact"].is_string() && node["fallback"].is_string());
    open(&second.operator().await, &shell()).await;
    assert_eq!(
        std::fs::read_to_string(&file).expect("still there"),
        "half a ke"
    );
    second.stop().await;
}

#[tokio::test]
async fn the_master_key_can_come_from_the_configuration() {
    let key = "0123456789abcdef".repeat(4);
    let set = daemon()
        .env("MAINSTAY_SECRETS__MASTER_KEY", &key)
        .start()
        .await;
    let file = set.home().data_dir().join("master.key");
    assert!(!file.try_exists().expect("readable"), "no second key");
    assert_eq!(level_of(&set, "/accounts/factors").await, "NORMAL");
    let ended = set.stop().await;
    assert!(!ended.stderr.contains(&key), "the log holds the key");

    let wrong = "correct-horse-battery-staple";
    let refused = daemon()
        .env("MAINSTAY_SECRETS__MASTER_KEY", wrong)
        .run_to_exit()
        .await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("secrets.master_key"), "{refused:?}");
    assert!(!refused.stderr.contains(wrong), "{refused:?}");
}

/// The local operator's tokens are nobody's: there is no account to protect.
async fn factors_are_a_users_own(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let operator = daemon.operator().await;
    let code = json!({ "totp_code": "123456" });
    for (path, body) in [
        ("/api/v1/auth/totp/enroll", &json!({})),
        ("/api/v1/auth/totp/confirm", &code),
        ("/api/v1/auth/totp/disable", &code),
        ("/api/v1/auth/recovery-codes", &code),
    ] {
        let refused = operator.post(path, body).await.problem(403);
        assert_eq!(refused["code"], "http.not_a_user", "{path}");
        let stranger = daemon.anonymous().post(path, body).await;
        stranger.problem(401);
    }
    let shown = operator.get("/api/v1/auth/factors").await.problem(403);
    assert_eq!(shown["code"], "http.not_a_user");
    daemon.stop().await;
}

#[tokio::test]
async fn where_it_is_required_one_comes_in_to_set_it_up() {
    let required = "[accounts]\nrequire_second_factor = true\n";
    let daemon = daemon().config(required).start().await;
    let user = daemon.with_token(&set_up(&daemon).await);
    for path in ["/api/v1/status", "/api/v1/terminals", "/api/v1/users"] {
        let refused = user.get(path).await.problem(403);
        assert_eq!(refused["code"], "accounts.second_factor_required", "{path}");
    }
    user.get("/api/v1/me").await.expect(200);
    let enrolled = user.post("/api/v1/auth/totp/enroll", &json!({})).await;
    let enrolled = enrolled.expect(200).json();
    let secret = enrolled["secret"].as_str().expect("a secret");
    let confirmed = with_next_code(secret, async |code| {
        let body = json!({ "totp_code": code });
        user.post("/api/v1/auth/totp/confirm", &body).await
    });
    let codes = confirmed.await.expect(200).json();
    user.get("/api/v1/status").await.problem(403);
    let code = codes["recovery_codes"][0].as_str().expect("a code");
    let proven = login(&daemon, Some(code)).await.expect(200).json();
    let proven = daemon.with_token(proven["access_token"].as_str().expect("a token"));
    proven.get("/api/v1/status").await.expect(200);
    // The local operator is known by the kernel, and so are tokens of theirs.
    daemon.local().get("/api/v1/users").await.expect(200);
    daemon
        .operator()
        .await
        .get("/api/v1/status")
        .await
        .expect(200);
    daemon.stop().await;
}

#[tokio::test]
async fn an_app_and_its_recovery_codes_protect_a_sign_in() {
    let daemon = daemon().start().await;
    let user = daemon.with_token(&set_up(&daemon).await);
    let enrolled = user.post("/api/v1/auth/totp/enroll", &json!({})).await;
    let enrolled = enrolled.expect(200).json();
    let uri = enrolled["otpauth_uri"].as_str().expect("a URI");
    assert!(uri.starts_with("otpauth://totp/"), "{uri}");
    // Begun is not protected.
    login(&daemon, None).await.expect(200);
    let secret = enrolled["secret"].as_str().expect("a secret");
    let confirmed = with_next_code(secret, async |code| {
        let body = json!({ "totp_code": code });
        user.post("/api/v1/auth/totp/confirm", &body).await
    });
    let confirmed = confirmed.await.expect(200).json();
    let codes = confirmed["recovery_codes"].as_array().expect("codes");
    assert_eq!(codes.len(), 10);

    let asked = login(&daemon, None).await.problem(401);
    assert_eq!(asked["code"], "factors.required");
    let with_code = with_next_code(secret, async |code| login(&daemon, Some(&code)).await);
    with_code.await.expect(200);
    let recovery = codes[0].as_str().expect("text");
    login(&daemon, Some(recovery)).await.expect(200);
    let again = login(&daemon, Some(recovery)).await.problem(401);
    assert_eq!(again["code"], "factors.wrong");
    let left = user.get("/api/v1/auth/factors").await.expect(200).json();
    assert_eq!(left["recovery_codes_left"], 9);

    let proof = json!({ "recovery_code": codes[1] });
    let disabled = user.post("/api/v1/auth/totp/disable", &proof).await;
    disabled.expect(204);
    login(&daemon, None).await.expect(200);

    // Set up again, and everything lost: the operator of the machine helps.
    let enrolled = user.post("/api/v1/auth/totp/enroll", &json!({})).await;
    let enrolled = enrolled.expect(200).json();
    let second = enrolled["secret"].as_str().expect("a secret");
    let confirmed = with_next_code(second, async |code| {
        let body = json!({ "totp_code": code });
        user.post("/api/v1/auth/totp/confirm", &body).await
    });
    confirmed.await.expect(200);
    login(&daemon, None).await.problem(401);
    daemon
        .cli(&["user", "remove-factors", EMAIL])
        .await
        .expect(0);
    user.get("/api/v1/me").await.problem(401);
    login(&daemon, None).await.expect(200);
    let ended = daemon.stop().await;
    for told in codes.iter().filter_map(Value::as_str).chain([secret]) {
        assert!(!ended.stderr.contains(told), "the log holds a secret");
    }
}

const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "a long and winding password";

/// Makes the first user; gives an access token.
async fn set_up(daemon: &Daemon) -> String {
    let setup_token = eventually(PATIENCE, async || {
        let log = daemon.stderr().text();
        let rest = log.split("setup token: ").nth(1);
        let token = rest.and_then(|rest| rest.split_whitespace().next());
        token.map(str::to_owned).ok_or("a setup token")
    })
    .await;
    let body = json!({ "setup_token": setup_token, "email": EMAIL, "password": PASSWORD });
    let made = daemon.anonymous().post("/api/v1/setup", &body).await;
    assert!(matches!(made.status, 200 | 201), "{}", made.text());
    let signed_in = login(daemon, None).await.expect(200).json();
    let token = signed_in["access_token"].as_str().expect("a token");
    token.to_owned()
}

async fn login(daemon: &Daemon, code: Option<&str>) -> Reply {
    let mut body = json!({ "email": EMAIL, "password": PASSWORD });
    if let Some(code) = code {
        body["totp_code"] = code.into();
    }
    let anonymous: Client = daemon.anonymous();
    anonymous.post("/api/v1/auth/login", &body).await
}

/// Shows the code of the present step or the one after, whichever was not used yet.
async fn with_next_code(secret: &str, show: impl AsyncFn(String) -> Reply) -> Reply {
    let now = jiff::Timestamp::now();
    let first = show(code_at(secret, now)).await;
    if first.status < 400 {
        return first;
    }
    show(code_at(secret, now + Duration::from_secs(30))).await
}

/// What an authenticator app shows at a moment.
fn code_at(secret: &str, at: jiff::Timestamp) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&secret).expect("any length");
    mac.update(&(at.as_second() / 30).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 15);
    let number: [u8; 4] = digest[offset..offset + 4].try_into().expect("four");
    format!(
        "{:06}",
        (u32::from_be_bytes(number) & 0x7FFF_FFFF) % 1_000_000
    )
}

async fn level_of(daemon: &Daemon, path: &str) -> String {
    let node = status(daemon, path).await;
    node["level"].as_str().expect("a level").to_owned()
}
