//! Where a group's children come from, and how a group itself is launched.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ractor::Actor;

use crate::child_spec::ChildSpec;
use crate::core::{ChildId, ChildPlan, EndKind, Order};
use crate::domain::Strength;
use crate::end::{End, Record};
use crate::group::{Group, GroupLaunch, Parent};
use crate::inbox::{GroupRef, Inbox};
use crate::launch::{Body, Call, Launcher, Launching, Live};
use crate::shell::chain_of;
use crate::spec::Strategy;
use crate::status::NodeKind;
use crate::worker::StartError;

/// The children of one start of a group.
pub(crate) struct Children {
    pub(crate) strategy: Strategy,
    pub(crate) order: Order,
    pub(crate) specs: Vec<ChildSpec>,
}

type Starting = Pin<Box<dyn Future<Output = Result<Children, StartError>> + Send>>;

/// Where a group's children come from at each of its starts.
#[derive(Clone)]
pub(crate) enum GroupSource {
    /// The same each time.
    Fixed {
        strategy: Strategy,
        order: Order,
        specs: Arc<[ChildSpec]>,
    },
    /// What the domain's start says.
    Started(Arc<dyn Fn(Arc<str>) -> Starting + Send + Sync>),
}

impl GroupSource {
    /// The children of this start.
    pub(crate) async fn children(self, path: Arc<str>) -> Result<Children, End> {
        match self {
            Self::Fixed {
                strategy,
                order,
                specs,
            } => Ok(Children {
                strategy,
                order,
                specs: specs.to_vec(),
            }),
            Self::Started(start) => start(path).await.map_err(|error| {
                let kind = EndKind::FailedStart {
                    permanent: error.permanent,
                };
                End::new(kind, error.code, chain_of(&error))
            }),
        }
    }
}

/// The plans of children in the order of their specs; ids count from 0. Needs are resolved by name among siblings.
pub(crate) fn plans_of(specs: &[ChildSpec]) -> Vec<ChildPlan> {
    let id_of = |name: &str| {
        specs
            .iter()
            .position(|spec| spec.name == name)
            .and_then(|index| ChildId::try_from(index).ok())
    };
    (0..)
        .zip(specs)
        .map(|(id, spec)| {
            let needs = spec.manifest.map_or(&[][..], |manifest| manifest.needs);
            let hard = needs.iter().filter(|need| need.strength == Strength::Hard);
            ChildPlan {
                id,
                policy: spec.policy,
                hard_needs: hard.filter_map(|need| id_of(need.domain)).collect(),
                all_needs: needs.iter().filter_map(|need| id_of(need.domain)).collect(),
                ephemeral: false,
            }
        })
        .collect()
}

/// Launches a group.
pub(crate) struct GroupLauncher {
    kind: NodeKind,
    source: GroupSource,
    /// Run before each launch: a keyed group forgets the children of the incarnation before.
    before: Option<Arc<dyn Fn(GroupRef) + Send + Sync>>,
}

impl GroupLauncher {
    pub(crate) fn new(kind: NodeKind, source: GroupSource) -> Self {
        Self {
            kind,
            source,
            before: None,
        }
    }

    pub(crate) fn with_hook(mut self, hook: impl Fn(GroupRef) + Send + Sync + 'static) -> Self {
        self.before = Some(Arc::new(hook));
        self
    }
}

impl Launcher for GroupLauncher {
    fn kind(&self) -> NodeKind {
        self.kind
    }

    fn launch(&self, call: Call) -> Launching {
        let record = Arc::new(Record::default());
        let inbox = Arc::new(Inbox::default());
        let launch = GroupLaunch {
            path: call.path,
            source: self.source.clone(),
            parent: Some(Parent {
                group: call.group.clone(),
                child: call.child,
                incarnation: call.incarnation,
            }),
            record: Arc::clone(&record),
            board: call.board,
            inbox: Arc::clone(&inbox),
        };
        let hook = self.before.clone();
        Launching::Soon(Box::pin(async move {
            let supervisor = call.group.cell();
            let (actor, _task) = Actor::spawn_linked(None, Group, launch, supervisor)
                .await
                .map_err(|error| error.to_string())?;
            let group = GroupRef::new(actor, inbox);
            if let Some(hook) = hook {
                hook(group.clone());
            }
            Ok(Live {
                body: Body::Group(group),
                record,
            })
        }))
    }
}
