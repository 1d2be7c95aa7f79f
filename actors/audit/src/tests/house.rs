//! A house with nothing in it but this domain.

use ::store::testing::Foundation;
pub(super) use ::store::testing::{Pulled, eventually};

use ground::Db;
use supervisor::{Action, Domain, System, SystemBuilder};

use crate::*;

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
