//! Who may use whom, over cargo's own view of the dependency graph and over the sources.
//!
//! Why it matters: a fault stays in one room only as long as the rooms do not reach into each other.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::source::{Project, Text};

/// Crates that one room alone may use: the crate, then its users.
const RESERVED: [(&str, &[&str]); 13] = [
    ("ractor", &["supervisor"]),
    ("axum", &["edges"]),
    ("axum-extra", &["edges"]),
    ("utoipa", &["edges"]),
    ("utoipa-axum", &["edges"]),
    ("clap", &["edges"]),
    ("portable-pty", &["ptys"]),
    ("git2", &["repos"]),
    ("tower", &["edges"]),
    ("tower-http", &["edges"]),
    ("tokio-tungstenite", &["edges"]),
    ("anyhow", &["edges"]),
    // A peer of the benches, which are no room: they see all sides from outside.
    ("kameo", &[]),
];

/// Rooms whose production code must not use a crate, for other reasons than that it is reserved.
const FORBIDDEN: [(&str, &str); 3] = [
    ("supervisor", "sqlx"),
    ("edges", "sqlx"),
    ("ground", "supervisor"),
];

pub(crate) fn graph(project: &Project) -> Vec<String> {
    let metadata = metadata(project);
    let domains: BTreeSet<String> = project.domains().into_iter().collect();
    let mut findings = Vec::new();
    for package in metadata["packages"]
        .as_array()
        .expect("cargo lists packages")
    {
        let name = package["name"].as_str().expect("a package has a name");
        let is_room = domains.contains(name) || matches!(name, "supervisor" | "ground" | "edges");
        if !is_room {
            continue;
        }
        for used in normal_dependencies(package) {
            if let Some(rule) = broken_rule(name, &used, &domains) {
                let manifest = package["manifest_path"].as_str().unwrap_or_default();
                let manifest = manifest.strip_prefix(&format!("{}/", project.root.display()));
                let line = line_with(project, manifest.unwrap_or_default(), &used);
                findings.push(format!(
                    "{}:{line}: {name} uses {used}: {rule}",
                    manifest.unwrap_or(name)
                ));
            }
        }
    }
    findings
}

/// `edges` lends the end-to-end tests its dependencies, so cargo cannot keep them apart: the sources must.
pub(crate) fn end_to_end(project: &Project) -> Vec<String> {
    let mut ours = project.domains();
    ours.extend(["supervisor", "ground", "edges", "mainstay", "sqlx", "axum"].map(str::to_owned));
    let mut findings = Vec::new();
    for text in project
        .rust()
        .filter(|text| text.path.starts_with("tests/e2e/"))
    {
        for (number, line) in text.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in &ours {
                if uses(code, name) {
                    findings.push(format!("{}:{}: uses {name}", text.path, number + 1));
                }
            }
        }
    }
    findings
}

pub(crate) fn unsafe_code(project: &Project) -> Vec<String> {
    let roots =
        |text: &&Text| text.path.ends_with("/src/lib.rs") || text.path.ends_with("/src/main.rs");
    project
        .rust()
        .filter(roots)
        .filter(|text| !text.path.starts_with("actors/ptys/"))
        .filter(|text| !text.text.contains("#![forbid(unsafe_code)]"))
        .map(|text| format!("{}:1: no `#![forbid(unsafe_code)]`", text.path))
        .collect()
}

pub(crate) fn sql(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in project.production() {
        let may = text.path.starts_with("actors/ground/src/")
            || text.path.starts_with("actors/store/src/")
            || text.file_name() == "store.rs"
            || text.path.contains("/src/store/");
        if may {
            continue;
        }
        for (number, line) in text.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("sqlx::query") || is_statement(code) {
                findings.push(format!("{}:{}: {}", text.path, number + 1, line.trim()));
            }
        }
    }
    findings
}

fn is_statement(code: &str) -> bool {
    [
        "\"SELECT ",
        "\"INSERT INTO ",
        "\"UPDATE ",
        "\"DELETE FROM ",
        "\"CREATE TABLE ",
    ]
    .iter()
    .any(|start| code.contains(start))
}

fn broken_rule(room: &str, used: &str, domains: &BTreeSet<String>) -> Option<String> {
    if domains.contains(used) && room != "edges" {
        return Some("a domain is reached through a port that edges fills".into());
    }
    if room == "supervisor" && used == "ground" {
        return Some("the supervisor knows no domain and no ground".into());
    }
    if FORBIDDEN.contains(&(room, used)) {
        return Some("see the table of who may import whom".into());
    }
    let (_, users) = RESERVED.iter().find(|(reserved, _)| *reserved == used)?;
    (!users.contains(&room)).then(|| match users {
        [] => "it is for tests and benches".into(),
        users => format!("it is for {} alone", users.join(", ")),
    })
}

fn normal_dependencies(package: &Value) -> Vec<String> {
    let dependencies = package["dependencies"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect()
}

fn line_with(project: &Project, path: &str, word: &str) -> usize {
    let text = project.text(path).unwrap_or_default();
    let found = text.lines().position(|line| line.starts_with(word));
    found.map_or(1, |index| index + 1)
}

/// Whether code names the crate as a path or an import, not as a part of another word.
fn uses(code: &str, name: &str) -> bool {
    let is_word = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
    };
    let starts_path = |at: usize| {
        let before = at
            .checked_sub(1)
            .and_then(|index| code.as_bytes().get(index).copied());
        !is_word(before)
    };
    code.match_indices(&format!("{name}::"))
        .any(|(at, _)| starts_path(at))
        || code.trim_start().starts_with(&format!("use {name};"))
        || code
            .trim_start()
            .starts_with(&format!("extern crate {name}"))
}

fn metadata(project: &Project) -> Value {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(&project.root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

#[test]
fn broken_rules_are_found() {
    let domains = BTreeSet::from(["ptys".to_owned(), "store".to_owned()]);
    assert!(broken_rule("ptys", "store", &domains).is_some());
    assert!(broken_rule("supervisor", "ground", &domains).is_some());
    assert!(broken_rule("edges", "sqlx", &domains).is_some());
    assert!(broken_rule("ptys", "axum", &domains).is_some());
    assert!(broken_rule("supervisor", "kameo", &domains).is_some());
    assert_eq!(broken_rule("supervisor", "ractor", &domains), None);
    assert_eq!(broken_rule("edges", "store", &domains), None);
    assert_eq!(broken_rule("ptys", "portable-pty", &domains), None);
    assert!(uses("use store::Db;", "store"));
    assert!(!uses("let a = kit::store::x();", "store"));
    assert!(!uses("restore::x();", "store"));
}
