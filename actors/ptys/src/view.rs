//! What the viewers of a terminal see, as plain state: the scrollback, a place in it for each viewer, and how it ended.
//!
//! Nothing here waits or does I/O. A viewer asks for its next frame and hears what it is, that there is none yet, or that nothing
//! will follow. An attach fixes the viewer's place in the same step in which it learns where the output stands, so there
//! is neither a gap nor a double between the two.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tokio::time::Instant;

use crate::frames::{self, ClosedReason, ExitEvent, Notice, OUTPUT, SNAPSHOT};
use crate::scrollback::{Piece, Scrollback};

/// Answers (pongs, refusals) that wait for one viewer; further ones are dropped, as a client that sends without reading asks for.
const MAX_ANSWERS: usize = 32;

/// Names one attachment of one terminal.
pub(crate) type ViewerKey = u64;

/// What kind of frame a viewer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Output of the program.
    Output,
    /// Output from before the attach.
    Snapshot,
    /// The shell ended; all output has been sent.
    Exit,
    /// Answer to a ping.
    Pong,
    /// Something the viewer should know.
    Notice,
}

/// A frame for one viewer, ready for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    kind: FrameKind,
    wire: Bytes,
}

impl Frame {
    fn new(kind: FrameKind, wire: Bytes) -> Self {
        Self { kind, wire }
    }

    /// What kind it is.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// What the kind byte is followed by.
    pub fn payload(&self) -> Bytes {
        self.wire.slice(1..)
    }

    /// The binary message, kind byte included.
    pub fn into_wire(self) -> Bytes {
        self.wire
    }
}

/// What comes next for a viewer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This frame.
    Frame(Frame),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    Done,
}

#[derive(Debug)]
struct Viewer {
    /// Number of the next byte it gets.
    cursor: u64,
    /// What lies before this number goes out as snapshot.
    snapshot_until: u64,
    /// Said first of all.
    greeting: Option<Notice>,
    answers: VecDeque<Frame>,
    /// Bytes of its input that were not typed and of which it does not know yet.
    input_dropped: u64,
    /// Bytes of output and snapshot sent.
    sent: u64,
    /// Bytes that it has confirmed; `None` until it confirms for the first time, and until then it is not held back.
    confirmed: Option<u64>,
    exit_told: bool,
    closed_told: bool,
}

/// The output side of a terminal.
#[derive(Debug)]
pub(crate) struct View {
    ring: Scrollback,
    viewers: BTreeMap<ViewerKey, Viewer>,
    next_key: ViewerKey,
    /// Steps that any viewer took through the ring.
    moves: u64,
    /// Whether the pump waits for viewers to catch up.
    pump_waits: bool,
    exit: Option<ExitEvent>,
    closed: Option<ClosedReason>,
    last_active: Instant,
}

/// How far even the fastest viewer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Bytes it has not read.
    pub(crate) bytes: u64,
    /// Steps that any viewer took so far.
    pub(crate) moves: u64,
}

impl View {
    /// No output and no viewer; the ring costs at most `scrollback` bytes.
    pub(crate) fn new(scrollback: usize) -> Self {
        Self {
            ring: Scrollback::new(scrollback),
            viewers: BTreeMap::new(),
            next_key: 0,
            moves: 0,
            pump_waits: false,
            exit: None,
            closed: None,
            last_active: Instant::now(),
        }
    }

    /// Appends an output frame.
    pub(crate) fn append(&mut self, chunk: Bytes) {
        self.ring.push(chunk);
        self.touch();
    }

    /// Somebody used the terminal.
    pub(crate) fn touch(&mut self) {
        self.last_active = Instant::now();
    }

