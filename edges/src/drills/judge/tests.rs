//! Events as the supervisor tells them, and what the judge makes of them.

use supervisor::{Cause, WallTime};

use super::*;

const TARGET: &str = "/ptys/manager";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn expected(level: Level, code: &str) -> Diagnosis {
    Diagnosis {
        path: TARGET.to_owned(),
        level,
        cause_code: code.to_owned(),
    }
}

fn judge(expected: Diagnosis) -> Judge {
    let domains = [("ptys", Level::Normal), ("store", Level::Degraded)];
    Judge::new(
        expected,
        domains.map(|(name, level)| (name.to_owned(), level)).into(),
    )
}

fn event(
    path: &str,
    change: Change,
    state: State,
    level: Level,
    code: Option<&str>,
) -> StatusEvent {
    StatusEvent {
        id: 1,
        at: WallTime(0),
        path: path.to_owned(),
        change,
        state,
        previous_state: None,
        level,
        previous_level: None,
        cause: code.map(|code| Cause {
            path: TARGET.to_owned(),
            code: code.to_owned(),
            message: String::new(),
            since: WallTime(0),
            chain: Vec::new(),
        }),
        impact: None,
        fallback: None,
        action: None,
        end: None,
    }
}

fn to(path: &str, level: Level, code: Option<&str>) -> StatusEvent {
    event(path, Change::Level, State::Running, level, code)
}

fn run(judge: &Judge, forecast: &[(&str, Level)], effect_after: Duration) -> Run {
    let mut run = Run {
        id: ground::Id::generate(),
        name: "a drill",
        target: TARGET.to_owned(),
        state: super::super::run::RUNNING,
        started_at: ground::Micros(0),
        expected: judge.expected.clone(),
        forecast: forecast
            .iter()
            .map(|(domain, level)| Hit {
                domain: (*domain).to_owned(),
                level: *level,
                impact: None,
            })
            .collect(),
        observed: None,
        matched: false,
        diagnosed_ms: None,
        recovered_ms: None,
        hit: Vec::new(),
        hit_as_forecast: false,
    };
    judge.report(&mut run, effect_after);
    run
}

#[test]
fn the_first_cause_at_the_target_counts() {
    let mut judge = judge(expected(Level::Degraded, "actor.stuck"));
    judge.note(&to("/store", Level::Critical, Some("store.full")), ms(1));
    let operator = event(
        TARGET,
        Change::Operator,
        State::Running,
        Level::Normal,
        Some("x"),
    );
    judge.note(&operator, ms(2));
    assert!(!judge.is_diagnosed());
    judge.note(&to(TARGET, Level::Degraded, Some("actor.stuck")), ms(500));
    judge.note(&to(TARGET, Level::Offline, Some("actor.hung")), ms(900));
    let run = run(&judge, &[], Duration::ZERO);
    assert!(run.matched);
    assert_eq!(run.diagnosed_ms, Some(500.0));
    assert_eq!(run.recovered_ms, None);
    assert!(!judge.is_settled());
}

#[test]
fn another_level_or_code_is_no_match() {
    for (level, code) in [
        (Level::Critical, "actor.stuck"),
        (Level::Degraded, "actor.blocked"),
    ] {
        let mut judge = judge(expected(Level::Degraded, "actor.stuck"));
        judge.note(&to(TARGET, level, Some(code)), ms(5));
        let run = run(&judge, &[], Duration::ZERO);
        assert!(!run.matched && run.observed.is_some());
    }
}

#[test]
fn the_first_effect_of_slowness_comes_later() {
    let mut judge = judge(expected(Level::Degraded, "store.slow"));
    judge.note(&to(TARGET, Level::Degraded, Some("store.slow")), ms(2_100));
    let diagnosed = |after| run(&judge, &[], ms(after)).diagnosed_ms;
    assert_eq!(diagnosed(2_000), Some(100.0));
    assert_eq!(diagnosed(3_000), Some(0.0), "told before it was felt");
}

#[test]
fn who_falls_again_has_not_recovered() {
    let mut judge = judge(expected(Level::Offline, "actor.panicked"));
    let crash = event(
        TARGET,
        Change::State,
        State::Restarting,
        Level::Offline,
        Some("actor.panicked"),
    );
    let ready = event(TARGET, Change::State, State::Running, Level::Normal, None);
    for at in [10, 30] {
        judge.note(&crash, ms(at));
        assert!(!judge.is_settled());
        judge.note(&ready, ms(at + 5));
        assert!(judge.is_settled());
    }
    assert_eq!(run(&judge, &[], Duration::ZERO).recovered_ms, Some(35.0));
}

#[test]
fn domains_are_hit_when_they_are_worse_than_before() {
    let mut judge = judge(expected(Level::Offline, "actor.panicked"));
    judge.note(&to(TARGET, Level::Offline, Some("actor.panicked")), ms(1));
    judge.note(&to("/store", Level::Normal, None), ms(2));
    judge.note(&to("/ptys", Level::Critical, None), ms(3));
    judge.note(&to("/ptys", Level::Offline, None), ms(4));
    judge.note(&to(TARGET, Level::Normal, None), ms(5));
    assert!(!judge.is_settled(), "the domain is still down");
    judge.note(&to("/store", Level::Degraded, None), ms(6));
    judge.note(&to("/ptys", Level::Normal, None), ms(7));
    assert!(judge.is_settled());
    for (forecast, as_forecast) in [
        (
            &[("ptys", Level::Offline), ("store", Level::Degraded)][..],
            true,
        ),
        (&[("ptys", Level::Critical)], false),
        (&[("store", Level::Offline)], false),
    ] {
        let run = run(&judge, forecast, Duration::ZERO);
        assert_eq!(run.hit, ["ptys"]);
        assert_eq!(run.hit_as_forecast, as_forecast, "{forecast:?}");
    }
}

#[test]
fn where_nothing_may_happen_whatever_happens_is_the_diagnosis() {
    let calm = || judge(expected(Level::Normal, NOTED));
    let note = event(
        TARGET,
        Change::Operator,
        State::Running,
        Level::Normal,
        None,
    );
    let mut undisturbed = calm();
    undisturbed.note(&note, ms(1));
    // Somebody opens a terminal meanwhile.
    let opened = event(
        "/ptys/terminals/1",
        Change::State,
        State::Running,
        Level::Normal,
        None,
    );
    undisturbed.note(&opened, ms(2));
    assert!(!undisturbed.is_settled());
    undisturbed.fault_over(ms(1_000));
    assert!(undisturbed.is_settled());
    let told = run(&undisturbed, &[], Duration::ZERO);
    assert!(told.matched);
    assert_eq!(
        (told.diagnosed_ms, told.recovered_ms),
        (Some(1.0), Some(1_000.0))
    );

    let restart = event(
        "/ledger/writer",
        Change::State,
        State::Restarting,
        Level::Offline,
        Some("actor.failed"),
    );
    for unrest in [restart, to("/ptys", Level::Degraded, Some("ptys.late"))] {
        let mut disturbed = calm();
        disturbed.note(&note, ms(1));
        disturbed.note(&unrest, ms(50));
        disturbed.fault_over(ms(1_000));
        let told = run(&disturbed, &[], Duration::ZERO);
        assert!(!told.matched, "{told:?}");
    }
}
