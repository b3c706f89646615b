//! Every class of mistake, as a person sees it.

use std::{fmt::Write as _, fs, os::unix::fs::symlink};

use sandbox_settings::SettingsErrorKind;

use crate::support::{FLAT, File, Machine};

/// Each case is a user file's text.
fn show_all(file: File, cases: &[(&str, &str)]) -> String {
    let mut shown = String::new();
    for (name, text) in cases {
        let machine = Machine::new().with(file, text);
        writeln!(shown, "== {name}\n{}", machine.show(&machine.errors())).unwrap();
    }
    shown
}

#[test]
fn files_that_are_no_settings() {
    insta::assert_snapshot!(show_all(
        File::User,
        &[
            ("empty", ""),
            ("white space", " \n\t\n"),
            ("no JSON", "enabled = true"),
            ("comment", "{\n  // trusted\n  \"sandbox\": {}\n}"),
            (
                "trailing comma",
                "{\n  \"sandbox\": { \"enabled\": true, }\n}"
            ),
            ("missing comma", "{ \"sandbox\": {} \"permissions\": {} }"),
            ("single quotes", "{ 'sandbox': {} }"),
            ("word key", "{ sandbox: {} }"),
            ("unterminated", "{ \"sandbox\": { \"enabled\": tru"),
            ("two values", "{} {}"),
            ("leading zero", "{ \"sandbox\": 01 }"),
            (
                "line break in a string",
                "{ \"permissions\": { \"allow\": [\"Edit(a\n)\"] } }"
            ),
            ("byte order mark", "\u{feff}{}"),
            (
                "after letters outside ASCII",
                "{ \"größe\": \"ü\", \"sandbox\": ] }"
            ),
            ("a list", "[]"),
            ("null", "null"),
            ("a string", "\"sandbox\""),
        ]
    ));
}

#[test]
fn a_deeply_nested_file_is_an_error_and_no_crash() {
    for nesting in ["[", "{\"a\":"] {
        let machine = Machine::new().with(File::User, &nesting.repeat(200_000));
        assert_eq!(machine.errors().0[0].kind.code(), "syntax");
    }
}

#[test]
fn what_a_file_says_cannot_move_the_cursor() {
    let machine = Machine::new().with(
        File::Project,
        r#"{ "sandbox": { "\u001b[2Jenabled": true }, "permissions": { "allow": ["Edit(\u0000\u001b[2J)", "WebFetch(domain:\u202e)"] } }"#,
    );
    let text = machine.errors().to_string();
    assert!(!text.contains(['\u{1b}', '\0', '\u{202e}']), "{text:?}");
    machine.write(
        File::Project,
        r#"{ "permissions": { "allow": ["Edit(a\u001b[2J)"] } }"#,
    );
    let what = &machine.load().held_back[0].what;
    assert_eq!(what, "`permissions.allow`: `Edit(a\\u{1b}[2J)`");
}

