//! The user's words: what a terminal is asked for, and what is told about one.

use std::collections::BTreeMap;

use ground::{Id, Micros};
use serde::Serialize;
use supervisor::Finding;

/// Most columns and most rows of a terminal.
pub const MAX_SIDE: u16 = 1000;

/// Most characters of a terminal's name.
pub const MAX_NAME: usize = 100;

/// A window, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Columns, 1 to [`MAX_SIDE`].
    pub cols: u16,
    /// Rows, 1 to [`MAX_SIDE`].
    pub rows: u16,
}

impl Size {
    /// A size whose both sides are from 1 to [`MAX_SIDE`].
    ///
    /// # Errors
    /// A finding at `/cols`, at `/rows`, or both.
    pub fn checked(cols: u32, rows: u32) -> Result<Self, Vec<Finding>> {
        match (side(cols), side(rows)) {
            (Some(cols), Some(rows)) => Ok(Self { cols, rows }),
            (cols, rows) => Err([("/cols", cols), ("/rows", rows)]
                .into_iter()
                .filter(|(_, side)| side.is_none())
                .map(|(pointer, _)| {
                    let message = format!("expected a number from 1 to {MAX_SIDE}");
                    Finding::new(pointer, "out_of_range", message)
                })
                .collect()),
        }
    }
}

fn side(wanted: u32) -> Option<u16> {
    u16::try_from(wanted)
        .ok()
        .filter(|side| (1..=MAX_SIDE).contains(side))
}

/// A terminal to open. What is left out comes from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTerminal {
    /// Where the shell starts: an absolute path of a directory.
    pub cwd: Option<String>,
    /// The program: an absolute path, or a name to look up in `PATH`.
    pub shell: Option<String>,
    /// Further environment variables; they win over all others.
    pub env: BTreeMap<String, String>,
    /// Columns, 1 to [`MAX_SIDE`].
    pub cols: u32,
    /// Rows, 1 to [`MAX_SIDE`].
    pub rows: u32,
    /// What to call it, at most [`MAX_NAME`] characters; the shell's name when left out.
    pub name: Option<String>,
}

/// What may change about a terminal. What is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalChange {
    /// Its name, at most [`MAX_NAME`] characters.
    pub name: Option<String>,
    /// Columns, 1 to [`MAX_SIDE`].
    pub cols: Option<u32>,
    /// Rows, 1 to [`MAX_SIDE`].
    pub rows: Option<u32>,
}

/// Whether a terminal's shell runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TerminalState {
    /// Its shell runs.
    Running,
    /// Its shell has ended; the scrollback is still there.
    Exited,
    /// It was running when an earlier daemon ended; nothing of it is left but this record.
    Lost,
}

impl TerminalState {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Lost => "lost",
        }
    }

    /// The state that `word` names.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Exited, Self::Lost]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// What is told about a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TerminalInfo {
    /// Its id.
    pub id: Id,
    /// Whose it is; null: the local operator's.
    pub owner: Option<Id>,
    /// What it is called.
    pub name: String,
    /// The program it runs, as an absolute path.
    pub shell: String,
    /// Where the program was started.
    pub cwd: String,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// Process id of the shell, also after its end.
    pub pid: u32,
    /// Whether the shell runs.
    pub state: TerminalState,
    /// The shell's exit code, or 128 plus the signal that ended it; null while it runs and when it is not known.
    pub exit_code: Option<i32>,
    /// When it was opened.
    pub created_at: Micros,
    /// How many bytes it has printed: the `since` of a viewer that has seen all.
    pub last_seq: u64,
    /// How many viewers are attached.
    pub viewers: u32,
}

/// Checks a name: 1 to [`MAX_NAME`] characters without control characters, after trimming.
pub(crate) fn check_name(name: &str) -> Result<String, Finding> {
    let name = name.trim();
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message = format!("expected 1 to {MAX_NAME} characters without control characters");
    Err(Finding::new("/name", "bad_name", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds_and_both_sides_are_told() {
        assert_eq!(
            Size::checked(1, 1000),
            Ok(Size {
                cols: 1,
                rows: 1000
            })
        );
        for (cols, rows, pointers) in [
            (0, 24, vec!["/cols"]),
            (100_000, 24, vec!["/cols"]),
            (80, 1001, vec!["/rows"]),
            (0, u32::MAX, vec!["/cols", "/rows"]),
        ] {
            let findings = Size::checked(cols, rows).unwrap_err();
            let told: Vec<_> = findings.iter().map(|f| f.pointer.as_str()).collect();
            assert_eq!(told, pointers);
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(check_name(" build ").as_deref(), Ok("build"));
        assert_eq!(check_name(&"ä".repeat(100)).map(|n| n.len()), Ok(200));
        for wrong in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(101)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn states_have_one_word_each() {
        for state in [
            TerminalState::Running,
            TerminalState::Exited,
            TerminalState::Lost,
        ] {
            assert_eq!(TerminalState::from_word(state.as_str()), Some(state));
        }
        assert_eq!(TerminalState::from_word("gone"), None);
    }
}
