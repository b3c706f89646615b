//! What would turn a refusal into a permission.

use sandbox_policy::{
    AbsolutePath, DenialReason, FileVerdict, Origin, PROTECTED_PATHS, PathPattern, Policy,
    is_exact, powerful_socket, shell_word, visible,
};
use sandbox_settings::json_text;

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
    /// Whether the value, a path, would be read as a pattern, so that its entry must be
    /// `{"path": …, "literal": true}`.
    pub literal: bool,
}

/// The option and the key that open a path.
const WRITE: (&str, &str) = ("--allow-write", "filesystem.allowWrite");
const READ: (&str, &str) = ("--allow-read", "filesystem.allowRead");

impl Remedy {
    /// What would change a verdict; none where nothing can. The object is the denial's, in which nothing
    /// was made visible yet: what is proposed must be the name itself.
    #[must_use]
    pub fn new(
        reason: DenialReason,
        object: &str,
        rule: Option<&(String, Origin)>,
    ) -> Option<Self> {
        match reason {
            DenialReason::WriteNotAllowed => {
                let place = git_directory(object).unwrap_or(object);
                Some(Self::by_path(WRITE, place))
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
                // The kernel's own rule, which no settings change.
                None if object.starts_with("/proc/") => None,
                None | Some((_, Origin::BuiltIn(_))) => Some(Self::by_path(READ, object)),
                Some(_) => by_rule(rule),
            },
            DenialReason::HostNotAllowed => {
                let key = "network.allowedDomains";
                let text = format!("`--allow-domain {}` or `{key}`", shell_word(object));
                Some(Self::by_entry(text, key, object))
            }
            DenialReason::AddressDenied(_) if rule.is_none() => {
                let key = "network.allowedDomains";
                let object = shell_word(object);
                let text =
                    format!("list the address by its number: `--allow-domain {object}` or `{key}`");
                Some(Self { text, entry: None })
            }
            DenialReason::HostDenied | DenialReason::AddressDenied(_) => by_rule(rule),
            DenialReason::SocketNotListed => Some(by_listing(object)),
            DenialReason::CallRefused => by_switch(rule?.0.as_str(), object),
            DenialReason::MalformedHost
            | DenialReason::LocalhostElsewhere
            | DenialReason::DeciderRefused => None,
        }
    }

    /// What opens a file that a preset closes, whichever file of settings named the preset.
    pub(crate) fn reopening(path: &str) -> Self {
        Self::by_path(READ, path)
    }

    /// An option and a key for a path. No option has a way to say that a path is no pattern.
    fn by_path((option, key): (&str, &'static str), path: &str) -> Self {
        if !is_exact(path) {
            return Self::nameless();
        }
        if PathPattern::is_plain(path) {
            let text = format!("`{option} {}` or `{key}`", shell_word(path));
            return Self::by_entry(text, key, path);
        }
        let quoted = json_text(path);
        let text = format!("`{{\"path\": {quoted}, \"literal\": true}}` in `{key}`");
        let mut remedy = Self::by_entry(text, key, path);
        if let Some(entry) = &mut remedy.entry {
            entry.literal = true;
        }
        remedy
    }

    /// Whatever were written down would be another file's name.
    fn nameless() -> Self {
        let text = "nothing that could be written here: its name has characters that are not shown, \
                    or bytes that are no text; allow the directory that it lies in, or rename it";
        Self {
            text: text.to_owned(),
            entry: None,
        }
    }

    fn by_entry(text: String, key: &'static str, value: &str) -> Self {
        let value = value.to_owned();
        Self {
            text,
            entry: Some(SettingEntry {
                key,
                value,
                literal: false,
            }),
        }
    }
}

/// The git directory that a path lies in, if one that is a write root opens that path.
///
/// git makes and renames many files for one change, none of which helps alone: to allow one is to
/// be refused the next. What programs run or obey in there stays protected.
fn git_directory(path: &str) -> Option<&str> {
    let (start, _) = path.match_indices("/.git/").next()?;
    let directory = path.get(..start + "/.git".len())?;
    AbsolutePath::new(path)
        .is_ok_and(|path| !is_protected(&path))
        .then_some(directory)
}

/// Whether the table closes the path, were everything else open.
pub(crate) fn is_protected(path: &AbsolutePath) -> bool {
    match Policy::restrictive().allow_write("/") {
        Ok(policy) => match policy.filesystem.judge_write(path) {
            FileVerdict::Allow(_) => false,
            FileVerdict::Deny(_) => true,
        },
        Err(_unusable) => true,
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
    if !is_exact(path) {
        return Remedy::nameless();
    }
    let key = "network.allowUnixSockets";
    if path.starts_with('/') && !PathPattern::is_plain(path) {
        let text = format!("a name without `*`, `?` and `[`, as `{key}` takes them for a pattern");
        return Remedy { text, entry: None };
    }
    let quoted = json_text(path);
    let text = format!("`\"allowUnixSockets\": [{quoted}]` in `network`");
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
fn by_switch(call: &str, object: &str) -> Option<Remedy> {
    let (text, key) = match call {
        // Of Unix sockets only those are refused that can send to any path.
        "socket" | "socketpair" if object.contains("(AF_UNIX,") => {
            let text = "the datagram socket of the host that it talks to in `allowUnixSockets` of `network`; \
                        or `\"allowAllUnixSockets\": true` there, which opens every socket of the host";
            return Some(Remedy {
                text: text.to_owned(),
                entry: None,
            });
        }
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
