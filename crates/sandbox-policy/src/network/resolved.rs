//! Judging the addresses that a name resolved to.
//!
//! An allowed name is a promise about a name, not about an address: without this check whoever
//! controls the name's DNS could point it at the host itself or at a cloud's metadata service.

use std::net::{IpAddr, SocketAddr};

use super::NetworkPolicy;
use crate::address::{AddressClass, OwnAddresses, forms};
use crate::host::{Host, Target};
use crate::verdict::{Denial, DenialReason};

impl NetworkPolicy {
    /// The addresses that may be dialled for a permitted target, or why none may.
    pub(crate) fn judge_addresses(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        own: &OwnAddresses,
    ) -> Result<Vec<SocketAddr>, Denial> {
        let mut first_refusal = None;
        let mut permitted = Vec::with_capacity(addresses.len());
        for address in addresses.iter().map(IpAddr::to_canonical) {
            match self.judge_address(target, address, own) {
                Ok(()) => permitted.push(SocketAddr::new(address, target.port.get())),
                Err(refusal) => {
                    first_refusal.get_or_insert(refusal);
                }
            }
        }
        match first_refusal {
            Some(refusal) if permitted.is_empty() => Err(refusal),
            Some(_) | None => Ok(permitted),
        }
    }

    fn judge_address(
        &self,
        target: &Target,
        address: IpAddr,
        own: &OwnAddresses,
    ) -> Result<(), Denial> {
        let listed = DenialReason::AddressDenied(AddressClass::Listed);
        // Deny beats allow: an address in the deny list stays refused whatever else lists it.
        let denied = forms(address).find_map(|form| {
            let form = Target::new(Host::Ip(form), target.port);
            self.denied.find(&form)
        });
        if let Some(rule) = denied {
            return Err(Denial::by_domain_rule(listed, target, rule));
        }
        // Who lists the very address means it: it could be dialled without any name.
        if self.allowed.find_address(address, target.port).is_some() {
            return Ok(());
        }
        if let Some(rule) = self.denied_addresses.find(address) {
            let rule_text = (rule.range.to_string(), rule.origin.clone());
            return Err(Denial {
                reason: listed,
                object: target.to_string(),
                rule: Some(rule_text),
                note: None,
            });
        }
        if target.host == Host::Ip(address) && self.allowed.lists_address(target) {
            return Ok(());
        }
        match (&target.host, address.is_loopback()) {
            (host, true) if host.is_localhost() => return Ok(()),
            (host, false) if host.is_localhost() => {
                return Err(Denial::by_default(
                    DenialReason::LocalhostElsewhere,
                    target.to_string(),
                ));
            }
            (Host::Name(_) | Host::Ip(_), _) => {}
        }
        let own_class = || own.contain(address).then_some(AddressClass::OwnHost);
        match AddressClass::of(address).or_else(own_class) {
            Some(class) => Err(Denial::by_default(
                DenialReason::AddressDenied(class),
                target.to_string(),
            )),
            None => Ok(()),
        }
    }
}
