//! A store that does nothing, so that the tree of a test is one in which a domain can start.

use supervisor::{
    Address, Domain, DomainContext, Impact, Manifest, Priority, StartError, Started, Strategy,
};

/// Stands where the store is, for domains that need it: the tests hold the database themselves.
#[derive(Debug)]
pub struct Foundation;

impl Domain for Foundation {
    const MANIFEST: Manifest = Manifest {
        name: "store",
        title: "a store that does nothing",
        priority: Priority::P0,
        needs: &[],
        impact: Impact {
            degraded: "",
            critical: "",
            offline: "",
        },
        fallback: None,
        main_actor: "none",
        mailbox_limit: 1,
        route_prefixes: &[],
    };

    type Config = ();
    type Ports = ();
    type Msg = ();
    type Handle = ();

    fn handle(_address: Address<()>) {}

    async fn start(_cx: DomainContext<()>, _config: (), _ports: ()) -> Result<Started, StartError> {
        Ok(Started::new(Strategy::OneForOne, Vec::new()))
    }
}
