//! Bad input is told whole: every finding, each with its pointer, and nothing from outside makes the reader fail.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::body::parse;
use super::check::{Findings, Pointer};
use super::query;
use super::read::read;
use super::{Rules, check};
use crate::http::problem::Problem;

#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    #[schema(minimum = 1, maximum = 1000)]
    cols: u32,
    #[schema(min_length = 1, max_length = 8)]
    name: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(max_items = 3)]
    lines: Vec<Line>,
    colour: Option<Colour>,
    #[schema(format = "uuid")]
    id: Option<String>,
    #[schema(format = DateTime)]
    at: Option<String>,
    ratio: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    is_bold: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    DarkBlue,
}

#[derive(Debug, PartialEq, Deserialize, IntoParams)]
struct Asked {
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    #[param(max_length = 5)]
    path: Option<String>,
    all: Option<bool>,
}

/// Pointer and code of each finding, in order.
fn findings_of(problem: &Problem) -> Vec<(String, String)> {
    problem
        .findings()
        .iter()
        .map(|finding| (finding.pointer.clone(), finding.code.clone()))
        .collect()
}

fn refused(body: &Value) -> Vec<(String, String)> {
    findings_of(&parse::<Order>(body.to_string().as_bytes()).expect_err("bad input"))
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned()))
        .collect()
}

