//! A child as its supervisor's author writes it down: name, policy, how it is launched, what it needs.

use std::sync::Arc;

use crate::address::Address;
use crate::core::Order;
use crate::domain::Manifest;
use crate::group_start::{GroupLauncher, GroupSource};
use crate::keyed::Keyed;
use crate::launch::{Launcher, WorkerLauncher};
use crate::spec::{Policy, Strategy};
use crate::status::NodeKind;
use crate::worker::Worker;

/// One child of a supervisor.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) manifest: Option<&'static Manifest>,
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// A worker behind `address`; every incarnation is built from `seed`. The last part of the address's path should be
    /// `name`.
    pub fn actor<W: Worker>(
        name: impl Into<String>,
        address: Address<W::Msg>,
        seed: W::Seed,
        policy: Policy,
    ) -> Self {
        let launcher: WorkerLauncher<W> = WorkerLauncher {
            address,
            seed,
            handler_limit: policy.handler_limit,
        };
        Self {
            name: name.into(),
            policy,
            launcher: Arc::new(launcher),
            manifest: None,
        }
    }

    /// A supervisor of its own. Its children start one after the other, each when the one before is ready.
    pub fn group(
        name: impl Into<String>,
        strategy: Strategy,
        children: Vec<ChildSpec>,
        policy: Policy,
    ) -> Self {
        let source = GroupSource::Fixed {
            strategy,
            order: Order::Sequence,
            specs: children.into(),
        };
        Self {
            name: name.into(),
            policy,
            launcher: Arc::new(GroupLauncher::new(NodeKind::Group, source)),
            manifest: None,
        }
    }

    /// A supervisor of children that come and go by key.
    pub fn keyed<K, W>(name: impl Into<String>, keyed: &Keyed<K, W>, policy: Policy) -> Self
    where
        K: crate::keyed::Key,
        W: Worker,
    {
        Self {
            name: name.into(),
            policy,
            launcher: keyed.launcher(),
            manifest: None,
        }
    }
}
