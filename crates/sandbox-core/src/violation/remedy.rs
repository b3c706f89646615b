//! What would turn a refusal into a permission.

use sandbox_policy::{
    AbsolutePath, DenialReason, Origin, PROTECTED_PATHS, PathPattern, powerful_socket, visible,
};

/// What to change so that an attempt is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// For people.
    pub text: String,
    /// The entry of the settings that would do it; none where a rule must be changed in its place.
    pub entry: Option<SettingEntry>,
}

/// An entry of a settings file in the flat format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingEntry {
    /// The key, such as `filesystem.allowWrite`.
    pub key: &'static str,
    /// One value of its list; `true` for a switch.
    pub value: String,
}

impl Remedy {
    /// What would change a verdict; none where nothing can.
    #[must_use]
    pub fn new(
        reason: DenialReason,
        object: &str,
        rule: Option<&(String, Origin)>,
    ) -> Option<Self> {
        let option = |option: &str, key: &'static str, value: &str| {
            let text = format!("`{option} {value}` or `{key}`");
            Some(Self::by_entry(text, key, value))
        };
        match reason {
            DenialReason::WriteNotAllowed => {
                option("--allow-write", "filesystem.allowWrite", object)
            }
            DenialReason::WriteDenied => match protected(rule) {
                Some(row) => {
                    let text = format!(
                        "`\"unprotect\": [\"{row}\"]` in `filesystem`, or an `allowWrite` that names the place itself"
                    );
                    Some(Self::by_entry(text, "filesystem.unprotect", row))
                }
                None => by_rule(rule),
            },
            DenialReason::ReadDenied => match rule {
                Some((_, origin)) if *origin == Origin::PROXY_LOGIN => Some(Self {
                    text: "keep the login of the proxy elsewhere, such as in `$HTTPS_PROXY`"
                        .to_owned(),
                    entry: None,
                }),
                Some((_, Origin::BuiltIn(_))) => {
                    option("--allow-read", "filesystem.allowRead", object)
                }
                Some(_) => by_rule(rule),
                None => option("--allow-read", "filesystem.allowRead", object),
            },
            DenialReason::HostNotAllowed => {
                option("--allow-domain", "network.allowedDomains", object)
            }
            DenialReason::AddressDenied(_) if rule.is_none() => {
                let key = "network.allowedDomains";
                let text =
                    format!("list the address by its number: `--allow-domain {object}` or `{key}`");
                Some(Self { text, entry: None })
            }
            DenialReason::HostDenied | DenialReason::AddressDenied(_) => by_rule(rule),
            DenialReason::SocketNotListed => Some(by_listing(object)),
            DenialReason::CallRefused => by_switch(rule?.0.as_str()),
            DenialReason::MalformedHost
            | DenialReason::LocalhostElsewhere
            | DenialReason::DeciderRefused => None,
        }
    }

    /// What opens a file that a preset closes, whichever file of settings named the preset.
    pub(crate) fn reopening(path: &str) -> Self {
        let key = "filesystem.allowRead";
        Self::by_entry(format!("`--allow-read {path}` or `{key}`"), key, path)
    }

    fn by_entry(text: String, key: &'static str, value: &str) -> Self {
        let value = value.to_owned();
        Self {
            text,
            entry: Some(SettingEntry { key, value }),
        }
    }
}

/// The protected name that refused a change, by which settings can open it.
fn protected(rule: Option<&(String, Origin)>) -> Option<&'static str> {
    let Some((text, Origin::BuiltIn(_))) = rule else {
        return None;
    };
    let row = PROTECTED_PATHS.iter().find(|row| row.path == text);
    row.map(|row| row.path)
}

/// The rule is to be changed where it is.
fn by_rule(rule: Option<&(String, Origin)>) -> Option<Remedy> {
    let (rule, origin) = rule?;
    let text = match origin {
        Origin::File { .. } => format!("change `{rule}` at {origin}"),
        Origin::Flag(flag) => format!("leave out `{flag}`"),
        Origin::Program => "change the host program's policy".to_owned(),
        Origin::BuiltIn(_) => return None,
    };
    let text = visible(&text);
    Some(Remedy { text, entry: None })
}

/// A socket of the host's. One that gives the host away is nothing to be proposed.
fn by_listing(path: &str) -> Remedy {
    let key = "network.allowUnixSockets";
    let text = format!("`\"allowUnixSockets\": [\"{path}\"]` in `network`");
    let pattern = AbsolutePath::new(path).map(PathPattern::Subtree);
    match pattern.ok().and_then(|pattern| powerful_socket(&pattern)) {
        Some(socket) => Remedy {
            text: format!("{text}, but {}", socket.consequence),
            entry: None,
        },
        None => Remedy::by_entry(text, key, path),
    }
}

/// The setting that opens a call, if one does (`SURFACE` of `sandbox-linux` has them too).
fn by_switch(call: &str) -> Option<Remedy> {
    let (text, key) = match call {
        "unshare" | "clone" | "setns" | "chroot" => (
            "`\"allowNestedUserNamespaces\": true`",
            "allowNestedUserNamespaces",
        ),
        "ptrace" | "process_vm_readv" | "process_vm_writev" => {
            ("`--allow-ptrace` or `\"allowPtrace\": true`", "allowPtrace")
        }
        _ => return None,
    };
    let text = format!("{text}, which weakens the sandbox");
    Some(Remedy::by_entry(text, key, "true"))
}
