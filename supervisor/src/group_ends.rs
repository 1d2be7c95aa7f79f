//! The ends of children: how each ended, with its circumstances, told to the board and to the pure core.

use ractor::ActorId;

use crate::core::{ChildId, EndKind, Event};
use crate::end::End;
use crate::group::GroupState;
use crate::launch::{Body, Live, Mailbox};

impl GroupState {
    /// ractor tells that a supervisor below this one has ended.
    pub(crate) async fn group_ended(&mut self, actor: ActorId, failed: Option<String>) {
        let Some(child) = self.actors.remove(&actor) else {
            return;
        };
        let live = self.slots.get(&child).and_then(|slot| slot.live.as_ref());
        if let Some(incarnation) = live
            .filter(|(live, _)| live.body.actor() == Some(actor))
            .map(|(_, incarnation)| *incarnation)
        {
            self.child_ended(child, incarnation, failed).await;
        }
    }

    pub(crate) async fn child_ended(
        &mut self,
        child: ChildId,
        incarnation: u64,
        failed: Option<String>,
    ) {
        let is_stopping = self.core.is_stopping_child(child);
        let Some(slot) = self.slots.get_mut(&child) else {
            return;
        };
        let Some((live, _)) = slot.live.take_if(|(_, its)| *its == incarnation) else {
            return;
        };
        let end = end_of(&live, slot.launcher.mailbox(), incarnation, failed);
        if end.kind == EndKind::Killed && is_stopping {
            self.launch.board.note_killed(&slot.path);
        }
        let kind = end.kind;
        if kind != EndKind::Normal {
            tracing::warn!(path = %slot.path, code = %end.code, reason = %end.message, "ended");
        }
        self.launch.board.ended(&slot.path, &end);
        if matches!(live.body, Body::Group(_)) {
            self.launch.board.remove_below(&slot.path);
        }
        slot.last_end = Some(Box::new(end));
        let event = Event::Ended {
            child,
            incarnation,
            end: kind,
        };
        self.handle_event(event).await;
    }
}

/// How an incarnation ended, with its circumstances; what it left in its mailbox is seen to.
fn end_of(
    live: &Live,
    mailbox: Option<&dyn Mailbox>,
    incarnation: u64,
    failed: Option<String>,
) -> End {
    let cell = mailbox.map(Mailbox::cell);
    let in_hand = cell.and_then(|cell| cell.in_hand());
    let in_hand = in_hand.map(|hand| hand.message);
    let mut end = live.record.conclude(failed, in_hand);
    end.incarnation = incarnation;
    if let Some(cell) = cell {
        if end.message_type.is_none() {
            end.message_type = in_hand;
            end.mailbox_depth = cell.mailbox().depth;
        }
        cell.done();
    }
    if let Some(mailbox) = mailbox {
        mailbox.ended();
    }
    end
}
