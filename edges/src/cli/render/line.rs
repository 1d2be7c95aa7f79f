//! One line made of coloured pieces. Colour sequences take no cells, so a painted text can be neither measured nor cut:
//! here the pieces are kept apart until the end, cut to the width as plain text, and painted last.

use super::super::{
    screen::{Ink, Style},
    text,
};

/// A line being put together. What is pushed must have been cleaned already.
#[derive(Debug, Default)]
pub(crate) struct Line(Vec<(Option<Ink>, String)>);

impl Line {
    /// Adds plain text.
    pub(crate) fn push(&mut self, text: impl Into<String>) {
        self.0.push((None, text.into()));
    }

    /// Adds text in `ink`.
    pub(crate) fn paint(&mut self, ink: Ink, text: impl Into<String>) {
        self.0.push((Some(ink), text.into()));
    }

    /// Writes the line to `out`, cut to the width of `style`, without spaces at its end, with a line break.
    pub(crate) fn finish(mut self, style: &Style, out: &mut String) {
        self.trim_end();
        let mut room = style.width.unwrap_or(usize::MAX);
        let mut rest: usize = self.0.iter().map(|(_, piece)| text::cells(piece)).sum();
        for (ink, piece) in self.0 {
            let wide = text::cells(&piece);
            let piece = if rest <= room || wide < room {
                piece
            } else {
                // The line ends in this piece although more follows, so this piece carries the ellipsis.
                text::cut(&(piece + &" ".repeat(rest - wide)), room, style.ellipsis())
            };
            room = room.saturating_sub(wide);
            rest -= wide;
            match ink {
                Some(ink) => out.push_str(&style.paint(ink, &piece)),
                None => out.push_str(&piece),
            }
            if room == 0 {
                break;
            }
        }
        out.push('\n');
    }

    fn trim_end(&mut self) {
        while let Some((_, last)) = self.0.last_mut() {
            last.truncate(last.trim_end().len());
            if !last.is_empty() {
                return;
            }
            self.0.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(pieces: &[&str], width: usize, colour: bool) -> String {
        let style = Style {
            colour,
            unicode: true,
            width: Some(width),
        };
        let mut line = Line::default();
        for (index, piece) in pieces.iter().enumerate() {
            if index % 2 == 0 {
                line.push(*piece);
            } else {
                line.paint(Ink::Bad, *piece);
            }
        }
        let mut out = String::new();
        line.finish(&style, &mut out);
        out
    }

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_once() {
        assert_eq!(finished(&["abc", "def", "ghi"], 9, false), "abcdefghi\n");
        assert_eq!(finished(&["abc", "def", "ghi"], 8, false), "abcdefg…\n");
        assert_eq!(finished(&["abc", "def", "ghi"], 5, false), "abcd…\n");
        assert_eq!(finished(&["abc", "def", "ghi"], 3, false), "ab…\n");
        assert_eq!(finished(&["abc", "def  "], 9, false), "abcdef\n");
        assert_eq!(
            finished(&["abc", "def", "ghi"], 5, true),
            "abc\u{1b}[31md…\u{1b}[0m\n"
        );
    }
}
