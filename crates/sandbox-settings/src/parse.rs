//! A file's text to its statements: syntax, format, schema, types, meaning, in this order. The first
//! step that finds mistakes reports all of its own.

use sandbox_policy::PathBase;
use serde::de::DeserializeOwned;

use crate::{
    error::{Finding, SettingsErrorKind, Source},
    json::{self, Node},
    layer::{CLAUDE_KEYS, FLAT_KEYS, Format, Layer, ParsedFile, format_keys},
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
    let mut reader = Reader::new(source, base);
    match format {
        Format::Flat => reader.read_flat(typed::<Flat>(&root, base)?),
        Format::Claude => reader.read_claude(typed::<Claude>(&root, base)?),
    }
    let Reader {
        statements,
        ignored,
        findings,
        ..
    } = reader;
    if findings.is_empty() {
        Ok(ParsedFile {
            format,
            statements,
            ignored,
        })
    } else {
        Err(findings)
    }
}

/// Tells the format by the file's keys.
fn tell_format(root: &Node, layer: Layer) -> Result<Format, Vec<Finding>> {
    match format_keys(root) {
        (Some(flat), Some(claude)) => {
            let later = if flat.key_span.start > claude.key_span.start {
                flat
            } else {
                claude
            };
            let kind = SettingsErrorKind::MixedFormats {
                flat: flat.key.clone(),
                claude: claude.key.clone(),
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
    root: &Node,
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
                key: member.key.clone(),
                nearest: near.map(str::to_owned),
            };
            Some(Finding::new(member.key_span.clone(), kind).help(help))
        });
    found.collect()
}

fn typed<T: DeserializeOwned + schemars::JsonSchema>(
    root: &Node,
    base: &PathBase,
) -> Result<T, Vec<Finding>> {
    let findings = validate(root, &schema::of::<T>(), base);
    if !findings.is_empty() {
        return Err(findings);
    }
    // The schema and the types come from the same source, so this can fail only by our own fault.
    T::deserialize(root).map_err(|error| {
        let span = error.span.unwrap_or_else(|| root.span.clone());
        vec![Finding::new(
            span,
            SettingsErrorKind::Internal {
                message: error.message,
            },
        )]
    })
}
