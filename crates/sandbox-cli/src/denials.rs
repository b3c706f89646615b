//! What was refused, in a few lines after the run.

use sandbox_core::{
    AbsolutePath, Denial, DenialReason, PathPattern, powerful_socket, settings::IgnoredViolation,
};

/// The lines to print: each distinct refusal once, and how many there are more.
pub(crate) fn summary(
    denials: &[&Denial],
    ignored: &[IgnoredViolation],
    command: &str,
) -> Vec<String> {
    let mut distinct: Vec<&Denial> = Vec::new();
    for denial in denials {
        if !distinct.contains(denial) && !is_ignored(ignored, command, denial) {
            distinct.push(denial);
        }
    }
    let mut lines: Vec<_> = distinct
        .iter()
        .take(SHOWN)
        .map(|denial| line(denial))
        .collect();
    if let Some(more) = distinct.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("refused: {more} others"));
    }
    lines
}

fn line(denial: &Denial) -> String {
    match denial.reason {
        DenialReason::HostNotAllowed => format!(
            "refused: {denial}; to allow it: `--allow-domain {}` or `network.allowedDomains`",
            denial.object
        ),
        DenialReason::SocketNotListed => format!(
            "refused: {denial}; to allow it: `network.allowUnixSockets`{}",
            warning(&denial.object)
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

/// What it means to list a socket.
pub(crate) fn warning(path: &str) -> String {
    let pattern = AbsolutePath::new(path).map(PathPattern::Subtree);
    let row = pattern.ok().and_then(|pattern| powerful_socket(&pattern));
    row.map_or_else(String::new, |row| format!(", but {}", row.consequence))
}

fn is_ignored(ignored: &[IgnoredViolation], command: &str, denial: &Denial) -> bool {
    let text = denial.to_string();
    ignored.iter().any(|rule| {
        (rule.command == "*" || command.contains(&rule.command)) && text.contains(&rule.text)
    })
}

/// Refusals that are printed.
const SHOWN: usize = 5;
