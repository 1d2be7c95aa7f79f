//! What a key means, which depends on what is shown. Pure.
//!
//! What interrupts work is never one key away: an order is asked about, and nothing but `y` says yes. A paste is no typing,
//! so that a text with an `r` and a `y` in it restarts nothing.

use super::{super::action::Action, input::Key, model::Mode};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// To the row above.
    Up,
    /// To the row below.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Fold or open the part.
    Toggle,
    /// Open the part, or go inside.
    Open,
    /// Fold the part, or go outside.
    Close,
    /// Tell about the part.
    Explain,
    /// Order something.
    Order(Action),
    /// The question's answer.
    Yes,
    /// Type a filter.
    Filter,
    /// One more letter of it.
    Type(char),
    /// One letter less.
    Erase,
    /// No letter at all.
    EraseAll,
    /// The filter is good.
    Accept,
    /// Away with what is in front: pane, question, filter.
    Cancel,
    /// Show the keys.
    Help,
    /// Paint anew.
    Repaint,
    /// To the background.
    Suspend,
    /// The end.
    Quit,
}

/// The keys as `?` tells them.
pub(crate) const HELP: [(&str, &str); 15] = [
    ("up down, j k", "to the part above or below"),
    ("PgUp PgDn", "a page up or down"),
    ("Home End, g G", "to the first or the last part"),
    ("Enter, space", "fold or open what lies below the part"),
    ("right, left", "open and go inside; fold and go outside"),
    ("e", "explain the part: why, what you lose, what you can do"),
    ("r", "restart the part and what runs below it (asks first)"),
    ("h", "hold the part: stop it, it stays stopped (asks first)"),
    ("l", "release the part: start what is held or quarantined"),
    (
        "/",
        "show only what has these letters in path, level or state",
    ),
    ("Esc", "close what is in front; take the filter away"),
    ("?", "this list"),
    ("Ctrl-L", "paint the screen anew"),
    ("Ctrl-Z", "to the background; fg brings it back"),
    ("q, Ctrl-C", "end"),
];

/// What `key` asks for in `mode`; `None` where it means nothing.
pub(crate) fn command(mode: &Mode, key: Key) -> Option<Command> {
    match (mode, key) {
        (_, Key::Ctrl('c')) => Some(Command::Quit),
        (_, Key::Ctrl('z')) => Some(Command::Suspend),
        (_, Key::Ctrl('l')) => Some(Command::Repaint),
        (Mode::Browse, key) => browsing(key),
        (Mode::Filter, key) => typing(key),
        (Mode::Ask(..), key) => asked(key),
        (Mode::Explain(..) | Mode::Help, key) => reading(key),
    }
}

const fn moving(key: Key) -> Option<Command> {
    Some(match key {
        Key::Up => Command::Up,
        Key::Down => Command::Down,
        Key::PageUp => Command::PageUp,
        Key::PageDown => Command::PageDown,
        Key::Home => Command::Home,
        Key::End => Command::End,
        _ => return None,
    })
}

/// The letters that move where nothing is typed.
const fn moving_by_letter(key: Key) -> Option<Command> {
    Some(match key {
        Key::Char('k') => Command::Up,
        Key::Char('j') => Command::Down,
        Key::Char('g') => Command::Home,
        Key::Char('G') => Command::End,
        _ => return moving(key),
    })
}

const fn browsing(key: Key) -> Option<Command> {
    Some(match key {
        Key::Enter | Key::Char(' ') => Command::Toggle,
        Key::Right => Command::Open,
        Key::Left => Command::Close,
        Key::Char('e') => Command::Explain,
        Key::Char('r') => Command::Order(Action::Restart),
        Key::Char('h') => Command::Order(Action::Stop),
        Key::Char('l') => Command::Order(Action::Start),
        Key::Char('/') => Command::Filter,
        Key::Char('?') => Command::Help,
        Key::Char('q') => Command::Quit,
        Key::Esc => Command::Cancel,
        _ => return moving_by_letter(key),
    })
}

