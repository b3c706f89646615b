//! Gates: cases that are known not to hold yet, or differ on purpose, each with its reason.
//!
//! A gated case still runs. When it starts to pass, the run fails: the gate is stale and must
//! be removed, so the list never hides what works.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use crate::skip::skipped_here;
use crate::subject::{Subject, subject};

/// The gates of one suite: case name to reason.
#[derive(Debug)]
pub struct Gates {
    reasons: BTreeMap<String, String>,
}

impl Gates {
    /// Reads `{"cases": {"name": "reason"}}`.
    ///
    /// # Panics
    /// When the text is something else, or a reason is empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).expect("gates are JSON");
        let cases = value
            .get("cases")
            .and_then(Value::as_object)
            .expect("gates hold `cases`");
        let reason = |(name, reason): (&String, &Value)| {
            let reason = reason
                .as_str()
                .filter(|text| !text.is_empty())
                .expect("each gate has a reason");
            (name.clone(), reason.to_owned())
        };
        Self {
            reasons: cases.iter().map(reason).collect(),
        }
    }

    /// The names that are gated.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.reasons.keys().map(String::as_str)
    }

    /// Runs a case and judges it with its gate; upstream's tool has none.
    ///
    /// # Errors
    /// When a case fails without a gate, or passes with one.
    pub fn run(&self, name: &str, case: impl FnOnce()) -> Result<(), String> {
        let gate = self
            .reasons
            .get(name)
            .filter(|_| subject() == Subject::Ours);
        let skips = skipped_here();
        let outcome = catch_unwind(AssertUnwindSafe(case));
        // A case that was not run says nothing about its gate.
        if outcome.is_ok() && skipped_here() > skips {
            return Ok(());
        }
        match (outcome, gate) {
            (Ok(()), None) | (Err(_), Some(_)) => Ok(()),
            (Ok(()), Some(reason)) => Err(format!(
                "stale gate: `{name}` passes now (it was gated: {reason})"
            )),
            (Err(cause), None) => {
                let message = cause
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| cause.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                Err(format!("`{name}` failed: {message}"))
            }
        }
    }
}
