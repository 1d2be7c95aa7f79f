//! The picture: header, tree, the selected part, the last changes, and one line for keys, questions and answers. Pure: a
//! model, a style and a moment in, cells out.
//!
//! On a low terminal the changes go first, then the part, then the headings: the tree stays to the last.

use ground::Micros;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};
use supervisor::Level;

use super::{
    super::{
        action::Action,
        screen::{Ink, Style},
        span, text,
    },
    keys::HELP,
    model::{Link, Mode, Model},
    paint, panes, table,
};

/// Rows that the facts of the selected part take, with their rule.
const DETAIL_ROWS: u16 = 6;
/// A terminal with fewer rows shows no changes, no part, no headings and no second header line, in this order.
const ROWS_FOR_EVENTS: u16 = 22;
const ROWS_FOR_DETAIL: u16 = 15;
const ROWS_FOR_HEADING: u16 = 8;
const ROWS_FOR_CAUSE: u16 = 6;

/// Draws `model` as of `now`, and makes it fit first.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &mut Model, style: &Style, now: Micros) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let mut rest = Slices(area);
    let footer_row = rest.bottom(1);
    let header_rows = if area.height >= ROWS_FOR_CAUSE { 2 } else { 1 };
    header(rest.top(header_rows), buffer, model, style, now);
    match &model.mode {
        Mode::Explain(..) | Mode::Help => prose(rest.0, buffer, model, style, now),
        _ => {
            let events = if area.height >= ROWS_FOR_EVENTS {
                (area.height / 4).clamp(5, 11)
            } else {
                0
            };
            let events = rest.bottom(events);
            let detail = rest.bottom(if area.height >= ROWS_FOR_DETAIL {
                DETAIL_ROWS
            } else {
                0
            });
            let heading = rest.top(u16::from(area.height >= ROWS_FOR_HEADING));
            model.fit(rest.0.height.into());
            if !heading.is_empty() {
                table::heading(heading, buffer, style);
            }
            table::rows(rest.0, buffer, model, style, now);
            if !detail.is_empty() {
                panes::detail(detail, buffer, model, style, now);
            }
            if !events.is_empty() {
                panes::events(events, buffer, model, style);
            }
        }
    }
    footer(footer_row, buffer, model, style);
}

/// What is left of an area while slices are taken off it.
struct Slices(Rect);

impl Slices {
    fn top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        let slice = Rect {
            height: rows,
            ..self.0
        };
        self.0.y += rows;
        self.0.height -= rows;
        slice
    }

    fn bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        self.0.height -= rows;
        Rect {
            y: self.0.y + self.0.height,
            height: rows,
            ..self.0
        }
    }
}

/// Name, version, the system's level, the time up; below it the cause of the worst, or that the daemon is gone.
fn header(area: Rect, buffer: &mut Buffer, model: &Model, style: &Style, now: Micros) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    let is_up = model.link == Link::Up;
    let root = model.tree.root();
    let mut spans = vec![paint::span(Ink::Strong, "mainstay", style)];
    if !model.version.is_empty() && width >= 40 {
        spans.push(Span::raw(format!(" {}", style.clean(&model.version))));
    }
    spans.push(Span::raw("  "));
    match root {
        _ if !is_up => spans.push(paint::span(Ink::Worst, "NO ANSWER", style)),
        Some(root) => spans.push(paint::span(
            Ink::of_level(root.node.level),
            root.node.level.word(),
            style,
        )),
        None => {}
    }
    if is_up {
        spans.push(Span::raw(format!("  up {}", span::words(model.uptime))));
    }
    if let Some(root) = root {
        let unwell = match root.unwell {
            0 => String::new(),
            unwell => format!(", {unwell} not NORMAL"),
        };
        spans.push(Span::raw(format!("  {} parts{unwell}", root.below)));
    }
    let clock = format!("{} UTC", time_of_day(now));
    let taken: usize = spans.iter().map(Span::width).sum();
    if let Some(gap) = width
        .checked_sub(taken + clock.len())
        .filter(|gap| *gap >= 2)
    {
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(paint::span(Ink::Faint, clock, style));
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    if area.height > 1 {
        let (ink, words) = headline(model);
        let words = text::cut(&style.clean(&words), width, style.ellipsis());
        let line = Line::from(paint::span(ink, words, style));
        buffer.set_line(area.x, area.y + 1, &line, area.width);
    }
}

