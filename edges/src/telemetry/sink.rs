//! Where log lines go: into memory, and from there to stderr by a thread of its own.
//!
//! Two reasons. Whoever reads stderr (a terminal that is held, a journal under load) may stop reading, and then a write blocks; a
//! request must not wait for that. And a line each is a call of the kernel each, which costs more than all the rest of a small request.
//! The price: what was written in the last millisecond before a `kill -9` is lost. At an orderly end nothing is.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ground::lock;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait at most. Beyond it lines are dropped and counted.
const MAX_WAITING: usize = 1024 * 1024;
/// How long the thread lets lines gather before it writes them.
const GATHER: Duration = Duration::from_millis(1);
/// How long an orderly end waits for a reader of stderr.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    /// Whether the thread has taken bytes and not written them all yet.
    is_writing: bool,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing ever again.
    came: Condvar,
    /// All of it is written.
    gone: Condvar,
}

/// Takes lines. Clones share the memory.
#[derive(Debug, Clone)]
pub(super) struct Sink(Arc<Shared>);

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub(super) struct Flush {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread, which writes to `out`.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Sink, Flush)> {
    let shared = Arc::<Shared>::default();
    let theirs = Arc::clone(&shared);
    let thread = thread::Builder::new().name("log".to_owned());
    let thread = thread.spawn(move || theirs.write_all_to(out))?;
    let flush = Flush {
        shared: Arc::clone(&shared),
        thread: Some(thread),
    };
    Ok((Sink(shared), flush))
}

impl Shared {
    fn take(&self, line: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if waiting.is_closed {
            return;
        }
        if waiting.bytes.len() + line.len() > MAX_WAITING {
            waiting.dropped += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.came.notify_one();
        }
    }

    /// The thread. A reader that has gone ends nothing: later lines may find another.
    fn write_all_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        while self.next(&mut taken) {
            let written = out.write_all(&taken).and_then(|()| out.flush());
            drop(written);
            taken.clear();
            // What one burst needed is not kept for all time.
            taken.shrink_to(64 * 1024);
        }
        self.gone.notify_all();
    }

    /// Waits for lines, and takes them; false when there will be none.
    fn next(&self, taken: &mut Vec<u8>) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.is_writing = false;
        if waiting.bytes.is_empty() {
            self.gone.notify_all();
        }
        let waiting = self.came.wait_while(waiting, |waiting| {
            waiting.bytes.is_empty() && !waiting.is_closed
        });
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let gathered = self
            .came
            .wait_timeout_while(waiting, GATHER, |waiting| !waiting.is_closed);
        let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut waiting.bytes, taken);
        let dropped = std::mem::take(&mut waiting.dropped);
        if dropped > 0 {
            let told = format!("{dropped} log lines were dropped: nobody read them in time\n");
            taken.extend_from_slice(told.as_bytes());
        }
        waiting.is_writing = !taken.is_empty();
        waiting.is_writing
    }
}

/// One line, which is written at once as a whole.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.waiting);
        waiting.is_closed = true;
        self.shared.came.notify_one();
        let is_left = |waiting: &mut Waiting| waiting.is_writing || !waiting.bytes.is_empty();
        let ended = self
            .shared
            .gone
            .wait_timeout_while(waiting, PATIENCE, is_left);
        let (waiting, ended) = ended.unwrap_or_else(PoisonError::into_inner);
        if ended.timed_out() {
            // Somebody holds stderr: the thread ends with the process.
            return;
        }
        drop(waiting);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes nothing until it is told to.
    struct Held {
        go: mpsc::Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
        is_free: bool,
    }

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.is_free {
                self.is_free = self.go.recv().is_ok();
            }
            lock(&self.read).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn held() -> (Held, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (send, go) = mpsc::channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let held = Held {
            go,
            read: Arc::clone(&read),
            is_free: false,
        };
        (held, send, read)
    }

    #[test]
    fn all_lines_come_in_order_and_none_is_left_behind() {
        let (held, go, read) = held();
        let (sink, flush) = start(held).expect("a thread");
        go.send(()).expect("it waits");
        let lines: Vec<String> = (0..10_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        let expected = lines.concat();
        for line in &lines {
            sink.make_writer()
                .write_all(line.as_bytes())
                .expect("memory");
        }
        drop(flush);
        assert_eq!(String::from_utf8_lossy(&lock(&read)), expected);
        sink.make_writer().write_all(b"late\n").expect("ignored");
        assert!(lock(&sink.0.waiting).bytes.is_empty());
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_not_the_daemon() {
        let (held, go, read) = held();
        let (sink, flush) = start(held).expect("a thread");
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..5 * MAX_WAITING / line.len() {
            sink.make_writer().write_all(&line).expect("memory");
        }
        assert!(lock(&sink.0.waiting).bytes.len() <= MAX_WAITING);
        assert!(lock(&sink.0.waiting).dropped > 0);
        go.send(()).expect("it waits");
        drop(flush);
        let read = lock(&read);
        let text = String::from_utf8_lossy(&read);
        assert!(text.contains("log lines were dropped"), "{}", text.len());
        assert!(
            text.lines()
                .all(|line| line.len() == 1023 || line.contains("dropped"))
        );
    }

    #[test]
    fn an_end_does_not_wait_for_ever() {
        let (held, go, _read) = held();
        let (sink, flush) = start(held).expect("a thread");
        sink.make_writer().write_all(b"line\n").expect("memory");
        drop(flush);
        assert!(!lock(&sink.0.waiting).bytes.is_empty() || lock(&sink.0.waiting).is_writing);
        drop(go);
    }
}
