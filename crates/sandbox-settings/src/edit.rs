//! Adding entries to the text of a settings file. Comments and layout stay.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstRootNode},
};
use sandbox_policy::PathPattern;

use crate::layer::Format;

/// An entry for a list of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a key and a value are all that an entry is"
)]
pub struct Addition {
    /// The key of the list in the flat format, such as `filesystem.allowWrite`.
    pub key: &'static str,
    /// The entry.
    pub value: String,
}

/// Why a text can't be added to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It is no JSON.
    #[error("cannot read the settings")]
    Parse(#[source] jsonc_parser::errors::ParseError),
    /// What should be an object or a list is something else.
    #[error("`{key}` can't be added to: something on its way is no object, or it is no list")]
    Shape {
        /// The key.
        key: String,
    },
}

/// The text with further entries. Those that it has already are not repeated.
pub fn with_additions(
    text: &str,
    format: Format,
    additions: &[Addition],
) -> Result<String, EditError> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(EditError::Parse)?;
    for Addition { key, value } in additions {
        let shape = || EditError::Shape {
            key: (*key).to_owned(),
        };
        let mut object = root.object_value_or_create().ok_or_else(shape)?;
        let prefix = match format {
            Format::Claude => Some("sandbox"),
            Format::Flat => None,
        };
        let mut names: Vec<&str> = prefix.into_iter().chain(key.split('.')).collect();
        let list = names.pop().ok_or_else(shape)?;
        for name in names {
            object = object.object_value_or_create(name).ok_or_else(shape)?;
        }
        let array = object.array_value_or_create(list).ok_or_else(shape)?;
        let is_there = array.elements().iter().any(|element| {
            let literal = element.as_string_lit();
            literal.and_then(|text| text.decoded_value().ok()).as_ref() == Some(value)
        });
        if !is_there {
            array.append(entry(key, value));
        }
    }
    Ok(root.to_string())
}

/// Puts a text in a file's place at once, so that nobody ever finds half of it. A link to a file
/// elsewhere stays a link; a new file is for its owner alone.
///
/// # Errors
/// The file is then as it was.
pub fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    let path = &match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        found => found?,
    };
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0o600,
        Err(error) => return Err(error),
    };
    let new = directory.join(format!(".srt-settings-{}.new", std::process::id()));
    // What has that name already is not ours, and stays.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What is left of it, if anything, is no settings file.
        fs::remove_file(&new).unwrap_or(());
    }
    written
}

/// A text as JSON, as it may stand in a settings file.
#[must_use]
pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A path in which a pattern would be read is written so that it is none.
fn entry(key: &str, value: &str) -> CstInputValue {
    let text = CstInputValue::String(value.to_owned());
    let is_path = key.starts_with("filesystem.");
    if !is_path || PathPattern::is_plain(value) {
        return text;
    }
    CstInputValue::Object(vec![
        ("path".to_owned(), text),
        ("literal".to_owned(), CstInputValue::Bool(true)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addition(key: &'static str, value: &str) -> Addition {
        let value = value.to_owned();
        Addition { key, value }
    }

    #[test]
    fn comments_and_layout_stay() {
        let text = "{\n  // mine\n  \"filesystem\": {\n    \"allowWrite\": [\n      \".\"\n    ]\n  }\n}\n";
        let additions = [
            addition("filesystem.allowWrite", "/a"),
            addition("filesystem.allowWrite", "."),
            addition("filesystem.allowWrite", "/b*"),
            addition("filesystem.allowWrite", "/c/**"),
            addition("network.allowedDomains", "a.example"),
        ];
        let edited = with_additions(text, Format::Flat, &additions).unwrap();
        assert!(edited.contains("// mine"), "{edited}");
        assert_eq!(edited.matches("\".\"").count(), 1, "{edited}");
        assert_eq!(edited.matches("\"literal\": true").count(), 2, "{edited}");
        let twice = with_additions(&edited, Format::Flat, &additions[..2]).unwrap();
        assert_eq!(twice, edited);
    }

    #[test]
    fn an_empty_file_of_claudes_gets_what_it_needs() {
        let additions = [addition("network.allowedDomains", "a.example")];
        let edited = with_additions("{}\n", Format::Claude, &additions).unwrap();
        let value: serde_json::Value = serde_json::from_str(&edited).unwrap();
        assert_eq!(
            value["sandbox"]["network"]["allowedDomains"][0],
            "a.example"
        );
        let error = with_additions("{\"sandbox\": 1}", Format::Claude, &additions);
        assert!(matches!(error, Err(EditError::Shape { .. })));
    }

    fn with_host(text: &str, format: Format, host: &str) -> Option<String> {
        with_additions(text, format, &[addition("network.allowedDomains", host)]).ok()
    }
    #[test]
    fn only_the_entry_is_new() {
        let flat = "{\n\t\"network\": {\n\t\t\"allowedDomains\": [\n\t\t\t\"a.test\",\n\t\t\t\"b.test:22\"\n\t\t],\n\t\t\"deniedDomains\": [   ]\n\t},\n\n\t\"filesystem\" : {}}";
        let changed = with_host(flat, Format::Flat, "c.test:443").unwrap();
        assert_eq!(
            changed,
            flat.replace("\"b.test:22\"\n", "\"b.test:22\",\n\t\t\t\"c.test:443\"\n")
        );
        assert_eq!(
            with_host(&changed, Format::Flat, "c.test:443").unwrap(),
            changed
        );
        let one_line = r#"{ "permissions": {"allow": []}, "sandbox": {"network": {"allowedDomains": ["a.test"]}} }"#;
        assert_eq!(
            with_host(one_line, Format::Claude, "c.test:1").unwrap(),
            one_line.replace(r#"["a.test"]"#, r#"["a.test", "c.test:1"]"#)
        );
    }

    #[test]
    fn missing_sections_are_made_and_others_are_not_overwritten() {
        for text in ["{}", "{\n  \"model\": \"x\" // chosen\n}\n"] {
            let changed = with_host(text, Format::Claude, "c.test:443").unwrap();
            assert!(changed.contains("\"c.test:443\""), "{changed}");
            assert!(
                !text.contains("chosen") || changed.contains("\"x\", // chosen"),
                "{changed}"
            );
        }
        for text in [
            "[]",
            "7",
            "{\"network\": 1}",
            "{\"network\": {\"allowedDomains\": \"x\"}}",
            "{",
        ] {
            assert_eq!(with_host(text, Format::Flat, "c.test:443"), None, "{text}");
        }
    }
}
