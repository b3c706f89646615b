//! What the environment of `srt` says about proxies: a layer below all files.

use std::{ffi::OsString, sync::Arc};

use sandbox_policy::{Origin, ParentChoice, ParentProxyError, ProxyBypass};

use crate::statement::{Effect, ProxyKind, Statement};

/// Variables that programs find their proxies by, as `srt` has them. An empty value is none.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "these are the variables")]
pub struct ProxyVariables {
    /// `HTTP_PROXY`, else `http_proxy`.
    pub http: Option<OsString>,
    /// `HTTPS_PROXY`, else `https_proxy`.
    pub https: Option<OsString>,
    /// `ALL_PROXY`, else `all_proxy`: where there is no other.
    pub all: Option<OsString>,
    /// `NO_PROXY`, else `no_proxy`.
    pub no_proxy: Option<OsString>,
}

impl ProxyVariables {
    /// What they say. A value that is no proxy stands for one that can't be used: what would go
    /// through it is refused, and not dialled.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut state = |key: &'static str, text: String, effect| {
            let origin = Origin::Flag(Arc::from(format!("{key} of the environment")));
            statements.push(Statement {
                key,
                text,
                origin,
                effect,
            });
        };
        let all = self.all.as_ref().map(|url| ("ALL_PROXY", url));
        let http = self.http.as_ref().map(|url| ("HTTP_PROXY", url)).or(all);
        let https = self.https.as_ref().map(|url| ("HTTPS_PROXY", url));
        for (kind, found) in [(ProxyKind::Http, http), (ProxyKind::Https, https)] {
            if let Some((key, url)) = found {
                let scheme = ParentChoice::Unusable(ParentProxyError::Scheme);
                let choice = url.to_str().map_or(scheme, ParentChoice::read);
                let text = choice.to_string();
                state(key, text, Effect::ParentProxy(kind, choice));
            }
        }
        if let Some(list) = self.no_proxy.as_ref().and_then(|list| list.to_str()) {
            let effect = Effect::ProxyBypass(ProxyBypass::parse(list));
            state("NO_PROXY", list.to_owned(), effect);
        }
        statements
    }
}
