//! One table of bad input, sent to every route that the API's description has: each is answered at once with a clean 4xx, or does
//! no harm; none is a 5xx, and none hangs.

use kit::{Daemon, PATIENCE, SharedDatabase, on_both_databases, within};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::daemon;

on_both_databases![bad_paths_and_queries, bad_headers, bad_bodies];

/// What stands in a path or a query and should not.
const PIECES: [&str; 12] = [
    "%00",
    "a%00b",
    "%C0%AF",
    "%E0%80%80",
    "%ff",
    "%",
    "%zz",
    "..%2f..%2fetc",
    "%F0%9F%92%A5",
    "99999999999999999999999999",
    "-1",
    "1e999",
];

/// One operation of the description.
struct Operation {
    method: String,
    path: String,
    /// The schema of its body, resolved.
    body: Option<Value>,
}

struct Target {
    daemon: Daemon,
    token: String,
    operations: Vec<Operation>,
}

/// The answer to raw bytes: its status, and its code when it is a problem.
#[derive(Debug)]
struct Raw {
    status: u16,
    code: Option<String>,
}

impl Target {
    async fn start(database: &SharedDatabase) -> Self {
        let daemon = daemon()
            .config("[limits]\nenabled = false\n")
            .database(database)
            .start()
            .await;
        let token = daemon.operator_token().await;
        let document = daemon.operator().await;
        let document = document.get("/api/openapi.json").await.expect(200).json();
        let operations = operations(&document);
        assert!(operations.len() > 20, "{}", operations.len());
        Self {
            daemon,
            token,
            operations,
        }
    }

    /// Sends a request as it is and reads the head of the answer, and the body of a problem.
    async fn send(&self, method: &str, target: &str, headers: &[u8], body: &[u8]) -> Raw {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
        request.extend(format!("authorization: Bearer {}\r\n", self.token).as_bytes());
        request.extend(headers);
        if !body.is_empty() {
            request.extend(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        request.extend(b"connection: close\r\n\r\n");
        request.extend(body);
        let place = format!("{method} {target} {:?}", String::from_utf8_lossy(headers));
        within(PATIENCE, &place, exchange(&self.daemon, &request)).await
    }
}

async fn exchange(daemon: &Daemon, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(daemon.address())
        .await
        .expect("connects");
    // The daemon may have answered before it has read all.
    drop(stream.write_all(request).await);
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        answer.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let head = text.split_once("\r\n\r\n");
        let is_problem = |head: &str| head.contains("application/problem+json");
        // A stream of events has no end.
        if read == 0 || head.is_some_and(|(head, _)| !is_problem(head)) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: Option<Value> = serde_json::from_str(body).ok();
    Raw {
        status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
        code: problem.and_then(|problem| problem["code"].as_str().map(str::to_owned)),
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let name = schema["$ref"]
                .as_str()
                .and_then(|name| name.strip_prefix('#'));
            let schema = name.map_or(schema, |name| document.pointer(name).expect("a schema"));
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                body: schema.is_object().then(|| schema.clone()),
            });
        }
    }
    operations
}

/// The path with `piece` in the place of every parameter.
fn filled(path: &str, piece: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { piece } else { part });
    parts.collect::<Vec<_>>().join("/")
}

const NOBODYS_ID: &str = "0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f";

/// The route is about the account of a user, and the one who asks here is none.
fn is_about_a_user(answer: &Raw) -> bool {
    answer.status == 403 && answer.code.as_deref() == Some("http.not_a_user")
}

async fn bad_paths_and_queries(database: SharedDatabase) {
    let target = Target::start(&database).await;
    let long = "x".repeat(6_000);
    for operation in &target.operations {
        let (method, path) = (&operation.method, &operation.path);
        for piece in PIECES.into_iter().chain([long.as_str()]) {
            if path.contains('{') {
                let path = filled(path, piece);
                let answer = target.send(method, &path, b"", b"").await;
                if path.ends_with("/callback") {
                    // A browser stands here, sent by an issuer: it is sent on, to a page that tells what is wrong.
                    let is_told = answer.status == 303 || answer.code.is_some();
                    assert!(
                        is_told && answer.status < 500,
                        "{method} {path}: {answer:?}"
                    );
                    continue;
                }
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {path}: {answer:?}"
                );
                assert!(answer.code.is_some(), "{method} {path}: {answer:?}");
            }
            // A route that takes no such parameter ignores it, or says so.
            if method == "GET" {
                for name in ["limit", "cursor", "since", "depth", piece] {
                    let path = format!("{}?{name}={piece}", filled(path, NOBODYS_ID));
                    let answer = target.send(method, &path, b"", b"").await;
                    assert!(answer.status < 500, "{method} {path}: {answer:?}");
                    assert!(
                        answer.status < 400 || answer.code.is_some(),
                        "{path}: {answer:?}"
                    );
                }
            }
        }
    }
    target.daemon.stop().await;
}

