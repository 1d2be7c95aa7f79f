//! The tree as a table. Pure.
//!
//! Columns keep their widths while one scrolls, so that nothing jumps; where the terminal is narrow, the ones that tell least
//! go first.

use ground::Micros;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
};
use serde_json::Value;
use supervisor::{Level, State};

use super::{
    super::{
        document::Node,
        render::tree::millis,
        screen::{Ink, Style},
        span, text,
    },
    model::{Fold, Link, Model, Row},
    paint,
    tree::Part,
};

/// Cells that a name keeps while a column can still go.
const NAME_MIN: usize = 18;
const GAP: usize = 2;

/// What a column tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Level,
    State,
    Since,
    Restarts,
    Mailbox,
    InHand,
    P99,
    Rate,
}

/// From left to right, with heading and width in cells.
const COLUMNS: [(Column, &str, usize); 8] = [
    (Column::Level, "LEVEL", 8),
    (Column::State, "STATE", 11),
    (Column::Since, "SINCE", 5),
    (Column::Restarts, "RESTARTS", 9),
    (Column::Mailbox, "MAILBOX", 9),
    (Column::InHand, "IN HAND", 14),
    (Column::P99, "P99", 7),
    (Column::Rate, "REPLIES/S", 9),
];
/// Which go first where there is no room.
const LEAVING: [Column; 7] = [
    Column::InHand,
    Column::Rate,
    Column::Mailbox,
    Column::P99,
    Column::Since,
    Column::Restarts,
    Column::State,
];

/// The columns that there is room for, and what is left for the name.
struct Columns {
    shown: Vec<(Column, &'static str, usize)>,
    name: usize,
}

impl Columns {
    fn fitting(width: usize) -> Self {
        let mut shown = COLUMNS.to_vec();
        let taken = |shown: &[(Column, &str, usize)]| -> usize {
            shown.iter().map(|(_, _, cells)| cells + GAP).sum()
        };
        for column in LEAVING {
            if taken(&shown) + NAME_MIN <= width {
                break;
            }
            shown.retain(|(one, _, _)| *one != column);
        }
        Self {
            name: width.saturating_sub(taken(&shown)),
            shown,
        }
    }
}

impl Column {
    /// Words stand left in their column, numbers right.
    fn aligned(self, cell: &str, cells: usize, style: &Style) -> String {
        let cell = text::cut(cell, cells, style.ellipsis());
        match self {
            Self::Level | Self::State | Self::InHand => text::left(&cell, cells),
            _ => text::right(&cell, cells),
        }
    }
}

/// The headings.
pub(crate) fn heading(area: Rect, buffer: &mut Buffer, style: &Style) {
    let columns = Columns::fitting(area.width.into());
    let mut words = text::left("PART", columns.name);
    for (column, heading, cells) in &columns.shown {
        words.push_str(&" ".repeat(GAP));
        words.push_str(&column.aligned(heading, *cells, style));
    }
    let line = Line::from(paint::span(Ink::Faint, words, style));
    buffer.set_line(area.x, area.y, &line, area.width);
}

/// The rows that are in view.
pub(crate) fn rows(area: Rect, buffer: &mut Buffer, model: &Model, style: &Style, now: Micros) {
    let columns = Columns::fitting(area.width.into());
    let in_view = model.rows.iter().enumerate().skip(model.first);
    for (y, (index, row)) in (area.y..area.bottom()).zip(in_view) {
        let Some(part) = model.tree.get(row.part) else {
            continue;
        };
        let mut line = line(part, *row, &columns, style, now);
        if index == model.selected {
            line = line.patch_style(Modifier::REVERSED);
        } else if model.link != Link::Up && style.colour {
            // What was true when the daemon was last seen.
            line = line.patch_style(Modifier::DIM);
        }
        buffer.set_line(area.x, y, &line, area.width);
    }
}

fn line(part: &Part, row: Row, columns: &Columns, style: &Style, now: Micros) -> Line<'static> {
    let mut spans = name(part, row, columns.name, style);
    for (column, _, cells) in &columns.shown {
        let (ink, words) = cell(*column, part, now);
        let words = column.aligned(&style.clean(&words), *cells, style);
        spans.push(Span::raw(" ".repeat(GAP)));
        spans.push(match ink {
            Some(ink) => paint::span(ink, words, style),
            None => Span::raw(words),
        });
    }
    Line::from(spans)
}

/// Rails, name, and what is folded below it, in exactly `cells` cells.
fn name(part: &Part, row: Row, cells: usize, style: &Style) -> Vec<Span<'static>> {
    let stem = text::cut(&stem(part, row, style), cells.saturating_sub(4), "");
    let room = cells.saturating_sub(text::cells(&stem));
    let name = style.clean(part.node.name());
    let (ink, folded) = folded(part, row.fold, room.saturating_sub(text::cells(&name)));
    let folded = text::cut(&folded, room.saturating_sub(4), "");
    let room_for_name = room.saturating_sub(text::cells(&folded));
    let name = text::cut(&name, room_for_name, style.ellipsis());
    let rest = room_for_name.saturating_sub(text::cells(&name));
    let own_ink = if part.node.state == State::Disabled {
        Some(Ink::Faint)
    } else {
        (part.depth <= 1).then_some(Ink::Strong)
    };
    vec![
        paint::span(Ink::Faint, stem, style),
        own_ink.map_or_else(
            || Span::raw(name.clone()),
            |ink| paint::span(ink, name.clone(), style),
        ),
        paint::span(ink, folded, style),
        Span::raw(" ".repeat(rest)),
    ]
}

