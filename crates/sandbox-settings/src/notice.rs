//! Entries that hold, and mean something other, or less, than their author may think.

use std::{collections::HashMap, fmt};

use sandbox_policy::{
    Firmness, LayerId, Origin, PathPattern, PathRule, PatternSyntax, ReadAllow, ReadDeny, RuleList,
};

use crate::{finding::shown, permission::Tool};

/// Something that an author of settings should know of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsNotice {
    /// The entry as written.
    pub entry: String,
    /// Where it stands.
    pub origin: Origin,
    /// What it means.
    pub meaning: EntryMeaning,
}

/// What an entry means that may look like something else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryMeaning {
    /// `[!…]` or `[^…]`, where sets have no negation.
    NoNegation,
    /// `[[:…:]]`.
    NoClasses,
    /// `{…,…}`.
    NoAlternatives,
    /// A backslash.
    NoEscapes,
    /// A name that is a variable's, `$HOME` or `${HOME}`.
    NoVariables {
        /// How the directory is written that the variable usually names, if there is a way.
        instead: Option<&'static str>,
    },
    /// An entry that begins with `!`.
    NoReversal,
    /// White space or quotes around an entry.
    NothingTakenOff,
    /// An entry that begins with `file:`.
    NoUrl,
    /// A permission rule, `Read(…)`, in the place of a path.
    NoPermissionRule,
    /// A refused tool without anything that it is refused for; nothing is closed by it.
    WholeTool {
        /// The rule that would close everything to it.
        instead: &'static str,
    },
    /// A refused name without a slash: the one in the working directory.
    OneName {
        /// The tool that it is refused for.
        tool: &'static str,
        /// The name.
        name: String,
    },
    /// `denyRead` of the very path that an `allowWrite` names, by which it can be read.
    OpenedAgain {
        /// Where the `allowWrite` stands.
        by: Origin,
    },
    /// A write root in what a `denyWrite` closes.
    Closed {
        /// Where the `denyWrite` stands.
        by: Origin,
    },
}

impl fmt::Display for SettingsNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entry,
            origin,
            meaning,
        } = self;
        let entry = shown(entry);
        match origin {
            Origin::Flag(_) => write!(f, "`{origin}`: {meaning}"),
            Origin::BuiltIn(_) | Origin::File { .. } | Origin::Program => {
                write!(f, "`{entry}` of {origin}: {meaning}")
            }
        }
    }
}

impl fmt::Display for EntryMeaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNegation => f.write_str(
                "sets have no negation here: `[!…]` and `[^…]` are the characters that stand in them, the first one too",
            ),
            Self::NoClasses => f.write_str(
                "`[:…:]` is no class of characters here: the first `]` ends a set",
            ),
            Self::NoAlternatives => f.write_str(
                "`{…}` is plain text here: write an entry for each alternative",
            ),
            Self::NoEscapes => f.write_str(
                "a backslash is plain text here and escapes nothing: `{\"path\": …, \"literal\": true}` in the lists of \
                 `filesystem` names a path whatever is in its name",
            ),
            Self::NoVariables { instead } => {
                f.write_str("variables are not filled in here: the name is `$` and what follows it")?;
                match instead {
                    Some(instead) => write!(f, "; that directory is `{instead}`"),
                    None => Ok(()),
                }
            }
            Self::NothingTakenOff => f.write_str(
                "white space and quotes around an entry are part of the name here, nothing is taken off",
            ),
            Self::NoUrl => f.write_str("URLs are not read here: `file:` is the name of a directory"),
            Self::NoPermissionRule => f.write_str(
                "it is read as a path: permission rules stand in `permissions`, and here the path alone",
            ),
            Self::NoReversal => f.write_str("a `!` at the beginning is plain text here: it takes back nothing"),
            Self::WholeTool { instead } => write!(
                f,
                "it names a tool and nothing that it must leave alone, so it closes nothing to commands: `{instead}` closes all"
            ),
            Self::OneName { tool, name } => {
                let name = shown(name);
                write!(
                    f,
                    "it closes `{name}` in the working directory alone: `{tool}(**/{name})` closes it everywhere, \
                     `{tool}(./{name})` says that it is meant so"
                )
            }
            Self::Closed { by } => write!(
                f,
                "it opens nothing: the entry at {by} closes it, and what a deny closes for writing no allow opens again"
            ),
            Self::OpenedAgain { by } => write!(
                f,
                "it can be read all the same: the entry at {by} makes this path a write root, which can be read, and where \
                 an allow and a deny name the same path the allow wins"
            ),
        }
    }
}

/// What a text means otherwise here than elsewhere. Thousands are asked about, and most have nothing of it.
pub(crate) fn meanings(text: &str, syntax: PatternSyntax) -> Vec<EntryMeaning> {
    let mut found = Vec::new();
    // No early end: this is a few instructions for sixteen bytes.
    let is_plain = text.bytes().fold(true, |plain, byte| {
        plain & !matches!(byte, b'[' | b'{' | b'\\' | b'$')
    });
    let negates = matches!(
        syntax,
        PatternSyntax::Gitignore | PatternSyntax::FloatingGitignore
    );
    if syntax == PatternSyntax::Literal {
        return found;
    }
    // Permission rules are asked about theirs by themselves.
    if text.starts_with('!') && !negates {
        found.push(EntryMeaning::NoReversal);
    }
    found.extend(around(text).filter(|_| !negates));
    if is_plain {
        return found;
    }
    let in_names = |test: fn(&str) -> bool| text.split('/').any(test);
    if in_names(|name| opens_and_closes(name, &["[!", "[^"], "]")) && !negates {
        found.push(EntryMeaning::NoNegation);
    }
    if in_names(|name| opens_and_closes(name, &["[:"], ":]")) {
        found.push(EntryMeaning::NoClasses);
    }
    if has_alternatives(text) {
        found.push(EntryMeaning::NoAlternatives);
    }
    if text.contains('\\') {
        found.push(EntryMeaning::NoEscapes);
    }
    if let Some(name) = text.split('/').find_map(variable) {
        found.push(EntryMeaning::NoVariables {
            instead: match name {
                "HOME" => Some("~"),
                "PWD" => Some("."),
                _ => None,
            },
        });
    }
    found
}

