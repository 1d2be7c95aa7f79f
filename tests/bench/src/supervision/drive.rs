//! The measures, once for all sides that are Rust; `otp_bench.erl` does the same step by step.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::peer::{Crash, Job, Peer, Shared};
use crate::figures::Spread;
use crate::process::{footprint, settled};

/// Children that crash one after the other, or all at once.
pub(super) const BLOCK: usize = 100;
const WARM_CALLS: usize = 50_000;
const WARM_CHILDREN: usize = 1_000;

/// Does one measure with a fresh supervisor.
///
/// # Errors
///
/// When the side fails, and when it answers wrongly.
pub(super) async fn measure<P: Peer>(job: Job) -> Result<Value> {
    let peer = P::start(Arc::new(Shared::default())).await?;
    match job {
        Job::Spawn(count) => spawn(&peer, count).await,
        Job::Crash(how, blocks) => crashes(&peer, how, blocks).await,
        Job::Storm(times) => storms(&peer, times).await,
        Job::Calls(count) => calls(&peer, count).await,
        Job::Hung(asks) => hung(&peer, asks).await,
    }
}

async fn spawn<P: Peer>(peer: &P, count: usize) -> Result<Value> {
    let warm = peer.open(WARM_CHILDREN).await?;
    let pid = own_pid()?;
    let before = settled(pid).await?.resident;
    let begin = Instant::now();
    let children = peer.open(count).await?;
    let took = begin.elapsed();
    let grown = settled(pid).await?.resident.saturating_sub(before);
    // The last of each still serves: nothing was measured that is not there.
    for some in [&warm, &children] {
        let last = some.last().context("children were opened")?;
        ensure!(peer.ping(last).await.is_some(), "a child does not serve");
    }
    Ok(json!({ "count": count, "nanos": nanos(took), "bytes": grown }))
}

async fn crashes<P: Peer>(peer: &P, how: Crash, blocks: usize) -> Result<Value> {
    block(peer, how).await?;
    let mut times = Vec::with_capacity(blocks * BLOCK);
    for _ in 0..blocks {
        times.extend(block(peer, how).await?);
    }
    Ok(json!({ "nanos": times }))
}

/// The times of as many first crashes as a block has children.
async fn block<P: Peer>(peer: &P, how: Crash) -> Result<Vec<u64>> {
    let children = peer.open(BLOCK).await?;
    let mut times = Vec::with_capacity(BLOCK);
    for child in &children {
        let before = number(peer, child).await?;
        let begin = Instant::now();
        peer.crash(child, how).await?;
        serves(peer, child, before).await;
        times.push(nanos(begin.elapsed()));
    }
    peer.close(children).await?;
    Ok(times)
}

async fn storms<P: Peer>(peer: &P, times: usize) -> Result<Value> {
    storm(peer).await?;
    let mut spans = Vec::with_capacity(times);
    for _ in 0..times {
        spans.push(storm(peer).await?);
    }
    Ok(json!({ "nanos": spans }))
}

/// From the first of a block's crashes until the last child serves again.
async fn storm<P: Peer>(peer: &P) -> Result<u64> {
    let children = peer.open(BLOCK).await?;
    let mut before = Vec::with_capacity(BLOCK);
    for child in &children {
        before.push(number(peer, child).await?);
    }
    let begin = Instant::now();
    for child in &children {
        peer.crash(child, Crash::Panic).await?;
    }
    for (child, before) in children.iter().zip(before) {
        serves(peer, child, before).await;
    }
    let took = begin.elapsed();
    peer.close(children).await?;
    Ok(nanos(took))
}

async fn calls<P: Peer>(peer: &P, count: usize) -> Result<Value> {
    let child = one(peer).await?;
    for _ in 0..WARM_CALLS {
        number(peer, &child).await?;
    }
    let begin = Instant::now();
    for _ in 0..count {
        number(peer, &child).await?;
    }
    Ok(json!({ "count": count, "nanos": nanos(begin.elapsed()) }))
}

/// What so many asks to an actor that hangs cost. The time is that of a refusal, or of being taken where nothing is refused.
async fn hung<P: Peer>(peer: &P, asks: usize) -> Result<Value> {
    let child = one(peer).await?;
    peer.hang(&child).await?;
    while !peer.shared().hangs() {
        yield_now().await;
    }
    // Where the times go is there, and touched, before memory is looked at.
    let mut times = vec![(Duration::MAX, true); asks];
    let pid = own_pid()?;
    let before = footprint(pid)?.resident;
    for slot in &mut times {
        let begin = Instant::now();
        let is_taken = peer.is_taken(&child);
        *slot = (begin.elapsed(), is_taken);
    }
    let grown = footprint(pid)?.resident.saturating_sub(before);
    let refused = times.iter().filter(|(_, is_taken)| !is_taken).count();
    let counted = times
        .into_iter()
        .filter(|(_, is_taken)| *is_taken == (refused == 0));
    let spread = Spread::of(counted.map(|(took, _)| took).collect());
    Ok(json!({
        "asks": asks,
        "refused": refused,
        "bytes": grown,
        "p50": nanos(spread.p50()),
        "p99": nanos(spread.p99()),
    }))
}

async fn one<P: Peer>(peer: &P) -> Result<P::Child> {
    let mut children = peer.open(1).await?;
    children.pop().context("a child was opened")
}

async fn number<P: Peer>(peer: &P, child: &P::Child) -> Result<u64> {
    let number = peer.ping(child).await;
    number.context("a child that nothing was done to does not reply")
}

/// Waits in a tight loop until another incarnation replies. Who waits too long is ended by the process that started this one.
///
/// The loop keeps a worker of the runtime busy. Where a restart crosses to another worker, and the kernel puts that one on the same
/// core, it waits for a tick of the clock: that is where a tail of milliseconds comes from. With one worker there is none.
async fn serves<P: Peer>(peer: &P, child: &P::Child, before: u64) {
    while peer.ping(child).await.is_none_or(|now| now == before) {
        yield_now().await;
    }
}

fn own_pid() -> Result<i32> {
    Ok(i32::try_from(std::process::id())?)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
