//! The manager: admission, and the way to one terminal among many.
//!
//! It answers from the directory or hands the request on, and never waits. What takes time (a start, an end) runs beside it and replies
//! later. It keeps nothing, so a restart loses nothing and takes as long as looking the terminals over.

use std::sync::Arc;

use futures::future::join_all;
use ground::{Id, Page, PageRequest};
use supervisor::{Context, Reply, StartError, Worker, WorkerError};

use crate::attachment::Attachment;
use crate::error::PtysError;
use crate::frames::ClosedReason;
use crate::house::House;
use crate::messages::{Answer, ManagerMsg, TerminalMsg};
use crate::terminal::Terminal;
use crate::types::{NewTerminal, TerminalChange, TerminalInfo};
use crate::viewer::Viewer;

/// Everybody's first address in this domain.
#[derive(Debug)]
pub(crate) struct ManagerActor {
    house: Arc<House>,
}

impl ManagerActor {
    /// Runs beside the handler and goes on when the caller leaves: a shell that was started is either listed or killed.
    fn open(
        &self,
        new: NewTerminal,
        viewer: &Viewer,
        reply: Answer<TerminalInfo>,
        cx: &Context<ManagerMsg>,
    ) {
        if let Err(error) = self.may_run(viewer) {
            return reply.send(Err(error));
        }
        let limit = self.house.config.max_terminals;
        let Some(place) = self.house.directory().take_place(limit) else {
            return reply.send(Err(PtysError::TooMany { limit }));
        };
        let (house, owner) = (Arc::clone(&self.house), viewer.owner());
        cx.offload(async move { reply.send(house.open(new, owner, place).await) });
    }

    /// Whether the one who asks may run programs.
    fn may_run(&self, viewer: &Viewer) -> Result<(), PtysError> {
        let may = viewer.may_run(&self.house.config.roles);
        may.then_some(()).ok_or(PtysError::RoleNotAllowed)
    }

    fn list(&self, page: PageRequest, viewer: &Viewer) -> Page<TerminalInfo> {
        let rows = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let mut infos = self.house.directory().infos();
        infos.retain(|info| {
            viewer.sees(info.owner) && page.after().is_none_or(|after| info.id > after)
        });
        infos.truncate(rows);
        page.page(infos, |info| info.id)
    }

    fn info(&self, id: Id, viewer: &Viewer) -> Result<TerminalInfo, PtysError> {
        let info = self.house.directory().info(id);
        let seen = info.filter(|info| viewer.sees(info.owner));
        seen.ok_or(PtysError::NotFound(id))
    }

    /// The terminal, or why there is none.
    fn terminal(&self, id: Id, viewer: &Viewer) -> Result<Arc<Terminal>, PtysError> {
        let directory = self.house.directory();
        if let Some(terminal) = directory.terminal(id) {
            let is_theirs = viewer.sees(terminal.owner);
            return is_theirs.then_some(terminal).ok_or(PtysError::NotFound(id));
        }
        let departed = directory.departed(id);
        Err(match departed.filter(|record| viewer.sees(record.owner)) {
            Some(_) => PtysError::Lost(id),
            None => PtysError::NotFound(id),
        })
    }

    fn update(
        &self,
        id: Id,
        viewer: &Viewer,
        change: TerminalChange,
        reply: Answer<TerminalInfo>,
        cx: &Context<ManagerMsg>,
    ) {
        let terminal = match self.terminal(id, viewer) {
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

    fn delete(&self, id: Id, viewer: &Viewer, reply: Answer<()>, cx: &Context<ManagerMsg>) {
        let terminal = match self.terminal(id, viewer) {
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

    /// Ends what runs of one owner, all at once, and forgets what is left of theirs from earlier daemons.
    fn delete_all(&self, owner: Id, reply: Answer<()>, cx: &Context<ManagerMsg>) {
        let house = Arc::clone(&self.house);
        let directory = house.directory();
        let is_theirs = |of: Option<Id>| of == Some(owner);
        for record in directory.all_departed() {
            if is_theirs(record.owner) {
                directory.forget(record.id);
            }
        }
        let mut theirs = directory.terminals();
        theirs.retain(|terminal| is_theirs(terminal.owner));
        cx.offload(async move {
            let ended = join_all(theirs.iter().map(|terminal| delete(&house, terminal))).await;
            let failed = ended
                .into_iter()
                .find(|ended| !matches!(ended, Ok(()) | Err(PtysError::NotFound(_))));
            reply.send(failed.unwrap_or(Ok(())));
        });
    }

    /// Whoever attaches can type, so it takes what opening one takes.
    fn attach(&self, id: Id, viewer: &Viewer, since: Option<u64>) -> Result<Attachment, PtysError> {
        let terminal = self.terminal(id, viewer)?;
        self.may_run(viewer)?;
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
            ManagerMsg::Open { new, viewer, reply } => self.open(new, &viewer, reply, cx),
            ManagerMsg::List {
                page,
                viewer,
                reply,
            } => {
                Reply::send(reply, self.list(page, &viewer));
            }
            ManagerMsg::Get { id, viewer, reply } => reply.send(self.info(id, &viewer)),
            ManagerMsg::Update {
                id,
                viewer,
                change,
                reply,
            } => {
                self.update(id, &viewer, change, reply, cx);
            }
            ManagerMsg::Delete { id, viewer, reply } => self.delete(id, &viewer, reply, cx),
            ManagerMsg::DeleteAll { owner, reply } => self.delete_all(owner, reply, cx),
            ManagerMsg::Attach {
                id,
                viewer,
                since,
                reply,
            } => {
                reply.send(self.attach(id, &viewer, since));
            }
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
            ManagerMsg::DeleteAll { .. } => "delete_all",
            ManagerMsg::Attach { .. } => "attach",
        }
    }

    /// What was not begun can be begun by the next one: terminals outlive their manager.
    fn survives_restart(_msg: &Self::Msg) -> bool {
        true
    }
}
