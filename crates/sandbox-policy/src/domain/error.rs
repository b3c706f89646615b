//! Why a text is not a domain pattern, and what to write instead.

use crate::host::HostError;

/// Why a text is not a domain pattern. The message says what to write instead.
///
/// Whatever could never match a target is an error: an entry of a deny list that denies nothing is
/// a hole that nobody sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainPatternError {
    /// Nothing, or only a port.
    #[error("domain pattern `{text}` names no host: write one, such as `example.com`")]
    NoHost {
        /// The entry.
        text: String,
    },
    /// White space or a control character.
    #[error("domain pattern `{}` contains white space: write one host per entry, such as `example.com`", text.escape_debug())]
    WhiteSpace {
        /// The entry.
        text: String,
    },
    /// `https://example.com`.
    #[error("domain pattern `{text}` has a scheme: write only the host, `{suggestion}`")]
    Scheme {
        /// The entry.
        text: String,
        /// Its host.
        suggestion: String,
    },
    /// `example.com/path`.
    #[error("domain pattern `{text}` has a path: access is granted per host, write `{suggestion}`")]
    UrlPath {
        /// The entry.
        text: String,
        /// Its host.
        suggestion: String,
    },
    /// `10.0.0.0/8`.
    #[error(
        "domain pattern `{text}` is an address range: list single addresses, or put the range into `deniedResolvedAddresses`"
    )]
    AddressRange {
        /// The entry.
        text: String,
    },
    /// `user@example.com`.
    #[error("domain pattern `{text}` has a user name: write only the host, `{suggestion}`")]
    UserInfo {
        /// The entry.
        text: String,
        /// Its host.
        suggestion: String,
    },
    /// `example.com?x` or `example.com#x`.
    #[error("domain pattern `{text}` has a query or fragment: write only the host, `{suggestion}`")]
    Query {
        /// The entry.
        text: String,
        /// Its host.
        suggestion: String,
    },
    /// `*` in an allow list.
    #[error("`{text}` is for deny lists only: name the hosts to allow, such as `*.example.com`")]
    AnyInAllowList {
        /// The entry.
        text: String,
    },
    /// `*example.com`, `a.*.com`, `*.*.b`.
    #[error(
        "domain pattern `{text}` has a misplaced `*`: it stands only for whole labels in front, as in `*.example.com`"
    )]
    Wildcard {
        /// The entry.
        text: String,
    },
    /// `*.com`, `*.localhost`.
    #[error(
        "domain pattern `{text}` covers all of `{apex}`: name a domain in it, such as `*.example.{apex}`"
    )]
    WildcardTooBroad {
        /// The entry.
        text: String,
        /// What is behind the `*.`.
        apex: String,
    },
    /// `*.127.0.0.1`.
    #[error(
        "domain pattern `{text}` puts a wildcard before an address, which has no subdomains: write `{suggestion}`"
    )]
    WildcardAddress {
        /// The entry.
        text: String,
        /// The address.
        suggestion: String,
    },
    /// `vm`.
    #[error(
        "domain pattern `{text}` has a single label: write the full name, such as `{text}.example.com` (only `localhost` stands alone)"
    )]
    SingleLabel {
        /// The entry.
        text: String,
    },
    /// `example.com.`.
    #[error(
        "domain pattern `{text}` ends in a dot: write `{suggestion}`, which covers both spellings"
    )]
    TrailingDot {
        /// The entry.
        text: String,
        /// The entry without it.
        suggestion: String,
    },
    /// `.example.com`.
    #[error(
        "domain pattern `{text}` starts with a dot: write `*{text}` for the subdomains, `{suggestion}` for the domain itself"
    )]
    LeadingDot {
        /// The entry.
        text: String,
        /// The entry without it.
        suggestion: String,
    },
    /// `::1` without brackets.
    #[error("domain pattern `{text}` is an IPv6 address without brackets: write `{suggestion}`")]
    UnbracketedIpv6 {
        /// The entry.
        text: String,
        /// The entry in brackets.
        suggestion: String,
    },
    /// `[fe80::1%eth0]`.
    #[error("domain pattern `{text}` has a zone, which no request carries: write `{suggestion}`")]
    Zone {
        /// The entry.
        text: String,
        /// The entry without its zone.
        suggestion: String,
    },
    /// `example.com:0`, `:080`, `:65536`, `:http`.
    #[error(
        "domain pattern `{text}` has a bad port `{port}`: write 1 to 65535 without leading zeros, or no port for all of them"
    )]
    Port {
        /// The entry.
        text: String,
        /// What is behind the colon.
        port: String,
    },
    /// The host can't exist.
    #[error(
        "domain pattern `{text}` can match no host: write a name such as `example.com`, or an address"
    )]
    Host {
        /// The entry.
        text: String,
        /// What is wrong with it.
        source: HostError,
    },
}
