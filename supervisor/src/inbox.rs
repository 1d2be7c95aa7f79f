//! The inbox of a supervisor: what it is told waits here, and ractor only knocks.
//!
//! A thousand children that come up at once are a handful of knocks and a handful of wake-ups of a thread, not a thousand of each:
//! who finds something waiting already need not knock. Order is kept, as among the messages of one ractor mailbox.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ractor::{ActorCell, ActorId, ActorRef};

use crate::group::GroupMsg;
use crate::task::{self, OwnedTask};

/// What a supervisor takes in one go before it looks at events and signals again.
const BATCH: usize = 256;

/// Tells a supervisor to look into its inbox.
pub(crate) struct Knock;

#[derive(Default)]
struct Waiting {
    messages: VecDeque<GroupMsg>,
    /// A knock is under way, or the supervisor is at it.
    is_awake: bool,
    is_closed: bool,
}

/// What waits for one incarnation of a supervisor.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a knock is needed; the message back when nobody serves it any more.
    fn push(&self, message: GroupMsg) -> Result<bool, Box<GroupMsg>> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(Box::new(message));
        }
        waiting.messages.push_back(message);
        Ok(!std::mem::replace(&mut waiting.is_awake, true))
    }

    /// The next messages in order, at most [`BATCH`]; `spare` is an empty queue to go on with.
    fn take(&self, spare: VecDeque<GroupMsg>) -> VecDeque<GroupMsg> {
        let mut waiting = self.lock();
        if waiting.messages.len() <= BATCH {
            return std::mem::replace(&mut waiting.messages, spare);
        }
        waiting.messages.drain(..BATCH).collect()
    }

    /// Whether more came meanwhile; otherwise the next message knocks.
    fn has_more(&self) -> bool {
        let mut waiting = self.lock();
        waiting.is_awake = !waiting.messages.is_empty();
        waiting.is_awake
    }

    /// Nobody serves what waits, nor what comes. Who waits for an answer learns it by the drop.
    fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        let left = std::mem::take(&mut waiting.messages);
        drop(waiting);
        drop(left);
    }
}

/// Closes the inbox with the incarnation that serves it, however that ends.
pub(crate) struct InboxOwner {
    inbox: Arc<Inbox>,
    /// Room of a batch that was served, for the next.
    spare: VecDeque<GroupMsg>,
}

impl InboxOwner {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        let spare = VecDeque::new();
        Self { inbox, spare }
    }

    /// The next messages in order.
    pub(crate) fn take(&mut self) -> VecDeque<GroupMsg> {
        self.inbox.take(std::mem::take(&mut self.spare))
    }

    /// The batch is served: knocks again if more came meanwhile.
    pub(crate) fn served(&mut self, batch: VecDeque<GroupMsg>, myself: &GroupRef) {
        if batch.is_empty() {
            self.spare = batch;
        }
        if self.inbox.has_more() {
            myself.knock();
        }
    }
}

impl Drop for InboxOwner {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// Where a supervisor is told things. Cheap to clone.
#[derive(Clone)]
pub(crate) struct GroupRef {
    actor: ActorRef<Knock>,
    inbox: Arc<Inbox>,
}

/// The supervisor has ended.
#[derive(Debug)]
pub(crate) struct Gone;

impl GroupRef {
    pub(crate) fn new(actor: ActorRef<Knock>, inbox: Arc<Inbox>) -> Self {
        Self { actor, inbox }
    }

    /// Tells the supervisor. Never waits: what tells it is bounded by the children that there are.
    pub(crate) fn send(&self, message: GroupMsg) -> Result<(), Gone> {
        match self.inbox.push(message) {
            Ok(true) => self.knock(),
            Ok(false) => {}
            Err(_refused) => return Err(Gone),
        }
        Ok(())
    }

    /// Tells it after `wait`, unless the task is dropped before.
    pub(crate) fn send_after(&self, wait: Duration, message: GroupMsg) -> OwnedTask {
        let group = self.clone();
        task::spawn(async move {
            tokio::time::sleep(wait).await;
            // A supervisor that has ended needs no waking.
            drop(group.send(message));
        })
    }

    fn knock(&self) {
        if self.actor.send_message(Knock).is_err() {
            self.inbox.close();
        }
    }

    pub(crate) fn stop(&self) {
        self.actor.stop(None);
    }

    pub(crate) fn kill(&self) {
        self.actor.kill();
    }

    pub(crate) fn id(&self) -> ActorId {
        self.actor.get_id()
    }

    pub(crate) fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(name: usize) -> GroupMsg {
        GroupMsg::Close {
            name: name.to_string(),
        }
    }

    fn names(batch: VecDeque<GroupMsg>) -> Vec<String> {
        let name = |message| match message {
            GroupMsg::Close { name } => name,
            _ => "another message".to_owned(),
        };
        batch.into_iter().map(name).collect()
    }

    #[test]
    fn one_knock_serves_all_that_waits_in_order() {
        let inbox = Inbox::default();
        let knocks = (0..5).filter(|at| matches!(inbox.push(close(*at)), Ok(true)));
        assert_eq!(knocks.count(), 1);
        assert_eq!(
            names(inbox.take(VecDeque::new())),
            ["0", "1", "2", "3", "4"]
        );
        // The supervisor is still at it: who comes now is found when it looks again.
        assert!(matches!(inbox.push(close(5)), Ok(false)));
        assert!(inbox.has_more());
        assert_eq!(names(inbox.take(VecDeque::new())), ["5"]);
        assert!(!inbox.has_more());
        assert!(matches!(inbox.push(close(6)), Ok(true)));
    }

    #[test]
    fn a_batch_is_bounded_and_the_rest_keeps_its_order() {
        let inbox = Inbox::default();
        for at in 0..=BATCH {
            assert!(inbox.push(close(at)).is_ok());
        }
        assert_eq!(inbox.take(VecDeque::new()).len(), BATCH);
        assert!(inbox.has_more());
        assert_eq!(names(inbox.take(VecDeque::new())), [BATCH.to_string()]);
    }

    #[test]
    fn with_its_owner_ends_all_that_waits() {
        let inbox = Arc::new(Inbox::default());
        let owner = InboxOwner::new(Arc::clone(&inbox));
        let (answer, mut answered) = tokio::sync::oneshot::channel();
        let name = "a".to_owned();
        let injection = crate::address::Injection::Kill;
        let message = GroupMsg::Inject {
            name,
            injection,
            answer,
        };
        assert!(inbox.push(message).is_ok());
        drop(owner);
        let heard = answered.try_recv();
        assert_eq!(
            heard,
            Err(tokio::sync::oneshot::error::TryRecvError::Closed)
        );
        assert!(inbox.push(close(1)).is_err());
    }
}