/// The one thing to know.
fn headline(model: &Model) -> (Ink, String) {
    if let Link::Away { since, reason } = &model.link {
        let since = time_of_day(*since);
        return (
            Ink::Worst,
            format!("since {since} UTC, trying again: {reason}"),
        );
    }
    let Some(root) = model.tree.root() else {
        return (Ink::Faint, String::new());
    };
    let node = &root.node;
    match (&node.cause, node.level) {
        (_, Level::Normal) if root.unwell == 0 => {
            (Ink::Faint, "all that it promises works".to_owned())
        }
        (_, Level::Normal) => (
            Ink::Faint,
            "all that it promises works, though not every part is well".to_owned(),
        ),
        (Some(cause), level) => (Ink::of_level(level), panes::cause_words(node, cause)),
        (None, level) => (Ink::of_level(level), "no cause is known".to_owned()),
    }
}

fn time_of_day(at: Micros) -> String {
    let time = span::time_of_day(at);
    time.split('.').next().unwrap_or_default().to_owned()
}

/// What is read: a part in prose, or the keys.
fn prose(area: Rect, buffer: &mut Buffer, model: &mut Model, style: &Style, now: Micros) {
    let mut rest = Slices(area);
    let title_row = rest.top(1);
    let body = rest.0;
    let (title, lines) = match &model.mode {
        Mode::Explain(path, told) => {
            let fitting = Style {
                width: Some(usize::from(body.width)),
                ..*style
            };
            let text = match told {
                Some(explained) => explained.draw(now, &fitting),
                None => "asking the daemon".to_owned(),
            };
            let lines = text.lines().map(|line| paint::line(line, style)).collect();
            (format!("explain {path}"), lines)
        }
        _ => ("keys".to_owned(), help(style)),
    };
    let lines: Vec<Line<'_>> = lines;
    if !title_row.is_empty() {
        let title = paint::span(Ink::Strong, style.clean(&title), style);
        panes::rule(title_row, buffer, vec![title], style);
    }
    model.fit_prose(lines.len(), body.height.into());
    for (y, line) in (body.y..body.bottom()).zip(lines.iter().skip(model.scroll)) {
        buffer.set_line(body.x, y, line, body.width);
    }
}

fn help(style: &Style) -> Vec<Line<'static>> {
    let keys = HELP
        .iter()
        .map(|(keys, _)| text::cells(keys))
        .max()
        .unwrap_or(0);
    let line = |(key, effect): &(&str, &str)| {
        Line::from(vec![
            paint::span(Ink::Strong, format!("  {}  ", text::left(key, keys)), style),
            Span::raw((*effect).to_owned()),
        ])
    };
    HELP.iter().map(line).collect()
}

/// The question, the filter, what is under way, what came of it, or the keys: whichever is first.
fn footer(area: Rect, buffer: &mut Buffer, model: &Model, style: &Style) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    let (ink, words) = footer_words(model, width, style);
    let words = text::cut(&style.clean(&words), width, style.ellipsis());
    let line = Line::from(paint::span(ink, words, style));
    buffer.set_line(area.x, area.y, &line, area.width);
}

fn footer_words(model: &Model, width: usize, style: &Style) -> (Ink, String) {
    match &model.mode {
        // The question may be cut, never the answers to it.
        Mode::Ask(action, path) => {
            let end = "? y/n";
            let question = match action {
                Action::Restart => format!("restart {path} and what runs below it"),
                Action::Stop => {
                    format!("hold {path}: stop it and what runs below it until it is released")
                }
                Action::Start => format!("start {path}"),
            };
            let room = width.saturating_sub(end.len());
            let question = text::cut(&question, room, style.ellipsis());
            return (Ink::Strong, format!("{question}{end}"));
        }
        Mode::Filter => {
            return (
                Ink::Strong,
                format!(
                    "/{}_  (Enter keeps the filter, Esc takes it away)",
                    model.filter
                ),
            );
        }
        Mode::Browse | Mode::Explain(..) | Mode::Help => {}
    }
    if let Some((ink, words)) = &model.notice {
        return (*ink, words.clone());
    }
    if let Some((action, path)) = &model.under_way {
        return (
            Ink::Caution,
            format!("{} of {path} is under way", action.word()),
        );
    }
    let keys = match (&model.mode, model.filter.is_empty()) {
        (Mode::Explain(..) | Mode::Help, _) => "up/down scroll  Esc back  q back".to_owned(),
        (_, true) => {
            "e explain  r restart  h hold  l release  Enter fold  / filter  ? help  q quit"
                .to_owned()
        }
        (_, false) => format!(
            "filter: {}  (Esc takes it away)  ? help  q quit",
            model.filter
        ),
    };
    (Ink::Faint, keys)
}
