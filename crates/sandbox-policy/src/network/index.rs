//! Rule lists with an index: the first rule of a list that names a target, at a cost that depends
//! on the target's labels and not on the length of the list.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use ipnet::{IpNet, Ipv4Net};

use super::DomainRule;
use crate::address::{AddressRule, forms};
use crate::domain::HostPattern;
use crate::host::{Host, HostName, LOCALHOST, Port, Target};

/// Domain rules in order. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct HostIndex(Arc<Listed>);

#[derive(Debug)]
struct Listed {
    rules: Vec<DomainRule>,
    /// Made for the first question: many sandboxes never ask one.
    table: OnceLock<Table>,
}

/// Where in the list the rules for a host are.
#[derive(Debug, Default)]
struct Table {
    any: FirstByPort,
    names: HashMap<HostName, FirstByPort>,
    addresses: HashMap<IpAddr, FirstByPort>,
    /// By what is behind the `*.`.
    subdomains: HashMap<HostName, FirstByPort>,
}

impl Table {
    fn new(rules: &[DomainRule]) -> Self {
        let mut table = Self::default();
        for (position, rule) in rules.iter().enumerate() {
            let slot = match &rule.pattern.host {
                HostPattern::Any => &mut table.any,
                HostPattern::Exact(Host::Name(name)) => {
                    table.names.entry(name.clone()).or_default()
                }
                HostPattern::Exact(Host::Ip(address)) => {
                    table.addresses.entry(address.to_canonical()).or_default()
                }
                HostPattern::Subdomains(apex) => table.subdomains.entry(apex.clone()).or_default(),
            };
            slot.note(rule.pattern.port, position);
        }
        table
    }
}

impl PartialEq for HostIndex {
    fn eq(&self, other: &Self) -> bool {
        self.rules() == other.rules()
    }
}

impl Eq for HostIndex {}

impl HostIndex {
    pub(super) fn new(rules: Vec<DomainRule>) -> Self {
        Self(Arc::new(Listed {
            rules,
            table: OnceLock::new(),
        }))
    }

    /// The same list with one rule more.
    pub(super) fn with(self, rule: DomainRule) -> Self {
        let mut rules = match Arc::try_unwrap(self.0) {
            Ok(listed) => listed.rules,
            Err(shared) => shared.rules.clone(),
        };
        rules.push(rule);
        Self::new(rules)
    }

    fn table(&self) -> &Table {
        self.0.table.get_or_init(|| Table::new(&self.0.rules))
    }

    pub(super) fn rules(&self) -> &[DomainRule] {
        &self.0.rules
    }

    /// The first rule that names the target.
    pub(super) fn find(&self, target: &Target) -> Option<&DomainRule> {
        let table = self.table();
        let specific = match &target.host {
            Host::Ip(address) => {
                let exact = table.addresses.get(address);
                let exact = exact.and_then(|slot| slot.first(target.port));
                exact.into_iter().chain(self.localhost(target)).min()
            }
            Host::Name(name) => {
                let exact = table.names.get(name);
                let above = name
                    .parents()
                    .filter_map(|parent| table.subdomains.get(parent));
                exact
                    .into_iter()
                    .chain(above)
                    .filter_map(|slot| slot.first(target.port))
                    .min()
            }
        };
        let any = table.any.first(target.port);
        specific
            .into_iter()
            .chain(any)
            .min()
            .and_then(|position| self.rules().get(position))
    }

    /// The first rule that names an address of the loopback by its name.
    fn localhost(&self, target: &Target) -> Option<usize> {
        if !target.host.is_loopback() {
            return None;
        }
        let slot = self.table().names.get(LOCALHOST)?;
        slot.first(target.port)
    }

    /// Whether a rule lists this very target by its address, or by the loopback's name.
    pub(super) fn lists_address(&self, target: &Target) -> bool {
        let Host::Ip(address) = &target.host else {
            return false;
        };
        self.find_address(*address, target.port).is_some() || self.localhost(target).is_some()
    }

