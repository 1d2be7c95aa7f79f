//! A daemon with nothing but a store, for tests under a real supervisor.

use std::path::Path;
use std::time::Duration;

use ground::{Db, DbError, Id, Micros, Secret, args};
use supervisor::{
    Dependency, DependencyPolicy, Domain as _, Level, NodeStatus, State, System, SystemBuilder,
};
use tokio::time::{Instant, sleep, timeout};

use crate::config::StoreConfig;
use crate::handle::StoreHandle;
use crate::manifest::{DATABASE, Ports, Store};
use crate::testing::Server;

/// How long anything may take that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon with nothing but a store.
pub(super) struct House {
    pub(super) system: System,
    pub(super) db: Db,
    pub(super) handle: StoreHandle,
    pub(super) database: Dependency,
}

impl House {
    pub(super) async fn start(url: Secret, data_dir: &Path) -> Self {
        let config = StoreConfig {
            url,
            probe_interval: Duration::from_millis(100),
            read_limit: Duration::from_secs(2),
            write_limit: Duration::from_secs(2),
            ..StoreConfig::default()
        };
        let mut policy = config.dependency(DependencyPolicy::default());
        policy.open.max = Duration::from_millis(500);
        Self::start_with(config, policy, data_dir).await
    }

    /// Starts one with all that bounds it.
    pub(super) async fn start_with(
        config: StoreConfig,
        policy: DependencyPolicy,
        data_dir: &Path,
    ) -> Self {
        let db = Db::vacant();
        let database = Dependency::new(DATABASE, policy);
        let mut builder = SystemBuilder::new();
        let address = builder.address::<Store>();
        let handle = Store::handle(address.clone());
        builder.add::<Store>(
            address,
            config,
            Ports {
                db: db.clone(),
                data_dir: data_dir.to_owned(),
                database: database.clone(),
            },
        );
        let system = builder.start().await.expect("a sound tree");
        Self {
            system,
            db,
            handle,
            database,
        }
    }

    pub(super) fn status(&self) -> NodeStatus {
        self.system
            .status(Some("/store"), None)
            .expect("the store is in the tree")
    }

    /// Waits until the status is as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // Right after the start the tree is still empty.
            let status = self.system.status(Some("/store"), None);
            match status {
                Some(status) if wanted(&status) => return status,
                status => assert!(Instant::now() < give_up, "waited in vain: {status:#?}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the store is at that level, for that reason.
    pub(super) async fn at(&self, level: Level, code: Option<&str>) -> NodeStatus {
        let found = |status: &NodeStatus| status.cause.as_ref().map(|cause| cause.code.clone());
        self.until(|status| {
            status.level == level
                && status.state == State::Running
                && found(status).as_deref() == code
        })
        .await
    }

    /// Waits until a start was refused for that reason.
    pub(super) async fn refused(&self, code: &str) -> NodeStatus {
        self.until(|status| {
            status
                .cause
                .as_ref()
                .is_some_and(|cause| cause.code == code)
        })
        .await
    }

    pub(super) async fn insert(&self) -> Result<Id, DbError> {
        let id = Id::generate();
        let sql = "INSERT INTO terminals (id, name, shell, cwd, cols, rows, state, created_at) \
                   VALUES ($1, 'x', '/bin/sh', '/', 80, 24, 'running', $2)";
        self.db.execute(sql, args![id, Micros(1)]).await.map(|_| id)
    }

    pub(super) async fn ids(&self) -> Result<Vec<Id>, DbError> {
        let rows = self
            .db
            .fetch_all::<(Id,)>("SELECT id FROM terminals ORDER BY id LIMIT 1000", args![])
            .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    pub(super) async fn stop(self) {
        let report = timeout(PATIENCE, self.system.stop())
            .await
            .expect("stops in time");
        assert!(report.killed.is_empty(), "{:?}", report.killed);
        assert_eq!(self.db.engine(), None);
    }
}

/// A server of its own, which the test may stop; none where none is installed.
pub(super) async fn own_server() -> Option<Server> {
    match Server::start().await {
        Ok(server) => Some(server),
        Err(reason) => {
            eprintln!("skipped on PostgreSQL: {reason}");
            None
        }
    }
}
