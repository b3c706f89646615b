//! Strict JSON (RFC 8259) as a tree whose nodes know their bytes. Duplicate keys are errors.

mod deserialize;
mod list;
mod located;
mod plain;

use std::{borrow::Cow, collections::HashSet, ops::Range};

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged as _, parse_to_ast};

use crate::{error::SettingsErrorKind, finding::Finding};

pub(crate) use deserialize::NodeError;
pub(crate) use list::List;
pub(crate) use located::{Located, Place};

/// A value and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node<'t> {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value<'t>,
}

/// A JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value<'t> {
    Null,
    Bool(bool),
    /// As spelt: settings have small integers only, and their range is the schema's matter.
    Number(Cow<'t, str>),
    String(Cow<'t, str>),
    Array(List<'t>),
    Object(Vec<Member<'t>>),
}

/// A key with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node<'t>,
}

/// Reads a text.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Vec<Finding>> {
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
    plain::read(text).map_or_else(|| whole(text), Ok)
}

/// Reads all of JSON, and says what is wrong.
fn whole(text: &str) -> Result<Node<'_>, Vec<Finding>> {
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

impl<'t> Node<'t> {
    /// The value of a key; `None` for other values than objects too.
    pub(crate) fn members(&self) -> &[Member<'t>] {
        match &self.value {
            Value::Object(members) => members,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => &[],
        }
    }

    /// The value that has this place, in objects only.
    pub(crate) fn at(&self, span: &Range<usize>) -> Option<&Self> {
        if self.span == *span {
            return Some(self);
        }
        let holds = |member: &&Member<'t>| {
            member.node.span.start <= span.start && span.end <= member.node.span.end
        };
        self.members().iter().find(holds)?.node.at(span)
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

fn convert<'t>(value: ast::Value<'t>, findings: &mut Vec<Finding>) -> Node<'t> {
    let range = value.range();
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NumberLit(literal) => Value::Number(literal.value.into()),
        ast::Value::StringLit(literal) => Value::String(literal.value),
        ast::Value::Array(array) => {
            let elements = array.elements.into_iter();
            let nodes = elements.map(|element| convert(element, findings));
            Value::Array(List::new(nodes.collect()))
        }
        ast::Value::Object(object) => {
            let mut members = Vec::with_capacity(object.properties.len());
            let mut known = HashSet::new();
            for property in object.properties {
                let key_range = property.name.range();
                let member = Member {
                    key: name(property.name),
                    key_span: key_range.start..key_range.end,
                    node: convert(property.value, findings),
                };
                if !known.insert(member.key.clone()) {
                    findings.push(
                        Finding::new(
                            member.key_span.clone(),
                            SettingsErrorKind::DuplicateKey {
                                key: member.key.to_string(),
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

fn name(name: ast::ObjectPropName<'_>) -> Cow<'_, str> {
    match name {
        ast::ObjectPropName::String(literal) => literal.value,
        ast::ObjectPropName::Word(word) => word.value.into(),
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

#[cfg(test)]
mod tests;
