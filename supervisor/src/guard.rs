//! The watch over one handler call: it may take its limit and no longer, unless it says that it gets on.
//!
//! A handler that awaits for ever would hold up its mailbox for ever, unseen. Most calls end at their first poll and cost
//! nothing here; only one that has to wait gets a timer. Long before the limit the status says that the actor is stuck.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::cell::NodeCell;
use crate::panics::{Panic, caught_as};

/// After this long without progress the status says that an actor is stuck.
pub(crate) const STUCK_AFTER: Duration = Duration::from_millis(500);

/// How a call ended, if it did not end as it should.
#[derive(Debug)]
pub(crate) enum Fallen {
    /// It panicked.
    Panicked(Panic),
    /// It made no progress for its limit and was dropped.
    Hung,
}

/// What the watch tells while a call lasts.
pub(crate) trait Onlooker {
    /// It has made no progress for a while.
    fn stuck(&self);
    /// It gets on, or has ended, after all.
    fn unstuck(&self);
}

/// Runs a handler of the actor behind `cell` that began at `began`. `limit` counts from its beginning or its last sign of progress;
/// protected sections do not count.
pub(crate) async fn guarded<F: Future>(
    cell: &NodeCell,
    began: Instant,
    limit: Duration,
    onlooker: &impl Onlooker,
    handling: Pin<&mut F>,
) -> Result<F::Output, Fallen> {
    let mut handling = pin!(caught_as(cell.id(), handling));
    if let Some(ended) = first_poll(handling.as_mut()).await {
        return ended.map_err(Fallen::Panicked);
    }
    // Boxed: an actor that has nothing to do should keep no room for a timer.
    Box::pin(watched(cell, began, limit, onlooker, handling)).await
}

/// The same for a call that has to wait.
async fn watched<T>(
    cell: &NodeCell,
    began: Instant,
    limit: Duration,
    onlooker: &impl Onlooker,
    mut handling: Pin<&mut impl Future<Output = Result<T, Panic>>>,
) -> Result<T, Fallen> {
    let mut is_stuck = false;
    let ended = loop {
        let since = cell.last_progress().map_or(began, |last| last.max(began));
        let look = look_again(cell, since, limit);
        tokio::select! {
            biased;
            ended = &mut handling => break ended.map_err(Fallen::Panicked),
            () = sleep_until(look) => {}
        }
        let since = cell.last_progress().map_or(began, |last| last.max(began));
        let idle = since.elapsed();
        let may = cell.is_protected();
        if !may && idle >= limit {
            break Err(Fallen::Hung);
        }
        let now_stuck = !may && idle >= STUCK_AFTER.min(limit);
        if now_stuck != is_stuck {
            is_stuck = now_stuck;
            tell(onlooker, is_stuck);
        }
    };
    if is_stuck {
        onlooker.unstuck();
    }
    ended
}

fn tell(onlooker: &impl Onlooker, is_stuck: bool) {
    if is_stuck {
        onlooker.stuck();
    } else {
        onlooker.unstuck();
    }
}

/// When to look again: when it would count as stuck, then every while until its limit.
fn look_again(cell: &NodeCell, since: Instant, limit: Duration) -> Instant {
    let now = Instant::now();
    let soon = (since + STUCK_AFTER.min(limit)).max(now);
    let later = now + STUCK_AFTER;
    if soon > now && !cell.is_protected() {
        soon
    } else {
        later.min((since + limit).max(now + Duration::from_millis(1)))
    }
}

/// Polls once: `None` when the call has to wait.
async fn first_poll<F: Future>(mut call: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Log {
        stuck: AtomicU32,
        unstuck: AtomicU32,
    }

    impl Onlooker for Log {
        fn stuck(&self) {
            self.stuck.fetch_add(1, Ordering::Relaxed);
        }
        fn unstuck(&self) {
            self.unstuck.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn cell() -> Arc<NodeCell> {
        let cell = NodeCell::new("/a".into(), 1);
        cell.begin("Test", Instant::now());
        cell
    }

    async fn run(
        cell: &NodeCell,
        log: &Log,
        work: impl Future<Output = u8>,
    ) -> (Option<u8>, Duration) {
        let began = Instant::now();
        let work = pin!(work);
        let ended = guarded(cell, began, Duration::from_secs(2), log, work).await;
        (ended.ok(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_at_its_limit_and_is_told_before() {
        let (cell, log) = (cell(), Log::default());
        let (ended, took) = run(&cell, &log, std::future::pending()).await;
        assert_eq!(ended, None);
        assert!(
            took >= Duration::from_secs(2) && took <= Duration::from_millis(2_200),
            "{took:?}"
        );
        assert_eq!(log.stuck.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_limit_off() {
        let (cell, log) = (cell(), Log::default());
        let work = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                cell.mark_progress();
            }
            7
        };
        let (ended, took) = run(&cell, &log, work).await;
        assert_eq!((ended, took), (Some(7), Duration::from_secs(15)));
        let told = log.stuck.load(Ordering::Relaxed);
        assert!(told >= 1 && told == log.unstuck.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_protected_section_takes_as_long_as_it_likes() {
        let (cell, log) = (cell(), Log::default());
        let work = async {
            cell.protect();
            tokio::time::sleep(Duration::from_mins(10)).await;
            cell.unprotect();
            std::future::pending().await
        };
        let (ended, took) = run(&cell, &log, work).await;
        assert_eq!(ended, None);
        assert!(
            took >= Duration::from_secs(602) && took <= Duration::from_millis(602_200),
            "{took:?}"
        );
    }
}
