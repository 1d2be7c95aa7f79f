//! An address as the unit that is counted.

use std::net::IpAddr;

/// What counts as one client: an IPv4 address, or a /64 network of IPv6, of which every customer has at least one whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AddressBlock {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64;
                // The upper half of it, so it fits.
                Self::V6(u64::try_from(network).unwrap_or(u64::MAX))
            }
        }
    }
}
