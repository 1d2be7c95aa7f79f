//! Text that must fit a terminal: measuring, cutting, wrapping, and taking the sting out of control characters.
//!
//! Names and messages come from users and from the system (a terminal can be named with an escape sequence), so nothing
//! is printed before [`plain`] has seen it. Lengths are counted in terminal cells, never in bytes or chars.

use unicode_width::UnicodeWidthChar as _;

/// `text` on one line, with every control character (escape sequences, line breaks, direction marks) made harmless: white
/// space becomes a space, the rest `?`.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => '?',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// `text` in ASCII, for terminals and files that may not take more: what has an obvious spelling gets it, the rest is `?`.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_ascii() => out.push(c),
            '…' => out.push_str("..."),
            '–' | '—' | '‑' => out.push('-'),
            '→' => out.push_str("->"),
            '←' => out.push_str("<-"),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '×' => out.push('x'),
            '·' | '•' => out.push('*'),
            '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            'µ' | 'μ' => out.push('u'),
            '\u{a0}' => out.push(' '),
            _ => out.push('?'),
        }
    }
    out
}

/// Terminal cells that `text` takes at most. Counted by character, so that a text takes what its pieces take, wherever it is
/// cut; what a terminal draws as one (joined emoji, ligatures) takes less.
pub(crate) fn cells(text: &str) -> usize {
    text.chars().map(char_cells).sum()
}

fn char_cells(c: char) -> usize {
    // The selector that makes the character before it an emoji, which is wider.
    if c == '\u{fe0f}' {
        return 1;
    }
    c.width().unwrap_or(0)
}

/// `text` cut to at most `limit` cells, with `ellipsis` in place of what is cut off.
pub(crate) fn cut(text: &str, limit: usize, ellipsis: &str) -> String {
    if cells(text) <= limit {
        return text.to_owned();
    }
    let (room, ellipsis) = match limit.checked_sub(cells(ellipsis)) {
        Some(room) => (room, ellipsis),
        None => (limit, ""),
    };
    let mut out = head(text, room).to_owned();
    out.push_str(ellipsis);
    out
}

/// The longest beginning of `text` that takes at most `limit` cells.
fn head(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let end = text
        .char_indices()
        .find(|&(_, c)| {
            used += char_cells(c);
            used > limit
        })
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// `text` filled up with spaces to `width` cells.
pub(crate) fn left(text: &str, width: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(cells(text))));
    out
}

/// `text` pushed to the right end of `width` cells.
pub(crate) fn right(text: &str, width: usize) -> String {
    let mut out = " ".repeat(width.saturating_sub(cells(text)));
    out.push_str(text);
    out
}

/// `text` broken between words into lines of at most `width` cells; a word that is longer is broken inside. `None` for
/// `width` leaves it on one line. There is always at least one line.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(1)) else {
        return vec![text.split_whitespace().collect::<Vec<_>>().join(" ")];
    };
    let mut lines = Vec::new();
    let mut line = String::new();
    for mut word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if cells(&line) + gap + cells(word) <= width {
            line.push_str(if gap == 1 { " " } else { "" });
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while cells(word) > width {
            let (first, rest) = word.split_at(head(word, width).len());
            // A character wider than the line cannot be broken: it is dropped.
            if first.is_empty() {
                word = "";
                break;
            }
            lines.push(first.to_owned());
            word = rest;
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_lose_their_sting() {
        assert_eq!(
            plain("\u{1b}[31mred\u{7}\nnext\u{202e}gnp"),
            "?[31mred? next?gnp"
        );
        assert_eq!(ascii("a → b … “x” ü"), "a -> b ... \"x\" ?");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cells("終端"), 4);
        assert_eq!(wrap("0\u{fe0f}", Some(1)), ["0", "\u{fe0f}"]);
        assert_eq!(cut("終端機", 5, "…"), "終端…");
        assert_eq!(cut("終端機", 4, "…"), "終…");
        assert_eq!(right("終", 4), "  終");
        assert_eq!(left("終", 4), "終  ");
    }

    #[test]
    fn cutting_leaves_what_fits() {
        assert_eq!(cut("manager", 7, "…"), "manager");
        assert_eq!(cut("manager", 4, "…"), "man…");
        assert_eq!(cut("manager", 2, "..."), "ma");
        assert_eq!(cut("manager", 0, "…"), "");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(
            wrap("no new terminals can be opened", Some(12)),
            ["no new", "terminals", "can be", "opened"]
        );
        assert_eq!(wrap("abcdefgh ij", Some(3)), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("終", Some(1)), [""]);
        assert_eq!(wrap("  a  b ", None), ["a b"]);
        assert_eq!(wrap("", Some(5)), [""]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,80}", width in 1usize..40) {
            for line in wrap(&text, Some(width)) {
                prop_assert!(cells(&line) <= width, "{line:?} takes {}", cells(&line));
            }
            prop_assert!(cells(&cut(&text, width, "…")) <= width);
            prop_assert!(cells(&cut(&text, width, "...")) <= width);
        }

        #[test]
        fn no_text_is_taken_for_narrower_than_it_is(text in "(\\PC|❤\u{fe0f}|👩\u{200d}🚀|🇩🇪|e\u{301}){0,20}") {
            prop_assert!(unicode_width::UnicodeWidthStr::width(text.as_str()) <= cells(&text));
        }

        #[test]
        fn wrapping_loses_no_word(text in "[a-z ]{0,80}", width in 1usize..40) {
            let back: String = wrap(&text, Some(width)).concat().split_whitespace().collect();
            prop_assert_eq!(back, text.split_whitespace().collect::<String>());
        }

        #[test]
        fn plain_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(!plain(&text).chars().any(char::is_control));
            prop_assert!(ascii(&text).is_ascii());
        }
    }
}
