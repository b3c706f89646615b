//! Names to addresses and other records: the only place that looks names up.

mod name_servers;

use std::{io, net::IpAddr};

use sandbox_policy::HostName;

use crate::BoxFuture;

/// Resolves names that were permitted.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the preferred one first.
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// What name servers answer to a query (RFC 1035 §4.1, both in wire format), which is about a
    /// permitted name and not about its addresses. The query's id is for the implementation to
    /// choose.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], which is what this does unless implemented, where there is
    /// nobody to ask at all: the name then has no such records. Any other error is a failure.
    fn exchange<'a>(&'a self, query: &'a [u8]) -> BoxFuture<'a, io::Result<Vec<u8>>> {
        let _ = query;
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// The host's own resolver: `getaddrinfo`, with the host's `hosts` file and `resolv.conf`; other
/// records are asked for at the name servers that `/etc/resolv.conf` lists.
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

    fn exchange<'a>(&'a self, query: &'a [u8]) -> BoxFuture<'a, io::Result<Vec<u8>>> {
        Box::pin(name_servers::exchange(query))
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

#[cfg(test)]
mod tests {
    use sandbox_policy::Host;

    use super::*;

    #[tokio::test]
    async fn the_host_resolves_localhost_to_loopback_once_each() {
        let Ok(Host::Name(name)) = Host::parse(b"localhost") else {
            panic!("localhost is a name");
        };
        let addresses = SystemResolver::new().resolve(&name).await.unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!(distinct(addresses.clone()), addresses);
    }

    #[test]
    fn repetitions_go_and_the_order_stays() {
        let parse = |text: &str| -> Vec<IpAddr> {
            text.split(' ').map(|part| part.parse().unwrap()).collect()
        };
        let given = parse("::2 10.0.0.1 ::2 10.0.0.1 ::1 10.0.0.2");
        assert_eq!(distinct(given), parse("::2 10.0.0.1 ::1 10.0.0.2"));
    }
}
