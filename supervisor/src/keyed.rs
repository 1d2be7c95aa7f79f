//! Children by key: thousands of sessions, terminals, repositories, looked up without a lock on the hot path.

use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::oneshot;

use crate::address::Address;
use crate::child_spec::ChildSpec;
use crate::core::Order;
use crate::end::End;
use crate::fault::{Fault, FaultKind};
use crate::group::{GroupMsg, join};
use crate::group_start::{GroupLauncher, GroupSource};
use crate::inbox::GroupRef;
use crate::launch::{Call, Launcher, Launching, Mailbox, WorkerLauncher};
use crate::spec::{Policy, Strategy};
use crate::status::NodeKind;
use crate::worker::Worker;

/// What can name a child. Its text becomes the last part of the child's path, so it must not hold a slash.
pub trait Key: Hash + Eq + Clone + Display + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Display + Send + Sync + 'static> Key for T {}

/// Why a keyed child could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// There are as many as are allowed.
    #[error("{path} has its {max} children already")]
    Full {
        /// The group.
        path: Arc<str>,
        /// Children at most.
        max: usize,
    },
    /// A child with this key is there already.
    #[error("{path} exists already")]
    Exists {
        /// The child.
        path: String,
    },
    /// The supervisor of these children is down.
    #[error("{path} is down")]
    Down {
        /// The group.
        path: Arc<str>,
    },
    /// The child's start failed.
    #[error("{message}")]
    Failed {
        /// Stable code of the child's start error.
        code: String,
        /// What is wrong.
        message: String,
    },
}

impl Fault for OpenError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Full { .. } => FaultKind::Limited,
            Self::Exists { .. } => FaultKind::Conflict,
            Self::Down { .. } | Self::Failed { .. } => FaultKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "supervisor.full",
            Self::Exists { .. } => "supervisor.exists",
            Self::Down { .. } => "supervisor.down",
            Self::Failed { .. } => "supervisor.start_failed",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Full { max, .. } => format!("there are {max} already; end one first"),
            Self::Exists { .. } => "it exists already".to_owned(),
            Self::Down { path } => {
                format!("{path} is not available at the moment; try again later")
            }
            Self::Failed { .. } => "it could not be started; the status tells why".to_owned(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        matches!(self, Self::Down { .. }).then_some(std::time::Duration::from_secs(1))
    }
}

struct Inner<K: Key, W: Worker> {
    path: Arc<str>,
    policy: Policy,
    mailbox_limit: u32,
    max_children: usize,
    children: DashMap<K, Address<W::Msg>>,
    /// As many as there are children or places for them: the map itself would lock all of its parts to tell.
    count: AtomicUsize,
    group: ArcSwapOption<GroupRef>,
}

impl<K: Key, W: Worker> Inner<K, W> {
    /// Takes this very entry out.
    fn forget(&self, key: &K, address: &Address<W::Msg>) {
        let removed = self
            .children
            .remove_if(key, |_, other| other.is_same(address));
        if removed.is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn clear(&self) {
        self.children.retain(|_, _| {
            self.count.fetch_sub(1, Ordering::AcqRel);
            false
        });
    }
}

/// A directory of keyed children and the supervisor behind it. Cheap to clone.
pub struct Keyed<K: Key, W: Worker> {
    inner: Arc<Inner<K, W>>,
}

impl<K: Key, W: Worker> Clone for Keyed<K, W> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: Key, W: Worker> std::fmt::Debug for Keyed<K, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed")
            .field("path", &self.inner.path)
            .field("children", &self.inner.children.len())
            .finish_non_exhaustive()
    }
}

