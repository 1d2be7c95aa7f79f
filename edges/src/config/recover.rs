//! Reads what a broken configuration file still says, so that one fault never hides another.
//!
//! The file is taken apart into statements (a section name, or a key with its value, which may span lines), each is parsed
//! alone, and the sound ones are put together again. A value that is never closed ends where the next statement begins. A
//! damaged value stays in the tree, marked, so that its key is still checked and nothing is said about it twice.

use std::collections::BTreeMap;
use std::ops::Range;

use ground::config::{Entry, Node, Origin, Problem, Refusal, Table, Value};
use toml::de::{DeTable, DeValue};

use super::document::{Places, convert_table, syntax};
use super::file::Source;
use super::findings::MOST_FINDINGS;

/// Everything that could be read of `source`, and every fault of form.
pub(super) fn recover(source: &Source) -> (Table, Vec<Problem>) {
    let mut recovery = Recovery {
        source,
        root: Table::default(),
        section: Some(Vec::new()),
        seen: BTreeMap::new(),
        problems: Vec::new(),
        last_line: 0,
    };
    let mut at = if source.text.starts_with('\u{feff}') {
        3
    } else {
        0
    };
    // Finding the end of an open value looks ahead: a bound on the faults also bounds the time.
    while at < source.text.len() && recovery.problems.len() <= MOST_FINDINGS {
        let statement = next_statement(&source.text, at);
        at = statement.range.end;
        recovery.take(&statement);
    }
    (recovery.root, recovery.problems)
}

/// A piece of the file that is read by itself; always ends behind a line break or at the end of the file.
struct Statement {
    range: Range<usize>,
    is_header: bool,
    /// The offset of a quote or bracket that is never closed.
    open: Option<usize>,
}

struct Recovery<'s> {
    source: &'s Source,
    root: Table,
    /// The section that keys go to; `None` after a section name that cannot be told.
    section: Option<Vec<(String, Origin)>>,
    /// The sections that were named, and where.
    seen: BTreeMap<Vec<String>, Origin>,
    problems: Vec<Problem>,
    /// The line of the last fault of form: a second one on it would be a consequence of the first.
    last_line: usize,
}