/// How many parts are folded away and how many of them are not well, in words where there is `room` for them.
fn folded(part: &Part, fold: Fold, room: usize) -> (Ink, String) {
    let below = part.below;
    match (fold, part.unwell) {
        (Fold::Closed, 0) => (Ink::Faint, format!(" ({below})")),
        (Fold::Closed, unwell) => {
            let words = format!(" ({below}, {unwell} unwell)");
            let short = format!(" ({unwell}!)");
            let fits = text::cells(&words) <= room;
            (Ink::Caution, if fits { words } else { short })
        }
        _ => (Ink::Faint, String::new()),
    }
}

/// What is drawn left of a name.
fn stem(part: &Part, row: Row, style: &Style) -> String {
    let (on, last, rail, open, closed) = if style.unicode {
        ("├─", "└─", "│ ", "▾", "▸")
    } else {
        ("|-", "`-", "| ", "-", "+")
    };
    let goes_on = |step: usize| row.rails >> step.min(63) & 1 == 1;
    let mut stem = String::new();
    for step in 1..part.depth {
        stem.push_str(if goes_on(step) { rail } else { "  " });
    }
    if part.depth > 0 {
        stem.push_str(if goes_on(part.depth) { on } else { last });
    }
    stem.push_str(match row.fold {
        Fold::Leaf if part.depth == 0 => "",
        Fold::Leaf => " ",
        Fold::Open => open,
        Fold::Closed => closed,
    });
    if row.fold != Fold::Leaf {
        stem.push(' ');
    }
    stem
}

fn cell(column: Column, part: &Part, now: Micros) -> (Option<Ink>, String) {
    let node = &part.node;
    let nothing = || "-".to_owned();
    match column {
        Column::Level => (Some(level_ink(node)), node.level.word().to_owned()),
        Column::State => (Some(state_ink(node)), node.state.word().to_owned()),
        Column::Since => (
            None,
            node.since
                .map_or_else(nothing, |since| span::short(now.since(since))),
        ),
        Column::Restarts => restarts(node),
        Column::Mailbox => mailbox(node),
        Column::InHand => (None, in_hand(node).map_or_else(nothing, str::to_owned)),
        Column::P99 => (
            None,
            node.latency_ms
                .map_or_else(nothing, |latency| millis(latency.p99)),
        ),
        Column::Rate => (None, part.rate.map_or_else(nothing, rate_words)),
    }
}

/// The message that the part handles at this moment.
pub(crate) fn in_hand(node: &Node) -> Option<&str> {
    let name = node.detail.get("in_hand").and_then(Value::as_str)?;
    (!name.is_empty()).then_some(name)
}

pub(crate) fn level_ink(node: &Node) -> Ink {
    if node.state == State::Disabled {
        Ink::Faint
    } else {
        Ink::of_level(node.level)
    }
}

fn state_ink(node: &Node) -> Ink {
    match node.state {
        State::Running | State::Disabled => Ink::Faint,
        _ if node.level == Level::Normal => Ink::Caution,
        _ => Ink::of_level(node.level),
    }
}

fn restarts(node: &Node) -> (Option<Ink>, String) {
    let restarts = &node.restarts;
    match (restarts.count, restarts.in_window) {
        (0, _) if restarts.budget == 0 => (None, "-".to_owned()),
        (count, 0) => (None, count.to_string()),
        (count, in_window) => {
            let ink = if in_window + 1 >= restarts.budget {
                Ink::Bad
            } else {
                Ink::Caution
            };
            (
                Some(ink),
                format!("{count} ({in_window}/{})", restarts.budget),
            )
        }
    }
}

fn mailbox(node: &Node) -> (Option<Ink>, String) {
    let Some(mailbox) = node.mailbox else {
        return (None, "-".to_owned());
    };
    let ink = match mailbox.depth.saturating_mul(100) / mailbox.limit.max(1) {
        0..50 => None,
        50..90 => Some(Ink::Caution),
        _ => Some(Ink::Bad),
    };
    (ink, format!("{}/{}", mailbox.depth, mailbox.limit))
}

/// A rate in at most nine cells.
fn rate_words(rate: f64) -> String {
    match rate {
        _ if !rate.is_finite() || rate < 0.0 => "-".to_owned(),
        _ if rate < 0.05 => "0".to_owned(),
        _ if rate < 10.0 => format!("{rate:.1}"),
        _ if rate < 100_000.0 => format!("{rate:.0}"),
        _ => format!("{:.0}k", rate / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_least_goes_first() {
        let shown = |width| {
            let columns = Columns::fitting(width);
            let taken: usize = columns.shown.iter().map(|(_, _, cells)| cells + GAP).sum();
            assert!(
                columns.name + taken == width || columns.name == 0,
                "{width}"
            );
            columns.shown.len()
        };
        assert_eq!(shown(120), COLUMNS.len());
        assert_eq!(shown(20), 1);
        assert!((20..200).all(|width| shown(width) <= shown(width + 1)));
        let at_80 = Columns::fitting(80).shown;
        for column in [Column::Level, Column::State, Column::Restarts, Column::P99] {
            assert!(at_80.iter().any(|(one, _, _)| *one == column), "{column:?}");
        }
    }

    #[test]
    fn rates_are_told_in_nine_cells() {
        for (rate, words) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.5, "0.5"),
            (99.6, "100"),
            (123_456.0, "123k"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(rate_words(rate), words);
        }
        assert!(rate_words(1e15).len() > 9, "beyond what can be");
        assert!(rate_words(99_999_999.0).len() <= 9);
    }
}
