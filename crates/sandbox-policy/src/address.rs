//! Classes of resolved addresses that a name must not lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::origin::Origin;

/// Why an address is special.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// 127.0.0.0/8, `::1` (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
    Loopback,
    /// 0.0.0.0/8, `::`.
    Unspecified,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Cloud metadata services.
    Metadata,
    /// An address of the host's own interfaces.
    OwnHost,
    /// Listed by a rule (`deniedResolvedAddresses`, or an address in the deny list).
    Listed,
}

/// Addresses that names must not resolve to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule {
    /// The range.
    pub range: ipnet::IpNet,
    /// Where it was written.
    pub origin: Origin,
}

/// The addresses of the host's interfaces: a fact, gathered by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddresses(pub Vec<IpAddr>);

impl AddressClass {
    /// The built-in class of an address, embedded IPv4 addresses (mapped, compatible, translated,
    /// NAT64, 6to4) included; `None` for an ordinary one.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address).or_else(|| embedded(address).and_then(of_v4)),
        }
    }
}

impl OwnAddresses {
    /// Whether one of them is, or is embedded in, this address.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        forms(address).any(|form| self.0.iter().any(|own| own.to_canonical() == form))
    }
}

/// The address itself in canonical form, and the IPv4 address that it embeds.
pub(crate) fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let canonical = address.to_canonical();
    let inner = match canonical {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => embedded(address).map(IpAddr::V4),
    };
    std::iter::once(canonical).chain(inner)
}

/// The IPv4 address that packets to an IPv6 address end up at, where there is one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    match [a, b, c, d, e, f] {
        // IPv4-compatible and IPv4-mapped (RFC 4291 §2.5.5), `::` and `::1` aside.
        [0, 0, 0, 0, 0, 0] if high != 0 || low > 1 => Some(ipv4(high, low)),
        [0, 0, 0, 0, 0, 0xffff] => Some(ipv4(high, low)),
        // IPv4-translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0xffff, 0] => Some(ipv4(high, low)),
        // The well-known NAT64 prefix (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0] => Some(ipv4(high, low)),
        // 6to4 (RFC 3056 §2): the address of the site's router.
        [0x2002, first, second, ..] => Some(ipv4(first, second)),
        _ => None,
    }
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

fn of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    match address.octets() {
        [127, ..] => Some(AddressClass::Loopback),
        [0, ..] => Some(AddressClass::Unspecified),
        [169, 254, ..] => Some(AddressClass::LinkLocal),
        [255, 255, 255, 255] => Some(AddressClass::Broadcast),
        [224..=239, ..] => Some(AddressClass::Multicast),
        _ => METADATA_V4
            .contains(&address)
            .then_some(AddressClass::Metadata),
    }
}

fn of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    let [first, second, ..] = address.segments();
    if address.is_loopback() {
        Some(AddressClass::Loopback)
    } else if address.is_unspecified() {
        Some(AddressClass::Unspecified)
    } else if first & 0xffc0 == 0xfe80 {
        Some(AddressClass::LinkLocal)
    } else if first & 0xff00 == 0xff00 {
        Some(AddressClass::Multicast)
    } else if (first, second) == METADATA_EC2 || METADATA_V6.contains(&address) {
        Some(AddressClass::Metadata)
    } else {
        None
    }
}

/// Metadata services outside the link-local range: Alibaba Cloud, Azure, Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// `fd00:ec2::/32`, Amazon EC2.
const METADATA_EC2: (u16, u16) = (0xfd00, 0x0ec2);

/// Unique local addresses that other providers give their metadata services.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200),
];
