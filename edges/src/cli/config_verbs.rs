//! `config init|check|show|diff`: which configuration is meant, and the exit code. What is answered is
//! [`crate::config::verbs`]'s.

use std::path::PathBuf;

use crate::config::{self, Sources, verbs};

use super::{
    Session,
    args::{ConfigVerb, Preset},
    exit::Exit,
    failure::Failure,
    screen,
};

/// Runs a `config` verb.
pub(crate) fn run(session: &Session, verb: &ConfigVerb) -> Result<Exit, Failure> {
    let answer = match verb {
        ConfigVerb::Init { env } => verbs::init(match env {
            Preset::Development => config::Environment::Development,
            Preset::Production => config::Environment::Production,
        }),
        ConfigVerb::Check { file, json } => verbs::check(&sources(session, file.clone()), *json),
        ConfigVerb::Show { json } => verbs::show(&sources(session, None), *json),
        ConfigVerb::Diff { json } => verbs::diff(&sources(session, None), *json),
    };
    screen::print(&answer.stdout)?;
    if !answer.stderr.is_empty() {
        screen::hint(answer.stderr.trim_end());
    }
    Ok(if answer.is_valid {
        Exit::Done
    } else {
        Exit::Configuration
    })
}

/// What `mainstay up` would read: `file`, else `--config`, else the data directory's, else the machine's.
pub(crate) fn sources(session: &Session, file: Option<PathBuf>) -> Sources {
    let mut sources = Sources::new(session.environment.all());
    sources.file = file.or_else(|| session.global.config.clone());
    // Without a data directory there is only no file in it.
    sources.data_dir = session.data_dir().ok();
    sources
}
