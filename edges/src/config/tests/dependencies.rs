//! The section of the dependencies: defaults, what is said of one, and names that nobody knows.

use std::time::Duration;

use supervisor::DependencyPolicy;

use super::*;

const PATH: &str = store::DATABASE;

fn policy(text: &str, variables: &[(&str, &str)]) -> DependencyPolicy {
    let settings = load_bytes(text.as_bytes(), variables).unwrap().settings;
    let made = settings
        .dependencies
        .dependency(PATH, |base| settings.store.dependency(base));
    *made.policy()
}

#[test]
fn the_defaults_are_those_of_the_policy() {
    let settings = load_text("").unwrap().settings;
    let made = settings.dependencies.dependency("/any/where", |base| base);
    assert_eq!(*made.policy(), DependencyPolicy::default());
    assert_eq!(made.path(), "/any/where");
}

#[test]
fn what_is_said_of_one_wins_over_its_domain_and_that_over_all() {
    let own = policy("", &[]);
    assert_eq!(own.half_open_calls, 1, "the database's own");
    let text = "[dependencies]\nfailure_rate_percent = 20\nhalf_open_calls = 7\nslow_call = \"1s\"\n\
                [dependencies.\"store.database\"]\nslow_call = \"300ms\"\nopen_max = \"9s\"\n";
    let said = policy(text, &[]);
    let expected = DependencyPolicy {
        failure_rate_percent: 20,
        slow_call: Duration::from_millis(300),
        open: supervisor::Backoff {
            max: Duration::from_secs(9),
            ..own.open
        },
        ..own
    };
    assert_eq!(said, expected);
}

#[test]
fn the_environment_reaches_every_key() {
    let variables = [
        ("MAINSTAY_DEPENDENCIES__WINDOW_CALLS", "50"),
        ("MAINSTAY_DEPENDENCIES__STORE__DATABASE__TIMEOUT", "11s"),
    ];
    let text = "[dependencies.\"store.database\"]\ntimeout = \"12s\"\n";
    let said = policy(text, &variables);
    assert_eq!(
        (said.window_calls, said.timeout),
        (50, Duration::from_secs(11))
    );
    let loaded = load_bytes(text.as_bytes(), &variables).unwrap();
    let one = loaded
        .effective
        .iter()
        .find(|one| one.section.contains("store.database") && one.name == "timeout")
        .unwrap();
    assert_eq!(one.key(), "dependencies.\"store.database\".timeout");
    assert_eq!(
        one.origin.to_string(),
        format!("environment {}", ground::config::env_name(&one.key()))
    );
}

#[test]
fn what_nobody_knows_is_told_with_what_is_known() {
    for (text, told) in [
        ("[dependencies.\"store.databse\"]\n", "store.database"),
        (
            "[dependencies.\"prices.somewhere\"]\nattempts = 1\n",
            "store.database",
        ),
        ("[dependencies]\nattemps = 1\n", "attempts"),
        (
            "[dependencies.\"store.database\"]\nattemps = 1\n",
            "attempts",
        ),
    ] {
        let invalid = load_text(text).unwrap_err();
        assert_eq!(invalid.findings.len(), 1, "{invalid}");
        assert_eq!(invalid.findings[0].code, "config.unknown_key");
        assert!(invalid.to_string().contains(told), "{invalid}");
    }
}

#[test]
fn what_does_not_fit_is_refused_at_its_place() {
    assert_faults("[dependencies]\nattempts = «range»0\nfailure_rate_percent = «range»101\n");
    assert_faults("[dependencies.\"store.database\"]\nopen_first = «range»\"2h\"\n");
    assert_faults("[dependencies]\nmin_calls = «conflict»101\n");
    assert_faults("[dependencies]\nopen_max = «conflict»\"500ms\"\n");
}

#[test]
fn an_outside_issuer_is_configured_by_its_name() {
    let issuer = "[accounts.issuers.corp]\nissuer = \"https://id.example.org\"\nclient_id = \"m\"\nclient_secret = \"s\"\n\
                  redirect_uri = \"https://m.example.org/api/v1/auth/issuers/corp/callback\"\n";
    let text = format!("{issuer}[dependencies.\"accounts.issuer_corp\"]\ntimeout = \"7s\"\n");
    let settings = load_text(&text).unwrap().settings;
    let made = settings
        .dependencies
        .dependency("/accounts/issuer_corp", |base| base);
    assert_eq!(made.policy().timeout, Duration::from_secs(7));
    let misspelt = text.replace("issuer_corp\"", "issuer_crop\"");
    let refused = load_text(&misspelt).unwrap_err().to_string();
    assert!(refused.contains("issuer_crop"), "{refused}");
}
