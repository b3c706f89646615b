//! The variables that the command sees: the policy's, with a temporary directory that exists
//! inside.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use sandbox_policy::{AbsolutePath, FilesystemPolicy, HostPort, Policy, ProxyPorts};

use crate::facts::Endpoints;

/// The environment of a command: what the policy lets through of the inherited one, plus ours and
/// the policy's values. `joined` are the plan's ports of the host.
#[must_use]
pub fn environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    policy: &Policy,
    endpoints: Endpoints,
    joined: &[HostPort],
) -> BTreeMap<OsString, OsString> {
    let mut inherited: BTreeMap<OsString, OsString> = inherited.into_iter().collect();
    // Before the policy is asked, as it has the last word about this variable too.
    if let Some(directory) = temporary_directory(&inherited, &policy.filesystem) {
        inherited.insert("TMPDIR".into(), directory);
    }
    let ports = ProxyPorts {
        http: endpoints.http_port,
        socks: endpoints.socks_port,
    };
    sandbox_policy::environment(inherited, policy, ports, joined)
}

/// `/tmp` where the inherited `TMPDIR` would name a directory that does not exist inside.
fn temporary_directory(
    variables: &BTreeMap<OsString, OsString>,
    policy: &FilesystemPolicy,
) -> Option<OsString> {
    let inherited = variables.get(OsStr::new("TMPDIR"))?;
    if inherited.as_bytes() == b"/tmp" {
        return None;
    }
    let writable = AbsolutePath::new(inherited).is_ok_and(|path| {
        policy
            .allow_write
            .iter()
            .any(|root| root.rule.pattern.opens(&path).is_some())
    });
    (!writable).then(|| "/tmp".into())
}
