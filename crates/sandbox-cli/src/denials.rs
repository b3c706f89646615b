//! What the proxies refused, in a few lines after the run.

use sandbox_core::{Denial, DenialReason, Report, settings::IgnoredViolation};

/// The lines to print: each distinct refusal once, and how many there are more.
pub(crate) fn summary(report: &Report, ignored: &[IgnoredViolation], command: &str) -> Vec<String> {
    let mut distinct: Vec<&Denial> = Vec::new();
    for refused in &report.network_denials {
        let text = refused.denial.to_string();
        if !is_ignored(ignored, command, &text) && !distinct.contains(&&refused.denial) {
            distinct.push(&refused.denial);
        }
    }
    let mut lines: Vec<_> = distinct.iter().take(SHOWN).map(|denial| line(denial)).collect();
    if let Some(more) = distinct.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("{more} more targets were refused"));
    }
    lines
}

fn line(denial: &Denial) -> String {
    match denial.reason {
        DenialReason::HostNotAllowed => format!(
            "refused: {denial}; to allow it: `--allow-domain {}` or `network.allowedDomains`",
            denial.object
        ),
        DenialReason::HostDenied
        | DenialReason::MalformedHost
        | DenialReason::AddressDenied(_)
        | DenialReason::LocalhostElsewhere
        | DenialReason::DeciderRefused
        | DenialReason::ReadDenied
        | DenialReason::WriteDenied
        | DenialReason::WriteNotAllowed => format!("refused: {denial}"),
    }
}

fn is_ignored(ignored: &[IgnoredViolation], command: &str, text: &str) -> bool {
    ignored.iter().any(|rule| {
        (rule.command == "*" || command.contains(&rule.command)) && text.contains(&rule.text)
    })
}

/// Refusals that are printed.
const SHOWN: usize = 5;
