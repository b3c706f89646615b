//! What was enforced and what was refused.

use std::{fmt, sync::Arc};

use crate::violation::{Violation, ViolationStore};

/// A snapshot of a sandbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The layers and their state.
    pub layers: Vec<LayerReport>,
    /// What is not enforced exactly.
    pub notices: Vec<String>,
    /// The latest refusals, oldest first.
    pub violations: Vec<Arc<Violation>>,
    /// How many there were in all.
    pub violation_count: u64,
    /// How many of them tell a reader different things ([`ViolationStore::distinct`]).
    pub distinct_violations: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerReport {
    /// Its name.
    pub name: &'static str,
    /// Its state.
    pub enforcement: Enforcement,
    /// Details.
    pub detail: String,
}

/// How far a layer is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further state must break every match"
)]
pub enum Enforcement {
    /// As asked for.
    Full,
    /// In part: the settings asked for less, or the host offers less.
    Partial,
    /// Not at all.
    None,
}

impl Report {
    pub(crate) fn new(
        layers: Vec<LayerReport>,
        notices: Vec<String>,
        violations: &ViolationStore,
    ) -> Self {
        Self {
            layers,
            notices,
            violations: violations.latest(),
            violation_count: violations.total(),
            distinct_violations: violations.distinct(),
        }
    }
}

impl LayerReport {
    pub(crate) fn new(name: &'static str, enforcement: Enforcement, detail: String) -> Self {
        Self {
            name,
            enforcement,
            detail,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            let state = match layer.enforcement {
                Enforcement::Full => "full",
                Enforcement::Partial => "partial",
                Enforcement::None => "none",
            };
            writeln!(f, "{}: {state} ({})", layer.name, layer.detail)?;
        }
        for notice in &self.notices {
            writeln!(f, "notice: {notice}")?;
        }
        for violation in &self.violations {
            writeln!(f, "refused: {violation}")?;
        }
        Ok(())
    }
}
