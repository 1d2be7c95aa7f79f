//! Sessions at the edge without a socket: cookies, foreign pages, tickets, rights.

use http::Method;

use crate::http::limits::Limits;
use crate::http::router;
use crate::http::tests::{ask, edge, get};

const OWN: &str = "http://localhost";

#[tokio::test]
async fn a_session_has_all_rights_of_its_role() {
    let app = router(&edge(Limits::default()).await);
    for (role, method, path, is_allowed) in [
        ("owner", Method::GET, "/api/v1/status", true),
        ("viewer", Method::GET, "/api/v1/status", true),
        ("viewer", Method::POST, "/api/v1/terminals", false),
        ("member", Method::POST, "/api/v1/terminals", true),
        ("viewer", Method::POST, "/api/v1/tokens", true),
        ("member", Method::POST, "/api/v1/users", false),
        ("admin", Method::POST, "/api/v1/users", true),
        (
            "member",
            Method::DELETE,
            "/api/v1/users/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f/sessions",
            false,
        ),
    ] {
        let answer = ask(method, path).bearing(&format!("session.{role}"));
        let status = answer.of(&app).await.status.as_u16();
        assert_eq!(status != 403, is_allowed, "{role} {path}: {status}");
    }
}

#[tokio::test]
async fn what_a_cookie_changes_has_to_come_from_a_page_of_ours() {
    let app = router(&edge(Limits::default()).await);
    for (method, header, refusal) in [
        (Method::GET, None, None),
        (Method::POST, None, Some("http.cookie_needs_origin")),
        (Method::POST, Some(("origin", OWN)), None),
        (Method::POST, Some(("sec-fetch-site", "same-origin")), None),
        (
            Method::POST,
            Some(("sec-fetch-site", "same-site")),
            Some("http.cookie_needs_origin"),
        ),
        (
            Method::POST,
            Some(("sec-fetch-site", "none")),
            Some("http.cookie_needs_origin"),
        ),
        (
            Method::POST,
            Some(("origin", "http://evil.example")),
            Some("http.foreign_origin"),
        ),
        (
            Method::POST,
            Some(("origin", "null")),
            Some("http.foreign_origin"),
        ),
        (Method::GET, Some(("origin", "http://evil.example")), None),
    ] {
        let asked = ask(method.clone(), "/api/v1/terminals").over_tcp();
        let mut asked = asked.with("cookie", "mainstay=session.owner");
        if let Some((name, value)) = header {
            asked = asked.with(name, value);
        }
        let answer = asked.of(&app).await;
        let told = (answer.status == 403).then(|| answer.code());
        assert_eq!(told.as_deref(), refusal, "{method} {header:?}");
    }
    // A header is no cookie: no page can make a browser send one.
    let bearer = ask(Method::POST, "/api/v1/terminals").bearing("session.owner");
    assert_ne!(bearer.of(&app).await.status, 403);
}

/// A page of another origin that may read answers does so with a token: a cookie is not its to use.
#[tokio::test]
async fn a_guest_uses_no_cookie() {
    let limits = Limits {
        cors_origins: vec!["https://app.example".to_owned()],
        ..Limits::default()
    };
    let app = router(&edge(limits).await);
    let asked = || {
        let asked = ask(Method::POST, "/api/v1/auth/logout").over_tcp();
        asked.with("origin", "https://app.example")
    };
    let with_cookie = asked().with("cookie", "mainstay=session.owner");
    let refused = with_cookie.of(&app).await;
    assert_eq!(refused.code(), "http.cookie_needs_origin");
    let token = asked().with("authorization", "Bearer session.owner");
    assert_eq!(token.of(&app).await.status, 503, "past the edge");
}

/// Neither a stolen personal token nor a session that was left open puts its owner out or takes the account over.
#[tokio::test]
async fn what_decides_about_an_account_needs_a_recent_sign_in() {
    let app = router(&edge(Limits::default()).await);
    let one = "/api/v1/auth/sessions/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f";
    for (method, path) in [
        (Method::DELETE, "/api/v1/auth/sessions"),
        (Method::DELETE, one),
        (Method::POST, "/api/v1/auth/email/change"),
    ] {
        let asked = |token: &str| {
            let body = r#"{"new_email":"new@example.org","password":"x"}"#;
            let asked = ask(method.clone(), path).bearing(token);
            if method == Method::POST {
                asked.json(body)
            } else {
                asked
            }
        };
        for token in ["mst_user", "stale.owner"] {
            let refused = asked(token).of(&app).await;
            assert_eq!(refused.code(), "accounts.not_fresh", "{token} {path}");
        }
        let fresh = asked("session.owner").of(&app).await;
        assert_eq!(fresh.status, 503, "past the edge: {path}");
    }
}

#[tokio::test]
async fn where_a_second_factor_is_required_a_session_without_is_for_setting_one_up() {
    let limits = Limits {
        requires_second_factor: true,
        ..Limits::default()
    };
    let app = router(&edge(limits).await);
    let is_refused = async |method: Method, path: &str, token: &str| {
        let answer = ask(method, path).bearing(token).of(&app).await;
        answer.status == 403 && answer.code() == "accounts.second_factor_required"
    };
    for (method, path, is_on_the_way) in [
        (Method::GET, "/api/v1/status", false),
        (Method::GET, "/api/docs", false),
        (Method::POST, "/api/v1/terminals", false),
        (Method::POST, "/api/v1/tokens", false),
        (Method::PATCH, "/api/v1/me", false),
        (Method::POST, "/api/v1/ws-ticket", false),
        (Method::GET, "/no/such/route", false),
        (Method::GET, "/api/v1/me", true),
        (Method::GET, "/api/v1/auth/factors", true),
        (Method::POST, "/api/v1/auth/totp/enroll", true),
        (Method::POST, "/api/v1/auth/logout", true),
    ] {
        let refused = is_refused(method.clone(), path, "session.owner").await;
        assert_eq!(refused, !is_on_the_way, "{method} {path}");
        for token in ["proven.owner", "mst_all"] {
            let refused = is_refused(method.clone(), path, token).await;
            assert!(!refused, "{token} {method} {path}");
        }
    }
}

