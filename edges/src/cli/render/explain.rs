//! One node in prose: how it is, why, what the user loses, what serves instead, what happens next and what the operator
//! can do. The same facts as in the status document, in the order in which a person asks.

use std::{fmt::Write as _, time::Duration};

use ground::Micros;
use serde_json::Value;
use supervisor::{Level, State};

use super::{
    super::{
        document::{Cause, Event, Node},
        screen::{Ink, Style},
        span, text,
    },
    event, line,
    tree::{level_words, millis},
};

/// Nodes below that are named, at most.
const BELOW_LIMIT: usize = 10;
const INDENT: &str = "  ";

/// What is told about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// Its domain, where the node lies inside of one: what users lose is known there.
    pub(crate) domain: Option<&'a Node>,
    /// The run that the daemon is in, where it is known.
    pub(crate) run: Option<i64>,
    /// What ended unasked last, here and below, oldest first.
    pub(crate) ends: &'a [Event],
    /// Its last changes, oldest first.
    pub(crate) events: &'a [Event],
}

/// Tells about `subject` as of `now`.
pub(crate) fn draw(subject: Subject<'_>, now: Micros, style: &Style) -> String {
    let node = subject.node;
    let mut text = Prose {
        style,
        out: String::new(),
    };
    opening(node, now, &mut text);
    if node.level != Level::Normal {
        why(node, now, &mut text);
        text.section(
            "What you lose",
            [lost(
                subject,
                |node| node.impact.as_deref(),
                "nothing that a user would notice",
            )],
        );
        text.section(
            "What serves instead",
            [lost(subject, |node| node.fallback.as_deref(), "nothing")],
        );
    }
    text.section("What happens next", [next(node, now)]);
    possible(node, &mut text);
    below(node, &mut text);
    facts(node, now, &mut text);
    history(
        "Last ends",
        subject.ends,
        subject.run,
        &mut text,
        |event, text| {
            end(event, now, text);
        },
    );
    history(
        "Last changes",
        subject.events,
        subject.run,
        &mut text,
        |event, text| {
            change(event, now, text);
        },
    );
    text.out
}

