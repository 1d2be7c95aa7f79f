//! What a terminal printed, kept for those who come later: a ring of chunks with absolute byte numbers.
//!
//! A byte's *sequence number* is its offset in all that the terminal ever printed, so a client that reconnects names the
//! first byte it lacks and gets exactly the rest. Viewers hold a number, not a queue: one copy of the output serves all of
//! them, and a slow one costs nothing but its own loss.
//!
//! A chunk is stored as the WebSocket frame that carries it (kind byte in front), so the usual case, a viewer that follows
//! the output, is a reference count instead of a copy. The ring counts what a chunk costs beside its bytes, and joins runs of
//! tiny chunks, or a terminal that prints byte by byte would cost a hundred times its text.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frames::OUTPUT;

/// Most payload bytes of one chunk, and so of one frame.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// What a chunk costs beside its payload: its entry, the shared header that a first clone makes, the allocator's rounding.
const CHUNK_OVERHEAD: usize = 96;

/// A chunk with fewer payload bytes is tiny.
const TINY: usize = 1024;

/// So many tiny chunks in a row become one. Their sum stays below [`MAX_CHUNK`].
const TINY_RUN: usize = 64;

#[derive(Debug)]
struct Chunk {
    /// Number of its first byte.
    start: u64,
    /// The kind byte, then the payload.
    frame: Bytes,
}

impl Chunk {
    fn payload_len(&self) -> usize {
        self.frame.len() - 1
    }

    fn end(&self) -> u64 {
        self.start + self.payload_len() as u64
    }

    fn cost(&self) -> usize {
        self.frame.len() + CHUNK_OVERHEAD
    }
}

/// What the ring has for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The next bytes as a frame, and the number that follows them.
    Frame {
        /// The kind byte, then 1 to [`MAX_CHUNK`] bytes.
        frame: Bytes,
        /// Where to read on.
        next: u64,
    },
    /// The bytes asked for have left the ring; `oldest` is the first that is still there.
    Gone {
        /// Where to read on.
        oldest: u64,
    },
    /// Nothing further yet.
    End,
}

/// A ring of output, bounded by what it costs in memory.
#[derive(Debug)]
pub(crate) struct Scrollback {
    chunks: VecDeque<Chunk>,
    /// Number of the byte after the last.
    end: u64,
    /// What all chunks cost.
    held: usize,
    /// What they may cost; the newest chunk stays even above it.
    limit: usize,
    /// How many of the newest chunks are tiny.
    tiny_run: usize,
}

/// Puts the kind byte in front of `payload`.
pub(crate) fn framed(kind: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + payload.len());
    frame.put_u8(kind);
    frame.put_slice(payload);
    frame.freeze()
}

impl Scrollback {
    /// An empty ring that costs at most about `limit` bytes (one chunk more where `limit` is below one chunk).
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            end: 0,
            held: 0,
            limit,
            tiny_run: 0,
        }
    }

    /// Number of the oldest byte that is still there; equal to [`Self::end`] when the ring is empty.
    pub(crate) fn start(&self) -> u64 {
        self.chunks.front().map_or(self.end, |chunk| chunk.start)
    }

    /// Number of the byte after the newest: how many bytes were ever printed.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// What the ring may cost, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Appends an output frame (kind byte and at most [`MAX_CHUNK`] bytes). A frame without payload changes nothing.
    pub(crate) fn push(&mut self, frame: Bytes) {
        if frame.len() <= 1 {
            return;
        }
        let chunk = Chunk {
            start: self.end,
            frame,
        };
        self.end = chunk.end();
        self.held += chunk.cost();
        self.tiny_run = if chunk.payload_len() < TINY {
            self.tiny_run + 1
        } else {
            0
        };
        self.chunks.push_back(chunk);
        if self.tiny_run >= TINY_RUN {
            self.join_tiny_run();
        }
        self.evict();
    }

    /// The next frame for a reader that has everything before `from` and wants nothing from `until` on.
    pub(crate) fn piece(&self, from: u64, until: u64, kind: u8) -> Piece {
        let oldest = self.start();
        if from < oldest {
            return Piece::Gone { oldest };
        }
        if from >= until {
            return Piece::End;
        }
        let after = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let Some(chunk) = self.chunks.get(after) else {
            return Piece::End;
        };
        let next = chunk.end().min(until);
        if kind == OUTPUT && from == chunk.start && next == chunk.end() {
            return Piece::Frame {
                frame: chunk.frame.clone(),
                next,
            };
        }
        let first = 1 + span(chunk.start, from);
        let last = 1 + span(chunk.start, next);
        let payload = chunk.frame.get(first..last).unwrap_or_default();
        Piece::Frame {
            frame: framed(kind, payload),
            next,
        }
    }

    /// Makes one chunk of the newest [`TINY_RUN`] chunks. Each byte is copied about once for every 64 appends that follow
    /// it while its chunk is still tiny, and never after.
    fn join_tiny_run(&mut self) {
        let first = self.chunks.len().saturating_sub(self.tiny_run);
        let run: Vec<Chunk> = self.chunks.drain(first..).collect();
        let Some(start) = run.first().map(|chunk| chunk.start) else {
            return;
        };
        let payload_len: usize = run.iter().map(Chunk::payload_len).sum();
        let mut frame = BytesMut::with_capacity(1 + payload_len);
        frame.put_u8(OUTPUT);
        for chunk in &run {
            frame.put_slice(chunk.frame.get(1..).unwrap_or_default());
            self.held -= chunk.cost();
        }
        let joined = Chunk {
            start,
            frame: frame.freeze(),
        };
        self.held += joined.cost();
        self.tiny_run = usize::from(joined.payload_len() < TINY);
        self.chunks.push_back(joined);
    }

    fn evict(&mut self) {
        while self.held > self.limit && self.chunks.len() > 1 {
            if let Some(chunk) = self.chunks.pop_front() {
                self.held -= chunk.cost();
            }
        }
        self.tiny_run = self.tiny_run.min(self.chunks.len());
    }
}

