//! One change of state or level, told on one line: for `status --watch` in a pipe and for the end of `explain`.

use std::time::Duration;

use ground::Micros;
use supervisor::{Level, State};

use super::{
    super::{
        document::Event,
        screen::{Ink, Style},
        span,
    },
    line::Line,
};

/// What is older than this is told with its date.
const TODAY: Duration = Duration::from_hours(12);

/// Events of the history, a line each, with a line between two runs of the daemon.
pub(crate) fn history(events: &[Event], now: Micros, style: &Style) -> String {
    let mut out = String::new();
    let mut run = events.first().and_then(|event| event.run);
    for event in events {
        if let Some(begun) = event.run.filter(|begun| Some(*begun) != run) {
            run = Some(begun);
            let mut line = Line::default();
            let at = span::moment(Micros(begun));
            line.paint(Ink::Faint, format!("-- the daemon was started at {at} --"));
            line.finish(style, &mut out);
        }
        let time = event.at.map(|at| match style.width {
            Some(_) => time(at, now),
            None => at.to_string(),
        });
        out.push_str(&told(event, time, style));
    }
    out
}

/// A moment as short as it can be told.
pub(super) fn time(at: Micros, now: Micros) -> String {
    if now.since(at) < TODAY {
        span::time_of_day(at)
    } else {
        span::moment(at)
    }
}

/// The line, with a line break at its end. It starts with the time (UTC) and the path, so that it can be searched; a pipe
/// gets the whole date.
pub(crate) fn draw(event: &Event, style: &Style) -> String {
    let time = event.at.map(|at| match style.width {
        Some(_) => span::time_of_day(at),
        None => at.to_string(),
    });
    told(event, time, style)
}

fn told(event: &Event, time: Option<String>, style: &Style) -> String {
    let mut line = Line::default();
    if let Some(time) = time {
        line.paint(Ink::Faint, format!("{time}  "));
    }
    line.push(format!("{}  ", style.clean(&event.path)));
    changes(event, style, &mut line);
    for words in remarks(event) {
        line.push(format!("; {}", style.clean(&words)));
    }
    let mut out = String::new();
    line.finish(style, &mut out);
    out
}

/// What is different now: level, then state.
pub(super) fn changes(event: &Event, style: &Style, line: &mut Line) {
    let change = |before: Option<&'static str>, now: &'static str| match before {
        Some(before) if before != now => format!("{before} {} {now}", style.arrow()),
        _ => now.to_owned(),
    };
    line.paint(
        Ink::of_level(event.level),
        change(event.previous_level.map(Level::word), event.level.word()),
    );
    line.push(format!(
        ", {}",
        change(event.previous_state.map(State::word), event.state.word())
    ));
}

/// Why, what was done, and what the user loses.
pub(super) fn remarks(event: &Event) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(event.action.clone());
    if event.level == Level::Normal {
        return words;
    }
    if let Some(cause) = &event.cause {
        let from = if cause.path == event.path {
            String::new()
        } else {
            format!("{}: ", cause.path)
        };
        words.push(format!("{from}{} ({})", cause.message, cause.code));
    }
    words.extend(
        event
            .impact
            .as_ref()
            .map(|impact| format!("impact: {impact}")),
    );
    words.extend(
        event
            .fallback
            .as_ref()
            .map(|fallback| format!("fallback: {fallback}")),
    );
    words
}
