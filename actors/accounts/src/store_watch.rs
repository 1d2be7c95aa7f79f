//! Whether the database is there, and the report about it.
//!
//! Two things tell that it is not: the empty handle (looked at on every tick, so that the loss shows without any request)
//! and a statement that failed. One statement alone proves little (a connection may just have been closed), so it only
//! makes the database suspected; the next tick asks it a plain question and believes the answer.

use std::sync::atomic::{AtomicBool, Ordering};

use ground::Db;
use supervisor::{Condition, Context, Level};

use crate::error::AccountsError;
use crate::messages::ManagerMsg;

/// The code of the report.
pub(crate) const STORE_LOST: &str = "accounts.store_lost";

/// What the user loses by it; the same words wherever it is noticed first.
pub(crate) const LOST_IMPACT: &str = "nobody can sign in, no token can be created or revoked, and tokens not used recently are refused";
/// What serves instead.
pub(crate) const LOST_FALLBACK: &str = "tokens and sessions used recently go on working";

/// What is known of the database.
#[derive(Debug, Default)]
pub(crate) struct StoreWatch {
    is_lost: AtomicBool,
    is_suspected: AtomicBool,
}

impl StoreWatch {
    /// Whether the database is known to be away.
    pub(crate) fn is_lost(&self, db: &Db) -> bool {
        db.engine().is_none() || self.is_lost.load(Ordering::Acquire)
    }

    /// Whether it should be asked a plain question now. Notices an empty handle.
    pub(crate) fn is_question_due(&self, db: &Db, cx: &Context<ManagerMsg>) -> bool {
        if db.engine().is_none() {
            self.lose(cx);
            return false;
        }
        self.is_lost(db) || self.is_suspected.load(Ordering::Acquire)
    }

    /// Draws its conclusion from what a statement came back with.
    pub(crate) fn hear<T>(
        &self,
        result: &Result<T, AccountsError>,
        db: &Db,
        cx: &Context<ManagerMsg>,
    ) {
        match result {
            Ok(_) => self.recover(db, cx),
            Err(AccountsError::StoreLost { .. }) if db.engine().is_none() => self.lose(cx),
            Err(AccountsError::StoreLost { .. }) => {
                self.is_suspected.store(true, Ordering::Release);
            }
            Err(_) => {}
        }
    }

    /// Believes the answer to the plain question.
    pub(crate) fn believe<T>(
        &self,
        answer: &Result<T, AccountsError>,
        db: &Db,
        cx: &Context<ManagerMsg>,
    ) {
        match answer {
            Ok(_) => self.recover(db, cx),
            Err(AccountsError::StoreLost { .. }) => self.lose(cx),
            Err(_) => {}
        }
    }

    fn lose(&self, cx: &Context<ManagerMsg>) {
        if self.is_lost.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!("the database is away: remembered tokens go on working");
        let message = "the database is not available, so tokens cannot be looked up";
        let condition = Condition::new(Level::Critical, STORE_LOST, message)
            .with_impact(LOST_IMPACT)
            .with_fallback(LOST_FALLBACK)
            .with_root("/store");
        cx.report(condition);
    }

    /// An answer that was under way when the database went does not prove that it is there.
    fn recover(&self, db: &Db, cx: &Context<ManagerMsg>) {
        if db.engine().is_none() {
            return;
        }
        self.is_suspected.store(false, Ordering::Release);
        if self.is_lost.swap(false, Ordering::AcqRel) {
            tracing::info!("the database is back");
            cx.clear();
        }
    }
}
