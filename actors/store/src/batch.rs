//! One batch of writes: one transaction, one sync, and no job sinks another.
//!
//! The batch runs plain first, because a savepoint around every job costs up to half of the rate. Only when a job fails is the
//! transaction rolled back and everything run again, each job under its savepoint, so that the failing ones are undone
//! alone. Nobody is answered before the commit has returned.
//!
//! A connection that breaks *before* the commit was sent leaves nothing behind: those jobs are handed back, to be run on
//! another connection. When the commit itself fails nobody knows, and every waiter is told so.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use ground::DbError;
use ground::db::{BUSY_RETRY, Conn, Fault, LOST_RETRY, Verdict, Work};
use tokio::time::timeout;

/// A job in the batch.
pub(crate) struct Job {
    work: Box<dyn Work>,
    /// Decided by the batch rather than by the job: it panicked, or went on after a failed statement.
    ruled: Option<DbError>,
    /// How often it was in a batch that was broken off.
    broken_off: u8,
}

/// How a batch ended.
pub(crate) enum Ending {
    /// Every job was answered.
    Answered,
    /// The connection must not be used any more. These jobs have not happened and may run on another one.
    Broken(Vec<Job>),
    /// No space is left. Every job was answered with that.
    Full,
    /// The commit failed, or went into a file that is no longer the database. Every job was told so.
    Lost,
}

/// What surrounds a batch.
pub(crate) struct Terms<'a> {
    /// How long one job, or the commit, may take.
    pub(crate) job_limit: Duration,
    /// Whether what was committed is really in the database: false when the file was moved away or replaced.
    pub(crate) is_in_place: &'a dyn Fn() -> bool,
    /// A script that runs first in the transaction: a drill's, which leaves no space for the jobs.
    pub(crate) filler: Option<&'static str>,
}

/// Why a batch stopped. Nothing of it has happened, except perhaps after `Lost`.
enum Stop {
    /// A job failed: run again, each under its savepoint.
    Replay,
    /// The commit was refused: one of the jobs left something that a constraint checks at the end.
    Refused(DbError),
    /// Another program holds the database's lock.
    Busy,
    /// The job at that place took too long.
    Overdue(usize),
    /// The connection is gone, before the commit.
    Broken,
    /// No space is left, before the commit.
    Full,
    /// The commit failed.
    Lost,
}

/// How often a job may be in a batch that was broken off before it is given up.
const MAX_BROKEN_OFF: u8 = 2;

impl Job {
    pub(crate) fn new(work: Box<dyn Work>) -> Self {
        Self {
            work,
            ruled: None,
            broken_off: 0,
        }
    }

    /// Answers it with an error that comes from the database.
    fn fail(self, error: DbError) {
        let setback = error.setback();
        self.work.fail(error, setback);
    }

    fn settle(mut self) {
        match self.ruled.take() {
            Some(error) => self.fail(error),
            None => self.work.settle(),
        }
    }

    /// Runs it once; a panic in it counts as its failure.
    async fn run(&mut self, conn: &mut Conn) -> Verdict {
        let failures = conn.failures();
        self.ruled = None;
        let verdict = AssertUnwindSafe(self.work.run(conn)).catch_unwind().await;
        match verdict {
            Ok(Verdict::Keep) if conn.failures() != failures => {
                self.ruled = Some(DbError::failed(WentOn));
                Verdict::Undo
            }
            Ok(verdict) => verdict,
            Err(_) => {
                tracing::error!("a write panicked; its changes were undone");
                self.ruled = Some(DbError::failed(Panicked));
                Verdict::Undo
            }
        }
    }
}

