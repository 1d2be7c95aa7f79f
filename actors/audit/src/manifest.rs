//! The domain: its facts, its face, its one child.

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::Config;
use crate::handle::AuditHandle;
use crate::messages::AuditMsg;
use crate::ports::Ports;
use crate::writer::{Seed, WriterActor};

const WRITER: &str = "writer";

/// The audit: what people did.
#[derive(Debug)]
pub struct Audit;

impl Domain for Audit {
    // What changes something writes its entry in its own transaction, and stands or falls with the store: so much does not hang on this
    // domain that the whole system would be offline without it.
    const MANIFEST: Manifest = Manifest {
        name: "audit",
        title: "the record of what people did",
        priority: Priority::P1,
        needs: &[Need::hard("store")],
        impact: Impact {
            degraded: "operator actions and wrong tokens are not on record yet",
            critical: "operator actions and wrong tokens are not on record yet",
            offline: "the record can be neither read nor verified, and operator actions and wrong tokens are not on record yet",
        },
        fallback: Some("up to 1,024 entries wait in memory until they can be stored"),
        main_actor: WRITER,
        mailbox_limit: 64,
        route_prefixes: &["/api/v1/audit"],
    };

    type Config = Config;
    type Ports = Ports;
    type Msg = AuditMsg;
    type Handle = AuditHandle;

    fn handle(address: Address<AuditMsg>) -> AuditHandle {
        AuditHandle::new(address)
    }

    async fn start(
        cx: DomainContext<AuditMsg>,
        config: Config,
        ports: Ports,
    ) -> Result<Started, StartError> {
        let seed = Seed { config, ports };
        let policy = Policy::default();
        let writer = ChildSpec::actor::<WriterActor>(WRITER, cx.address().clone(), seed, policy);
        Ok(Started::new(Strategy::OneForOne, vec![writer]))
    }
}
