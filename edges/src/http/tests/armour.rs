//! What the layers do against strangers: limits of rates, addresses behind proxies, headers, foreign origins, host names.

use std::net::IpAddr;

use futures::StreamExt as _;

use super::*;
use crate::config::LimitsConfig;
use crate::http::client::Proxies;
use crate::http::routes::TABLE;

impl Ask {
    /// From the network, from this address.
    fn at_address(mut self, address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        self.peer = Peer::Tcp((address, 50_000).into());
        self
    }

    fn naming(mut self, host: &str) -> Self {
        if let Some(headers) = self.request.headers_mut() {
            headers.insert("host", host.parse().expect("ascii"));
        }
        self
    }
}

async fn app_with(limits: Limits) -> Router {
    super::super::router(&edge(limits).await)
}

fn few() -> Limits {
    Limits {
        rates: LimitsConfig {
            anonymous_per_minute: 3,
            signed_in_per_minute: 5,
            ..LimitsConfig::default()
        },
        ..Limits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_are_counted_by_address() {
    let app = app_with(few()).await;
    for left in [2, 1, 0] {
        let answer = get("/api/v1/status").over_tcp().of(&app).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"anonymous\";q=3;w=60")
        );
        let standing = answer.header("ratelimit").expect("told").to_owned();
        assert!(
            standing.starts_with(&format!("\"anonymous\";r={left};")),
            "{standing}"
        );
    }
    let over = get("/no/such/route").over_tcp().of(&app).await;
    assert_eq!(over.code(), "http.rate_limited");
    assert_eq!(over.header("retry-after"), Some("20"));
    assert_eq!(over.header("ratelimit"), Some("\"anonymous\";r=0;t=20"));
    // Others are not concerned, nor is who asks how the daemon is.
    let other = get("/api/v1/status").at_address("192.0.2.1").of(&app).await;
    assert_eq!(other.status, 401);
    for path in ["/health", "/info", "/metrics"] {
        let probe = get(path).bearing("mst_all").of(&app).await;
        assert_eq!(
            (probe.status.as_u16(), probe.header("ratelimit")),
            (200, None),
            "{path}"
        );
    }
    tokio::time::advance(Duration::from_secs(20)).await;
    let again = get("/api/v1/status").over_tcp().of(&app).await;
    assert_eq!(again.status, 401);
}

#[tokio::test]
async fn accounts_are_counted_over_all_their_addresses() {
    let app = app_with(few()).await;
    for number in 0..5 {
        let token = if number % 2 == 0 {
            "mst_all"
        } else {
            "mst_read"
        };
        let asked = get("/api/v1/status").bearing(token);
        let answer = asked
            .at_address(&format!("192.0.2.{number}"))
            .of(&app)
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"signed-in\";q=5;w=60")
        );
    }
    // Also where it would be refused for want of rights.
    let over = open_terminal().bearing("mst_read").of(&app).await;
    assert_eq!(over.code(), "http.rate_limited");
    assert!(over.header("retry-after").is_some());
    let local = get("/api/v1/status").of(&app).await;
    assert_eq!(
        (local.status.as_u16(), local.header("ratelimit")),
        (200, None)
    );
}

fn open_terminal() -> Ask {
    ask(Method::POST, "/api/v1/terminals").json("{}")
}

#[tokio::test]
async fn wrong_tokens_use_up_the_address_and_right_ones_do_not() {
    let app = app_with(few()).await;
    for _ in 0..4 {
        let answer = get("/api/v1/status").bearing("mst_all").of(&app).await;
        assert_eq!(answer.status, 200);
    }
    for _ in 0..3 {
        let answer = get("/api/v1/status").bearing("mst_wrong").of(&app).await;
        assert_eq!(answer.status, 401);
        assert!(
            answer
                .header("ratelimit")
                .is_some_and(|told| told.starts_with("\"anonymous\""))
        );
    }
    // From now on nobody there has a token looked up.
    for token in ["mst_wrong", "mst_all"] {
        let answer = get("/api/v1/status").bearing(token).of(&app).await;
        assert_eq!(answer.code(), "http.rate_limited", "{token}");
    }
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let mut limits = few();
    limits.rates.enabled = false;
    let app = app_with(limits).await;
    for _ in 0..100 {
        let answer = get("/api/v1/status").over_tcp().of(&app).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("ratelimit")),
            (401, None)
        );
    }
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_apart() {
    let limits = Limits {
        proxies: Proxies::new(["10.0.0.0/8".parse().expect("a network")]),
        ..few()
    };
    let app = app_with(limits).await;
    let behind = |client: &str| {
        get("/api/v1/status")
            .at_address("10.0.0.1")
            .with("x-forwarded-for", client)
    };
    for client in ["192.0.2.1", "192.0.2.2"] {
        for _ in 0..3 {
            assert_eq!(behind(client).of(&app).await.status, 401);
        }
        // To put something before it does not help.
        let lied = behind(&format!("198.51.100.1, {client}")).of(&app).await;
        assert_eq!(lied.status, 429);
    }
    // Who is no proxy is not believed.
    for number in 0..3 {
        let asked = get("/api/v1/status").at_address("203.0.113.1");
        let asked = asked.with("x-forwarded-for", &format!("192.0.2.{number}"));
        assert_eq!(asked.of(&app).await.status, 401);
    }
    let asked = get("/api/v1/status").at_address("203.0.113.1");
    let asked = asked.with("x-forwarded-for", "192.0.2.99");
    assert_eq!(asked.of(&app).await.status, 429);
}

