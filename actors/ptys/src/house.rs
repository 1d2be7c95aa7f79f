//! What all actors of the domain share, and the two steps that more than one of them takes: to open a terminal and to close one.

use std::sync::Arc;
use std::time::Duration;

use ground::Id;
use supervisor::{Address, Keyed};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::Config;
use crate::directory::{Directory, Place};
use crate::error::PtysError;
use crate::frames::ClosedReason;
use crate::launch;
use crate::messages::ManagerMsg;
use crate::ports::Ports;
use crate::process::{self, StartFailure};
use crate::records::{Records, RecordsMsg};
use crate::terminal::Terminal;
use crate::terminal_actor::{TerminalActor, TerminalSeed};
use crate::types::{NewTerminal, TerminalInfo};

/// Shells that are started at once: each takes a thread of the blocking pool for some milliseconds, and for good where a file
/// system hangs.
const STARTS: usize = 4;

/// How long looking at the files and starting the shell may take.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Everything that the actors share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) manager: Address<ManagerMsg>,
    pub(crate) actors: Keyed<Id, TerminalActor>,
    starts: Arc<Semaphore>,
}

impl House {
    /// `actors` is where each terminal gets its actor.
    pub(crate) fn new(
        config: Config,
        ports: Ports,
        manager: Address<ManagerMsg>,
        recorder: Address<RecordsMsg>,
        actors: Keyed<Id, TerminalActor>,
    ) -> Arc<Self> {
        ports.directory.records().wake_at(recorder);
        Arc::new(Self {
            config,
            ports,
            manager,
            actors,
            starts: Arc::new(Semaphore::new(STARTS)),
        })
    }

    /// All terminals.
    pub(crate) fn directory(&self) -> &Directory {
        &self.ports.directory
    }

    /// What is yet to be recorded.
    pub(crate) fn records(&self) -> &Records {
        self.ports.directory.records()
    }

    /// Starts a shell of this owner in `place` and gives it an actor.
    pub(crate) async fn open(
        self: &Arc<Self>,
        new: NewTerminal,
        owner: Option<Id>,
        place: Place,
    ) -> Result<TerminalInfo, PtysError> {
        let terminal = timeout(START_LIMIT, self.start(new, owner, place))
            .await
            .map_err(|_| PtysError::SlowStart(START_LIMIT))??;
        self.directory().insert(Arc::clone(&terminal));
        if let Err(error) = self.give_actor(&terminal).await {
            self.close(&terminal, ClosedReason::Deleted).await?;
            return Err(error);
        }
        self.records().recorded(terminal.id, &self.ports.db).await;
        tracing::info!(id = %terminal.id, "terminal opened");
        Ok(terminal.info())
    }

    async fn start(
        &self,
        new: NewTerminal,
        owner: Option<Id>,
        place: Place,
    ) -> Result<Arc<Terminal>, PtysError> {
        let starting = Arc::clone(&self.starts);
        // It is never closed.
        let permit = starting.acquire_owned().await.ok();
        let (config, environment) = (self.config.clone(), self.ports.environment.clone());
        let started = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let launch =
                launch::prepare(&new, &config, &environment).map_err(PtysError::Invalid)?;
            let started =
                process::start(&launch).map_err(|failure| not_started(failure, &launch))?;
            Ok::<_, PtysError>((launch, started))
        });
        // A start that is given up, and one that comes too late, is killed by its own drop.
        let (launch, started) = started
            .await
            .map_err(|error| PtysError::NotMade(error.into()))??;
        let records = Arc::clone(self.ports.directory.records());
        let terminal = Terminal::new(launch, owner, started, place, &self.config, records);
        terminal.map_err(PtysError::NotMade)
    }

    /// Gives a terminal its actor, if it has none.
    pub(crate) async fn give_actor(
        self: &Arc<Self>,
        terminal: &Arc<Terminal>,
    ) -> Result<(), PtysError> {
        if self.actors.address(&terminal.id).is_some() {
            return Ok(());
        }
        let seed = TerminalSeed {
            house: Arc::clone(self),
            terminal: Arc::clone(terminal),
        };
        match self.actors.open(terminal.id, seed).await {
            // Somebody else was faster.
            Ok(_) | Err(supervisor::OpenError::Exists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a terminal with all its processes and forgets it; [`Self::dismiss`] follows. May be called more than once, and again
    /// after it was cancelled.
    ///
    /// # Errors
    /// [`PtysError::NotEnded`]; the terminal is then still listed.
    pub(crate) async fn close(
        &self,
        terminal: &Terminal,
        reason: ClosedReason,
    ) -> Result<(), PtysError> {
        let id = terminal.id;
        let left = terminal.end(reason).await;
        if left > 0 {
            return Err(PtysError::NotEnded { id, left });
        }
        self.directory().unlist(id);
        self.records().remove(id);
        self.records().recorded(id, &self.ports.db).await;
        tracing::info!(%id, ?reason, "terminal closed");
        Ok(())
    }

    /// Ends the actor of a terminal that is no longer listed.
    pub(crate) fn dismiss(&self, id: Id) {
        if self.directory().terminal(id).is_none() {
            self.actors.close(&id);
        }
    }
}

fn not_started(failure: StartFailure, launch: &launch::Launch) -> PtysError {
    match failure {
        StartFailure::NoPty(error) => PtysError::NotMade(error),
        StartFailure::NotExecuted(error) if is_shortage(&error) => PtysError::NotMade(error),
        StartFailure::NotExecuted(error) => {
            PtysError::Invalid(vec![launch::not_executed(launch, &error)])
        }
    }
}

/// Whether the system has no process or memory left, which is no fault of the request.
fn is_shortage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{OutOfMemory, QuotaExceeded, WouldBlock};
    matches!(error.kind(), OutOfMemory | QuotaExceeded | WouldBlock)
}
