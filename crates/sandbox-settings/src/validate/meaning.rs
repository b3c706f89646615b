//! What a text has to mean, by its `format`.

use std::{ffi::OsStr, net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use sandbox_policy::{
    DeviceRule, DomainPattern, ParentChoice, PathBase, PathError, PathPattern, PatternError,
    PatternSyntax, PortMapping, ProxyBypass, VariablePattern, VariablePatternError,
};

use crate::{
    error::SettingsErrorKind,
    permission::{self, Purpose, Rule},
    wire::text,
};

/// A mistake in a text, without its place.
pub(super) struct Mistake {
    pub(super) kind: SettingsErrorKind,
    pub(super) help: Option<String>,
}

/// Checks a text of a `format`. Formats that are only for other readers of the schema mean nothing
/// here.
pub(super) fn check(format: &str, text: &str, base: &PathBase) -> Result<(), Mistake> {
    match format {
        text::ALLOWED_DOMAIN => check_domain(text, List::Allow),
        text::DENIED_DOMAIN => check_domain(text, List::Deny),
        text::PATH_PATTERN => check_path(text, PatternSyntax::Glob, base),
        text::LITERAL_PATH => check_path(text, PatternSyntax::Literal, base),
        text::ABSOLUTE_PATH => check_absolute(text, base),
        text::ADDRESS_RANGE => check_address(text),
        text::DEVICE_PATH if DeviceRule::path(text).is_none() => {
            let text = text.to_owned();
            Err(plain(SettingsErrorKind::Device { text }))
        }
        text::VARIABLE_PATTERN => check_variable(text, VariablePattern::parse(text).map(|_| ())),
        text::VARIABLE_NAME => check_variable(text, VariablePattern::name(text).map(|_| ())),
        text::PORT_MAPPING => check_mapping(text),
        text::PROXY_URL => check_proxy(text),
        text::PROXY_BYPASS => check_bypass(text),
        text::GRANTING_RULE => check_rule(text, List::Allow, base),
        text::REFUSING_RULE => check_rule(text, List::Deny, base),
        _ => Ok(()),
    }
}

/// An address or a CIDR range.
pub(crate) fn parse_address(text: &str) -> Option<IpNet> {
    let range = text.parse::<IpNet>().ok();
    range.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Which kind of list an entry stands in: `*` is legal in deny lists only.
#[derive(Clone, Copy)]
enum List {
    Allow,
    Deny,
}

fn check_domain(text: &str, list: List) -> Result<(), Mistake> {
    let parsed = match list {
        List::Allow => DomainPattern::parse_allow(text),
        List::Deny => DomainPattern::parse_deny(text),
    };
    parsed.map(|_| ()).map_err(|source| {
        let text = text.to_owned();
        plain(SettingsErrorKind::Domain { text, source })
    })
}

fn check_path(text: &str, syntax: PatternSyntax, base: &PathBase) -> Result<(), Mistake> {
    let parsed = PathPattern::parse(OsStr::new(text), syntax, base);
    parsed.map(|_| ()).map_err(|source| bad_path(text, source))
}

fn check_absolute(text: &str, base: &PathBase) -> Result<(), Mistake> {
    check_path(text, PatternSyntax::Literal, base)?;
    if text.starts_with('/') {
        Ok(())
    } else {
        let path = PathBuf::from(text);
        Err(bad_path(
            text,
            PatternError::Path(PathError::Relative { path }),
        ))
    }
}

fn check_address(text: &str) -> Result<(), Mistake> {
    if parse_address(text).is_some() {
        return Ok(());
    }
    let help = "write an address or a range: `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`";
    Err(Mistake {
        kind: SettingsErrorKind::Address {
            text: text.to_owned(),
        },
        help: Some(help.to_owned()),
    })
}

fn check_variable(text: &str, parsed: Result<(), VariablePatternError>) -> Result<(), Mistake> {
    parsed.map_err(|source| {
        let text = text.to_owned();
        plain(SettingsErrorKind::Variable { text, source })
    })
}

fn check_mapping(text: &str) -> Result<(), Mistake> {
    PortMapping::parse(text).map(drop).map_err(|source| {
        let text = text.to_owned();
        plain(SettingsErrorKind::PublishedPort { text, source })
    })
}

fn check_proxy(text: &str) -> Result<(), Mistake> {
    let ParentChoice::Unusable(source) = ParentChoice::read(text) else {
        return Ok(());
    };
    Err(plain(SettingsErrorKind::ParentProxy { source }))
}

fn check_bypass(text: &str) -> Result<(), Mistake> {
    let read = ProxyBypass::read(text).map(drop);
    read.map_err(|source| plain(SettingsErrorKind::ParentProxy { source }))
}

fn check_rule(rule: &str, list: List, base: &PathBase) -> Result<(), Mistake> {
    let purpose = match list {
        List::Allow => Purpose::Permit,
        List::Deny => Purpose::Refuse,
    };
    match permission::parse(rule, purpose) {
        Ok(Rule::Edit(path) | Rule::Read(path)) => check_path(path, PatternSyntax::Gitignore, base),
        Ok(Rule::Host(host)) => check_domain(host, list),
        Ok(Rule::Whole(_) | Rule::Foreign) => Ok(()),
        Err(bad) => Err(Mistake {
            kind: SettingsErrorKind::PermissionRule {
                text: rule.to_owned(),
                reason: bad.reason,
            },
            help: bad.help,
        }),
    }
}

fn bad_path(text: &str, source: PatternError) -> Mistake {
    plain(SettingsErrorKind::Path {
        text: text.to_owned(),
        source,
    })
}

fn plain(kind: SettingsErrorKind) -> Mistake {
    Mistake { kind, help: None }
}
