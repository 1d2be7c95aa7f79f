//! The facts of the domain, and its children.

use std::time::Duration;

use ground::Id;
use supervisor::{
    Address, Backoff, ChildSpec, Domain, DomainContext, Impact, Keyed, Level, Manifest, Need,
    Policy, Priority, StartError, Started, Strategy,
};

use crate::config::Config;
use crate::handle::PtysHandle;
use crate::house::House;
use crate::keeper::{KeeperActor, KeeperMsg};
use crate::manager::ManagerActor;
use crate::messages::ManagerMsg;
use crate::ports::Ports;
use crate::records::{RecordsActor, RecordsMsg};
use crate::terminal_actor::TerminalActor;

/// Requests that one terminal's actor admits.
const TERMINAL_MAILBOX: u32 = 32;

/// Terminals that may be listed for a moment beyond the running ones and those to keep: they end between two rounds of the keeper.
const SURPLUS: usize = 256;

/// Terminals.
#[derive(Debug)]
pub struct Ptys;

impl Domain for Ptys {
    const MANIFEST: Manifest = Manifest {
        name: "ptys",
        title: "terminals",
        priority: Priority::P1,
        needs: &[Need::soft("store")],
        impact: Impact {
            degraded: "terminals work; their records are not kept, or idle and ended ones are not cleaned up",
            critical: "open terminals go on for those who are attached; none can be opened, listed, attached to or closed",
            offline: "there are no terminals",
        },
        fallback: Some("viewers that are attached stay attached to their shells"),
        main_actor: "manager",
        mailbox_limit: 512,
        route_prefixes: &["/api/v1/terminals"],
    };
    type Config = Config;
    type Ports = Ports;
    type Msg = ManagerMsg;
    type Handle = PtysHandle;

    fn handle(address: Address<Self::Msg>) -> Self::Handle {
        PtysHandle::new(address)
    }

    async fn start(
        cx: DomainContext<Self::Msg>,
        config: Self::Config,
        ports: Self::Ports,
    ) -> Result<Started, StartError> {
        let manager = cx.address().clone();
        let recorder = Address::<RecordsMsg>::vacant(cx.child_path("records"), 64);
        let keeper = Address::<KeeperMsg>::vacant(cx.child_path("keeper"), 4);
        let actors: Keyed<Id, TerminalActor> = Keyed::new(
            cx.child_path("terminals"),
            Policy::one_of_many(),
            TERMINAL_MAILBOX,
            most_terminals(&config),
        );
        let ending = config.hangup_grace + Duration::from_secs(10);
        let house = House::new(
            config,
            ports,
            manager.clone(),
            recorder.clone(),
            actors.clone(),
        );
        // They stop in reverse: first nobody can ask any more, then the shells end, and their ends are recorded last.
        Ok(Started::new(
            Strategy::OneForOne,
            vec![
                ChildSpec::actor::<RecordsActor>("records", recorder, house.clone(), servant()),
                ChildSpec::actor::<KeeperActor>(
                    "keeper",
                    keeper,
                    house.clone(),
                    Policy {
                        stop_limit: ending,
                        ..servant()
                    },
                ),
                ChildSpec::keyed(
                    "terminals",
                    &actors,
                    Policy::default().bears(Level::Critical),
                ),
                ChildSpec::actor::<ManagerActor>("manager", manager, house, main_policy()),
            ],
        ))
    }
}

/// As many as may run and as are kept, and some more.
fn most_terminals(config: &Config) -> usize {
    let sum = u64::from(config.max_terminals) + u64::from(config.keep_exited);
    usize::try_from(sum)
        .unwrap_or(usize::MAX)
        .saturating_add(SURPLUS)
}

/// For an actor without which the terminals themselves go on.
fn servant() -> Policy {
    Policy::default().bears(Level::Degraded)
}

/// The manager is back at once after a fault: it has nothing to load, and viewers are attached meanwhile.
fn main_policy() -> Policy {
    Policy {
        backoff: Backoff {
            first: Duration::from_millis(3),
            max: Duration::from_secs(2),
        },
        ..Policy::default().bears(Level::Critical)
    }
}
