//! Ports of the two loopbacks: what both formats say, and where it was written.

use sandbox_settings::describe;
use serde_json::json;

use crate::support::{File, Machine};

fn claude(ports: &str) -> String {
    format!(r#"{{ "sandbox": {{ "network": {{ {ports} }} }} }}"#)
}

fn flat(ports: &str) -> String {
    format!(
        r#"{{ "network": {{ "allowedDomains": ["localhost:1"], "deniedDomains": [], {ports} }},
          "filesystem": {{ "denyRead": [], "allowWrite": [], "denyWrite": [] }} }}"#
    )
}

#[test]
fn both_formats_name_them_and_the_description_says_where() {
    let both = r#""hostPorts": [5432], "publishPorts": [3000, "8080:80"]"#;
    for (file, text) in [(File::Home, flat(both)), (File::User, claude(both))] {
        let mut machine = Machine::new().with(file, &text);
        machine.sources.overrides.publish = vec!["9000".to_owned(), "3000".to_owned()];
        let settings = machine.load();
        let described = describe(&settings)["values"].clone();
        let rows: Vec<_> = described.as_array().unwrap().iter().collect();
        let values = |key: &str| {
            let rows = rows.iter().filter(|row| row["key"] == key);
            rows.map(|row| row["value"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(values("network.hostPorts"), [json!(5432)]);
        // What is said twice counts once.
        let published = ["3000:3000", "8080:80", "9000:9000"].map(|text| json!(text));
        assert_eq!(values("network.publishPorts"), published);
        // An entry is shown once, under the key that it was written under.
        assert!(!values("network.allowedDomains").contains(&json!("localhost:5432")));
        let origin = |value: serde_json::Value| {
            let row = rows.iter().find(|row| row["value"] == value).unwrap();
            row["origin"].as_str().unwrap().to_owned()
        };
        assert!(origin(json!(5432)).contains(".json:"));
        assert!(origin(json!("8080:80")).contains(".json:"));
        assert_eq!(origin(json!("9000:9000")), "--publish 9000");
    }
}

#[test]
fn a_flat_file_decides_alone() {
    let settings = Machine::new()
        .with(File::Home, &flat(r#""hostPorts": [2]"#))
        .with(
            File::User,
            &claude(r#""hostPorts": [3], "publishPorts": [4]"#),
        )
        .load();
    let ports = settings.policy.network.host_ports();
    let ports: Vec<_> = ports.iter().map(|host| host.port.get()).collect();
    assert_eq!(ports, [1, 2]);
    assert_eq!(settings.policy.published_ports, []);
}
