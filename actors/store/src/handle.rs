//! The face of the store for edges: health and figures. Data goes through [`ground::Db`] instead.

use supervisor::Address;

use crate::error::RequestError;
use crate::messages::{Msg, StoreMsg};
use crate::types::{Probe, Stats};

/// Asks the store about itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    address: Address<StoreMsg>,
}

impl StoreHandle {
    pub(crate) fn new(address: Address<StoreMsg>) -> Self {
        Self { address }
    }

    /// Reads and writes a little, and tells how long that took.
    ///
    /// # Errors
    /// [`RequestError`] when the store is down or the database does not do it.
    pub async fn probe(&self) -> Result<Probe, RequestError> {
        Ok(self
            .address
            .ask(|reply| StoreMsg(Msg::Probe { reply }))
            .await??)
    }

    /// Figures about the database.
    ///
    /// # Errors
    /// [`RequestError`] when the store is down or the database does not answer.
    pub async fn stats(&self) -> Result<Stats, RequestError> {
        Ok(self
            .address
            .ask(|reply| StoreMsg(Msg::Stats { reply }))
            .await??)
    }
}
