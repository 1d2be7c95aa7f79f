//! Every statement of every domain is understood by both engines, and answers with the same columns.
//!
//! The statements are read out of the `store.rs` files: a text in quotes that begins like SQL is one, the two texts of an
//! `Engine::pick` are each for their engine, and a comment `// SQLite only` or `// PostgreSQL only` before the text says so.
//! Thus a statement that no test runs is still prepared on both.

#![expect(
    clippy::string_slice,
    reason = "cuts at quotes and line ends, which are one byte long"
)]

use std::path::Path;

use ground::db::Engine;

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::migrate;
use crate::testing::{Stage, stages};

/// A statement, and the engine it is for when it is for one alone.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    text: String,
    only: Option<Engine>,
}

/// The statements in the text of a source file.
fn statements(source: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut picks = Vec::new();
    while let Some((before, literal, after)) = next_literal(rest) {
        if before.contains("pick(") {
            picks = vec![Engine::Postgres, Engine::Sqlite];
        }
        let marked = [
            ("// SQLite only", Engine::Sqlite),
            ("// PostgreSQL only", Engine::Postgres),
        ];
        let marked = marked
            .into_iter()
            .find(|(mark, _)| before.contains(mark))
            .map(|(_, engine)| engine);
        let only = picks.pop().or(marked);
        let first = literal.split_whitespace().next().unwrap_or_default();
        if matches!(first, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH")
            && literal.contains(' ')
        {
            found.push(Statement {
                text: literal,
                only,
            });
        }
        rest = after;
    }
    found
}

/// What stands before the next text in quotes, that text, and what comes after it. Comments are left out.
fn next_literal(source: &str) -> Option<(&str, String, &str)> {
    let mut at = 0;
    let bytes = source.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += source[at..].find('\n').unwrap_or(source.len() - at);
            }
            b'"' => {
                let (literal, length) = unquote(&source[at + 1..]);
                return Some((&source[..at], literal, &source[at + 1 + length..]));
            }
            _ => at += 1,
        }
    }
    None
}

/// The text up to the closing quote, and how long it is in the source, the quote included.
fn unquote(source: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = source.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match (char, chars.peek()) {
            ('"', _) => return (text, at + 1),
            ('\\', Some((_, '\n'))) => {
                while chars.next_if(|(_, char)| char.is_whitespace()).is_some() {}
            }
            ('\\', _) => text.extend(chars.next().map(|(_, char)| char)),
            _ => text.push(char),
        }
    }
    (text, source.len())
}

#[test]
fn statements_are_found_in_source() {
    let source = r#"
        // "SELECT 0 in a comment"
        let a = "SELECT 1 \
                 FROM x";
        let b = engine.pick(
            "SELECT \"two\" FROM y", // sqlite
            "SELECT three FROM z",
        );
        // SQLite only
        let c = "SELECT 4";
        row.get("id")?; db.execute("INSERT INTO x VALUES ($1)", args![]);
    "#;
    let expected = [
        ("SELECT 1 FROM x", None),
        ("SELECT \"two\" FROM y", Some(Engine::Sqlite)),
        ("SELECT three FROM z", Some(Engine::Postgres)),
        ("SELECT 4", Some(Engine::Sqlite)),
        ("INSERT INTO x VALUES ($1)", None),
    ];
    let expected = expected.map(|(text, only)| Statement {
        text: text.to_owned(),
        only,
    });
    assert_eq!(statements(source), expected);
}

/// How many parameters a statement takes and which columns it answers with; nothing when it is for the other engine.
type Answer = Option<(usize, Vec<String>)>;

/// Has the engine prepare all statements that are for it.
async fn prepare(stage: &Stage, all: &[Statement]) -> Vec<Answer> {
    migrate::up(&stage.location).await.expect("up");
    let mut conn = connect(&stage.location, Role::Write, &StoreConfig::default())
        .await
        .expect("connects");
    let mut told = Vec::new();
    for statement in all {
        if statement.only.is_some_and(|only| only != stage.engine()) {
            told.push(None);
            continue;
        }
        let described = conn.describe(&without_null_guards(&statement.text)).await;
        let failed = |error| {
            panic!(
                "{}: {}\n{}",
                stage.engine(),
                statement.text,
                crate::error::chain(&error)
            )
        };
        told.push(Some(described.unwrap_or_else(failed)));
    }
    conn.close().await;
    told
}

/// Leaves out `$1 IS NULL OR`, in which PostgreSQL cannot tell the type of the parameter unless it is told, as it is when the
/// statement runs.
fn without_null_guards(text: &str) -> String {
    (1..10).fold(text.to_owned(), |text, number| {
        text.replace(&format!("${number} IS NULL OR "), "")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_understand_every_statement() {
    let actors = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the folder of the domains");
    let mut all = Vec::new();
    for domain in std::fs::read_dir(actors).expect("reads") {
        let source = std::fs::read_to_string(domain.expect("readable").path().join("src/store.rs"));
        all.extend(source.iter().flat_map(|source| statements(source)));
    }
    assert!(all.len() >= 10, "only {} statements were found", all.len());
    let mut answers: Vec<Vec<Answer>> = Vec::new();
    for stage in stages().await {
        answers.push(prepare(&stage, &all).await);
    }
    for pair in answers.windows(2) {
        for ((one, other), statement) in pair[0].iter().zip(&pair[1]).zip(&all) {
            let (Some(one), Some(other)) = (one, other) else {
                continue;
            };
            assert_eq!(one.0, other.0, "parameters of {}", statement.text);
            // The engines name an expression without a name differently.
            let is_same = |(one, other): (&String, &String)| {
                one == other || other == "?column?" || one.contains('(')
            };
            let are_same = one.1.iter().zip(&other.1).all(is_same);
            assert!(
                are_same && one.1.len() == other.1.len(),
                "columns of {}: {one:?} {other:?}",
                statement.text
            );
        }
    }
}
