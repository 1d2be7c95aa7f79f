//! `doctor`: what the daemon needs, checked one by one, each finding with its fix.
//!
//! It works with the daemon up or down, changes nothing, and every check answers, whatever the others found. Looking
//! (`probe`, `process`) and judging (`judge`, `judge_system`) are apart: what is seen is plain data, so that each verdict
//! has its test without a full disk or a broken clock at hand.

mod judge;
mod judge_system;
mod probe;
mod process;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::json;

use super::{
    Session,
    args::DoctorArgs,
    document,
    exit::Exit,
    failure::Failure,
    render::line::Line,
    screen::{self, Ink, Style},
    text,
};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warn,
    /// The daemon cannot work like this, or not fully.
    Fail,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at, in a word or two.
    pub(crate) name: &'static str,
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) finding: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

impl Check {
    pub(crate) fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            finding: finding.into(),
            fix: None,
        }
    }

    pub(crate) fn warn(
        name: &'static str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            finding: finding.into(),
            fix: Some(fix.into()),
        }
    }

    pub(crate) fn fail(
        name: &'static str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            finding: finding.into(),
            fix: Some(fix.into()),
        }
    }

    /// The same finding with something worth knowing, although nothing is wrong.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.fix = Some(note.into());
        self
    }
}

/// `doctor`: exits 1 when a check fails.
pub(crate) fn run(session: &Session, args: &DoctorArgs) -> Result<Exit, Failure> {
    let checks = probe::all(session)?;
    let text = if args.json {
        json_text(&checks)
    } else {
        report(&checks, &session.screen.style())
    };
    screen::print(&text)?;
    let has_failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if has_failed { Exit::Failed } else { Exit::Done })
}

fn count(checks: &[Check], verdict: Verdict) -> usize {
    checks
        .iter()
        .filter(|check| check.verdict == verdict)
        .count()
}

fn json_text(checks: &[Check]) -> String {
    document::json_text(&json!({
        "checks": checks,
        "ok": count(checks, Verdict::Ok),
        "warn": count(checks, Verdict::Warn),
        "fail": count(checks, Verdict::Fail),
    }))
}

/// The checks as text: a line each, wrapped, and the fix below what needs one.
fn report(checks: &[Check], style: &Style) -> String {
    let names = checks.iter().map(|check| check.name.len());
    let name_cells = names.max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        finding(check, name_cells, style, &mut out);
        fix(check, VERDICT_CELLS + name_cells + GAP, style, &mut out);
    }
    out.push('\n');
    let mut line = Line::default();
    let (warnings, failures) = (count(checks, Verdict::Warn), count(checks, Verdict::Fail));
    let warnings_words = many(warnings, "warning");
    match (warnings, failures) {
        (0, 0) => line.paint(Ink::Good, "everything is in order"),
        (_, 0) => line.paint(Ink::Caution, format!("nothing fails, {warnings_words}")),
        _ => {
            let failures_words = many(failures, "failure");
            line.paint(Ink::Worst, format!("{failures_words}, {warnings_words}"));
        }
    }
    line.finish(style, &mut out);
    out
}

/// Cells of the verdict's column, and between the name and the finding.
const VERDICT_CELLS: usize = 6;
const GAP: usize = 2;

fn finding(check: &Check, name_cells: usize, style: &Style, out: &mut String) {
    let (word, ink) = match check.verdict {
        Verdict::Ok => ("ok", Ink::Good),
        Verdict::Warn => ("warn", Ink::Caution),
        Verdict::Fail => ("fail", Ink::Worst),
    };
    let (mut word, mut name) = (word, check.name);
    let indent = VERDICT_CELLS + name_cells + GAP;
    let width = style
        .width
        .map(|width| width.saturating_sub(indent).max(16));
    for words in text::wrap(&style.clean(&check.finding), width) {
        let mut line = Line::default();
        line.paint(ink, text::left(std::mem::take(&mut word), VERDICT_CELLS));
        line.push(text::left(std::mem::take(&mut name), name_cells + GAP));
        line.push(words);
        line.finish(style, out);
    }
}

fn fix(check: &Check, indent: usize, style: &Style, out: &mut String) {
    let Some(fix) = &check.fix else { return };
    let (mut label, ink) = match check.verdict {
        Verdict::Ok => ("note: ", Ink::Faint),
        Verdict::Warn | Verdict::Fail => ("fix: ", Ink::Strong),
    };
    let label_cells = label.len();
    let width = style
        .width
        .map(|width| width.saturating_sub(indent + label_cells).max(12));
    for words in text::wrap(&style.clean(fix), width) {
        let mut line = Line::default();
        line.push(" ".repeat(indent));
        line.paint(ink, text::left(std::mem::take(&mut label), label_cells));
        line.paint(ink, words);
        line.finish(style, out);
    }
}

fn many(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}
