//! Reads server-sent events out of bytes that arrive in any pieces. Pure: no socket, no clock.
//!
//! Follows the rules of the event-stream format (line ends of three kinds, comments, several `data` lines, a block without
//! data is no event) and bounds what one event may take, so that a daemon gone mad cannot fill the reader's memory.

/// Bytes that one event (or one line) may take.
const LIMIT: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The event's id, to resume after it.
    pub(crate) id: Option<String>,
    /// Its type; empty means `message`.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: String,
}

/// The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {LIMIT} bytes")]
pub(crate) struct TooLarge;

/// What has arrived and is not yet an event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    event: Sent,
    has_data: bool,
    last_id: Option<String>,
}

impl Parser {
    /// Takes the next bytes and gives the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Sent>, TooLarge> {
        let mut events = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.take_line(&line)?);
                }
                _ => {
                    self.after_cr = false;
                    if self.line.len() >= LIMIT {
                        return Err(TooLarge);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<Sent>, TooLarge> {
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        };
        if line.is_empty() {
            let event = Sent {
                id: self.last_id.clone(),
                ..std::mem::take(&mut self.event)
            };
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let text = String::from_utf8_lossy(line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.event.data.len() + value.len() >= LIMIT {
                    return Err(TooLarge);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            // A comment has an empty field name; `retry` is ours to decide.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Sent> {
        Parser::default().push(bytes).unwrap()
    }

    fn sent(id: Option<&str>, name: &str, data: &str) -> Sent {
        Sent {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_read_with_any_line_end() {
        for end in ["\n", "\r", "\r\n"] {
            let text =
                "\u{feff}: hello\nid: 7\nevent: level\ndata: a\ndata:b\n\nretry: 5\ndata\n\n"
                    .replace('\n', end);
            assert_eq!(
                all(text.as_bytes()),
                [sent(Some("7"), "level", "a\nb"), sent(Some("7"), "", "")],
                "{end:?}"
            );
        }
    }

    #[test]
    fn a_block_without_data_is_no_event_and_an_open_one_waits() {
        assert_eq!(all(b"event: level\n\n: keep-alive\n\ndata: x\n"), []);
    }

    #[test]
    fn an_endless_line_is_refused() {
        assert_eq!(
            Parser::default().push(&vec![b'x'; LIMIT + 1]),
            Err(TooLarge)
        );
        let mut parser = Parser::default();
        let chunk = [b"data: ".as_slice(), &b"x".repeat(1 << 20), b"\n"].concat();
        assert!((0..8).any(|_| parser.push(&chunk).is_err()));
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_events(text in "(data|id|event|:|x| |\n|\r|é){0,40}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let bytes = text.as_bytes();
            let mut parser = Parser::default();
            let mut events = Vec::new();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for to in cuts.into_iter().chain([bytes.len()]) {
                events.extend(parser.push(&bytes[from..to]).unwrap());
                from = to;
            }
            prop_assert_eq!(events, all(bytes));
        }
    }
}
