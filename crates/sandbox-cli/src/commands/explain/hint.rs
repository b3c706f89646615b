//! What would change a verdict.

use crate::denials::warning;

use sandbox_core::{Attempt, DenialReason, ExplainedReason, Explanation, Origin, RefusalReason};

/// What to change so that a refusal becomes a permission; none where nothing can.
pub(super) fn hint(attempt: &Attempt, explanation: &Explanation) -> Option<String> {
    let ExplainedReason::Refused(reason) = explanation.reason else {
        return None;
    };
    match reason {
        RefusalReason::Policy(reason) => by_policy(attempt, explanation, reason),
        RefusalReason::SocketsClosed => {
            let place = explanation.leads_to.as_ref().unwrap_or(&explanation.object);
            Some(format!(
                "`\"allowUnixSockets\": [\"{place}\"]` in `network`{}",
                warning(place)
            ))
        }
        RefusalReason::BehindProtectedLink => Some(
            "name the place in `filesystem.allowWrite` by the protected path's own name".to_owned(),
        ),
        RefusalReason::NotShared => {
            Some("create the directory that the rule names, before the command runs".to_owned())
        }
        RefusalReason::OwnTree | RefusalReason::SocketHidden | RefusalReason::LinkLoop => None,
    }
}

fn by_policy(attempt: &Attempt, explanation: &Explanation, reason: DenialReason) -> Option<String> {
    let place = explanation.leads_to.as_ref().unwrap_or(&explanation.object);
    match reason {
        DenialReason::WriteNotAllowed => Some(format!(
            "`--allow-write {place}` or `filesystem.allowWrite`"
        )),
        DenialReason::WriteDenied => match explanation.protected_path() {
            Some(row) => Some(format!(
                "`\"unprotect\": [\"{row}\"]` in `filesystem`, or an `allowWrite` that names the place itself"
            )),
            None => rule(explanation),
        },
        DenialReason::ReadDenied => match &explanation.rule {
            Some((_, Origin::BuiltIn(_))) | None => {
                Some(format!("`--allow-read {place}` or `filesystem.allowRead`"))
            }
            Some(_) => rule(explanation),
        },
        DenialReason::HostNotAllowed => Some(format!(
            "`--allow-domain {}` or `network.allowedDomains`",
            explanation.object
        )),
        DenialReason::AddressDenied(_) if explanation.rule.is_none() => Some(format!(
            "list the address by its number: `--allow-domain {}` or `network.allowedDomains`",
            explanation.object
        )),
        DenialReason::HostDenied | DenialReason::AddressDenied(_) => rule(explanation),
        DenialReason::MalformedHost => {
            let has_port = matches!(attempt, Attempt::Connect { .. });
            has_port.then(|| "give a name or an address, and a port".to_owned())
        }
        DenialReason::LocalhostElsewhere
        | DenialReason::DeciderRefused
        | DenialReason::SocketNotListed => None,
    }
}

/// The rule is to be changed where it is.
fn rule(explanation: &Explanation) -> Option<String> {
    let (rule, origin) = explanation.rule.as_ref()?;
    match origin {
        Origin::File { .. } => Some(format!("change `{rule}` at {origin}")),
        Origin::Flag(flag) => Some(format!("leave out `{flag}`")),
        Origin::Program => Some("change the host program's policy".to_owned()),
        Origin::BuiltIn(_) => None,
    }
}
