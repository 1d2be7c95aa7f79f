//! One change of state or level, told on one line: for `status --watch` in a pipe and for the end of `explain`.

use supervisor::{Level, State};

use super::{
    super::{
        document::Event,
        screen::{Ink, Style},
        span,
    },
    line::Line,
};

/// The line, with a line break at its end. It starts with the time (UTC) and the path, so that it can be searched; a pipe
/// gets the whole date.
pub(crate) fn draw(event: &Event, style: &Style) -> String {
    let mut line = Line::default();
    if let Some(at) = event.at {
        let time = if style.width.is_some() {
            span::time_of_day(at)
        } else {
            at.to_string()
        };
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
