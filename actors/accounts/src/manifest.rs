//! The domain: its facts, its face, its children.

use std::sync::Arc;

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Level, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::Config;
use crate::factors::{self, FactorsActor};
use crate::federation::{self, FederationActor, Neighbours, OwnUsers};
use crate::handle::AccountsHandle;
use crate::manager::{ManagerActor, Seed};
use crate::messages::ManagerMsg;
use crate::passkeys::{self, PasskeysActor};
use crate::people::{self, PeopleActor};
use crate::ports::Ports;
use crate::recovery::{self, RecoveryActor};
use crate::sessions::SessionsActor;

const MANAGER: &str = "manager";
const SESSIONS: &str = "sessions";
const PEOPLE: &str = "people";
const FACTORS: &str = "factors";
const FEDERATION: &str = "federation";
const PASSKEYS: &str = "passkeys";
const RECOVERY: &str = "recovery";

/// Access tokens: who may come in.
#[derive(Debug)]
pub struct Accounts;

impl Domain for Accounts {
    const MANIFEST: Manifest = Manifest {
        name: "accounts",
        title: "people, sessions and access tokens",
        priority: Priority::P0,
        needs: &[Need::hard("store")],
        impact: Impact {
            degraded: "tokens are checked more slowly than usual, or nobody can sign in by one of the outside issuers or with a passkey",
            critical: "nobody can sign in, no token can be created or revoked, and tokens not used recently are refused",
            offline: "nobody can sign in, no token can be created or revoked, and over the network only tokens and sessions used recently are let in",
        },
        fallback: Some(
            "tokens and sessions used recently go on working, and the local socket needs none",
        ),
        main_actor: MANAGER,
        mailbox_limit: 1024,
        route_prefixes: &[
            "/api/v1/auth",
            "/api/v1/me",
            "/api/v1/setup",
            "/api/v1/tokens",
            "/api/v1/users",
            "/api/v1/ws-ticket",
        ],
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
        let address = seed.ports.shared.sessions.address.clone();
        let policy = Policy::default();
        let sessions = ChildSpec::actor::<SessionsActor>(SESSIONS, address, seed.clone(), policy);
        let (people, recovery) = (people(&seed), recovery(&seed));
        let mut issuers = seed.ports.issuers.nodes();
        issuers.push(federation(&seed));
        issuers.push(passkeys(&seed));
        let manager = ChildSpec::actor::<ManagerActor>(
            MANAGER,
            cx.address().clone(),
            seed,
            Policy::default(),
        );
        let mut children = vec![manager, sessions, factors, people, recovery];
        children.extend(issuers);
        Ok(Started::new(Strategy::OneForOne, children))
    }
}

/// Who mails tokens. Without it nobody recovers a password, and all else goes on.
fn recovery(seed: &Seed) -> ChildSpec {
    let shared = seed.ports.shared.clone();
    let address = shared.recovery.clone();
    let factors = Arc::new(shared.factors.clone());
    let (db, url) = (seed.ports.db.clone(), seed.config.public_url.as_deref());
    let desk = recovery::Desk::new(db, shared, factors, url);
    let policy = Policy::default().bears(Level::Degraded);
    ChildSpec::actor::<RecoveryActor>(RECOVERY, address, Arc::new(desk), policy)
}

/// Who looks after people. Without it those who are in stay in.
fn people(seed: &Seed) -> ChildSpec {
    let shared = seed.ports.shared.clone();
    let address = shared.people.address.clone();
    let sessions = Arc::new(shared.sessions.clone());
    let factors = Arc::new(shared.factors.clone());
    let db = seed.ports.db.clone();
    let desk = people::Desk::new(db, shared, seed.config.clone(), sessions, factors);
    let desk = desk.with_personal_data(Arc::clone(&seed.ports.personal));
    let policy = Policy::default().bears(Level::Critical);
    ChildSpec::actor::<PeopleActor>(PEOPLE, address, Arc::new(desk), policy)
}

/// Who checks passkeys. Without it every other way in goes on.
fn passkeys(seed: &Seed) -> ChildSpec {
    let (config, ports) = (&seed.config, &seed.ports);
    let passkeys = &ports.shared.passkeys;
    let own = ports.own_origin.as_deref();
    let relying = passkeys::relying_party(&config.passkeys, config.public_url.as_deref(), own);
    let sessions = Arc::new(ports.shared.sessions.clone());
    let desk = passkeys::Desk::new(ports.db.clone(), relying, sessions, passkeys.memory());
    let policy = Policy::default().bears(Level::Degraded);
    let address = passkeys.address().clone();
    ChildSpec::actor::<PasskeysActor>(PASSKEYS, address, Arc::new(desk), policy)
}

/// Who asks the outside issuers. Without it every other way in goes on.
fn federation(seed: &Seed) -> ChildSpec {
    let shared = &seed.ports.shared;
    let seed = federation::Seed {
        db: seed.ports.db.clone(),
        issuers: seed.ports.issuers.clone(),
        neighbours: Neighbours {
            users: Arc::new(OwnUsers),
            factors: Arc::new(shared.factors.clone()),
            sessions: Arc::new(shared.sessions.clone()),
        },
    };
    let policy = Policy::default().bears(Level::Degraded);
    ChildSpec::actor::<FederationActor>(
        FEDERATION,
        shared.federation.address().clone(),
        seed,
        policy,
    )
}
