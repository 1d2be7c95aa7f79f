//! Completes the OpenAPI document: what every route has in common is added here, not repeated at each handler.
//!
//! A handler states what it takes, what it answers and its own errors. What follows from the table of permissions
//! (login, scopes) and from the layers around it (limits, deadlines, overload) is the same rule for all, so it is
//! applied as one; a route cannot forget to document its 401.

use http::Method;
use serde_json::{Map, Value, json};

use crate::http::caller::roles_for;
use crate::http::codes::{self, Code};
use crate::http::problem;
use crate::http::routes::{Needs, Route, TABLE};

/// The actions that one wildcard route of the router stands for.
const ACTIONS: [(&str, &str); 3] = [
    ("restart", "Restart a node"),
    ("stop", "Stop a node"),
    ("start", "Start a node"),
];

/// The complete document, and for each route of the table the media types of its successes.
pub(super) fn complete(mut document: Value) -> (Value, Vec<Vec<String>>) {
    let mut media_types = vec![Vec::new(); TABLE.len()];
    for (index, route) in TABLE.iter().enumerate() {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = document
            .pointer_mut("/paths")
            .and_then(|paths| paths.get_mut(route.path)?.get_mut(method));
        let Some(operation) = operation else { continue };
        if let Some(types) = media_types.get_mut(index) {
            *types = success_types(operation);
        }
        complete_operation(operation, route);
    }
    describe(&mut document);
    join_descriptions(&mut document);
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        spell_out(paths);
    }
    (document, media_types)
}

/// A description beside another schema comes as an `allOf` of that schema and an object that has nothing but the description, which
/// no value but an object could satisfy. Here the schema gets the description.
fn join_descriptions(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(join_descriptions),
        Value::Object(fields) => {
            fields.values_mut().for_each(join_descriptions);
            if let Some(joined) = joined(fields) {
                *value = joined;
            }
        }
        _ => {}
    }
}

fn joined(fields: &Map<String, Value>) -> Option<Value> {
    let [schema, beside] = fields.get("allOf")?.as_array()?.as_slice() else {
        return None;
    };
    let beside = beside.as_object()?;
    let mut schema = schema.as_object()?.clone();
    let is_description = beside
        .iter()
        .all(|(key, value)| key == "description" || key == "type" && value == "object");
    let description = beside.get("description").filter(|_| is_description)?;
    schema.insert("description".to_owned(), description.clone());
    Some(Value::Object(schema))
}

fn success_types(operation: &Value) -> Vec<String> {
    let responses = operation.get("responses").and_then(Value::as_object);
    let successes = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2'));
    let contents = successes.filter_map(|(_, response)| response.get("content")?.as_object());
    contents
        .flat_map(|content| content.keys().cloned())
        .collect()
}

fn complete_operation(operation: &mut Value, route: &Route) {
    let has_body = operation.get("requestBody").is_some();
    let has_query = has_parameter(operation, "query");
    let has_types = !success_types(operation).is_empty();
    let mut common: Vec<&Code> = vec![
        &codes::BAD_REQUEST,
        &codes::BAD_HOST,
        &codes::UNKNOWN_HOST,
        &codes::INTERNAL,
        &codes::DEADLINE,
    ];
    if route.needs != Needs::Nothing {
        common.push(&codes::MISSING_TOKEN);
    }
    if matches!(route.needs, Needs::OneOf(_) | Needs::Everything) {
        common.push(&codes::MISSING_SCOPE);
    }
    if route.method != Method::GET {
        common.push(&codes::FOREIGN_ORIGIN);
    }
    if route.path.contains("{id}") {
        common.push(&codes::BAD_ID);
    }
    if has_types {
        common.push(&codes::NOT_ACCEPTABLE);
    }
    if has_body {
        common.extend([
            &codes::MALFORMED_JSON,
            &codes::BAD_BODY,
            &codes::BODY_TIMEOUT,
            &codes::BODY_TOO_LARGE,
            &codes::UNSUPPORTED_MEDIA_TYPE,
            &codes::ENCODED_BODY,
        ]);
    }
    if has_body || has_query {
        common.push(&codes::INVALID);
    }
    if route.creates {
        common.extend([&codes::BAD_KEY, &codes::KEY_REUSED]);
    }
    if !route.is_probe {
        common.extend([&codes::RATE_LIMITED, &codes::OVERLOADED, &codes::DRAINING]);
    }
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    set_security(operation, route.needs);
    if route.creates {
        take_key(operation);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    for code in common {
        add_error(responses, code);
    }
    finish_responses(responses);
}

fn has_parameter(operation: &Value, place: &str) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters
        .into_iter()
        .flatten()
        .any(|parameter| parameter.get("in").and_then(Value::as_str) == Some(place))
}

