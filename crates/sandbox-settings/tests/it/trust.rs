//! Files that come with a project narrow at once, and widen when their content is trusted.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sandbox_settings::{FileTrust, ProjectTrust, describe};

use crate::support::{File, Machine, reaches};

/// Every entry of the two formats that can widen, each as a file of its own.
fn widening() -> Vec<String> {
    let sandbox = [
        r#""enabled": false"#,
        r#""excludedCommands": ["docker"]"#,
        r#""ignoreViolations": { "*": ["/etc"] }"#,
        r#""enableWeakerNestedSandbox": true"#,
        r#""enableWeakerNetworkIsolation": true"#,
        r#""network": { "allowedDomains": ["x.example"] }"#,
        r#""network": { "allowUnixSockets": ["/run/docker.sock"] }"#,
        r#""network": { "allowAllUnixSockets": true }"#,
        r#""network": { "allowLocalBinding": true }"#,
        r#""network": { "allowMachLookup": ["com.apple.x"] }"#,
        r#""network": { "hostPorts": [5432] }"#,
        r#""network": { "publishPorts": ["8080:3000"] }"#,
        r#""network": { "httpProxyPort": 3128 }"#,
        r#""network": { "socksProxyPort": 1080 }"#,
        r#""filesystem": { "allowWrite": ["~/out"] }"#,
        r#""filesystem": { "allowWrite": [{ "path": "~/out", "literal": true }] }"#,
        r#""filesystem": { "allowRead": ["~/in"] }"#,
    ];
    let rules = ["Edit(~/out)", "Read(~/in)", "WebFetch(domain:x.example)"];
    let flat = |network: &str, filesystem: &str, top: &str| {
        format!(
            r#"{{ "network": {{ "allowedDomains": [], "deniedDomains": [] {network} }},
              "filesystem": {{ "denyRead": [], "denyWrite": [], "allowWrite": [] {filesystem} }} {top} }}"#
        )
    };
    let mut files: Vec<_> = sandbox
        .iter()
        .map(|entry| format!(r#"{{ "sandbox": {{ {entry} }} }}"#))
        .collect();
    files.extend(
        rules
            .iter()
            .map(|rule| format!(r#"{{ "permissions": {{ "allow": ["{rule}"] }} }}"#)),
    );
    files.push(flat("", "", "").replace(
        r#""allowedDomains": []"#,
        r#""allowedDomains": ["x.example"]"#,
    ));
    files.push(flat("", "", "").replace(r#""allowWrite": []"#, r#""allowWrite": ["~/out"]"#));
    for network in [
        r#""allowUnixSockets": ["/run/x"]"#,
        r#""allowAllUnixSockets": true"#,
        r#""allowLocalBinding": true"#,
        r#""allowMachLookup": ["x"]"#,
        r#""hostPorts": [5432]"#,
        r#""publishPorts": [3000]"#,
        r#""httpProxyPort": 3128"#,
        r#""socksProxyPort": 1080"#,
    ] {
        files.push(flat(&format!(", {network}"), "", ""));
    }
    for filesystem in [
        r#""allowRead": ["~/in"]"#,
        r#""allowGitConfig": true"#,
        r#""unprotect": [".vscode"]"#,
        r#""disabled": true"#,
    ] {
        files.push(flat("", &format!(", {filesystem}"), ""));
    }
    for top in [
        r#""ignoreViolations": { "*": ["x"] }"#,
        r#""enableWeakerNestedSandbox": true"#,
        r#""allowNestedUserNamespaces": true"#,
        r#""enableWeakerNetworkIsolation": true"#,
        r#""allowAppleEvents": true"#,
        r#""allowPty": true"#,
        r#""git": { "safeDirectories": ["/srv"] }"#,
    ] {
        files.push(flat("", "", &format!(", {top}")));
    }
    files
}

/// The effective values alone: what a run would be like.
fn effect(machine: &Machine) -> serde_json::Value {
    describe(&machine.load())["values"].clone()
}

#[test]
fn nothing_of_an_untrusted_project_widens_and_everything_of_a_trusted_one_does() {
    for text in widening() {
        for file in [File::Project, File::Local] {
            let plain = effect(&Machine::new());
            let mut machine = Machine::new().with(file, &text);
            let redacted = |value: serde_json::Value, machine: &Machine| {
                value
                    .to_string()
                    .replace(machine.root().to_str().unwrap(), "")
            };
            let untrusted = machine.load();
            assert_eq!(untrusted.files[0].trust, FileTrust::Untrusted);
            assert_eq!(untrusted.held_back.len(), 1, "{text}");
            assert_eq!(*untrusted.held_back[0].file, machine.path(file));
            let other = Machine::new();
            assert_eq!(
                redacted(effect(&machine), &machine),
                redacted(effect(&other), &other),
                "{text}"
            );
            machine.trust();
            let trusted = machine.load();
            assert!(trusted.held_back.is_empty(), "{text}");
            assert_eq!(trusted.files[0].trust, FileTrust::Trusted);
            assert_ne!(
                redacted(effect(&machine), &machine),
                redacted(plain, &other),
                "{text}"
            );
            machine.sources.trust = ProjectTrust::Withheld;
            assert_eq!(machine.load().held_back.len(), 1, "{text}");
            machine.sources.trust = ProjectTrust::Granted;
            assert!(machine.load().held_back.is_empty(), "{text}");
        }
    }
}

#[test]
fn what_a_project_narrows_applies_at_once() {
    let user = r#"{ "permissions": { "allow": ["WebFetch(domain:*.example.com)"] },
        "sandbox": { "enabled": false, "enableWeakerNestedSandbox": true } }"#;
    let project = r#"{ "permissions": { "deny": ["WebFetch(domain:a.example.com)", "Edit(secrets)", "Read(~/.ssh)"] },
        "sandbox": { "enabled": true, "enableWeakerNestedSandbox": false, "allowUnsandboxedCommands": false,
          "network": { "blockedDomains": ["b.example.com"] }, "filesystem": { "denyRead": ["~/x"], "denyWrite": ["y"] } } }"#;
    let machine = Machine::new()
        .with(File::User, user)
        .with(File::Project, project);
    let settings = machine.load();
    assert!(settings.held_back.is_empty());
    assert!(reaches(&settings, "c.example.com"));
    assert!(!reaches(&settings, "a.example.com") && !reaches(&settings, "b.example.com"));
    assert!(!machine.writes(&settings, "secrets/x") && !machine.writes(&settings, "y"));
    assert!(!machine.reads(&settings, "~/.ssh/x") && !machine.reads(&settings, "~/x"));
    assert!(
        settings.execution.enabled.value && !settings.execution.allow_unsandboxed_commands.value
    );
    assert_eq!(
        settings.policy.process.proc_mount,
        sandbox_policy::ProcMount::Fresh
    );
}

#[test]
fn trust_is_in_the_content_not_in_the_file() {
    let open =
        |host: &str| format!(r#"{{ "permissions": {{ "allow": ["WebFetch(domain:{host})"] }} }}"#);
    let machine = Machine::new().with(File::Project, &open("a.example"));
    machine.trust();
    assert!(reaches(&machine.load(), "a.example"));
    machine.write(File::Project, &open("b.example"));
    let settings = machine.load();
    assert!(!reaches(&settings, "b.example"));
    assert_eq!(
        settings.held_back[0].what,
        "`permissions.allow`: `WebFetch(domain:b.example)`"
    );
    assert_eq!(settings.held_back[0].line, 1);
    machine.write(File::Project, &open("a.example"));
    assert!(
        reaches(&machine.load(), "a.example"),
        "the trusted content is trusted again"
    );
    machine.write(File::Local, &open("a.example"));
    assert_eq!(
        machine.load().held_back.len(),
        1,
        "the same content in another file is not"
    );
}

#[test]
fn what_is_recorded_is_what_was_loaded() {
    let harmless = r#"{ "permissions": { "allow": ["WebFetch(domain:a.example)"] } }"#;
    let machine = Machine::new().with(File::Project, harmless);
    let shown = machine.load();
    // Between the question and the answer the file changes.
    machine.write(
        File::Project,
        &harmless.replace("a.example", "evil.example"),
    );
    let files: Vec<_> = shown.untrusted_files().cloned().collect();
    sandbox_settings::trust_files(machine.sources.trust_store.as_ref().unwrap(), &files).unwrap();
    assert!(!reaches(&machine.load(), "evil.example"));
}

#[test]
fn the_store_is_private_and_tells_people_what_is_in_it() {
    let text = r#"{ "sandbox": { "enabled": false } }"#;
    let machine = Machine::new().with(File::Project, text);
    machine.trust();
    machine.trust();
    let store = machine.sources.trust_store.clone().unwrap();
    let mode = fs::metadata(store.as_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let records: Vec<_> = fs::read_dir(store.as_path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(records.len(), 1);
    let record = fs::read_to_string(&records[0]).unwrap();
    assert_eq!(
        record,
        format!("{}\n", machine.path(File::Project).display())
    );
}

#[test]
fn a_store_that_cannot_be_written_is_an_error() {
    let machine = Machine::new().with(File::Project, r#"{ "sandbox": { "enabled": false } }"#);
    fs::write(machine.root().join("home/.local"), "a file").unwrap();
    let settings = machine.load();
    let files: Vec<_> = settings.untrusted_files().cloned().collect();
    let store = machine.sources.trust_store.as_ref().unwrap();
    let error = sandbox_settings::trust_files(store, &files).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot create the trust store"),
        "{error}"
    );
}

#[test]
fn the_home_directorys_project_file_is_the_users_own() {
    let mut machine = Machine::new().with(
        File::User,
        r#"{ "permissions": { "allow": ["Edit(~/out)"] } }"#,
    );
    machine.sources.working_directory = machine.sources.home.clone().unwrap();
    let settings = machine.load();
    assert_eq!(settings.files.len(), 1);
    assert_eq!(settings.files[0].trust, FileTrust::Own);
}

#[test]
fn what_trust_would_not_change_is_not_held_back() {
    let off = r#"{ "sandbox": { "enabled": false, "allowUnsandboxedCommands": true } }"#;
    let on = r#"{ "sandbox": { "enabled": true } }"#;
    let machine = Machine::new()
        .with(File::Project, off)
        .with(File::Managed, on);
    let settings = machine.load();
    assert!(settings.held_back.is_empty(), "{:?}", settings.held_back);
    assert_eq!(settings.untrusted_files().count(), 0);
}