#[test]
fn right_input_is_taken() {
    let least: Order = parse(br#"{"cols": 80}"#).expect("the least");
    assert_eq!((least.cols, least.lines.len()), (80, 0));
    let nulls = parse::<Order>(br#"{"cols": 1, "name": null, "colour": null, "id": null}"#);
    assert!(nulls.is_ok(), "{nulls:?}");
    let full = json!({
        "cols": 1000, "name": "äöüäöüäö", "env": {"A": "b"}, "colour": "dark_blue", "ratio": 1,
        "lines": [{"text": "x", "is_bold": true}], "id": "0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f",
        "at": "2030-01-31T12:00:00+02:00"
    });
    let read: Order = parse(full.to_string().as_bytes()).expect("everything");
    assert_eq!(read.colour, Some(Colour::DarkBlue));
}

#[test]
fn all_findings_come_at_once() {
    let body = json!({
        "cols": "eighty", "name": "", "env": {"A": 1, "B": "b", "C": null}, "colour": "green",
        "lines": [{"text": 7}, {"text": "x", "is_bold": true, "is_blod": 1}, "no"],
        "id": "zzz", "at": "yesterday", "ratio": true, "clos": 80
    });
    let mut found = refused(&body);
    found.sort();
    assert_eq!(
        found,
        pairs(&[
            ("/at", "bad_format"),
            ("/clos", "unknown_field"),
            ("/colour", "not_one_of"),
            ("/cols", "wrong_type"),
            ("/env/A", "wrong_type"),
            ("/env/C", "wrong_type"),
            ("/id", "bad_format"),
            ("/lines/0/is_bold", "missing"),
            ("/lines/0/text", "wrong_type"),
            ("/lines/1/is_blod", "unknown_field"),
            ("/lines/2", "wrong_type"),
            ("/name", "too_short"),
            ("/ratio", "wrong_type"),
        ])
    );
}

#[test]
fn bounds_are_checked_on_both_sides() {
    for (cols, code) in [
        (json!(0), "too_small"),
        (json!(-1), "too_small"),
        (json!(100_000), "too_large"),
    ] {
        assert_eq!(refused(&json!({ "cols": cols })), pairs(&[("/cols", code)]));
    }
    for cols in [
        json!(80.5),
        json!(null),
        json!([80]),
        json!({}),
        json!(true),
        json!("80"),
    ] {
        assert_eq!(
            refused(&json!({ "cols": cols })),
            pairs(&[("/cols", "wrong_type")])
        );
    }
    assert_eq!(
        refused(&json!({ "cols": 1e30 })),
        pairs(&[("/cols", "wrong_type")])
    );
    assert_eq!(
        refused(&json!({"cols": 1, "name": "123456789"})),
        pairs(&[("/name", "too_long")])
    );
    let lines = vec![json!({"text": "", "is_bold": false}); 4];
    assert_eq!(
        refused(&json!({"cols": 1, "lines": lines})),
        pairs(&[("/lines", "too_long")])
    );
}

#[test]
fn other_values_than_objects_are_refused() {
    for body in ["null", "1", "[]", "\"x\"", "true"] {
        let problem = parse::<Order>(body.as_bytes()).expect_err(body);
        assert_eq!(
            findings_of(&problem),
            pairs(&[("", "wrong_type")]),
            "{body}"
        );
    }
}

#[test]
fn names_that_were_meant_are_told() {
    let problem =
        parse::<Order>(br#"{"cols": 1, "nmae": "x", "zzzzzzzz": 1}"#).expect_err("unknown names");
    let messages: Vec<&str> = problem
        .findings()
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(
        messages.first(),
        Some(&"there is no such field; did you mean `name`?")
    );
    assert!(
        messages
            .get(1)
            .is_some_and(|message| message.contains("known are at, colour, cols")),
        "{messages:?}"
    );
}

#[test]
fn repeated_keys_are_found_at_any_depth() {
    let body = br#"{"cols": 1, "cols": 2, "env": {"A": "x", "A": "x"}, "lines": [{"text": "a", "is_bold": true, "text": "b"}]}"#;
    let problem = parse::<Order>(body).expect_err("repeated keys");
    assert_eq!(
        findings_of(&problem),
        pairs(&[
            ("/cols", "duplicate"),
            ("/env/A", "duplicate"),
            ("/lines/0/text", "duplicate")
        ])
    );
}

#[test]
fn broken_json_is_told_with_its_place() {
    for (body, place) in [
        ("", "the body is empty"),
        ("{", "line 1, column 1"),
        ("{\n  \"cols\": 80,\n}", "line 3, column 1"),
        ("{\"cols\": 80} x", "line 1, column 14"),
        ("{\"cols\": 0x50}", "line 1, column 11"),
        ("{\"cols\": NaN}", "line 1"),
        ("\u{feff}{}", "line 1"),
    ] {
        let problem = parse::<Order>(body.as_bytes()).expect_err(body);
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (400, "http.malformed_json"),
            "{body}"
        );
        assert!(
            problem.detail().contains(place),
            "{body}: {}",
            problem.detail()
        );
    }
    assert_eq!(
        parse::<Order>(b"{\"cols\": \"\xff\"}")
            .expect_err("no UTF-8")
            .status()
            .as_u16(),
        400
    );
    let deep = "[".repeat(100_000);
    assert_eq!(
        parse::<Order>(deep.as_bytes())
            .expect_err("too deep")
            .status()
            .as_u16(),
        400
    );
}

#[test]
fn the_answer_to_bad_input_stays_small() {
    let many: BTreeMap<String, u32> = (0..10_000)
        .map(|number| (format!("field_{number}"), 1))
        .collect();
    let problem = parse::<Order>(json!(many).to_string().as_bytes()).expect_err("unknown names");
    assert_eq!(problem.findings().len(), 65);
    assert_eq!(
        problem
            .findings()
            .last()
            .map(|finding| finding.code.as_str()),
        Some("too_many_findings")
    );
    let long = json!({"cols": 1, "x".repeat(100_000): 1});
    let problem = parse::<Order>(long.to_string().as_bytes()).expect_err("a long name");
    assert!(
        problem
            .findings()
            .iter()
            .all(|finding| finding.pointer.len() < 100)
    );
}

#[test]
fn pointers_escape_what_rfc_6901_escapes() {
    let (odd, root) = ("a/b~c", Pointer::Root);
    assert_eq!(
        Pointer::Index(&Pointer::Key(&root, odd), 3).text(),
        "/a~1b~0c/3"
    );
}

#[test]
fn queries_are_held_to_the_same_rules() {
    let read: Asked = query::parse("limit=20&path=%2Fa+b&all=true").expect("right");
    assert_eq!(
        read,
        Asked {
            limit: Some(20),
            path: Some("/a b".to_owned()),
            all: Some(true)
        }
    );
    assert!(query::parse::<Asked>("").is_ok());
    assert!(query::parse::<Asked>("&&").is_ok());
    let problem =
        query::parse::<Asked>("limit=many&path=too+long&all=1&limt=3&all=2").expect_err("bad");
    let mut found = findings_of(&problem);
    found.sort();
    assert_eq!(
        found,
        pairs(&[
            ("/all", "duplicate"),
            ("/all", "wrong_type"),
            ("/limit", "wrong_type"),
            ("/limt", "unknown_field"),
            ("/path", "too_long"),
        ])
    );
    for (text, code) in [
        ("limit=0", "too_small"),
        ("limit=201", "too_large"),
        ("limit=1.5", "wrong_type"),
        ("limit=", "wrong_type"),
    ] {
        let problem = query::parse::<Asked>(text).expect_err(text);
        assert_eq!(findings_of(&problem), pairs(&[("/limit", code)]), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec![
                "cols", "name", "env", "lines", "colour", "id", "at", "ratio", "text", "is_bold"
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..8).prop_map(|fields| json!(fields)),
        ]
    })
}

fn some_order() -> impl Strategy<Value = Order> {
    let line = (".{0,5}", any::<bool>()).prop_map(|(text, is_bold)| Line { text, is_bold });
    let colour = prop_oneof![Just(Colour::Red), Just(Colour::DarkBlue)];
    (
        1u32..=1000,
        prop::option::of("[a-zé]{1,8}"),
        prop::collection::btree_map(".{0,4}", ".{0,4}", 0..3),
        prop::collection::vec(line, 0..=3),
        prop::option::of(colour),
        prop::option::of((-4000i32..4000).prop_map(|quarters| f64::from(quarters) / 4.0)),
    )
        .prop_map(|(cols, name, env, lines, colour, ratio)| Order {
            cols,
            name,
            env,
            lines,
            colour,
            id: None,
            at: None,
            ratio,
        })
}

proptest! {
    /// The check and serde agree on right input.
    #[test]
    fn what_is_right_passes(order in some_order()) {
        let text = serde_json::to_vec(&order).expect("serialises");
        prop_assert_eq!(parse::<Order>(&text).expect("right"), order);
    }

    /// Whatever the check lets through, serde takes too: the schema says all that the type asks.
    #[test]
    fn the_check_is_not_laxer_than_the_type(value in any_json()) {
        let mut findings = Findings::default();
        check(&value, &Rules::of::<Order>(), Pointer::Root, &mut findings);
        let taken = serde_json::from_value::<Order>(value.clone());
        prop_assert!(!findings.is_empty() || taken.is_ok(), "{value} {taken:?}");
    }

    /// Every pointer leads to the value it complains about, or to where a missing one should be.
    #[test]
    fn pointers_lead_somewhere(value in any_json()) {
        let mut findings = Findings::default();
        check(&value, &Rules::of::<Order>(), Pointer::Root, &mut findings);
        for finding in findings.into_vec() {
            let parent = finding.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let place = if finding.code == "missing" { parent } else { &finding.pointer };
            prop_assert!(value.pointer(place).is_some(), "{} in {value}", finding.pointer);
        }
    }

    #[test]
    fn reading_gives_what_serde_json_gives(value in any_json()) {
        let text = value.to_string();
        let (read, findings) = read(text.as_bytes()).expect("its own text");
        prop_assert!(findings.is_empty());
        prop_assert_eq!(read, serde_json::from_str::<Value>(&text).expect("its own text"));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, query in ".{0,60}") {
        let _refused = parse::<Order>(&bytes);
        let _refused = query::parse::<Asked>(&query);
    }
}