fn set_security(operation: &mut Map<String, Value>, needs: Needs) {
    let (security, words) = match needs {
        Needs::Nothing => (json!([]), "nothing: open to anybody".to_owned()),
        Needs::SignedIn => (
            json!([{ "token": [] }]),
            "a token with any scopes".to_owned(),
        ),
        Needs::OneOf(scopes) => {
            let words: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            (
                json!([{ "token": [] }]),
                format!("a token without scopes, or with {}", words.join(" or ")),
            )
        }
        Needs::Unlimited => (
            json!([{ "token": [] }]),
            "a token without scopes, of any role".to_owned(),
        ),
        Needs::Everything => (
            json!([{ "token": [] }]),
            "a token without scopes, of an administrator or owner".to_owned(),
        ),
    };
    operation.insert("security".to_owned(), security);
    operation.insert("x-needs".to_owned(), Value::String(words));
    let mut roles = roles_for(needs);
    if needs == Needs::Nothing {
        roles.push("anonymous");
    }
    operation.insert("x-roles".to_owned(), json!(roles));
}

/// The header that lets a request be sent twice and happen once.
fn take_key(operation: &mut Map<String, Value>) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "Names the request: sent again within 24 hours with the same key and body, it gets the same \
                answer (with `Idempotency-Replayed: true`) and happens once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
}

/// Names a code in the description of its status.
fn add_error(responses: &mut Value, code: &Code) {
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    let named = format!("`{}`", code.code);
    let response = responses
        .entry(code.status.to_string())
        .or_insert_with(|| json!({ "description": "" }));
    let described = response
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let joined = match described {
        "" => named,
        told => format!("{told}, {named}"),
    };
    if let Some(response) = response.as_object_mut() {
        response.insert("description".to_owned(), Value::String(joined));
    }
}

/// Gives every answer a description and every error the form that all errors have, and sorts by status.
fn finish_responses(responses: &mut Value) {
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    for (status, response) in responses.iter_mut() {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        let description = response.entry("description").or_insert_with(|| json!(""));
        if description.as_str().is_none_or(str::is_empty) {
            *description = json!(words(status));
        }
        if !status.starts_with(['4', '5']) {
            continue;
        }
        let content = response.entry("content").or_insert_with(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            let schema = json!({ "schema": { "$ref": "#/components/schemas/ProblemBody" } });
            content.insert(problem::MEDIA_TYPE.to_owned(), schema);
        }
    }
    responses.sort_keys();
}

/// What a status says by itself.
fn words(status: &str) -> &'static str {
    let status = status.parse::<http::StatusCode>().ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("an answer")
}

/// The router's `{*path}` as OpenAPI writes it, and the actions of the supervisor as the three paths that they are.
fn spell_out(paths: &mut Map<String, Value>) {
    let listed = std::mem::take(paths);
    for (path, item) in listed {
        let plain = path.replace("{*", "{");
        if path.starts_with("/api/v1/supervisor/") {
            for (action, summary) in ACTIONS {
                paths.insert(
                    format!("{plain}/{action}"),
                    with_summary(item.clone(), action, summary),
                );
            }
        } else {
            paths.insert(plain, item);
        }
    }
    paths.sort_keys();
}

