//! A house with nothing in it but this domain, and the few things that every story needs.

use ::store::testing::Foundation;
pub(super) use ::store::testing::Pulled;
pub(crate) use ::store::testing::eventually;
use ground::audit::By;
use std::time::Duration;

use ground::sealed::MasterKey;
use ground::{Db, Id, Sealer, Secret};
use supervisor::{Domain, Level, System, SystemBuilder};

use crate::*;

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

    pub(crate) async fn with(db: &Db, config: Config) -> Self {
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
pub(crate) fn quick() -> Config {
    Config {
        recheck_after: Duration::from_millis(100),
        ..Config::default()
    }
}

/// A well-formed token that was never given out.
pub(super) fn made_up(number: u8) -> Secret {
    crate::token::make(&mut [number; 32])
}
