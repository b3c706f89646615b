//! Text → domain pattern. The order of the checks decides which of several faults is named.

use std::net::{IpAddr, Ipv6Addr};

use super::{DomainPattern, DomainPatternError, HostPattern};
use crate::host::{self, Host, HostError, HostName, Port};

/// Reads an entry in which `*` is legal.
pub(super) fn pattern(text: &str) -> Result<DomainPattern, DomainPatternError> {
    plain(text).map_or_else(|| whole(text), Ok)
}

/// What most entries are, thousands of them in some files: a name in its canonical form, perhaps after
/// `*.`, on all ports.
fn plain(text: &str) -> Option<DomainPattern> {
    let host = match text.strip_prefix("*.") {
        Some(apex) => HostPattern::Subdomains(HostName::plain(apex)?),
        None => HostPattern::Exact(Host::Name(HostName::plain(text)?)),
    };
    Some(DomainPattern { host, port: None })
}

/// Reads any entry, and says what is wrong.
fn whole(text: &str) -> Result<DomainPattern, DomainPatternError> {
    reject_url_parts(text)?;
    let (host_text, port_text) = split_port(text)?;
    let port = port_text.map(|port| parse_port(text, port)).transpose()?;
    let host = host_pattern(text, host_text)?;
    Ok(DomainPattern { host, port })
}

/// Refuses what belongs to URLs, with the host that was probably meant.
fn reject_url_parts(text: &str) -> Result<(), DomainPatternError> {
    let owned = || text.to_owned();
    if text.is_empty() {
        return Err(DomainPatternError::NoHost { text: owned() });
    }
    // None of what is looked for below.
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._*:[]".contains(&byte))
    {
        return Ok(());
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(DomainPatternError::WhiteSpace { text: owned() });
    }
    if text.contains("://") {
        return Err(DomainPatternError::Scheme {
            text: owned(),
            suggestion: probable_host(text),
        });
    }
    if let Some((before, after)) = text.split_once('/') {
        let address = before
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        return Err(if address.is_ok() && after.parse::<u8>().is_ok() {
            DomainPatternError::AddressRange { text: owned() }
        } else {
            DomainPatternError::UrlPath {
                text: owned(),
                suggestion: probable_host(text),
            }
        });
    }
    if text.contains('@') {
        return Err(DomainPatternError::UserInfo {
            text: owned(),
            suggestion: probable_host(text),
        });
    }
    if text.contains(['?', '#']) {
        return Err(DomainPatternError::Query {
            text: owned(),
            suggestion: probable_host(text),
        });
    }
    if let (true, Some((address, zone))) = (text.contains(':'), text.split_once('%')) {
        let rest = zone.split_once(']').map_or("", |(_, rest)| rest);
        let suggestion = format!("[{}]{rest}", address.trim_start_matches('['));
        return Err(DomainPatternError::Zone {
            text: owned(),
            suggestion,
        });
    }
    Ok(())
}

