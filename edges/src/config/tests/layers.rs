//! Which layer wins, who set what, and what the environment gets wrong.

use ground::config::{Origin, Reload};

use super::super::change::plan;
use super::*;

fn origin(loaded: &Loaded, key: &str) -> String {
    loaded
        .effective
        .iter()
        .find(|one| one.key() == key)
        .map(|one| one.origin.to_string())
        .unwrap()
}

#[test]
fn later_layers_win_and_every_value_knows_its_origin() {
    let file = "[http]\nmax_streams = 1\nmax_in_flight = 2\nmax_connections = 3\n";
    let source = Source::new("mainstay.toml", file.as_bytes());
    let (table, problems) = document::parse(&source);
    let variables = [
        ("MAINSTAY_HTTP__MAX_IN_FLIGHT", "20"),
        ("MAINSTAY_HTTP__MAX_CONNECTIONS", "30"),
        ("MAINSTAY_HTTP__LISTEN", "127.0.0.1:1"),
    ];
    let sources = sources(&variables)
        .flag("--listen", "http.listen", Some("127.0.0.1:0"))
        .flag("--none", "http.nothing", None::<&str>);
    let loaded = assemble(&sources, None, &table, problems).unwrap();
    let http = &loaded.settings.http;
    assert_eq!(
        (
            http.max_streams,
            http.max_in_flight,
            http.max_connections,
            http.listen.port()
        ),
        (1, 20, 30, 0)
    );
    assert_eq!(origin(&loaded, "http.max_streams"), "mainstay.toml:2");
    assert_eq!(
        origin(&loaded, "http.max_in_flight"),
        "environment MAINSTAY_HTTP__MAX_IN_FLIGHT"
    );
    assert_eq!(origin(&loaded, "http.listen"), "flag --listen");
    assert_eq!(origin(&loaded, "http.request_timeout"), "default");
}

#[test]
fn a_fault_is_told_even_where_a_later_layer_wins() {
    let invalid = load_bytes(
        b"[http]\nmax_streams = 0\n",
        &[("MAINSTAY_HTTP__MAX_STREAMS", "5")],
    )
    .unwrap_err();
    assert_eq!(invalid.findings.len(), 1);
    assert_eq!(invalid.findings[0].line, Some(2));
}

#[test]
fn the_environment_gives_text_of_every_type() {
    let variables = [
        (
            "MAINSTAY_HTTP__ALLOWED_ORIGINS",
            "https://a.example, https://b.example",
        ),
        ("MAINSTAY_HTTP__BODY_LIMIT", "2MiB"),
        ("MAINSTAY_HTTP__REQUEST_TIMEOUT", "1m30s"),
        ("MAINSTAY_LOG__FORMAT", "json"),
    ];
    let settings = load_bytes(b"", &variables).unwrap().settings;
    assert_eq!(
        settings.http.allowed_origins,
        ["https://a.example", "https://b.example"]
    );
    assert_eq!(settings.http.body_limit.0, 2 << 20);
    assert_eq!(settings.http.request_timeout.as_secs(), 90);
    let listed = load_bytes(
        b"",
        &[("MAINSTAY_HTTP__ALLOWED_ORIGINS", "[\"https://c.example\"]")],
    )
    .unwrap()
    .settings;
    assert_eq!(listed.http.allowed_origins, ["https://c.example"]);
    let none = load_bytes(
        b"[http]\nallowed_origins = [\"https://c.example\"]",
        &[("MAINSTAY_HTTP__ALLOWED_ORIGINS", "")],
    );
    assert!(none.unwrap().settings.http.allowed_origins.is_empty());
}

#[test]
fn every_faulty_variable_is_told_with_the_nearest_name() {
    let variables = [
        ("MAINSTAY_HTTP__LISTN", "127.0.0.1:0"),
        ("MAINSTAY_HTPP__LISTEN", "127.0.0.1:0"),
        ("MAINSTAY_HTTP__MAX_STREAMS", "many"),
        ("MAINSTAY_HTTP__", "x"),
        ("MAINSTAY_LOG__FORMAT__X", "x"),
        ("MAINSTAY_log__format", "json"),
        ("MAINSTAY_DATA_DIR", "/x"),
        ("MAINSTAY_LOG_FORMAT", "x"),
        ("OTHER__KEY", "x"),
    ];
    let invalid = load_bytes(b"", &variables).unwrap_err();
    let told: Vec<(&str, &str, &str)> = invalid
        .findings
        .iter()
        .map(|one| {
            (
                one.variable.as_deref().unwrap(),
                one.code.as_str(),
                one.hint.as_deref().unwrap_or(""),
            )
        })
        .collect();
    let expected = [
        (
            "MAINSTAY_HTPP__LISTEN",
            "config.unknown_section",
            "did you mean MAINSTAY_HTTP__…?",
        ),
        (
            "MAINSTAY_HTTP__",
            "config.environment",
            "two underscores stand between the section and the key",
        ),
        (
            "MAINSTAY_HTTP__LISTN",
            "config.unknown_key",
            "did you mean MAINSTAY_HTTP__LISTEN?",
        ),
        ("MAINSTAY_HTTP__MAX_STREAMS", "config.type", ""),
        ("MAINSTAY_LOG__FORMAT__X", "config.type", ""),
        (
            "MAINSTAY_log__format",
            "config.environment",
            "did you mean MAINSTAY_LOG__FORMAT?",
        ),
    ];
    assert_eq!(told, expected);
    assert!(invalid.to_string().starts_with("MAINSTAY_HTPP__LISTEN: "));
}

#[test]
fn variables_that_contradict_each_other_are_refused() {
    let invalid = load_bytes(
        b"",
        &[
            ("MAINSTAY_LOG__FORMAT", "json"),
            ("MAINSTAY_LOG__FORMAT__X", "x"),
        ],
    )
    .unwrap_err();
    assert_eq!(invalid.findings[0].code, "config.environment");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut sources = sources(&[]);
    sources.environment.insert(
        "MAINSTAY_LOG__FORMAT".into(),
        OsString::from_vec(vec![0xff]),
    );
    sources
        .environment
        .insert(OsString::from_vec(vec![0xff]), "x".into());
    let invalid = super::super::load(&sources).unwrap_err();
    assert_eq!(invalid.findings.len(), 1);
    assert_eq!(invalid.findings[0].code, "config.not_utf8");
}

#[test]
fn a_reload_knows_what_it_may_apply() {
    let old = load_text("[log]\nfilter = \"info\"\n").unwrap();
    let new = load_text(
        "[log]\nfilter = \"debug\"\nformat = \"json\"\n[http]\nlisten = \"127.0.0.1:4110\"\n",
    )
    .unwrap();
    let plan = plan(&old, &new);
    let keys: Vec<(&str, Reload)> = plan
        .changes
        .iter()
        .map(|change| (change.key.as_str(), change.reload))
        .collect();
    assert_eq!(
        keys,
        [("log.filter", Reload::Live), ("log.format", Reload::Daemon)]
    );
    assert_eq!(
        plan.live().next().unwrap().from.as_deref(),
        Some("\"info\"")
    );
    assert_eq!(plan.live().next().unwrap().to.as_deref(), Some("\"debug\""));
    assert_eq!(plan.needs_restart().count(), 1);
    assert!(plan.subtrees().is_empty());
    assert!(super::super::plan(&old, &old).is_empty());
    assert!(matches!(old.effective[0].origin, Origin::Default));
}
