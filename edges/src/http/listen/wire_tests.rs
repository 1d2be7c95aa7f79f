//! The known attacks on HTTP/2, frame by frame against the real listener. Each ends with a client that is served as if nothing were.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tests::{Running, ask, brisk, patient, running, soon};
use crate::http::limits::Limits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A GET of this path, as HPACK writes it without a table.
fn get(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("short");
    let mut block = vec![0x82, 0x86, 0x04, length];
    block.extend(path.as_bytes());
    block.extend(b"\x01\x04test");
    block
}

/// A header that is not put into the table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x00];
    for text in [name, value] {
        // Seven bits of length, and the rest in one more byte: enough for what is sent here.
        match u8::try_from(text.len()) {
            Ok(length) if length < 127 => block.push(length),
            _ => {
                let rest = text.len() - 127;
                block.push(127);
                block.push(u8::try_from(rest % 128).expect("small") | 0x80);
                block.push(u8::try_from(rest / 128).expect("small"));
            }
        }
        block.extend(text.as_bytes());
    }
    block
}

/// An attacker.
struct Attacker(TcpStream);

/// What came back.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Attacker {
    async fn at(running: &Running) -> Self {
        let mut attacker = Self(running.connect().await);
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        assert!(attacker.send(&begin).await);
        attacker
    }

    /// Whether it could still be sent.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        soon("the server to read", self.0.write_all(bytes))
            .await
            .is_ok()
    }

    /// The next frame; `None` once the server has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon("a frame", self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("small")];
        soon("a payload", self.0.read_exact(&mut payload))
            .await
            .ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The code of the last GOAWAY before the server closes; `None` when it closed without.
    async fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(word(&frame.payload[4..8]));
            }
        }
        code
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

async fn others_are_served(running: &Running) {
    let answer = ask(&mut running.connect().await, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let running = running(patient(), None).await;
    let mut attacker = Attacker::at(&running).await;
    let mut sent = 0;
    'flood: for round in 0..200_u32 {
        let mut burst = Vec::new();
        for number in 0..100 {
            let stream = 2 * (round * 100 + number) + 1;
            burst.extend(frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                stream,
                &get("/slow"),
            ));
            burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        if !attacker.send(&burst).await {
            break 'flood;
        }
        sent += 100;
    }
    let code = attacker.goaway().await;
    // The end may overtake its reason, since the server stops reading.
    assert!(
        matches!(code, None | Some(ENHANCE_YOUR_CALM)),
        "{code:?} after {sent}"
    );
    others_are_served(&running).await;
    running.until_open(0).await;
}

#[tokio::test]
async fn a_head_without_an_end_ends_the_connection() {
    let running = running(patient(), None).await;
    let mut attacker = Attacker::at(&running).await;
    let mut sent = attacker
        .send(&frame(HEADERS, END_STREAM, 1, &get("/peer")))
        .await;
    let piece = frame(CONTINUATION, 0, 1, &field("x-flood", &"x".repeat(4_000)));
    let mut pieces = 0;
    while sent && pieces < 10_000 {
        sent = attacker.send(&piece).await;
        pieces += 1;
    }
    assert!(pieces < 10_000, "40 MB of a head were taken");
    assert_ne!(attacker.goaway().await, Some(0));
    others_are_served(&running).await;
    running.until_open(0).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = running(patient(), None).await;
    let mut attacker = Attacker::at(&running).await;
    let mut block = get("/peer");
    for _ in 0..5 {
        block.extend(field("x-large", &"x".repeat(4_000)));
    }
    // In frames of a size that is allowed: only the list is too long.
    let (first, rest) = block.split_at(10_000);
    let head = [
        frame(HEADERS, END_STREAM, 1, first),
        frame(CONTINUATION, END_HEADERS, 1, rest),
    ];
    assert!(attacker.send(&head.concat()).await);
    let answer = loop {
        let frame = attacker.next().await.expect("an answer");
        if frame.stream == 1 {
            break frame;
        }
    };
    // `:status: 431` as HPACK spells it, with the digits in Huffman's code.
    let told = (answer.kind, &answer.payload[..]);
    assert_eq!(told, (HEADERS, &b"\x48\x83\x69\x90\xff"[..]), "{answer:?}");
    others_are_served(&running).await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_one_by_one() {
    let limits = Limits {
        max_http2_streams: 10,
        ..patient()
    };
    let running = running(limits, None).await;
    let mut attacker = Attacker::at(&running).await;
    for number in 0..10 {
        let open = frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            2 * number + 1,
            &get("/slow"),
        );
        assert!(attacker.send(&open).await);
        soon("the request", running.began.notified()).await;
    }
    let open = frame(HEADERS, END_STREAM | END_HEADERS, 21, &get("/slow"));
    assert!(attacker.send(&open).await);
    let refused = loop {
        let frame = attacker.next().await.expect("an answer");
        if frame.stream == 21 {
            break frame;
        }
    };
    assert_eq!(refused.kind, RST_STREAM, "{refused:?}");
    assert_eq!(word(&refused.payload), REFUSED_STREAM);
    others_are_served(&running).await;
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_taken_for_gone() {
    let running = running(brisk(), None).await;
    let mut attacker = Attacker::at(&running).await;
    let open = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/slow"));
    assert!(attacker.send(&open).await);
    soon("the request", running.began.notified()).await;
    let mut was_asked = false;
    while let Some(frame) = attacker.next().await {
        was_asked |= frame.kind == PING && frame.flags != ACK;
    }
    assert!(was_asked, "closed without a question");
    running.until_open(0).await;
}

#[tokio::test]
async fn floods_of_settings_pings_and_empty_frames_hurt_nobody() {
    let running = running(brisk(), None).await;
    for flood in [
        frame(SETTINGS, 0, 0, &[]),
        frame(PING, 0, 0, &[7; 8]),
        frame(DATA, 0, 1, &[]),
    ] {
        let mut attacker = Attacker::at(&running).await;
        let open = frame(HEADERS, END_HEADERS, 1, &get("/slow"));
        assert!(attacker.send(&open).await);
        let burst = flood.repeat(1_000);
        for _ in 0..50 {
            // The server may have had enough, or stopped to read until its answers are fetched.
            let sent =
                tokio::time::timeout(Duration::from_millis(100), attacker.0.write_all(&burst));
            if !matches!(sent.await, Ok(Ok(()))) {
                break;
            }
        }
        others_are_served(&running).await;
    }
    running.until_open(0).await;
}
