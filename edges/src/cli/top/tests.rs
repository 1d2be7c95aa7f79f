//! The pictures as snapshots: wide, narrow, tiny, without colours, with the daemon gone.

use std::time::Duration;

use ground::Micros;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::{
    action::Action,
    document::{Node, read},
    failure::Failure,
    screen::Style,
};
use super::{keys::Command, model::Model, view};

const COLOURS: Style = Style {
    colour: true,
    unicode: true,
    width: Some(0),
};

fn now() -> Micros {
    "2026-01-31T12:00:00.000Z".parse().unwrap()
}

fn part(path: &str, kind: &str, more: Value) -> Value {
    let mut node = json!({
        "path": path, "kind": kind, "state": "running", "level": "NORMAL", "since": "2026-01-31T10:58:00.000Z",
        "cause": null, "impact": null, "fallback": null,
        "restarts": {"count": 0, "in_window": 0, "budget": 5, "last_at": null, "last_reason": null},
        "mailbox": {"depth": 0, "limit": 512}, "latency_ms": {"p50": 0.02, "p99": 0.4},
        "detail": {"replies": 100}, "children": []
    });
    if let (Value::Object(node), Value::Object(more)) = (&mut node, more) {
        node.extend(more);
    }
    node
}

fn terminals(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| part(&format!("/ptys/terminals/t{index:04}"), "actor", json!({})))
        .collect()
}

/// A system with a part that was given up, one that is busy, and many terminals.
fn unwell(terminals_count: usize, replies: u64) -> Node {
    let cause = json!({"path": "/store/writer", "code": "actor.panicked", "message": "panicked while it handled write: disk full",
        "since": "2026-01-31T11:56:40.000Z", "chain": ["/store/writer", "/store"]});
    let mut terminals = terminals(terminals_count);
    terminals[3]["level"] = json!("OFFLINE");
    terminals[3]["state"] = json!("restarting");
    read(part(
        "/",
        "root",
        json!({"level": "CRITICAL", "cause": cause, "impact": "stored data can be read and not saved", "mailbox": null,
            "latency_ms": null, "restarts": {}, "detail": {}, "children": [
            part("/ptys", "domain", json!({"mailbox": null, "latency_ms": null, "detail": {}, "children": [
                part("/ptys/manager", "actor", json!({"mailbox": {"depth": 300, "limit": 512}, "detail": {"replies": replies, "in_hand": "open"}})),
                part("/ptys/terminals", "group", json!({"mailbox": null, "latency_ms": null, "detail": {}, "children": terminals})),
            ]})),
            part("/store", "domain", json!({"level": "OFFLINE", "cause": cause, "impact": "stored data can be read and not saved",
                "fallback": "open terminals go on", "mailbox": null, "latency_ms": null, "detail": {}, "children": [
                part("/store/writer", "actor", json!({"level": "OFFLINE", "state": "quarantined", "cause": cause,
                    "impact": "stored data can be read and not saved",
                    "restarts": {"count": 6, "in_window": 5, "budget": 5, "last_at": "2026-01-31T11:56:40.000Z", "last_reason": "panicked: disk full"},
                    "detail": {"replies": 7, "next": "2026-01-31T12:00:30.000Z", "queue_depth": 2}})),
            ]})),
            part("/mail", "domain", json!({"state": "disabled", "mailbox": null, "latency_ms": null, "restarts": {}, "detail": {"disabled": "switched off by the configuration"}})),
        ]}),
    ))
    .unwrap()
}

fn model() -> Model {
    let mut model = Model::new();
    model.about("0.1.0".to_owned(), Duration::from_secs(11_000));
    model.read(unwell(30, 100), Duration::ZERO);
    model.read(unwell(30, 1_100), Duration::from_secs(2));
    for (id, level, before) in [(1, "OFFLINE", "NORMAL"), (2, "NORMAL", "OFFLINE")] {
        let event = json!({"id": id, "at": "2026-01-31T11:59:00.000Z", "path": "/ptys/manager", "change": "level",
            "state": "running", "level": level, "previous_level": before, "action": "restart at once",
            "cause": {"path": "/ptys/manager", "code": "actor.panicked", "message": "it panicked"}});
        model.changed(read(event).unwrap());
    }
    model
}

fn drawn(model: &mut Model, (columns, rows): (u16, u16), style: &Style) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| view::draw(frame, model, style, now()))
        .unwrap();
    terminal
}

fn picture(model: &mut Model, size: (u16, u16), style: &Style) -> String {
    drawn(model, size, style).backend().to_string()
}

fn press(model: &mut Model, commands: &[Command]) {
    for command in commands {
        model.apply(*command);
    }
}

/// The cell where `words` begin.
fn place(buffer: &Buffer, words: &str) -> (u16, u16) {
    let area = buffer.area;
    let cells = |y: u16| (0..area.width).map(move |x| buffer[(x, y)].symbol());
    for y in 0..area.height {
        for x in 0..area.width {
            if cells(y)
                .skip(x.into())
                .collect::<String>()
                .starts_with(words)
            {
                return (x, y);
            }
        }
    }
    panic!("no {words:?} in the picture");
}

