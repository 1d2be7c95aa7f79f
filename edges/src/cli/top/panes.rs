//! What stands below the tree: the selected part in a few lines, and the last changes. Pure.

use ground::Micros;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};
use serde_json::Value;
use supervisor::Level;

use super::{
    super::{
        document::{Cause, Node},
        render::{
            event,
            tree::{level_words, millis},
        },
        screen::{Ink, Style},
        span, text,
    },
    model::Model,
    paint,
    table::{in_hand, level_ink},
};

/// Cells of the labels.
const LABEL: usize = 10;
/// Lines that one fact takes at most, so that the next ones are seen as well.
const FACT_LINES: usize = 2;

/// A rule across the whole width with words in it.
pub(crate) fn rule(area: Rect, buffer: &mut Buffer, words: Vec<Span<'static>>, style: &Style) {
    let dash = if style.unicode { "─" } else { "-" };
    let faint = |count: usize| paint::span(Ink::Faint, dash.repeat(count), style);
    let mut spans = vec![faint(2), Span::raw(" ")];
    spans.extend(words);
    spans.push(Span::raw(" "));
    let taken: usize = spans.iter().map(Span::width).sum();
    spans.push(faint(usize::from(area.width).saturating_sub(taken)));
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
}

/// The selected part: why, what is lost, what serves instead, and what is known beyond.
pub(crate) fn detail(area: Rect, buffer: &mut Buffer, model: &Model, style: &Style, now: Micros) {
    let Some(part) = model.selected() else {
        return;
    };
    let node = &part.node;
    let title = vec![
        paint::span(Ink::Strong, style.clean(&node.path), style),
        Span::raw(" "),
        paint::span(level_ink(node), level_words(node), style),
    ];
    rule(area, buffer, title, style);
    let room = usize::from(area.width).saturating_sub(LABEL + 2);
    let facts = facts(node, now);
    let lines = facts.iter().flat_map(|(label, words)| {
        let words = fact_lines(&style.clean(words), room, style).into_iter();
        words.enumerate().map(move |(index, words)| {
            let label = if index == 0 { label } else { "" };
            Line::from(vec![
                paint::span(Ink::Faint, format!("  {}", text::left(label, LABEL)), style),
                Span::raw(words),
            ])
        })
    });
    for (y, line) in (area.y.saturating_add(1)..area.bottom()).zip(lines) {
        buffer.set_line(area.x, y, &line, area.width);
    }
}

/// `words` on at most [`FACT_LINES`] lines.
fn fact_lines(words: &str, room: usize, style: &Style) -> Vec<String> {
    let mut lines = text::wrap(words, Some(room));
    if lines.len() > FACT_LINES {
        let rest = lines.split_off(FACT_LINES - 1).join(" ");
        lines.push(text::cut(&rest, room, style.ellipsis()));
    }
    lines
}

/// What there is to tell, the most important first.
fn facts(node: &Node, now: Micros) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if node.level != Level::Normal {
        let cause = node.cause.as_ref().map(|cause| cause_words(node, cause));
        facts.push(("cause", cause.unwrap_or_else(|| "none is known".to_owned())));
        let or_nothing =
            |words: &Option<String>| words.clone().unwrap_or_else(|| "nothing".to_owned());
        facts.push(("impact", or_nothing(&node.impact)));
        facts.push(("fallback", or_nothing(&node.fallback)));
    }
    if let Some(wait) = planned(node, now) {
        facts.push(("next", wait));
    }
    if let Some(reason) = &node.restarts.last_reason {
        let when = node
            .restarts
            .last_at
            .map(|at| format!(", {} ago", span::words(now.since(at))));
        facts.push(("last end", format!("{reason}{}", when.unwrap_or_default())));
    }
    if let Some(reason) = node.detail.get("disabled").and_then(Value::as_str) {
        facts.push(("disabled", reason.to_owned()));
    }
    if let Some(name) = in_hand(node) {
        facts.push(("in hand", name.to_owned()));
    }
    if let Some(latency) = node.latency_ms {
        let (median, p99) = (millis(latency.p50), millis(latency.p99));
        facts.push((
            "latency",
            format!("{median} median, {p99} at the 99th percentile"),
        ));
    }
    let known = node
        .detail
        .iter()
        .filter_map(|(name, value)| own_fact(name, value));
    let known: Vec<_> = known.collect();
    if !known.is_empty() {
        facts.push(("detail", known.join(", ")));
    }
    if let Some(since) = node.since {
        let kind = if node.kind.is_empty() {
            "part"
        } else {
            &node.kind
        };
        facts.push((
            "kind",
            format!("{kind}, as it is since {}", span::moment(since)),
        ));
    }
    facts
}

/// What the part tells of itself, without what is shown elsewhere.
fn own_fact(name: &str, value: &Value) -> Option<String> {
    if matches!(name, "next" | "disabled" | "in_hand") {
        return None;
    }
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    Some(format!("{} {value}", name.replace('_', " ")))
}

pub(crate) fn cause_words(node: &Node, cause: &Cause) -> String {
    let place = if cause.path == node.path {
        String::new()
    } else {
        format!("{}: ", cause.path)
    };
    let code = if cause.code.is_empty() {
        String::new()
    } else {
        format!(" ({})", cause.code)
    };
    format!("{place}{}{code}", cause.message)
}

fn planned(node: &Node, now: Micros) -> Option<String> {
    let at: Micros = node.detail.get("next")?.as_str()?.parse().ok()?;
    Some(format!(
        "it is tried again in {}",
        span::words(at.since(now))
    ))
}

/// The last changes, the newest at the bottom.
pub(crate) fn events(area: Rect, buffer: &mut Buffer, model: &Model, style: &Style) {
    rule(
        area,
        buffer,
        vec![paint::span(Ink::Strong, "last changes", style)],
        style,
    );
    let room = usize::from(area.height.saturating_sub(1));
    let fitting = Style {
        width: Some(usize::from(area.width).saturating_sub(2)),
        ..*style
    };
    let from = model.events.len().saturating_sub(room);
    let rows = area.y.saturating_add(1)..area.bottom();
    for (y, change) in rows.zip(model.events.iter().skip(from)) {
        let painted = event::draw(change, &fitting);
        let line = paint::line(painted.trim_end_matches('\n'), style);
        buffer.set_line(
            area.x.saturating_add(2),
            y,
            &line,
            area.width.saturating_sub(2),
        );
    }
}
