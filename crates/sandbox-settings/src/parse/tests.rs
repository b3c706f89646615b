//! The two readings of a file agree.

use std::sync::Arc;

use sandbox_policy::{AbsolutePath, PathBase};
use serde_json::{Value, json};

use super::{
    CLAUDE_KEYS, Claude, FLAT_KEYS, Flat, Format, PERMISSION_KEYS, read, schema, schema_of,
    validate,
};
use crate::{json as text, source::Source};

fn keys(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .filter(|key| key != "$schema")
        .collect()
}

#[test]
fn the_lists_of_keys_are_the_types() {
    let sorted = |listed: &[&str]| {
        let mut listed: Vec<_> = listed.iter().map(ToString::to_string).collect();
        listed.sort();
        listed
    };
    let claude = schema::of::<Claude>();
    assert_eq!(keys(&schema::of::<Flat>()), sorted(&FLAT_KEYS));
    assert_eq!(keys(&claude), sorted(&CLAUDE_KEYS));
    assert_eq!(
        keys(&claude["properties"]["permissions"]),
        sorted(&PERMISSION_KEYS)
    );
}

/// Documents in which every key has a value.
fn full_documents() -> [(Format, Value); 2] {
    let claude = json!({
        "model": "x",
        "permissions": { "defaultMode": "plan", "allow": ["Edit(a)", "Bash(b)"], "deny": ["Read(a)"], "ask": ["WebFetch(domain:a.example)"] },
        "sandbox": {
            "enabled": true, "excludedCommands": ["a"], "allowUnsandboxedCommands": true, "autoAllowBashIfSandboxed": true,
            "network": { "allowedDomains": ["a.example"], "deniedDomains": ["*"], "blockedDomains": ["b.example"],
                "allowUnixSockets": ["/a"], "allowAllUnixSockets": true, "allowLocalBinding": true, "allowMachLookup": ["a"] },
            "filesystem": { "allowWrite": ["a", { "path": "b", "literal": true }], "denyWrite": ["c"], "denyRead": ["d"],
                "allowRead": ["e"], "preset": "workspace", "unprotect": [".vscode"], "strictReads": true },
            "ignoreViolations": { "*": ["a"] }, "enableWeakerNestedSandbox": true,
            "enableWeakerNetworkIsolation": true, "failIfUnavailable": true, "ripgrep": { "command": "rg" }
        }
    });
    let flat = json!({
        "$schema": "x",
        "network": { "allowedDomains": ["a.example:1"], "deniedDomains": ["*"], "deniedDomainReasons": { "*": "a" },
            "strictAllowlist": true, "deniedResolvedAddresses": ["::1"], "allowUnixSockets": ["/a"],
            "allowAllUnixSockets": true, "allowLocalBinding": true, "allowMachLookup": ["a"] },
        "filesystem": { "denyRead": ["a"], "allowRead": ["a"], "allowWrite": ["a"], "denyWrite": ["a"],
            "preset": "workspace", "unprotect": [".vscode", ".git/hooks"], "allowGitConfig": true, "strictReads": true, "disabled": true },
        "ignoreViolations": { "*": ["a"] }, "enableWeakerNestedSandbox": true, "allowNestedUserNamespaces": true,
        "enableWeakerNetworkIsolation": true, "allowAppleEvents": true, "allowPty": true, "git": { "safeDirectories": ["/a"] },
        "ripgrep": { "command": "rg", "args": ["a"] }, "mandatoryDenySearchDepth": 3, "seccomp": { "applyPath": "/a" },
        "bwrapPath": "/a", "socatPath": "/a", "javaAgentJarPath": "/a", "windows": { "a": 1 }
    });
    [(Format::Claude, claude), (Format::Flat, flat)]
}

/// The document without the keys that only the schema looks into.
fn without_unread(mut document: Value) -> Value {
    for (section, key) in [
        ("/sandbox", "ripgrep"),
        ("/sandbox", "failIfUnavailable"),
        ("/network", "deniedDomainReasons"),
        ("", "ripgrep"),
        ("", "mandatoryDenySearchDepth"),
        ("", "seccomp"),
        ("", "bwrapPath"),
        ("", "socatPath"),
        ("", "javaAgentJarPath"),
        ("", "windows"),
    ] {
        if let Some(Value::Object(members)) = document.pointer_mut(section) {
            members.remove(key);
        }
    }
    document
}

/// The document with each of its values replaced, each of its keys removed or misspelt, in turn.
fn mutations(document: &Value) -> Vec<Value> {
    let replacements = || {
        [
            json!(null),
            json!(0),
            json!(""),
            json!([]),
            json!({}),
            json!(true),
            json!("(("),
            json!([""]),
            json!([[]]),
        ]
    };
    let mut mutated: Vec<_> = replacements().into_iter().collect();
    match document {
        Value::Object(members) => {
            for (key, value) in members {
                mutated.extend(mutations(value).into_iter().map(|value| {
                    let mut members = members.clone();
                    members.insert(key.clone(), value);
                    Value::Object(members)
                }));
                let mut rest = members.clone();
                rest.remove(key);
                mutated.push(Value::Object(rest.clone()));
                for misspelt in [
                    format!("{key}x"),
                    key.to_uppercase(),
                    "zzzzzzzzzz".to_owned(),
                ] {
                    let mut renamed = rest.clone();
                    renamed.insert(misspelt, value.clone());
                    mutated.push(Value::Object(renamed));
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                mutated.extend(mutations(element).into_iter().map(|element| {
                    let mut elements = elements.clone();
                    elements[index] = element;
                    Value::Array(elements)
                }));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    mutated
}

#[test]
fn what_is_read_without_doubt_has_no_mistake_for_the_schema() {
    let home = AbsolutePath::new("/home/a").ok();
    let base = PathBase {
        working_directory: AbsolutePath::new("/srv/project").expect("absolute"),
        home,
    };
    let mut total_certain = 0;
    let documents = full_documents();
    let plain = documents
        .clone()
        .map(|(format, document)| (format, without_unread(document)));
    for (format, document) in documents.into_iter().chain(plain) {
        let schema = schema_of(format);
        let (mut certain, mut refused) = (0, 0);
        for mutated in std::iter::once(document.clone()).chain(mutations(&document)) {
            let source = Source::new(Arc::new("settings.json".into()), mutated.to_string());
            let root = text::parse(&source.text).expect("JSON");
            let findings = validate(&root, &schema, &base);
            let read = read(&root, format, crate::layer::Layer::Flag, (&source, &base));
            assert!(
                read.doubtful || findings.is_empty(),
                "{mutated}: {findings:?}"
            );
            // And the other way round: what the schema lets pass can be read.
            let readable = read.outcome.is_ok() && read.reader.findings.is_empty();
            assert!(
                !findings.is_empty() || readable,
                "{mutated}: {:?}",
                read.outcome
            );
            certain += usize::from(!read.doubtful);
            refused += usize::from(!findings.is_empty());
        }
        assert!(refused > 300, "{certain} {refused}");
        total_certain += certain;
    }
    assert!(total_certain > 100, "{total_certain}");
}
