//! What would change a verdict.

use sandbox_core::{
    Attempt, DenialReason, DeviceRule, ExplainedReason, Explanation, RefusalReason, Remedy,
    shell_word,
};

/// What to change so that a refusal becomes a permission; none where nothing can.
pub(super) fn hint(attempt: &Attempt, explanation: &Explanation) -> Option<String> {
    let ExplainedReason::Refused(reason) = explanation.reason else {
        return None;
    };
    match reason {
        RefusalReason::Policy(reason) => by_policy(attempt, explanation, reason),
        RefusalReason::SocketsClosed => {
            by_policy(attempt, explanation, DenialReason::SocketNotListed)
        }
        RefusalReason::BehindProtectedLink => {
            by_policy(attempt, explanation, DenialReason::WriteDenied)
        }
        RefusalReason::InRepository => Some(
            "`unprotect` in `filesystem`, with the name that it has in a `.git`: `.git/hooks`, `.git/config`".to_owned(),
        ),
        RefusalReason::NotShared => {
            Some("create the directory that the rule names, before the command runs".to_owned())
        }
        RefusalReason::OwnTree if DeviceRule::path(&explanation.object).is_some() => Some(format!(
            "`--device {}` or `filesystem.devices`, if the host has it",
            shell_word(&explanation.object)
        )),
        RefusalReason::OwnTree | RefusalReason::SocketHidden | RefusalReason::LinkLoop => None,
    }
}

fn by_policy(attempt: &Attempt, explanation: &Explanation, reason: DenialReason) -> Option<String> {
    if reason == DenialReason::MalformedHost {
        let has_port = matches!(attempt, Attempt::Connect { .. });
        return has_port.then(|| "give a name or an address, and a port".to_owned());
    }
    let place = explanation.leads_to.as_ref().unwrap_or(&explanation.object);
    let remedy = Remedy::new(reason, place, explanation.rule.as_ref());
    remedy.map(|remedy| remedy.text)
}
