//! What went wrong, told so that the reader knows what to do next. Every verb ends in an [`Exit`] or in a [`Failure`], and
//! a failure carries its exit code, every finding, the chain of causes and the next steps; one place prints it.

use std::{error::Error, fmt::Write as _, io};

use serde::Deserialize;

use crate::{
    config::Invalid,
    data_dir::{DataDirError, LockError},
};

use super::{
    exit::Exit,
    screen::{Ink, Style},
    text,
};

/// Causes that are told at most.
const CHAIN_LIMIT: usize = 16;

/// A verb that could not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What happened: one sentence, lowercase, without a full stop. Empty: nothing is printed.
    pub(crate) message: String,
    /// Each single finding, such as one wrong field.
    pub(crate) findings: Vec<String>,
    /// Why, from the nearest cause to the root.
    pub(crate) causes: Vec<String>,
    /// What the reader can do, as commands or sentences.
    pub(crate) next: Vec<String>,
    /// Names the request in the daemon's log.
    pub(crate) request_id: Option<Box<str>>,
}

impl Failure {
    /// A failure with this exit code and message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            findings: Vec::new(),
            causes: Vec::new(),
            next: Vec::new(),
            request_id: None,
        }
    }

    /// Something was tried and did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line asks for something that cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds a next step.
    #[must_use]
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    /// Adds the causes below `error`, and `error` itself.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        self.causes.extend(chain(error));
        self
    }

    /// What is printed on stderr, with a line break at its end; empty when there is nothing to say.
    pub(crate) fn render(&self, style: &Style) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let mut lines = vec![format!(
            "{} {}",
            style.paint(Ink::Worst, "error:"),
            style.clean(&self.message)
        )];
        lines.extend(
            self.findings
                .iter()
                .map(|finding| format!("  - {}", style.clean(finding))),
        );
        lines.extend(
            self.causes
                .iter()
                .map(|cause| format!("  caused by: {}", style.clean(cause))),
        );
        if let Some(id) = &self.request_id {
            lines.push(
                style
                    .paint(
                        Ink::Faint,
                        &format!("  request {} in the daemon's log", style.clean(id)),
                    )
                    .into_owned(),
            );
        }
        for (index, step) in self.next.iter().enumerate() {
            let label = if index == 0 { "next:" } else { "  or:" };
            lines.push(format!(
                "{} {}",
                style.paint(Ink::Strong, label),
                style.clean(step)
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// `error` and what caused it; a cause whose text the one before it ends with is told once.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next.filter(|_| told.len() < CHAIN_LIMIT) {
        let words = text::plain(&cause.to_string());
        if !told.last().is_some_and(|last| last.ends_with(&words)) {
            told.push(words);
        }
        next = cause.source();
    }
    told
}

impl From<io::Error> for Failure {
    /// Only output fails with a bare system error; a reader that has seen enough is no failure at all.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "");
        }
        Self::failed("the output cannot be written").caused_by(&error)
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        let mut failure = Self::failed(error.to_string()).next(error.next_step());
        if let Some(source) = error.source() {
            failure.causes = chain(source);
        }
        failure
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let exit = match &error {
            LockError::Held { .. } => Exit::AlreadyRunning,
            LockError::Io { .. } => Exit::Failed,
        };
        let mut failure = Self::new(exit, error.to_string());
        if let Some(source) = error.source() {
            failure.causes = chain(source);
        }
        match error {
            LockError::Held { .. } => failure
                .next("mainstay status tells how that daemon is doing; stop it, or use another directory with --data-dir"),
            LockError::Io { .. } => failure.next("mainstay doctor checks the data directory"),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let mut findings: Vec<_> = invalid.findings.iter().map(finding_text).collect();
        if invalid.more > 0 {
            findings.push(format!("and {} more", invalid.more));
        }
        Self {
            findings,
            ..Self::new(Exit::Configuration, invalid.summary())
        }
        .next("mainstay config check, once they are mended")
    }
}

/// A finding on one line; its hint follows on lines of its own.
fn finding_text(finding: &impl std::fmt::Display) -> String {
    let text = finding.to_string();
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

impl From<anyhow::Error> for Failure {
    /// Whatever the daemon's start says. What has an exit code of its own keeps it, however deep it lies.
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => match error.downcast::<LockError>() {
                Ok(held) => return held.into(),
                Err(error) => error,
            },
        };
        let error = match error.downcast::<DataDirError>() {
            Ok(unusable) => return unusable.into(),
            Err(error) => error,
        };
        let error = match error.downcast::<Invalid>() {
            Ok(invalid) => return invalid.into(),
            Err(error) => error,
        };
        let mut causes = chain(error.as_ref());
        let message = if causes.is_empty() {
            error.to_string()
        } else {
            causes.remove(0)
        };
        Self {
            causes,
            ..Self::failed(message)
        }
        .next("mainstay doctor checks what the daemon needs")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// The API's problem document (RFC 9457), as far as the command line tells of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    errors: Vec<ProblemFinding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemFinding {
    pointer: String,
    message: String,
    code: String,
}