impl Recovery<'_> {
    fn take(&mut self, statement: &Statement) {
        let Range { start, end } = statement.range;
        let text = self.source.text.get(start..end).unwrap_or_default();
        let mut first_fault = None;
        for offset in self
            .source
            .broken_bytes
            .iter()
            .filter(|offset| statement.range.contains(offset))
        {
            first_fault = Some(*offset);
            self.fault(
                *offset,
                Refusal::coded("config.not_utf8", "this is not valid UTF-8")
                    .hint("save the file as UTF-8"),
            );
        }
        if let Some(open) = statement.open {
            let what = match self.source.text.as_bytes().get(open) {
                Some(b'[') => "list",
                Some(b'{') => "table",
                _ => "text",
            };
            self.fault(
                open,
                Refusal::coded("config.syntax", format!("this {what} is never closed")),
            );
            // The key alone is parsed, with nothing for a value.
            let key = text.split_inclusive('=').next().unwrap_or_default();
            let (table, _) = DeTable::parse_recoverable(key);
            self.attach(convert_table(
                table.get_ref(),
                &Places {
                    source: self.source,
                    base: start,
                    is_damaged: true,
                },
            ));
            return;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let offset = start + error.span().map_or(0, |span| span.start);
            first_fault.get_or_insert(offset);
            self.form(offset, error.message());
        }
        if statement.is_header {
            self.header(table.get_ref(), text, start, first_fault.is_some());
            return;
        }
        // A key that is broken itself is no key to check.
        let is_key_sound = first_fault.is_none_or(|fault| {
            text.get(..fault.saturating_sub(start))
                .is_none_or(|before| before.contains('='))
        });
        if is_key_sound {
            let places = Places {
                source: self.source,
                base: start,
                is_damaged: first_fault.is_some(),
            };
            self.attach(convert_table(table.get_ref(), &places));
        }
    }

    /// Notes a fault of form in the parser's words.
    fn form(&mut self, offset: usize, message: &str) {
        let problem = syntax(self.source.origin(offset), message);
        self.fault(offset, problem.refusal);
    }

    /// Notes a fault, unless it is the second on its line.
    fn fault(&mut self, offset: usize, refusal: Refusal) {
        let (line, _) = self.source.place(offset);
        if line != self.last_line {
            self.last_line = line;
            self.problems.push(Problem {
                origin: self.source.origin(offset),
                key: String::new(),
                refusal,
            });
        }
    }

    /// Goes to the section that a header names.
    fn header(&mut self, table: &DeTable<'_>, text: &str, start: usize, is_damaged: bool) {
        let mut path = Vec::new();
        let mut is_list = false;
        let mut below = Some(table);
        while let Some((name, value)) = below.and_then(|table| table.iter().next()) {
            path.push((
                name.get_ref().clone().into_owned(),
                self.source.origin(start + name.span().start),
            ));
            is_list |= matches!(value.get_ref(), DeValue::Array(_));
            below = value.get_ref().as_table();
        }
        if is_damaged && (path.is_empty() || path.iter().any(|(name, _)| name.is_empty())) {
            path = self.bare_path(text, start);
        }
        let names: Vec<String> = path.iter().map(|(name, _)| name.clone()).collect();
        if path.is_empty() || names.iter().any(String::is_empty) {
            self.section = None;
            return;
        }
        let here = path
            .last()
            .map_or(Origin::Default, |(_, origin)| origin.clone());
        if is_list {
            // No section of the daemon is a list of tables; one entry is enough to say so where it stands.
            let node = Node::new(Value::Array(Vec::new()), here.clone());
            self.descend(&path[..path.len() - 1], |table| {
                table
                    .entries
                    .entry(names[names.len() - 1].clone())
                    .or_insert(Entry { origin: here, node });
            });
            self.section = None;
            return;
        }
        match self.seen.get(&names) {
            Some(first) => {
                let refusal = twice(&format!("section [{}]", names.join(".")), first);
                self.problems.push(Problem {
                    origin: here,
                    key: names.join("."),
                    refusal,
                });
            }
            None => {
                self.seen.insert(names, here);
            }
        }
        self.descend(&path, |_| ());
        self.section = Some(path);
    }

    /// The name in a header that is not closed or holds more than a name.
    fn bare_path(&self, text: &str, start: usize) -> Vec<(String, Origin)> {
        let inside = text.trim_start().trim_start_matches('[').trim_start();
        let name = inside
            .split([']', '#', '\n', '\r', ' ', '\t'])
            .next()
            .unwrap_or_default();
        let at = start + text.len() - inside.len();
        if name.is_empty() || !name.split('.').all(is_bare) {
            return Vec::new();
        }
        name.split('.')
            .map(|part| (part.to_owned(), self.source.origin(at)))
            .collect()
    }

    /// Puts the keys of a statement into the section that is being read.
    fn attach(&mut self, keys: Table) {
        let Some(section) = self.section.clone() else {
            return;
        };
        let prefix: Vec<String> = section.iter().map(|(name, _)| name.clone()).collect();
        let mut problems = Vec::new();
        self.descend(&section, |table| merge(table, keys, &prefix, &mut problems));
        self.problems.append(&mut problems);
    }

    /// Runs `inside` on the table at `path`, which is made if need be; reports a plain value in the way.
    fn descend(&mut self, path: &[(String, Origin)], inside: impl FnOnce(&mut Table)) {
        let mut table = &mut self.root;
        for (name, origin) in path {
            let empty = || Node::new(Value::Table(Table::default()), origin.clone());
            let entry = table.entries.entry(name.clone()).or_insert_with(|| Entry {
                origin: origin.clone(),
                node: empty(),
            });
            if !matches!(entry.node.value, Value::Table(_)) {
                let refusal = twice(&format!("`{name}`"), &entry.origin);
                self.problems.push(Problem {
                    origin: origin.clone(),
                    key: name.clone(),
                    refusal,
                });
                entry.node = empty();
            }
            let Value::Table(below) = &mut entry.node.value else {
                return;
            };
            table = below;
        }
        inside(table);
    }
}

/// Moves the entries of `from` into `into`; a key that is there already is a fault.
fn merge(into: &mut Table, from: Table, prefix: &[String], problems: &mut Vec<Problem>) {
    for (name, entry) in from.entries {
        if name.is_empty() {
            continue;
        }
        let path: Vec<String> = prefix.iter().cloned().chain([name.clone()]).collect();
        match into.entries.get_mut(&name) {
            None => {
                into.entries.insert(name, entry);
            }
            Some(first) => {
                if let (Value::Table(into), Value::Table(from)) =
                    (&mut first.node.value, entry.node.value)
                {
                    merge(into, from, &path, problems);
                } else {
                    let refusal = twice(&format!("key `{name}`"), &first.origin);
                    problems.push(Problem {
                        origin: entry.origin,
                        key: path.join("."),
                        refusal,
                    });
                }
            }
        }
    }
}