/// Runs the jobs and answers them. Those that nobody waits for any more are dropped before it begins.
pub(crate) async fn run(conn: &mut Conn, mut jobs: Vec<Job>, terms: &Terms<'_>) -> Ending {
    jobs.retain(|job| !job.work.is_abandoned());
    if jobs.is_empty() {
        return Ending::Answered;
    }
    conn.forgive();
    let plain = match jobs.as_mut_slice() {
        [job] if job.work.is_single() && terms.filler.is_none() => single(conn, job, terms).await,
        _ => together(conn, &mut jobs, terms, false).await,
    };
    let stopped = match plain {
        // A job alone has failed alone.
        Err(Stop::Replay) if jobs.len() == 1 => Ok(()),
        Err(Stop::Replay) => together(conn, &mut jobs, terms, true).await,
        other => other,
    };
    match (stopped, jobs.as_mut_slice()) {
        (Err(Stop::Refused(error)), [job]) => {
            job.ruled = Some(error);
            conclude(jobs, Ok(()))
        }
        (Err(Stop::Refused(_)), _) => one_by_one(conn, jobs, terms).await,
        (stopped, _) => conclude(jobs, stopped),
    }
}

/// Answers the jobs of a batch that ran, or was broken off, as a whole.
fn conclude(mut jobs: Vec<Job>, stopped: Result<(), Stop>) -> Ending {
    let stop = match stopped {
        Ok(()) => {
            jobs.into_iter().for_each(Job::settle);
            return Ending::Answered;
        }
        Err(stop) => stop,
    };
    match stop {
        Stop::Overdue(index) => {
            jobs.remove(index).fail(DbError::Deadline);
            Ending::Broken(hand_back(jobs))
        }
        Stop::Broken => Ending::Broken(hand_back(jobs)),
        Stop::Busy | Stop::Replay | Stop::Refused(_) => {
            fail_all(
                jobs,
                &DbError::Busy {
                    retry_after: BUSY_RETRY,
                },
            );
            Ending::Answered
        }
        Stop::Full => {
            let error = DbError::Unavailable {
                retry_after: LOST_RETRY,
            };
            // Reads go on: that is no reason to let the database go.
            let fail = |job: Job| job.work.fail(error.clone(), None);
            jobs.into_iter().for_each(fail);
            Ending::Full
        }
        Stop::Lost => {
            fail_all(
                jobs,
                &DbError::Unavailable {
                    retry_after: LOST_RETRY,
                },
            );
            Ending::Lost
        }
    }
}

/// A transaction for every job: the last resort, when a commit is refused and any of them may be the reason.
async fn one_by_one(conn: &mut Conn, jobs: Vec<Job>, terms: &Terms<'_>) -> Ending {
    let mut left = jobs.into_iter();
    while let Some(job) = left.next() {
        match Box::pin(run(conn, vec![job], terms)).await {
            Ending::Answered => {}
            Ending::Broken(mut back) => {
                back.extend(hand_back(left.collect()));
                return Ending::Broken(back);
            }
            ending => {
                fail_all(
                    left,
                    &DbError::Unavailable {
                        retry_after: LOST_RETRY,
                    },
                );
                return ending;
            }
        }
    }
    Ending::Answered
}

/// The jobs that may be tried again; the others are answered with "busy", since they have not happened.
fn hand_back(jobs: Vec<Job>) -> Vec<Job> {
    let mut back = Vec::with_capacity(jobs.len());
    for mut job in jobs {
        job.broken_off += 1;
        if job.broken_off <= MAX_BROKEN_OFF {
            back.push(job);
        } else {
            job.fail(DbError::Busy {
                retry_after: BUSY_RETRY,
            });
        }
    }
    back
}

/// Answers all of them with the same error.
pub(crate) fn fail_all(jobs: impl IntoIterator<Item = Job>, error: &DbError) {
    jobs.into_iter().for_each(|job| job.fail(error.clone()));
}

/// One statement commits by itself.
async fn single(conn: &mut Conn, job: &mut Job, terms: &Terms<'_>) -> Result<(), Stop> {
    match timeout(terms.job_limit, job.run(conn)).await {
        Err(_) => Err(Stop::Overdue(0)),
        Ok(Verdict::Keep) if (terms.is_in_place)() => Ok(()),
        Ok(Verdict::Keep) => Err(Stop::Lost),
        Ok(Verdict::Undo) => match conn.fault() {
            None => Ok(()),
            Some(Fault::Full) => Err(Stop::Full),
            // Whether it happened is open: the answer got lost, not necessarily the statement.
            Some(Fault::Lost | Fault::Damaged) => Err(Stop::Lost),
        },
    }
}

