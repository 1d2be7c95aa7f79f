//! The domain: its facts, its face, its children.

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::Config;
use crate::factors::{self, FactorsActor};
use crate::handle::AccountsHandle;
use crate::manager::{ManagerActor, Seed};
use crate::messages::ManagerMsg;
use crate::ports::Ports;

const MANAGER: &str = "manager";
const FACTORS: &str = "factors";

/// Access tokens: who may come in.
#[derive(Debug)]
pub struct Accounts;

impl Domain for Accounts {
    const MANIFEST: Manifest = Manifest {
        name: "accounts",
        title: "access tokens",
        priority: Priority::P0,
        needs: &[Need::hard("store")],
        impact: Impact {
            degraded: "tokens are checked more slowly than usual",
            critical: "no token can be created or revoked, and tokens not used recently are refused",
            offline: "no token can be created or revoked, and over the network only tokens used recently are let in",
        },
        fallback: Some("tokens used recently go on working, and the local socket needs none"),
        main_actor: MANAGER,
        mailbox_limit: 1024,
        route_prefixes: &["/api/v1/tokens", "/api/v1/auth"],
    };

    type Config = Config;
    type Ports = Ports;
    type Msg = ManagerMsg;
    type Handle = AccountsHandle;

    fn handle(address: Address<ManagerMsg>) -> AccountsHandle {
        AccountsHandle::new(address)
    }

    async fn start(
        cx: DomainContext<ManagerMsg>,
        config: Config,
        ports: Ports,
    ) -> Result<Started, StartError> {
        let factors = ports.shared.factors.clone();
        let factors = ChildSpec::actor::<FactorsActor>(
            FACTORS,
            factors.address().clone(),
            factors::Seed {
                db: ports.db.clone(),
                sealer: ports.sealer.clone(),
                factors,
            },
            Policy::default(),
        );
        let seed = Seed { config, ports };
        let manager = ChildSpec::actor::<ManagerActor>(
            MANAGER,
            cx.address().clone(),
            seed,
            Policy::default(),
        );
        Ok(Started::new(Strategy::OneForOne, vec![manager, factors]))
    }
}