#[tokio::test]
async fn a_websocket_with_a_cookie_tells_its_origin() {
    let app = router(&edge(Limits::default()).await);
    let path = "/api/v1/terminals/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f/attach";
    let socket = || {
        let asked = get(path).over_tcp().with("upgrade", "websocket");
        asked.with("cookie", "mainstay=session.owner")
    };
    let answer = socket().of(&app).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (403, "http.cookie_needs_origin")
    );
    let answer = socket()
        .with("sec-fetch-site", "same-origin")
        .of(&app)
        .await;
    assert_eq!(answer.code(), "http.cookie_needs_origin");
    let answer = socket()
        .with("origin", "http://evil.example")
        .of(&app)
        .await;
    assert_eq!(answer.code(), "http.foreign_origin");
    let answer = socket().with("origin", OWN).of(&app).await;
    assert_ne!(answer.status, 403);
}

#[tokio::test]
async fn the_cookie_of_another_listener_is_not_read() {
    let app = router(&edge(Limits::default()).await);
    for cookie in [
        "__Host-mainstay=session.owner",
        "mainstay=session.owner; mainstay=session.viewer",
        "mainstay-refresh=session.owner",
        "mainstay=mst_wrong",
    ] {
        let answer = get("/api/v1/status").over_tcp().with("cookie", cookie);
        assert_eq!(answer.of(&app).await.status, 401, "{cookie}");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let state = edge(Limits::default()).await;
    let app = router(&state);
    let path = "/api/v1/terminals/0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f/attach";
    let issue = async |path: &str| {
        let body = serde_json::json!({ "path": path }).to_string();
        let asked = ask(Method::POST, "/api/v1/ws-ticket").bearing("session.owner");
        asked.with("origin", OWN).json(body).of(&app).await
    };
    for wrong in [
        "/",
        "api/v1/x",
        "/api/v1/x?token=1",
        "/api/v1/a b",
        "/api/v2/x",
    ] {
        assert_eq!(issue(wrong).await.status, 422, "{wrong}");
    }
    let answer = issue(path).await;
    assert_eq!(answer.status, 200);
    let ticket = answer.json()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    assert_eq!(answer.json()["expires_in"], 30);
    let socket = |ticket: &str| {
        let asked = get(path).over_tcp().with("upgrade", "websocket");
        let asked = asked.with("origin", OWN);
        asked.with(
            "sec-websocket-protocol",
            &format!("mainstay.pty.v1, ticket.{ticket}"),
        )
    };
    let made_up = socket(&"0".repeat(64)).of(&app).await;
    assert_eq!(
        (made_up.status.as_u16(), made_up.code().as_str()),
        (401, "http.bad_ticket")
    );
    // Past the permissions; the terminal itself is not there.
    assert_eq!(socket(&ticket).of(&app).await.code(), "http.bad_upgrade");
    assert_eq!(socket(&ticket).of(&app).await.code(), "http.bad_ticket");
    // Not for anything but a socket.
    let other = issue(path).await.json()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let plain = get(path)
        .over_tcp()
        .with("sec-websocket-protocol", &format!("ticket.{other}"));
    assert_eq!(plain.of(&app).await.code(), "http.missing_token");
}

#[tokio::test]
async fn what_has_no_session_cannot_leave_it() {
    let app = router(&edge(Limits::default()).await);
    let leave = || ask(Method::POST, "/api/v1/auth/logout");
    assert_eq!(leave().of(&app).await.code(), "accounts.no_session");
    assert_eq!(
        leave().bearing("mst_all").of(&app).await.code(),
        "accounts.no_session"
    );
    let listed = get("/api/v1/auth/sessions")
        .bearing("mst_all")
        .of(&app)
        .await;
    assert_eq!(listed.code(), "http.not_a_user");
    // The domain is down here: the request gets past the edge.
    let own = get("/api/v1/auth/sessions")
        .bearing("session.viewer")
        .of(&app)
        .await;
    assert_eq!(own.status, 503);
}

#[tokio::test]
async fn a_refresh_by_cookie_comes_from_a_page_of_ours() {
    let app = router(&edge(Limits::default()).await);
    let refresh = |body: &'static str| {
        ask(Method::POST, "/api/v1/auth/refresh")
            .over_tcp()
            .json(body)
    };
    assert_eq!(refresh("{}").of(&app).await.code(), "http.missing_token");
    let cookie = || refresh("{}").with("cookie", "mainstay-refresh=msr_x");
    assert_eq!(cookie().of(&app).await.code(), "http.cookie_needs_origin");
    assert_eq!(cookie().with("origin", OWN).of(&app).await.status, 503);
    assert_eq!(
        refresh("{\"refresh_token\":\"msr_x\"}")
            .of(&app)
            .await
            .status,
        503
    );
    assert_eq!(refresh("{\"token\":\"msr_x\"}").of(&app).await.status, 422);
}

#[tokio::test]
async fn the_keys_are_open_to_anybody() {
    let app = router(&edge(Limits::default()).await);
    let answer = get("/.well-known/jwks.json").over_tcp().of(&app).await;
    assert_eq!(answer.json(), serde_json::json!({ "keys": [] }));
}