/// All in one transaction; under savepoints a failing one is undone alone.
async fn together(
    conn: &mut Conn,
    jobs: &mut [Job],
    terms: &Terms<'_>,
    savepoints: bool,
) -> Result<(), Stop> {
    let begin = conn.engine().pick("BEGIN IMMEDIATE", "BEGIN");
    control(conn, terms, begin).await?;
    if let Some(filler) = terms.filler
        && let Err(stop) = control(conn, terms, filler).await
    {
        return Err(roll_back(conn, terms, stop).await);
    }
    for (index, job) in jobs.iter_mut().enumerate() {
        let ran = timeout(terms.job_limit, inside(conn, job, terms, savepoints)).await;
        if let Err(stop) = ran.unwrap_or(Err(Stop::Overdue(index))) {
            return Err(roll_back(conn, terms, stop).await);
        }
    }
    match timeout(terms.job_limit, conn.script("COMMIT")).await {
        Ok(Ok(())) if (terms.is_in_place)() => Ok(()),
        Ok(Err(error)) => match conn.fault() {
            None => Err(roll_back(conn, terms, Stop::Refused(error)).await),
            Some(Fault::Full) => Err(roll_back(conn, terms, Stop::Full).await),
            Some(Fault::Lost | Fault::Damaged) => Err(Stop::Lost),
        },
        Ok(Ok(())) | Err(_) => Err(Stop::Lost),
    }
}

/// One job inside the transaction.
async fn inside(
    conn: &mut Conn,
    job: &mut Job,
    terms: &Terms<'_>,
    savepoints: bool,
) -> Result<(), Stop> {
    if savepoints {
        control(conn, terms, "SAVEPOINT job").await?;
    }
    let verdict = job.run(conn).await;
    match (conn.fault(), verdict) {
        (Some(Fault::Full), _) => Err(Stop::Full),
        (Some(Fault::Lost), _) => Err(Stop::Broken),
        (Some(Fault::Damaged), _) => Err(Stop::Lost),
        (None, Verdict::Undo) if !savepoints => Err(Stop::Replay),
        (None, Verdict::Undo) => {
            control(
                conn,
                terms,
                "ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job",
            )
            .await
        }
        (None, Verdict::Keep) if savepoints => control(conn, terms, "RELEASE SAVEPOINT job").await,
        (None, Verdict::Keep) => Ok(()),
    }
}

/// Ends the transaction after `stop`, where the connection is still of use.
async fn roll_back(conn: &mut Conn, terms: &Terms<'_>, stop: Stop) -> Stop {
    if matches!(stop, Stop::Broken | Stop::Overdue(_) | Stop::Lost) {
        return stop;
    }
    // SQLite has rolled back by itself after some errors, and then refuses to do it again.
    match timeout(terms.job_limit, conn.script("ROLLBACK")).await {
        Err(_) => Stop::Broken,
        Ok(_) if matches!(conn.fault(), Some(Fault::Lost | Fault::Damaged)) => Stop::Broken,
        Ok(_) => stop,
    }
}

/// A statement that steers the transaction.
async fn control(conn: &mut Conn, terms: &Terms<'_>, sql: &str) -> Result<(), Stop> {
    match timeout(terms.job_limit, conn.script(sql)).await {
        Err(_) => Err(Stop::Broken),
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(match conn.fault() {
            Some(Fault::Full) => Stop::Full,
            Some(Fault::Lost) => Stop::Broken,
            Some(Fault::Damaged) => Stop::Lost,
            None => Stop::Busy,
        }),
    }
}

/// The closure of a write returned `Ok` although one of its statements had failed.
#[derive(Debug, thiserror::Error)]
#[error("the write went on after a failed statement, so that it was undone")]
struct WentOn;

/// The closure of a write panicked.
#[derive(Debug, thiserror::Error)]
#[error("the write panicked, so that it was undone")]
struct Panicked;
