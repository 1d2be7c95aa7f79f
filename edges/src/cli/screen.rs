//! Where the output goes, and what that place can show: a terminal gets colours, box characters and its own width; a pipe
//! gets plain ASCII of any width, so that `grep` and `awk` see stable text.
//!
//! `NO_COLOR` (set to anything), `TERM=dumb` and a locale without UTF-8 are honoured. A reader that closes the pipe early
//! (`mainstay status | head -1`) is a normal end, not an error.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
};

use rustix::termios::tcgetwinsize;
use supervisor::Level;

use super::text;

/// The process's environment, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What the process was started with.
    pub(crate) fn of_process() -> Self {
        Self(crate::config::environment())
    }

    /// All of it, for the configuration.
    pub(crate) fn all(&self) -> BTreeMap<OsString, OsString> {
        self.0.clone()
    }

    /// The variable's value, also when it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        self.0.get(std::ffi::OsStr::new(name)).cloned()
    }

    /// The variable's value as text; `None` when it is unset or empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .and_then(|value| value.into_string().ok())
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        )
    }
}

/// What the place of output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Colours by ANSI sequences.
    pub(crate) colour: bool,
    /// More than ASCII.
    pub(crate) unicode: bool,
    /// Cells in a line; `None` where lines have no end (a pipe, a file).
    pub(crate) width: Option<usize>,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// A heading.
    Strong,
    /// What matters less than the rest.
    Faint,
    /// Something good.
    Good,
    /// Something to look at.
    Caution,
    /// Something bad.
    Bad,
    /// As bad as it gets.
    Worst,
}

impl Ink {
    /// The ink of a level.
    pub(crate) const fn of_level(level: Level) -> Self {
        match level {
            Level::Normal => Self::Good,
            Level::Degraded => Self::Caution,
            Level::Critical => Self::Bad,
            Level::Offline => Self::Worst,
        }
    }

    /// The parameters of its escape sequence.
    pub(crate) const fn sequence(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Caution => "33",
            Self::Bad => "31",
            Self::Worst => "1;31",
        }
    }
}

impl Style {
    /// Plain ASCII of any width.
    pub(crate) const PLAIN: Self = Self {
        colour: false,
        unicode: false,
        width: None,
    };

    /// `text` in `ink`, where colours are shown. It must not be measured or cut afterwards.
    pub(crate) fn paint<'t>(&self, ink: Ink, text: &'t str) -> Cow<'t, str> {
        if self.colour && !text.trim().is_empty() {
            Cow::Owned(format!("\u{1b}[{}m{text}\u{1b}[0m", ink.sequence()))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// What stands for something cut off.
    pub(crate) const fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What points from a cause to what it causes.
    pub(crate) const fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Text from outside, made safe to print here.
    pub(crate) fn clean(&self, text: &str) -> String {
        let plain = text::plain(text);
        if self.unicode {
            plain
        } else {
            text::ascii(&plain)
        }
    }

    /// `text` cut to the width of the place.
    pub(crate) fn fit(&self, text: &str) -> String {
        self.width.map_or_else(
            || text.to_owned(),
            |width| text::cut(text, width, self.ellipsis()),
        )
    }
}

/// What a terminal of this environment shows; pure, so that it can be tested.
fn style_of(is_terminal: bool, columns: Option<usize>, environment: &Environment) -> Style {
    if !is_terminal {
        return Style::PLAIN;
    }
    let is_dumb = environment.text("TERM").is_none_or(|term| term == "dumb");
    // The first of these that is set decides, as in setlocale(3).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| environment.text(name))
        .unwrap_or_default();
    let is_utf8 = locale
        .to_ascii_uppercase()
        .replace('-', "")
        .contains("UTF8");
    Style {
        colour: !is_dumb && environment.text("NO_COLOR").is_none(),
        unicode: is_utf8 && !is_dumb,
        // 0 columns is what a serial line or a detached terminal says when nobody told it.
        width: Some(columns.filter(|columns| *columns > 0).unwrap_or(80)),
    }
}

/// The standard output and what it can show.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    environment: Environment,
    is_terminal: bool,
}

impl Screen {
    /// Looks at the process's stdout.
    pub(crate) fn of_process(environment: &Environment) -> Self {
        Self {
            environment: environment.clone(),
            is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether the cursor can be moved about on it.
    pub(crate) fn can_redraw(&self) -> bool {
        self.is_terminal
            && self
                .environment
                .text("TERM")
                .is_some_and(|term| term != "dumb")
    }

    /// What it can show now; the width follows the window.
    pub(crate) fn style(&self) -> Style {
        let columns = self.size().map(|(columns, _)| columns);
        style_of(self.is_terminal, columns, &self.environment)
    }

    /// Columns and rows, where it is a terminal that knows them.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        let size = tcgetwinsize(io::stdout())
            .ok()
            .filter(|_| self.is_terminal)?;
        Some((usize::from(size.ws_col), usize::from(size.ws_row)))
    }
}

/// Prints `text` on stdout as it is.
///
/// # Errors
/// Whatever the system says; a closed pipe is [`io::ErrorKind::BrokenPipe`].
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// The same with text that comes in pieces, cut anywhere.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// What the standard error output can show: for error messages and hints.
pub(crate) fn error_style(environment: &Environment) -> Style {
    let columns = tcgetwinsize(io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col));
    style_of(io::stderr().is_terminal(), columns, environment)
}

/// Prints a line of information on stderr. Nobody can be told when that fails.
pub(crate) fn hint(text: &str) {
    let _nobody_to_tell = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF8: [(&str, &str); 2] = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];

    #[test]
    fn a_terminal_shows_colours_and_boxes_in_its_width() {
        let style = style_of(true, Some(132), &Environment::from(UTF8));
        assert_eq!(
            style,
            Style {
                colour: true,
                unicode: true,
                width: Some(132)
            }
        );
    }

    #[test]
    fn a_pipe_gets_plain_text() {
        assert_eq!(
            style_of(false, Some(132), &Environment::from(UTF8)),
            Style::PLAIN
        );
    }

    #[test]
    fn wishes_are_honoured() {
        let no_colour =
            Environment::from([("TERM", "xterm"), ("LANG", "en_GB.utf8"), ("NO_COLOR", "1")]);
        assert_eq!(
            style_of(true, Some(80), &no_colour),
            Style {
                colour: false,
                unicode: true,
                width: Some(80)
            }
        );
        let empty_is_unset = Environment::from([("TERM", "xterm"), ("NO_COLOR", "")]);
        assert!(style_of(true, Some(80), &empty_is_unset).colour);
        let dumb = Environment::from([("TERM", "dumb"), ("LANG", "C.UTF-8")]);
        assert_eq!(
            style_of(true, None, &dumb),
            Style {
                colour: false,
                unicode: false,
                width: Some(80)
            }
        );
        let first_decides =
            Environment::from([("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "C.UTF-8")]);
        assert!(!style_of(true, Some(80), &first_decides).unicode);
    }

    #[test]
    fn a_terminal_that_knows_no_size_counts_as_80_wide() {
        assert_eq!(
            style_of(true, Some(0), &Environment::from(UTF8)).width,
            Some(80)
        );
    }

    #[test]
    fn colour_is_not_put_on_nothing() {
        let style = Style {
            colour: true,
            unicode: true,
            width: None,
        };
        assert_eq!(style.paint(Ink::Good, "  "), "  ");
        assert_eq!(style.paint(Ink::Good, "ok"), "\u{1b}[32mok\u{1b}[0m");
        assert_eq!(Style::PLAIN.paint(Ink::Good, "ok"), "ok");
    }
}
