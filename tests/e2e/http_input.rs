//! Bad requests: each is answered with one problem document that says everything that is wrong with it.

use http::Method;
use kit::{Client, PATIENCE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{daemon, open, shell};

const TERMINALS: &str = "/api/v1/terminals";

async fn post(client: &Client, content_type: &str, body: impl Into<Vec<u8>>) -> kit::Reply {
    client
        .request(Method::POST, TERMINALS)
        .body(content_type, body)
        .send()
        .await
}

#[tokio::test]
async fn malformed_json_is_told_with_its_place() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    for body in [
        "",
        "{",
        "{\"cols\": 80,}",
        "not json",
        "{\"cols\": 80} trailing",
        "\u{feff}{}",
        "[[[[",
    ] {
        let problem = post(&operator, "application/json", body).await.problem(400);
        assert_eq!(problem["code"], "http.malformed_json", "{body:?}");
    }
    let problem = post(
        &operator,
        "application/json",
        b"{\"name\": \"\xff\xfe\"}".as_slice(),
    )
    .await
    .problem(400);
    assert_eq!(problem["code"], "http.malformed_json");
    let problem = post(&operator, "application/json", "{\n  \"cols\": ?\n}")
        .await
        .problem(400);
    assert!(
        problem["detail"].to_string().contains("line 2"),
        "{problem}"
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let status = post(&operator, "application/json", deep).await.status;
    assert!(status == 400 || status == 422, "a deep document: {status}");
    daemon.stop().await;
}

#[tokio::test]
async fn all_wrong_fields_are_told_at_once() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let wrong = json!({
        "cols": "wide", "rows": true, "shell": 7, "cwd": ["/"], "colour": "red", "env": { "A": 1 },
    });
    let mut pointers = operator.post(TERMINALS, &wrong).await.pointers(422);
    pointers.sort();
    assert_eq!(
        pointers,
        ["/colour", "/cols", "/cwd", "/env/A", "/rows", "/shell"]
    );
    let mut missing = operator.post(TERMINALS, &json!({})).await.pointers(422);
    missing.sort();
    assert_eq!(missing, ["/cols", "/rows"]);
    for not_an_object in [json!([]), json!("text"), json!(7), json!(null)] {
        operator.post(TERMINALS, &not_an_object).await.problem(422);
    }
    let misspelt = operator
        .post(
            TERMINALS,
            &json!({ "cols": 80, "rows": 24, "shel": "/bin/sh" }),
        )
        .await;
    assert!(
        misspelt.problem(422)["errors"][0]["message"]
            .to_string()
            .contains("`shell`")
    );
    daemon.stop().await;
}

