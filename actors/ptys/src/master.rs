//! The daemon's side of a PTY, and the watch on a process, both on the reactor: no thread per terminal.
//!
//! The usual crates give a blocking reader (a thread each) and a writer that types a newline and an end-of-file when it is
//! dropped. Here the descriptor is read and written directly. Three errors of a PTY mean three things: `EAGAIN` is "nothing now",
//! `EINTR` is "again", and `EIO` is the end of the output, because nobody has the other side open.
//!
//! Reading is behind a [`Gate`]: a program that prints without end would else wake the reactor with each of its writes, tens of
//! thousands of times a second, to tell of bytes that are being read already.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::frames::OUTPUT;
use crate::scrollback::MAX_CHUNK;
use crate::types::Size;

thread_local! {
    /// Where reads go before a chunk of the right size is made: one buffer a thread, however many terminals there are.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Puts an owned descriptor on the reactor. Must be called inside the runtime.
fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, keeps its number, and is closed only when it is dropped; the `AsyncFd` owns it and never
    // hands out `&mut` to it here.
    #[expect(
        unsafe_code,
        reason = "the only sound constructor states its condition this way"
    )]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(|error| error.into_parts().1)
}

/// Tells once that a descriptor can be read, and then not again until it is armed again.
///
/// It is an epoll of its own around the descriptor, one-shot, which the reactor watches in its place: what happens between the
/// report and the next [`Self::arm`] wakes nobody. The runtime itself only offers reports of every change.
#[derive(Debug)]
struct Gate {
    epoll: AsyncFd<OwnedFd>,
    /// Whether the next report was not taken yet.
    is_armed: AtomicBool,
}

impl Gate {
    const EVENTS: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ONESHOT);

    /// An armed gate before `fd`.
    fn new(fd: impl AsFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, fd, epoll::EventData::new_u64(0), Self::EVENTS)?;
        Ok(Self {
            epoll: watch(epoll, Interest::READABLE)?,
            is_armed: AtomicBool::new(true),
        })
    }

    /// Waits until `fd` can be read, runs `read`, and arms the gate again when `read` found nothing more. Resolves at once
    /// after a `read` that did not; cancel-safe.
    async fn pass<T>(
        &self,
        fd: impl AsFd,
        read: impl FnOnce() -> (T, Stop),
    ) -> io::Result<(T, Stop)> {
        let mut ready = self.epoll.readable().await?;
        if self.is_armed.swap(false, Ordering::Relaxed) {
            // Taking the report is what shuts a one-shot watch.
            let mut report = [epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            }];
            epoll::wait(
                self.epoll.get_ref(),
                &mut report,
                Some(&Timespec::default()),
            )?;
        }
        let (read, stop) = read();
        if stop == Stop::Dry {
            // In this order: arming reports at once what came in the meantime.
            ready.clear_ready();
            epoll::modify(
                self.epoll.get_ref(),
                fd,
                epoll::EventData::new_u64(0),
                Self::EVENTS,
            )?;
            self.is_armed.store(true, Ordering::Relaxed);
        }
        Ok((read, stop))
    }
}

/// Why a read of the master ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The chunk is full; there may be more.
    Full,
    /// Nothing more at the moment.
    Dry,
    /// Nobody has the other side open.
    Closed,
}

/// The master of a PTY.
#[derive(Debug)]
pub(crate) struct Master {
    /// On the reactor for writing alone.
    fd: AsyncFd<OwnedFd>,
    gate: Gate,
}

impl Master {
    /// Takes over the master, which must be nonblocking. Must be called inside the runtime.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let gate = Gate::new(&fd)?;
        Ok(Self {
            fd: watch(fd, Interest::WRITABLE)?,
            gate,
        })
    }

    /// Waits until there is output, then reads as [`Self::read_chunk`] does. A PTY that is closed is so at once again: there
    /// is nothing to wait for.
    pub(crate) async fn next_chunk(&self) -> (Option<Bytes>, Stop) {
        // An error means that the reactor is gone, which only happens while the runtime ends.
        self.gate
            .pass(self.fd.get_ref(), || self.read_chunk())
            .await
            .unwrap_or((None, Stop::Closed))
    }

    /// Reads what is there, at most one chunk, as an output frame. A single read of a PTY gives about 4 KiB however large the
    /// buffer is, so it reads until nothing more comes: ten times fewer frames for the same work.
    pub(crate) fn read_chunk(&self) -> (Option<Bytes>, Stop) {
        READ_BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(1 + MAX_CHUNK, OUTPUT);
            let (filled, stop) = read_into(self.fd.get_ref(), buffer, 1);
            let chunk = buffer.get(..filled).filter(|frame| frame.len() > 1);
            (chunk.map(Bytes::copy_from_slice), stop)
        })
    }

    /// Writes what the PTY takes without waiting, and tells how much that was.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match rustix::io::write(self.fd.get_ref(), rest) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(written) => done += written,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// Waits until the PTY takes input, then runs `write` once; `write` tells whether it wrote all it had. Returns whether that
    /// can be waited for again: the reactor calls a PTY that it once saw closed ready for ever.
    pub(crate) async fn when_writable(&self, write: impl FnOnce() -> bool) -> bool {
        let Ok(mut ready) = self.fd.writable().await else {
            return false;
        };
        if write() {
            return true;
        }
        ready.clear_ready();
        !ready.ready().is_write_closed()
    }

    /// Tells the terminal its size; the foreground programs get `SIGWINCH`.
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        Ok(tcsetwinsize(self.fd.get_ref(), winsize(size))?)
    }
}

