//! A house with nothing in it but this domain.

use ::store::testing::Foundation;
pub(super) use ::store::testing::{Pulled, eventually};

use ground::Db;
use supervisor::{Domain, System, SystemBuilder};

use crate::*;

/// One daemon, as far as keys are concerned.
pub(super) struct House {
    pub(super) system: System,
    pub(super) keys: IdempotencyHandle,
}

impl House {
    pub(super) async fn new(db: &Db, config: Config) -> Self {
        let mut builder = SystemBuilder::new();
        let foundation = builder.address::<Foundation>();
        builder.add::<Foundation>(foundation, (), ());
        let address = builder.address::<Idempotency>();
        let keys = Idempotency::handle(address.clone());
        let ports = Ports { db: db.clone() };
        builder.add::<Idempotency>(address, config, ports);
        let system = builder.start().await.expect("a sound tree");
        system.ready().await;
        Self { system, keys }
    }

    pub(super) async fn stop(self) {
        let report = self.system.stop().await;
        assert!(report.killed.is_empty(), "{report:?}");
    }
}
