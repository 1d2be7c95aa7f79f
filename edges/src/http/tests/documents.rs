//! The OpenAPI document is complete, current and true; the pages are whole and load nothing.

use super::*;
use crate::http::documents;
use crate::http::routes::{Needs, TABLE};

/// The committed copy, for clients that are generated without building the daemon.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn document() -> Value {
    serde_json::from_slice(&documents().json()).expect("JSON")
}

#[test]
fn the_committed_document_is_current() {
    let current = String::from_utf8(documents().json().to_vec()).expect("UTF-8");
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    if committed != current
        && std::env::vars().any(|(name, value)| name == "MAINSTAY_BLESS" && value == "1")
    {
        return std::fs::write(COMMITTED, current).expect("writes");
    }
    assert!(
        committed == current,
        "openapi.json is not current: run the tests once with MAINSTAY_BLESS=1"
    );
}

#[test]
fn every_operation_has_its_errors_in_the_one_form() {
    let document = document();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let place = format!("{method} {path}");
            assert!(
                operation["summary"].is_string() && operation["operationId"].is_string(),
                "{place}"
            );
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "421", "500", "504"] {
                assert!(responses.contains_key(status), "{place} lacks {status}");
            }
            let is_open = operation["security"] == serde_json::json!([]);
            let may_be_401 = responses.contains_key("401");
            assert!(is_open || may_be_401, "{place}");
            // Those of `auth` ask for credentials of their own.
            let asks_itself = path.starts_with("/api/v1/auth/");
            assert!(!is_open || !may_be_401 || asks_itself, "{place}");
            assert_eq!(
                operation.get("requestBody").is_some(),
                responses.contains_key("415"),
                "{place}"
            );
            for (status, response) in responses
                .iter()
                .filter(|(status, _)| status.starts_with(['4', '5']))
            {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(
                    schema, "#/components/schemas/ProblemBody",
                    "{place} {status}"
                );
            }
        }
    }
    let open = TABLE
        .iter()
        .filter(|route| route.needs == Needs::Nothing)
        .count();
    assert_eq!(open, 18);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_schema_asks_for_a_word_that_is_an_object() {
    let text = String::from_utf8(documents().json().to_vec()).expect("UTF-8");
    assert!(!text.contains("\"allOf\""));
    let level = "/components/schemas/NodeStatus/properties/level";
    let level = document().pointer(level).cloned().expect("it is described");
    assert_eq!(
        (&level["type"], &level["description"]),
        (&Value::from("string"), &Value::from("How well it serves."))
    );
}

#[test]
fn every_code_that_a_route_names_is_described() {
    let document = document();
    let described: Vec<&str> = document["x-error-codes"]
        .as_array()
        .expect("codes")
        .iter()
        .filter_map(|entry| entry["code"].as_str())
        .collect();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            for response in operation["responses"]
                .as_object()
                .expect("responses")
                .values()
            {
                let words = response["description"].as_str().expect("a description");
                let named = words
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|word| word.contains('.'));
                named
                    .for_each(|code| assert!(described.contains(&code), "{code} is not described"));
            }
        }
    }
}

#[tokio::test]
async fn the_pages_are_whole_and_load_nothing() {
    let app = app().await;
    let page = get("/api/docs").of(&app).await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("default-src 'none'"))
    );
    for code in codes::EDGE
        .iter()
        .map(|code| code.code)
        .chain(codes::of_domains().map(|(code, ..)| *code))
    {
        assert!(
            page.text.contains(&format!("<tr id=\"{code}\">")),
            "{code} has no place on the page"
        );
    }
    for route in TABLE.iter() {
        let path = route.path.replace("{*", "{");
        assert!(
            page.text.contains(&format!("<code>{path}")),
            "{path} is not on the page"
        );
    }
    let landing = get("/").of(&app).await;
    for html in [&page.text, &landing.text] {
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        for loader in [
            "<script", "<link", "<img", "<iframe", "url(", "@import", " src=", "http://",
            "https://",
        ] {
            assert!(!html.contains(loader), "the page holds {loader}");
        }
    }
    for link in page
        .text
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            page.text.contains(&format!("id=\"{link}\"")),
            "#{link} leads nowhere"
        );
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_document_says() {
    let app = app().await;
    let sent: Value = get("/api/openapi.json").of(&app).await.json();
    assert_eq!(sent, document());
}
