//! What domains need of one another and of the supervisor, filled in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use accounts::{Person, PersonalData};
use futures::future::{BoxFuture, ready};
use ground::db::Conn;
use ground::{Db, DbError};
use ledger::{Order, Recent};
use ptys::{Ptys, PtysHandle};
use serde::Serialize;
use serde_json::Value;
use supervisor::{Fault, StatusEvent, System};
use tokio::sync::SetOnce;

use crate::house::House;
use crate::http::caller_of_user;

/// The tree's memory of what happened. Handed out before there is a tree: until then nothing has happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct TreeHistory(Arc<SetOnce<System>>);

impl TreeHistory {
    /// The tree has started. What is said a second time is not heard.
    pub(crate) fn begin(&self, system: System) {
        drop(self.0.set(system));
    }
}

impl Recent for TreeHistory {
    fn run(&self) -> Option<u64> {
        self.0.get().map(System::event_origin)
    }

    fn after(&self, id: u64, limit: usize) -> Vec<StatusEvent> {
        let system = self.0.get();
        system.map_or_else(Vec::new, |system| system.events(Some(id), None, limit))
    }

    fn select(
        &self,
        order: Order,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent> {
        let newest_first = order == Order::NewestFirst;
        let system = self.0.get();
        system.map_or_else(Vec::new, |system| {
            system.events_where(newest_first, limit, wanted)
        })
    }

    fn reached(&self, id: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.0.wait().await.event_reached(id).await })
    }
}

/// What all domains but accounts keep of people. A new domain that keeps something is one line here, and a row in
/// `docs/personal_data.md`.
pub(crate) fn personal_data(
    house: &House,
    db: &Db,
    data_dir: &Path,
    ptys: &PtysHandle,
) -> Vec<Arc<dyn PersonalData>> {
    let (db, data_dir) = (db.clone(), data_dir.to_owned());
    let ptys = house.runs::<Ptys>().then(|| ptys.clone());
    vec![
        Arc::new(Terminals(db.clone(), ptys)),
        Arc::new(Mails(db.clone(), data_dir)),
        Arc::new(Requests(db.clone())),
        Arc::new(Entries(db)),
    ]
}

type Exported<'a> = BoxFuture<'a, Result<Value, DbError>>;
type Closed<'a> = BoxFuture<'a, Result<(), Arc<dyn Fault>>>;
type Erased<'a> = BoxFuture<'a, Result<(), DbError>>;

fn told(rows: &impl Serialize) -> Result<Value, DbError> {
    serde_json::to_value(rows).map_err(DbError::failed)
}

/// Terminals and their records. Without the domain nothing runs, and there may be records all the same.
#[derive(Debug)]
struct Terminals(Db, Option<PtysHandle>);

impl PersonalData for Terminals {
    fn name(&self) -> &'static str {
        "terminals"
    }

    fn export<'a>(&'a self, person: &'a Person) -> Exported<'a> {
        Box::pin(async { told(&ptys::personal::terminals_of(&self.0, person.id).await?) })
    }

    fn close<'a>(&'a self, person: &'a Person) -> Closed<'a> {
        Box::pin(async {
            let Some(ptys) = &self.1 else { return Ok(()) };
            let ended = ptys.end_all(person.id).await;
            ended.map_err(|error| -> Arc<dyn Fault> { Arc::new(error) })
        })
    }

    fn erase<'a>(&'a self, tx: &'a mut Conn, person: &'a Person) -> Erased<'a> {
        Box::pin(ptys::personal::remove_of(tx, person.id))
    }
}

/// Mails: in the queue, and in the outbox of the data directory.
#[derive(Debug)]
struct Mails(Db, PathBuf);

impl PersonalData for Mails {
    fn name(&self) -> &'static str {
        "mails"
    }

    fn export<'a>(&'a self, person: &'a Person) -> Exported<'a> {
        Box::pin(async {
            told(&mail::personal::mails_of(&self.0, person.id, &person.email).await?)
        })
    }

    fn close<'a>(&'a self, person: &'a Person) -> Closed<'a> {
        Box::pin(async {
            let emptied = mail::personal::empty_outbox(&self.0, &self.1, person.id, &person.email);
            let emptied = emptied.await.map_err(mail::MailError::from);
            emptied.map_err(|error| -> Arc<dyn Fault> { Arc::new(error) })
        })
    }

    fn erase<'a>(&'a self, tx: &'a mut Conn, person: &'a Person) -> Erased<'a> {
        Box::pin(mail::personal::remove_of(tx, person.id, &person.email))
    }
}

/// Requests with an `Idempotency-Key`.
#[derive(Debug)]
struct Requests(Db);

impl PersonalData for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn export<'a>(&'a self, person: &'a Person) -> Exported<'a> {
        let caller = caller_of_user(person.id);
        Box::pin(async move { told(&idempotency::personal::requests_of(&self.0, &caller).await?) })
    }

    fn close<'a>(&'a self, _person: &'a Person) -> Closed<'a> {
        Box::pin(ready(Ok(())))
    }

    fn erase<'a>(&'a self, tx: &'a mut Conn, person: &'a Person) -> Erased<'a> {
        let caller = caller_of_user(person.id);
        Box::pin(async move { idempotency::personal::remove_of(tx, &caller).await })
    }
}

/// Entries of the audit, which stay and name only ids.
#[derive(Debug)]
struct Entries(Db);

impl PersonalData for Entries {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn export<'a>(&'a self, person: &'a Person) -> Exported<'a> {
        Box::pin(async { told(&audit::personal::entries_of(&self.0, person.id).await?) })
    }

    fn close<'a>(&'a self, _person: &'a Person) -> Closed<'a> {
        Box::pin(ready(Ok(())))
    }

    fn erase<'a>(&'a self, _tx: &'a mut Conn, _person: &'a Person) -> Erased<'a> {
        Box::pin(ready(Ok(())))
    }
}
