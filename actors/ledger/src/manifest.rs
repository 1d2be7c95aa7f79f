//! The domain: its facts, its face, its one child.

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Level, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::Config;
use crate::handle::LedgerHandle;
use crate::messages::LedgerMsg;
use crate::ports::Ports;
use crate::writer::{Seed, WriterActor};

const WRITER: &str = "writer";

/// The ledger: what happened.
#[derive(Debug)]
pub struct Ledger;

impl Domain for Ledger {
    const MANIFEST: Manifest = Manifest {
        name: "ledger",
        title: "the history of what happened",
        priority: Priority::P3,
        needs: &[Need::soft("store")],
        impact: Impact {
            degraded: "what happens now is not stored yet, and what happened before may not be readable",
            critical: "what happens now is not stored",
            offline: "what happens now is not stored",
        },
        fallback: Some("the newest 4,096 events are kept in memory"),
        main_actor: WRITER,
        mailbox_limit: 16,
        route_prefixes: &["/api/v1/status/events"],
    };

    type Config = Config;
    type Ports = Ports;
    type Msg = LedgerMsg;
    type Handle = LedgerHandle;

    fn handle(_address: Address<LedgerMsg>) -> LedgerHandle {
        LedgerHandle::default()
    }

    async fn start(
        cx: DomainContext<LedgerMsg>,
        config: Config,
        ports: Ports,
    ) -> Result<Started, StartError> {
        // Without its writer the domain still answers, from the table as it is and from memory.
        let policy = Policy::default().bears(Level::Degraded);
        let seed = Seed { config, ports };
        let writer = ChildSpec::actor::<WriterActor>(WRITER, cx.address().clone(), seed, policy);
        Ok(Started::new(Strategy::OneForOne, vec![writer]))
    }
}
