//! What each command changes in what is shown.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::super::document::read;
use super::*;

fn node(path: &str, level: &str, children: &[Value]) -> Value {
    json!({"path": path, "state": "running", "level": level, "children": children})
}

fn terminals(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| {
            let level = if index == 7 { "OFFLINE" } else { "NORMAL" };
            node(&format!("/ptys/manager/t{index:04}"), level, &[])
        })
        .collect()
}

fn system(count: usize) -> Node {
    let manager = node("/ptys/manager", "NORMAL", &terminals(count));
    let ptys = node("/ptys", "NORMAL", &[manager]);
    let store = node("/store", "NORMAL", &[node("/store/writer", "NORMAL", &[])]);
    read(node("/", "NORMAL", &[ptys, store])).unwrap()
}

fn model(count: usize) -> Model {
    let mut model = Model::new();
    model.read(system(count), Duration::ZERO);
    model.fit(10);
    model
}

fn paths(model: &Model) -> Vec<&str> {
    let part = |row: &Row| model.tree.get(row.part).map(|part| part.node.path.as_str());
    model.rows.iter().filter_map(part).collect()
}

fn selected(model: &Model) -> &str {
    model.selected_path().unwrap_or_default()
}

fn press(model: &mut Model, commands: &[Command]) {
    for command in commands {
        model.apply(*command);
    }
}

fn select(model: &mut Model, path: &str) {
    press(model, &[Command::Home]);
    for _ in 0..model.rows.len() {
        if selected(model) == path {
            return;
        }
        press(model, &[Command::Down]);
    }
    panic!("{path} is not among {:?}", paths(model));
}

#[test]
fn many_children_are_folded_until_somebody_opens_them() {
    let mut model = model(5_000);
    assert_eq!(
        paths(&model),
        ["/", "/ptys", "/ptys/manager", "/store", "/store/writer"]
    );
    let folded = &model.tree.parts[2];
    assert_eq!((folded.below, folded.unwell), (5_000, 1));
    select(&mut model, "/ptys/manager");
    press(&mut model, &[Command::Toggle]);
    assert_eq!(model.rows.len(), 5_005);
    press(&mut model, &[Command::Open]);
    assert_eq!(selected(&model), "/ptys/manager/t0000");
    press(&mut model, &[Command::Close]);
    assert_eq!(selected(&model), "/ptys/manager");
    press(&mut model, &[Command::Close]);
    assert_eq!(model.rows.len(), 5);
    assert_eq!(paths(&self::model(20)).len(), 25, "few are not folded");
}

#[test]
fn the_selection_stays_on_its_part() {
    let mut model = model(3);
    select(&mut model, "/ptys/manager/t0002");
    model.read(system(12), Duration::from_secs(1));
    assert_eq!(selected(&model), "/ptys/manager/t0002");
    // It has left: what was above it is next.
    model.read(system(1), Duration::from_secs(2));
    assert_eq!(selected(&model), "/ptys/manager");
    model.read(system(30), Duration::from_secs(3));
    assert_eq!(selected(&model), "/ptys/manager", "folded now");
}

#[test]
fn what_folds_stays_folded_when_the_tree_is_read_anew() {
    let mut model = model(3);
    select(&mut model, "/ptys");
    press(&mut model, &[Command::Toggle]);
    model.read(system(4), Duration::from_secs(1));
    assert_eq!(paths(&model), ["/", "/ptys", "/store", "/store/writer"]);
}

#[test]
fn a_filter_shows_what_it_finds_and_what_lies_above() {
    let mut model = model(5_000);
    press(&mut model, &[Command::Filter]);
    for letter in "OFFline".chars() {
        press(&mut model, &[Command::Type(letter)]);
    }
    let found = ["/", "/ptys", "/ptys/manager", "/ptys/manager/t0007"];
    assert_eq!(paths(&model), found);
    press(&mut model, &[Command::Accept, Command::End]);
    assert_eq!(selected(&model), "/ptys/manager/t0007");
    // It is inside what is folded without the filter.
    press(&mut model, &[Command::Cancel]);
    assert_eq!((model.filter.as_str(), model.rows.len()), ("", 5));
    assert_eq!(selected(&model), "/ptys/manager");
}

#[test]
fn a_filter_that_finds_nothing_leaves_nothing_to_steer() {
    let mut model = model(3);
    press(
        &mut model,
        &[Command::Filter, Command::Type('x'), Command::Accept],
    );
    assert!(model.rows.is_empty() && model.selected().is_none());
    assert_eq!(model.apply(Command::Order(Action::Start)), Effect::Nothing);
    assert_eq!(model.apply(Command::Explain), Effect::Nothing);
    press(
        &mut model,
        &[Command::Down, Command::Toggle, Command::PageUp],
    );
    for _ in 0..1_000 {
        press(&mut model, &[Command::Filter, Command::Type('é')]);
    }
    assert_eq!(model.filter.chars().count(), FILTER_LIMIT);
}

