//! `docs/asvs.md` tells the truth: a row for each requirement, and behind each row a test that is there.
//!
//! A table of security requirements that nobody checks is a wish after the first renaming. What is shown by a test names it as
//! `` `room module::path::name` ``, where the room is a crate or `e2e`; what is shown by a paper names it as `` `doc FILE#heading` ``. Whether the
//! test shows what the row says is for people to judge; that it exists, and is a test, is judged here.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use crate::source::Project;

/// Level-1 and level-2 requirements of ASVS 5.0.0: a number and its level a line.
const REQUIREMENTS: &str = include_str!("asvs_requirements.txt");
const PAPER: &str = "docs/asvs.md";
const SECURITY: &str = "docs/security.md";

/// A row of a chapter.
struct Row<'a> {
    line: usize,
    id: &'a str,
    level: &'a str,
    what: &'a str,
    shown_by: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Shown,
    NotApplicable,
    Missing,
}

fn verdict(shown_by: &str) -> Option<Verdict> {
    let has_reason = |rest: &str| rest.trim().len() >= 8;
    if let Some(rest) = shown_by.strip_prefix("n/a:") {
        return has_reason(rest).then_some(Verdict::NotApplicable);
    }
    if let Some(rest) = shown_by.strip_prefix("missing:") {
        return has_reason(rest).then_some(Verdict::Missing);
    }
    shown_by.starts_with('`').then_some(Verdict::Shown)
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, level, what, shown_by, _] = cells.as_slice() else {
            continue;
        };
        if id.starts_with(|first: char| first.is_ascii_digit()) {
            let line = number + 1;
            #[rustfmt::skip]
            rows.push(Row { line, id, level, what, shown_by });
        }
    }
    rows
}

/// Each requirement has one row with its level, words and a verdict.
pub(crate) fn requirements(project: &Project) -> Vec<String> {
    let rows = rows(project.text(PAPER).unwrap_or_default());
    let mut findings = Vec::new();
    let mut wanted: BTreeMap<&str, &str> = REQUIREMENTS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    for row in &rows {
        let place = format!("{PAPER}:{}: {}", row.line, row.id);
        match wanted.remove(row.id) {
            None => findings.push(format!("{place} is no requirement, or stands there twice")),
            Some(level) if level != row.level => {
                findings.push(format!("{place} is of level {level}"));
            }
            Some(_) => {}
        }
        if row.what.is_empty() || verdict(row.shown_by).is_none() {
            findings.push(format!("{place} has no words or no verdict"));
        }
    }
    findings.extend(
        wanted
            .keys()
            .map(|id| format!("{PAPER}:1: no row for {id}")),
    );
    findings
}

/// The counts at the top are those of the rows.
pub(crate) fn counts(project: &Project) -> Vec<String> {
    let text = project.text(PAPER).unwrap_or_default();
    let rows = rows(text);
    let count = |wanted: Verdict| {
        let verdicts = rows.iter().filter_map(|row| verdict(row.shown_by));
        verdicts.filter(|verdict| *verdict == wanted).count()
    };
    let expected = [
        ("shown", count(Verdict::Shown)),
        ("n/a", count(Verdict::NotApplicable)),
        ("missing", count(Verdict::Missing)),
        ("all", rows.len()),
    ];
    let is_told = |line: &str| text.lines().any(|told| told == line);
    expected
        .into_iter()
        .map(|(name, count)| format!("| {name} | {count} |"))
        .filter(|line| !is_told(line))
        .map(|line| format!("{PAPER}:1: expected the line `{line}`"))
        .collect()
}

/// What a row names is there.
pub(crate) fn names(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for row in rows(project.text(PAPER).unwrap_or_default()) {
        if verdict(row.shown_by) != Some(Verdict::Shown) {
            continue;
        }
        // What stands in backticks: every second piece.
        for name in row.shown_by.split('`').skip(1).step_by(2) {
            let is_there = match name.split_once(' ') {
                Some(("doc", place)) => has_heading(project, place),
                Some((room, path)) => has_test(project, room, path),
                None => false,
            };
            if !is_there {
                findings.push(format!("{PAPER}:{}: {} names `{name}`", row.line, row.id));
            }
        }
    }
    findings
}