impl<K: Key, W: Worker> Keyed<K, W> {
    /// An empty directory. `path` is the group's place in the tree, `mailbox_limit` that of each child, `max_children` how many
    /// there may be at once.
    pub fn new(
        path: impl Into<String>,
        policy: Policy,
        mailbox_limit: u32,
        max_children: usize,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                path: path.into().into(),
                policy,
                mailbox_limit,
                max_children,
                children: DashMap::new(),
                count: AtomicUsize::new(0),
                group: ArcSwapOption::empty(),
            }),
        }
    }

    /// The address of a child, if there is one.
    pub fn address(&self, key: &K) -> Option<Address<W::Msg>> {
        self.inner
            .children
            .get(key)
            .map(|entry| entry.value().clone())
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.inner.count.load(Ordering::Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All keys at this moment, in no order.
    pub fn keys(&self) -> Vec<K> {
        self.inner
            .children
            .iter()
            .map(|entry| entry.key().clone())
            .collect()
    }

    /// Starts a child and waits until it is ready.
    ///
    /// # Errors
    /// See [`OpenError`]. After [`OpenError::Failed`] there is no such child. Dropping the future leaves the child to its
    /// supervisor.
    pub async fn open(&self, key: K, seed: W::Seed) -> Result<Address<W::Msg>, OpenError> {
        let inner = &self.inner;
        let down = || OpenError::Down {
            path: Arc::clone(&inner.path),
        };
        let group = inner.group.load_full().ok_or_else(down)?;
        let address = self.reserve(key.clone())?;
        let (opener, answer) = oneshot::channel();
        let spec = Box::new(self.spec(key.clone(), address.clone(), seed));
        // Only this very entry: the group may have come back, and somebody else may have opened the key meanwhile.
        let forget = || {
            inner.forget(&key, &address);
        };
        if group.send(GroupMsg::Add { spec, opener }).is_err() {
            forget();
            return Err(down());
        }
        match answer.await {
            Ok(Ok(())) => Ok(address.clone()),
            Ok(Err(end)) => Err(failed(end)),
            Err(_) => {
                forget();
                Err(down())
            }
        }
    }

    /// Ends a child for good: drained, then stopped, then killed, within its stop limit. Unknown keys are ignored.
    pub fn close(&self, key: &K) {
        if let Some(group) = self.inner.group.load_full() {
            let name = key.to_string();
            // A group that has ended has no children left.
            drop(group.send(GroupMsg::Close { name }));
        }
    }

    fn reserve(&self, key: K) -> Result<Address<W::Msg>, OpenError> {
        let inner = &self.inner;
        let one_more = |count: usize| (count < inner.max_children).then_some(count + 1);
        let counted = inner
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        if counted.is_err() {
            return Err(OpenError::Full {
                path: Arc::clone(&inner.path),
                max: inner.max_children,
            });
        }
        let path = join(&inner.path, &key.to_string());
        match inner.children.entry(key) {
            Entry::Occupied(_) => {
                inner.count.fetch_sub(1, Ordering::AcqRel);
                Err(OpenError::Exists { path })
            }
            Entry::Vacant(vacant) => {
                let address = Address::vacant(path, inner.mailbox_limit);
                vacant.insert(address.clone());
                Ok(address)
            }
        }
    }

    fn spec(&self, key: K, address: Address<W::Msg>, seed: W::Seed) -> ChildSpec {
        ChildSpec {
            name: key.to_string(),
            policy: self.inner.policy,
            launcher: Arc::new(KeyedLauncher {
                worker: WorkerLauncher::<W> {
                    address,
                    seed,
                    handler_limit: self.inner.policy.handler_limit,
                },
                key,
                directory: self.clone(),
            }),
            manifest: None,
        }
    }

    /// The launcher of the group behind this directory.
    pub(crate) fn launcher(&self) -> Arc<dyn Launcher> {
        let source = GroupSource::Fixed {
            strategy: Strategy::OneForOne,
            order: Order::Parallel,
            specs: Vec::new().into(),
        };
        let directory = self.clone();
        let launcher = GroupLauncher::new(NodeKind::Group, source).with_hook(move |group| {
            directory.inner.clear();
            directory.inner.group.store(Some(Arc::new(group)));
        });
        Arc::new(launcher)
    }
}

fn failed(end: End) -> OpenError {
    OpenError::Failed {
        code: end.code,
        message: end.message,
    }
}

struct KeyedLauncher<K: Key, W: Worker> {
    worker: WorkerLauncher<W>,
    key: K,
    directory: Keyed<K, W>,
}

impl<K: Key, W: Worker> Launcher for KeyedLauncher<K, W> {
    fn kind(&self) -> NodeKind {
        self.worker.kind()
    }

    fn launch(&self, call: Call) -> Launching {
        self.worker.launch(call)
    }

    fn mailbox(&self) -> Option<&dyn Mailbox> {
        self.worker.mailbox()
    }

    fn removed(&self) {
        self.directory.inner.forget(&self.key, &self.worker.address);
    }
}
