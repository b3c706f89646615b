//! Permission rules: `Tool` or `Tool(specifier)`.
//!
//! `Edit(path)`, `Read(path)` and `WebFetch(domain:host)` are ours. What refuses a path to another tool
//! that changes or shows files refuses it to commands too; what permits it does not. The same tools
//! without a specifier are about the tool, not about a path, and rules of other tools are no business of
//! a sandbox: their specifiers may hold any text (`Bash(echo $(date))`).

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
    /// A tool of these without a specifier.
    Whole(Tool),
    /// Of another tool.
    Foreign,
}

/// What a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Edit,
    Read,
    Fetch,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Permit,
    Refuse,
}

impl Tool {
    /// The tool that stands for all of its kind.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Edit => "Edit",
            Self::Read => "Read",
            Self::Fetch => "WebFetch",
        }
    }

    /// The rule, or the entry, that closes everything.
    pub(crate) const fn closing_all(self) -> &'static str {
        match self {
            Self::Edit => "Edit(/**)",
            Self::Read => "Read(/**)",
            Self::Fetch => "\"deniedDomains\": [\"*\"]",
        }
    }

    /// The tools whose rules of a purpose count, and the kind that each is of.
    const fn named(purpose: Purpose) -> &'static [(&'static str, Self)] {
        match purpose {
            Purpose::Permit => {
                let (ours, _others) = TOOLS.split_at(GRANTING);
                ours
            }
            Purpose::Refuse => &TOOLS,
        }
    }
}

/// A rule that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRule {
    pub(crate) reason: &'static str,
    pub(crate) help: Option<String>,
}

/// Reads a rule.
pub(crate) fn parse(text: &str, purpose: Purpose) -> Result<Rule<'_>, BadRule> {
    let text = text.trim();
    let (tool, specifier) = match text.split_once('(') {
        Some((tool, rest)) => (tool.trim_end(), Some(rest)),
        None => (text, None),
    };
    let tools = Tool::named(purpose);
    let Some((tool, kind)) = tools.iter().find(|(name, _)| *name == tool).copied() else {
        return match misspelt(tool, tools) {
            Some(meant) => Err(BadRule {
                reason: "there is no such tool",
                help: Some(format!("did you mean `{meant}`?")),
            }),
            None => Ok(Rule::Foreign),
        };
    };
    let Some(specifier) = specifier else {
        return Ok(Rule::Whole(kind));
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
                if kind == Tool::Fetch {
                    "host: `domain:example.com`"
                } else {
                    "path"
                }
            )),
        });
    }
    match kind {
        Tool::Edit => Ok(Rule::Edit(specifier)),
        Tool::Read => Ok(Rule::Read(specifier)),
        // `WebFetch(*)` is the tool itself, as `WebFetch` alone is.
        Tool::Fetch if specifier == "*" => Ok(Rule::Whole(kind)),
        Tool::Fetch => specifier
            .strip_prefix("domain:")
            .map(|host| Rule::Host(host.trim()))
            .ok_or_else(|| BadRule {
                reason: "a host is named by `domain:`",
                help: Some("write `WebFetch(domain:example.com)`".to_owned()),
            }),
    }
}

/// Those that always count come first.
const TOOLS: [(&str, Tool); 7] = [
    ("Edit", Tool::Edit),
    ("Read", Tool::Read),
    ("WebFetch", Tool::Fetch),
    ("Write", Tool::Edit),
    ("MultiEdit", Tool::Edit),
    ("NotebookEdit", Tool::Edit),
    ("NotebookRead", Tool::Read),
];

/// How many of the tools' rules count that permit something.
const GRANTING: usize = 3;

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
fn misspelt(tool: &str, tools: &'static [(&'static str, Tool)]) -> Option<&'static str> {
    if KNOWN_FOREIGN.contains(&tool) || tool.starts_with("mcp__") {
        return None;
    }
    let mut names = tools.iter().map(|(name, _)| *name);
    names.find(|name| suggest::distance(tool, name) <= name.len() / 4)
}
