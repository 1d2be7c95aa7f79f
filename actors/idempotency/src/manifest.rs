//! The domain: its facts, its face, its one child.

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::Config;
use crate::handle::IdempotencyHandle;
use crate::keeper::{KeeperActor, Seed};
use crate::messages::KeeperMsg;
use crate::ports::Ports;

const KEEPER: &str = "keeper";

/// Keys under which requests are done once.
#[derive(Debug)]
pub struct Idempotency;

impl Domain for Idempotency {
    const MANIFEST: Manifest = Manifest {
        name: "idempotency",
        title: "requests that are done once",
        priority: Priority::P2,
        needs: &[Need::hard("store")],
        impact: Impact {
            degraded: "answers to requests with an Idempotency-Key may be lost with the daemon",
            critical: "requests with an Idempotency-Key are refused",
            offline: "requests with an Idempotency-Key are refused",
        },
        fallback: Some(
            "requests without a key are served, and keys used lately are answered from memory",
        ),
        main_actor: KEEPER,
        mailbox_limit: 1024,
        route_prefixes: &[],
    };

    type Config = Config;
    type Ports = Ports;
    type Msg = KeeperMsg;
    type Handle = IdempotencyHandle;

    fn handle(address: Address<KeeperMsg>) -> IdempotencyHandle {
        IdempotencyHandle::new(address)
    }

    async fn start(
        cx: DomainContext<KeeperMsg>,
        config: Config,
        ports: Ports,
    ) -> Result<Started, StartError> {
        let seed = Seed { config, ports };
        let policy = Policy::default();
        let keeper = ChildSpec::actor::<KeeperActor>(KEEPER, cx.address().clone(), seed, policy);
        Ok(Started::new(Strategy::OneForOne, vec![keeper]))
    }
}