/// `FILE#heading`, the heading as a link spells it.
fn has_heading(project: &Project, place: &str) -> bool {
    let Some((file, wanted)) = place.split_once('#') else {
        return false;
    };
    let text = project.text(file).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| slug(line.trim_start_matches('#')))
        .any(|heading| heading == wanted)
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn has_test(project: &Project, room: &str, path: &str) -> bool {
    let base = match room {
        "e2e" | "tidy" => format!("tests/{room}"),
        "edges" | "supervisor" => format!("{room}/src"),
        domain => format!("actors/{domain}/src"),
    };
    let mut modules: Vec<&str> = path.split("::").collect();
    let Some(name) = modules.pop() else {
        return false;
    };
    let file = |modules: &[&str]| {
        let path = format!("{base}/{}", modules.join("/"));
        let found = project.text(&format!("{path}.rs"));
        found.or_else(|| project.text(&format!("{path}/mod.rs")))
    };
    let own = file(&modules).filter(|text| is_test(text, name));
    // Else a module inside of a file.
    own.is_some()
        || modules.pop().is_some_and(|inner| {
            let text = file(&modules).filter(|text| text.contains(&format!("mod {inner} {{")));
            text.is_some_and(|text| is_test(text, name))
        })
}

/// Whether a function of this name is a test: by its attribute, inside `proptest!`, or in the list of a macro that makes tests of names.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let starts = [format!("fn {name}("), format!("async fn {name}(")];
    let is_start = |line: &&str| starts.iter().any(|start| line.starts_with(start.as_str()));
    let Some(at) = lines.iter().position(is_start) else {
        // `rules!` of the tidy tests.
        return lines
            .iter()
            .any(|line| line.starts_with(&format!("{name}: \"")));
    };
    let attributes = lines.iter().take(at).rev();
    let mut attributes = attributes.take_while(|line| !line.is_empty() && !line.ends_with('}'));
    attributes.any(|line| line.starts_with("#[") && line.contains("test")) || is_listed(text, name)
}

/// Whether `on_both_databases!` makes a test of it.
fn is_listed(text: &str, name: &str) -> bool {
    let list = text.split_once("on_both_databases![");
    let list = list.and_then(|(_, rest)| rest.split_once(']'));
    list.is_some_and(|(list, _)| list.split(',').any(|listed| listed.trim() == name))
}

/// Every action that a source puts on record is in the inventory of logs.
pub(crate) fn actions(project: &Project) -> Vec<String> {
    let told = project.text(SECURITY).unwrap_or_default();
    let mut found = Actions::default();
    for text in project.production() {
        found.visit_file(&text.production_tree());
    }
    found
        .names
        .iter()
        .filter(|name| !told.contains(&format!("`{name}`")))
        .map(|name| format!("{SECURITY}:1: no action `{name}`"))
        .collect()
}

/// The second argument of `Entry::new` and of the helpers called `entry`, where it is a text.
#[derive(Default)]
struct Actions {
    names: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Actions {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && let Some(syn::Expr::Lit(literal)) = call.args.iter().nth(1)
            && let syn::Lit::Str(action) = &literal.lit
        {
            let names = function.path.segments.iter();
            let names: Vec<String> = names.map(|segment| segment.ident.to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if names.ends_with(&["Entry", "new"]) || names.ends_with(&["entry"]) {
                self.names.insert(action.value());
            }
        }
        syn::visit::visit_expr_call(self, call);
    }
}

#[test]
fn verdicts_and_headings_are_read() {
    assert_eq!(verdict("`e2e a::b`"), Some(Verdict::Shown));
    assert_eq!(
        verdict("n/a: no such thing here"),
        Some(Verdict::NotApplicable)
    );
    assert_eq!(verdict("missing: not built yet"), Some(Verdict::Missing));
    for none in ["", "n/a", "n/a:", "missing: ", "shown"] {
        assert_eq!(verdict(none), None, "{none}");
    }
    assert_eq!(
        slug(" What is logged, and where"),
        "what-is-logged-and-where"
    );
}

#[test]
fn only_a_test_that_is_there_is_found() {
    let text = "on_both_databases![one, other];\n#[test]\nfn two() {}\n\nfn three() {}\n\nasync fn one(x: X) {}\n";
    assert!(is_test(text, "one") && is_test(text, "two"));
    assert!(!is_test(text, "three") && !is_test(text, "four") && !is_test(text, "tw"));
}
