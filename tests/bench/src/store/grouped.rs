//! Our side: the handle that every domain writes through, and behind it the one writer whose commits are shared.

use anyhow::Result;
use ground::db::Engine;
use ground::{Db, Id, args};

use super::rows::{BODY, INSERT, POSTGRES_TABLE, SQLITE_TABLE, Taker};

/// The store's handle, with the table in place.
#[derive(Clone)]
pub(crate) struct Grouped {
    db: Db,
}

impl Grouped {
    /// Makes the table.
    pub(crate) async fn prepare(db: &Db) -> Result<Self> {
        let table = match db.engine() {
            Some(Engine::Postgres) => POSTGRES_TABLE,
            _ => SQLITE_TABLE,
        };
        db.execute(table, args![]).await?;
        Ok(Self { db: db.clone() })
    }
}

impl Taker for Grouped {
    async fn put(&self) -> Result<()> {
        self.db.execute(INSERT, args![Id::generate(), BODY]).await?;
        Ok(())
    }
}
