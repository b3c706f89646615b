//! An answer as text and as JSON.

use sandbox_core::Origin;
use serde_json::{Value, json};

use super::Answer;
use crate::message;

/// The word for a verdict.
pub(super) fn verdict(is_allowed: bool) -> &'static str {
    if is_allowed { "allow" } else { "deny" }
}

/// For people: the verdict, then why.
pub(super) fn text(answer: &Answer) -> String {
    let Answer {
        explanation,
        hint,
        remarks,
    } = answer;
    let word = verdict(explanation.is_allowed());
    let mut lines = vec![format!(
        "{word} {} {}",
        explanation.operation, explanation.object
    )];
    if let Some(place) = &explanation.leads_to {
        lines.push(format!("leads to: {place}"));
    }
    let reason = explanation.reason;
    lines.push(format!("reason: {reason} ({})", reason.code()));
    if let Some((rule, origin)) = &explanation.rule {
        lines.push(format!("rule: `{rule}` of {origin}"));
    }
    if let Some(note) = &explanation.note {
        lines.push(format!("note: {note}"));
    }
    lines.extend(remarks.iter().map(|remark| format!("also: {remark}")));
    if let Some(hint) = hint {
        lines.push(format!("to allow it: {hint}"));
    }
    let visible = lines.iter().map(|line| message::visible(line));
    visible.map(|line| format!("{line}\n")).collect()
}

/// For programs.
pub(super) fn json(answer: &Answer) -> Value {
    let Answer {
        explanation,
        hint,
        remarks,
    } = answer;
    let (rule, origin) = match &explanation.rule {
        Some((rule, origin)) => (Some(rule), Some(place(origin))),
        None => (None, None),
    };
    json!({
        "verdict": verdict(explanation.is_allowed()),
        "operation": explanation.operation,
        "object": explanation.object,
        "leadsTo": explanation.leads_to,
        "reason": explanation.reason.code(),
        "rule": rule,
        "origin": origin,
        "note": explanation.note,
        "remarks": remarks,
        "hint": hint,
    })
}

fn place(origin: &Origin) -> Value {
    match origin {
        Origin::File { path, line, column } => json!({
            "file": path.display().to_string(),
            "line": line,
            "column": column,
        }),
        Origin::BuiltIn(_) | Origin::Flag(_) | Origin::Program => Value::from(origin.to_string()),
    }
}