#[tokio::test]
async fn sizes_and_names_are_bounded() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    for (cols, rows, wrong) in [
        (0_i64, 24_i64, vec!["/cols"]),
        (100_000, 24, vec!["/cols"]),
        (80, -1, vec!["/rows"]),
        (i64::MAX, 0, vec!["/cols", "/rows"]),
    ] {
        let mut pointers = operator
            .post(TERMINALS, &json!({ "cols": cols, "rows": rows }))
            .await
            .pointers(422);
        pointers.sort();
        assert_eq!(pointers, wrong, "{cols}x{rows}");
    }
    let id = open(&operator, &shell()).await;
    let path = format!("{TERMINALS}/{id}");
    for name in [
        json!(""),
        json!("x".repeat(101)),
        json!("a\u{1b}[2Jb"),
        json!(7),
    ] {
        let pointers = operator
            .patch(&path, &json!({ "name": name }))
            .await
            .pointers(422);
        assert_eq!(pointers, ["/name"], "{name}");
    }
    let wrong = json!({ "cols": 0, "rows": 100_000, "name": "" });
    let mut pointers = operator.patch(&path, &wrong).await.pointers(422);
    pointers.sort();
    assert_eq!(pointers, ["/cols", "/name", "/rows"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let body = format!(
        "{{\"cols\":80,\"rows\":24,\"name\":\"{}\"}}",
        "x".repeat(2 * 1024 * 1024)
    );
    let refused = post(&operator, "application/json", body).await;
    assert_eq!(refused.problem(413)["code"], "http.body_too_large");

    // Without a declared length it is read to the limit and no further.
    let token = daemon.operator_token().await;
    let mut stream = TcpStream::connect(daemon.address())
        .await
        .expect("connects");
    let head = format!(
        "POST {TERMINALS} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        daemon.address()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..64 {
        // The daemon may hang up while we are still sending: that is the point.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 12];
    if stream.read_exact(&mut answer).await.is_ok() {
        assert_eq!(answer, b"HTTP/1.1 413");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn unknown_routes_methods_and_types_are_told_apart() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    for path in ["/no/such", "/api/v1/terminal", "/api/v2/terminals", "/%ff"] {
        operator.get(path).await.problem(404);
    }
    let refused = operator
        .request(Method::PUT, TERMINALS)
        .json(&shell())
        .send()
        .await;
    assert_eq!(refused.problem(405)["code"], "http.method_not_allowed");
    let allowed = refused
        .header("allow")
        .expect("says what is allowed")
        .to_owned();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
    ] {
        let refused = post(&operator, content_type, shell().to_string()).await;
        assert_eq!(refused.problem(415)["code"], "http.unsupported_media_type");
    }
    operator
        .request(Method::POST, TERMINALS)
        .send()
        .await
        .problem(415);
    let unacceptable = operator
        .request(Method::GET, TERMINALS)
        .header("accept", "text/csv");
    assert_eq!(
        unacceptable.send().await.problem(406)["code"],
        "http.not_acceptable"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn ids_and_queries_are_checked() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    for id in ["x", "0", "00000000-0000-0000-0000-00000000000g"] {
        assert_eq!(
            operator
                .get(&format!("{TERMINALS}/{id}"))
                .await
                .problem(404)["code"],
            "http.bad_id"
        );
    }
    let unknown = format!("{TERMINALS}/0198c2a4-8f3e-7c1d-b6a5-0f2e4d6c8b1a");
    assert_eq!(
        operator.get(&unknown).await.problem(404)["code"],
        "ptys.not_found"
    );
    operator.delete(&unknown).await.problem(404);
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=%00",
        "colour=red",
        "limit=1&limit=2",
    ] {
        let refused = operator.get(&format!("{TERMINALS}?{query}")).await;
        refused.problem(422);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn lists_have_pages() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(
            open(
                &operator,
                &json!({ "shell": "/bin/sh", "cols": 80, "rows": 24 }),
            )
            .await,
        );
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = operator
            .get(&format!("{TERMINALS}?limit=2{cursor}"))
            .await
            .expect(200)
            .json();
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= 2);
        seen.extend(
            items
                .iter()
                .filter_map(|item| item["id"].as_str().map(str::to_owned)),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let named = operator
        .request(Method::GET, "/no/such")
        .header("x-request-id", "story-42")
        .send()
        .await;
    assert_eq!(named.problem(404)["request_id"], "story-42");
    let unnamed = operator.get("/api/v1/status").await.expect(200);
    assert!(
        unnamed
            .header("x-request-id")
            .is_some_and(|id| id.len() >= 16)
    );
    let long = "x".repeat(5000);
    let replaced = operator
        .request(Method::GET, "/no/such")
        .header("x-request-id", &long)
        .send()
        .await;
    assert_ne!(replaced.problem(404)["request_id"], long.as_str());
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_hung_up_on() {
    let daemon = daemon().start().await;
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ];
    for bytes in garbage {
        let answer = exchange(&daemon, bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    let mut long = b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-long: ".to_vec();
    long.extend(vec![b'x'; 1024 * 1024]);
    long.extend(b"\r\n\r\n");
    let answer = exchange(&daemon, &long).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
        "a head of 1 MiB"
    );
    daemon.anonymous().get("/health").await.expect(200);
    daemon.stop().await;
}

/// Where a proxy in front and the daemon see different ends of a request, a second one hides in the first.
#[tokio::test]
async fn no_request_hides_in_another() {
    let daemon = daemon().start().await;
    let hidden = format!("GET /info HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.address());
    let chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let asked = |headers: &str, body: &str| {
        let address = daemon.address();
        format!("POST {TERMINALS} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n{body}")
    };
    // The chunks tell the end, whatever else claims to: by the length, what follows the first four bytes were a second request.
    for headers in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let answer = exchange(&daemon, asked(headers, &chunk).as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "{headers}: {answer}"
        );
        assert!(!answer.contains("HTTP/1.1 200"), "{headers}: {answer}");
    }
    // Two ends, or one that cannot be read, are none.
    for headers in [
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: 4, 5\r\n",
        "content-length: +4\r\n",
        "content-length: 0x4\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding : chunked\r\n",
    ] {
        let answer = exchange(&daemon, asked(headers, &chunk).as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{headers}: {answer}"
        );
    }
    daemon.stop().await;
}

async fn exchange(daemon: &kit::Daemon, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(daemon.address())
        .await
        .expect("connects");
    let mut answer = Vec::new();
    // Either side may be cut off at any byte.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    drop(
        kit::within(
            PATIENCE,
            "the daemon hangs up",
            stream.read_to_end(&mut answer),
        )
        .await,
    );
    answer
}

#[tokio::test]
async fn the_description_of_the_api_is_complete_and_offline() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let document = operator.get("/api/openapi.json").await.expect(200).json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/health",
        "/info",
        "/metrics",
        "/api/v1/status",
        TERMINALS,
        "/api/v1/tokens",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let told = operation["responses"]
                .as_object()
                .is_some_and(|answers| !answers.is_empty());
            assert!(told && operation["summary"].is_string(), "{method} {path}");
        }
    }
    let page = operator
        .request(Method::GET, "/api/docs")
        .header("accept", "text/html")
        .send()
        .await
        .expect(200);
    let text = page.text();
    for outside in ["src=\"http", "src=\"//", "href=\"https://cdn", "@import"] {
        assert!(
            !text.contains(outside),
            "the page loads from outside: {outside}"
        );
    }
    let policy = page
        .header("content-security-policy")
        .unwrap_or_default()
        .to_owned();
    assert!(policy.contains("default-src"), "a policy: {policy:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_deleted_terminal_is_not_found() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let id = open(&operator, &shell()).await;
    let path = format!("{TERMINALS}/{id}");
    let deleted = operator.delete(&path).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    let answer: Value = operator.get(&path).await.problem(404);
    assert_eq!(answer["code"], "ptys.not_found");
    operator.delete(&path).await.problem(404);
    daemon.stop().await;
}