impl Problem {
    /// Reads a reply's body; a body that is no problem document gives an empty one.
    pub(crate) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The failure to print for an answer with `status`; `retry_after_s` is the answer's `Retry-After` in seconds.
    pub(crate) fn into_failure(self, status: u16, retry_after_s: Option<u64>) -> Failure {
        let outside = self.detail.or(self.title);
        let outside =
            outside.unwrap_or_else(|| format!("the daemon answered {status} without saying why"));
        let outside = outside.trim_end_matches('.');
        let mut message = outside.to_owned();
        if let Some(code) = &self.code {
            _ = write!(message, " ({code})");
        }
        let findings: Vec<_> = self
            .errors
            .into_iter()
            .map(ProblemFinding::into_text)
            .collect();
        let is_told = matches!(findings.as_slice(), [only] if only.starts_with(outside));
        let request_id = self
            .request_id
            .filter(|_| status >= 500)
            .map(String::into_boxed_str);
        // What the daemon calls invalid is what was typed here.
        let exit = if matches!(status, 400 | 422) {
            Exit::Usage
        } else {
            Exit::Failed
        };
        let findings = if is_told { Vec::new() } else { findings };
        let failure = Failure {
            findings,
            request_id,
            ..Failure::new(exit, message)
        };
        match next_step(status, retry_after_s) {
            Some(step) => failure.next(step),
            None => failure,
        }
    }
}

impl ProblemFinding {
    fn into_text(self) -> String {
        let mut text = String::new();
        if !self.pointer.is_empty() {
            text.push_str(&self.pointer);
            text.push_str(": ");
        }
        text.push_str(&self.message);
        if !self.code.is_empty() {
            _ = write!(text, " ({})", self.code);
        }
        text
    }
}

fn next_step(status: u16, retry_after_s: Option<u64>) -> Option<String> {
    Some(match (status, retry_after_s) {
        (401, _) => "run the command as the user that the daemon runs as, or as root".to_owned(),
        (429 | 503, Some(seconds)) => {
            format!("try again in {seconds} s; mainstay status tells what is not well")
        }
        (429, None) => "try again in a minute".to_owned(),
        (500.., _) => {
            "mainstay status tells what is not well, mainstay doctor checks the rest".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_problem_is_told_with_every_finding_and_the_next_step() {
        let body = br#"{"title":"invalid input","status":422,"detail":"two fields are not valid.","code":"http.invalid",
            "errors":[{"pointer":"/expires_in_s","message":"must be at least 60","code":"range"},
                      {"pointer":"","message":"something else","code":""}]}"#;
        let failure = Problem::read(body).into_failure(422, None);
        insta::assert_snapshot!(failure.render(&Style::PLAIN));
        let busy = Problem::read(
            br#"{"detail":"the store is away","code":"store.down","request_id":"r-1"}"#,
        );
        insta::assert_snapshot!(busy.into_failure(503, Some(4)).render(&Style::PLAIN));
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_told_too() {
        let failure = Problem::read(b"<html>").into_failure(502, None);
        assert_eq!(
            failure.message,
            "the daemon answered 502 without saying why"
        );
        assert_eq!(failure.exit, Exit::Failed);
    }

    #[test]
    fn what_was_typed_wrong_is_wrong_usage_and_told_once() {
        let body = br#"{"detail":"/name: is too long.","code":"http.invalid","errors":[{"pointer":"/name","message":"is too long","code":"length"}]}"#;
        let failure = Problem::read(body).into_failure(422, None);
        assert_eq!((failure.exit, failure.findings.len()), (Exit::Usage, 0));
        assert_eq!(
            Problem::read(b"{}").into_failure(400, None).exit,
            Exit::Usage
        );
        assert_eq!(
            Problem::read(b"{}").into_failure(409, None).exit,
            Exit::Failed
        );
    }

    #[test]
    fn what_has_its_own_exit_code_keeps_it_through_anyhow() {
        let held = LockError::Held {
            path: PathBuf::from("/d"),
            pid: Some(7),
        };
        let failure = Failure::from(anyhow::Error::new(held).context("cannot start"));
        assert_eq!(failure.exit, Exit::AlreadyRunning);
        assert!(failure.message.contains("process 7"), "{}", failure.message);
        let own = anyhow::Error::new(Failure::new(Exit::Configuration, "bad")).context("outer");
        assert_eq!(Failure::from(own).exit, Exit::Configuration);
        assert_eq!(
            Failure::from(anyhow::anyhow!("boom").context("cannot start")).exit,
            Exit::Failed
        );
    }

    #[test]
    fn a_cause_is_told_once() {
        let root = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = anyhow::Error::new(root)
            .context("cannot read it: no such file")
            .context("cannot start");
        let failure = Failure::from(error);
        assert_eq!(failure.message, "cannot start");
        assert_eq!(failure.causes, ["cannot read it: no such file"]);
    }

    #[test]
    fn a_closed_pipe_is_a_normal_end() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(
            (failure.exit, failure.render(&Style::PLAIN)),
            (Exit::Done, String::new())
        );
    }

    #[test]
    fn what_a_daemon_says_cannot_move_the_cursor() {
        let failure = Failure::failed("bad \u{1b}[2J name");
        assert!(!failure.render(&Style::PLAIN).contains('\u{1b}'));
    }
}
