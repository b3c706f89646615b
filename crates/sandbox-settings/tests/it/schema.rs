//! The published schema.

use std::fs;

#[test]
fn the_published_schema_is_the_loaders() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/settings.schema.json"
    );
    let published = fs::read_to_string(path).expect("docs/settings.schema.json");
    let current = format!("{:#}\n", sandbox_settings::schema());
    assert!(
        published == current,
        "out of date: run `srt schema > docs/settings.schema.json`"
    );
}

#[test]
fn no_value_may_be_null_and_every_key_is_explained() {
    let schema = sandbox_settings::schema();
    let text = schema.to_string();
    assert!(!text.contains("null"), "an absent key is no null");
    let mut keys = 0;
    explain(&schema, "", &mut keys);
    assert!(keys > 60, "{keys}");
}

fn explain(schema: &serde_json::Value, at: &str, keys: &mut usize) {
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        explain(alternative, at, keys);
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{key}");
        let of_ours =
            !["command", "args", "argv0", "applyPath", "path", "literal"].contains(&key.as_str());
        assert!(
            !of_ours || property["description"].is_string(),
            "{path} has no description"
        );
        *keys += 1;
        explain(property, &path, keys);
    }
}
