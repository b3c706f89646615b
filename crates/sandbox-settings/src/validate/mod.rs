//! Checks a parsed file against the schema of its format, and finds *all* mistakes.
//!
//! The schema is the published one, so what an editor underlines and what the loader refuses are
//! the same. Of JSON Schema it understands the words that [`crate::wire`] uses; `format` names a
//! check of the entry's meaning, and `not` a key whose feature is not there.

mod meaning;
mod vocabulary;

use std::ops::Range;

use sandbox_policy::PathBase;
use serde_json::Value as Schema;

use crate::{
    error::SettingsErrorKind,
    finding::Finding,
    json::{Member, Node, Value},
    suggest,
};

use meaning::Mistake;
pub(crate) use meaning::parse_address;
use vocabulary::{allowed_names, expected_type, find_homes, has_type};

/// All mistakes of a file.
pub(crate) fn validate(node: &Node<'_>, schema: &Schema, base: &PathBase) -> Vec<Finding> {
    let mut validator = Validator {
        root: schema,
        base,
        findings: Vec::new(),
    };
    validator.check(node, schema, "");
    validator.findings
}

struct Validator<'a> {
    root: &'a Schema,
    base: &'a PathBase,
    findings: Vec<Finding>,
}

impl Validator<'_> {
    /// `at` is the value's key with its namespaces; empty for the file's root.
    fn check(&mut self, node: &Node<'_>, schema: &Schema, at: &str) {
        if let Some(alternatives) = schema.get("anyOf").and_then(Schema::as_array) {
            match alternatives
                .iter()
                .find(|alternative| has_type(node, alternative))
            {
                Some(alternative) => self.check(node, alternative, at),
                None => self.wrong_type(node, alternatives, at),
            }
            return;
        }
        if !has_type(node, schema) {
            self.wrong_type(node, std::slice::from_ref(schema), at);
            return;
        }
        match &node.value {
            Value::Object(members) => self.check_object(node, members, schema, at),
            Value::Array(elements) => {
                if let Some(items) = schema.get("items") {
                    for (index, element) in elements.nodes().iter().enumerate() {
                        self.check(element, items, &format!("{at}[{index}]"));
                    }
                }
            }
            Value::String(text) => self.check_text(&node.span, text, schema, at),
            Value::Number(number) => self.check_number(&node.span, number, schema, at),
            Value::Bool(value) => {
                if let Some(expected) = schema.get("const").and_then(Schema::as_bool)
                    && expected != *value
                {
                    self.out_of_range(&node.span, at, expected.to_string(), value.to_string());
                }
            }
            Value::Null => {}
        }
    }

    fn check_object(&mut self, node: &Node<'_>, members: &[Member<'_>], schema: &Schema, at: &str) {
        let no_properties = serde_json::Map::new();
        let properties = schema
            .get("properties")
            .and_then(Schema::as_object)
            .unwrap_or(&no_properties);
        let mut meant = Vec::new();
        for member in members {
            let path = join(at, &member.key);
            if let Some(property) = properties.get(&*member.key) {
                if property.get("not").is_some() {
                    self.unsupported(member, &path);
                } else {
                    self.check(&member.node, property, &path);
                }
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Schema::Bool(false)) => {
                    meant.extend(self.unknown_key(member, &path, properties));
                }
                Some(entries) => {
                    if let Some(names) = schema.get("propertyNames") {
                        self.check_text(&member.key_span, &member.key, names, &path);
                    }
                    self.check(&member.node, entries, &path);
                }
                // Keys of others are welcome here, but a near miss is ours and misspelt.
                None => {
                    if let Some(near) =
                        suggest::near_miss(&member.key, properties.keys().map(String::as_str))
                    {
                        meant.push(near.to_owned());
                        self.findings.push(unknown(
                            member,
                            path,
                            Some(near),
                            format!("did you mean `{near}`?"),
                        ));
                    }
                }
            }
        }
        let required = schema
            .get("required")
            .and_then(Schema::as_array)
            .map_or(&[][..], Vec::as_slice);
        for key in required.iter().filter_map(Schema::as_str) {
            // What is there under a misspelt name is reported once.
            if members.iter().all(|member| member.key != key)
                && !meant.iter().any(|name| name == key)
            {
                self.findings.push(
                    Finding::new(
                        opening(node),
                        SettingsErrorKind::MissingKey { key: join(at, key) },
                    )
                    .help(missing_help(properties.get(key), key)),
                );
            }
        }
    }

    /// Reports an unknown key; returns the key that was meant, if it can be told.
    fn unknown_key(
        &mut self,
        member: &Member<'_>,
        path: &str,
        properties: &serde_json::Map<String, Schema>,
    ) -> Option<String> {
        let near = suggest::nearest(&member.key, properties.keys().map(String::as_str));
        let certain = near.is_some_and(|near| suggest::distance(near, &member.key) <= 1);
        let mut homes = Vec::new();
        find_homes(self.root, &member.key, "", &mut homes);
        let (nearest, help) = match (near, homes.first()) {
            (Some(near), _) if certain => (Some(near), format!("did you mean `{near}`?")),
            (_, Some(home)) => (None, format!("`{}` belongs into {home}", member.key)),
            (Some(near), None) => (Some(near), format!("did you mean `{near}`?")),
            (None, None) => {
                let known = properties
                    .iter()
                    .filter(|(key, property)| *key != "$schema" && property.get("not").is_none());
                let known: Vec<_> = known.map(|(key, _)| format!("`{key}`")).collect();
                (None, format!("known keys: {}", known.join(", ")))
            }
        };
        self.findings
            .push(unknown(member, path.to_owned(), nearest, help));
        nearest.map(str::to_owned)
    }

    fn unsupported(&mut self, member: &Member<'_>, path: &str) {
        let span = member.key_span.clone();
        self.findings.push(
            Finding::new(
                span,
                SettingsErrorKind::Unsupported {
                    key: path.to_owned(),
                },
            )
            .help("nothing runs with a setting that would be ignored: remove it"),
        );
    }

    fn wrong_type(&mut self, node: &Node<'_>, alternatives: &[Schema], at: &str) {
        let expected: Vec<_> = alternatives.iter().map(expected_type).collect();
        let kind = if at.is_empty() {
            SettingsErrorKind::NotAnObject {
                found: node.type_name(),
            }
        } else {
            let key = at.to_owned();
            SettingsErrorKind::WrongType {
                key,
                expected: expected.join(" or "),
                found: node.type_name(),
            }
        };
        let finding = Finding::new(node.span.clone(), kind);
        self.findings.push(match &node.value {
            Value::Null => finding.help("leave the key out if it has no value"),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => finding,
        });
    }

    fn check_number(&mut self, span: &Range<usize>, number: &str, schema: &Schema, at: &str) {
        let minimum = schema.get("minimum").and_then(Schema::as_u64).unwrap_or(0);
        let maximum = schema
            .get("maximum")
            .and_then(Schema::as_u64)
            .unwrap_or(u64::MAX);
        if !number
            .parse()
            .is_ok_and(|value: u64| (minimum..=maximum).contains(&value))
        {
            let expected = format!("a whole number from {minimum} to {maximum}");
            self.out_of_range(span, at, expected, number.to_owned());
        }
    }

    fn check_text(&mut self, span: &Range<usize>, text: &str, schema: &Schema, at: &str) {
        let names = allowed_names(schema);
        if names.len() > MANY_NAMES && !names.contains(&text) {
            let near = suggest::nearest(text, names.iter().copied());
            let help = near.map_or_else(
                || "the schema lists the names".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let kind = unknown_name(at.to_owned(), text.to_owned());
            self.findings
                .push(Finding::new(span.clone(), kind).help(help));
            return;
        }
        if !names.is_empty() && !names.contains(&text) {
            let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            self.out_of_range(span, at, listed.join(" or "), text.to_owned());
            return;
        }
        if text.is_empty() && schema.get("minLength").is_some() {
            self.out_of_range(
                span,
                at,
                "a text that is not empty".to_owned(),
                String::new(),
            );
            return;
        }
        if let Some(format) = schema.get("format").and_then(Schema::as_str) {
            let mistake = meaning::check(format, text, self.base).err();
            self.findings
                .extend(mistake.map(|Mistake { kind, help }| Finding {
                    span: span.clone(),
                    kind,
                    help,
                }));
        }
    }

    fn out_of_range(&mut self, span: &Range<usize>, at: &str, expected: String, found: String) {
        let kind = SettingsErrorKind::OutOfRange {
            key: at.to_owned(),
            expected,
            found,
        };
        self.findings.push(Finding::new(span.clone(), kind));
    }
}

/// A text that is none of many names.
pub(crate) fn unknown_name(key: String, found: String) -> SettingsErrorKind {
    SettingsErrorKind::OutOfRange {
        key,
        expected: "a known name".to_owned(),
        found,
    }
}

/// More names than a message can list.
const MANY_NAMES: usize = 8;

fn unknown(member: &Member<'_>, key: String, nearest: Option<&str>, help: String) -> Finding {
    let kind = SettingsErrorKind::UnknownKey {
        key,
        nearest: nearest.map(str::to_owned),
    };
    Finding::new(member.key_span.clone(), kind).help(help)
}

fn missing_help(property: Option<&Schema>, key: &str) -> String {
    let property = property.unwrap_or(&Schema::Null);
    match property.get("type").and_then(Schema::as_str) {
        Some("array") => format!("write `\"{key}\": []` for none"),
        Some("boolean") => format!("add `\"{key}\": true`"),
        _ => format!("add `\"{key}\"`"),
    }
}

/// Where the object starts: its first byte is enough to underline.
fn opening(node: &Node<'_>) -> Range<usize> {
    node.span.start..node.span.start.saturating_add(1).min(node.span.end)
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}
