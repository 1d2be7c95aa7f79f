//! How a domain declares itself: facts as data, a face that exists before anything runs, and a start.

use std::future::Future;
use std::sync::Arc;

use crate::address::Address;
use crate::child_spec::ChildSpec;
use crate::core::Order;
use crate::group::join;
use crate::group_start::{Children, GroupLauncher, GroupSource};
use crate::level::Level;
use crate::spec::{Policy, Strategy};
use crate::status::NodeKind;
use crate::worker::StartError;

/// How far a domain's level counts for the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Counts in full.
    P0,
    /// Counts up to CRITICAL.
    P1,
    /// Counts up to DEGRADED.
    P2,
    /// Counts up to DEGRADED.
    P3,
}

impl Priority {
    /// The worst level that the system takes from a domain of this priority.
    pub const fn cap(self) -> Level {
        match self {
            Self::P0 => Level::Offline,
            Self::P1 => Level::Critical,
            Self::P2 | Self::P3 => Level::Degraded,
        }
    }
}

/// Whether a domain can do without another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// It cannot start without it, and its level passes through.
    Hard,
    /// It serves without it; its loss counts up to DEGRADED.
    Soft,
}

impl Strength {
    /// The worst level that passes from the need to its dependent.
    pub const fn cap(self) -> Level {
        match self {
            Self::Hard => Level::Offline,
            Self::Soft => Level::Degraded,
        }
    }
}

/// Another domain that a domain needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The other domain's name.
    pub domain: &'static str,
    /// Whether this one can do without it.
    pub strength: Strength,
}

impl Need {
    /// A need that cannot be done without.
    pub const fn hard(domain: &'static str) -> Self {
        Self {
            domain,
            strength: Strength::Hard,
        }
    }

    /// A need that can be done without.
    pub const fn soft(domain: &'static str) -> Self {
        Self {
            domain,
            strength: Strength::Soft,
        }
    }
}

/// What the user loses at each level, in plain words.
#[derive(Debug, Clone, Copy)]
pub struct Impact {
    /// At DEGRADED.
    pub degraded: &'static str,
    /// At CRITICAL.
    pub critical: &'static str,
    /// At OFFLINE.
    pub offline: &'static str,
}

impl Impact {
    /// The sentence for a level; `None` at NORMAL.
    pub const fn at(&self, level: Level) -> Option<&'static str> {
        match level {
            Level::Normal => None,
            Level::Degraded => Some(self.degraded),
            Level::Critical => Some(self.critical),
            Level::Offline => Some(self.offline),
        }
    }
}

/// The facts of a domain.
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    /// Its name: the first part of its paths, its configuration section, its row in the documents.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How far it counts for the system.
    pub priority: Priority,
    /// What it needs.
    pub needs: &'static [Need],
    /// What the user loses at each level.
    pub impact: Impact,
    /// What serves instead when it does not.
    pub fallback: Option<&'static str>,
    /// Name of the actor behind [`Domain::handle`]'s address.
    pub main_actor: &'static str,
    /// How many requests that actor admits at most.
    pub mailbox_limit: u32,
    /// Prefixes of its HTTP routes.
    pub route_prefixes: &'static [&'static str],
}

/// The surroundings of one start of a domain.
#[derive(Debug)]
pub struct DomainContext<M> {
    address: Address<M>,
    path: Arc<str>,
}

impl<M: Send + 'static> DomainContext<M> {
    /// The address that [`Domain::handle`] was given: put the domain's main actor behind it.
    pub fn address(&self) -> &Address<M> {
        &self.address
    }

    /// The domain's place in the tree, like `/ptys`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The place of a child with this name.
    pub fn child_path(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

/// What a domain's start yields: its children and how their restarts hang together.
#[derive(Debug)]
pub struct Started {
    strategy: Strategy,
    children: Vec<ChildSpec>,
}

impl Started {
    /// Children in start order; each starts when the one before is ready.
    pub fn new(strategy: Strategy, children: Vec<ChildSpec>) -> Self {
        Self { strategy, children }
    }
}

/// A domain: one part of the product with its own actors, behind one handle.
pub trait Domain: Sized + Send + Sync + 'static {
    /// Its facts.
    const MANIFEST: Manifest;
    /// Its configuration.
    type Config: Clone + Send + Sync + 'static;
    /// What it needs from others, as its own small traits or handles.
    type Ports: Clone + Send + Sync + 'static;
    /// Requests of its main actor.
    type Msg: Send + 'static;
    /// Its public face.
    type Handle: Clone;

    /// The face of the domain. Exists before anything runs, so that wiring order is free.
    fn handle(address: Address<Self::Msg>) -> Self::Handle;

    /// Says which children the domain has. Called at each start of the domain; slow work belongs into the children's
    /// own starts.
    ///
    /// # Errors
    /// [`StartError`] decides between backoff and quarantine.
    fn start(
        cx: DomainContext<Self::Msg>,
        config: Self::Config,
        ports: Self::Ports,
    ) -> impl Future<Output = Result<Started, StartError>> + Send;
}

/// The vacant address of a domain's main actor.
pub(crate) fn main_address<D: Domain>() -> Address<D::Msg> {
    let manifest = D::MANIFEST;
    Address::vacant(
        format!("/{}/{}", manifest.name, manifest.main_actor),
        manifest.mailbox_limit,
    )
}

/// The spec of a domain as a child of the root.
pub(crate) fn domain_spec<D: Domain>(
    manifest: &'static Manifest,
    address: Address<D::Msg>,
    config: D::Config,
    ports: D::Ports,
    policy: Policy,
) -> ChildSpec {
    let source = GroupSource::Started(Arc::new(move |path| {
        let cx = DomainContext {
            address: address.clone(),
            path,
        };
        let starting = D::start(cx, config.clone(), ports.clone());
        Box::pin(async move {
            let started = starting.await?;
            Ok(Children {
                strategy: started.strategy,
                order: Order::Sequence,
                specs: started.children,
            })
        })
    }));
    ChildSpec {
        name: manifest.name.to_owned(),
        policy,
        launcher: Arc::new(GroupLauncher::new(NodeKind::Domain, source)),
        manifest: Some(manifest),
    }
}
