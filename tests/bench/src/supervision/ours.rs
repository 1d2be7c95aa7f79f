//! Our side, through nothing but what a domain can use: keyed children of one group, the default policy for one among many.
//!
//! The policy is the daemon's own, with its budget (5 in 30 s) and its backoff, so only the *first* fault of a child is
//! restarted without delay. That is why every measure takes children of its own and lets each crash once.
//! History, budget and the swap of the address are part of what is measured: there is no way to have children without them.

use std::sync::Arc;

use ::supervisor::{
    Address, ChildSpec, Context, Domain, DomainContext, Impact, Injection, Keyed, Manifest, Policy,
    Priority, Reply, StartError, Started, Strategy, System, SystemBuilder, Worker, WorkerError,
};
use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering};

use super::peer::{Crash, LIMIT, Peer, Shared};

/// Requests that a child admits at most, as many as the peer with a bound has by itself.
const MAILBOX: u32 = 64;
/// Children at most; above what any measure opens.
const CHILDREN: usize = 200_000;
/// Children that are being opened at the same time: enough that the opener and the supervisor both always have something to do.
const OPENING: usize = 256;

/// What a child is told.
enum ChildMsg {
    Ping(Reply<u64>),
    Fail,
    Panic,
    Hang,
    /// Means nothing.
    Poke,
}

struct Child {
    number: u64,
    shared: Arc<Shared>,
}

impl Worker for Child {
    type Msg = ChildMsg;
    type Seed = Arc<Shared>;

    async fn start(shared: Arc<Shared>, _cx: &Context<ChildMsg>) -> Result<Self, StartError> {
        Ok(Self {
            number: shared.started(),
            shared,
        })
    }

    async fn handle(&mut self, msg: ChildMsg, _cx: &Context<ChildMsg>) -> Result<(), WorkerError> {
        match msg {
            ChildMsg::Ping(reply) => reply.send(self.number),
            ChildMsg::Fail => return Err("told to fail".into()),
            ChildMsg::Panic => panic!("told to panic"),
            ChildMsg::Hang => self.shared.hang().await,
            ChildMsg::Poke => {}
        }
        Ok(())
    }

    fn message_name(msg: &ChildMsg) -> &'static str {
        match msg {
            ChildMsg::Ping(_) => "Ping",
            ChildMsg::Fail => "Fail",
            ChildMsg::Panic => "Panic",
            ChildMsg::Hang => "Hang",
            ChildMsg::Poke => "Poke",
        }
    }
}

/// A domain of nothing but keyed children.
struct Many;

impl Domain for Many {
    const MANIFEST: Manifest = Manifest {
        name: "many",
        title: "many children",
        priority: Priority::P1,
        needs: &[],
        impact: Impact {
            degraded: "nothing",
            critical: "nothing",
            offline: "nothing",
        },
        fallback: None,
        main_actor: "none",
        mailbox_limit: 1,
        route_prefixes: &[],
    };
    type Config = ();
    type Ports = Keyed<u64, Child>;
    type Msg = ();
    type Handle = Address<()>;

    fn handle(address: Address<()>) -> Address<()> {
        address
    }

    async fn start(
        _cx: DomainContext<()>,
        (): (),
        keyed: Keyed<u64, Child>,
    ) -> Result<Started, StartError> {
        let children = ChildSpec::keyed("children", &keyed, Policy::one_of_many());
        Ok(Started::new(Strategy::OneForOne, vec![children]))
    }
}

/// A running system and its keyed children.
pub(crate) struct Ours {
    shared: Arc<Shared>,
    system: System,
    keyed: Keyed<u64, Child>,
    next_key: AtomicU64,
}

/// A key with the address behind it.
#[derive(Clone)]
pub(crate) struct Opened {
    key: u64,
    address: Address<ChildMsg>,
}

impl Ours {
    async fn open_one(&self) -> Result<Opened> {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let address = self.keyed.open(key, Arc::clone(&self.shared)).await?;
        Ok(Opened { key, address })
    }
}

impl Peer for Ours {
    type Child = Opened;

    async fn start(shared: Arc<Shared>) -> Result<Self> {
        let keyed = Keyed::new("/many/children", Policy::one_of_many(), MAILBOX, CHILDREN);
        let mut builder = SystemBuilder::new();
        let address = builder.address::<Many>();
        builder.add::<Many>(address, (), keyed.clone());
        let system = builder.start().await?;
        system.ready().await;
        Ok(Self {
            shared,
            system,
            keyed,
            next_key: AtomicU64::new(0),
        })
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn open(&self, count: usize) -> Result<Vec<Opened>> {
        let opening = stream::iter((0..count).map(|_| self.open_one()));
        opening.buffer_unordered(OPENING).try_collect().await
    }

    async fn close(&self, children: Vec<Opened>) -> Result<()> {
        for child in children {
            self.keyed.close(&child.key);
        }
        while !self.keyed.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn crash(&self, child: &Opened, how: Crash) -> Result<()> {
        match how {
            Crash::Error => child.address.tell(ChildMsg::Fail)?,
            Crash::Panic => child.address.tell(ChildMsg::Panic)?,
            // The one public way to kill: the supervisor is asked to, looks up the path and answers. All of it is in the time.
            Crash::Kill => {
                let path = child.address.path();
                let is_running = self.system.inject(path, Injection::Kill).await?;
                ensure!(is_running, "{path} was not running");
            }
        }
        Ok(())
    }

    async fn ping(&self, child: &Opened) -> Option<u64> {
        let asked = child.address.ask_within(LIMIT, ChildMsg::Ping);
        asked.await.ok()
    }

    async fn hang(&self, child: &Opened) -> Result<()> {
        child.address.tell(ChildMsg::Hang).context("is not there")
    }

    /// Told and not asked: a request whose caller gives up leaves the mailbox at once, so nothing would ever be refused.
    fn is_taken(&self, child: &Opened) -> bool {
        child.address.tell(ChildMsg::Poke).is_ok()
    }
}
