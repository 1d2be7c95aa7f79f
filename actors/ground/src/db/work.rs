//! A write on its way to the writer: what to run, and whom to tell.
//!
//! The writer puts many writes into one transaction and answers after the commit. When one of them fails it rolls the
//! whole transaction back and runs them again one by one: a write is therefore something that can run **twice**, and
//! its effects lie in the database alone. Results wait inside the job until the commit is on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::db::{Conn, DbError, Setback, Value};

/// The future of a running job; it stays on the writer's thread.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// Whether what a job did should stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Keep,
    /// It failed, or decided against itself: its changes must not stay.
    Undo,
}

/// One write, of whatever type its result is.
pub trait Work: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Whether it is one statement, which needs no transaction around it.
    fn is_single(&self) -> bool;

    /// Runs it and keeps the result. May be called again: the last result counts.
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Running<'a>;

    /// Tells the kept result: what it did is committed, or undone.
    fn settle(self: Box<Self>);

    /// Tells that it did not happen, or that nobody knows; and how the database failed it, if it was the database.
    fn fail(self: Box<Self>, error: DbError, setback: Option<Setback>);
}

/// What the caller of a write hears, and what the database's owner counts.
pub(super) struct Answer<R> {
    pub(super) result: R,
    pub(super) setback: Option<Setback>,
}

/// Where the answer goes.
pub(super) type Reply<T, E> = oneshot::Sender<Answer<Result<T, E>>>;

/// What a run came to.
type Kept<T, E> = Option<Answer<Result<T, E>>>;

/// Keeps what a run came to, with what the connection tells of it.
fn keep<T, E>(kept: &mut Kept<T, E>, conn: &mut Conn, result: Result<T, E>) -> Verdict {
    let verdict = if result.is_ok() {
        Verdict::Keep
    } else {
        Verdict::Undo
    };
    let setback = conn.take_setback().filter(|_| result.is_err());
    *kept = Some(Answer { result, setback });
    verdict
}

/// A write given as an async closure.
pub(super) struct Closure<F, T, E> {
    pub(super) body: F,
    pub(super) kept: Kept<T, E>,
    pub(super) reply: Reply<T, E>,
    /// Rises once what was done is committed, if it asked for that.
    pub(super) bell: Arc<watch::Sender<u64>>,
    pub(super) rings: bool,
}

impl<F, T, E> Work for Closure<F, T, E>
where
    F: AsyncFn(&mut Conn) -> Result<T, E> + Send,
    T: Send,
    E: From<DbError> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_single(&self) -> bool {
        false
    }

    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Running<'a> {
        Box::pin(async move {
            // What a write before this one asked for and did not get, since it was undone, is not for this one.
            conn.take_ring();
            let result = (self.body)(&mut *conn).await;
            self.rings = conn.take_ring() && result.is_ok();
            keep(&mut self.kept, conn, result)
        })
    }

    fn settle(self: Box<Self>) {
        if self.rings {
            self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        }
        if let Some(kept) = self.kept {
            answer(self.reply, kept);
        }
    }

    fn fail(self: Box<Self>, error: DbError, setback: Option<Setback>) {
        let result = Err(error.into());
        answer(self.reply, Answer { result, setback });
    }
}

/// A write of one statement.
pub(super) struct Single {
    pub(super) sql: &'static str,
    pub(super) args: Vec<Value<'static>>,
    pub(super) kept: Kept<u64, DbError>,
    pub(super) reply: Reply<u64, DbError>,
}

impl Work for Single {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_single(&self) -> bool {
        true
    }

    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Running<'a> {
        Box::pin(async move {
            let result = conn.execute(self.sql, &self.args).await;
            keep(&mut self.kept, conn, result)
        })
    }

    fn settle(self: Box<Self>) {
        if let Some(kept) = self.kept {
            answer(self.reply, kept);
        }
    }

    fn fail(self: Box<Self>, error: DbError, setback: Option<Setback>) {
        let result = Err(error);
        answer(self.reply, Answer { result, setback });
    }
}

/// A caller that gave up in the meantime is no fault.
fn answer<T>(reply: oneshot::Sender<T>, result: T) {
    drop(reply.send(result));
}