const fn typing(key: Key) -> Option<Command> {
    Some(match key {
        Key::Char(letter) | Key::Pasted(letter) => Command::Type(letter),
        Key::Ctrl('u') => Command::EraseAll,
        Key::Backspace => Command::Erase,
        Key::Enter => Command::Accept,
        Key::Esc => Command::Cancel,
        _ => return moving(key),
    })
}

const fn asked(key: Key) -> Option<Command> {
    match key {
        Key::Char('y' | 'Y') => Some(Command::Yes),
        Key::Char('n' | 'N' | 'q') | Key::Esc => Some(Command::Cancel),
        _ => None,
    }
}

const fn reading(key: Key) -> Option<Command> {
    Some(match key {
        Key::Esc | Key::Enter | Key::Char('q' | 'e' | '?') => Command::Cancel,
        Key::Char(' ') => Command::PageDown,
        _ => return moving_by_letter(key),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_modes() -> [Mode; 5] {
        [
            Mode::Browse,
            Mode::Filter,
            Mode::Ask(Action::Restart, "/a".to_owned()),
            Mode::Explain("/a".to_owned(), None),
            Mode::Help,
        ]
    }

    #[test]
    fn the_keys_do_what_the_help_says() {
        let pairs = [
            (Key::Char('j'), Command::Down),
            (Key::Up, Command::Up),
            (Key::Char('G'), Command::End),
            (Key::Enter, Command::Toggle),
            (Key::Char(' '), Command::Toggle),
            (Key::Char('e'), Command::Explain),
            (Key::Char('r'), Command::Order(Action::Restart)),
            (Key::Char('h'), Command::Order(Action::Stop)),
            (Key::Char('l'), Command::Order(Action::Start)),
            (Key::Char('/'), Command::Filter),
            (Key::Char('?'), Command::Help),
            (Key::Char('q'), Command::Quit),
        ];
        for (key, wanted) in pairs {
            assert_eq!(command(&Mode::Browse, key), Some(wanted), "{key:?}");
        }
    }

    #[test]
    fn only_y_says_yes() {
        let ask = Mode::Ask(Action::Stop, "/a".to_owned());
        assert_eq!(command(&ask, Key::Char('y')), Some(Command::Yes));
        for key in [Key::Char('n'), Key::Esc, Key::Char('q')] {
            assert_eq!(command(&ask, key), Some(Command::Cancel));
        }
        for key in [Key::Enter, Key::Char(' '), Key::Char('r')] {
            assert_eq!(command(&ask, key), None);
        }
    }

    #[test]
    fn every_letter_can_be_typed_into_a_filter() {
        for letter in ['q', 'r', '/', '?', 'é'] {
            assert_eq!(
                command(&Mode::Filter, Key::Char(letter)),
                Some(Command::Type(letter))
            );
        }
        assert_eq!(command(&Mode::Filter, Key::Down), Some(Command::Down));
    }

    #[test]
    fn control_c_ends_it_wherever_one_is() {
        for mode in all_modes() {
            assert_eq!(
                command(&mode, Key::Ctrl('c')),
                Some(Command::Quit),
                "{mode:?}"
            );
            assert_eq!(command(&mode, Key::Ctrl('r')), None, "{mode:?}");
        }
    }

    #[test]
    fn a_paste_is_typed_into_a_filter_and_nowhere_else() {
        for mode in all_modes() {
            let typed = command(&mode, Key::Pasted('y'));
            let wanted = matches!(mode, Mode::Filter).then_some(Command::Type('y'));
            assert_eq!(typed, wanted, "{mode:?}");
        }
    }

    proptest! {
        #[test]
        fn no_single_letter_gives_an_order_that_interrupts(letter in any::<char>()) {
            for mode in all_modes() {
                let is_question = matches!(mode, Mode::Ask(..));
                let yes = command(&mode, Key::Char(letter)) == Some(Command::Yes);
                prop_assert!(!yes || (is_question && matches!(letter, 'y' | 'Y')));
            }
        }
    }
}
