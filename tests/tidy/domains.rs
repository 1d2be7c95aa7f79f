//! Every domain is built alike, so that who knows one knows all.

use std::collections::BTreeMap;

use crate::source::Project;

/// The files of every domain. `ports.rs` is there only where a domain needs another, `store.rs` where it owns tables.
const FILES: [&str; 8] = [
    "lib.rs",
    "manifest.rs",
    "config.rs",
    "types.rs",
    "error.rs",
    "handle.rs",
    "messages.rs",
    "tests.rs",
];
/// A file may grow into a folder of the same name.
fn has_module(project: &Project, domain: &str, file: &str) -> bool {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let base = format!("actors/{domain}/src/");
    project.text(&format!("{base}{file}")).is_some()
        || project.text(&format!("{base}{stem}/mod.rs")).is_some()
}

pub(crate) fn files(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for domain in project.domains() {
        for file in FILES {
            if !has_module(project, &domain, file) {
                findings.push(format!("actors/{domain}/src:1: no {file}"));
            }
        }
    }
    findings
}

pub(crate) fn migrations(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for domain in project.domains() {
        for engine in ["sqlite", "postgres"] {
            let folder = format!("migrations/{engine}/{domain}/");
            let there = project
                .texts
                .iter()
                .any(|text| text.path.starts_with(&folder));
            if has_module(project, &domain, "store.rs") && !there {
                findings.push(format!("{folder}:1: no migration of {domain}"));
            }
        }
    }
    findings
}

pub(crate) fn migration_names(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    // By engine and number, since the number is the order in which a database applies them.
    let mut seen: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let migrations: Vec<&str> = project
        .texts
        .iter()
        .map(|text| text.path.as_str())
        .filter(|path| path.starts_with("migrations/"))
        .collect();
    for path in &migrations {
        let parts: Vec<&str> = path.split('/').collect();
        let [_, engine, _domain, file] = parts.as_slice() else {
            findings.push(format!("{path}:1: not migrations/ENGINE/DOMAIN/FILE"));
            continue;
        };
        let Some((number, direction)) = parse_name(file) else {
            findings.push(format!(
                "{path}:1: not NNNN_name.up.sql or NNNN_name.down.sql"
            ));
            continue;
        };
        let (this, other) = if direction == "up" {
            (".up.sql", ".down.sql")
        } else {
            (".down.sql", ".up.sql")
        };
        let partner = path.replace(this, other);
        if !migrations.contains(&partner.as_str()) {
            findings.push(format!("{path}:1: no {partner}"));
        }
        let twin = swap_engine(path);
        if !migrations.contains(&twin.as_str()) {
            findings.push(format!("{path}:1: no {twin}"));
        }
        if direction == "up" {
            let key = ((*engine).to_owned(), number);
            seen.entry(key).or_default().push((*path).to_owned());
        }
    }
    for paths in seen.values().filter(|paths| paths.len() > 1) {
        findings.push(format!(
            "{}:1: the number is taken: {}",
            paths[0],
            paths.join(", ")
        ));
    }
    findings
}

pub(crate) fn config(project: &Project) -> Vec<String> {
    let text = project.text("config/mainstay.toml").unwrap_or_default();
    let has_section = |name: &str| {
        text.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line == format!("[{name}]") || line.starts_with(&format!("[{name}."))
        })
    };
    project
        .domains()
        .iter()
        .filter(|domain| !has_section(domain))
        .map(|domain| format!("config/mainstay.toml:1: no section [{domain}]"))
        .collect()
}

/// A module's own doc names the domains it is about, in backticks, on a line that begins with `//! Domains:`.
pub(crate) fn end_to_end(project: &Project) -> Vec<String> {
    let claims: Vec<&str> = project
        .texts
        .iter()
        .filter(|text| text.path.starts_with("tests/e2e/"))
        .flat_map(|text| text.text.lines())
        .filter(|line| line.starts_with("//! Domains:"))
        .collect();
    project
        .domains()
        .iter()
        .filter(|domain| {
            !claims
                .iter()
                .any(|line| line.contains(&format!("`{domain}`")))
        })
        .map(|domain| format!("tests/e2e:1: no module's `//! Domains:` line names `{domain}`"))
        .collect()
}

pub(crate) fn readme(project: &Project) -> Vec<String> {
    let readme = project.text("README.md").unwrap_or_default();
    project
        .domains()
        .iter()
        .filter(|domain| {
            !readme
                .lines()
                .any(|line| line.starts_with(&format!("| `{domain}` |")))
        })
        .map(|domain| format!("README.md:1: no row for `{domain}`"))
        .collect()
}

fn parse_name(file: &str) -> Option<(String, &str)> {
    let stem = file.strip_suffix(".sql")?;
    let (name, direction) = stem.rsplit_once('.')?;
    let (number, name) = name.split_once('_')?;
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    (is_number && is_name && matches!(direction, "up" | "down"))
        .then(|| (number.to_owned(), direction))
}

fn swap_engine(path: &str) -> String {
    match path.strip_prefix("migrations/sqlite/") {
        Some(rest) => format!("migrations/postgres/{rest}"),
        None => path.replacen("migrations/postgres/", "migrations/sqlite/", 1),
    }
}

#[test]
fn migration_names_parse() {
    assert_eq!(
        parse_name("0001_users.up.sql"),
        Some(("0001".to_owned(), "up"))
    );
    for wrong in [
        "1_users.up.sql",
        "0001_Users.up.sql",
        "0001.up.sql",
        "0001_users.sql",
        "0001_users.sideways.sql",
    ] {
        assert_eq!(parse_name(wrong), None, "{wrong}");
    }
}