/// Events under a heading; those from before the daemon was last started are told as such.
fn history(
    heading: &str,
    events: &[Event],
    run: Option<i64>,
    text: &mut Prose<'_>,
    tell: impl Fn(&Event, &mut Prose<'_>),
) {
    if events.is_empty() {
        return;
    }
    text.heading(heading);
    let is_earlier = |event: &Event| run.is_some() && event.run.is_some() && event.run != run;
    let (earlier, present): (Vec<_>, Vec<_>) = events.iter().partition(|event| is_earlier(event));
    if let Some(run) = run.filter(|_| !earlier.is_empty()) {
        let started = span::moment(Micros(run));
        text.paragraph(&format!("before the daemon was started at {started}:"));
        for event in earlier {
            tell(event, text);
        }
        let since = if present.is_empty() {
            "since then: none"
        } else {
            "since then:"
        };
        text.paragraph(since);
    }
    for event in present {
        tell(event, text);
    }
}

/// One of the last ends: which node and how, and below it what is known of it.
fn end(event: &Event, now: Micros, text: &mut Prose<'_>) {
    let mut line = line::Line::default();
    if let Some(at) = event.at {
        line.paint(Ink::Faint, format!("{INDENT}{}  ", event::time(at, now)));
    }
    line.push(format!("{}  ", text.style.clean(&event.path)));
    let kind = event.end.as_ref().and_then(|end| end.kind.as_deref());
    let kind = kind.map(|kind| kind.replace('_', " "));
    let kind = kind.unwrap_or_else(|| event.state.word().to_owned());
    line.paint(Ink::of_level(event.level), text.style.clean(&kind));
    line.finish(text.style, &mut text.out);
    for remark in event::remarks(event)
        .into_iter()
        .chain(circumstances(event))
    {
        text.paragraph_at(&remark, 2);
    }
}

/// What the node had in hand when it ended.
fn circumstances(event: &Event) -> Option<String> {
    let end = event.end.as_ref()?;
    let words: Vec<String> = [
        end.message_type
            .as_ref()
            .map(|name| format!("while it handled {name}")),
        end.mailbox_depth
            .map(|depth| format!("{depth} in the mailbox")),
        end.location.as_ref().map(|place| format!("at {place}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What the node itself says of impact or fallback, else its domain, else `nothing`.
fn lost<'a>(
    subject: Subject<'a>,
    of: impl Fn(&'a Node) -> Option<&'a str>,
    nothing: &str,
) -> String {
    let domain = subject
        .domain
        .filter(|domain| domain.level != Level::Normal);
    match (
        of(subject.node),
        domain.and_then(|domain| Some((domain, of(domain)?))),
    ) {
        (Some(words), _) => sentence(words),
        (None, Some((domain, words))) => sentence(&format!("in {}: {words}", domain.path)),
        (None, None) => sentence(nothing),
    }
}

struct Prose<'s> {
    style: &'s Style,
    out: String,
}

impl Prose<'_> {
    fn heading(&mut self, words: &str) {
        self.out.push('\n');
        let mut line = line::Line::default();
        line.paint(Ink::Strong, words);
        line.finish(self.style, &mut self.out);
    }

    fn section<S: AsRef<str>>(&mut self, heading: &str, paragraphs: impl IntoIterator<Item = S>) {
        self.heading(heading);
        for paragraph in paragraphs {
            self.paragraph(paragraph.as_ref());
        }
    }

    fn paragraph(&mut self, words: &str) {
        self.paragraph_at(words, 1);
    }

    /// A paragraph this many steps from the left.
    fn paragraph_at(&mut self, words: &str, steps: usize) {
        let indent = INDENT.repeat(steps);
        let width = self
            .style
            .width
            .map(|width| width.saturating_sub(indent.len()));
        for words in text::wrap(&self.style.clean(words), width) {
            let mut line = line::Line::default();
            line.push(format!("{indent}{words}"));
            line.finish(self.style, &mut self.out);
        }
    }
}

fn opening(node: &Node, now: Micros, text: &mut Prose<'_>) {
    let style = text.style;
    let mut line = line::Line::default();
    line.paint(
        Ink::Strong,
        if node.path == "/" {
            "mainstay".to_owned()
        } else {
            style.clean(&node.path)
        },
    );
    line.push(" is ");
    line.paint(
        Ink::of_level(node.level),
        level_words(node).replacen(' ', " and ", 1),
    );
    if let Some(since) = node.since {
        line.push(format!(" since {}", span::words(now.since(since))));
    }
    line.finish(style, &mut text.out);
    let since = node
        .since
        .map(|since| format!(" It has been so since {}.", span::moment(since)))
        .unwrap_or_default();
    text.paragraph(&format!("{}{since}", what_it_is(node)));
}

fn what_it_is(node: &Node) -> String {
    let domain = node.path.split('/').nth(1).unwrap_or_default();
    match node.kind.as_str() {
        "root" => "It is the whole system; its level is the worst of what its domains let count."
            .to_owned(),
        "domain" => "It is a domain: a part that users know by name.".to_owned(),
        "group" => format!(
            "It is a supervisor inside the domain {domain}; it serves by what runs below it."
        ),
        "actor" => format!("It is an actor of the domain {domain}."),
        "dependency" => format!("It lies outside of this process; the domain {domain} needs it."),
        other => format!("It is of the kind {other}."),
    }
}

fn why(node: &Node, now: Micros, text: &mut Prose<'_>) {
    let Some(cause) = &node.cause else {
        text.section(
            "Why",
            [match node.state {
                State::Stopped | State::Stopping => "It was stopped.",
                State::Starting => "It has not become ready yet.",
                _ => "No cause is known.",
            }],
        );
        return;
    };
    text.section("Why", [cause_sentence(node, cause, now)]);
    if cause.chain.len() > 1 {
        let arrow = format!(" {} ", text.style.arrow());
        text.paragraph(&format!(
            "From the root cause to here: {}.",
            cause.chain.join(&arrow)
        ));
    }
    if let Some(reason) = &node.restarts.last_reason
        && !cause.message.contains(reason.as_str())
    {
        let when = node
            .restarts
            .last_at
            .map(|at| format!(", {} ago", span::words(now.since(at))))
            .unwrap_or_default();
        text.paragraph(&format!("It last ended because: {reason}{when}."));
    }
    if !node.also.is_empty() {
        let others = node.also.iter();
        text.section(
            "What else is wrong",
            others.map(|cause| cause_sentence(node, cause, now)),
        );
    }
}

fn cause_sentence(node: &Node, cause: &Cause, now: Micros) -> String {
    let place = if cause.path == node.path {
        "It began here".to_owned()
    } else {
        format!("It began at {}", cause.path)
    };
    let when = cause
        .since
        .map(|since| format!(" {} ago", span::words(now.since(since))))
        .unwrap_or_default();
    let code = if cause.code.is_empty() {
        String::new()
    } else {
        format!(" ({})", cause.code)
    };
    format!(
        "{place}{when}: {}{code}.",
        cause.message.trim_end_matches('.')
    )
}

/// `words` as a sentence: with a capital and a full stop.
fn sentence(words: &str) -> String {
    let words = words.trim();
    let mut chars = words.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let stop = if words.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.to_uppercase(), chars.as_str())
}

/// What the supervisor does next, and when where it has a plan.
fn next(node: &Node, now: Micros) -> String {
    let planned = node.detail.get("next").and_then(Value::as_str);
    if let Some(at) = planned.and_then(|at| at.parse::<Micros>().ok()) {
        let attempt = if node.state == State::Quarantined {
            "it is probed with one start"
        } else {
            "it is started again"
        };
        return match at.since(now) {
            Duration::ZERO => sentence(&format!("{attempt} now")),
            wait => sentence(&format!(
                "{attempt} in {} ({})",
                span::words(wait),
                span::moment(at)
            )),
        };
    }
    let words = match (node.state, node.level) {
        (State::Running, Level::Normal) => "nothing: it is well",
        (State::Running, _) => "it goes back to NORMAL by itself when the cause is gone",
        (State::Waiting, _) => "it starts by itself when what it needs is well again",
        (State::Starting, _) => {
            "it becomes ready, or is started again when its start limit is over"
        }
        (State::Restarting, _) => "it is started again after a pause that grows with each failure",
        (State::Quarantined, _) => "it is probed at growing intervals until a start succeeds",
        (State::Stopping, _) => "it finishes what is in flight and ends",
        (State::Stopped, _) => "nothing: it stays stopped until somebody starts it",
        (State::Disabled, _) => match node.detail.get("disabled").and_then(Value::as_str) {
            Some(reason) => return sentence(&format!("nothing: {reason}")),
            None => "nothing: it is switched off by the configuration",
        },
    };
    sentence(words)
}

/// The commands, each with its effect beside it, or below it where the terminal is too narrow.
fn possible(node: &Node, text: &mut Prose<'_>) {
    let commands = commands(node);
    if commands.is_empty() {
        return;
    }
    text.heading("What you can do");
    let cells = |words: fn(&(String, String)) -> &String| {
        commands
            .iter()
            .map(|one| text::cells(words(one)))
            .max()
            .unwrap_or(0)
    };
    let (command_cells, effect_cells) = (cells(|one| &one.0), cells(|one| &one.1));
    let fits = text
        .style
        .width
        .is_none_or(|width| 2 * INDENT.len() + command_cells + effect_cells <= width);
    for (command, effect) in &commands {
        let command = text.style.clean(command);
        let mut line = line::Line::default();
        line.paint(
            Ink::Strong,
            format!(
                "{INDENT}{}",
                if fits {
                    text::left(&command, command_cells)
                } else {
                    command
                }
            ),
        );
        if fits {
            line.push(format!("  {effect}"));
        }
        line.finish(text.style, &mut text.out);
        if !fits {
            text.paragraph_at(effect, 2);
        }
    }
}

/// One of the last changes: what changed, and below it why.
fn change(event: &Event, now: Micros, text: &mut Prose<'_>) {
    let mut line = line::Line::default();
    if let Some(at) = event.at {
        line.paint(Ink::Faint, format!("{INDENT}{}  ", event::time(at, now)));
    }
    event::changes(event, text.style, &mut line);
    line.finish(text.style, &mut text.out);
    for remark in event::remarks(event) {
        text.paragraph_at(&remark, 2);
    }
}

/// Commands for this node as it is now, each with its effect.
fn commands(node: &Node) -> Vec<(String, String)> {
    let path = &node.path;
    let mut commands = Vec::new();
    let mut add = |command: String, effect: &str| commands.push((command, effect.to_owned()));
    if let Some(cause) = node
        .cause
        .as_ref()
        .filter(|cause| node.level != Level::Normal && cause.path != *path)
    {
        add(format!("mainstay explain {}", cause.path), "the root cause");
    }
    let can_act = !matches!(node.kind.as_str(), "root" | "dependency");
    match node.state {
        State::Quarantined if can_act => add(
            format!("mainstay start {path}"),
            "try it now, with a new restart budget",
        ),
        State::Stopped if can_act => add(format!("mainstay start {path}"), "start it"),
        State::Disabled => add(
            "mainstay config show".to_owned(),
            "where it is switched off",
        ),
        State::Running | State::Starting | State::Restarting
            if can_act && node.level != Level::Normal =>
        {
            add(format!("mainstay restart {path}"), "start it anew, at once");
        }
        _ => {}
    }
    if node.level != Level::Normal && node.state != State::Disabled {
        let at = if path == "/" {
            String::new()
        } else {
            format!(" {path}")
        };
        add(format!("mainstay status{at} --watch"), "see it change");
        add(
            "mainstay doctor".to_owned(),
            "check database, disk, ports and limits",
        );
    }
    commands
}

fn below(node: &Node, text: &mut Prose<'_>) {
    let unwell: Vec<_> = node
        .walk()
        .skip(1)
        .filter(|below| below.level != Level::Normal)
        .collect();
    if unwell.is_empty() {
        return;
    }
    text.heading("Below it, not NORMAL");
    let shown = || unwell.iter().take(BELOW_LIMIT);
    let widest = shown()
        .map(|below| text::cells(&text.style.clean(&below.path)))
        .max()
        .unwrap_or(0);
    for below in shown() {
        let mut line = line::Line::default();
        line.push(format!(
            "{INDENT}{}  ",
            text::left(&text.style.clean(&below.path), widest)
        ));
        line.paint(Ink::of_level(below.level), level_words(below));
        line.finish(text.style, &mut text.out);
    }
    if let Some(more) = unwell
        .len()
        .checked_sub(BELOW_LIMIT)
        .filter(|more| *more > 0)
    {
        text.paragraph(&format!("and {more} more: mainstay status {}", node.path));
    }
}

fn facts(node: &Node, now: Micros, text: &mut Prose<'_>) {
    let mut facts: Vec<(String, String)> = Vec::new();
    let restarts = &node.restarts;
    if node.state != State::Disabled && (restarts.count > 0 || restarts.budget > 0) {
        let mut words = match restarts.count {
            0 => format!("none; {} are allowed in a row", restarts.budget),
            count => format!(
                "{count}; {} of {} that are allowed in a row",
                restarts.in_window, restarts.budget
            ),
        };
        if let Some(at) = restarts.last_at {
            _ = write!(words, ", last {} ago", span::words(now.since(at)));
        }
        facts.push(("restarts".to_owned(), words));
    }
    if let Some(mailbox) = node.mailbox {
        facts.push((
            "mailbox".to_owned(),
            format!("{} of {} places taken", mailbox.depth, mailbox.limit),
        ));
    }
    if let Some(latency) = node.latency_ms {
        facts.push((
            "answers".to_owned(),
            format!("p50 {}, p99 {}", millis(latency.p50), millis(latency.p99)),
        ));
    }
    for (key, value) in node
        .detail
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "next" | "disabled"))
    {
        let words = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        facts.push((key.clone(), words));
    }
    if facts.is_empty() {
        return;
    }
    text.heading("Facts");
    let widest = facts
        .iter()
        .map(|(key, _)| text::cells(key))
        .max()
        .unwrap_or(0);
    for (key, words) in facts {
        let mut line = line::Line::default();
        line.paint(
            Ink::Faint,
            format!("{INDENT}{}  ", text::left(&text.style.clean(&key), widest)),
        );
        line.push(text.style.clean(&words));
        line.finish(text.style, &mut text.out);
    }
}
