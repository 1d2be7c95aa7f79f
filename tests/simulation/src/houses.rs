//! Domains for a run: a manifest is a constant, so the graphs of needs are written down here and a seed chooses one of them; what
//! is inside a domain is grown from the seed.

use std::sync::Arc;

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Manifest, Need, Priority, StartError,
    Started, SystemBuilder,
};

use crate::lab::Lab;
use crate::plan::{Branch, Kind, Shape};
use crate::worker::{Msg, Seed, SimWorker};

/// Domains of a graph.
pub(crate) const DOMAINS: usize = 5;
/// Graphs to choose from.
pub(crate) const GRAPHS: usize = 6;

const IMPACT: Impact = Impact {
    degraded: "less",
    critical: "little",
    offline: "nothing",
};

const fn manifest(name: &'static str, priority: Priority, needs: &'static [Need]) -> Manifest {
    Manifest {
        name,
        title: name,
        priority,
        needs,
        impact: IMPACT,
        fallback: None,
        main_actor: "manager",
        mailbox_limit: 8,
        route_prefixes: &[],
    }
}

use Priority::{P0, P1, P2, P3};

const fn hard(domain: &'static str) -> Need {
    Need::hard(domain)
}

const fn soft(domain: &'static str) -> Need {
    Need::soft(domain)
}

/// Names are not in the order of needs, so that no order of names helps.
#[rustfmt::skip]
const MANIFESTS: [[Manifest; DOMAINS]; GRAPHS] = [
    // A chain with a soft end, and one alone.
    [
        manifest("e", P0, &[]), manifest("c", P0, &[hard("e")]), manifest("d", P1, &[hard("c")]),
        manifest("a", P2, &[soft("d")]), manifest("b", P1, &[]),
    ],
    // One that all hang on.
    [
        manifest("c", P0, &[]), manifest("a", P0, &[hard("c")]), manifest("b", P1, &[hard("c")]),
        manifest("d", P3, &[hard("c")]), manifest("e", P1, &[soft("c")]),
    ],
    // A diamond.
    [
        manifest("d", P0, &[]), manifest("b", P1, &[hard("d")]), manifest("c", P1, &[hard("d")]),
        manifest("a", P0, &[hard("b"), hard("c")]), manifest("e", P2, &[soft("a")]),
    ],
    // Nothing is hard.
    [
        manifest("b", P0, &[]), manifest("a", P1, &[soft("b")]), manifest("c", P1, &[soft("a"), soft("b")]),
        manifest("e", P0, &[]), manifest("d", P3, &[soft("e")]),
    ],
    // Two that others hang on.
    [
        manifest("a", P0, &[]), manifest("e", P0, &[]), manifest("b", P0, &[hard("a"), hard("e")]),
        manifest("c", P1, &[hard("e"), soft("a")]), manifest("d", P2, &[hard("c")]),
    ],
    // One that hangs on all.
    [
        manifest("e", P1, &[]), manifest("d", P0, &[]), manifest("c", P0, &[]), manifest("b", P2, &[soft("e")]),
        manifest("a", P0, &[hard("b"), hard("c"), hard("d"), hard("e")]),
    ],
];

/// The facts of a graph's domains.
pub(crate) fn manifests(graph: usize) -> &'static [Manifest; DOMAINS] {
    const ALL: &[[Manifest; DOMAINS]; GRAPHS] = &MANIFESTS;
    &ALL[graph % GRAPHS]
}

/// Domain `D` of graph `G`.
pub(crate) struct House<const G: usize, const D: usize>;

impl<const G: usize, const D: usize> Domain for House<G, D> {
    const MANIFEST: Manifest = MANIFESTS[G][D];
    type Config = Arc<Branch>;
    type Ports = Arc<Lab>;
    type Msg = Msg;
    type Handle = Address<Msg>;

    fn handle(address: Address<Msg>) -> Address<Msg> {
        address
    }

    async fn start(
        _cx: DomainContext<Msg>,
        config: Arc<Branch>,
        lab: Arc<Lab>,
    ) -> Result<Started, StartError> {
        lab.start_of(&config.path).await?;
        let Kind::Group { strategy, children } = &config.kind else {
            return Err(StartError::permanent("sim.shape", "a domain is a group"));
        };
        let children = children.iter().map(|child| spec(child, &lab)).collect();
        Ok(Started::new(*strategy, children))
    }
}

fn spec(branch: &Branch, lab: &Arc<Lab>) -> ChildSpec {
    match &branch.kind {
        Kind::Actor => {
            let path: Arc<str> = branch.path.as_str().into();
            let seed = Seed {
                path,
                lab: Arc::clone(lab),
            };
            let address = lab.address(&branch.path);
            ChildSpec::actor::<SimWorker>(&branch.name, address, seed, branch.policy)
        }
        Kind::Keyed(_) => {
            ChildSpec::keyed(&branch.name, &lab.children(&branch.path), branch.policy)
        }
        Kind::Group { strategy, children } => {
            let children = children.iter().map(|child| spec(child, lab)).collect();
            ChildSpec::group(&branch.name, *strategy, children, branch.policy)
        }
    }
}

/// Adds all domains of the shape to a system.
pub(crate) fn add_all(builder: &mut SystemBuilder, shape: &Shape, lab: &Arc<Lab>) {
    for at in &shape.order {
        match shape.graph % GRAPHS {
            0 => add_of::<0>(builder, shape, *at, lab),
            1 => add_of::<1>(builder, shape, *at, lab),
            2 => add_of::<2>(builder, shape, *at, lab),
            3 => add_of::<3>(builder, shape, *at, lab),
            4 => add_of::<4>(builder, shape, *at, lab),
            _ => add_of::<5>(builder, shape, *at, lab),
        }
    }
}

fn add_of<const G: usize>(builder: &mut SystemBuilder, shape: &Shape, at: usize, lab: &Arc<Lab>) {
    match at {
        0 => add::<G, 0>(builder, shape, lab),
        1 => add::<G, 1>(builder, shape, lab),
        2 => add::<G, 2>(builder, shape, lab),
        3 => add::<G, 3>(builder, shape, lab),
        _ => add::<G, 4>(builder, shape, lab),
    }
}

fn add<const G: usize, const D: usize>(builder: &mut SystemBuilder, shape: &Shape, lab: &Arc<Lab>) {
    let address = builder.address::<House<G, D>>();
    lab.know(address.clone());
    let branch = Arc::clone(&shape.domains[D]);
    builder.add::<House<G, D>>(address, branch, Arc::clone(lab));
}
