//! The peer: kameo with its own supervision, one for one, and its default bounded mailbox.
//!
//! A reference survives a restart, and what is in the queue goes to the next incarnation. Only the right to kill does not
//! survive: it is that of the incarnation that the reference was made for, so each child here is killed once.

use std::sync::Arc;
use std::time::Duration;

use ::kameo::actor::{Actor, ActorRef, Spawn};
use ::kameo::error::Infallible;
use ::kameo::message::{Context, Message};
use ::kameo::supervision::RestartPolicy;
use anyhow::{Result, anyhow};
use futures::FutureExt;

use super::peer::{Crash, LIMIT, Peer, Shared};

struct Parent;

impl Actor for Parent {
    type Args = ();
    type Error = Infallible;

    async fn on_start(_args: (), _myself: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// A child.
pub(crate) struct Child {
    number: u64,
    shared: Arc<Shared>,
}

impl Actor for Child {
    type Args = Arc<Shared>;
    type Error = Infallible;

    async fn on_start(shared: Arc<Shared>, _myself: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self {
            number: shared.started(),
            shared,
        })
    }
}

struct Ping;
struct Fail;
struct Panic;
struct Hang;

impl Message<Ping> for Child {
    type Reply = u64;

    async fn handle(&mut self, _msg: Ping, _cx: &mut Context<Self, u64>) -> u64 {
        self.number
    }
}

/// An error that nobody waits for ends the actor.
impl Message<Fail> for Child {
    type Reply = Result<(), &'static str>;

    async fn handle(
        &mut self,
        _msg: Fail,
        _cx: &mut Context<Self, Self::Reply>,
    ) -> Result<(), &'static str> {
        Err("told to fail")
    }
}

impl Message<Panic> for Child {
    type Reply = ();

    async fn handle(&mut self, _msg: Panic, _cx: &mut Context<Self, ()>) {
        panic!("told to panic");
    }
}

impl Message<Hang> for Child {
    type Reply = ();

    async fn handle(&mut self, _msg: Hang, _cx: &mut Context<Self, ()>) {
        self.shared.hang().await;
    }
}

/// A supervisor and its children.
pub(crate) struct Kameo {
    shared: Arc<Shared>,
    parent: ActorRef<Parent>,
}

impl Peer for Kameo {
    type Child = ActorRef<Child>;

    async fn start(shared: Arc<Shared>) -> Result<Self> {
        let parent = Parent::spawn(());
        parent.wait_for_startup().await;
        Ok(Self { shared, parent })
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn open(&self, count: usize) -> Result<Vec<ActorRef<Child>>> {
        let mut children = Vec::with_capacity(count);
        for _ in 0..count {
            // Far above what is measured: the default would leave a child dead after five restarts.
            let child = Child::supervise(&self.parent, Arc::clone(&self.shared))
                .restart_policy(RestartPolicy::Transient)
                .restart_limit(u32::MAX, Duration::from_secs(1));
            children.push(child.spawn().await);
        }
        for child in &children {
            child.wait_for_startup().await;
        }
        Ok(children)
    }

    async fn close(&self, children: Vec<ActorRef<Child>>) -> Result<()> {
        for child in children {
            child
                .stop_gracefully()
                .await
                .map_err(|error| anyhow!("{error}"))?;
        }
        Ok(())
    }

    async fn crash(&self, child: &ActorRef<Child>, how: Crash) -> Result<()> {
        match how {
            Crash::Error => child
                .tell(Fail)
                .try_send()
                .map_err(|error| anyhow!("{error}")),
            Crash::Panic => child
                .tell(Panic)
                .try_send()
                .map_err(|error| anyhow!("{error}")),
            Crash::Kill => {
                child.kill();
                Ok(())
            }
        }
    }

    async fn ping(&self, child: &ActorRef<Child>) -> Option<u64> {
        // The limit is on the reply alone; one for a place in the queue as well would be a second timer.
        child.ask(Ping).reply_timeout(LIMIT).send().await.ok()
    }

    async fn hang(&self, child: &ActorRef<Child>) -> Result<()> {
        child
            .tell(Hang)
            .try_send()
            .map_err(|error| anyhow!("{error}"))
    }

    fn is_taken(&self, child: &ActorRef<Child>) -> bool {
        let asked = child
            .ask(Ping)
            .reply_timeout(LIMIT)
            .try_send()
            .now_or_never();
        asked.is_none()
    }
}
