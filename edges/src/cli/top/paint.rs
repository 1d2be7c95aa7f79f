//! Our inks as the styles of the drawing library, and the other looks (which paint by escape sequences) as its lines.
//!
//! `explain` and the event line already draw themselves for any width; what they paint is read back here, so that their
//! wording and their colours are the same in every verb.

use ratatui::{
    style::{Color, Modifier, Style as Look},
    text::{Line, Span},
};

use super::super::screen::{Ink, Style};

const ESCAPE: char = '\u{1b}';
const INKS: [Ink; 6] = [
    Ink::Strong,
    Ink::Faint,
    Ink::Good,
    Ink::Caution,
    Ink::Bad,
    Ink::Worst,
];

/// How `ink` looks where colours are shown, and how it looks where they are not: plain.
pub(crate) fn look(ink: Ink, style: &Style) -> Look {
    let plain = Look::new();
    if !style.colour {
        return plain;
    }
    match ink {
        Ink::Strong => plain.add_modifier(Modifier::BOLD),
        Ink::Faint => plain.add_modifier(Modifier::DIM),
        Ink::Good => plain.fg(Color::Green),
        Ink::Caution => plain.fg(Color::Yellow),
        Ink::Bad => plain.fg(Color::Red),
        Ink::Worst => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

/// `text` in `ink`.
pub(crate) fn span(ink: Ink, text: impl Into<String>, style: &Style) -> Span<'static> {
    Span::styled(text.into(), look(ink, style))
}

/// A line that [`Style::paint`] has painted, for the drawing library. No escape sequence comes out of it, also not one that
/// is none of ours.
pub(crate) fn line(painted: &str, style: &Style) -> Line<'static> {
    let mut spans = Vec::new();
    let mut ink = None;
    for (index, piece) in painted.split(ESCAPE).enumerate() {
        let painted = sequence(piece).filter(|_| index > 0);
        let text = painted.map_or(piece, |(_, text)| text);
        if let Some((sequence, _)) = painted {
            ink = INKS.into_iter().find(|ink| ink.sequence() == sequence);
        }
        if !text.is_empty() {
            spans.push(match ink {
                Some(ink) => span(ink, text, style),
                None => Span::raw(text.to_owned()),
            });
        }
    }
    Line::from(spans)
}

/// The parameters of a colour sequence, and what follows it.
fn sequence(piece: &str) -> Option<(&str, &str)> {
    let (parameters, text) = piece.strip_prefix('[')?.split_once('m')?;
    parameters
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b';')
        .then_some((parameters, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLOURS: Style = Style {
        colour: true,
        unicode: true,
        width: None,
    };

    #[test]
    fn every_ink_is_read_back() {
        for ink in INKS {
            let painted = format!("a {} z", COLOURS.paint(ink, "m"));
            let spans = line(&painted, &COLOURS).spans;
            assert_eq!(spans[0], Span::raw("a "), "{ink:?}");
            assert_eq!(spans[1], Span::styled("m", look(ink, &COLOURS)), "{ink:?}");
            assert_eq!(spans[2], Span::raw(" z"), "{ink:?}");
            assert_ne!(look(ink, &COLOURS), Look::new());
            assert_eq!(look(ink, &Style::PLAIN), Look::new());
        }
    }

    proptest! {
        #[test]
        fn no_escape_comes_through_and_no_text_is_lost(text in "(\u{1b}|\\[|m|1|31|;|é|word ){0,24}") {
            let drawn: String = line(&text, &COLOURS).spans.iter().map(|span| span.content.as_ref()).collect();
            prop_assert!(!drawn.contains(ESCAPE));
            prop_assert_eq!(drawn.matches("word ").count(), text.matches("word ").count());
        }
    }
}
