//! The status tree: one row a node, and below a node that is not well its cause, what the user loses and what serves
//! instead.
//!
//! A line is never wider than the terminal: the columns that matter least go first (p99, mailbox, restarts, since), then
//! names are cut, and sentences are wrapped. Many healthy siblings (a thousand terminals) fold into one line on a terminal;
//! a pipe gets every row. A cause is told once, at the node where it began, and pointed at elsewhere.

use std::collections::HashSet;

use ground::Micros;
use supervisor::{Level, State};

use super::{
    super::{
        document::{Cause, Node},
        screen::{Ink, Style},
        span, text,
    },
    line::Line,
};

/// More children of one node than this, all well, fold on a terminal.
const FOLD_OVER: usize = 8;
/// How many of them are still shown.
const FOLD_TO: usize = 3;
/// Lines that one sentence below a node takes at most.
const NOTE_LINES: usize = 3;
/// Cells that a name keeps while another column can still go.
const NAME_MIN: usize = 18;
/// Cells between columns.
const GAP: usize = 2;
const HEADINGS: [&str; 5] = ["LEVEL", "SINCE", "RESTARTS", "MAILBOX", "P99"];

/// Draws `top` and what is below it, as of `now`.
pub(crate) fn draw(top: &Node, now: Micros, style: &Style) -> String {
    let told = top
        .walk()
        .filter(|node| has_own_cause(node))
        .map(|node| node.path.as_str())
        .collect();
    let mut drawing = Drawing {
        now,
        style,
        told,
        rows: Vec::new(),
    };
    drawing.node(top, &top.path, &Stem::default(), None);
    let columns = Columns::fitting(&drawing.rows, style);
    let mut out = String::new();
    summary(top, now, style).finish(style, &mut out);
    out.push('\n');
    columns.heading().finish(style, &mut out);
    for row in drawing.rows {
        columns.row(&row).finish(style, &mut out);
        for note in row.notes {
            note.finish(style, &mut out);
        }
    }
    out
}

/// The first line: how the whole is, since when, and why.
fn summary(top: &Node, now: Micros, style: &Style) -> Line {
    let mut line = Line::default();
    line.push(if top.path == "/" {
        "mainstay is ".to_owned()
    } else {
        format!("{} is ", style.clean(&top.path))
    });
    line.paint(Ink::of_level(top.level), level_words(top));
    if let Some(since) = top.since {
        line.push(format!(" since {}", span::words(now.since(since))));
    }
    if let Some(cause) = top.cause.as_ref().filter(|_| top.level != Level::Normal) {
        let place = if cause.path == top.path {
            String::new()
        } else {
            format!("{}: ", cause.path)
        };
        line.push(style.clean(&format!(": {place}{}", cause.message)));
    }
    line
}

fn has_own_cause(node: &Node) -> bool {
    node.level != Level::Normal
        && node
            .cause
            .as_ref()
            .is_some_and(|cause| cause.path == node.path)
}

/// `NORMAL`, or with what the node is doing where that is not simply running.
pub(crate) fn level_words(node: &Node) -> String {
    match node.state {
        State::Running => node.level.word().to_owned(),
        State::Disabled => State::Disabled.word().to_owned(),
        state => format!("{} {}", node.level.word(), state.word()),
    }
}

/// What is drawn left of a node's name, and left of everything below it.
#[derive(Default)]
struct Stem {
    own: String,
    below: String,
}

impl Stem {
    fn child(&self, is_last: bool, style: &Style) -> Self {
        let (own, below) = match (style.unicode, is_last) {
            (true, false) => ("├─ ", "│  "),
            (true, true) => ("└─ ", "   "),
            (false, false) => ("|- ", "|  "),
            (false, true) => ("`- ", "   "),
        };
        Self {
            own: format!("{}{own}", self.below),
            below: format!("{}{below}", self.below),
        }
    }
}

struct Row {
    stem: String,
    name: String,
    ink: Option<Ink>,
    /// `None` for a row that tells of several nodes.
    cells: Option<[String; 5]>,
    notes: Vec<Line>,
}

struct Drawing<'a> {
    now: Micros,
    style: &'a Style,
    /// Nodes that tell their own cause, so that others only point at them.
    told: HashSet<&'a str>,
    rows: Vec<Row>,
}

