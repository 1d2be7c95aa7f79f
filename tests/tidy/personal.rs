//! What is kept of people is written down: `docs/personal_data.md` against the migrations.
//!
//! Why: an export that forgets a table and an erasure that leaves one are noticed by nobody until somebody asks. A column that refers to a
//! person, by a foreign key or by its name, needs a row there; and who writes the row thinks of both.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Project;

const DOCUMENT: &str = "docs/personal_data.md";

/// Parts of a column's name that say that it holds something of a person.
const TELLING: [&str; 10] = [
    "user",
    "owner",
    "email",
    "address",
    "network",
    "caller",
    "created_by",
    "subject",
    "agent",
    "credential",
];
/// Whole names that do.
const TELLING_NAMES: [&str; 1] = ["object"];

/// The columns of each table, and for each foreign key its column and what it refers to.
#[derive(Default)]
struct Schema {
    columns: BTreeMap<String, BTreeSet<String>>,
    references: Vec<(String, String, String)>,
}

pub(crate) fn data(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    let Some(document) = project.text(DOCUMENT) else {
        return vec![format!("{DOCUMENT}:1: it is not there")];
    };
    let (rows, malformed) = rows(document);
    findings.extend(malformed);
    for engine in ["sqlite", "postgres"] {
        let schema = schema(project, engine);
        for (table, column) in schema.personal() {
            if !rows.contains(&(table.clone(), column.clone())) {
                findings.push(format!(
                    "{DOCUMENT}:1: no row tells of `{table}`.`{column}` ({engine})"
                ));
            }
        }
        for (table, column) in &rows {
            let columns = schema.columns.get(table);
            if !columns.is_some_and(|columns| columns.contains(column)) {
                findings.push(format!(
                    "{DOCUMENT}:1: there is no `{table}`.`{column}` ({engine})"
                ));
            }
        }
    }
    findings
}

/// The columns that the first table of the document names, and what is wrong with its rows.
fn rows(document: &str) -> (BTreeSet<(String, String)>, Vec<String>) {
    let (mut rows, mut findings) = (BTreeSet::new(), Vec::new());
    let lines = document.lines().zip(1..);
    for (line, number) in lines.take_while(|(line, _)| !line.starts_with("## ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", table, columns, exported, erased, ""] = cells.as_slice() else {
            continue;
        };
        if !table.starts_with('`') {
            continue;
        }
        if exported.is_empty() || erased.is_empty() {
            findings.push(format!(
                "{DOCUMENT}:{number}: both how it is exported and how it is erased"
            ));
        }
        let table = table.trim_matches('`');
        for column in columns.split(',') {
            let column = column.trim().trim_matches('`');
            rows.insert((table.to_owned(), column.to_owned()));
        }
    }
    (rows, findings)
}

fn schema(project: &Project, engine: &str) -> Schema {
    let folder = format!("migrations/{engine}/");
    let mut texts: Vec<_> = project
        .texts
        .iter()
        .filter(|text| text.path.starts_with(&folder) && text.path.ends_with(".up.sql"))
        .collect();
    // By number, which is the order in which they are applied.
    texts.sort_by_key(|text| text.path.rsplit('/').next().map(str::to_owned));
    let mut schema = Schema::default();
    for text in texts {
        schema.read(&text.text);
    }
    schema
}

impl Schema {
    /// Reads the statements of one migration, in the shape that all of ours have: one column or constraint a line.
    fn read(&mut self, sql: &str) {
        let mut inside: Option<String> = None;
        for line in sql.lines().map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "TABLE", table, ..] => {
                    self.columns.entry((*table).to_owned()).or_default();
                    inside = Some((*table).to_owned());
                }
                ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => {
                    let columns = self.columns.entry((*table).to_owned()).or_default();
                    columns.insert((*column).to_owned());
                    self.refer(table, column, &words);
                }
                ["ALTER", "TABLE", table, "DROP", "COLUMN", column, ..] => {
                    let column = column.trim_end_matches(';');
                    if let Some(columns) = self.columns.get_mut(*table) {
                        columns.remove(column);
                    }
                }
                ["DROP", "TABLE", table] => {
                    self.columns.remove(table.trim_end_matches(';'));
                }
                [end, ..] if end.starts_with(')') => inside = None,
                ["CONSTRAINT", _, "FOREIGN", "KEY", column, ..] => {
                    if let Some(table) = inside.clone() {
                        self.refer(&table, column.trim_matches(['(', ')']), &words);
                    }
                }
                ["CONSTRAINT" | "--", ..] | [] => {}
                [column, ..] => {
                    if let Some(table) = inside.clone() {
                        let columns = self.columns.entry(table.clone()).or_default();
                        columns.insert((*column).to_owned());
                        self.refer(&table, column, &words);
                    }
                }
            }
        }
    }

    fn refer(&mut self, table: &str, column: &str, words: &[&str]) {
        let mut after = words.iter().skip_while(|word| **word != "REFERENCES");
        if let Some(other) = after.nth(1) {
            self.references
                .push((table.to_owned(), column.to_owned(), (*other).to_owned()));
        }
    }

    /// The columns that hold something of a person: by name, and by what they refer to, however far.
    fn personal(&self) -> BTreeSet<(String, String)> {
        let mut personal: BTreeSet<(String, String)> = BTreeSet::new();
        for (table, columns) in &self.columns {
            let telling = columns.iter().filter(|column| is_telling(column));
            personal.extend(telling.map(|column| (table.clone(), column.clone())));
        }
        loop {
            let before = personal.len();
            for (table, column, other) in &self.references {
                if other == "users" || personal.iter().any(|(table, _)| table == other) {
                    personal.insert((table.clone(), column.clone()));
                }
            }
            if personal.len() == before {
                return personal;
            }
        }
    }
}

fn is_telling(column: &str) -> bool {
    TELLING.iter().any(|part| column.contains(part)) || TELLING_NAMES.contains(&column)
}

#[test]
fn what_refers_to_a_person_is_found() {
    let mut schema = Schema::default();
    schema.read(
        "CREATE TABLE users (\n    id BLOB NOT NULL,\n    email TEXT NOT NULL,\n    CONSTRAINT users_pkey PRIMARY KEY (id)\n) STRICT;\n\
         CREATE TABLE keys (\n    holder BLOB NOT NULL,\n    CONSTRAINT k FOREIGN KEY (holder) REFERENCES users (id) ON DELETE CASCADE\n);\n\
         CREATE TABLE uses (\n    of_key BLOB REFERENCES keys (holder),\n    at INTEGER\n);\n\
         CREATE TABLE rooms (\n    id BLOB\n);\nALTER TABLE rooms ADD COLUMN owner BLOB;\n",
    );
    let found: Vec<String> = schema
        .personal()
        .into_iter()
        .map(|(table, column)| format!("{table}.{column}"))
        .collect();
    assert_eq!(
        found,
        ["keys.holder", "rooms.owner", "users.email", "uses.of_key"]
    );
}
