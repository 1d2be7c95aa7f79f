//! The manager: admission, and the way to one terminal among many.
//!
//! It answers from the directory or hands the request on, and never waits. What takes time (a start, an end) runs beside it and replies
//! later. It keeps nothing, so a restart loses nothing and takes as long as looking the terminals over.

use std::sync::Arc;

use ground::{Id, Page, PageRequest};
use supervisor::{Context, Reply, StartError, Worker, WorkerError};

use crate::attachment::Attachment;
use crate::error::PtysError;
use crate::frames::ClosedReason;
use crate::house::House;
use crate::messages::{Answer, ManagerMsg, TerminalMsg};
use crate::terminal::Terminal;
use crate::types::{NewTerminal, TerminalChange, TerminalInfo};

/// Everybody's first address in this domain.
#[derive(Debug)]
pub(crate) struct ManagerActor {
    house: Arc<House>,
}

impl ManagerActor {
    /// Runs beside the handler and goes on when the caller leaves: a shell that was started is either listed or killed.
    fn open(&self, new: NewTerminal, reply: Answer<TerminalInfo>, cx: &Context<ManagerMsg>) {
        let limit = self.house.config.max_terminals;
        let Some(place) = self.house.directory().take_place(limit) else {
            return reply.send(Err(PtysError::TooMany { limit }));
        };
        let house = Arc::clone(&self.house);
        cx.offload(async move { reply.send(house.open(new, place).await) });
    }

    fn list(&self, page: PageRequest) -> Page<TerminalInfo> {
        let rows = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let mut infos = self.house.directory().infos();
        infos.retain(|info| page.after().is_none_or(|after| info.id > after));
        infos.truncate(rows);
        page.page(infos, |info| info.id)
    }

    fn info(&self, id: Id) -> Result<TerminalInfo, PtysError> {
        self.house
            .directory()
            .info(id)
            .ok_or(PtysError::NotFound(id))
    }

    /// The terminal, or why there is none.
    fn terminal(&self, id: Id) -> Result<Arc<Terminal>, PtysError> {
        let directory = self.house.directory();
        directory
            .terminal(id)
            .ok_or_else(|| match directory.departed(id) {
                Some(_) => PtysError::Lost(id),
                None => PtysError::NotFound(id),
            })
    }

    fn update(
        &self,
        id: Id,
        change: TerminalChange,
        reply: Answer<TerminalInfo>,
        cx: &Context<ManagerMsg>,
    ) {
        let terminal = match self.terminal(id) {
            Ok(terminal) => terminal,
            Err(error) => return reply.send(Err(error)),
        };
        let house = Arc::clone(&self.house);
        cx.reply_later(reply, async move {
            house.give_actor(&terminal).await?;
            let actor = house.actors.address(&id).ok_or(PtysError::NotFound(id))?;
            actor
                .ask(|reply| TerminalMsg::Update { change, reply })
                .await?
        });
    }

    fn delete(&self, id: Id, reply: Answer<()>, cx: &Context<ManagerMsg>) {
        let terminal = match self.terminal(id) {
            Ok(terminal) => terminal,
            Err(PtysError::Lost(_)) if self.house.directory().forget(id) => {
                let house = Arc::clone(&self.house);
                cx.offload(async move {
                    house.records().recorded(id, &house.ports.db).await;
                    reply.send(Ok(()));
                });
                return;
            }
            Err(error) => return reply.send(Err(error)),
        };
        let house = Arc::clone(&self.house);
        cx.offload(async move { reply.send(delete(&house, &terminal).await) });
    }

    fn attach(&self, id: Id, since: Option<u64>) -> Result<Attachment, PtysError> {
        let terminal = self.terminal(id)?;
        let limit = terminal.max_viewers();
        terminal
            .attach(since)
            .ok_or(PtysError::TooManyViewers { limit })
    }
}

/// Has the terminal's actor end it. One that is down must not keep anybody from ending a terminal.
async fn delete(house: &House, terminal: &Arc<Terminal>) -> Result<(), PtysError> {
    if let Some(actor) = house
        .actors
        .address(&terminal.id)
        .filter(supervisor::Address::is_up)
    {
        return actor.ask(|reply| TerminalMsg::Delete { reply }).await?;
    }
    house.close(terminal, ClosedReason::Deleted).await?;
    house.dismiss(terminal.id);
    Ok(())
}

impl Worker for ManagerActor {
    type Msg = ManagerMsg;
    type Seed = Arc<House>;

    async fn start(house: Self::Seed, _cx: &Context<Self::Msg>) -> Result<Self, StartError> {
        Ok(Self { house })
    }

    async fn handle(&mut self, msg: Self::Msg, cx: &Context<Self::Msg>) -> Result<(), WorkerError> {
        match msg {
            ManagerMsg::Open { new, reply } => self.open(new, reply, cx),
            ManagerMsg::List { page, reply } => Reply::send(reply, self.list(page)),
            ManagerMsg::Get { id, reply } => reply.send(self.info(id)),
            ManagerMsg::Update { id, change, reply } => self.update(id, change, reply, cx),
            ManagerMsg::Delete { id, reply } => self.delete(id, reply, cx),
            ManagerMsg::Attach { id, since, reply } => reply.send(self.attach(id, since)),
        }
        Ok(())
    }

    fn message_name(msg: &Self::Msg) -> &'static str {
        match msg {
            ManagerMsg::Open { .. } => "open",
            ManagerMsg::List { .. } => "list",
            ManagerMsg::Get { .. } => "get",
            ManagerMsg::Update { .. } => "update",
            ManagerMsg::Delete { .. } => "delete",
            ManagerMsg::Attach { .. } => "attach",
        }
    }

    /// What was not begun can be begun by the next one: terminals outlive their manager.
    fn survives_restart(_msg: &Self::Msg) -> bool {
        true
    }
}
