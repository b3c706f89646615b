//! Which variables a command sees.
//!
//! Everything is inherited: `deny` closes, `allow` re-opens inside, and the more specific pattern
//! wins: a name before any pattern, then the one with more plain characters; where neither is more
//! specific the deny wins, unless both name the very same. A deny of one layer stands against the
//! allows of others, as with reads ([`Firmness`]). `set` gives a variable a value of its own where
//! an allow of that name would pass.

mod pattern;
mod proxies;
mod tables;

pub use pattern::{VariablePattern, VariablePatternError};
pub use proxies::{ProxyPorts, environment};
pub use tables::{BASIC_VARIABLES, SECRET_VARIABLES, STARTUP_VARIABLES, TableVariable};
pub(crate) use tables::{basic_variables, secret_variables};

use std::ffi::{OsStr, OsString};

use crate::filesystem::{Firmness, LayerId};
use crate::origin::Origin;
use crate::parent_proxy::ParentProxies;

/// One rule about variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableRule {
    /// What it names.
    pub pattern: VariablePattern,
    /// Where it was written.
    pub origin: Origin,
}

/// Takes variables out of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableDeny {
    /// The rule.
    pub rule: VariableRule,
    /// Who may re-open it.
    pub firmness: Firmness,
}

/// Lets variables through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableAllow {
    /// The rule.
    pub rule: VariableRule,
    /// The layer that it speaks for.
    pub layer: LayerId,
}

/// Gives a variable a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableValue {
    /// Its name.
    pub name: OsString,
    /// Its value.
    pub value: OsString,
    /// Where it was written.
    pub origin: Origin,
    /// The layer that it speaks for.
    pub layer: LayerId,
}

/// What the child's environment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentPolicy {
    /// Closed variables.
    pub deny: Vec<VariableDeny>,
    /// Re-opened ones.
    pub allow: Vec<VariableAllow>,
    /// Values of the policy's own; the last one of a name counts.
    pub set: Vec<VariableValue>,
}

/// The answer for one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum VariableVerdict<'p> {
    /// It is inherited, by this rule; `None` where the default decided.
    Inherit(Option<&'p VariableRule>),
    /// It has this value.
    Set(&'p VariableValue),
    /// The command does not see it.
    Remove(&'p VariableRule),
}

impl EnvironmentPolicy {
    /// Everything is inherited.
    #[must_use]
    pub fn inherited() -> Self {
        Self {
            deny: Vec::new(),
            allow: Vec::new(),
            set: Vec::new(),
        }
    }

    /// Closes the variables that hold a login of these proxies, whatever their names: a rule that names
    /// one re-opens it.
    pub fn deny_logins(
        &mut self,
        proxies: &ParentProxies,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
    ) {
        if !proxies.have_login() {
            return;
        }
        for (name, value) in inherited {
            let Ok(pattern) = VariablePattern::name(&name).and_then(VariablePattern::parse) else {
                continue;
            };
            if proxies.are_told_by(&value) {
                let origin = Origin::PROXY_LOGIN;
                self.deny.push(VariableDeny {
                    rule: VariableRule { pattern, origin },
                    firmness: Firmness::Default,
                });
            }
        }
    }

    /// What does the command see of this variable?
    pub fn judge(&self, name: &OsStr) -> VariableVerdict<'_> {
        let values = || self.set.iter().filter(|value| value.name == name);
        let mut standing: Option<&VariableRule> = None;
        let mut opening: Option<&VariableRule> = None;
        for deny in &self.deny {
            let closes = &deny.rule.pattern;
            if !closes.matches(name) {
                continue;
            }
            let is_set = values().any(|value| may_reopen(value.layer, deny.firmness));
            let mut allows = self.allow.iter();
            let allow = allows.find(|allow| {
                may_reopen(allow.layer, deny.firmness)
                    && allow.rule.pattern.matches(name)
                    && allow.rule.pattern.reopens(closes)
            });
            match allow {
                Some(allow) => opening = Some(&allow.rule),
                None if is_set => {}
                None => standing = standing.or(Some(&deny.rule)),
            }
        }
        match (standing, values().next_back()) {
            (Some(rule), _) => VariableVerdict::Remove(rule),
            (None, Some(value)) => VariableVerdict::Set(value),
            (None, None) => VariableVerdict::Inherit(opening),
        }
    }
}

/// Whether an allow of this layer may re-open.
fn may_reopen(layer: LayerId, firmness: Firmness) -> bool {
    match firmness {
        Firmness::Default => true,
        Firmness::Layer(own) => own == layer,
        Firmness::Final => false,
    }
}