#[test]
fn an_order_that_interrupts_is_asked_about_and_given_for_what_was_selected() {
    for action in [Action::Restart, Action::Stop] {
        let mut model = model(3);
        select(&mut model, "/store");
        assert_eq!(model.apply(Command::Order(action)), Effect::Nothing);
        // The tree moves under the question.
        model.read(system(12), Duration::from_secs(1));
        model.selected = 0;
        let order = Effect::Act(action, "/store".to_owned());
        assert_eq!(model.apply(Command::Yes), order);
        assert_eq!(model.under_way, Some((action, "/store".to_owned())));
        assert!(matches!(model.mode, Mode::Browse));
    }
    let mut model = model(3);
    select(&mut model, "/store");
    press(&mut model, &[Command::Order(Action::Stop), Command::Cancel]);
    assert_eq!(model.apply(Command::Yes), Effect::Nothing);
    assert_eq!(model.under_way, None);
}

#[test]
fn a_release_is_given_at_once_and_orders_follow_each_other() {
    let mut model = model(3);
    select(&mut model, "/store");
    let order = Effect::Act(Action::Start, "/store".to_owned());
    assert_eq!(model.apply(Command::Order(Action::Start)), order);
    assert_eq!(model.apply(Command::Order(Action::Start)), Effect::Nothing);
    let told = |model: &Model| {
        model
            .notice
            .clone()
            .map(|(_, words)| words)
            .unwrap_or_default()
    };
    assert!(told(&model).contains("still under way"), "{model:?}");
    model.acted(Ok("released: /store is NORMAL".to_owned()));
    assert_eq!(
        (told(&model).as_str(), &model.under_way),
        ("released: /store is NORMAL", &None)
    );
    let refused = Failure::failed("the daemon is stopping").next("wait");
    model.acted(Err(refused));
    assert_eq!(told(&model), "the daemon is stopping");
    press(&mut model, &[Command::Down]);
    assert_eq!(told(&model), "", "the next key takes it away");
}

#[test]
fn the_whole_daemon_takes_no_order() {
    for action in [Action::Restart, Action::Stop, Action::Start] {
        let mut model = model(3);
        assert_eq!(model.apply(Command::Order(action)), Effect::Nothing);
        assert!(matches!(model.mode, Mode::Browse) && model.notice.is_some());
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let mut model = model(3);
    select(&mut model, "/store");
    assert_eq!(
        model.apply(Command::Explain),
        Effect::Explain("/store".to_owned())
    );
    model.explained("/ptys", Err(Failure::failed("another question")));
    assert!(matches!(&model.mode, Mode::Explain(path, None) if path == "/store"));
    model.explained("/store", Err(Failure::failed("it is gone")));
    assert!(matches!(model.mode, Mode::Browse));
    assert_eq!(model.notice, Some((Ink::Worst, "it is gone".to_owned())));
}

#[test]
fn a_daemon_that_is_gone_is_gone_since_the_first_silence() {
    let mut model = model(3);
    model.away("no answer".to_owned(), Micros(1_000_000));
    model.away("no socket".to_owned(), Micros(9_000_000));
    let reason = "no socket".to_owned();
    let since = Micros(1_000_000);
    assert_eq!(model.link, Link::Away { since, reason });
    assert_eq!(model.rows.len(), 8, "what was known stays in view");
    model.read(system(3), Duration::from_secs(9));
    assert_eq!(model.link, Link::Up);
}

#[test]
fn only_the_last_changes_are_kept() {
    let mut model = model(0);
    for id in 0..1_000_u64 {
        let event = json!({"id": id, "path": "/a", "state": "running", "level": "NORMAL"});
        model.changed(read(event).unwrap());
    }
    assert_eq!(model.events.len(), EVENTS_KEPT);
    assert_eq!(model.events.back().map(|event| event.id), Some(999));
}

/// The lines that go on below a row, counted from the rows themselves.
fn rails_of(model: &Model, at: usize) -> u64 {
    let depth = |row: &Row| model.tree.parts[row.part].depth;
    let mut rails = 0;
    for step in 0..=depth(&model.rows[at]) {
        let later = model.rows[at + 1..].iter().map(depth);
        let first = later
            .take_while(|depth| *depth >= step)
            .find(|depth| *depth == step);
        rails |= u64::from(first.is_some()) << step;
    }
    rails
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Up),
        Just(Command::Down),
        Just(Command::PageUp),
        Just(Command::PageDown),
        Just(Command::Home),
        Just(Command::End),
        Just(Command::Toggle),
        Just(Command::Open),
        Just(Command::Close),
        Just(Command::Explain),
        Just(Command::Order(Action::Restart)),
        Just(Command::Order(Action::Start)),
        Just(Command::Yes),
        Just(Command::Filter),
        any::<char>().prop_map(Command::Type),
        Just(Command::Type('0')),
        Just(Command::Erase),
        Just(Command::Accept),
        Just(Command::Cancel),
        Just(Command::Help),
    ]
}

proptest! {
    #[test]
    fn whatever_is_pressed_the_picture_holds_together(
        steps in prop::collection::vec((any_command(), 0usize..40, 1usize..30), 1..60),
    ) {
        let mut model = model(5);
        for (command, count, page) in steps {
            model.apply(command);
            model.read(system(count), Duration::ZERO);
            model.fit(page);
            prop_assert!(model.selected < model.rows.len().max(1));
            prop_assert!(model.first <= model.selected && model.selected < model.first + page);
            for at in 0..model.rows.len() {
                prop_assert_eq!(model.rows[at].rails, rails_of(&model, at));
            }
        }
    }
}