impl Drawing<'_> {
    fn node(&mut self, node: &Node, name: &str, stem: &Stem, impact_above: Option<&str>) {
        let is_top = self.rows.is_empty();
        let folded = if is_top || self.style.width.is_none() {
            HashSet::new()
        } else {
            folded(node)
        };
        let shown: Vec<_> = node
            .children
            .iter()
            .filter(|child| !folded.contains(child.path.as_str()))
            .collect();
        let guide = stem.child(node.children.is_empty(), self.style).below;
        // The first line of all has told the cause already, unless nothing below it is shown.
        let notes = if is_top && !shown.is_empty() {
            Vec::new()
        } else {
            self.notes(node, &guide, impact_above)
        };
        self.rows.push(Row {
            stem: stem.own.clone(),
            name: self.style.clean(name),
            ink: (node.state != State::Disabled).then(|| Ink::of_level(node.level)),
            cells: Some(cells(node, self.now)),
            notes,
        });
        let impact = if is_top {
            None
        } else {
            node.impact.as_deref().or(impact_above)
        };
        for (index, child) in shown.iter().enumerate() {
            let is_last = index + 1 == shown.len() && folded.is_empty();
            self.node(
                child,
                child.name(),
                &stem.child(is_last, self.style),
                impact,
            );
        }
        if !folded.is_empty() {
            self.rows.push(Row {
                stem: stem.child(true, self.style).own,
                name: format!(
                    "{} {} more, all NORMAL",
                    self.style.ellipsis(),
                    folded.len()
                ),
                ink: None,
                cells: None,
                notes: Vec::new(),
            });
        }
    }

    /// Cause, impact, fallback of a node that is not well.
    fn notes(&self, node: &Node, guide: &str, impact_above: Option<&str>) -> Vec<Line> {
        if node.level == Level::Normal {
            return Vec::new();
        }
        let cause = node.cause.as_ref().map(|cause| self.cause(node, cause));
        let impact = node
            .impact
            .as_deref()
            .filter(|impact| Some(*impact) != impact_above);
        let all = [
            ("cause", cause.as_deref()),
            ("impact", impact),
            ("fallback", node.fallback.as_deref()),
        ];
        let told = all
            .into_iter()
            .filter_map(|(label, text)| Some((label, text?)));
        told.flat_map(|(label, text)| self.note(guide, label, text))
            .collect()
    }

    fn cause(&self, node: &Node, cause: &Cause) -> String {
        if cause.path == node.path {
            cause_words(cause)
        } else if self.told.contains(cause.path.as_str()) {
            format!("see {}", cause.path)
        } else {
            format!("{}: {}", cause.path, cause_words(cause))
        }
    }

    fn note(&self, guide: &str, label: &str, words: &str) -> Vec<Line> {
        let label_cells = "fallback: ".len();
        let used = text::cells(guide) + label_cells;
        let width = self
            .style
            .width
            .map(|width| width.saturating_sub(used).max(8));
        let mut lines = text::wrap(&self.style.clean(words), width);
        if lines.len() > NOTE_LINES {
            let rest = lines.split_off(NOTE_LINES - 1).join(" ");
            lines.push(text::cut(
                &rest,
                width.unwrap_or(usize::MAX),
                self.style.ellipsis(),
            ));
        }
        let mut out = Vec::new();
        for (index, words) in lines.into_iter().enumerate() {
            let label = if index == 0 {
                format!("{label}:")
            } else {
                String::new()
            };
            let mut line = Line::default();
            line.paint(Ink::Faint, guide);
            line.paint(Ink::Faint, text::left(&label, label_cells));
            line.push(words);
            out.push(line);
        }
        out
    }
}

/// `message (code)`.
fn cause_words(cause: &Cause) -> String {
    match (cause.message.is_empty(), cause.code.is_empty()) {
        (false, false) => format!("{} ({})", cause.message, cause.code),
        (false, true) => cause.message.clone(),
        (true, _) => cause.code.clone(),
    }
}

/// The children that fold into one line: the healthy ones, where they are many.
fn folded(node: &Node) -> HashSet<&str> {
    let healthy = |child: &&Node| {
        child
            .walk()
            .all(|node| node.level == Level::Normal && node.state == State::Running)
    };
    let well: Vec<_> = node.children.iter().filter(healthy).collect();
    let from = if well.len() > FOLD_OVER {
        FOLD_TO
    } else {
        well.len()
    };
    well.iter()
        .skip(from)
        .map(|child| child.path.as_str())
        .collect()
}