/// The kernel's form of a size.
pub(crate) fn winsize(size: Size) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Fills `buffer` from `filled` on; returns up to where it is filled and why it stopped.
fn read_into(fd: impl AsFd, buffer: &mut [u8], mut filled: usize) -> (usize, Stop) {
    loop {
        let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) else {
            return (filled, Stop::Full);
        };
        match rustix::io::read(&fd, free) {
            Ok(0) => return (filled, Stop::Closed),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return (filled, Stop::Dry),
            Err(_) => return (filled, Stop::Closed),
        }
    }
}

/// Resolves when a process has ended.
#[derive(Debug)]
pub(crate) struct EndWatch {
    fd: AsyncFd<OwnedFd>,
}

impl EndWatch {
    /// Watches `pid`, which must not have been reaped yet. Must be called inside the runtime.
    pub(crate) fn new(pid: Pid) -> io::Result<Self> {
        Self::of(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
    }

    /// Watches through a process descriptor.
    pub(crate) fn of(pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            fd: watch(pidfd, Interest::READABLE)?,
        })
    }

    /// Waits for the end. Cancel-safe, and resolves again when called again.
    pub(crate) async fn ended(&self) {
        // An error means that the runtime ends, and with it every waiter.
        drop(self.fd.readable().await);
    }

    /// The process descriptor.
    pub(crate) fn pidfd(&self) -> &OwnedFd {
        self.fd.get_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn reading_drains_and_tells_why_it_stopped() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 10];
        assert_eq!(read_into(&ours, &mut buffer, 1), (1, Stop::Dry));
        theirs.write_all(b"abc").unwrap();
        assert_eq!(read_into(&ours, &mut buffer, 1), (4, Stop::Dry));
        theirs.write_all(b"0123456789").unwrap();
        assert_eq!(read_into(&ours, &mut buffer, 1), (10, Stop::Full));
        drop(theirs);
        assert_eq!(read_into(&ours, &mut buffer, 1), (2, Stop::Closed));
    }

    #[tokio::test]
    async fn what_comes_while_reading_wakes_nobody_and_is_not_missed() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let master = Master::new(ours.into()).unwrap();
        let reports = || {
            let mut report = [epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            }];
            let gate = master.gate.epoll.get_ref();
            epoll::wait(gate, &mut report, Some(&Timespec::default())).unwrap()
        };
        theirs.write_all(&vec![1; MAX_CHUNK]).unwrap();
        let (chunk, stop) = master.next_chunk().await;
        assert_eq!((chunk.unwrap().len(), stop), (1 + MAX_CHUNK, Stop::Full));
        theirs.write_all(b"more").unwrap();
        assert_eq!(reports(), 0);
        let (chunk, stop) = master.next_chunk().await;
        assert_eq!((&chunk.unwrap()[1..], stop), (&b"more"[..], Stop::Dry));
        theirs.write_all(b"later").unwrap();
        let (chunk, _) = master.next_chunk().await;
        assert_eq!(&chunk.unwrap()[1..], b"later");
        drop(theirs);
        assert_eq!(master.next_chunk().await, (None, Stop::Closed));
        assert_eq!(master.next_chunk().await, (None, Stop::Closed));
    }

    #[tokio::test]
    async fn a_write_takes_what_fits() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let master = Master::new(ours.into()).unwrap();
        let large = vec![7; 10 << 20];
        let written = master.write(&large).unwrap();
        assert!(written > 0 && written < large.len());
        let mut read = vec![0; written];
        theirs.read_exact(&mut read).unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
    }
}
