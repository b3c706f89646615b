//! The variables that a command sees: the inherited ones, the policy's, and those that lead
//! programs to the proxies.

use std::{collections::BTreeMap, ffi::OsString};

use crate::domain::HostPattern;
use crate::host::{Host, Port};
use crate::network::NetworkPolicy;
use crate::policy::{EnvironmentPolicy, Policy};

/// Where the proxies listen, as the command sees it: TCP ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyPorts {
    /// The HTTP proxy's.
    pub http: u16,
    /// The SOCKS5 proxy's.
    pub socks: u16,
}

/// Variables that take the URL of an HTTP proxy, in the spellings that programs look for.
const HTTP_PROXY_VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "DOCKER_HTTP_PROXY",
    "DOCKER_HTTPS_PROXY",
    "GRPC_PROXY",
    "grpc_proxy",
];

/// Variables of programs that speak other protocols too.
const SOCKS_PROXY_VARIABLES: [&str; 4] = ["ALL_PROXY", "all_proxy", "FTP_PROXY", "ftp_proxy"];

/// Variables with the hosts that are reached without a proxy.
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The environment of a command: the inherited one, less the removals, plus ours and the policy's.
#[must_use]
pub fn environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    policy: &Policy,
    ports: ProxyPorts,
) -> BTreeMap<OsString, OsString> {
    let EnvironmentPolicy { remove, set } = &policy.environment;
    let mut variables: BTreeMap<OsString, OsString> = inherited.into_iter().collect();
    for name in remove {
        variables.remove(name);
    }
    let mut put = |name: &str, value: &str| variables.insert(name.into(), value.into());
    let http = format!("http://127.0.0.1:{}", ports.http);
    for name in HTTP_PROXY_VARIABLES {
        put(name, &http);
    }
    // The name is resolved by the proxy (`h`): what a command asks a resolver for is not judged.
    let socks = format!("socks5h://127.0.0.1:{}", ports.socks);
    for name in SOCKS_PROXY_VARIABLES {
        put(name, &socks);
    }
    for name in NO_PROXY_VARIABLES {
        put(name, no_proxy(&policy.network, ports));
    }
    // rsync(1) speaks CONNECT to what RSYNC_PROXY names.
    put("RSYNC_PROXY", &format!("127.0.0.1:{}", ports.http));
    // Node's own http, https and fetch look at the variables above only when told to.
    put("NODE_USE_ENV_PROXY", "1");
    put("CLOUDSDK_PROXY_TYPE", "http");
    put("CLOUDSDK_PROXY_ADDRESS", "127.0.0.1");
    put("CLOUDSDK_PROXY_PORT", &ports.http.to_string());
    put("SANDBOX_RUNTIME", "1");
    for (name, value) in set {
        variables.insert(name.clone(), value.clone());
    }
    variables
}

/// The command's own servers need no proxy, and neither do single ports of the host's loopback, which
/// are there inside as well. Where the policy lists all ports of it, a program that asks for the
/// loopback means the host's; so it does for a port that a proxy has taken inside.
fn no_proxy(policy: &NetworkPolicy, ports: ProxyPorts) -> &'static str {
    let is_taken = |port: Port| [ports.http, ports.socks].contains(&port.get());
    let lists_loopback = policy.allowed().iter().any(|rule| {
        let names_loopback = match &rule.pattern.host {
            HostPattern::Exact(Host::Ip(address)) => address.is_loopback(),
            HostPattern::Exact(host @ Host::Name(_)) => host.is_loopback(),
            HostPattern::Subdomains(_) | HostPattern::Any => false,
        };
        names_loopback && rule.pattern.port.is_none_or(is_taken)
    });
    if lists_loopback {
        ""
    } else {
        "localhost,127.0.0.1,::1"
    }
}