fn cells(node: &Node, now: Micros) -> [String; 5] {
    let nothing = || "-".to_owned();
    let restarts = &node.restarts;
    [
        level_words(node),
        node.since
            .map_or_else(nothing, |since| span::short(now.since(since))),
        match (restarts.count, restarts.in_window) {
            (0, _) if restarts.budget == 0 => nothing(),
            (count, 0) => count.to_string(),
            (count, in_window) => format!("{count} ({in_window}/{})", restarts.budget),
        },
        node.mailbox.map_or_else(nothing, |mailbox| {
            format!("{}/{}", mailbox.depth, mailbox.limit)
        }),
        node.latency_ms
            .map_or_else(nothing, |latency| millis(latency.p99)),
    ]
}

/// Milliseconds in a form of at most seven cells.
pub(crate) fn millis(value: f64) -> String {
    match value {
        _ if !value.is_finite() || value < 0.0 => "-".to_owned(),
        _ if value < 0.01 => "0 ms".to_owned(),
        _ if value < 1.0 => format!("{value:.2} ms"),
        _ if value < 10.0 => format!("{value:.1} ms"),
        _ if value < 1_000.0 => format!("{value:.0} ms"),
        _ if value < 100_000.0 => format!("{:.1} s", value / 1_000.0),
        _ => format!("{:.0} s", value / 1_000.0),
    }
}

/// How wide each column is; the last ones may be left out.
struct Columns {
    name: usize,
    cells: Vec<usize>,
    ellipsis: &'static str,
}

impl Columns {
    fn fitting(rows: &[Row], style: &Style) -> Self {
        let ellipsis = style.ellipsis();
        let nodes = || {
            rows.iter()
                .filter_map(|row| Some((row, row.cells.as_ref()?)))
        };
        let names = nodes().map(|(row, _)| text::cells(&row.stem) + text::cells(&row.name));
        let name = names.max().unwrap_or(0).max("NAME".len());
        let widest = |index: usize| {
            nodes()
                .map(|(_, cells)| text::cells(&cells[index]))
                .max()
                .unwrap_or(0)
        };
        let mut cells: Vec<_> = (0..HEADINGS.len())
            .map(|index| widest(index).max(HEADINGS[index].len()))
            .collect();
        let Some(width) = style.width else {
            return Self {
                name,
                cells,
                ellipsis,
            };
        };
        let taken = |cells: &[usize]| cells.iter().map(|cell| cell + GAP).sum::<usize>();
        while cells.len() > 1 && taken(&cells) + name.min(NAME_MIN) > width {
            cells.pop();
        }
        Self {
            name: name.min(width.saturating_sub(taken(&cells)).max(6)),
            cells,
            ellipsis,
        }
    }

    fn heading(&self) -> Line {
        let mut line = Line::default();
        line.paint(Ink::Faint, text::left("NAME", self.name));
        for (index, width) in self.cells.iter().enumerate() {
            line.paint(Ink::Faint, aligned(index, HEADINGS[index], *width));
        }
        line
    }

    fn row(&self, row: &Row) -> Line {
        let mut line = Line::default();
        let Some(cells) = &row.cells else {
            line.paint(Ink::Faint, format!("{}{}", row.stem, row.name));
            return line;
        };
        let stem = text::cut(&row.stem, self.name.saturating_sub(3), "");
        let room = self.name - text::cells(&stem);
        line.paint(Ink::Faint, stem);
        let name = text::left(&text::cut(&row.name, room, self.ellipsis), room);
        if row.ink.is_some() {
            line.push(name);
        } else {
            line.paint(Ink::Faint, name);
        }
        for (index, width) in self.cells.iter().enumerate() {
            let cell = aligned(index, &cells[index], *width);
            match row.ink {
                Some(ink) if index == 0 => line.paint(ink, cell),
                Some(_) => line.push(cell),
                None => line.paint(Ink::Faint, cell),
            }
        }
        line
    }
}

/// The level stands left in its column, numbers right.
fn aligned(index: usize, cell: &str, width: usize) -> String {
    let gap = " ".repeat(GAP);
    if index == 0 {
        format!("{gap}{}", text::left(cell, width))
    } else {
        format!("{gap}{}", text::right(cell, width))
    }
}