    /// Since when nobody has used it; `None` while somebody looks at it.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.viewers.is_empty().then_some(self.last_active)
    }

    /// How many bytes were printed.
    pub(crate) fn end(&self) -> u64 {
        self.ring.end()
    }

    /// What the scrollback may cost, in bytes.
    pub(crate) fn scrollback_limit(&self) -> usize {
        self.ring.limit()
    }

    /// How many viewers are attached.
    pub(crate) fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// How the shell ended.
    pub(crate) fn exit(&self) -> Option<&ExitEvent> {
        self.exit.as_ref()
    }

    /// The shell ended, and all its output was appended.
    pub(crate) fn set_exit(&mut self, exit_code: i32, signal: Option<String>) {
        let seq = self.ring.end();
        self.exit = Some(ExitEvent {
            exit_code,
            signal,
            seq,
        });
        self.touch();
    }

    /// The terminal is being closed; the first reason stays.
    pub(crate) fn set_closed(&mut self, reason: ClosedReason) {
        self.closed.get_or_insert(reason);
    }

    /// Attaches a viewer, unless `most` are attached already. It gets everything from `since` on if that is still there, and
    /// else what the scrollback holds.
    pub(crate) fn attach(&mut self, since: Option<u64>, most: usize) -> Option<ViewerKey> {
        if self.viewers.len() >= most {
            return None;
        }
        let (start, end) = (self.ring.start(), self.ring.end());
        let resumed = since.filter(|seq| (start..=end).contains(seq));
        let cursor = resumed.unwrap_or(start);
        let viewer = Viewer {
            cursor,
            snapshot_until: if resumed.is_some() { cursor } else { end },
            greeting: Some(Notice::Attached {
                seq: cursor,
                end,
                resumed: resumed.is_some(),
            }),
            answers: VecDeque::new(),
            input_dropped: 0,
            sent: 0,
            confirmed: None,
            exit_told: false,
            closed_told: false,
        };
        let key = self.next_key;
        self.next_key += 1;
        self.viewers.insert(key, viewer);
        self.touch();
        Some(key)
    }

    /// Forgets a viewer.
    pub(crate) fn detach(&mut self, key: ViewerKey) {
        self.viewers.remove(&key);
        self.touch();
    }

    /// Whether this viewer is attached.
    pub(crate) fn is_attached(&self, key: ViewerKey) -> bool {
        self.viewers.contains_key(&key)
    }

    /// The next frame of a viewer; `window` is how much unconfirmed output it may have.
    pub(crate) fn next(&mut self, key: ViewerKey, window: u64) -> Next {
        let Some(viewer) = self.viewers.get_mut(&key) else {
            return Next::Done;
        };
        if let Some(frame) = viewer.pending() {
            return Next::Frame(frame);
        }
        if viewer.is_held_back(window) {
            return Next::Wait;
        }
        if let Some(frame) = viewer.advance(&self.ring) {
            self.moves += 1;
            return Next::Frame(frame);
        }
        match (&self.exit, self.closed) {
            (Some(exit), _) if !viewer.exit_told => {
                viewer.exit_told = true;
                Next::Frame(Frame::new(FrameKind::Exit, frames::exit(exit)))
            }
            (Some(_), Some(reason)) if !viewer.closed_told => {
                viewer.closed_told = true;
                Next::Frame(notice(&Notice::Closed { reason }))
            }
            (Some(_), _) => Next::Done,
            (None, _) => Next::Wait,
        }
    }

    /// A viewer has shown `bytes` more.
    pub(crate) fn confirm(&mut self, key: ViewerKey, bytes: u64) {
        if let Some(viewer) = self.viewers.get_mut(&key) {
            let confirmed = viewer.confirmed.unwrap_or(0).saturating_add(bytes);
            viewer.confirmed = Some(confirmed.min(viewer.sent));
        }
    }

    /// Answers a ping.
    pub(crate) fn pong(&mut self, key: ViewerKey, payload: &[u8]) {
        self.answer(key, Frame::new(FrameKind::Pong, frames::pong(payload)));
    }

    /// Tells one viewer something.
    pub(crate) fn tell(&mut self, key: ViewerKey, what: &Notice) {
        self.answer(key, notice(what));
    }

    fn answer(&mut self, key: ViewerKey, frame: Frame) {
        if let Some(viewer) = self.viewers.get_mut(&key)
            && viewer.answers.len() < MAX_ANSWERS
        {
            viewer.answers.push_back(frame);
        }
    }

    /// `bytes` of a viewer's input were not typed.
    pub(crate) fn input_dropped(&mut self, key: ViewerKey, bytes: usize) {
        if let Some(viewer) = self.viewers.get_mut(&key) {
            viewer.input_dropped += bytes as u64;
        }
    }

    /// How far the fastest viewer is behind, when that is more than half of the ring. Without viewers nobody is behind. The
    /// pump is then taken to wait until [`View::caught_up`].
    pub(crate) fn too_far_behind(&mut self) -> Option<Lag> {
        let lag = self.lag();
        self.pump_waits = lag.is_some();
        lag
    }

    /// Whether the pump waited and need not any more; tells so once.
    pub(crate) fn caught_up(&mut self) -> bool {
        let caught_up = self.pump_waits && self.lag().is_none();
        self.pump_waits &= !caught_up;
        caught_up
    }

    /// Steps that any viewer took.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    fn lag(&self) -> Option<Lag> {
        let fastest = self.viewers.values().map(|viewer| viewer.cursor).max()?;
        let lag = Lag {
            bytes: self.ring.end().saturating_sub(fastest),
            moves: self.moves,
        };
        (lag.bytes > self.ring.limit() as u64 / 2).then_some(lag)
    }
}

