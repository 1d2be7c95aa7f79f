//! A house with nothing in it but this domain.

use std::sync::Arc;
use std::time::Duration;

use ground::Db;
use ground::db::Backend;
use supervisor::{
    Action, Address, Domain, DomainContext, Impact, Manifest, Priority, StartError, Started,
    Strategy, System, SystemBuilder,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::*;

/// Stands where the store is: the tests hold the database themselves.
struct Foundation;

impl Domain for Foundation {
    const MANIFEST: Manifest = Manifest {
        name: "store",
        title: "a store that does nothing",
        priority: Priority::P0,
        needs: &[],
        impact: Impact {
            degraded: "",
            critical: "",
            offline: "",
        },
        fallback: None,
        main_actor: "none",
        mailbox_limit: 1,
        route_prefixes: &[],
    };

    type Config = ();
    type Ports = ();
    type Msg = ();
    type Handle = ();

    fn handle(_address: Address<()>) {}

    async fn start(_cx: DomainContext<()>, _config: (), _ports: ()) -> Result<Started, StartError> {
        Ok(Started::new(Strategy::OneForOne, Vec::new()))
    }
}

/// One daemon, as far as the audit is concerned.
pub(super) struct House {
    pub(super) system: System,
    pub(super) audit: AuditHandle,
}

impl House {
    pub(super) async fn new(db: &Db, config: Config) -> Self {
        let mut builder = SystemBuilder::new();
        let foundation = builder.address::<Foundation>();
        builder.add::<Foundation>(foundation, (), ());
        let address = builder.address::<Audit>();
        let (audit, ports) = Audit::handle(address.clone()).ports(db.clone());
        builder.add::<Audit>(address, config, ports);
        let system = builder.start().await.expect("a sound tree");
        system.ready().await;
        Self { system, audit }
    }

    pub(super) fn act(&self, action: Action) {
        self.system.act("/audit/writer", action).expect("it obeys");
    }

    pub(super) async fn stop(self) {
        let report = self.system.stop().await;
        assert!(report.killed.is_empty(), "{report:?}");
    }
}

/// Waits until `check` holds.
pub(super) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut beat = interval(Duration::from_millis(2));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !check().await {
        assert!(Instant::now() < deadline, "never came true: {what}");
        beat.tick().await;
    }
}

/// The database, pulled out of its handle.
pub(super) struct Pulled(Arc<Backend>);

impl Pulled {
    pub(super) fn out_of(db: &Db) -> Self {
        Self(db.vacate(Duration::from_millis(700)).expect("a database"))
    }

    pub(super) async fn back_into(self, db: &Db) {
        // Whoever began a statement before still holds it.
        eventually("nobody uses the database", async || {
            Arc::strong_count(&self.0) == 1
        })
        .await;
        db.install(Arc::into_inner(self.0).expect("nobody else holds it"));
    }
}