/// Something to send to each route of the document, with something in the place of its parameters.
fn every_route() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_slice(&crate::http::documents().json()).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path
            .replace("{id}", "0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f")
            .replace("{path}", "some/node")
            .replace("{name}", "panic-actor");
        for method in item.as_object().expect("operations").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            routes.push((method, path.clone()));
        }
    }
    assert!(routes.len() >= TABLE.len());
    routes
}

#[tokio::test]
async fn every_answer_of_every_route_tells_browsers_what_they_may_do() {
    let limits = Limits {
        proxies: Proxies::new(["127.0.0.1/32".parse().expect("a network")]),
        ..Limits::default()
    };
    let app = app_with(limits).await;
    for (method, path) in every_route() {
        for (secure, token) in [(true, "mst_all"), (false, "mst_all"), (true, "mst_wrong")] {
            let proto = if secure { "https" } else { "http" };
            let asked = ask(method.clone(), &path)
                .bearing(token)
                .with("x-forwarded-for", "192.0.2.1")
                .with("x-forwarded-proto", proto);
            let answer = asked.of_head(&app).await;
            let place = format!("{method} {path} {secure} {token}: {answer:?}");
            assert_protected(&answer, secure, &place);
        }
    }
}

fn assert_protected(answer: &Answer, is_secure: bool, place: &str) {
    let kind = answer.header("content-type").unwrap_or_default();
    let is_page = kind.starts_with("text/html");
    let has_body = !matches!(answer.status.as_u16(), 101 | 204 | 303);
    assert_eq!(!kind.is_empty(), has_body, "a type for every body: {place}");
    let is_text = kind.starts_with("text/") && kind != "text/event-stream";
    assert!(!is_text || kind.contains("charset=utf-8"), "{place}");
    let policy = answer.header("content-security-policy").expect(place);
    assert!(policy.starts_with("default-src 'none'"), "{place}");
    for forbidden in ["object-src", "base-uri", "form-action", "frame-ancestors"] {
        let directive = format!("{forbidden} 'none'");
        assert!(policy.contains(&directive), "{directive} in {place}");
    }
    // What is no page is not run as one, whoever opens it.
    assert_eq!(policy.ends_with("sandbox"), !is_page, "{place}");
    assert!(!policy.contains("unsafe"), "{place}");
    assert_eq!(policy.contains("style-src"), is_page, "{place}");
    let caching = answer.header("cache-control").expect(place);
    assert!(["no-store", "no-cache"].contains(&caching), "{place}");
    for (name, expected) in [
        ("x-content-type-options", Some("nosniff")),
        ("cross-origin-resource-policy", Some("same-origin")),
        ("referrer-policy", Some("no-referrer")),
        (
            "cross-origin-opener-policy",
            is_page.then_some("same-origin"),
        ),
        (
            "strict-transport-security",
            is_secure.then_some("max-age=63072000; includeSubDomains"),
        ),
        ("access-control-allow-origin", None),
        ("vary", None),
    ] {
        assert_eq!(answer.header(name), expected, "{name} of {place}");
    }
    assert_eq!(
        answer.header("permissions-policy").is_some(),
        is_page,
        "{place}"
    );
}

fn shared() -> Limits {
    Limits {
        cors_origins: vec!["https://app.example".to_owned()],
        ..Limits::default()
    }
}

fn preflight(path: &str, origin: &str) -> Ask {
    ask(Method::OPTIONS, path)
        .over_tcp()
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization")
}

#[tokio::test]
async fn a_listed_origin_may_ask_and_read() {
    let app = app_with(shared()).await;
    let answer = preflight("/api/v1/terminals", "https://app.example")
        .of(&app)
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, POST")
    );
    let headers = answer.header("access-control-allow-headers").expect("told");
    assert!(headers.contains("authorization") && headers.contains("idempotency-key"));
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // Errors can be read too.
    for asked in [
        open_terminal().over_tcp(),
        open_terminal().bearing("mst_all"),
    ] {
        let answer = asked.with("origin", "https://app.example").of(&app).await;
        assert_ne!(answer.status, 403, "{answer:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example")
        );
        assert_eq!(answer.header("vary"), Some("origin"));
    }
}

#[tokio::test]
async fn no_other_origin_is_reflected() {
    let listed = app_with(shared()).await;
    let closed = app().await;
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "null",
        "*",
    ] {
        for app in [&listed, &closed] {
            let answer = preflight("/api/v1/terminals", origin).of(app).await;
            assert_eq!(answer.status, 401, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
            let read = get("/api/v1/terminals").bearing("mst_all");
            let read = read.with("origin", origin).of(app).await;
            assert_eq!(read.header("access-control-allow-origin"), None);
        }
    }
    let unasked = get("/health").over_tcp().of(&listed).await;
    assert_eq!(
        unasked.header("vary"),
        Some("origin"),
        "a cache must not mix them up"
    );
    let off = preflight("/api/v1/terminals", "https://app.example")
        .of(&closed)
        .await;
    assert_eq!(off.header("access-control-allow-methods"), None);
}