impl Viewer {
    /// What goes out whatever the state of the output.
    fn pending(&mut self) -> Option<Frame> {
        if let Some(greeting) = self.greeting.take() {
            return Some(notice(&greeting));
        }
        if self.input_dropped > 0 {
            let bytes = std::mem::take(&mut self.input_dropped);
            return Some(notice(&Notice::InputDropped { bytes }));
        }
        self.answers.pop_front()
    }

    fn is_held_back(&self, window: u64) -> bool {
        self.confirmed
            .is_some_and(|confirmed| self.sent.saturating_sub(confirmed) >= window)
    }

    /// The next output, or what was missed of it.
    fn advance(&mut self, ring: &Scrollback) -> Option<Frame> {
        let (kind, byte, until) = if self.cursor < self.snapshot_until {
            (FrameKind::Snapshot, SNAPSHOT, self.snapshot_until)
        } else {
            (FrameKind::Output, OUTPUT, u64::MAX)
        };
        match ring.piece(self.cursor, until, byte) {
            Piece::Frame { frame, next } => {
                self.sent += next - self.cursor;
                self.cursor = next;
                Some(Frame::new(kind, frame))
            }
            Piece::Gone { oldest } => {
                let missed = Notice::Missed {
                    from: self.cursor,
                    to: oldest,
                    bytes: oldest - self.cursor,
                };
                self.cursor = oldest;
                Some(notice(&missed))
            }
            Piece::End => None,
        }
    }
}

