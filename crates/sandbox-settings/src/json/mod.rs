//! Strict JSON (RFC 8259) as a tree whose nodes know their bytes. Duplicate keys are errors.

mod deserialize;
mod located;

use std::{collections::HashSet, ops::Range};

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged as _, parse_to_ast};

use crate::{error::SettingsErrorKind, finding::Finding};

pub(crate) use deserialize::NodeError;
pub(crate) use located::Located;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A JSON value.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As spelt: settings have small integers only, and their range is the schema's matter.
    Number(String),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// Reads a text.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    if text.trim().is_empty() {
        return Err(vec![
            Finding::new(0..text.len(), SettingsErrorKind::Empty)
                .help("write settings into it, or remove it"),
        ]);
    }
    if text.starts_with('\u{feff}') {
        return Err(vec![syntax(
            text,
            0,
            0,
            "it starts with a byte order mark".to_owned(),
        )]);
    }
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        let range = error.range();
        vec![syntax(
            text,
            range.start,
            range.end,
            lower_first(&error.kind().to_string()),
        )]
    })?;
    // The span parser's strictness is options away from being lax, so a second reader that knows
    // nothing but JSON has to agree.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        let offset = offset_of(text, error.line(), error.column());
        vec![syntax(
            text,
            offset,
            offset,
            lower_first(without_position(&error.to_string())),
        )]
    })?;
    let Some(root) = parsed.value else {
        return Err(vec![Finding::new(0..text.len(), SettingsErrorKind::Empty)]);
    };
    let mut findings = Vec::new();
    let node = convert(root, &mut findings);
    if findings.is_empty() {
        Ok(node)
    } else {
        Err(findings)
    }
}

impl Node {
    /// The value of a key; `None` for other values than objects too.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => &[],
        }
    }

    /// What the value is, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

fn convert(value: ast::Value<'_>, findings: &mut Vec<Finding>) -> Node {
    let range = value.range();
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NumberLit(literal) => Value::Number(literal.value.to_owned()),
        ast::Value::StringLit(literal) => Value::String(literal.value.into_owned()),
        ast::Value::Array(array) => Value::Array(
            array
                .elements
                .into_iter()
                .map(|element| convert(element, findings))
                .collect(),
        ),
        ast::Value::Object(object) => {
            let mut members = Vec::with_capacity(object.properties.len());
            let mut known = HashSet::new();
            for property in object.properties {
                let key_range = property.name.range();
                let member = Member {
                    key: property.name.into_string(),
                    key_span: key_range.start..key_range.end,
                    node: convert(property.value, findings),
                };
                if !known.insert(member.key.clone()) {
                    findings.push(
                        Finding::new(
                            member.key_span.clone(),
                            SettingsErrorKind::DuplicateKey {
                                key: member.key.clone(),
                            },
                        )
                        .help("merge the two values into one"),
                    );
                }
                members.push(member);
            }
            Value::Object(members)
        }
    };
    Node {
        span: range.start..range.end,
        value,
    }
}

/// A syntax error whose span lies in the text and on character boundaries.
fn syntax(text: &str, start: usize, end: usize, message: String) -> Finding {
    let start = (0..=start.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let end = (end.clamp(start, text.len())..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(start);
    let finding = Finding::new(start..end, SettingsErrorKind::Syntax { message });
    finding.help("settings are strict JSON: no comments, no trailing commas, double quotes")
}

/// Byte offset of serde_json's position: the column counts bytes and starts at 1.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    before.saturating_add(column.saturating_sub(1))
}

/// serde_json ends its messages with the position, which is said elsewhere.
fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text)
}

fn lower_first(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
