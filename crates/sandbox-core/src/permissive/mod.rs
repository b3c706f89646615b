//! A permissive run: what a policy closes because nothing opens it is open, and told of.
//!
//! Files are changed in a copy that ends with the command. Hosts of the internet can be reached, for
//! there is no copy of them; so whatever the `secrets` preset names is closed, also where the policy
//! leaves it open without naming it. What somebody closed by a rule of their own stays closed, and so do
//! sockets of the host, the machine's own network, calls and devices: what is done there is done outside.

#[cfg(target_os = "linux")]
mod policy;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use sandbox_policy::{
    AddressClass, Denial, DenialReason, Firmness, Host, HostName, LookupVerdict, NetworkPolicy,
    Operation, Origin, OwnAddresses, ParentChoice, ParentProxies, Policy, Target, secret_variables,
};
use sandbox_proxy::{BoxFuture, Decide, Decision, ExternalProxies, Resolve};

use crate::{
    host,
    violation::{Refused, Refusee, ViolationStore},
};

#[cfg(target_os = "linux")]
pub(crate) use policy::opened;

/// The origin of what only a permissive run closes.
pub(crate) const SECRET: Origin = Origin::BuiltIn("hosts can be reached in a permissive run");

/// Variables that hold secrets are closed as well.
pub(crate) fn close_variables(policy: &mut Policy) {
    let variables = secret_variables(&SECRET, Firmness::Default);
    policy.environment.deny.extend(variables);
}

/// Permits what no rule decides, if it is on the internet, and tells of it.
pub(crate) struct Recorder {
    pub(crate) store: ViolationStore,
    /// Where names lead, all of it.
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) resolve_timeout: Duration,
    /// The ways out on which a proxy looks names up, and not [`GlobalResolver`].
    pub(crate) external: ExternalProxies,
    pub(crate) parents: ParentProxies,
}

impl Decide for Recorder {
    fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision> {
        Box::pin(async {
            let Ok(OwnAddresses(own)) = host::own_addresses() else {
                return refused(INSIDE);
            };
            let is_outside = |address: &IpAddr| is_global(*address) && !own.contains(address);
            let found = match &target.host {
                Host::Ip(address) => Ok(vec![*address]),
                Host::Name(_) if target.host.is_localhost() => return refused(INSIDE),
                Host::Name(name) => self.lookup(name).await,
            };
            match found {
                // Who dials picks the addresses of the internet; a proxy picks any.
                Ok(found) if self.is_proxied(target) && !found.iter().all(is_outside) => {
                    return refused(INSIDE);
                }
                Ok(found) if !found.iter().any(is_outside) => return refused(INSIDE),
                // Nothing is reached, but it is known what was wanted.
                Err(_) if !self.is_proxied(target) => {}
                Err(_) => return refused(UNKNOWN),
                Ok(_) => {}
            }
            self.store.report(
                Refused {
                    command: &Arc::from(""),
                    operation: Operation::Connect,
                    call: None,
                    denial: &Denial::by_default(DenialReason::HostNotAllowed, target.to_string()),
                    permitted: true,
                },
                Refusee::default,
            );
            Decision::Approve
        })
    }
}

impl Recorder {
    async fn lookup(&self, name: &HostName) -> io::Result<Vec<IpAddr>> {
        let lookup = self.resolver.resolve(name);
        let found = tokio::time::timeout(self.resolve_timeout, lookup).await;
        let found = found.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }

    /// Whether the target may go to a proxy, by any front end.
    fn is_proxied(&self, target: &Target) -> bool {
        let mut kinds = [true, false].into_iter();
        self.external != ExternalProxies::default()
            || kinds.any(|plain| *self.parents.choose(target, plain) != ParentChoice::Direct)
    }
}

fn refused(note: &str) -> Decision {
    Decision::Refuse(Some(note.to_owned()))
}

const INSIDE: &str = "not even a permissive run reaches the machine's own network";
const UNKNOWN: &str = "the name can't be looked up here, so a proxy could lead a permissive run into the \
    machine's own network: list the host if it should be reached";

/// Finds only addresses of the internet for names that no rule allows.
pub(crate) struct GlobalResolver {
    pub(crate) inner: Arc<dyn Resolve>,
    pub(crate) network: Arc<NetworkPolicy>,
}

impl Resolve for GlobalResolver {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let is_listed = self.network.judge_lookup(name) == LookupVerdict::Allow;
        Box::pin(async move {
            let mut addresses = self.inner.resolve(name).await?;
            addresses.retain(|address| is_listed || is_global(*address));
            Ok(addresses)
        })
    }

    fn exchange<'a>(&'a self, query: &'a [u8]) -> BoxFuture<'a, io::Result<Vec<u8>>> {
        self.inner.exchange(query)
    }
}

/// Whether an address is on the internet, as the registries of special addresses have it (IANA, RFC
/// 6890): neither the machine's own, nor of a private network, nor another one in disguise.
pub(crate) fn is_global(address: IpAddr) -> bool {
    if AddressClass::of(address).is_some() {
        return false;
    }
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [10, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0, _]
        | [198, 18..=19, ..]
        | [240..=255, ..] => false,
        _ => AddressClass::of(address.into()).is_none(),
    }
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // 6to4 and Teredo carry an IPv4 address.
        [0x2002, ..] | [0x2001, 0, ..] => false,
        // What has been given out so far (RFC 4291 §2.5.4).
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_global() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "198.18.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:0:a00:1::",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
    }
}
