//! Server-sent events, read one by one with a deadline.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use serde_json::Value;

/// More than this without the end of an event is an error of the server.
const LONGEST_EVENT: usize = 1024 * 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `id:`, empty when there was none.
    pub id: String,
    /// The `event:`, `message` when there was none.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data)
            .unwrap_or_else(|error| panic!("{self:?} holds no JSON: {error}"))
    }
}

type Bytes = Pin<Box<dyn Stream<Item = Result<Vec<u8>, String>> + Send>>;

/// An open stream of events.
pub struct Events {
    asked: String,
    bytes: Bytes,
    parser: Parser,
    ready: VecDeque<Event>,
    seen: Vec<Event>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("asked", &self.asked)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn new<B: AsRef<[u8]>>(
        asked: String,
        bytes: impl Stream<Item = Result<B, reqwest::Error>> + Send + 'static,
    ) -> Self {
        let bytes = bytes.map(|chunk| {
            chunk
                .map(|chunk| chunk.as_ref().to_vec())
                .map_err(|error| format!("{error:?}"))
        });
        Self {
            asked,
            bytes: Box::pin(bytes),
            parser: Parser::default(),
            ready: VecDeque::new(),
            seen: Vec::new(),
        }
    }

    /// The next event.
    ///
    /// # Panics
    ///
    /// When the stream ends before, or nothing comes within `limit`: with the events seen so far.
    pub async fn next(&mut self, limit: Duration) -> Event {
        match tokio::time::timeout(limit, self.read()).await.ok() {
            Some(Some(event)) => event,
            Some(None) => panic!("{}: the stream ended after {:#?}", self.asked, self.seen),
            None => panic!(
                "{}: no event within {limit:?} after {:#?}",
                self.asked, self.seen
            ),
        }
    }

    /// Reads until an event fits, and gives it back; `limit` holds for the whole.
    ///
    /// # Panics
    ///
    /// When the stream ends before, or none fits within `limit`: with the events seen so far.
    pub async fn until(&mut self, limit: Duration, mut fits: impl FnMut(&Event) -> bool) -> Event {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let event = self.next(left).await;
            if fits(&event) {
                return event;
            }
        }
    }

    /// Waits until the server has ended the stream.
    ///
    /// # Panics
    ///
    /// When it has not within `limit`.
    pub async fn ended(&mut self, limit: Duration) {
        let asked = format!("{}: the stream ends", self.asked);
        crate::within(limit, &asked, async {
            while self.read().await.is_some() {}
        })
        .await;
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.seen.push(event.clone());
                return Some(event);
            }
            // A connection cut off by the server's end is the end of the stream as well.
            let chunk = self.bytes.next().await?.ok()?;
            self.ready.extend(self.parser.feed(&chunk));
        }
    }
}

/// Cuts a byte stream into events; comments (keep-alives) are dropped.
#[derive(Debug, Default)]
struct Parser {
    pending: Vec<u8>,
}

impl Parser {
    fn feed(&mut self, chunk: &[u8]) -> Vec<Event> {
        self.pending
            .extend(chunk.iter().filter(|byte| **byte != b'\r'));
        let mut events = Vec::new();
        while let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.pending.drain(..end + 2).collect();
            events.extend(parse_block(&String::from_utf8_lossy(&block)));
        }
        assert!(
            self.pending.len() <= LONGEST_EVENT,
            "an event of over 1 MiB"
        );
        events
    }
}

fn parse_block(block: &str) -> Option<Event> {
    let mut event = Event {
        id: String::new(),
        name: "message".into(),
        data: String::new(),
    };
    let mut lines = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.name),
            "data" => lines.push(value),
            _ => {}
        }
    }
    event.data = lines.join("\n");
    (!lines.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_wherever_the_chunks_fall() {
        let text = ": hello\n\nid: 1\nevent: change\ndata: {\"a\":\ndata: 1}\n\ndata: x\r\n\r\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| parser.feed(chunk))
                .collect();
            assert_eq!(events.len(), 2, "in chunks of {size}");
            assert_eq!(
                (events[0].id.as_str(), events[0].name.as_str()),
                ("1", "change")
            );
            assert_eq!(events[0].json(), serde_json::json!({"a": 1}));
            assert_eq!(events[1].data, "x");
        }
    }
}
