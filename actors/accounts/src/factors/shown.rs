//! What somebody shows as a second factor: a code of the app, a recovery code, or nothing that could be either. No I/O.

use std::fmt;

use crate::factors::recovery::{self, CodeHash};
use crate::factors::totp::DIGITS;

/// Bytes that are read at most.
const MAX_BYTES: usize = 64;

/// What was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A code of the app.
    Code([u8; DIGITS]),
    /// A recovery code.
    Recovery(CodeHash),
}

impl Shown {
    /// Reads it; `None` for what can be neither, and so is no guess.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        Self::code(text).or_else(|| recovery::read(text).map(Self::Recovery))
    }

    /// Apps show a code in two groups, and people type it so.
    fn code(text: &str) -> Option<Self> {
        let mut code = [0; DIGITS];
        let mut digits = text.bytes().filter(|byte| *byte != b' ');
        for place in &mut code {
            *place = digits.next().filter(u8::is_ascii_digit)?;
        }
        digits.next().is_none().then_some(Self::Code(code))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code",
            Self::Recovery(_) => "Recovery",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_kinds_are_told_apart() {
        assert_eq!(Shown::read("012345"), Some(Shown::Code(*b"012345")));
        assert_eq!(Shown::read(" 012 345 "), Some(Shown::Code(*b"012345")));
        let (text, hash) = recovery::make(&[3; recovery::CODE_BYTES]);
        assert_eq!(Shown::read(text.expose()), Some(Shown::Recovery(hash)));
        let long = format!("{}{}", text.expose(), " ".repeat(64));
        for neither in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", &long] {
            assert_eq!(Shown::read(neither), None, "{neither}");
        }
        assert_eq!(format!("{:?}", Shown::Code(*b"012345")), "Code");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,100}") {
            let _read = Shown::read(&text);
        }
    }
}