/// What an entry begins or ends with that is no part of any path elsewhere.
fn around(text: &str) -> Option<EntryMeaning> {
    let quotes: &[_] = &['"', '\''];
    let is_call = |tool: &str| {
        let rest = text.strip_prefix(tool);
        rest.is_some_and(|rest| rest.starts_with('(') && rest.ends_with(')'))
    };
    let is_quoted = text.len() > 1 && text.starts_with(quotes) && text.ends_with(quotes);
    if is_quoted || text.trim_ascii().len() != text.len() {
        Some(EntryMeaning::NothingTakenOff)
    } else if text.starts_with("file://") {
        Some(EntryMeaning::NoUrl)
    } else if ["Read", "Edit", "Write"].into_iter().any(is_call) {
        Some(EntryMeaning::NoPermissionRule)
    } else {
        None
    }
}

/// The variable that a whole name would be in a shell. `$` stands in names of files too (`Outer$Inner.class`).
fn variable(name: &str) -> Option<&str> {
    let name = name.strip_prefix('$')?;
    let braced = name.strip_prefix('{');
    let name = braced.map_or(Some(name), |inside| inside.strip_suffix('}'))?;
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = name.as_bytes().first().is_some_and(begins) && name.bytes().all(goes_on);
    is_name.then_some(name)
}

fn opens_and_closes(name: &str, openings: &[&str], closing: &str) -> bool {
    openings.iter().any(|opening| {
        let after = name.split_once(opening);
        after.is_some_and(|(_, after)| after.contains(closing))
    })
}

/// `{a,b}` or `{1..3}`, also with slashes in it.
fn has_alternatives(text: &str) -> bool {
    let mut pieces = text.split('{').skip(1);
    pieces.any(|piece| {
        let inside = piece.split_once('}').map(|(inside, _)| inside);
        inside.is_some_and(|inside| inside.contains(',') || inside.contains(".."))
    })
}

/// What a refused path of a permission rule means, besides what is in any pattern.
pub(crate) fn of_refused_path(tool: Tool, path: &str) -> Option<EntryMeaning> {
    if path.starts_with('!') {
        return Some(EntryMeaning::NoReversal);
    }
    let is_name = !path.contains(['/', '*', '?', '[']) && !matches!(path, "." | ".." | "~");
    is_name.then(|| EntryMeaning::OneName {
        tool: tool.name(),
        name: path.to_owned(),
    })
}

/// Read denies of paths that the same author makes write roots.
pub(crate) fn opened_again(denies: &[ReadDeny], roots: &[ReadAllow]) -> Vec<SettingsNotice> {
    // Thousands of both are not compared with each other one by one.
    let known = (roots.len() > FEW).then(|| {
        let by_place = |root| (key(root), root);
        roots.iter().map(by_place).collect::<HashMap<_, _>>()
    });
    let notices = denies.iter().filter_map(|deny| {
        let Firmness::Layer(layer) = deny.firmness else {
            return None;
        };
        let wanted = (layer, &deny.rule.pattern);
        let root = match &known {
            Some(known) => known.get(&wanted).copied(),
            None => roots.iter().find(|root| key(root) == wanted),
        }?;
        Some(SettingsNotice {
            entry: deny.rule.pattern.to_string(),
            origin: deny.rule.origin.clone(),
            meaning: EntryMeaning::OpenedAgain {
                by: root.rule.origin.clone(),
            },
        })
    });
    notices.collect()
}

/// Write roots that a deny of the same file closes as a whole. Of long lists nobody asks this.
pub(crate) fn closed(
    denies: &RuleList<PathRule>,
    roots: &[ReadAllow],
) -> impl Iterator<Item = SettingsNotice> {
    let are_few = roots.len().max(denies.len()) <= FEW;
    roots.iter().filter(move |_| are_few).filter_map(|root| {
        let PathPattern::Subtree(path) = &root.rule.pattern else {
            return None;
        };
        let closes = |rule: &&PathRule| matches!(&rule.pattern, PathPattern::Subtree(closed) if path.is_within(closed));
        let mut by = denies.iter().filter(closes).map(|rule| &rule.origin);
        let by = by.find(|by| is_of_same_file(by, &root.rule.origin))?.clone();
        Some(SettingsNotice {
            entry: root.rule.pattern.to_string(),
            origin: root.rule.origin.clone(),
            meaning: EntryMeaning::Closed { by },
        })
    })
}

fn is_of_same_file(one: &Origin, other: &Origin) -> bool {
    match (one, other) {
        (Origin::File { path: one, .. }, Origin::File { path: other, .. }) => one == other,
        _ => false,
    }
}

fn key(root: &ReadAllow) -> (LayerId, &PathPattern) {
    (root.layer, &root.rule.pattern)
}

/// Write roots that every read deny is compared with.
const FEW: usize = 64;
