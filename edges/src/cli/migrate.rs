//! `migrate status|up|down|verify`: works on the database itself, without a daemon.
//!
//! `up` and `down` hold the data directory's lock while they work, so that they never run beside a daemon on the same
//! directory; the store has a lock of its own for databases that several machines reach. Looking needs neither.

use std::fmt::Write as _;

use store::migrate::{self, Report, Standing, Status};
use store::{Location, StoreError};

use crate::{
    config,
    data_dir::{self, DataDirLock},
};

use super::{
    Session,
    args::MigrateVerb,
    block_on,
    config_verbs::sources,
    document,
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Ink, Style},
    span,
};

/// Runs a `migrate` verb.
pub(crate) fn run(session: &Session, verb: &MigrateVerb) -> Result<Exit, Failure> {
    let home = session.data_dir()?;
    let loaded = config::load(&sources(session, None))?;
    let location = Location::parse(&loaded.settings.store.url, &home).map_err(|error| {
        Failure::new(Exit::Configuration, error.to_string())
            .next("mainstay config show tells where it is set")
    })?;
    match verb {
        MigrateVerb::Status { json } => show(
            session,
            &block_on(async { Ok(migrate::status(&location).await?) })?,
            *json,
        ),
        MigrateVerb::Verify { json } => verify(&location, *json),
        MigrateVerb::Up => {
            data_dir::prepare(&home)?;
            let _lock = DataDirLock::acquire(&home)?;
            let report = block_on(async { Ok(migrate::up(&location).await?) })?;
            screen::print(&told(&report, "applied", "nothing is pending"))?;
            Ok(Exit::Done)
        }
        MigrateVerb::Down { steps, to } => {
            if let Some(file) = location.file()
                && matches!(file.try_exists(), Ok(false))
            {
                return Err(
                    Failure::failed(format!("there is no database {}", file.display())).next(
                        "--data-dir DIR (or MAINSTAY_DATA_DIR) names another daemon's directory",
                    ),
                );
            }
            data_dir::prepare(&home)?;
            let _lock = DataDirLock::acquire(&home)?;
            let report = block_on(async {
                let status = migrate::status(&location).await?;
                Ok(migrate::down(&location, to.unwrap_or_else(|| target(&status, *steps))).await?)
            })?;
            screen::print(&told(
                &report,
                "taken back",
                "nothing was applied beyond that",
            ))?;
            Ok(Exit::Done)
        }
    }
}