async fn bad_headers(database: SharedDatabase) {
    let target = Target::start(&database).await;
    let odd: [&[u8]; 9] = [
        b"x-request-id: \xff\xfe\r\n",
        b"x-request-id: \xc0\xaf\r\n",
        b"traceparent: 00-zz\r\n",
        b"accept: \xff\r\n",
        b"last-event-id: 99999999999999999999999999\r\n",
        b"origin: \xff\r\n",
        b"if-match: \"\xc0\x80\"\r\n",
        b"idempotency-key: \xc0\xaf\r\n",
        b"x-forwarded-for: %00, ,,;\r\n",
    ];
    let broken: [&[u8]; 4] = [
        b"x-nul: a\0b\r\n",
        b"host: localhost\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\ntransfer-encoding: x\r\n",
        b"bad name: x\r\n",
    ];
    for operation in &target.operations {
        let (method, path) = (&operation.method, filled(&operation.path, NOBODYS_ID));
        for header in odd {
            let answer = target.send(method, &path, header, b"").await;
            assert!(
                answer.status < 500,
                "{method} {path} {header:?}: {answer:?}"
            );
        }
        for header in broken {
            let answer = target.send(method, &path, header, b"").await;
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path} {header:?}: {answer:?}"
            );
        }
    }
    target.daemon.stop().await;
}

/// A body that could be right, for a schema of an object.
fn plausible(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| required.contains(&name.as_str()));
    let value = |field: &Value| match kind(field) {
        "integer" => json!(24),
        "boolean" => json!(true),
        _ => json!("x"),
    };
    fields
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

fn kind(field: &Value) -> &str {
    match &field["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or_default(),
        _ => "",
    }
}

/// Bodies for this schema, none of which is right.
fn bad_bodies_of(schema: &Value) -> Vec<Vec<u8>> {
    let good = plausible(schema);
    let mut bodies: Vec<Vec<u8>> = [
        &b"\0"[..],
        b"{\0}",
        b"{\"name\":\"\0\"}",
        b"{\"name\":\"\xc0\xaf\"}",
        b"\xff\xfe{\0}\0",
        b"{\"name\":\"\\ud800\"}",
        b"{\"a\":1e999}",
        b"nul",
        b"[]",
        b"7",
        b"null",
        b"\"text\"",
        b"{\"\":0}",
        b"{\"\\u0000\":0}",
    ]
    .map(<[u8]>::to_vec)
    .into();
    let nested =
        |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    bodies.push(nested("[", "]").into_bytes());
    bodies.push(format!("{}0{}", "{\"a\":".repeat(50_000), "}".repeat(50_000)).into_bytes());
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let bad: &[&str] = match kind(field) {
            "integer" => &[
                "1e400",
                "-1",
                "1.5",
                "123456789012345678901234567890",
                "\"7\"",
                "true",
            ],
            "string" => &["\"\\u0000\"", "\"a\\u0000b\"", "7", "[]", "{}"],
            _ => &["\"text\"", "7"],
        };
        for value in bad {
            let mut whole = good.clone();
            whole.remove(name);
            let rest = serde_json::to_string(&whole).expect("JSON");
            let rest = rest.trim_start_matches('{');
            let comma = if whole.is_empty() { "" } else { "," };
            let with = format!("{{\"{name}\":{value}{comma}{rest}");
            bodies.push(with.into_bytes());
        }
        // The same field twice: which one counts would be a guess.
        let value =
            json!({ name.as_str(): good.get(name).cloned().unwrap_or(json!("x")) }).to_string();
        let twice = value.trim_matches(['{', '}']).to_owned();
        bodies.push(format!("{{{twice},{twice}}}").into_bytes());
    }
    bodies
}

async fn bad_bodies(database: SharedDatabase) {
    let target = Target::start(&database).await;
    let mut with_body = 0;
    for operation in &target.operations {
        let (method, path) = (&operation.method, filled(&operation.path, NOBODYS_ID));
        let Some(schema) = &operation.body else {
            continue;
        };
        with_body += 1;
        for body in bad_bodies_of(schema) {
            let json = b"content-type: application/json\r\nif-match: *\r\n";
            let answer = target.send(method, &path, json, &body).await;
            let shown = String::from_utf8_lossy(&body)
                .chars()
                .take(200)
                .collect::<String>();
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path} {shown}: {answer:?}"
            );
            assert!(answer.code.is_some(), "{method} {path} {shown}: {answer:?}");
        }
        let good = serde_json::to_vec(&plausible(schema)).expect("JSON");
        for kind in [
            "text/plain",
            "application/xml",
            "multipart/form-data",
            "json",
            "\u{1}",
            "",
        ] {
            let header = format!("content-type: {kind}\r\nif-match: *\r\n");
            let answer = target.send(method, &path, header.as_bytes(), &good).await;
            let is_refused = answer.status == 415
                || kind == "\u{1}" && answer.status == 400
                || is_about_a_user(&answer);
            assert!(is_refused, "{method} {path} {kind:?}: {answer:?}");
        }
        let packed = b"content-type: application/json\r\ncontent-encoding: gzip\r\nif-match: *\r\n";
        let answer = target.send(method, &path, packed, &good).await;
        let is_refused = answer.code.as_deref() == Some("http.encoded_body");
        assert!(
            is_refused || is_about_a_user(&answer),
            "{method} {path}: {answer:?}"
        );
    }
    assert!(with_body >= 3, "{with_body}");
    target.daemon.stop().await;
}