fn twice(what: &str, first: &Origin) -> Refusal {
    let refusal = Refusal::coded("config.duplicate", format!("{what} is given twice"));
    match first {
        Origin::File { line, .. } => refusal.hint(format!(
            "it was first given in line {line}: keep one of the two"
        )),
        _ => refusal,
    }
}

/// The statement that begins at `at`, which is the start of a line.
fn next_statement(text: &str, at: usize) -> Statement {
    let line = line_at(text, at);
    let is_header = line.trim_start().starts_with('[');
    if is_header || line.trim_start().starts_with('#') || line.trim().is_empty() {
        return Statement {
            range: at..at + line.len(),
            is_header,
            open: None,
        };
    }
    match extent(text, at) {
        Ok(end) => Statement {
            range: at..end,
            is_header,
            open: None,
        },
        Err(open) => {
            let mut end = at + line.len();
            while end < text.len() && !begins_statement(line_at(text, end)) {
                end += line_at(text, end).len();
            }
            Statement {
                range: at..end,
                is_header,
                open: Some(open),
            }
        }
    }
}

/// The line that begins at `at`, with its line break.
fn line_at(text: &str, at: usize) -> &str {
    text.get(at..)
        .and_then(|rest| rest.split_inclusive('\n').next())
        .unwrap_or_default()
}

/// Where the key and value at `at` end, behind their line break; or the offset of what they leave open.
fn extent(text: &str, at: usize) -> Result<usize, usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let mut position = at;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' | b'\'' => {
                position = string_end(bytes, position)?;
                continue;
            }
            b'#' => {
                position += line_at(text, position).trim_end_matches('\n').len();
                continue;
            }
            b'[' | b'{' => open.push(position),
            b']' | b'}' => {
                let partner = if *byte == b']' { b'[' } else { b'{' };
                if let Some(opener) = open.pop()
                    && bytes.get(opener) != Some(&partner)
                {
                    return Err(opener);
                }
            }
            b'=' => {
                if let Some(opener) = open
                    .last()
                    .filter(|opener| bytes.get(**opener) == Some(&b'['))
                {
                    return Err(*opener);
                }
            }
            b'\n' => match open.last() {
                None => return Ok(position + 1),
                Some(opener) if is_header(line_at(text, position + 1)) => return Err(*opener),
                Some(_) => {}
            },
            _ => {}
        }
        position += 1;
    }
    open.last().map_or(Ok(text.len()), |opener| Err(*opener))
}

/// The offset behind the string that begins at `at`; a string of one line ends with its line at the latest.
fn string_end(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    let quote = rest.first().copied().unwrap_or(b'"');
    let is_long = rest.starts_with(&[quote; 3]);
    let mut position = if is_long { 3 } else { 1 };
    while let Some(byte) = rest.get(position) {
        match byte {
            b'\\' if quote == b'"' && rest.get(position + 1) != Some(&b'\n') => position += 2,
            b'\n' if !is_long => return Ok(at + position),
            byte if *byte == quote && !is_long => return Ok(at + position + 1),
            byte if *byte == quote && rest.get(position..position + 3) == Some(&[quote; 3]) => {
                let extra = rest
                    .iter()
                    .skip(position + 3)
                    .take(2)
                    .take_while(|byte| **byte == quote)
                    .count();
                return Ok(at + position + 3 + extra);
            }
            _ => position += 1,
        }
    }
    if is_long { Err(at) } else { Ok(bytes.len()) }
}

/// Whether a line can only be the name of a section.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = line
        .strip_prefix('[')
        .and_then(|line| line.strip_suffix(']'))
        .map(str::trim);
    name.is_some_and(|name| {
        name.split('.').all(is_bare)
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && !["true", "false", "inf", "nan"].contains(&name)
    })
}

/// Whether a line looks like the beginning of a statement.
fn begins_statement(line: &str) -> bool {
    let key = line
        .split('=')
        .next()
        .filter(|key| key.len() < line.len())
        .map(str::trim);
    is_header(line)
        || key.is_some_and(|key| {
            !key.is_empty()
                && key
                    .split('.')
                    .all(|part| is_bare(part.trim().trim_matches('"')))
        })
}

fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