fn show(session: &Session, status: &Status, json: bool) -> Result<Exit, Failure> {
    let text = if json {
        json_text(status)?
    } else {
        list(status, &session.screen.style())
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

fn verify(location: &Location, json: bool) -> Result<Exit, Failure> {
    let status = block_on(async { Ok(migrate::verify(location).await?) })?;
    let text = if json {
        json_text(&status)?
    } else {
        format!(
            "{} is sound and fits this binary (migration {})\n",
            status.place, status.version
        )
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

fn json_text(status: &Status) -> Result<String, Failure> {
    let document = serde_json::to_value(status).map_err(|error| {
        Failure::failed("the migrations cannot be written as JSON").caused_by(&error)
    })?;
    Ok(document::json_text(&document))
}

/// The version that is left when the newest `steps` applied migrations are taken back.
fn target(status: &Status, steps: u32) -> u32 {
    let mut applied: Vec<_> = status
        .steps
        .iter()
        .filter(|step| step.applied_at.is_some())
        .map(|step| step.version)
        .collect();
    applied.sort_unstable_by(|a, b| b.cmp(a));
    let after = usize::try_from(steps).unwrap_or(usize::MAX);
    applied.get(after).copied().unwrap_or(0)
}

fn list(status: &Status, style: &Style) -> String {
    let rows: Vec<_> = status
        .steps
        .iter()
        .map(|step| {
            let at = step.applied_at.map_or_else(|| "-".to_owned(), span::moment);
            [
                format!("{:04}", step.version),
                step.domain.clone(),
                step.name.clone(),
                standing_word(step.standing).to_owned(),
                at,
            ]
        })
        .collect();
    let mut out = format!(
        "{} at migration {}\n\n",
        style.clean(&status.place),
        status.version
    );
    out.push_str(&table::draw(
        ["MIGRATION", "DOMAIN", "NAME", "STANDING", "APPLIED"],
        &rows,
        style,
    ));
    let mut gap = "\n";
    for (standing, ink, words) in [
        (
            Standing::Pending,
            Ink::Caution,
            "pending, applied by mainstay up or mainstay migrate up",
        ),
        (
            Standing::Edited,
            Ink::Worst,
            "edited after it was applied: run the binary that applied it",
        ),
        (
            Standing::Unknown,
            Ink::Worst,
            "unknown to this binary: a newer mainstay applied it, run that one",
        ),
    ] {
        let count = status.standing(standing).count();
        if count > 0 {
            let words = style.fit(&format!("{count} {words}"));
            _ = writeln!(out, "{gap}{}", style.paint(ink, &words));
            gap = "";
        }
    }
    out
}

const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied => "applied",
        Standing::Pending => "pending",
        Standing::Edited => "edited",
        Standing::Unknown => "unknown",
    }
}

fn told(report: &Report, done: &str, nothing: &str) -> String {
    if report.steps.is_empty() {
        return format!("{nothing}; the database is at migration {}\n", report.to);
    }
    let mut out = String::new();
    for step in &report.steps {
        _ = writeln!(out, "{done}: {step}");
    }
    if let Some(backup) = &report.backup {
        _ = writeln!(out, "backup before: {}", backup.display());
    }
    _ = writeln!(
        out,
        "the database went from migration {} to {}",
        report.from, report.to
    );
    out
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = if matches!(error, StoreError::InUse { .. }) {
            Exit::AlreadyRunning
        } else {
            Exit::Failed
        };
        let source = std::error::Error::source(&error);
        let failure = Self::new(exit, error.to_string());
        let failure = match source {
            Some(source) => failure.caused_by(source),
            None => failure,
        };
        failure.next("mainstay doctor checks the database and what it needs")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ground::Micros;
    use store::migrate::Step;

    use super::*;

    fn status() -> Status {
        let step = |version: u32, name: &str, standing: Standing| Step {
            version,
            domain: "ptys".to_owned(),
            name: name.to_owned(),
            standing,
            applied_at: (standing != Standing::Pending).then_some(Micros(1_700_000_000_000_000)),
        };
        Status {
            engine: "sqlite",
            place: "/d/mainstay.db".to_owned(),
            version: 9,
            steps: vec![
                step(1, "first", Standing::Applied),
                step(2, "second", Standing::Edited),
                step(3, "third", Standing::Pending),
                step(9, "ninth", Standing::Unknown),
            ],
        }
    }

    #[test]
    fn each_standing_is_told_with_what_to_do() {
        insta::assert_snapshot!(list(&status(), &Style::PLAIN));
    }

    #[test]
    fn steps_back_are_counted_over_what_was_applied() {
        assert_eq!(
            (
                target(&status(), 1),
                target(&status(), 2),
                target(&status(), 3)
            ),
            (2, 1, 0)
        );
        assert_eq!(target(&status(), u32::MAX), 0);
    }

    #[test]
    fn what_was_done_is_told() {
        let nothing = Report {
            from: 3,
            to: 3,
            steps: Vec::new(),
            backup: None,
        };
        assert_eq!(
            told(&nothing, "applied", "nothing is pending"),
            "nothing is pending; the database is at migration 3\n"
        );
        let report = Report {
            from: 1,
            to: 2,
            steps: vec!["sqlite/ptys/0002_second".to_owned()],
            backup: Some(PathBuf::from("/d/backups/x.db")),
        };
        insta::assert_snapshot!(told(&report, "applied", ""));
    }

    #[test]
    fn a_database_in_use_has_its_exit_code() {
        let failure = Failure::from(StoreError::InUse {
            place: "/d/mainstay.db".to_owned(),
        });
        assert_eq!(failure.exit, Exit::AlreadyRunning);
    }
}
