//! The user's own proxies: which layer's hold, and which values are ports.

use sandbox_settings::{Settings, describe};

use crate::support::{File, Machine};

fn claude(ports: &str) -> String {
    format!(r#"{{ "sandbox": {{ "network": {{ {ports} }} }} }}"#)
}

fn flat(ports: &str) -> String {
    format!(
        r#"{{ "network": {{ "allowedDomains": [], "deniedDomains": [], {ports} }},
          "filesystem": {{ "denyRead": [], "allowWrite": [], "denyWrite": [] }} }}"#
    )
}

fn ports(settings: &Settings) -> (Option<u16>, Option<u16>) {
    let proxies = &settings.external_proxies;
    let number = |port: &sandbox_settings::Choice<sandbox_policy::Port>| port.value.get();
    (
        proxies.http.as_ref().map(number),
        proxies.socks.as_ref().map(number),
    )
}

#[test]
fn both_formats_name_them_and_the_description_says_where() {
    assert_eq!(ports(&Machine::new().load()), (None, None));
    let both = r#""httpProxyPort": 8080, "socksProxyPort": 65535"#;
    for (file, text) in [(File::Home, flat(both)), (File::User, claude(both))] {
        let settings = Machine::new().with(file, &text).load();
        assert_eq!(ports(&settings), (Some(8080), Some(65535)));
        let described = describe(&settings)["values"].clone();
        let row = described
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["key"] == "network.httpProxyPort")
            .unwrap();
        assert_eq!(row["value"], 8080);
        assert!(row["origin"].as_str().unwrap().contains(".json:"), "{row}");
    }
}

#[test]
fn the_highest_layer_decides_each_and_the_managed_file_both() {
    let machine = Machine::new()
        .with(
            File::User,
            &claude(r#""httpProxyPort": 1, "socksProxyPort": 2"#),
        )
        .with_flag(&claude(r#""httpProxyPort": 3"#));
    assert_eq!(ports(&machine.load()), (Some(3), Some(2)));
    let machine = machine.with(File::Managed, &claude(r#""httpProxyPort": 4"#));
    assert_eq!(ports(&machine.load()), (Some(4), None));
}

#[test]
fn an_untrusted_project_names_none() {
    let text = claude(r#""httpProxyPort": 3128"#);
    for file in [File::Project, File::Local] {
        let machine = Machine::new().with(file, &text);
        let settings = machine.load();
        assert_eq!(ports(&settings), (None, None));
        assert_eq!(
            settings.held_back[0].what,
            "`sandbox.network.httpProxyPort`: `3128`"
        );
        // What holds anyway, or what the administrator decided, is no question.
        for (file, port) in [(File::User, 3128), (File::Managed, 1)] {
            let machine = Machine::new()
                .with(File::Project, &text)
                .with(file, &claude(&format!(r#""httpProxyPort": {port}"#)));
            let settings = machine.load();
            assert_eq!(ports(&settings), (Some(port), None));
            assert!(settings.held_back.is_empty());
        }
    }
}

#[test]
fn other_values_are_errors() {
    for value in [
        "0",
        "65536",
        "-1",
        "1.5",
        "8080.0",
        "8e3",
        "1e999",
        "\"80\"",
        "null",
        "true",
        "[]",
        "{}",
        "99999999999999999999",
    ] {
        for key in ["httpProxyPort", "socksProxyPort"] {
            let entry = format!(r#""{key}": {value}"#);
            for (file, text) in [(File::Home, flat(&entry)), (File::User, claude(&entry))] {
                let errors = Machine::new().with(file, &text).errors().to_string();
                assert!(errors.contains(key), "{entry}: {errors}");
            }
        }
    }
}
