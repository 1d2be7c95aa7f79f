//! The facts of the domain, and how it starts.

use std::path::PathBuf;

use ground::Db;
use supervisor::{
    Address, ChildSpec, Dependency, Domain, DomainContext, Impact, Manifest, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::handle::StoreHandle;
use crate::location::Location;
use crate::manager::{ManagerActor, Seed};
use crate::messages::{Msg, StoreMsg};

/// The store domain.
#[derive(Debug)]
pub struct Store;

/// What the store is given from outside.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The handle that it fills, shared with every other domain.
    pub db: Db,
    /// The data directory.
    pub data_dir: PathBuf,
    /// What tells whether the database is there, at [`DATABASE`].
    pub database: Dependency,
}

/// Where the database is in the tree.
pub const DATABASE: &str = "/store/database";

/// How long a start may take: a large database may have to be backed up and migrated.
const START_LIMIT: std::time::Duration = std::time::Duration::from_mins(30);

impl Domain for Store {
    const MANIFEST: Manifest = Manifest {
        name: "store",
        title: "the database",
        priority: Priority::P0,
        needs: &[],
        impact: Impact {
            degraded: "reading and saving work, but slowly",
            critical: "nothing can be saved, and stored data may not be readable",
            offline: "stored data can be neither read nor saved",
        },
        fallback: Some("open terminals go on; what needs no stored data still answers"),
        main_actor: "manager",
        mailbox_limit: 256,
        route_prefixes: &[],
    };

    type Config = StoreConfig;
    type Ports = Ports;
    type Msg = StoreMsg;
    type Handle = StoreHandle;

    fn handle(address: Address<StoreMsg>) -> StoreHandle {
        StoreHandle::new(address)
    }

    async fn start(
        cx: DomainContext<StoreMsg>,
        config: StoreConfig,
        ports: Ports,
    ) -> Result<Started, StartError> {
        let location = Location::parse(&config.url, &ports.data_dir).map_err(StoreError::from)?;
        let seed = Seed {
            location,
            config,
            db: ports.db,
            database: ports.database,
        };
        seed.database.carry_drag();
        let checked = cx.address().clone();
        let database = ChildSpec::dependency("database", &seed.database, move || {
            let checked = checked.clone();
            async move { checked.ask(|reply| StoreMsg(Msg::Check { reply })).await? }
        });
        let policy = Policy {
            start_limit: START_LIMIT,
            ..Policy::default()
        };
        let manager = ChildSpec::actor::<ManagerActor>(
            Self::MANIFEST.main_actor,
            cx.address().clone(),
            seed,
            policy,
        );
        Ok(Started::new(Strategy::OneForOne, vec![database, manager]))
    }
}
