//! Every look as a snapshot: wide, narrow, without colours, in a pipe.

use ground::Micros;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    document::{Event, Node, read},
    screen::Style,
    text,
};
use super::{event, explain, explain::Subject, table, tree};

/// The moment at which all is looked at; the documents below tell times before it.
fn now() -> Micros {
    "2026-01-31T12:00:00.000Z".parse().unwrap()
}

fn style(width: usize) -> Style {
    Style {
        colour: false,
        unicode: true,
        width: Some(width),
    }
}

fn actor(path: &str, level: &str, state: &str, more: Value) -> Value {
    let mut node = json!({
        "path": path, "kind": "actor", "state": state, "level": level, "since": "2026-01-31T10:58:00.000Z",
        "cause": null, "impact": null, "fallback": null,
        "restarts": {"count": 0, "in_window": 0, "budget": 5, "last_at": null, "last_reason": null},
        "mailbox": {"depth": 0, "limit": 256}, "latency_ms": {"p50": 0.02, "p99": 0.4}, "detail": {}, "children": []
    });
    if let (Value::Object(node), Value::Object(more)) = (&mut node, more) {
        node.extend(more);
    }
    node
}

fn cause(path: &str, chain: &[&str]) -> Value {
    json!({"path": path, "code": "store.unreachable", "message": "unable to open database file", "since": "2026-01-31T11:56:40.000Z", "chain": chain})
}

fn terminals(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| {
            actor(
                &format!("/ptys/terminals/t{index:03}"),
                "NORMAL",
                "running",
                json!({}),
            )
        })
        .collect()
}

/// A system with its database gone, a quarantined actor and many terminals.
fn unwell() -> Node {
    let store = cause("/store/writer", &["/store/writer", "/store"]);
    read(json!({
        "path": "/", "kind": "root", "state": "running", "level": "CRITICAL", "since": "2026-01-31T11:56:40.000Z",
        "cause": cause("/store/writer", &["/store/writer", "/store", "/"]), "impact": "nothing can be saved", "fallback": null,
        "restarts": {"count": 0, "in_window": 0, "budget": 0}, "mailbox": null, "latency_ms": null, "detail": {},
        "children": [
            actor("/store", "OFFLINE", "running", json!({"kind": "domain", "cause": store, "impact": "nothing can be saved or looked up; what is open goes on",
                "children": [
                    actor("/store/writer", "OFFLINE", "quarantined", json!({
                        "cause": cause("/store/writer", &["/store/writer"]),
                        "restarts": {"count": 12, "in_window": 5, "budget": 5, "last_at": "2026-01-31T11:59:48.000Z", "last_reason": "start failed: unable to open database file"},
                        "detail": {"next": "2026-01-31T12:00:18.400Z", "wal_bytes": 4096}})),
                    actor("/store/readers", "NORMAL", "running", json!({"latency_ms": {"p50": 1.2, "p99": 14.0}})),
                ]})),
            actor("/accounts", "OFFLINE", "waiting", json!({"kind": "domain", "mailbox": null, "latency_ms": null,
                "cause": cause("/store/writer", &["/store/writer", "/store", "/accounts"]), "impact": "nobody can sign in", "fallback": "who is signed in stays so for 15 minutes"})),
            actor("/ptys", "DEGRADED", "running", json!({"kind": "domain", "impact": "new terminals are not remembered over a restart",
                "cause": cause("/store/writer", &["/store/writer", "/store", "/ptys"]), "fallback": "open terminals go on",
                "children": [
                    actor("/ptys/manager", "NORMAL", "running", json!({"mailbox": {"depth": 12, "limit": 1024}, "latency_ms": {"p50": 0.0, "p99": 0.004}})),
                    actor("/ptys/terminals", "NORMAL", "running", json!({"kind": "group", "mailbox": null, "latency_ms": null, "children": terminals(40)})),
                ]})),
            actor("/later", "NORMAL", "disabled", json!({"kind": "domain", "mailbox": null, "latency_ms": null, "since": null})),
        ]
    }))
    .unwrap()
}

fn well() -> Node {
    read(json!({
        "path": "/", "kind": "root", "state": "running", "level": "NORMAL", "since": "2026-01-28T09:00:00.000Z",
        "children": [actor("/store", "NORMAL", "running", json!({"kind": "domain"})), actor("/ptys", "NORMAL", "running", json!({"kind": "domain"}))]
    }))
    .unwrap()
}

#[test]
fn tree_on_a_wide_terminal() {
    insta::assert_snapshot!(tree::draw(&unwell(), now(), &style(110)));
}

