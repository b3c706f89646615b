//! Permission rules: `Tool` or `Tool(specifier)`.
//!
//! `Edit(path)`, `Read(path)` and `WebFetch(domain:host)` are ours. The same tools without a
//! specifier are about the tool, not about a path, and rules of other tools are no business of a
//! sandbox: their specifiers may hold any text (`Bash(echo $(date))`).

use crate::suggest;

/// What a rule of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule<'a> {
    /// Writing a path.
    Edit(&'a str),
    /// Reading a path.
    Read(&'a str),
    /// Reaching a host.
    Host(&'a str),
    /// Of another tool, or without a specifier.
    Foreign,
}

/// A rule that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRule {
    pub(crate) reason: &'static str,
    pub(crate) help: Option<String>,
}

/// Reads a rule.
pub(crate) fn parse(text: &str) -> Result<Rule<'_>, BadRule> {
    let text = text.trim();
    let (tool, specifier) = match text.split_once('(') {
        Some((tool, rest)) => (tool.trim_end(), Some(rest)),
        None => (text, None),
    };
    if !OURS.contains(&tool) {
        return match misspelt(tool) {
            Some(meant) => Err(BadRule {
                reason: "there is no such tool",
                help: Some(format!("did you mean `{meant}`?")),
            }),
            None => Ok(Rule::Foreign),
        };
    }
    let Some(specifier) = specifier else {
        return Ok(Rule::Foreign);
    };
    // The last parenthesis closes the rule: paths may hold parentheses.
    let Some(specifier) = specifier.strip_suffix(')') else {
        return Err(BadRule {
            reason: "the closing parenthesis is missing",
            help: Some(format!("write `{tool}(…)`")),
        });
    };
    let specifier = specifier.trim();
    if specifier.is_empty() {
        return Err(BadRule {
            reason: "the parentheses are empty",
            help: Some(format!(
                "name a {} inside",
                if tool == "WebFetch" {
                    "host: `domain:example.com`"
                } else {
                    "path"
                }
            )),
        });
    }
    match tool {
        "Edit" => Ok(Rule::Edit(specifier)),
        "Read" => Ok(Rule::Read(specifier)),
        // `WebFetch(*)` is the tool itself, as `WebFetch` alone is.
        _ if specifier == "*" => Ok(Rule::Foreign),
        _ => specifier
            .strip_prefix("domain:")
            .map(|host| Rule::Host(host.trim()))
            .ok_or_else(|| BadRule {
                reason: "a host is named by `domain:`",
                help: Some("write `WebFetch(domain:example.com)`".to_owned()),
            }),
    }
}

const OURS: [&str; 3] = ["Edit", "Read", "WebFetch"];

/// Tools of Claude Code whose names are near to ours, or might become so.
const KNOWN_FOREIGN: [&str; 22] = [
    "Agent",
    "Bash",
    "BashOutput",
    "Cd",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillShell",
    "LS",
    "Lsp",
    "Monitor",
    "MultiEdit",
    "NotebookEdit",
    "NotebookRead",
    "PowerShell",
    "Skill",
    "SlashCommand",
    "Task",
    "TodoRead",
    "TodoWrite",
    "WebSearch",
    "Write",
];

/// The tool of ours that was probably meant: a misspelt `deny` must not be passed over in silence.
fn misspelt(tool: &str) -> Option<&'static str> {
    if KNOWN_FOREIGN.contains(&tool) || tool.starts_with("mcp__") {
        return None;
    }
    OURS.into_iter()
        .find(|ours| suggest::distance(tool, ours) <= ours.len() / 4)
}