fn with_summary(mut item: Value, action: &str, summary: &str) -> Value {
    if let Some(Value::Object(operation)) = item.get_mut("post") {
        operation.insert("summary".to_owned(), Value::from(summary));
        operation.insert(
            "operationId".to_owned(),
            Value::String(format!("{action}_node")),
        );
    }
    item
}

/// What is true of the whole API.
fn describe(document: &mut Value) {
    document["info"] = json!({
        "title": "Mainstay",
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": { "name": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "this server" }]);
    document["tags"] = TAGS
        .iter()
        .map(|(name, text)| json!({ "name": name, "description": text }))
        .collect();
    document["components"]["securitySchemes"] = json!({ "token": {
        "type": "http", "scheme": "bearer",
        "description": "A personal access token (`mst_…`), made by `mainstay token create`. The Unix socket needs none.",
    } });
    document["x-error-codes"] = error_codes();
    let findings = codes::FINDINGS
        .iter()
        .map(|(code, meaning)| json!({ "code": code, "meaning": meaning }));
    document["x-finding-codes"] = findings.collect();
}

/// Every code that the server answers with, by name.
fn error_codes() -> Value {
    let edge = codes::EDGE
        .iter()
        .map(|code| (code.code, code.status, code.meaning));
    let mut all: Vec<_> = edge.chain(codes::of_domains().copied()).collect();
    all.sort_unstable();
    all.iter()
        .map(
            |(code, status, meaning)| json!({ "code": code, "status": status, "meaning": meaning }),
        )
        .collect()
}

const TAGS: &[(&str, &str)] = &[
    (
        "health",
        "What probes ask. Open to anybody, except the metrics.",
    ),
    (
        "status",
        "The tree of everything that runs, its history, and its changes as they happen.",
    ),
    ("supervisor", "What an operator does to a node."),
    (
        "terminals",
        "Real shells on real PTYs, with several viewers and loss-free resume.",
    ),
    (
        "drills",
        "Real faults on purpose, where configuration allows them.",
    ),
    (
        "people",
        "Who may come in: the first owner, signing in, oneself, and looking after others.",
    ),
    (
        "audit",
        "The record of what people did: read it, prove it, take it elsewhere.",
    ),
    ("tokens", "Personal access tokens, the way in over TCP."),
    (
        "auth",
        "The own account: second factors, outside issuers, a forgotten password, the address.",
    ),
    (
        "sessions",
        "Sign-ins that last: the next tokens, leaving, what is signed in where.",
    ),
    ("mail", "Outgoing mail: what waits, and what became of it."),
    ("about", "This description of the API."),
];

const DESCRIPTION: &str = "\
One daemon that supervises every part of itself: what fails is restarted, what cannot be restarted is set aside, and the \
status tells what you lose and why.

**Signing in.** Over TCP every route but `/health*` and `/info` needs `Authorization: Bearer mst_…`. The Unix socket \
`mainstay.sock` in the data directory serves the same API to its owner without one.

**Who may**: `x-needs` of an operation says what a token needs, `x-roles` whose role is enough (`anonymous` where nobody need be \
anybody); a route may ask for more in its own words. What belongs to somebody else does not exist: it is answered with 404.

**Bodies** are JSON in UTF-8 with snake_case names; times are RFC 3339 in UTC with milliseconds; ids are UUIDs. Unknown \
fields are refused. Lists answer `{items, next_cursor}` and take `limit` (1 to 200) and `cursor`.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; bad input is answered with all findings at \
once, each with its JSON pointer. `Retry-After` says when trying again makes sense.

**Rates** are limited by account, and by address until a token was verified. Every answer of a limited route tells the quota \
(`RateLimit-Policy`) and what is left of it (`RateLimit`); beyond it the answer is 429 with `Retry-After`.

**Creating** something can be asked for twice: with an `Idempotency-Key` the second request gets the first one's answer.

**Requests** may carry `X-Request-Id` and `traceparent`; every answer carries `X-Request-Id`. Each request has a deadline.";
