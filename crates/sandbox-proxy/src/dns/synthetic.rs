//! Synthetic addresses: numbers that stand for names while they travel through a program.
//!
//! 198.18.0.0/15 is set aside for benchmarks between networks (RFC 2544) and fd00::/8 for private
//! use (RFC 4193), so no host on the internet has such an address. The last /24 of the former is
//! left to the network namespace itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of a name, from 1 on: the address 198.18.0.0 looks like that of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Index(u32);

impl Index {
    /// How many there are.
    pub(crate) const COUNT: u32 = 2 * 0x1_0000 - 0x100 - 1;

    /// The one at a place of a list.
    pub(super) fn at(place: usize) -> Option<Self> {
        let number = u32::try_from(place).ok()?.checked_add(1)?;
        (number <= Self::COUNT).then_some(Self(number))
    }

    /// Its place in a list.
    pub(super) fn place(self) -> usize {
        usize::try_from(self.0 - 1).unwrap_or(usize::MAX)
    }

    /// Its IPv4 address.
    pub(crate) fn v4(self) -> Ipv4Addr {
        Ipv4Addr::from(FIRST_V4.to_bits() | self.0)
    }

    /// Its IPv6 address.
    pub(crate) fn v6(self) -> Ipv6Addr {
        Ipv6Addr::from(FIRST_V6.to_bits() | u128::from(self.0))
    }
}

/// What an address is, for the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The number of a name, which may have been given to one or not.
    Name(Index),
    /// In a synthetic range, but never given to a name.
    Nothing,
    /// Itself.
    Address,
}

/// Tells synthetic addresses from others.
pub(crate) fn meaning(address: IpAddr) -> Meaning {
    let number = match address.to_canonical() {
        IpAddr::V4(address) if address.to_bits() & MASK_V4 == FIRST_V4.to_bits() => {
            Some(address.to_bits() & !MASK_V4)
        }
        IpAddr::V6(address) if address.to_bits() & MASK_V6 == FIRST_V6.to_bits() => {
            u32::try_from(address.to_bits() & !MASK_V6).ok()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => return Meaning::Address,
    };
    match number {
        Some(number @ 1..=Index::COUNT) => Meaning::Name(Index(number)),
        Some(_) | None => Meaning::Nothing,
    }
}

const FIRST_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const MASK_V4: u32 = u32::MAX << 17;
const FIRST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5b00, 0, 0, 0, 0, 0, 0);
const MASK_V6: u128 = u128::MAX << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(text: &str) -> Meaning {
        meaning(text.parse().unwrap())
    }

    #[test]
    fn every_index_has_an_address_of_each_family_that_leads_back() {
        let count = usize::try_from(Index::COUNT).unwrap();
        for place in (0..count).step_by(97).chain([count - 1]) {
            let index = Index::at(place).unwrap();
            assert_eq!(index.place(), place);
            assert_eq!(meaning(index.v4().into()), Meaning::Name(index));
            assert_eq!(
                meaning(index.v4().to_ipv6_mapped().into()),
                Meaning::Name(index)
            );
            assert_eq!(meaning(index.v6().into()), Meaning::Name(index));
        }
        assert_eq!(Index::at(count), None);
        assert_eq!(Index::at(0).unwrap().v4().to_string(), "198.18.0.1");
        assert_eq!(Index::at(0).unwrap().v6().to_string(), "fd00:5b00::1");
        let last = Index::at(count - 1).unwrap();
        assert_eq!(last.v4().to_string(), "198.19.254.255");
        assert_eq!(last.v6().to_string(), "fd00:5b00::1:feff");
    }

    #[test]
    fn the_ends_of_the_ranges_are_exact() {
        for nothing in [
            "198.18.0.0",
            "198.19.255.0",
            "198.19.255.254",
            "198.19.255.255",
            "fd00:5b00::",
            "fd00:5b00::1:ff00",
            "fd00:5b00::ffff:fffe",
            "fd00:5b00::1:0:1",
            "fd00:5b00::ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(meaning_of(nothing), Meaning::Nothing, "{nothing}");
        }
        for address in [
            "198.17.255.255",
            "198.20.0.0",
            "fd00:5b00:0:1::1",
            "fd00:5aff::1",
            "::1",
        ] {
            assert_eq!(meaning_of(address), Meaning::Address, "{address}");
        }
    }
}