#[tokio::test]
async fn only_the_names_of_the_server_are_served() {
    let app = app_with(Limits {
        public_hosts: vec!["box.example".to_owned(), "[2001:db8::1]".to_owned()],
        proxies: Proxies::new(["10.0.0.0/8".parse().expect("a network")]),
        ..Limits::default()
    })
    .await;
    for (host, is_served) in [
        ("box.example", true),
        ("BOX.example:4110", true),
        ("localhost:4110", true),
        ("127.0.0.1", true),
        ("[2001:db8::1]:4110", true),
        ("192.168.1.2", false),
        ("rebind.example", false),
        ("box.example.evil.example", false),
    ] {
        let answer = get("/health").over_tcp().naming(host).of(&app).await;
        let expected = if is_served { 200 } else { 421 };
        assert_eq!(answer.status, expected, "{host}");
    }
    let behind = |host| {
        get("/health")
            .at_address("10.0.0.1")
            .with("x-forwarded-host", host)
    };
    assert_eq!(
        behind("box.example")
            .naming("inner:1")
            .of(&app)
            .await
            .status,
        200
    );
    assert_eq!(behind("rebind.example").of(&app).await.status, 421);
    assert_eq!(behind("not a host").of(&app).await.code(), "http.bad_host");
    let stranger = get("/health")
        .over_tcp()
        .with("x-forwarded-host", "box.example");
    assert_eq!(stranger.naming("rebind.example").of(&app).await.status, 421);
}

#[tokio::test]
async fn an_origin_in_plain_text_is_foreign_over_tls() {
    let app = app_with(Limits {
        proxies: Proxies::new(["10.0.0.0/8".parse().expect("a network")]),
        ..Limits::default()
    })
    .await;
    for (origin, status) in [("https://localhost", 422), ("http://localhost", 403)] {
        let asked = open_terminal().bearing("mst_all").at_address("10.0.0.1");
        let asked = asked
            .with("x-forwarded-proto", "https")
            .with("origin", origin);
        assert_eq!(asked.of(&app).await.status, status, "{origin}");
    }
}

/// What was reached over TLS, in front of a proxy or not, has cookies that travel over TLS alone.
#[tokio::test]
async fn the_cookies_are_those_of_the_way() {
    let app = app_with(Limits {
        proxies: Proxies::new(["10.0.0.0/8".parse().expect("a network")]),
        ..Limits::default()
    })
    .await;
    for (proto, cookie, status) in [
        ("https", "__Host-mainstay", 200),
        ("https", "mainstay", 401),
        ("http", "mainstay", 200),
        ("http", "__Host-mainstay", 401),
    ] {
        let asked = get("/api/v1/status")
            .at_address("10.0.0.1")
            .with("x-forwarded-proto", proto)
            .with("cookie", &format!("{cookie}=session.owner"));
        assert_eq!(asked.of(&app).await.status, status, "{proto} {cookie}");
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let app = app().await;
    let answer = open_terminal()
        .with("content-encoding", "gzip")
        .of(&app)
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (415, "http.encoded_body")
    );
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    let plain = open_terminal()
        .with("content-encoding", "identity")
        .of(&app)
        .await;
    assert_eq!(plain.status, 422);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_or_creeps_is_given_up() {
    let app = app().await;
    let stops = futures::stream::once(async { Ok::<_, std::io::Error>("{".to_owned()) })
        .chain(futures::stream::pending());
    let creeps = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(" ".to_owned()), ()))
    });
    for body in [Body::from_stream(stops), Body::from_stream(creeps)] {
        let begun = Instant::now();
        let answer = ask(Method::POST, "/api/v1/terminals")
            .json(body)
            .of(&app)
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (408, "http.body_timeout")
        );
        assert!(
            begun.elapsed() <= Duration::from_secs(11),
            "{:?}",
            begun.elapsed()
        );
    }
    // As slow as may be, and a request's whole time.
    let steady = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(" ".repeat(5_000)), ()))
    });
    let begun = Instant::now();
    let answer = ask(Method::POST, "/api/v1/terminals").json(Body::from_stream(steady));
    let answer = answer.of(&app).await;
    assert_eq!(answer.code(), "http.body_timeout");
    assert!(
        begun.elapsed() >= Duration::from_secs(29),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn routes_that_sign_in_have_a_quota_of_their_own() {
    let is_auth = |path: &str| {
        TABLE
            .iter()
            .any(|route| route.path == path && route.is_auth)
    };
    for path in [
        "/api/v1/setup",
        "/api/v1/auth/register",
        "/api/v1/auth/login",
    ] {
        assert!(is_auth(path), "{path}");
    }
    assert!(!is_auth("/info") && !is_auth("/api/v1/me"));
}
