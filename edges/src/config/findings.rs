//! Faults as people and programs read them.
//!
//! No line of the file is ever quoted, since it could hold a secret: the place, what was expected and the hint say enough.
//! A value that was found is named only where its key is no secret.

use std::fmt;
use std::path::{Path, PathBuf};

use ground::config::{Origin, Problem};
use serde::Serialize;

/// How many findings are listed; of more, the number is told.
pub(super) const MOST_FINDINGS: usize = 200;

/// One fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Which layer it is in: `file`, `environment`, `flag` or `default`.
    #[serde(skip)]
    layer: Layer,
    /// The file, when it is in one.
    pub file: Option<String>,
    /// The line, from 1; none when it is about the file as a whole.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
    /// The environment variable or the flag, when it is in one.
    pub variable: Option<String>,
    /// The dotted key it is about, as far as that is known.
    pub key: Option<String>,
    /// Stable: `config.syntax`, `config.type`, `config.unknown_key`, …
    pub code: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    File,
    Environment,
    Flag,
    Default,
}

impl Finding {
    pub(super) fn of(problem: &Problem) -> Self {
        let mut finding = Self {
            layer: Layer::Default,
            file: None,
            line: None,
            column: None,
            variable: None,
            key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
            code: problem.refusal.code.to_owned(),
            message: problem.refusal.message.clone(),
            hint: problem.refusal.hint.clone(),
        };
        match &problem.origin {
            Origin::Default => {}
            Origin::File { file, line, column } => {
                finding.layer = Layer::File;
                finding.file = Some(file.to_string());
                finding.line = Some(*line).filter(|line| *line > 0);
                finding.column = Some(*column).filter(|column| *column > 0);
            }
            Origin::Env(name) => {
                finding.layer = Layer::Environment;
                finding.variable = Some(name.to_string());
            }
            Origin::Flag(name) => {
                finding.layer = Layer::Flag;
                finding.variable = Some(name.to_string());
            }
        }
        finding
    }

    /// The place, as compilers print it.
    fn place(&self) -> String {
        match (&self.file, self.line, self.column, &self.variable) {
            (Some(file), Some(line), Some(column), _) => format!("{file}:{line}:{column}"),
            (Some(file), ..) => file.clone(),
            (None, _, _, Some(variable)) => variable.clone(),
            _ => "defaults".to_owned(),
        }
    }

    /// Place, key and what is wrong.
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Finding {
    /// One line: place, key, what is wrong, what to do, code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        write!(f, " [{}]", self.code)
    }
}

/// A configuration with at least one fault. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The file that was read or could not be.
    pub file: Option<PathBuf>,
    /// The faults by place: at most 200.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: usize,
}

impl Invalid {
    pub(super) fn new(file: Option<PathBuf>, mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        let more = findings.len().saturating_sub(MOST_FINDINGS);
        findings.truncate(MOST_FINDINGS);
        Self {
            file,
            findings,
            more,
        }
    }

    /// One sentence: how many errors, and where.
    pub fn summary(&self) -> String {
        let count = self.findings.len() + self.more;
        let errors = if count == 1 {
            "1 error".to_owned()
        } else {
            format!("{count} errors")
        };
        match self.file.as_deref().map(Path::display) {
            Some(file) => format!("the configuration is not valid: {errors} (file {file})"),
            None => format!("the configuration is not valid: {errors}"),
        }
    }
}

impl fmt::Display for Invalid {
    /// Every finding on a line of its own, hints indented below, then the summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            finding.write_head(f)?;
            writeln!(f, " [{}]", finding.code)?;
            if let Some(hint) = &finding.hint {
                writeln!(f, "    {hint}")?;
            }
        }
        if self.more > 0 {
            writeln!(f, "… and {} more", self.more)?;
        }
        f.write_str(&self.summary())
    }
}