/// What is left of a URL-like text without scheme, user, path, query and fragment.
fn probable_host(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit('@').next().unwrap_or(rest);
    if rest.is_empty() {
        "example.com".to_owned()
    } else {
        rest.to_owned()
    }
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), DomainPatternError> {
    if let Some((inside, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let host = text.get(..inside.len() + 2).unwrap_or(text);
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(impossible(text, HostError::Ipv6)),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, rest)) if rest.contains(':') => Err(if text.parse::<Ipv6Addr>().is_ok() {
            DomainPatternError::UnbracketedIpv6 {
                text: text.to_owned(),
                suggestion: format!("[{text}]"),
            }
        } else {
            impossible(text, HostError::Ipv6)
        }),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

fn parse_port(text: &str, port: &str) -> Result<Port, DomainPatternError> {
    let digits_only = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let number = if digits_only {
        port.parse::<u16>().ok()
    } else {
        None
    };
    number
        .and_then(Port::new)
        .ok_or_else(|| DomainPatternError::Port {
            text: text.to_owned(),
            port: port.to_owned(),
        })
}

fn host_pattern(text: &str, host_text: &str) -> Result<HostPattern, DomainPatternError> {
    if host_text.is_empty() {
        return Err(DomainPatternError::NoHost {
            text: text.to_owned(),
        });
    }
    if host_text == "*" {
        return Ok(HostPattern::Any);
    }
    let Some(apex) = host_text.strip_prefix("*.") else {
        return exact(text, host_text).map(HostPattern::Exact);
    };
    if apex.is_empty() || apex.contains('*') {
        return Err(DomainPatternError::Wildcard {
            text: text.to_owned(),
        });
    }
    match name_or_address(text, apex)? {
        Host::Name(name) if name.as_str().contains('.') => Ok(HostPattern::Subdomains(name)),
        Host::Name(name) => Err(DomainPatternError::WildcardTooBroad {
            text: text.to_owned(),
            apex: name.as_str().to_owned(),
        }),
        address @ Host::Ip(_) => Err(DomainPatternError::WildcardAddress {
            text: text.to_owned(),
            suggestion: address.to_string(),
        }),
    }
}

fn exact(text: &str, host_text: &str) -> Result<Host, DomainPatternError> {
    if host_text.contains('*') {
        return Err(DomainPatternError::Wildcard {
            text: text.to_owned(),
        });
    }
    let host = name_or_address(text, host_text)?;
    match &host {
        Host::Name(name) if !name.as_str().contains('.') && name.as_str() != "localhost" => {
            Err(DomainPatternError::SingleLabel {
                text: host_text.to_owned(),
            })
        }
        Host::Name(_) | Host::Ip(_) => Ok(host),
    }
}

fn name_or_address(text: &str, host_text: &str) -> Result<Host, DomainPatternError> {
    if let Some(inside) = host_text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return host::ipv6(inside).ok_or_else(|| impossible(text, HostError::Ipv6));
    }
    if let Some(suggestion) = host_text
        .strip_suffix('.')
        .filter(|rest| !rest.is_empty() && !rest.ends_with('.'))
    {
        let suggestion = text.replacen(host_text, suggestion, 1);
        return Err(DomainPatternError::TrailingDot {
            text: text.to_owned(),
            suggestion,
        });
    }
    if let Some(suggestion) = host_text
        .strip_prefix('.')
        .filter(|rest| !rest.is_empty() && !rest.starts_with('.'))
    {
        return Err(DomainPatternError::LeadingDot {
            text: text.to_owned(),
            suggestion: suggestion.to_owned(),
        });
    }
    host::canonical(host_text).map_err(|source| impossible(text, source))
}

fn impossible(text: &str, source: HostError) -> DomainPatternError {
    DomainPatternError::Host {
        text: text.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{plain, whole};

    /// What is read quickly is what the whole reader reads.
    #[test]
    fn the_quick_reading_is_the_thorough_one() {
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        let mut texts: Vec<String> = vec![
            long.clone(),
            format!("{long}b"),
            format!("*.{long}"),
            format!("{label}a.test"),
            format!("a.{label}a"),
        ];
        // All short texts over what makes a difference.
        let pieces = [
            "",
            "a",
            "Z",
            "0",
            "-",
            "_",
            ".",
            "*",
            "*.",
            "xn--",
            "0x",
            ":",
            ":1",
            "[",
            "localhost",
            "é",
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    for four in pieces {
                        texts.push([one, two, three, four].concat());
                    }
                }
            }
        }
        let mut quick = 0;
        for text in texts {
            if let Some(pattern) = plain(&text) {
                quick += 1;
                assert_eq!(Ok(pattern), whole(&text), "{text}");
            }
        }
        assert!(quick > 100, "{quick}");
        for text in [
            "a.example.com",
            "*.example.com",
            "0.a-b.c1",
            "xn-.test",
            "axn--b.test",
        ] {
            assert!(plain(text).is_some(), "{text}");
        }
        for text in [
            "xn--a.test",
            "a.xn--b",
            "a.0x1",
            "a.1",
            "a..b",
            ".a.b",
            "a.b.",
            "a",
            "A.b",
            "*.b",
        ] {
            assert!(plain(text).is_none(), "{text}");
        }
    }
}
