//! A network as a configuration value: `10.0.0.0/8`, or a single address.

use std::fmt;
use std::net::IpAddr;

use ground::config::{Leaf, Node, Reading, Refusal, quote, read_text};
use ipnet::IpNet;

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Leaf for Network {
    fn words() -> String {
        "network such as \"10.0.0.0/8\" or an address".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, |text| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            let network = address.or_else(|_| text.parse::<IpNet>());
            let network = network.map_err(|_| Refusal::malformed())?;
            if network.addr() != network.network() {
                return Err(Refusal::invalid(format!(
                    "expected the first address of a network, found {network}, which is inside {}",
                    network.trunc()
                )));
            }
            Ok(Self(network))
        })
    }

    fn render(&self) -> String {
        quote(&self.0.to_string())
    }
}
