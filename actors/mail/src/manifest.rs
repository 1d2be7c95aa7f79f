//! The domain: its facts, its face, its children.

use std::sync::Arc;

use supervisor::{
    Address, ChildSpec, Domain, DomainContext, Impact, Level, Manifest, Need, Policy, Priority,
    StartError, Started, Strategy,
};

use crate::config::MailConfig;
use crate::handle::MailHandle;
use crate::messages::MailMsg;
use crate::outbox::Outbox;
use crate::ports::Ports;
use crate::sender::{Seed, SenderActor, Way};
use crate::smtp::Smtp;

const SENDER: &str = "sender";

/// Where the SMTP server is in the tree.
pub const SMTP: &str = "/mail/smtp";

/// Outgoing mail.
#[derive(Debug)]
pub struct Outgoing;

impl Domain for Outgoing {
    const MANIFEST: Manifest = Manifest {
        name: "mail",
        title: "outgoing mail",
        priority: Priority::P2,
        needs: &[Need::hard("store")],
        impact: Impact {
            degraded: "mails such as links for a new password arrive later than usual, or have to be handed over by an operator",
            critical: "no mail leaves",
            offline: "no mail leaves, and the queue of mails can be neither read nor changed",
        },
        fallback: Some("mails wait in the database and are sent later, as long as they are wanted"),
        main_actor: SENDER,
        mailbox_limit: 256,
        route_prefixes: &["/api/v1/mail"],
    };

    type Config = MailConfig;
    type Ports = Ports;
    type Msg = MailMsg;
    type Handle = MailHandle;

    fn handle(address: Address<MailMsg>) -> MailHandle {
        MailHandle::new(address)
    }

    async fn start(
        cx: DomainContext<MailMsg>,
        config: MailConfig,
        ports: Ports,
    ) -> Result<Started, StartError> {
        let mut children = Vec::new();
        let way = match Smtp::of(&config)? {
            Some(smtp) => {
                let smtp = Arc::new(smtp);
                let probed = Arc::clone(&smtp);
                children.push(ChildSpec::dependency("smtp", &ports.smtp, move || {
                    let probed = Arc::clone(&probed);
                    async move { probed.probe().await }
                }));
                Way::Smtp(smtp, ports.smtp)
            }
            None => Way::Outbox(Outbox::new(&ports.data_dir, config.outbox_keep)),
        };
        let seed = Seed {
            config,
            db: ports.db,
            way,
        };
        // Who wants a mail sent does not need it: the mail is in the queue.
        let policy = Policy::default().bears(Level::Critical);
        let sender = cx.address().clone();
        children.push(ChildSpec::actor::<SenderActor>(
            SENDER, sender, seed, policy,
        ));
        Ok(Started::new(Strategy::OneForOne, children))
    }
}
