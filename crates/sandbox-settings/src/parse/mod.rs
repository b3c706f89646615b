//! A file's text to its statements: syntax, format, types and meaning.
//!
//! Reading into types stops at the first mistake and is quick; checking against the schema finds
//! all of them, and making the schema takes longer than everything else together. So the schema is
//! asked only about files that the types refuse, and about the few things that they don't look at.

use sandbox_policy::PathBase;
use serde::Deserialize as _;

use crate::{
    error::SettingsErrorKind,
    finding::Finding,
    json::{self, Node, NodeError},
    layer::{CLAUDE_KEYS, FLAT_KEYS, Format, Layer, ParsedFile, format_keys},
    source::Source,
    statement::Reader,
    suggest,
    validate::validate,
    wire::{claude::Claude, flat::Flat, schema},
};

pub(crate) fn parse_file(
    source: &Source,
    layer: Layer,
    base: &PathBase,
) -> Result<ParsedFile, Vec<Finding>> {
    let root = json::parse(&source.text)?;
    let format = tell_format(&root, layer)?;
    let Read {
        outcome,
        reader,
        doubtful,
    } = read(&root, format, layer, (source, base));
    if doubtful {
        let findings = validate(&root, &schema_of(format), base);
        if !findings.is_empty() {
            return Err(findings);
        }
    }
    // The schema and the types come from the same source, so what one lets pass the other can
    // refuse only by our own fault. It is refused all the same.
    outcome.map_err(|error| {
        let span = error.span.unwrap_or_else(|| root.span.clone());
        let message = error.message;
        vec![Finding::new(span, SettingsErrorKind::Internal { message })]
    })?;
    let Reader {
        statements,
        paths,
        hosts,
        ignored,
        notices,
        findings,
        ..
    } = reader;
    if findings.is_empty() {
        Ok(ParsedFile {
            format,
            statements,
            paths,
            hosts,
            ignored,
            notices,
        })
    } else {
        Err(findings)
    }
}

/// What reading into types gives.
struct Read<'a> {
    outcome: Result<(), NodeError>,
    reader: Reader<'a>,
    /// Whether the schema could find a mistake.
    doubtful: bool,
}

fn read<'a>(
    root: &'a Node<'a>,
    format: Format,
    layer: Layer,
    (source, base): (&'a Source, &'a PathBase),
) -> Read<'a> {
    let mut reader = Reader::new(source, base, root, layer);
    let outcome = match format {
        Format::Flat => Flat::deserialize(root).map(|file| reader.read_flat(file)),
        Format::Claude => Claude::deserialize(root).map(|file| reader.read_claude(file)),
    };
    let outcome = outcome.and_then(|()| reader.misread.take().map_or(Ok(()), Err));
    let doubtful = outcome.is_err() || reader.is_doubtful() || has_near_misses(root, format);
    Read {
        outcome,
        reader,
        doubtful,
    }
}

fn schema_of(format: Format) -> serde_json::Value {
    match format {
        Format::Flat => schema::of::<Flat>(),
        Format::Claude => schema::of::<Claude>(),
    }
}

/// Whether a key that is not ours, where keys of others are welcome, could be a misspelt one of
/// ours: the types pass over such keys.
fn has_near_misses(root: &Node<'_>, format: Format) -> bool {
    let near = |node: &Node<'_>, ours: &'static [&'static str]| {
        let foreign = node
            .members()
            .iter()
            .filter(|member| !ours.contains(&&*member.key));
        let keys = || ours.iter().copied();
        foreign
            .into_iter()
            .any(|member| suggest::near_miss(&member.key, keys()).is_some())
    };
    let permissions = root
        .members()
        .iter()
        .find(|member| member.key == "permissions");
    format == Format::Claude
        && (near(root, &CLAUDE_KEYS)
            || permissions.is_some_and(|member| near(&member.node, &PERMISSION_KEYS)))
}

/// Tells the format by the file's keys.
fn tell_format(root: &Node<'_>, layer: Layer) -> Result<Format, Vec<Finding>> {
    match format_keys(root) {
        (Some(flat), Some(claude)) => {
            let later = if flat.key_span.start > claude.key_span.start {
                flat
            } else {
                claude
            };
            let kind = SettingsErrorKind::MixedFormats {
                flat: flat.key.to_string(),
                claude: claude.key.to_string(),
            };
            let help = "keep either the flat keys (`network`, `filesystem`, …) or `sandbox` and `permissions`";
            Err(vec![Finding::new(later.key_span.clone(), kind).help(help)])
        }
        (Some(_), None) => Ok(Format::Flat),
        (None, Some(_)) => Ok(Format::Claude),
        (None, None) if layer.is_shared_with_claude_code() => {
            // All keys are others' keys, unless one nearly names a section of ours.
            let sections = ["network", "filesystem"].into_iter().chain(CLAUDE_KEYS);
            let findings = stray_keys(root, |key| suggest::near_miss(key, sections.clone()), false);
            if findings.is_empty() {
                Ok(Format::Claude)
            } else {
                Err(findings)
            }
        }
        // A file of our own without any key of ours was meant to say something.
        (None, None) => {
            let known = || FLAT_KEYS.into_iter().chain(CLAUDE_KEYS);
            let findings = stray_keys(root, |key| suggest::nearest(key, known()), true);
            if findings.is_empty() {
                Ok(Format::Flat)
            } else {
                Err(findings)
            }
        }
    }
}

fn stray_keys(
    root: &Node<'_>,
    nearest: impl Fn(&str) -> Option<&'static str>,
    all: bool,
) -> Vec<Finding> {
    let found = root
        .members()
        .iter()
        .filter(|member| member.key != "$schema")
        .filter_map(|member| {
            let near = nearest(&member.key);
            if near.is_none() && !all {
                return None;
            }
            let help = near.map_or_else(
                || {
                    "settings have `network` and `filesystem`, or `sandbox` and `permissions`"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            );
            let kind = SettingsErrorKind::UnknownKey {
                key: member.key.to_string(),
                nearest: near.map(str::to_owned),
            };
            Some(Finding::new(member.key_span.clone(), kind).help(help))
        });
    found.collect()
}

/// The keys of `permissions` that are ours.
const PERMISSION_KEYS: [&str; 3] = ["allow", "ask", "deny"];

#[cfg(test)]
mod tests;
