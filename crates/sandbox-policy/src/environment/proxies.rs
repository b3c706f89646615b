//! The variables that a command sees: the inherited ones, the policy's, and those that lead
//! programs to the proxies.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::VariableVerdict;
use crate::domain::HostPattern;
use crate::host::{Host, Port};
use crate::network::NetworkPolicy;
use crate::policy::Policy;
use crate::ports::HostPort;

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

/// Variables of single tools, which go before those above. An inherited one names a proxy that is not
/// there inside, so it gets ours; none is made up.
const TOOL_PROXY_VARIABLES: [&str; 16] = [
    "CARGO_HTTP_PROXY",
    "GLOBAL_AGENT_HTTPS_PROXY",
    "GLOBAL_AGENT_HTTP_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_HTTP_PROXY",
    "NPM_CONFIG_PROXY",
    "PIP_PROXY",
    "WSS_PROXY",
    "WS_PROXY",
    "YARN_HTTPS_PROXY",
    "YARN_HTTP_PROXY",
    "npm_config_http_proxy",
    "npm_config_https_proxy",
    "npm_config_proxy",
    "ws_proxy",
    "wss_proxy",
];
const TOOL_SOCKS_VARIABLES: [&str; 2] = ["SOCKS_PROXY", "socks_proxy"];
const TOOL_NO_PROXY_VARIABLES: [&str; 5] = [
    "GLOBAL_AGENT_NO_PROXY",
    "NO_GRPC_PROXY",
    "NPM_CONFIG_NOPROXY",
    "no_grpc_proxy",
    "npm_config_noproxy",
];

/// Logins for a proxy that wants one. Ours does not, and gets to see none.
const LOGIN_VARIABLES: [&str; 2] = ["CLOUDSDK_PROXY_PASSWORD", "CLOUDSDK_PROXY_USERNAME"];

/// The environment of a command: what the policy lets through of the inherited one, plus ours and
/// the policy's values.
/// `joined` are the ports of the host's loopback that are reached without a proxy, too.
#[must_use]
pub fn environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    policy: &Policy,
    ports: ProxyPorts,
    joined: &[HostPort],
) -> BTreeMap<OsString, OsString> {
    let passes = |name: &OsString| match policy.environment.judge(name) {
        VariableVerdict::Inherit(_) => true,
        VariableVerdict::Set(_) | VariableVerdict::Remove(_) => false,
    };
    let inherited = inherited.into_iter();
    let mut variables: BTreeMap<OsString, OsString> =
        inherited.filter(|(name, _)| passes(name)).collect();
    for name in LOGIN_VARIABLES {
        variables.remove(OsStr::new(name));
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
    let no_proxy = no_proxy(&policy.network, joined);
    for name in NO_PROXY_VARIABLES {
        put(name, no_proxy);
    }
    // rsync(1) speaks CONNECT to what RSYNC_PROXY names.
    put("RSYNC_PROXY", &format!("127.0.0.1:{}", ports.http));
    // Node's own http, https and fetch look at the variables above only when told to.
    put("NODE_USE_ENV_PROXY", "1");
    put("CLOUDSDK_PROXY_TYPE", "http");
    put("CLOUDSDK_PROXY_ADDRESS", "127.0.0.1");
    put("CLOUDSDK_PROXY_PORT", &ports.http.to_string());
    put("SANDBOX_RUNTIME", "1");
    for (names, value) in [
        (&TOOL_PROXY_VARIABLES[..], http.as_str()),
        (&TOOL_SOCKS_VARIABLES, &socks),
        (&TOOL_NO_PROXY_VARIABLES, no_proxy),
    ] {
        for name in names {
            if let Some(inherited) = variables.get_mut(OsStr::new(name)) {
                *inherited = value.into();
            }
        }
    }
    for value in &policy.environment.set {
        if let VariableVerdict::Set(chosen) = policy.environment.judge(&value.name) {
            variables.insert(chosen.name.clone(), chosen.value.clone());
        }
    }
    variables
}

/// The command's own servers need no proxy, and neither do joined ports of the host's loopback. Where
/// the policy lists more of it, a program that asks for the loopback means the host's.
fn no_proxy(policy: &NetworkPolicy, joined: &[HostPort]) -> &'static str {
    let is_joined = |port: Port| joined.iter().any(|host| host.port == port);
    let lists_loopback = policy.allowed().iter().any(|rule| {
        let names_loopback = match &rule.pattern.host {
            HostPattern::Exact(Host::Ip(address)) => address.is_loopback(),
            HostPattern::Exact(host @ Host::Name(_)) => host.is_loopback(),
            HostPattern::Subdomains(_) | HostPattern::Any => false,
        };
        names_loopback && !rule.pattern.port.is_some_and(is_joined)
    });
    if lists_loopback {
        ""
    } else {
        "localhost,127.0.0.1,::1"
    }
}
