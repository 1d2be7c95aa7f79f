//! Load: as much as a server takes (by `wrk`), and at a given rate, with the time that each answer took.
//!
//! At a given rate the time counts from when a request was *due*, not from when it could be sent: otherwise a server that stalls
//! would keep its own stall from being measured.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::PATIENCE;

/// Connections at once.
pub(super) const CONNECTIONS: usize = 32;

/// Where to send requests, and with which token.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) token: String,
}

/// What `wrk` counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flood {
    pub(super) requests: u64,
    pub(super) per_second: f64,
}

/// Sends as much as the server takes for so many seconds.
///
/// # Errors
///
/// Without `wrk`, and when an answer is not 2xx.
pub(super) async fn flood(target: &Target, seconds: u64) -> Result<Flood> {
    let wrk = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")])
        .args(["-H", &format!("authorization: Bearer {}", target.token)])
        .arg(format!("http://{}/api/v1/me", target.address))
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, wrk)
        .await
        .context("wrk took too long")?
        .context("no wrk: install it")?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Result<Flood> {
    for line in text.lines() {
        let is_bad = ["Non-2xx", "Socket errors"]
            .iter()
            .any(|bad| line.trim_start().starts_with(bad));
        ensure!(!is_bad, "{}", line.trim());
    }
    let counted = text.lines().find_map(|line| {
        let (count, _span) = line.trim_start().split_once(" requests in ")?;
        count.parse().ok()
    });
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    match (counted, rate) {
        (Some(requests), Some(per_second)) => Ok(Flood {
            requests,
            per_second,
        }),
        _ => bail!("wrk said something else: {text}"),
    }
}

/// Sends `per_second` requests for `span` and gives the time of each answer from when its request was due.
///
/// # Errors
///
/// When an answer is not 200.
pub(super) async fn paced(
    target: &Target,
    per_second: f64,
    span: Duration,
) -> Result<Vec<Duration>> {
    let lanes = u32::try_from(CONNECTIONS)?;
    let gap = Duration::from_secs_f64(f64::from(lanes) / per_second);
    let begin = Instant::now() + Duration::from_millis(100);
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let first = begin + gap * lane / lanes;
        let target = target.clone();
        tasks.spawn(async move { paced_lane(&target, first, gap, begin + span).await });
    }
    let mut times = Vec::new();
    while let Some(lane) = tasks.join_next().await {
        times.extend(lane??);
    }
    Ok(times)
}

async fn paced_lane(
    target: &Target,
    first: Instant,
    gap: Duration,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&target.address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /api/v1/me HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        target.address, target.token
    );
    let (mut due, mut times, mut buffer) = (first, Vec::new(), Vec::with_capacity(4096));
    while due < end {
        sleep_until(due).await;
        stream.write_all(request.as_bytes()).await?;
        timeout(PATIENCE, answer(&mut stream, &mut buffer)).await??;
        times.push(due.elapsed());
        due += gap;
    }
    Ok(times)
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server hung up");
        if let Some(length) = whole(buffer)?
            && buffer.len() >= length
        {
            return Ok(());
        }
    }
}

/// How long the answer is, once its head is there.
fn whole(buffer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200"), "answered {text}");
    let length = text.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    Ok(Some(
        head + 4 + length.context("an answer without a length")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "Running 2s test @ http://x\n  1 threads and 2 connections\n  4000 requests in 2.00s, 1MB read\nRequests/sec:   2000.50\n";
        let flood = parse(text).expect("reads");
        assert_eq!((flood.requests, flood.per_second), (4000, 2000.5));
        assert!(parse(&format!("{text}  Non-2xx or 3xx responses: 3\n")).is_err());
        assert!(parse("nothing").is_err());
    }

    #[test]
    fn an_answer_has_an_end() {
        assert_eq!(
            whole(b"HTTP/1.1 200 OK\r\ncontent-le").expect("so far"),
            None
        );
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(whole(answer).expect("reads"), Some(answer.len()));
        assert!(whole(b"HTTP/1.1 429 Too Many\r\n\r\n").is_err());
    }
}
