//! The JSON Schema of both formats, made from the wire types.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{claude::Claude, flat::Flat};

/// The JSON Schema (draft 2020-12) of settings files: either format.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "srt settings",
        "description": "Settings of the srt sandbox. A file holds one of two formats, told by its keys.",
        "anyOf": [of::<Flat>(), of::<Claude>()]
    })
}

/// The schema of one format.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    refuse_null(&mut schema);
    schema
}

/// An optional key may be absent; `null` is no value of any key. schemars can't tell the two apart,
/// so its `null`s are taken out.
fn refuse_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(values)) = members.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if let Some(Value::Array(alternatives)) = members.get_mut("anyOf") {
                alternatives.retain(|alternative| {
                    alternative.get("type").is_none_or(|name| name != "null")
                });
                if let [Value::Object(only)] = alternatives.as_slice() {
                    let only = only.clone();
                    members.remove("anyOf");
                    for (key, value) in only {
                        // The property's own description says more than its type's.
                        members.entry(key).or_insert(value);
                    }
                }
            }
            members.values_mut().for_each(refuse_null);
        }
        Value::Array(elements) => elements.iter_mut().for_each(refuse_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