    /// The first rule that names the host on some port, or, with `every_port`, on all of them.
    pub(super) fn find_name(&self, name: &HostName, every_port: bool) -> Option<&DomainRule> {
        let table = self.table();
        let position = |slot: &FirstByPort| {
            if every_port {
                slot.every_port
            } else {
                slot.earliest()
            }
        };
        let above = name
            .parents()
            .filter_map(|parent| table.subdomains.get(parent));
        table
            .names
            .get(name)
            .into_iter()
            .chain(above)
            .chain([&table.any])
            .filter_map(position)
            .min()
            .and_then(|position| self.rules().get(position))
    }

    /// The first rule that lists this very address.
    pub(super) fn find_address(&self, address: IpAddr, port: Port) -> Option<&DomainRule> {
        let slot = self.table().addresses.get(&address)?;
        self.rules().get(slot.first(port)?)
    }
}

/// The positions of the first rule for all ports and of the first for each port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FirstByPort {
    every_port: Option<usize>,
    by_port: BTreeMap<Port, usize>,
}

impl FirstByPort {
    fn note(&mut self, port: Option<Port>, position: usize) {
        match port {
            None => {
                self.every_port.get_or_insert(position);
            }
            Some(port) => {
                self.by_port.entry(port).or_insert(position);
            }
        }
    }

    fn first(&self, port: Port) -> Option<usize> {
        self.every_port
            .into_iter()
            .chain(self.by_port.get(&port).copied())
            .min()
    }

    fn earliest(&self) -> Option<usize> {
        self.every_port
            .into_iter()
            .chain(self.by_port.values().copied())
            .min()
    }
}

/// Address ranges in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressIndex {
    rules: Vec<AddressRule>,
    by_range: HashMap<IpNet, usize>,
    /// The prefix lengths that occur: at most 33 and 129.
    lengths_v4: BTreeSet<u8>,
    lengths_v6: BTreeSet<u8>,
}

impl AddressIndex {
    pub(super) fn new(rules: Vec<AddressRule>) -> Self {
        let mut by_range = HashMap::new();
        let mut lengths_v4 = BTreeSet::new();
        let mut lengths_v6 = BTreeSet::new();
        for (position, rule) in rules.iter().enumerate() {
            let range = canonical_range(rule.range);
            let lengths = match range {
                IpNet::V4(_) => &mut lengths_v4,
                IpNet::V6(_) => &mut lengths_v6,
            };
            lengths.insert(range.prefix_len());
            by_range.entry(range).or_insert(position);
        }
        Self {
            rules,
            by_range,
            lengths_v4,
            lengths_v6,
        }
    }

    pub(super) fn rules(&self) -> &[AddressRule] {
        &self.rules
    }

    /// The first range that the address, or the IPv4 address embedded in it, lies in.
    pub(super) fn find(&self, address: IpAddr) -> Option<&AddressRule> {
        let position = forms(address).flat_map(|form| self.positions(form)).min()?;
        self.rules.get(position)
    }

    fn positions(&self, address: IpAddr) -> impl Iterator<Item = usize> {
        let lengths = match address {
            IpAddr::V4(_) => &self.lengths_v4,
            IpAddr::V6(_) => &self.lengths_v6,
        };
        lengths.iter().filter_map(move |length| {
            let range = IpNet::new(address, *length).ok()?.trunc();
            self.by_range.get(&range).copied()
        })
    }
}

/// A range without host bits; a range of IPv4-mapped addresses is the IPv4 range that it means.
fn canonical_range(range: IpNet) -> IpNet {
    let range = range.trunc();
    if let (IpAddr::V6(_), IpAddr::V4(start), Some(length)) = (
        range.addr(),
        range.addr().to_canonical(),
        range.prefix_len().checked_sub(96),
    ) && let Ok(mapped) = Ipv4Net::new(start, length)
    {
        return IpNet::V4(mapped);
    }
    range
}
