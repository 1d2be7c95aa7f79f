//! The supervised side of one terminal: changes, its end, and an eye on its pump.
//!
//! It holds nothing that matters. When it fails it is built anew around the same terminal, and one that stays broken bears on nobody
//! else. A pump that ended too early ends this actor too: so the fault shows in the status, counts against a budget, and the
//! next incarnation starts the pump again.

use std::sync::Arc;

use supervisor::{Context, Finding, StartError, Worker, WorkerError};

use crate::error::PtysError;
use crate::frames::ClosedReason;
use crate::house::House;
use crate::messages::{Answer, TerminalMsg};
use crate::terminal::Terminal;
use crate::types::{Size, TerminalChange, TerminalInfo, check_name};

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct TerminalSeed {
    pub(crate) house: Arc<House>,
    pub(crate) terminal: Arc<Terminal>,
}

/// The actor of one terminal.
#[derive(Debug)]
pub(crate) struct TerminalActor {
    house: Arc<House>,
    terminal: Arc<Terminal>,
}

/// The pump of a terminal ended while its shell runs.
#[derive(Debug, thiserror::Error)]
#[error("the pump ended while the shell runs")]
struct PumpLost;

impl TerminalActor {
    /// Follows the pump, and says how it ended.
    fn watch_pump(&self, cx: &Context<TerminalMsg>) {
        let (terminal, context) = (Arc::clone(&self.terminal), cx.clone());
        cx.offload(async move {
            let msg = if terminal.pump_lost().await {
                TerminalMsg::PumpLost
            } else {
                TerminalMsg::Exited
            };
            // By a timer and not by the mailbox, which may be full.
            context.after(std::time::Duration::ZERO, msg);
        });
    }

    fn update(&self, change: &TerminalChange) -> Result<TerminalInfo, PtysError> {
        let size = self.terminal.info();
        let (name, size) = check(change, size.cols, size.rows).map_err(PtysError::Invalid)?;
        if let Some(size) = size
            && !self.terminal.resize(size)
        {
            return Err(PtysError::Exited(self.terminal.id));
        }
        if let Some(name) = name {
            self.terminal.rename(name);
        }
        Ok(self.terminal.info())
    }

    /// Runs beside the handler and goes on when the caller leaves: an end that was begun is brought to its end.
    fn delete(&self, reply: Answer<()>, cx: &Context<TerminalMsg>) {
        let (house, terminal) = (Arc::clone(&self.house), Arc::clone(&self.terminal));
        cx.offload(async move {
            reply.send(house.close(&terminal, ClosedReason::Deleted).await);
            // Last: it ends the actor that this task belongs to.
            house.dismiss(terminal.id);
        });
    }

    fn tell(&self, cx: &Context<TerminalMsg>) {
        let info = self.terminal.info();
        cx.detail("pid", info.pid);
        cx.detail("state", info.state.as_str());
    }
}

/// Checks a change against the present size, since one side alone may change.
fn check(
    change: &TerminalChange,
    cols: u16,
    rows: u16,
) -> Result<(Option<String>, Option<Size>), Vec<Finding>> {
    let mut findings = Vec::new();
    let name = change.name.as_deref().map(check_name).transpose();
    let name = name
        .map_err(|finding| findings.push(finding))
        .ok()
        .flatten();
    let size = (change.cols.is_some() || change.rows.is_some()).then(|| {
        let cols = change.cols.unwrap_or(u32::from(cols));
        Size::checked(cols, change.rows.unwrap_or(u32::from(rows)))
    });
    let size = size
        .transpose()
        .map_err(|more| findings.extend(more))
        .ok()
        .flatten();
    if findings.is_empty() {
        Ok((name, size))
    } else {
        Err(findings)
    }
}

impl Worker for TerminalActor {
    type Msg = TerminalMsg;
    type Seed = TerminalSeed;

    async fn start(seed: Self::Seed, cx: &Context<Self::Msg>) -> Result<Self, StartError> {
        let actor = Self {
            house: seed.house,
            terminal: seed.terminal,
        };
        actor.terminal.ensure_pump();
        actor.watch_pump(cx);
        actor.tell(cx);
        Ok(actor)
    }

    async fn handle(&mut self, msg: Self::Msg, cx: &Context<Self::Msg>) -> Result<(), WorkerError> {
        match msg {
            TerminalMsg::Update { change, reply } => reply.send(self.update(&change)),
            TerminalMsg::Delete { reply } => self.delete(reply, cx),
            TerminalMsg::PumpLost => return Err(PumpLost.into()),
            TerminalMsg::Exited => self.tell(cx),
        }
        Ok(())
    }

    fn message_name(msg: &Self::Msg) -> &'static str {
        match msg {
            TerminalMsg::Update { .. } => "update",
            TerminalMsg::Delete { .. } => "delete",
            TerminalMsg::PumpLost => "pump_lost",
            TerminalMsg::Exited => "exited",
        }
    }
}
