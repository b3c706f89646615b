//! Names to addresses: the only place that looks names up.

use std::{io, net::IpAddr};

use sandbox_policy::HostName;

use crate::BoxFuture;

/// Resolves names that were permitted.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the preferred one first.
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The host's own resolver: `getaddrinfo`, with the host's `hosts` file and `resolv.conf`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemResolver;

impl SystemResolver {
    /// The host's resolver.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the place for lookups")]
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(distinct(found.map(|address| address.ip())))
        })
    }
}

/// Drops repetitions and keeps the order: `getaddrinfo` sorts by RFC 6724.
pub(crate) fn distinct(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut kept = Vec::new();
    for address in addresses {
        if !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}
