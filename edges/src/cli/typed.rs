//! Passwords typed by a person or piped in. They are never an argument: arguments are seen by every process of the machine.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write as _};

use ground::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;

/// Bytes of a line at most; the daemon takes far less.
const MAX_LINE: u64 = 16 * 1024;

/// Where a password may come from.
pub(crate) enum Typed {
    /// One was given.
    Password(Secret),
    /// There is nobody to ask, and none was piped in.
    Nobody,
}

/// The password that is piped in, else the one that a person types twice.
///
/// # Errors
/// When the two differ, or nothing can be read.
pub(crate) fn new_password(is_piped: bool) -> Result<Typed, Failure> {
    if is_piped {
        return first_line(io::stdin().lock()).map(Typed::Password);
    }
    if !io::stdin().is_terminal() {
        return Ok(Typed::Nobody);
    }
    let first = hidden("Password: ")?;
    let again = hidden("The same again: ")?;
    if first != again {
        return Err(Failure::usage("the two passwords differ"));
    }
    Ok(Typed::Password(first))
}

/// A line from the terminal, without an echo.
fn hidden(prompt: &str) -> Result<Secret, Failure> {
    let mut terminal = File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|error| unreadable(&error))?;
    let _quiet = Quiet::begin(&terminal)?;
    write!(terminal, "{prompt}")?;
    let line = first_line(BufReader::new(
        terminal.try_clone().map_err(|error| unreadable(&error))?,
    ));
    writeln!(terminal)?;
    line
}

/// The first line, byte by byte as it came but for the line break.
fn first_line(source: impl BufRead) -> Result<Secret, Failure> {
    let mut line = Vec::new();
    source
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)
        .map_err(|error| unreadable(&error))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    let text = String::from_utf8(line).map_err(|_| Failure::usage("the password is not UTF-8"))?;
    Ok(Secret::from(text))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed("the password cannot be read").caused_by(error)
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: &File) -> Result<Self, Failure> {
        let terminal = terminal.try_clone().map_err(|error| unreadable(&error))?;
        let before = tcgetattr(&terminal).map_err(|error| unreadable(&error.into()))?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)
            .map_err(|error| unreadable(&error.into()))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone has no echo to bring back.
        let _gone = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_taken_as_it_is() {
        for (piped, wanted) in [
            ("  two  words \nmore\n", "  two  words "),
            ("no break", "no break"),
            ("cr\r\n", "cr\r"),
            ("", ""),
        ] {
            let read = first_line(piped.as_bytes()).expect("readable");
            assert!(read == Secret::from(wanted), "{piped:?}");
        }
        assert!(first_line(&b"\xff\n"[..]).is_err());
        let endless = first_line(BufReader::new(io::repeat(b'x'))).expect("bounded");
        assert_eq!(endless.expose().len() as u64, MAX_LINE);
    }
}
