//! A house with nothing in it but this domain, and the few things that every story needs.

use ground::audit::By;
use std::sync::Arc;
use std::time::Duration;

use ground::db::Backend;
use ground::sealed::MasterKey;
use ground::{Db, Id, Sealer, Secret};
use supervisor::{
    Address, Domain, DomainContext, Impact, Level, Manifest, Priority, StartError, Started,
    Strategy, System, SystemBuilder,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::*;

/// Stands where the store is: the tests hold the database themselves.
pub(super) struct Foundation;

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

/// One daemon, as far as tokens are concerned.
pub(crate) struct House {
    pub(crate) system: System,
    pub(crate) accounts: AccountsHandle,
    pub(crate) db: Db,
}

impl House {
    pub(super) async fn new(db: &Db) -> Self {
        Self::with(db, quick()).await
    }

    /// One that has a master key.
    pub(crate) async fn sealing(db: &Db, sealer: Sealer) -> Self {
        Self::build(db, quick(), sealer).await
    }

    pub(super) async fn with(db: &Db, config: Config) -> Self {
        let key = MasterKey::generate().expect("randomness");
        Self::build(db, config, Sealer::new(key, Vec::new())).await
    }

    async fn build(db: &Db, config: Config, sealer: Sealer) -> Self {
        let mut builder = SystemBuilder::new();
        let foundation = builder.address::<Foundation>();
        builder.add::<Foundation>(foundation, (), ());
        let address = builder.address::<Accounts>();
        let accounts = Accounts::handle(address.clone());
        builder.add::<Accounts>(
            address,
            config,
            accounts.ports(db.clone()).with_sealer(sealer),
        );
        let system = builder.start().await.expect("a sound tree");
        system.ready().await;
        Self {
            system,
            accounts,
            db: db.clone(),
        }
    }

    /// A token with all rights.
    pub(super) async fn token(&self) -> (TokenInfo, Secret) {
        let created = self
            .accounts
            .create(NewToken::default(), By::system())
            .await;
        created.expect("a token")
    }

    pub(super) async fn verify(&self, secret: &Secret) -> Result<Identity, AccountsError> {
        self.accounts.verify(secret.expose()).await
    }

    /// What the list tells of a token.
    pub(super) async fn told(&self, id: Id) -> TokenInfo {
        let all = self
            .accounts
            .list(ground::PageRequest::default(), None)
            .await;
        let mut items = all.expect("a list").items.into_iter();
        items.find(|token| token.id == id).expect("in the list")
    }

    pub(super) fn level(&self) -> Level {
        let status = self.system.status(Some("/accounts"), Some(0));
        status.expect("a domain").level
    }

    pub(crate) async fn stop(self) {
        let report = self.system.stop().await;
        assert!(report.killed.is_empty(), "{report:?}");
    }
}

/// A configuration under which nobody waits long.
pub(super) fn quick() -> Config {
    Config {
        recheck_after: Duration::from_millis(100),
        ..Config::default()
    }
}

/// A well-formed token that was never given out.
pub(super) fn made_up(number: u8) -> Secret {
    crate::token::make(&mut [number; 32])
}

/// Waits until `check` holds.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
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
