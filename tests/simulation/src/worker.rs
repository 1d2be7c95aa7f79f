//! The one kind of actor in a run. It does as the lab says.

use std::sync::Arc;
use std::time::Duration;

use supervisor::{Condition, Context, Level, Reply, StartError, Worker, WorkerError};
use tokio::time::Instant;

use crate::lab::{Lab, Life, What};

/// Requests.
#[derive(Debug)]
pub(crate) enum Msg {
    /// Work so long, then reply with the number. After the deadline nobody waits any more.
    Ask {
        /// The number.
        request: u64,
        /// How long the work takes.
        work: Duration,
        /// When the caller stops waiting.
        deadline: Instant,
        /// Where the reply goes.
        reply: Reply<u64>,
    },
    /// Wait for ever.
    Hang,
    /// End by itself.
    Finish,
    /// Report this level; NORMAL takes the report back.
    Report(Level),
}

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    /// Where it is.
    pub(crate) path: Arc<str>,
    /// See there.
    pub(crate) lab: Arc<Lab>,
}

/// The actor.
#[derive(Debug)]
pub(crate) struct SimWorker {
    seed: Seed,
    incarnation: u64,
    /// Told when it is dropped, which is the end of the incarnation.
    _life: Life,
}

impl Worker for SimWorker {
    type Msg = Msg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<Msg>) -> Result<Self, StartError> {
        let incarnation = cx.incarnation();
        let life = Life::begin(&seed.lab, &seed.path, incarnation);
        seed.lab.start_of(&seed.path).await?;
        seed.lab.note(&seed.path, What::Ready(incarnation));
        Ok(Self {
            seed,
            incarnation,
            _life: life,
        })
    }

    async fn handle(&mut self, msg: Msg, cx: &Context<Msg>) -> Result<(), WorkerError> {
        let Seed { path, lab } = &self.seed;
        match msg {
            Msg::Ask {
                request,
                work,
                deadline,
                reply,
            } => {
                lab.note(path, What::Serve(request));
                if Instant::now() >= deadline {
                    lab.complain(format_args!("{path} took {request} after its deadline"));
                }
                if lab.behaviour(path).crashes {
                    return Err("it crashes at each request".into());
                }
                tokio::time::sleep(work).await;
                reply.send(request);
            }
            Msg::Hang => std::future::pending().await,
            Msg::Finish => cx.finish(),
            Msg::Report(Level::Normal) => cx.clear(),
            Msg::Report(level) => cx.report(Condition::new(level, "sim.reported", "is not well")),
        }
        Ok(())
    }

    async fn stop(&mut self, _cx: &Context<Msg>) {
        let Seed { path, lab } = &self.seed;
        lab.note(path, What::Stop(self.incarnation));
    }

    fn message_name(msg: &Msg) -> &'static str {
        match msg {
            Msg::Ask { .. } => "Ask",
            Msg::Hang => "Hang",
            Msg::Finish => "Finish",
            Msg::Report(_) => "Report",
        }
    }
}
