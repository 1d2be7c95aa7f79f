//! What a process wrote, kept within a bound.
//!
//! Why threads and not tasks: the output must be complete at the moment a test fails, also when the test's runtime is
//! blocked or already gone.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most that is kept of one stream; of more, the newest.
const KEPT_BYTES: usize = 2 * 1024 * 1024;

/// One captured stream of a process; it fills while the process runs.
#[derive(Clone, Debug)]
pub struct Output {
    shared: Arc<(Mutex<Kept>, Condvar)>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    dropped: usize,
    ended: bool,
}

impl Output {
    /// Starts to keep what comes from `stream`, until its end.
    pub(crate) fn capture(mut stream: impl Read + Send + 'static) -> Self {
        let output = Self {
            shared: Arc::default(),
        };
        let filled = output.clone();
        std::thread::spawn(move || {
            let mut chunk = [0_u8; 8192];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                filled.kept().add(chunk.get(..read).unwrap_or_default());
            }
            filled.kept().ended = true;
            filled.shared.1.notify_all();
        });
        output
    }

    /// What has been kept so far; the head is missing once more than 2 MiB came, and then it says so.
    #[must_use]
    pub fn text(&self) -> String {
        let kept = self.kept();
        let (front, back) = kept.bytes.as_slices();
        let text = String::from_utf8_lossy(&[front, back].concat()).into_owned();
        if kept.dropped > 0 {
            format!("[{} bytes before this were dropped]\n{text}", kept.dropped)
        } else {
            text
        }
    }

    /// Waits until the stream has ended, at most for `limit`: a grandchild may hold the pipe open.
    pub(crate) fn settle(&self, limit: Duration) {
        drop(
            self.shared
                .1
                .wait_timeout_while(self.kept(), limit, |kept| !kept.ended),
        );
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(KEPT_BYTES);
        self.bytes.drain(..excess);
        self.dropped += excess;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_within_the_bound() {
        let mut kept = Kept::default();
        kept.add(&vec![b'a'; KEPT_BYTES]);
        kept.add(b"tail");
        assert_eq!(kept.bytes.len(), KEPT_BYTES);
        assert_eq!(kept.dropped, 4);
        assert!(kept.bytes.iter().rev().take(4).eq(b"liat"));
    }

    #[test]
    fn reads_to_the_end() {
        let output = Output::capture(&b"one\ntwo\n"[..]);
        output.settle(Duration::from_secs(10));
        assert_eq!(output.text(), "one\ntwo\n");
    }
}
