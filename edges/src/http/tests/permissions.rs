//! Router, table of permissions and OpenAPI document say the same; strangers get nothing.

use std::collections::BTreeSet;

use super::*;
use crate::http::routes::{Needs, TABLE};
use crate::http::{documents, router};

/// A request for a route of the table, with something in the place of its parameters.
fn ask_for(method: &Method, path: &str) -> Ask {
    let path = path
        .replace("{id}", "0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f")
        .replace("{*path}", "some/node")
        .replace("{name}", "panic-actor")
        .replace("{issuer}", "google");
    ask(method.clone(), &path)
}

#[tokio::test]
async fn every_route_of_the_table_is_served() {
    let app = app().await;
    for route in TABLE
        .iter()
        .filter(|route| route.path != "/api/v1/status/stream")
    {
        let answer = ask_for(&route.method, route.path).of(&app).await;
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        let is_missing = is_problem && answer.code() == codes::UNKNOWN_ROUTE.code;
        // The empty target of an action is a route that only its handler can refuse.
        let is_missing = is_missing && !route.path.contains("supervisor");
        let is_served = !is_missing && answer.status != StatusCode::METHOD_NOT_ALLOWED;
        assert!(is_served, "{} {}", route.method, route.path);
        assert_ne!(
            answer.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[test]
fn the_document_has_the_routes_of_the_table_and_no_others() {
    let document: Value = serde_json::from_slice(&documents().json()).expect("JSON");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut listed = BTreeSet::new();
    for route in TABLE.iter() {
        let plain = route.path.replace("{*", "{");
        let actions: &[&str] = if plain.contains("supervisor") {
            &["/restart", "/stop", "/start"]
        } else {
            &[""]
        };
        listed.extend(
            actions
                .iter()
                .map(|action| format!("{} {plain}{action}", route.method)),
        );
    }
    assert_eq!(documented, listed);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of all that is open")]
async fn strangers_get_health_and_info_and_nothing_else() {
    let app = app().await;
    let open: Vec<&str> = TABLE
        .iter()
        .filter(|route| route.needs == Needs::Nothing)
        .map(|route| route.path)
        .collect();
    // These tell what everybody may know, or send a browser on; they answer when the domain does.
    let is_issuer = |path: &&str| path.starts_with("/api/v1/auth/issuers");
    let (issuers, open): (Vec<&str>, Vec<&str>) = open.into_iter().partition(is_issuer);
    let ways = ["", "/{name}/begin", "/{name}/callback", "/{name}/finish"];
    assert_eq!(
        issuers,
        ways.map(|way| format!("/api/v1/auth/issuers{way}"))
    );
    // These ask for credentials of their own.
    let is_entrance = |path: &&str| path.starts_with("/api/v1/auth/") || *path == "/api/v1/setup";
    let (entrances, open): (Vec<&str>, Vec<&str>) = open.into_iter().partition(is_entrance);
    assert_eq!(
        entrances,
        [
            "/api/v1/auth/passkeys/login/begin",
            "/api/v1/auth/passkeys/login/finish",
            "/api/v1/auth/email/verify",
            "/api/v1/auth/password/forgot",
            "/api/v1/auth/password/reset",
            "/api/v1/setup",
            "/api/v1/auth/register",
            "/api/v1/auth/login",
            "/api/v1/auth/refresh"
        ]
    );
    assert_eq!(
        open,
        [
            "/health",
            "/health/live",
            "/health/ready",
            "/info",
            "/.well-known/jwks.json"
        ]
    );
    for route in TABLE.iter() {
        let answer = ask_for(&route.method, route.path).over_tcp().of(&app).await;
        if issuers.contains(&route.path) {
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{}", route.path);
        } else if entrances.contains(&route.path) {
            assert!(answer.status.is_client_error(), "{}", route.path);
        } else if route.needs == Needs::Nothing {
            assert_eq!(answer.status, StatusCode::OK, "{}", route.path);
        } else {
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{} {}",
                route.method,
                route.path
            );
            assert!(
                answer
                    .header("www-authenticate")
                    .is_some_and(|value| value.starts_with("Bearer"))
            );
        }
    }
    // Nor do they learn what exists.
    for (method, path) in [
        (Method::GET, "/nothing"),
        (Method::PUT, "/api/v1/status"),
        (Method::OPTIONS, "/api/v1/terminals"),
        (Method::TRACE, "/health"),
    ] {
        assert_eq!(
            ask(method, path).over_tcp().of(&app).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_route_that_is_not_in_the_table_is_refused() {
    let state = edge(Limits::default()).await;
    let forgotten = Router::new().route(
        "/forgotten",
        axum::routing::get(|| async { "open by oversight" }),
    );
    let app = crate::http::layers::around(forgotten, &state).with_state(state);
    let answer = get("/forgotten").of(&app).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.text.contains("oversight"));
}

#[tokio::test]
async fn scopes_open_what_they_name() {
    let app = app().await;
    let cases = [
        ("mst_read", Method::GET, "/api/v1/status", true),
        ("mst_read", Method::GET, "/metrics", true),
        ("mst_read", Method::GET, "/api/v1/terminals", true),
        ("mst_read", Method::GET, "/api/v1/tokens", true),
        (
            "mst_read",
            Method::POST,
            "/api/v1/supervisor/some/node/restart",
            false,
        ),
        (
            "mst_read",
            Method::GET,
            "/api/v1/terminals/{id}/attach",
            false,
        ),
        (
            "mst_operator",
            Method::POST,
            "/api/v1/supervisor/some/node/restart",
            true,
        ),
        ("mst_operator", Method::GET, "/api/v1/status", true),
        ("mst_operator", Method::GET, "/api/v1/terminals", false),
        ("mst_terminals", Method::GET, "/api/v1/terminals", true),
        (
            "mst_terminals",
            Method::DELETE,
            "/api/v1/terminals/{id}",
            true,
        ),
        ("mst_terminals", Method::GET, "/api/v1/status", false),
        ("mst_terminals", Method::GET, "/api/v1/auth/factors", false),
        (
            "mst_terminals",
            Method::GET,
            "/api/v1/auth/identities",
            false,
        ),
        ("mst_terminals", Method::GET, "/api/v1/auth/sessions", false),
        (
            "mst_terminals",
            Method::DELETE,
            "/api/v1/tokens/{id}",
            false,
        ),
        ("mst_all", Method::DELETE, "/api/v1/tokens/{id}", true),
        ("mst_operator", Method::GET, "/api/docs", true),
    ];
    for (token, method, path, is_allowed) in cases {
        let answer = ask_for(&method, path).bearing(token).of(&app).await;
        assert_eq!(
            answer.status != StatusCode::FORBIDDEN,
            is_allowed,
            "{token} {method} {path}: {answer:?}"
        );
    }
}

/// A page of a stranger can make a browser send a GET, with its cookies: so none may do anything.
#[test]
fn what_is_read_makes_nothing_and_shows_no_secret() {
    for route in TABLE.iter().filter(|route| route.method.is_safe()) {
        let does_something = route.creates || route.shows_secret || route.is_auth;
        assert!(!does_something, "{} {}", route.method, route.path);
    }
    for verb in [
        "/{*path}",
        "logout",
        "refresh",
        "retry",
        "ws-ticket",
        "change",
        "begin",
        "finish",
    ] {
        let named = |route: &&crate::http::routes::Route| {
            route.path.ends_with(verb) && !route.path.starts_with("/api/v1/status")
        };
        let mut named = TABLE.iter().filter(named).peekable();
        assert!(named.peek().is_some(), "{verb}");
        assert!(named.all(|route| route.method == Method::POST), "{verb}");
    }
}

/// An answer to TRACE repeats the request, with headers that a script must not see.
#[tokio::test]
async fn nothing_is_traced_and_nothing_is_a_folder() {
    let app = app().await;
    for path in ["/", "/health", "/api/v1/status"] {
        let answer = ask(Method::TRACE, path)
            .with("x-secret", "s3cr3t")
            .of(&app)
            .await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(!answer.text.contains("s3cr3t"), "{path}");
    }
    for path in [
        "/.git/HEAD",
        "/.git/",
        "/api/",
        "/static/",
        "/..",
        "/%2e%2e/etc/passwd",
    ] {
        let answer = get(path).of(&app).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_route_can_be_asked_for_its_head() {
    let answer = ask(Method::HEAD, "/health")
        .over_tcp()
        .of(&app().await)
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    let app = router(&edge(Limits::default()).await);
    assert_eq!(
        ask(Method::HEAD, "/api/v1/status")
            .over_tcp()
            .of(&app)
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
}