#[test]
fn tree_on_narrow_terminals() {
    insta::assert_snapshot!(tree::draw(&unwell(), now(), &style(60)));
    insta::assert_snapshot!(tree::draw(&unwell(), now(), &style(36)));
}

#[test]
fn tree_with_colours() {
    let colours = Style {
        colour: true,
        ..style(80)
    };
    insta::assert_snapshot!(tree::draw(&unwell(), now(), &colours).replace('\u{1b}', "ESC"));
}

#[test]
fn tree_in_a_pipe() {
    let text = tree::draw(&unwell(), now(), &Style::PLAIN);
    assert!(text.is_ascii());
    assert!(text.contains("t039"), "a pipe gets every row");
    insta::assert_snapshot!(
        text.lines()
            .filter(|line| !line.contains(" t0"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn tree_of_a_system_that_is_well() {
    insta::assert_snapshot!(tree::draw(&well(), now(), &style(80)));
}

#[test]
fn tree_of_a_part() {
    let part = unwell().find("/ptys/terminals").unwrap().clone();
    let text = tree::draw(&part, now(), &style(80));
    assert!(text.contains("t039"), "what was asked for is not folded");
    let leaf = unwell().find("/store/writer").unwrap().clone();
    insta::assert_snapshot!(tree::draw(&leaf, now(), &style(80)));
}

fn explained(node: &Node, domain: Option<&Node>, events: &[Event], style: &Style) -> String {
    explain::draw(
        Subject {
            node,
            domain,
            run: None,
            ends: &[],
            events,
        },
        now(),
        style,
    )
}

#[test]
fn explanations() {
    let system = unwell();
    let (store, writer) = (
        system.find("/store").unwrap(),
        system.find("/store/writer").unwrap(),
    );
    let yesterday = change(
        json!({"id": 7, "at": "2026-01-30T11:00:00.000Z", "level": "NORMAL", "previous_level": "OFFLINE",
        "state": "running", "previous_state": "starting", "cause": null, "action": null}),
    );
    insta::assert_snapshot!(explained(
        writer,
        Some(store),
        &[yesterday, change(json!({}))],
        &style(80)
    ));
    insta::assert_snapshot!(explained(
        system.find("/ptys").unwrap(),
        None,
        &[change(json!({}))],
        &style(44)
    ));
    insta::assert_snapshot!(explained(&system, None, &[], &Style::PLAIN));
    insta::assert_snapshot!(explained(&well(), None, &[], &style(80)));
    insta::assert_snapshot!(explained(
        system.find("/later").unwrap(),
        None,
        &[],
        &style(80)
    ));
}

fn change(more: Value) -> Event {
    let mut event = json!({
        "id": 41, "at": "2026-01-31T11:56:40.021Z", "path": "/store/writer", "change": "state", "state": "quarantined",
        "previous_state": "restarting", "level": "OFFLINE", "previous_level": "NORMAL", "cause": cause("/store/writer", &["/store/writer"]),
        "impact": null, "fallback": null, "action": "restart budget used up: quarantined, first probe in 1 s"
    });
    if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
        event.extend(more);
    }
    read(event).unwrap()
}

/// Microseconds of a moment, as runs of the daemon are numbered.
fn run(moment: &str) -> i64 {
    moment.parse::<Micros>().unwrap().get()
}

#[test]
fn what_else_is_wrong_is_told() {
    let mut node = unwell();
    let other = json!({"path": "/feeds/upstream", "code": "dependency.open", "message": "does not answer",
        "since": "2026-01-31T11:59:00.000Z", "chain": ["/feeds/upstream", "/feeds", "/"]});
    node.also = vec![serde_json::from_value(other).unwrap()];
    let text = explained(&node, None, &[], &Style::PLAIN);
    let told = text
        .split_once("What else is wrong\n")
        .expect("the section")
        .1;
    assert!(
        told.trim_start().starts_with("It began at /feeds/upstream"),
        "{told}"
    );
    assert!(
        told.contains("does not answer (dependency.open)."),
        "{told}"
    );
}

#[test]
fn ends_and_changes_from_before_the_last_start() {
    let (before, present) = (
        run("2026-01-30T09:00:00.000Z"),
        run("2026-01-31T11:00:00.000Z"),
    );
    let ends = [
        change(
            json!({"id": 3, "at": "2026-01-30T10:00:00.000Z", "run": before, "state": "restarting", "action": "restart at once",
            "end": {"kind": "panic", "incarnation": 2, "message_type": "open", "mailbox_depth": 3, "location": "src/writer.rs:12:5"}}),
        ),
        change(json!({"run": present})),
    ];
    let system = unwell();
    let told = |run, ends: &[Event], events: &[Event]| {
        let subject = Subject {
            node: system.find("/store/writer").unwrap(),
            domain: None,
            run,
            ends,
            events,
        };
        let text = explain::draw(subject, now(), &style(80));
        let from = text.find("\nLast").unwrap();
        text.get(from..).unwrap().to_owned()
    };
    insta::assert_snapshot!(told(Some(present), &ends, &ends[..1]));
    insta::assert_snapshot!(told(None, &ends, &[]));
}

#[test]
fn the_history_tells_where_a_run_begins() {
    let (before, present) = (
        run("2026-01-30T09:00:00.000Z"),
        run("2026-01-31T11:00:00.000Z"),
    );
    let gap = json!({"id": 4, "at": "2026-01-30T10:00:01.000Z", "run": before, "path": "/ledger", "change": "gap", "state": "running",
        "previous_state": null, "level": "DEGRADED", "previous_level": null, "action": null, "lost": 7,
        "cause": {"path": "/ledger", "code": "ledger.gap", "message": "7 event(s) were not kept"}});
    let events = [
        change(json!({"id": 3, "at": "2026-01-30T10:00:00.000Z", "run": before})),
        change(gap),
        change(json!({"run": present})),
    ];
    insta::assert_snapshot!(event::history(&events, now(), &style(110)));
    insta::assert_snapshot!(event::history(&events, now(), &Style::PLAIN));
}

#[test]
fn events() {
    let domain = change(
        json!({"path": "/ptys", "state": "running", "previous_state": null, "level": "DEGRADED",
        "impact": "new terminals are not remembered", "fallback": "open terminals go on", "action": null}),
    );
    let over = change(
        json!({"path": "/ptys", "state": "running", "previous_state": null, "level": "NORMAL",
        "previous_level": "DEGRADED", "cause": null, "action": null}),
    );
    let all = [change(json!({})), domain, over];
    let lines: String = all
        .iter()
        .map(|event| event::draw(event, &Style::PLAIN))
        .collect();
    insta::assert_snapshot!(lines);
    for event in &all {
        assert!(text::cells(event::draw(event, &style(50)).trim_end()) <= 50);
    }
}

#[test]
fn tables() {
    let rows = [
        [
            "a1".to_owned(),
            "laptop".to_owned(),
            "everything".to_owned(),
        ],
        [
            "b2".to_owned(),
            "build \u{1b}[2J server".to_owned(),
            "-".to_owned(),
        ],
    ];
    insta::assert_snapshot!(table::draw(["ID", "NAME", "SCOPES"], &rows, &style(80)));
    insta::assert_snapshot!(table::draw(["ID", "NAME", "SCOPES"], &rows, &style(14)));
}

fn any_node() -> impl Strategy<Value = Node> {
    let words = "[a-z終é \u{1b}]{0,40}";
    let leaf = (words, 0usize..4, 0usize..8, any::<bool>(), words).prop_map(
        |(name, level, state, has_cause, message)| {
            let level = ["NORMAL", "DEGRADED", "CRITICAL", "OFFLINE"][level];
            let state = [
                "waiting",
                "starting",
                "running",
                "restarting",
                "quarantined",
                "stopping",
                "stopped",
                "disabled",
            ][state];
            let path = format!("/{name}");
            let cause = has_cause.then(|| json!({"path": path, "code": "x.y", "message": message}));
            actor(
                &path,
                level,
                state,
                json!({"cause": cause, "impact": message, "fallback": message}),
            )
        },
    );
    let tree = leaf.prop_recursive(4, 40, 12, |inner| {
        (prop::collection::vec(inner, 1..12), "[a-z]{1,30}").prop_map(|(children, name)| {
            actor(
                &format!("/{name}"),
                "NORMAL",
                "running",
                json!({"children": children}),
            )
        })
    });
    tree.prop_map(|value| read(value).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_wider_than_the_terminal(node in any_node(), width in 12usize..140, unicode in any::<bool>()) {
        let style = Style { colour: false, unicode, width: Some(width) };
        for text in [tree::draw(&node, now(), &style), explained(&node, None, &[], &style)] {
            for line in text.lines() {
                prop_assert!(text::cells(line) <= width, "{} cells in {width}: {line:?}", text::cells(line));
                prop_assert!(!line.chars().any(char::is_control));
                prop_assert!(unicode || line.is_ascii());
            }
        }
    }

    #[test]
    fn a_pipe_has_a_row_for_every_node(node in any_node()) {
        let text = tree::draw(&node, now(), &Style::PLAIN);
        let rows = text.lines().skip(3).filter(|line| line.contains("0/256")).count();
        prop_assert_eq!(rows, node.walk().count());
        prop_assert!(text.is_ascii());
    }
}
