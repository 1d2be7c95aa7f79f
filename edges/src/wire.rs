//! The wiring: which domains there are, and what each is given. One visible list; a new domain is a few lines here.
//!
//! Handles exist before anything runs, so the order of the lines is free (but that whoever asks what others keep of people comes after
//! them): the supervisor starts by the graph of needs.

mod adapters;

use std::sync::Arc;

use accounts::{Accounts, AccountsHandle, Issuers};
use audit::{Audit, AuditHandle};
use ground::Db;
use idempotency::{Idempotency, IdempotencyHandle};
use ledger::{Ledger, LedgerHandle};
use mail::{MailHandle, Outgoing};
use ptys::{DaemonEnvironment, Ptys, PtysHandle};
use store::Store;
use supervisor::System;
use tokio::time::Instant;

use crate::cli::{UpOptions, version};
use crate::config::{self, Settings};
use crate::drills::Drills;
use crate::house::House;
use crate::http::{About, AppState, Drain, Limits, Listeners, Parts, Server, router};
use crate::master_key;
use crate::reload::LiveEdge;

pub(crate) use adapters::TreeHistory;

/// The handles that the edge serves.
#[derive(Clone)]
pub struct Handles {
    /// The tree.
    pub system: System,
    /// Tokens.
    pub accounts: AccountsHandle,
    /// What people did.
    pub audit: AuditHandle,
    /// Requests that are done once.
    pub idempotency: IdempotencyHandle,
    /// What happened.
    pub ledger: LedgerHandle,
    /// Outgoing mail.
    pub mail: MailHandle,
    /// Terminals.
    pub ptys: PtysHandle,
    /// Fault drills.
    pub drills: Drills,
}

/// The domains with their handles, before anything runs.
pub(crate) struct Wired {
    house: House,
    accounts: AccountsHandle,
    audit: AuditHandle,
    idempotency: IdempotencyHandle,
    ledger: LedgerHandle,
    history: TreeHistory,
    mail: MailHandle,
    ptys: PtysHandle,
}

/// Wires all domains. `own_origin` is where a browser on this machine finds the daemon, if none elsewhere does.
///
/// # Errors
/// When the command line selects a domain that does not exist, or leaves out one that another cannot do without.
pub(crate) fn wire(
    settings: &Settings,
    options: &UpOptions,
    own_origin: Option<String>,
) -> anyhow::Result<Wired> {
    let mut house = House::new(options);
    let db = Db::vacant();

    let (address, _store) = house.domain::<Store>();
    let ports = store::Ports {
        db: db.clone(),
        data_dir: options.data_dir.clone(),
        database: (settings.dependencies)
            .dependency(store::DATABASE, |base| settings.store.dependency(base)),
    };
    house.add::<Store>(address, settings.store.clone(), ports);

    let (address, audit) = house.domain::<Audit>();
    let (audit, ports) = audit.ports(db.clone());
    house.add::<Audit>(address, settings.audit.clone(), ports);

    let (address, idempotency) = house.domain::<Idempotency>();
    let ports = idempotency::Ports { db: db.clone() };
    house.add::<Idempotency>(address, settings.idempotency.clone(), ports);

    let (address, ledger) = house.domain::<Ledger>();
    let history = TreeHistory::default();
    let ports = ledger.ports(db.clone(), Arc::new(history.clone()));
    house.add::<Ledger>(address, settings.ledger.clone(), ports);

    let (address, mail) = house.domain::<Outgoing>();
    let ports = mail::Ports {
        db: db.clone(),
        data_dir: options.data_dir.clone(),
        smtp: (settings.dependencies).dependency(mail::SMTP, |base| settings.mail.dependency(base)),
    };
    house.add::<Outgoing>(address, settings.mail.clone(), ports);

    let (address, ptys) = house.domain::<Ptys>();
    let environment = DaemonEnvironment::new(config::environment());
    house.add::<Ptys>(
        address,
        settings.ptys.clone(),
        ptys::Ports::new(db.clone(), environment),
    );

    let (address, accounts) = house.domain::<Accounts>();
    let issuers = Issuers::new(&settings.accounts.issuers, |path, tune| {
        settings.dependencies.dependency(path, tune)
    });
    let personal = adapters::personal_data(&house, &db, &options.data_dir, &ptys);
    let sealer = master_key::sealer(&settings.secrets, &options.data_dir);
    let ports = accounts.ports(db).with_sealer(sealer);
    let ports = ports
        .with_issuers(issuers)
        .with_own_origin(own_origin)
        .with_personal_data(personal);
    house.add::<Accounts>(address, settings.accounts.clone(), ports);

    house.check()?;
    Ok(Wired {
        house,
        accounts,
        audit,
        idempotency,
        ledger,
        history,
        mail,
        ptys,
    })
}

impl Wired {
    /// Starts the tree.
    pub(crate) async fn start(&mut self) -> anyhow::Result<System> {
        let system = self.house.start().await?;
        self.history.begin(system.clone());
        Ok(system)
    }

    /// Serves the API on `listeners`; answers as the domains come up.
    pub(crate) fn serve(
        &self,
        settings: &Settings,
        system: &System,
        listeners: Listeners,
        started: Instant,
    ) -> std::io::Result<(Server, LiveEdge)> {
        let requires_second_factor = settings.accounts.require_second_factor;
        let limits = Limits::of(&settings.http, &settings.limits, requires_second_factor);
        let drain = Drain::new();
        let state = AppState::new(Parts {
            handles: Handles {
                system: system.clone(),
                accounts: self.accounts.clone(),
                audit: self.audit.clone(),
                idempotency: self.idempotency.clone(),
                ledger: self.ledger.clone(),
                mail: self.mail.clone(),
                ptys: self.ptys.clone(),
                drills: Drills::new(settings.drills.enabled, system.clone()),
            },
            is_loopback_only: listeners.address().ip().is_loopback(),
            tls: listeners.tls().cloned(),
            limits: limits.clone(),
            drain: drain.clone(),
            about: about(self.house.names()),
            started,
        });
        let gauges = state.listening.clone();
        let live = LiveEdge {
            rates: Arc::clone(&state.rates),
            tls: state.tls.clone(),
        };
        let server = Server::start(listeners, router(&state), &limits, drain, gauges)?;
        Ok((server, live))
    }

    /// Puts on record what the daemon did by itself; what cannot be stored at once waits in memory.
    pub(crate) async fn recorded(&self, entry: ground::audit::Entry) {
        if let Err(error) = self.audit.record(entry).await {
            tracing::warn!(%error, "what the daemon did is not on record");
        }
    }

    /// Tells a new user how to get in: a setup token as long as there is no owner, and a hint as long as nobody has a token.
    pub(crate) async fn greet(&self) {
        match self.accounts.people().prepare_setup().await {
            Ok(Some(token)) => crate::cli::hint(&format!("setup token: {}", token.expose())),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "no setup token was made; the next start makes one, and `mainstay user add` needs none");
            }
        }
        if let Ok(false) = self.accounts.has_tokens().await {
            crate::cli::hint(
                "nobody can sign in over the network yet: `mainstay token create` makes a token",
            );
        }
    }
}

fn about(domains: Vec<String>) -> About {
    About {
        name: "mainstay",
        version: version::VERSION,
        commit: version::commit(),
        built_at: Some(version::BUILT_AT),
        domains,
    }
}