#[test]
fn a_wide_terminal_shows_everything() {
    let mut model = model();
    press(&mut model, &[Command::Down, Command::Down]);
    insta::assert_snapshot!(picture(&mut model, (120, 30), &COLOURS));
}

#[test]
fn a_common_terminal_shows_what_matters_most() {
    let mut model = model();
    press(&mut model, &[Command::End, Command::Up]);
    insta::assert_snapshot!(picture(&mut model, (80, 24), &COLOURS));
}

#[test]
fn a_tiny_terminal_shows_the_tree() {
    insta::assert_snapshot!(picture(&mut model(), (20, 5), &COLOURS));
}

#[test]
fn without_more_than_ascii_and_colours_it_is_the_same_picture() {
    let plain = Style {
        width: Some(0),
        ..Style::PLAIN
    };
    let mut model = model();
    press(&mut model, &[Command::Down]);
    let terminal = drawn(&mut model, (100, 24), &plain);
    let text = terminal.backend().to_string();
    assert!(text.is_ascii(), "{text}");
    let buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
    let (x, y) = place(buffer, "|-- ptys");
    assert!(
        buffer[(x, y)].modifier.contains(Modifier::REVERSED),
        "selected"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_daemon_that_is_gone_is_told_with_the_time() {
    let mut model = model();
    model.away("the daemon cannot be reached: no socket".to_owned(), now());
    let terminal = drawn(&mut model, (80, 14), &COLOURS);
    let buffer = terminal.backend().buffer();
    let (x, y) = place(buffer, "├─▾ store");
    assert!(
        buffer[(x, y)].modifier.contains(Modifier::DIM),
        "what is old is faint"
    );
    insta::assert_snapshot!(terminal.backend());
}

#[test]
fn levels_are_coloured() {
    let terminal = drawn(&mut model(), (120, 30), &COLOURS);
    let buffer = terminal.backend().buffer();
    for (words, colour) in [
        ("CRITICAL", Color::Red),
        ("OFFLINE   quarantined", Color::Red),
        ("NORMAL    running", Color::Green),
        ("300/512", Color::Yellow),
        ("6 (5/5)", Color::Red),
        (" (30, 1 unwell)", Color::Yellow),
    ] {
        assert_eq!(buffer[place(buffer, words)].fg, colour, "{words}");
    }
}

#[test]
fn a_question_always_shows_its_answers() {
    for action in [Action::Restart, Action::Stop] {
        let mut model = model();
        press(
            &mut model,
            &[Command::End, Command::Up, Command::Order(action)],
        );
        for width in [120, 60, 20] {
            let text = picture(&mut model, (width, 12), &COLOURS);
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_matches('"')
                .trim_end();
            assert!(last.ends_with("? y/n"), "{last}");
            assert!(last.starts_with(if action == Action::Stop {
                "hold"
            } else {
                "restart"
            }));
        }
    }
}

#[test]
fn what_came_of_an_order_is_told_in_the_last_line() {
    let mut model = model();
    model.acted(Err(Failure::failed(
        "restart of /a: after 2s it is OFFLINE",
    )));
    let text = picture(&mut model, (60, 12), &COLOURS);
    assert!(
        text.contains("restart of /a: after 2s it is OFFLINE"),
        "{text}"
    );
    press(&mut model, &[Command::Filter, Command::Type('w')]);
    let text = picture(&mut model, (60, 12), &COLOURS);
    assert!(text.contains("/w_"), "{text}");
    assert!(
        text.contains("writer") && !text.contains("manager"),
        "{text}"
    );
}

#[test]
fn the_keys_can_be_read_in_pieces() {
    let mut model = model();
    press(&mut model, &[Command::Help]);
    let top = picture(&mut model, (70, 8), &COLOURS);
    assert!(
        top.contains("up down, j k") && !top.contains("q, Ctrl-C"),
        "{top}"
    );
    press(&mut model, &[Command::End]);
    let end = picture(&mut model, (70, 8), &COLOURS);
    assert!(
        end.contains("q, Ctrl-C") && !end.contains("up down, j k"),
        "{end}"
    );
    insta::assert_snapshot!(picture(&mut model, (70, 20), &COLOURS));
}

#[test]
fn every_size_can_be_drawn() {
    for columns in [0, 1, 2, 5, 19, 40, 79, 250] {
        for rows in [0, 1, 2, 3, 5, 7, 15, 22, 90] {
            for command in [
                Command::Cancel,
                Command::Help,
                Command::Explain,
                Command::Filter,
            ] {
                let mut model = model();
                model.apply(command);
                drawn(&mut model, (columns, rows), &COLOURS);
            }
        }
    }
}

#[test]
fn thousands_of_parts_are_drawn_in_no_time() {
    let mut model = Model::new();
    press(&mut model, &[Command::Filter, Command::Type('t')]);
    let tree = unwell(20_000, 1);
    let begun = Instant::now();
    model.read(tree, Duration::ZERO);
    for _ in 0..20 {
        press(&mut model, &[Command::PageDown]);
        picture(&mut model, (120, 40), &COLOURS);
    }
    // Ten pictures a second leave far more than this for each, also without optimisation.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(model.rows.len() > 20_000);
}
