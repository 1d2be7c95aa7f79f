//! What must not be in any file, and the papers that must be there.

use crate::source::Project;

/// Directories of one machine. Split, so that this file does not find itself.
const MACHINE_ROOTS: [&str; 3] = [
    concat!("/", "work/"),
    concat!("/", "root/"),
    concat!("/", "Users/"),
];
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
    concat!("for ", "now"),
    concat!("unimple", "mented!"),
];
const PAPERS: [&str; 8] = [
    "README.md",
    "docs/asvs.md",
    "docs/secrets.md",
    "docs/security.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];
/// The harness waits for conditions here, with a deadline; nobody else needs to.
const MAY_SLEEP: [&str; 1] = ["tests/kit/src/wait.rs"];

pub(crate) fn machine_paths(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in &project.texts {
        for (number, line) in text.text.lines().enumerate() {
            for root in MACHINE_ROOTS {
                if begins_a_path(line, root) {
                    findings.push(format!("{}:{}: {}", text.path, number + 1, line.trim()));
                }
            }
        }
    }
    findings
}

pub(crate) fn unfinished(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in project
        .texts
        .iter()
        .filter(|text| !text.has_extension("md") && text.path != "Cargo.lock")
    {
        for (number, line) in text.text.lines().enumerate() {
            for mark in UNFINISHED {
                if has_word(line, mark) {
                    findings.push(format!("{}:{}: `{mark}`", text.path, number + 1));
                }
            }
        }
    }
    findings
}

pub(crate) fn sleeps(project: &Project) -> Vec<String> {
    let sleep = concat!("sle", "ep(");
    // The rooms' own tests pause the clock, which makes a sleep a step of it; these here live in real time.
    let in_real_time = |path: &str| {
        ["tests/e2e/", "tests/kit/"]
            .iter()
            .any(|room| path.starts_with(room))
    };
    let mut findings = Vec::new();
    for text in project.rust().filter(|text| in_real_time(&text.path)) {
        if MAY_SLEEP.contains(&text.path.as_str()) {
            continue;
        }
        for (number, line) in text.text.lines().enumerate() {
            if line.contains(sleep) {
                findings.push(format!("{}:{}: {}", text.path, number + 1, line.trim()));
            }
        }
    }
    findings
}

pub(crate) fn papers(project: &Project) -> Vec<String> {
    PAPERS
        .iter()
        .filter(|paper| project.text(paper).is_none_or(str::is_empty))
        .map(|paper| format!("{paper}:1: missing or empty"))
        .collect()
}

/// The list of all that is built in, by version: from one place, and each what it was when it was first taken.
pub(crate) fn packages(project: &Project) -> Vec<String> {
    const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let lock = project.text("Cargo.lock").unwrap_or_default();
    let ours = |name: &str| {
        let line = format!("name = \"{name}\"");
        let is_manifest = |text: &&crate::source::Text| text.file_name() == "Cargo.toml";
        let mut manifests = project.texts.iter().filter(is_manifest);
        manifests.any(|text| text.text.lines().any(|told| told == line))
    };
    let mut findings = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let lines = || package.lines().map(str::trim);
        let name = lines().find_map(|line| line.strip_prefix("name = "));
        let name = name.unwrap_or_default().trim_matches('"');
        let is_pinned = lines().any(|line| line == REGISTRY)
            && lines().any(|line| line.starts_with("checksum = "));
        let is_local = !lines().any(|line| line.starts_with("source = ")) && ours(name);
        if !is_pinned && !is_local {
            findings.push(format!("Cargo.lock:1: `{name}`"));
        }
    }
    findings
}

fn begins_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = at
            .checked_sub(1)
            .and_then(|index| line.as_bytes().get(index));
        before.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || b"_./-}~$".contains(byte)))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let bytes = line.as_bytes();
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        !is_letter(before) && !is_letter(bytes.get(at + word.len()))
    })
}

#[test]
fn words_and_paths_are_told_apart() {
    assert!(has_word(concat!("// TO", "DO later"), UNFINISHED[0]));
    assert!(!has_word(concat!("mkTO", "DOs"), UNFINISHED[0]));
    assert!(begins_a_path(concat!("cd /", "work/x"), MACHINE_ROOTS[0]));
    assert!(!begins_a_path(concat!("a.b/", "work/x"), MACHINE_ROOTS[0]));
}
