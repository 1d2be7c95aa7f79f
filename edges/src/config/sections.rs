//! The small sections that belong to the edges themselves: `[log]`, `[secrets]` and `[drills]`. Each domain declares its own.

use ground::Secret;
use ground::config::nearest;
use ground::sealed::MasterKey;

ground::choices! {
    /// How a log line is written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for machines.
        Json = "json",
    }
}

ground::section! {
    /// The log, which goes to stderr.
    pub struct LogConfig in "log" {
        /// What is logged: a level (error, warn, info, debug, trace), also by part, as in "info,ptys=debug".
        filter: String = "info".to_owned(), range 1..=1000, check |filter: &String| check_filter(filter), reload live;
        /// How a line is written.
        format: LogFormat = LogFormat::Text, reload daemon;
    }
}

ground::section! {
    /// Fault drills: real faults, injected on purpose to see that they are told and healed.
    pub struct DrillsConfig in "drills" {
        /// Whether an operator may start them.
        enabled: bool = false, reload daemon;
    }
}

ground::section! {
    /// The key that stored secrets are sealed with, such as those of authenticator apps.
    pub struct SecretsConfig in "secrets" {
        /// The master key: 32 random bytes as base64 or hexadecimal digits, as `openssl rand -base64 32` prints them. Unset: the
        /// file master.key in the data directory, which the first start makes. Keep a copy apart from the database's backups.
        master_key: Secret = Secret::default(), check check_master_key, example r#"{ file = "/etc/mainstay/master-key" }"#, reload daemon;
        /// Master keys of before. They open what they sealed and seal nothing; each secret moves to the present key when it is used.
        older_keys: Vec<Secret> = Vec::new(), range ..=8, each check_master_key, reload daemon;
    }
}

/// What cannot be a key is a fault of the configuration. The message holds nothing of it.
fn check_master_key(key: &Secret) -> Result<(), String> {
    let parsed = MasterKey::parse(key.expose());
    parsed.map(drop).map_err(|error| error.to_string())
}

/// The log library takes any word for the name of a part and nothing for everything: a misspelt level would then log nothing, or all.
fn check_filter(filter: &str) -> Result<(), String> {
    filter
        .split(',')
        .map(str::trim)
        .try_for_each(check_directive)
}

/// A level, or a part with its level.
fn check_directive(directive: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let (part, level) = directive
        .split_once('=')
        .map_or((None, directive), |(part, level)| {
            (Some(part.trim()), level.trim())
        });
    let is_part = |part: &str| {
        let is_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
        !part.is_empty() && part.chars().all(is_named)
    };
    if part.is_some_and(|part| !is_part(part)) {
        return Err(format!(
            "expected a level or part=level pairs such as \"info,ptys=debug\", found {directive:?}"
        ));
    }
    if LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let near = nearest(level, LEVELS)
        .map_or_else(String::new, |level| format!("; did you mean {level:?}?"));
    Err(format!(
        "expected a level ({}) or part=level, found {directive:?}{near}",
        LEVELS.join(", ")
    ))
}
