//! A viewer's two ends: the frames it gets, and the messages it sends.
//!
//! Both work on the terminal directly. The bytes of a terminal never cross a mailbox, so neither a busy manager nor its restart is
//! felt by anybody who is attached.

use std::sync::Arc;

use crate::frames::{self, ClientFrame, Notice};
use crate::terminal::Terminal;
use crate::view::{Frame, Next, View, ViewerKey};

/// One viewer's place at a terminal. Dropping it detaches the viewer; the terminal goes on.
#[derive(Debug)]
pub struct Attachment {
    terminal: Arc<Terminal>,
    key: ViewerKey,
}

impl Attachment {
    pub(crate) fn new(terminal: Arc<Terminal>, key: ViewerKey) -> Self {
        Self { terminal, key }
    }

    /// The next frame for this viewer, or `None` when nothing will follow: after the exit, and after a notice that the terminal
    /// was closed if it was. The first is the notice `attached`. Waits without a limit. Cancel-safe: no frame is lost.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            // First without registering: a viewer that is behind need not.
            match self.next() {
                Next::Frame(frame) => return Some(frame),
                Next::Done => return None,
                Next::Wait => {}
            }
            let progress = self.terminal.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            match self.next() {
                Next::Frame(frame) => return Some(frame),
                Next::Done => return None,
                Next::Wait => progress.await,
            }
        }
    }

    fn next(&self) -> Next {
        let (next, caught_up) = self.terminal.view.with(|view| {
            let next = view.next(self.key, self.terminal.window);
            (next, view.caught_up())
        });
        if caught_up {
            self.terminal.caught_up.notify_one();
        }
        next
    }

    /// The other end, for the task that reads the client's messages. It works as long as this attachment lives.
    pub fn input(&self) -> ViewerInput {
        ViewerInput {
            terminal: Arc::clone(&self.terminal),
            key: self.key,
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let caught_up = self.terminal.view.with(|view| {
            view.detach(self.key);
            view.caught_up()
        });
        if caught_up {
            self.terminal.caught_up.notify_one();
        }
    }
}

/// What a viewer sends.
#[derive(Debug, Clone)]
pub struct ViewerInput {
    terminal: Arc<Terminal>,
    key: ViewerKey,
}

impl ViewerInput {
    /// Takes one binary message of the client and acts on it: types, resizes, counts an ack, answers a ping. Never waits. What
    /// cannot be used is answered to this viewer with a notice, as is input that nobody reads or that comes after the exit.
    pub fn receive(&self, message: &[u8]) {
        if !self.terminal.view.with(|view| view.is_attached(self.key)) {
            return;
        }
        match frames::parse(message) {
            Ok(ClientFrame::Input(bytes)) => self.type_in(bytes),
            Ok(ClientFrame::Resize(size)) => {
                // After the exit there is nobody left to be told of a size.
                self.terminal.resize(size);
            }
            Ok(ClientFrame::Ack(bytes)) => self.update(|view| view.confirm(self.key, bytes)),
            Ok(ClientFrame::Ping(payload)) => self.update(|view| view.pong(self.key, payload)),
            Err(error) => self.update(|view| view.tell(self.key, &error.into())),
        }
    }

    /// Tells the viewer something that its edge found, such as a text message where only binary ones are read.
    pub fn refuse(&self, code: &'static str, message: impl Into<String>) {
        let notice = Notice::Refused {
            code,
            message: message.into(),
        };
        self.update(|view| view.tell(self.key, &notice));
    }

    fn type_in(&self, bytes: &[u8]) {
        let dropped = self.terminal.type_in(bytes);
        if dropped > 0 {
            self.update(|view| view.input_dropped(self.key, dropped));
        }
    }

    /// Changes what this viewer gets next, and has it look.
    fn update(&self, change: impl FnOnce(&mut View)) {
        self.terminal.view.with(change);
        self.terminal.progress.notify_waiters();
    }
}
