//! Keys out of the bytes that a terminal sends. Pure, but for [`Keyboard`], which reads them.
//!
//! Why by hand: the terminal is read as everything else here, by the one event loop, without a thread, and its end is an end.
//! The few sequences that count have been the same for decades; what is unknown is passed over.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _, time::Duration};

use rustix::fs::OFlags;
use tokio::{net::unix::pipe::Receiver, time::timeout};

const ESCAPE: u8 = 0x1b;
/// Bytes that a sequence may take.
const SEQUENCE_LIMIT: usize = 32;
/// A lone escape byte is the key of that name when nothing follows for this long.
const ESCAPE_PAUSE: Duration = Duration::from_millis(50);
const PASTE_BEGINS: &[u8] = b"200~";
const PASTE_ENDS: &[u8] = b"201~";

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A letter, digit, sign or space.
    Char(char),
    /// The same, out of a paste.
    Pasted(char),
    /// A small letter together with the control key.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape.
    Esc,
    /// The arrow.
    Up,
    /// The arrow.
    Down,
    /// The arrow.
    Left,
    /// The arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
}

/// What has arrived and is no key yet.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    waiting: Vec<u8>,
    is_paste: bool,
}

impl Decoder {
    /// Takes the next bytes and gives the keys that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for byte in bytes {
            // An escape begins anew, wherever the last sequence broke off; and what begins no sequence is a key of its own.
            if *byte == ESCAPE || (self.is_open() && !matches!(byte, b'[' | b'O')) {
                keys.extend(self.pause());
                self.waiting.clear();
            }
            self.waiting.push(*byte);
            match self.read() {
                Reading::More if self.waiting.len() < SEQUENCE_LIMIT => {}
                Reading::More | Reading::Nothing => self.waiting.clear(),
                Reading::Key(key) => {
                    self.waiting.clear();
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Whether what has arrived may be the key Escape, or the beginning of more.
    pub(crate) fn is_open(&self) -> bool {
        self.waiting == [ESCAPE] && !self.is_paste
    }

    /// Nothing has followed.
    pub(crate) fn pause(&mut self) -> Option<Key> {
        let is_escape = self.is_open();
        if is_escape {
            self.waiting.clear();
        }
        is_escape.then_some(Key::Esc)
    }

    fn read(&mut self) -> Reading {
        match *self.waiting.clone().as_slice() {
            [ESCAPE] | [ESCAPE, b'[' | b'O'] => Reading::More,
            [ESCAPE, b'[', ref parameters @ .., last] => self.sequence(parameters, last),
            [ESCAPE, b'O', last] => arrow(last).map_or(Reading::Nothing, Reading::Key),
            [ESCAPE, ..] => Reading::Nothing,
            [byte] if byte < b' ' || byte == 0x7f => self.control(byte),
            ref bytes => match std::str::from_utf8(bytes) {
                Ok(text) => text
                    .chars()
                    .next()
                    .map_or(Reading::Nothing, |c| self.letter(c)),
                Err(error) if error.error_len().is_none() => Reading::More,
                Err(_) => Reading::Nothing,
            },
        }
    }

    const fn letter(&self, letter: char) -> Reading {
        Reading::Key(if self.is_paste {
            Key::Pasted(letter)
        } else {
            Key::Char(letter)
        })
    }

    const fn control(&self, byte: u8) -> Reading {
        if self.is_paste {
            return Reading::Nothing;
        }
        Reading::Key(match byte {
            b'\r' | b'\n' => Key::Enter,
            0x08 | 0x7f => Key::Backspace,
            1..=26 => Key::Ctrl((byte + b'a' - 1) as char),
            _ => return Reading::Nothing,
        })
    }

    fn sequence(&mut self, parameters: &[u8], last: u8) -> Reading {
        if !(0x40..=0x7e).contains(&last) {
            return Reading::More;
        }
        let whole = [parameters, &[last]].concat();
        if whole == PASTE_BEGINS || whole == PASTE_ENDS {
            self.is_paste = whole == PASTE_BEGINS;
            return Reading::Nothing;
        }
        let key = match whole.as_slice() {
            _ if self.is_paste => None,
            b"1~" | b"7~" => Some(Key::Home),
            b"4~" | b"8~" => Some(Key::End),
            b"5~" => Some(Key::PageUp),
            b"6~" => Some(Key::PageDown),
            [last] => arrow(*last),
            _ => None,
        };
        key.map_or(Reading::Nothing, Reading::Key)
    }
}

/// What the bytes so far are.
enum Reading {
    More,
    Nothing,
    Key(Key),
}

const fn arrow(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

/// The terminal's keys.
#[derive(Debug)]
pub(crate) struct Keyboard {
    terminal: Receiver,
    decoder: Decoder,
}

impl Keyboard {
    /// The controlling terminal, opened anew: that reads of it never block is then nobody else's business.
    ///
    /// # Errors
    /// Whatever the system says; there may be no controlling terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let terminal = File::options()
            .read(true)
            .custom_flags(flags)
            .open("/dev/tty")?;
        Ok(Self {
            // No pipe, but read as one: whatever can be waited for will do.
            terminal: Receiver::from_file_unchecked(terminal)?,
            decoder: Decoder::default(),
        })
    }

    /// The next keys; `None` when the terminal is gone. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<Key>> {
        let pause = if self.decoder.is_open() {
            ESCAPE_PAUSE
        } else {
            Duration::MAX
        };
        match timeout(pause, read(&self.terminal)).await {
            Ok(Ok(bytes)) if !bytes.is_empty() => Some(self.decoder.push(&bytes)),
            Ok(_gone) => None,
            Err(_pause) => Some(self.decoder.pause().into_iter().collect()),
        }
    }
}

async fn read(terminal: &Receiver) -> io::Result<Vec<u8>> {
    loop {
        terminal.readable().await?;
        let mut buffer = [0; 1024];
        match terminal.try_read(&mut buffer) {
            Ok(count) => return Ok(buffer.iter().take(count).copied().collect()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Decoder::default().push(bytes)
    }

    #[test]
    fn letters_and_sequences_are_keys() {
        assert_eq!(
            keys(b"jq "),
            [Key::Char('j'), Key::Char('q'), Key::Char(' ')]
        );
        assert_eq!(keys("é→".as_bytes()), [Key::Char('é'), Key::Char('→')]);
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Key::Up, Key::Down]);
        assert_eq!(keys(b"\x1b[5~\x1b[6~"), [Key::PageUp, Key::PageDown]);
        assert_eq!(
            keys(b"\x1b[H\x1b[4~\x1b[1~\x1b[F"),
            [Key::Home, Key::End, Key::Home, Key::End]
        );
        assert_eq!(
            keys(b"\r\x7f\x03"),
            [Key::Enter, Key::Backspace, Key::Ctrl('c')]
        );
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        assert_eq!(keys(b"\x1b[1;5A\x1b[24~\x1b[<0;1;1Mj"), [Key::Char('j')]);
        assert_eq!(keys(b"\xff\xfej"), [Key::Char('j')]);
        let endless = [b"\x1b[".as_slice(), &[b'1'; 200]].concat();
        let mut decoder = Decoder::default();
        decoder.push(&endless);
        assert!(decoder.waiting.len() < SEQUENCE_LIMIT);
    }

    #[test]
    fn a_lone_escape_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\x1b"), []);
        assert!(decoder.is_open());
        assert_eq!(decoder.pause(), Some(Key::Esc));
        assert_eq!(decoder.pause(), None);
        assert_eq!(decoder.push(b"\x1b\x1b"), [Key::Esc]);
        assert_eq!(decoder.push(b"[B"), [Key::Down]);
        // Typed fast, or with the alt key held down.
        assert_eq!(decoder.push(b"\x1b/"), [Key::Esc, Key::Char('/')]);
    }

    #[test]
    fn a_paste_is_no_typing() {
        let pasted = keys(b"\x1b[200~ry\x03\r\x1b[A\x1b[201~q");
        assert_eq!(pasted, [Key::Pasted('r'), Key::Pasted('y'), Key::Char('q')]);
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_keys(bytes in prop::collection::vec(prop_oneof![Just(ESCAPE), Just(b'['), Just(b'~'), any::<u8>()], 0..60), cut in 0usize..60) {
            let (first, rest) = bytes.split_at(cut.min(bytes.len()));
            let mut decoder = Decoder::default();
            let mut all = decoder.push(first);
            all.extend(decoder.push(rest));
            prop_assert_eq!(all, keys(&bytes));
        }
    }
}
