//! The words of JSON Schema that the wire types use.

use serde_json::Value as Schema;

use super::join;
use crate::json::{Node, Value};

/// Where in the format a key of this name exists, as words.
pub(super) fn find_homes(schema: &Schema, key: &str, at: &str, homes: &mut Vec<String>) {
    let Some(properties) = schema.get("properties").and_then(Schema::as_object) else {
        return;
    };
    for (name, property) in properties {
        if name == key {
            homes.push(if at.is_empty() {
                "the top level".to_owned()
            } else {
                format!("`{at}`")
            });
        }
        find_homes(property, key, &join(at, name), homes);
    }
}

/// The names that a text may be, where the schema lists them (`enum`, or one `const` for each).
pub(super) fn allowed_names(schema: &Schema) -> Vec<&str> {
    let listed = |key: &str| {
        schema
            .get(key)
            .and_then(Schema::as_array)
            .into_iter()
            .flatten()
    };
    listed("enum")
        .filter_map(Schema::as_str)
        .chain(listed("oneOf").filter_map(|variant| variant.get("const").and_then(Schema::as_str)))
        .chain(schema.get("const").and_then(Schema::as_str))
        .collect()
}

fn type_of(schema: &Schema) -> Option<&str> {
    match schema.get("type").and_then(Schema::as_str) {
        Some(name) => Some(name),
        None if allowed_names(schema).is_empty() => None,
        None => Some("string"),
    }
}

pub(super) fn has_type(node: &Node<'_>, schema: &Schema) -> bool {
    let Some(expected) = type_of(schema) else {
        return true;
    };
    match &node.value {
        Value::Null => expected == "null",
        Value::Bool(_) => expected == "boolean",
        Value::Number(_) => expected == "integer" || expected == "number",
        Value::String(_) => expected == "string",
        Value::Array(_) => expected == "array",
        Value::Object(_) => expected == "object",
    }
}

pub(super) fn expected_type(schema: &Schema) -> &'static str {
    match type_of(schema) {
        Some("boolean") => "true or false",
        Some("integer" | "number") => "a whole number",
        Some("string") => "a string",
        Some("array") => "a list",
        Some("object") => "an object",
        _ => "another value",
    }
}