#[test]
fn keys() {
    insta::assert_snapshot!(show_all(
        File::Home,
        &[
            (
                "duplicate key",
                r#"{ "network": {}, "filesystem": {}, "network": {} }"#
            ),
            (
                "duplicate key inside",
                "{ \"sandbox\": {\n  \"enabled\": true,\n  \"enabled\": false } }"
            ),
            ("missing keys", r#"{ "network": { "allowedDomains": [] } }"#),
            ("nothing", "{}"),
            ("only foreign keys", r#"{ "model": "x", "hooks": {} }"#),
            ("nearly ours", r#"{ "netwrok": {}, "filesytem": {} }"#),
            ("mixed formats", r#"{ "permissions": {}, "network": {} }"#),
            (
                "key of another section",
                r#"{ "network": { "allowedDomains": [], "deniedDomains": [], "allowWrite": [] },
                     "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] }, "deniedDomains": [] }"#
            ),
            (
                "key like nothing",
                r#"{ "network": { "allowedDomains": [], "deniedDomains": [], "zebra": 1 },
                     "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] } }"#
            ),
            (
                "not supported yet",
                r#"{ "network": { "allowedDomains": [], "deniedDomains": [], "mitmProxy": 8080, "tlsTerminate": {} },
                     "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] }, "credentials": { "awsPairs": [] } }"#
            ),
        ]
    ));
}

#[test]
fn values() {
    insta::assert_snapshot!(show_all(
        File::User,
        &[
            (
                "string for a switch",
                r#"{ "sandbox": { "enabled": "yes" } }"#
            ),
            (
                "string for a list",
                r#"{ "permissions": { "allow": "Edit(a)" } }"#
            ),
            (
                "number in a list",
                r#"{ "permissions": { "allow": ["Edit(a)", 7] } }"#
            ),
            (
                "null",
                r#"{ "sandbox": { "network": { "allowedDomains": null } } }"#
            ),
            (
                "object for a path",
                r#"{ "sandbox": { "filesystem": { "allowWrite": [{ "path": "a" }] } } }"#
            ),
            (
                "literal is false",
                r#"{ "sandbox": { "filesystem": { "allowWrite": [{ "path": "a", "literal": false }] } } }"#
            ),
            (
                "list for a path",
                r#"{ "sandbox": { "filesystem": { "allowWrite": [[]] } } }"#
            ),
            ("list for a section", r#"{ "sandbox": [] }"#),
            (
                "unknown preset",
                r#"{ "sandbox": { "filesystem": { "preset": "worksapce" } } }"#
            ),
            (
                "number for a preset",
                r#"{ "sandbox": { "filesystem": { "preset": 1 } } }"#
            ),
            (
                "empty command",
                r#"{ "sandbox": { "excludedCommands": [""] } }"#
            ),
            (
                "ignored violations",
                r#"{ "sandbox": { "ignoreViolations": { "*": "all" } } }"#
            ),
        ]
    ));
}

#[test]
fn numbers() {
    let flat = |entry: &str| FLAT.replacen('{', &format!("{{ {entry},"), 1);
    let cases = ["0", "11", "-1", "2.5", "1e1", "\"3\""].map(|number| {
        (
            number,
            flat(&format!("\"mandatoryDenySearchDepth\": {number}")),
        )
    });
    let cases: Vec<_> = cases
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    insta::assert_snapshot!(show_all(File::Home, &cases));
}

#[test]
fn entries() {
    insta::assert_snapshot!(show_all(
        File::User,
        &[
            (
                "domains",
                r#"{ "sandbox": { "network": { "allowedDomains": [
  "https://example.com",
  "example.com/path",
  "",
  "*",
  "*.com",
  "a b.com",
  "10.0.0.0/8",
  "::1",
  "example.com:0",
  "example.com:65536"
] } } }"#
            ),
            (
                "denied domain",
                r#"{ "sandbox": { "network": { "deniedDomains": ["*", "*:22", "x/y"] } } }"#
            ),
            (
                "paths",
                r#"{ "sandbox": { "filesystem": { "denyWrite": ["", "~other/x", "a\u0000b", "*/../x"] } } }"#
            ),
            (
                "rules",
                r#"{ "permissions": { "allow": [
  "Edit(src",
  "Edit()",
  "Edit( )",
  "Read(",
  "WebFetch(example.com)",
  "WebFetch(domain:)",
  "WebFetch(domain:*.com)",
  "Edti(src)",
  "read(src)",
  "WebFecth(domain:example.com)"
] } }"#
            ),
            (
                "rules that refuse",
                r#"{ "permissions": { "deny": ["Raed(~/.ssh)"], "ask": ["Edit(a"] } }"#
            ),
        ]
    ));
    let bad = FLAT
        .replace(r#""deniedDomains": []"#, r#""deniedDomains": [], "deniedResolvedAddresses": ["10.0.0.0/33", "[::1]", "x", "::1"], "deniedDomainReasons": { "x/y": "no", "*": "" }"#)
        .replacen('{', r#"{ "bwrapPath": "bin/bwrap", "#, 1);
    insta::assert_snapshot!("flat_entries", show_all(File::Home, &[("flat", &bad)]));
}

#[test]
fn all_files_are_reported_together() {
    let mut machine = Machine::new()
        .with(File::User, r#"{ "sandbox": { "enabeld": true } }"#)
        .with(File::Project, "{")
        .with(File::Local, r#"{ "permissions": { "alow": [] } }"#)
        .with(File::Managed, r#"{ "sandobx": {} }"#)
        .with_flag("");
    machine.sources.overrides.allow_domains = vec!["https://x".to_owned()];
    machine.sources.overrides.allow_write = vec!["".into(), "~nobody/x".into()];
    insta::assert_snapshot!(machine.show(&machine.errors()));
    assert_eq!(machine.errors().0.len(), 8);
    assert_eq!(machine.errors().to_string().lines().count(), 8);
}

#[test]
fn files_that_cannot_be_read() {
    let mut machine = Machine::new();
    fs::create_dir(machine.path(File::Home)).unwrap();
    fs::write(machine.path(File::User), b"{ \"sandbox\": \"\xff\" }").unwrap();
    fs::write(machine.path(File::Project), vec![b' '; 4 * 1024 * 1024 + 1]).unwrap();
    symlink("settings.local.json", machine.path(File::Local)).unwrap();
    insta::assert_snapshot!(machine.show(&machine.errors()));
    machine = Machine::new();
    machine.sources.settings = Some("missing.json".into());
    insta::assert_snapshot!("missing_flag_file", machine.show(&machine.errors()));
    machine = Machine::new().with(File::User, "{}");
    fs::remove_dir_all(machine.root().join("home/project/.claude")).unwrap();
    fs::write(machine.root().join("home/project/.claude"), "a file").unwrap();
    insta::assert_snapshot!("file_for_a_directory", machine.show(&machine.errors()));
}

/// Else a command could have `srt` print a file that the command itself can't read.
#[test]
fn a_projects_link_does_not_quote_what_it_leads_to() {
    let machine = Machine::new();
    let secret = machine.root().join("home/secret");
    fs::write(&secret, "token = 12345").unwrap();
    symlink(&secret, machine.path(File::Project)).unwrap();
    let errors = machine.errors();
    assert_eq!(errors.0[0].kind.code(), "linked_elsewhere");
    assert!(errors.0[0].source_text.is_empty() && !errors.to_string().contains("token"));
    // A linked directory is the same.
    fs::remove_file(machine.path(File::Project)).unwrap();
    fs::remove_dir(machine.root().join("home/project/.claude")).unwrap();
    fs::create_dir(machine.root().join("home/other")).unwrap();
    fs::write(
        machine.root().join("home/other/settings.json"),
        "token = 12345",
    )
    .unwrap();
    symlink("../other", machine.root().join("home/project/.claude")).unwrap();
    assert_eq!(machine.errors().0[0].kind.code(), "linked_elsewhere");
    // A link to good settings works.
    fs::write(machine.root().join("home/other/settings.json"), "{}").unwrap();
    assert_eq!(machine.load().files.len(), 1);
}

/// A namespace: a file with `KEY` in it, and misspelt keys with what was meant.
struct Section {
    file: File,
    text: &'static str,
    keys: &'static [(&'static str, &'static str)],
}

#[test]
fn misspelt_keys_are_told_what_was_meant() {
    for Section { file, text, keys } in SECTIONS {
        for (misspelt, meant) in keys {
            let machine = Machine::new().with(file, &text.replace("KEY", misspelt));
            let errors = machine.errors();
            let [error] = errors.0.as_slice() else {
                panic!("`{misspelt}`: {errors}");
            };
            let SettingsErrorKind::UnknownKey { key, nearest } = &error.kind else {
                panic!("`{misspelt}`: {errors}");
            };
            assert!(key.ends_with(misspelt), "{key}");
            assert_eq!(nearest.as_deref(), Some(*meant), "for `{misspelt}`");
            assert_eq!(
                &error.source_text[error.span.clone()],
                format!("\"{misspelt}\"")
            );
        }
    }
}

const SECTIONS: [Section; 8] = [
    Section {
        file: File::Home,
        text: r#"{ "KEY": {}, "network": { "allowedDomains": [], "deniedDomains": [] },
               "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] } }"#,
        keys: &[
            ("ignoreViolation", "ignoreViolations"),
            ("enableWeakNestedSandbox", "enableWeakerNestedSandbox"),
            ("allowNestedUsernamespace", "allowNestedUserNamespaces"),
            ("allowAppelEvents", "allowAppleEvents"),
            ("allowPTY", "allowPty"),
            ("rigrep", "ripgrep"),
            ("credential", "credentials"),
            ("enviroment", "environment"),
            ("preset", "presets"),
            ("bwarpPath", "bwrapPath"),
            ("gti", "git"),
        ],
    },
    Section {
        file: File::Home,
        text: r#"{ "network": { "allowedDomains": [], "deniedDomains": [], "KEY": [] },
               "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] } }"#,
        keys: &[
            ("allowDomains", "allowedDomains"),
            ("alowedDomains", "allowedDomains"),
            ("deniedDomain", "deniedDomains"),
            ("denyDomains", "deniedDomains"),
            ("strictAllowList", "strictAllowlist"),
            ("deniedResolvedAddress", "deniedResolvedAddresses"),
            ("allowUnixSocket", "allowUnixSockets"),
            ("unixSockets", "allowUnixSockets"),
            ("alowAllUnixSockets", "allowAllUnixSockets"),
            ("httpProxy", "httpProxyPort"),
            ("tlsTerminiate", "tlsTerminate"),
        ],
    },
    Section {
        file: File::Home,
        text: r#"{ "network": { "allowedDomains": [], "deniedDomains": [] },
               "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [], "KEY": [] } }"#,
        keys: &[
            ("denyRaed", "denyRead"),
            ("allowRaed", "allowRead"),
            ("allowWrites", "allowWrite"),
            ("deny_write", "denyWrite"),
            ("disable", "disabled"),
            ("presets", "preset"),
            ("unprotected", "unprotect"),
            ("allowGitconfig", "allowGitConfig"),
        ],
    },
    Section {
        file: File::User,
        text: r#"{ "sandbox": { "KEY": [] } }"#,
        keys: &[
            ("enable", "enabled"),
            ("excludeCommands", "excludedCommands"),
            ("allowUnsandboxedCommand", "allowUnsandboxedCommands"),
            ("autoAllowBash", "autoAllowBashIfSandboxed"),
            ("newtork", "network"),
            ("fileSystem", "filesystem"),
            ("enableWeakerNestedSanbox", "enableWeakerNestedSandbox"),
        ],
    },
    Section {
        file: File::User,
        text: r#"{ "sandbox": { "network": { "KEY": [] } } }"#,
        keys: &[
            ("allowedDomain", "allowedDomains"),
            ("blockDomains", "blockedDomains"),
            ("allowLocalBinding ", "allowLocalBinding"),
            ("socksProxyport", "socksProxyPort"),
        ],
    },
    Section {
        file: File::User,
        text: r#"{ "sandbox": { "filesystem": { "KEY": [] } } }"#,
        keys: &[("alowWrite", "allowWrite"), ("denywrite", "denyWrite")],
    },
    Section {
        file: File::Managed,
        text: r#"{ "permissions": { "KEY": [] } }"#,
        keys: &[
            ("alow", "allow"),
            ("dney", "deny"),
            ("aks", "ask"),
            ("Deny", "deny"),
        ],
    },
    Section {
        file: File::Project,
        text: r#"{ "KEY": {} }"#,
        keys: &[
            ("sandobx", "sandbox"),
            ("sandBox", "sandbox"),
            ("permisions", "permissions"),
            ("permission", "permissions"),
            ("netwrok", "network"),
            ("filesytem", "filesystem"),
        ],
    },
];
