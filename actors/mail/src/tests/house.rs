//! A house with nothing in it but this domain, and the few things that every story needs.

use ::store::testing::Foundation;
use std::path::PathBuf;
use std::time::Duration;

use ::store::testing::Folder;
use ground::mail::{Mail, enqueue};
use ground::{Db, DbError, Micros, PageRequest, Secret};
use kit::smtp::Sink;
use supervisor::{Backoff, Dependency, DependencyPolicy, Domain, Level, System, SystemBuilder};

use crate::*;

/// One daemon, as far as mails are concerned.
pub(super) struct House {
    pub(super) system: System,
    pub(super) mail: MailHandle,
    pub(super) smtp: Dependency,
    pub(super) folder: Folder,
    db: Db,
}

impl House {
    pub(super) async fn with(db: &Db, config: MailConfig) -> Self {
        let folder = Folder::fresh();
        let mut builder = SystemBuilder::new();
        let foundation = builder.address::<Foundation>();
        builder.add::<Foundation>(foundation, (), ());
        let address = builder.address::<Outgoing>();
        let mail = Outgoing::handle(address.clone());
        let quick = DependencyPolicy {
            open: Backoff {
                first: Duration::from_millis(50),
                max: Duration::from_millis(200),
            },
            ..config.dependency(DependencyPolicy::default())
        };
        let smtp = Dependency::new(SMTP, quick);
        let ports = Ports {
            db: db.clone(),
            data_dir: folder.path().to_owned(),
            smtp: smtp.clone(),
        };
        builder.add::<Outgoing>(address, config, ports);
        let system = builder.start().await.expect("a sound tree");
        system.ready().await;
        Self {
            system,
            mail,
            smtp,
            folder,
            db: db.clone(),
        }
    }

    /// What the queue tells of the only mail.
    pub(super) async fn only(&self) -> QueuedMail {
        let listed = self
            .mail
            .list(PageRequest::default())
            .await
            .expect("a list");
        let [only] = <[QueuedMail; 1]>::try_from(listed.items).expect("one mail");
        only
    }

    /// Waits until the only mail has this state.
    pub(super) async fn only_is(&self, state: MailState) -> QueuedMail {
        kit::eventually(kit::PATIENCE, async || {
            let only = self.only().await;
            if only.state == state {
                Ok(only)
            } else {
                Err(format!("{only:?} becomes {state}"))
            }
        })
        .await
    }

    /// Waits until what went wrong last with the only mail has this code.
    pub(super) async fn only_says(&self, code: &str) -> QueuedMail {
        kit::eventually(kit::PATIENCE, async || {
            let only = self.only().await;
            if only.last_code.as_deref() == Some(code) {
                Ok(only)
            } else {
                Err(format!("{only:?} says {code}"))
            }
        })
        .await
    }

    /// Waits until a node has this level.
    pub(super) async fn has_level(&self, path: &str, level: Level) {
        kit::eventually(kit::PATIENCE, async || {
            let status = self.system.status(Some(path), Some(0)).expect("a node");
            if status.level == level {
                Ok(())
            } else {
                Err(format!("{path} is {level:?}; it is {:?}", status.level))
            }
        })
        .await;
    }

    pub(super) async fn post(&self, to: &str, text: &str) {
        post(&self.db, to, text).await.expect("queued");
    }

    pub(super) async fn stop(self) {
        let report = self.system.stop().await;
        assert!(report.killed.is_empty(), "{report:?}");
    }
}

/// Puts a mail into the queue, wanted for an hour.
pub(super) async fn post(db: &Db, to: &str, text: &str) -> Result<(), DbError> {
    post_until(db, to, text, Micros::now() + Duration::from_hours(1)).await
}

/// Puts a mail into the queue.
pub(super) async fn post_until(
    db: &Db,
    to: &str,
    text: &str,
    not_after: Micros,
) -> Result<(), DbError> {
    let mail = Mail::new(to, "Grüße", text, "test.mail", not_after).expect("sound");
    db.write(async move |tx| enqueue(tx, &mail).await).await
}

/// A configuration that leads to a server, under which nobody waits long.
pub(super) fn leading_to(sink: &Sink, tls: TlsMode) -> MailConfig {
    MailConfig {
        smtp_host: Some("localhost".to_owned()),
        smtp_port: Some(sink.address().port()),
        tls,
        ca_file: Some(sink.certificate_file()),
        from: Some("Mainstay <mainstay@example.org>".to_owned()),
        ..quick()
    }
}

/// A configuration without a server, under which nobody waits long.
pub(super) fn quick() -> MailConfig {
    MailConfig {
        max_per_second: 1_000,
        retry_first: Duration::from_millis(20),
        retry_max: Duration::from_millis(100),
        ..MailConfig::default()
    }
}

/// The same with somebody who signs in.
pub(super) fn signing_in(config: MailConfig, name: &str, password: &str) -> MailConfig {
    MailConfig {
        username: Some(name.to_owned()),
        password: Secret::new(password),
        ..config
    }
}

/// The mails in the outbox of a data directory, as far as they are written out.
pub(super) fn outbox_of(folder: &Folder) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.path().join("outbox")) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_whole = |path: &PathBuf| path.extension().is_some_and(|found| found == "eml");
    let mut paths: Vec<_> = paths.filter(is_whole).collect();
    paths.sort();
    paths
}