/// `to - from` as an index; a chunk's length fits.
fn span(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frames::SNAPSHOT;

    /// Reads everything from `from` on; panics when the ring contradicts itself.
    fn read_all(ring: &Scrollback, from: u64, kind: u8) -> Vec<u8> {
        let mut cursor = from;
        let mut out = Vec::new();
        loop {
            match ring.piece(cursor, ring.end(), kind) {
                Piece::Frame { frame, next } => {
                    assert_eq!(frame[0], kind);
                    assert!(frame.len() > 1 && frame.len() <= 1 + MAX_CHUNK);
                    assert_eq!(next, cursor + frame.len() as u64 - 1);
                    out.extend_from_slice(&frame[1..]);
                    cursor = next;
                }
                Piece::Gone { .. } => panic!("{cursor} is not gone"),
                Piece::End => return out,
            }
        }
    }

    fn cost(ring: &Scrollback) -> usize {
        ring.chunks.iter().map(Chunk::cost).sum()
    }

    #[test]
    fn a_follower_gets_the_stored_frame_itself() {
        let mut ring = Scrollback::new(1 << 20);
        let frame = framed(OUTPUT, &[7; 5000]);
        let address = frame.as_ptr();
        ring.push(frame);
        let Piece::Frame { frame, next } = ring.piece(0, u64::MAX, OUTPUT) else {
            panic!("one chunk")
        };
        assert_eq!((frame.as_ptr(), next), (address, 5000));
    }

    #[test]
    fn byte_by_byte_output_stays_cheap() {
        let mut ring = Scrollback::new(256 * 1024);
        for n in 0..200_000_u32 {
            ring.push(framed(OUTPUT, &n.to_le_bytes()[..1]));
        }
        assert!(ring.end() - ring.start() > 190_000, "{}", ring.start());
        assert!(cost(&ring) <= 256 * 1024);
    }

    #[test]
    fn an_empty_ring_costs_nothing() {
        let ring = Scrollback::new(1 << 20);
        assert_eq!(ring.chunks.capacity(), 0);
        assert_eq!(ring.piece(0, u64::MAX, OUTPUT), Piece::End);
        assert_eq!(ring.piece(9, u64::MAX, OUTPUT), Piece::End);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_model(
            limit in 1usize..200_000,
            sizes in prop::collection::vec(prop_oneof![8 => 0usize..40, 3 => 0usize..3000, 1 => 0usize..=MAX_CHUNK], 1..300),
            from_percent in 0u64..120,
            until_percent in 0u64..=100,
        ) {
            let mut ring = Scrollback::new(limit);
            let mut model: Vec<u8> = Vec::new();
            let mut follower: Vec<u8> = Vec::new();
            let mut cursor = 0;
            for (round, size) in sizes.iter().enumerate() {
                let payload: Vec<u8> = (0..*size).map(|n| (n * 31 + round * 7).to_le_bytes()[0]).collect();
                ring.push(framed(OUTPUT, &payload));
                model.extend_from_slice(&payload);

                prop_assert_eq!(ring.end(), model.len() as u64);
                prop_assert_eq!(ring.held, cost(&ring));
                prop_assert!(ring.held <= limit.max(MAX_CHUNK + 1 + CHUNK_OVERHEAD));

                // A reader who keeps up sees every byte once.
                while let Piece::Frame { frame, next } = ring.piece(cursor, u64::MAX, OUTPUT) {
                    follower.extend_from_slice(&frame[1..]);
                    cursor = next;
                }
            }
            prop_assert_eq!(&follower, &model);

            // From any number that is still there the rest comes without loss; from an older one the ring says so.
            let from = model.len() as u64 * from_percent / 100;
            if from < ring.start() {
                let oldest = ring.start();
                prop_assert_eq!(ring.piece(from, u64::MAX, OUTPUT), Piece::Gone { oldest });
            } else if from <= ring.end() {
                let rest = &model[usize::try_from(from).unwrap()..];
                prop_assert_eq!(&read_all(&ring, from, OUTPUT), rest);
                prop_assert_eq!(&read_all(&ring, from, SNAPSHOT), rest);
            } else {
                prop_assert_eq!(ring.piece(from, u64::MAX, OUTPUT), Piece::End);
            }

            // A bound is kept to the byte.
            let until = ring.start() + (ring.end() - ring.start()) * until_percent / 100;
            let mut cursor = ring.start();
            while let Piece::Frame { next, .. } = ring.piece(cursor, until, SNAPSHOT) {
                prop_assert!(next > cursor && next <= until);
                cursor = next;
            }
            prop_assert_eq!(cursor, until);
        }
    }
}
