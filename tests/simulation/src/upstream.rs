//! The tree of a run with a network in it: a domain with the server as a dependency, and one that cannot do without that domain.

use std::sync::Arc;

use supervisor::{
    Address, ChildSpec, Dependency, Domain, DomainContext, Impact, Level, Manifest, Need, Policy,
    Priority, StartError, Started, Strategy, System, SystemBuilder,
};

use crate::lab::Lab;
use crate::network::question;
use crate::worker::{Msg, Seed, SimWorker};

/// Where the server is in the tree.
pub(crate) const PATH: &str = "/outer/server";

/// Who must show that the server is away, and how badly at least.
pub(crate) const REACHED: [(&str, Level); 4] = [
    (PATH, Level::Critical),
    ("/outer", Level::Critical),
    ("/upper", Level::Critical),
    ("/", Level::Critical),
];

const OUTER: Manifest = Manifest {
    name: "outer",
    title: "what calls the server",
    priority: Priority::P0,
    needs: &[],
    impact: Impact {
        degraded: "less",
        critical: "little",
        offline: "nothing",
    },
    fallback: None,
    main_actor: "manager",
    mailbox_limit: 8,
    route_prefixes: &[],
};

struct Outer;

impl Domain for Outer {
    const MANIFEST: Manifest = OUTER;
    type Config = Dependency;
    type Ports = Arc<Lab>;
    type Msg = Msg;
    type Handle = Address<Msg>;

    fn handle(address: Address<Msg>) -> Address<Msg> {
        address
    }

    async fn start(
        cx: DomainContext<Msg>,
        dependency: Dependency,
        lab: Arc<Lab>,
    ) -> Result<Started, StartError> {
        let server = ChildSpec::dependency("server", &dependency, question);
        let children = vec![server, manager(&cx, lab)];
        Ok(Started::new(Strategy::OneForOne, children))
    }
}

struct Upper;

impl Domain for Upper {
    const MANIFEST: Manifest = Manifest {
        name: "upper",
        title: "what needs it",
        needs: &[Need::hard("outer")],
        ..OUTER
    };
    type Config = ();
    type Ports = Arc<Lab>;
    type Msg = Msg;
    type Handle = Address<Msg>;

    fn handle(address: Address<Msg>) -> Address<Msg> {
        address
    }

    async fn start(cx: DomainContext<Msg>, (): (), lab: Arc<Lab>) -> Result<Started, StartError> {
        Ok(Started::new(Strategy::OneForOne, vec![manager(&cx, lab)]))
    }
}

fn manager(cx: &DomainContext<Msg>, lab: Arc<Lab>) -> ChildSpec {
    let path = cx.address().path().into();
    let seed = Seed { path, lab };
    ChildSpec::actor::<SimWorker>("manager", cx.address().clone(), seed, Policy::default())
}

/// Starts the tree.
///
/// # Errors
/// Why it is refused, which it must not be.
pub(crate) async fn start(dependency: &Dependency) -> Result<System, String> {
    let lab = Lab::new();
    let mut builder = SystemBuilder::new();
    let (outer, upper) = (builder.address::<Outer>(), builder.address::<Upper>());
    builder.add::<Upper>(upper, (), Arc::clone(&lab));
    builder.add::<Outer>(outer, dependency.clone(), lab);
    builder.start().await.map_err(|error| error.to_string())
}
