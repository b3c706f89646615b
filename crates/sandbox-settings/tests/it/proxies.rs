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

fn parents(settings: &Settings) -> [String; 3] {
    let parents = &settings.parent_proxies;
    let of = |choice: &Option<sandbox_settings::Choice<sandbox_policy::ParentChoice>>| {
        let choice = choice.as_ref();
        choice.map_or_else(String::new, |choice| choice.value.to_string())
    };
    let bypass = parents.bypass.as_ref();
    let bypass = bypass.map_or_else(String::new, |choice| choice.value.to_string());
    [of(&parents.http), of(&parents.https), bypass]
}

fn parent(entries: &str) -> String {
    format!(r#""parentProxy": {{ {entries} }}"#)
}

#[test]
fn parents_come_from_both_formats_and_below_them_from_the_environment() {
    assert_eq!(parents(&Machine::new().load()), ["", "", ""]);
    let one = parent(r#""http": "http://me:word@a.test", "noProxy": ".b.test""#);
    for (file, text) in [(File::Home, flat(&one)), (File::User, claude(&one))] {
        let settings = Machine::new().with(file, &text).load();
        let shown = "http://a.test:80 (with a login)";
        assert_eq!(parents(&settings), [shown, shown, "b.test"]);
        let described = describe(&settings).to_string();
        assert!(
            described.contains(shown) && !described.contains("word"),
            "{described}"
        );
    }
    let mut machine = Machine::new();
    machine.sources.proxy_variables.all = Some("socks5h://all.test".into());
    let all = "socks5h://all.test:1080";
    assert_eq!(parents(&machine.load()), [all, all, ""]);
    machine.sources.proxy_variables.http = Some("env.test:1".into());
    machine.sources.proxy_variables.no_proxy = Some("c.test".into());
    let http = "http://env.test:1";
    assert_eq!(parents(&machine.load()), [http, http, "c.test"]);
    machine.sources.proxy_variables.https = Some("https://x.test".into());
    let [_, https, _] = parents(&machine.load());
    assert!(https.starts_with("unusable: "), "{https}");
    // Each value of a file's stands above the environment's, and an empty one is none.
    let machine = machine.with(File::Home, &flat(&parent(r#""https": "", "noProxy": """#)));
    assert_eq!(parents(&machine.load()), [http, "none", ""]);
}

#[test]
fn the_managed_files_word_on_proxies_is_the_only_one() {
    let mut machine = Machine::new()
        .with(
            File::User,
            &claude(&parent(r#""https": "http://user.test""#)),
        )
        .with(
            File::Managed,
            &claude(&parent(r#""http": "http://corp.test""#)),
        );
    machine.sources.proxy_variables.https = Some("http://env.test".into());
    machine.sources.proxy_variables.no_proxy = Some("*".into());
    let corp = "http://corp.test:80";
    assert_eq!(parents(&machine.load()), [corp, corp, ""]);
    // The other kind of proxy would lead around it.
    let machine = machine.with(File::Managed, &claude(r#""httpProxyPort": 1"#));
    assert_eq!(parents(&machine.load()), ["", "", ""]);
}

#[test]
fn an_untrusted_project_names_no_parent_and_takes_none_away() {
    let text = claude(&parent(
        r#""http": "http://me:word@p.test", "noProxy": "*""#,
    ));
    let machine = Machine::new().with(File::Project, &text);
    let settings = machine.load();
    assert_eq!(parents(&settings), ["", "", ""]);
    let held: Vec<_> = settings.held_back.iter().map(|held| &held.what).collect();
    assert_eq!(
        held,
        [
            "`sandbox.network.parentProxy.http`: `http://p.test:80 (with a login)`",
            "`sandbox.network.parentProxy.noProxy`: `*`"
        ]
    );
    machine.trust();
    assert_eq!(parents(&machine.load())[2], "*");
}

#[test]
fn a_file_with_a_login_cannot_be_read_inside() {
    let login = parent(r#""http": "http://me:word@a.test""#);
    let plain = parent(r#""http": "http://a.test""#);
    for (text, readable) in [(&login, false), (&plain, true)] {
        let machine = Machine::new().with(File::Home, &flat(text));
        let settings = machine.load();
        assert_eq!(machine.reads(&settings, "~/.srt-settings.json"), readable);
        let machine = Machine::new().with(File::Project, &claude(text));
        let settings = machine.load();
        assert_eq!(machine.reads(&settings, ".claude/settings.json"), readable);
    }
    // Whatever opens files, and whether or not the entry counts.
    let all = flat(&login).replace("\"denyRead\"", "\"disabled\": true, \"denyRead\"");
    let machine = Machine::new().with(File::Home, &all);
    let settings = machine.load();
    assert!(!machine.reads(&settings, "~/.srt-settings.json"));
    assert!(machine.reads(&settings, "~/other"));
}

#[test]
fn a_url_that_names_no_parent_is_an_error_that_does_not_repeat_it() {
    for url in [
        "https://me:word@a.test",
        "ftp://me:word@a.test",
        "http://me:word@a.test/x",
    ] {
        let entry = parent(&format!(r#""http": "{url}""#));
        let machine = Machine::new().with(File::Home, &flat(&entry));
        let shown = machine.show(&machine.errors());
        assert!(
            shown.contains("bad proxy") && shown.contains("******@a.test"),
            "{shown}"
        );
        assert!(!shown.contains("word"), "{shown}");
    }
    for entries in [r#""http": 1"#, r#""htpp": "a.test""#, r#""noProxy": []"#] {
        let machine = Machine::new().with(File::User, &claude(&parent(entries)));
        assert_eq!(machine.errors().0.len(), 1, "{entries}");
    }
}
