//! The tree of verbs as a whole: its help, its usage errors, and the client against a real socket.

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::args::{Cli, TokenVerb, Verb};

/// What `--help` prints for `mainstay` and for every verb below it.
fn all_help() -> Vec<(String, String)> {
    fn collect(command: &clap::Command, path: &str, out: &mut Vec<(String, String)>) {
        let help = Cli::try_parse_from(path.split(' ').chain(["--help"])).unwrap_err();
        out.push((path.to_owned(), help.to_string()));
        for below in command.get_subcommands() {
            collect(below, &format!("{path} {}", below.get_name()), out);
        }
    }
    let mut out = Vec::new();
    collect(&Cli::command(), "mainstay", &mut out);
    out
}

#[test]
fn the_verbs_are_declared_soundly() {
    Cli::command().debug_assert();
}

#[test]
fn every_help_text() {
    let text: Vec<_> = all_help()
        .into_iter()
        .map(|(path, help)| format!("### {path}\n\n{}", help.trim_end()))
        .collect();
    insta::assert_snapshot!(text.join("\n\n"));
}

#[test]
fn every_help_ends_with_an_example_that_parses() {
    for (path, help) in all_help() {
        let (_, examples) = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("no example: {path}"));
        let examples = examples.split("\n\n").next().unwrap();
        let mut found = 0;
        for line in examples
            .lines()
            .filter_map(|line| line.trim().split_once("mainstay ").map(|(_, rest)| rest))
        {
            // What follows two spaces explains; what follows a redirection or a bracket is the shell's.
            let command = line
                .split("  ")
                .next()
                .unwrap()
                .split([')', '>'])
                .next()
                .unwrap();
            let words = std::iter::once("mainstay").chain(command.split_whitespace());
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{path}: {command}: {error}"));
            found += 1;
        }
        assert!(found > 0, "no example: {path}");
    }
}

#[test]
fn wrong_usage_is_told_apart_from_help() {
    let wrong = [
        "mainstay",
        "mainstay frobnicate",
        "mainstay status --depth 1000",
        "mainstay status a b",
        "mainstay status /a events",
        "mainstay status events /a",
        "mainstay status events --limit 0",
        "mainstay status events --since yesterday",
        "mainstay explain",
        "mainstay up --listen 4110",
        "mainstay token create --expires soon",
        "mainstay completions tcsh",
        "mainstay migrate down --steps 0",
        "mainstay migrate down --steps 1 --to 3",
        "mainstay restart /a --no-wait --timeout 5s",
        "mainstay config init --env staging",
        "mainstay top /ptys",
    ];
    for line in wrong {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!((error.exit_code(), error.use_stderr()), (2, true), "{line}");
    }
    for line in [
        "mainstay --help",
        "mainstay status -h",
        "mainstay --version",
    ] {
        let answer = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert!(
            matches!(
                answer.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ),
            "{line}"
        );
        assert!(!answer.use_stderr(), "{line}");
    }
}

#[test]
fn flags_are_read() {
    let cli = Cli::try_parse_from(
        "mainstay token create --scope read,terminals --scope operator --data-dir /d".split(' '),
    )
    .unwrap();
    assert_eq!(
        cli.global.data_dir.as_deref(),
        Some(std::path::Path::new("/d"))
    );
    match cli.verb {
        Verb::Token {
            verb:
                TokenVerb::Create {
                    scopes,
                    expires: None,
                    name: None,
                    user: None,
                },
        } => {
            assert_eq!(scopes, ["read", "terminals", "operator"]);
        }
        other => panic!("{other:?}"),
    }
    let cli = Cli::try_parse_from(
        "mainstay up --only ptys,store --without accounts --listen [::1]:0".split(' '),
    )
    .unwrap();
    match cli.verb {
        Verb::Up(up) => {
            assert_eq!((up.only.len(), up.without.len()), (2, 1));
            assert_eq!(up.listen, Some("[::1]:0".parse().unwrap()));
        }
        other => panic!("{other:?}"),
    }
}