fn notice(what: &Notice) -> Frame {
    Frame::new(FrameKind::Notice, frames::notice(what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::scrollback::framed;

    const WINDOW: u64 = 1000;

    fn print(view: &mut View, text: &[u8]) {
        view.append(framed(OUTPUT, text));
    }

    fn frame(view: &mut View, key: ViewerKey) -> Frame {
        match view.next(key, WINDOW) {
            Next::Frame(frame) => frame,
            other => panic!("expected a frame, not {other:?}"),
        }
    }

    fn json(frame: &Frame) -> Value {
        serde_json::from_slice(&frame.payload()).unwrap()
    }

    #[test]
    fn an_attach_shows_the_past_as_snapshot_and_goes_on_with_output() {
        let mut view = View::new(1 << 20);
        print(&mut view, b"past");
        let key = view.attach(None, 1).unwrap();
        print(&mut view, b"now");
        let greeting = json(&frame(&mut view, key));
        assert_eq!(
            greeting,
            serde_json::json!({"type": "attached", "seq": 0, "end": 4, "resumed": false})
        );
        assert_eq!(frame(&mut view, key).into_wire().as_ref(), b"\x01past");
        assert_eq!(frame(&mut view, key).into_wire().as_ref(), b"\x00now");
        assert_eq!(view.next(key, WINDOW), Next::Wait);
        assert_eq!(view.attach(None, 1), None);
    }

    #[test]
    fn a_resume_goes_on_where_it_was_and_an_impossible_one_starts_over() {
        let mut view = View::new(1 << 20);
        print(&mut view, b"abcdef");
        let key = view.attach(Some(2), 9).unwrap();
        assert_eq!(json(&frame(&mut view, key))["resumed"], true);
        assert_eq!(frame(&mut view, key).into_wire().as_ref(), b"\x00cdef");
        let beyond = view.attach(Some(7), 9).unwrap();
        assert_eq!(json(&frame(&mut view, beyond))["resumed"], false);
        assert_eq!(frame(&mut view, beyond).into_wire().as_ref(), b"\x01abcdef");
    }

    #[test]
    fn exit_comes_after_all_output_and_closed_after_exit() {
        let mut view = View::new(1 << 20);
        let key = view.attach(None, 1).unwrap();
        frame(&mut view, key);
        print(&mut view, b"last words");
        view.set_exit(3, None);
        view.set_closed(ClosedReason::Deleted);
        view.set_closed(ClosedReason::Retention);
        assert_eq!(frame(&mut view, key).kind(), FrameKind::Output);
        let exit = frame(&mut view, key);
        assert_eq!(exit.kind(), FrameKind::Exit);
        assert_eq!(
            json(&exit),
            serde_json::json!({"exit_code": 3, "signal": null, "seq": 10})
        );
        assert_eq!(json(&frame(&mut view, key))["reason"], "deleted");
        assert_eq!(view.next(key, WINDOW), Next::Done);
    }

    #[test]
    fn a_viewer_that_confirms_is_held_back_by_itself_alone() {
        let mut view = View::new(1 << 20);
        let (slow, free) = (view.attach(None, 2).unwrap(), view.attach(None, 2).unwrap());
        for key in [slow, free] {
            frame(&mut view, key);
        }
        view.confirm(slow, 0);
        print(&mut view, &[1; 800]);
        print(&mut view, &[2; 800]);
        print(&mut view, &[3; 800]);
        frame(&mut view, slow);
        frame(&mut view, slow);
        assert_eq!(view.next(slow, WINDOW), Next::Wait);
        view.pong(slow, b"x");
        assert_eq!(frame(&mut view, slow).kind(), FrameKind::Pong);
        for _ in 0..3 {
            assert_eq!(frame(&mut view, free).kind(), FrameKind::Output);
        }
        view.confirm(slow, 601);
        assert_eq!(frame(&mut view, slow).kind(), FrameKind::Output);
    }

    #[test]
    fn answers_and_dropped_input_are_bounded() {
        let mut view = View::new(1 << 20);
        let key = view.attach(None, 1).unwrap();
        frame(&mut view, key);
        for _ in 0..10_000 {
            view.pong(key, b"x");
            view.input_dropped(key, 3);
        }
        assert_eq!(json(&frame(&mut view, key))["bytes"], 30_000);
        let mut answers = 0;
        while let Next::Frame(_) = view.next(key, WINDOW) {
            answers += 1;
        }
        assert_eq!(answers, MAX_ANSWERS);
    }

    /// What happens to a terminal in the property below.
    #[derive(Debug, Clone)]
    enum Step {
        Print(usize),
        Read(usize),
        Reattach,
        Drop,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..3000).prop_map(Step::Print),
            4 => (0usize..8).prop_map(Step::Read),
            1 => Just(Step::Reattach),
            1 => Just(Step::Drop),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// Whatever a viewer does, the bytes that it was given and those that it was told it missed are all there ever were,
        /// in order and once.
        #[test]
        fn nothing_is_lost_unsaid(steps in steps(), limit in 1usize..20_000) {
            let mut view = View::new(limit);
            let mut printed: Vec<u8> = Vec::new();
            let mut key = view.attach(None, 9);
            let mut seen: u64 = 0;
            let read = |view: &mut View, key: Option<ViewerKey>, seen: &mut u64, printed: &[u8], most: usize| {
                for _ in 0..most {
                    let Some(Next::Frame(frame)) = key.map(|key| view.next(key, u64::MAX)) else { break };
                    match frame.kind() {
                        FrameKind::Output | FrameKind::Snapshot => {
                            let from = usize::try_from(*seen).unwrap();
                            let payload = frame.payload();
                            assert_eq!(&printed[from..from + payload.len()], payload.as_ref());
                            *seen += payload.len() as u64;
                        }
                        FrameKind::Notice => {
                            let told = json(&frame);
                            match told["type"].as_str() {
                                // A resume that is gone starts over with what is there.
                                Some("attached") if told["resumed"] == true => assert_eq!(told["seq"], *seen),
                                Some("attached") => *seen = told["seq"].as_u64().unwrap(),
                                Some("missed") => {
                                    assert_eq!(told["from"], *seen);
                                    *seen += told["bytes"].as_u64().unwrap();
                                    assert_eq!(told["to"], *seen);
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                        FrameKind::Exit | FrameKind::Pong => panic!("nobody asked for it"),
                    }
                }
            };
            for step in steps {
                match step {
                    Step::Print(size) => {
                        let text: Vec<u8> = (0..size).map(|n| ((printed.len() + n) % 251).to_le_bytes()[0]).collect();
                        printed.extend_from_slice(&text);
                        print(&mut view, &text);
                    }
                    Step::Read(most) => read(&mut view, key, &mut seen, &printed, most),
                    Step::Drop => {
                        if let Some(key) = key.take() { view.detach(key); }
                    }
                    Step::Reattach => {
                        if let Some(key) = key.take() { view.detach(key); }
                        key = view.attach(Some(seen), 9);
                    }
                }
            }
            if key.is_none() { key = view.attach(Some(seen), 9); }
            read(&mut view, key, &mut seen, &printed, usize::MAX);
            prop_assert_eq!(seen, printed.len() as u64);
        }
    }
}
