//! Rules about hosts that change while a command runs.

use sandbox_policy::{NetworkPolicy, Verdict};
use sandbox_settings::{NetworkLine, Settings, SettingsErrorKind};

use crate::support::{FLAT, File, Machine, target};

fn flat(allowed: &[&str], denied: &[&str]) -> String {
    FLAT.replace(
        r#""allowedDomains": [], "deniedDomains": []"#,
        &format!(r#""allowedDomains": {allowed:?}, "deniedDomains": {denied:?}"#),
    )
}

fn update(settings: &Settings, text: &str) -> NetworkPolicy {
    let channel = "control fd 3";
    match settings.network_update(&NetworkLine { channel, text }) {
        Ok(update) => update.policy,
        Err(errors) => panic!("{errors}"),
    }
}

fn allows(policy: &NetworkPolicy, host: &str) -> bool {
    matches!(policy.judge(target(host)), Verdict::Allow(_))
}

fn denies(policy: &NetworkPolicy, host: &str) -> bool {
    matches!(policy.judge(target(host)), Verdict::Deny(_))
}

#[test]
fn a_line_takes_the_place_of_the_settings_file_and_of_nothing_else() {
    let denying = r#"{ "sandbox": { "network": { "deniedDomains": ["x.example"] } } }"#;
    for file in [File::User, File::Project, File::Local, File::Managed] {
        // The file before said the same as the layer: its copy must not go with it.
        let machine = Machine::new()
            .with(file, denying)
            .with_flag(&flat(&["a.example"], &["x.example"]));
        let settings = machine.load();
        let policy = update(&settings, &flat(&["x.example", "b.example"], &[]));
        assert!(denies(&policy, "x.example"), "{file:?}");
        assert!(allows(&policy, "b.example") && !allows(&policy, "a.example"));
        // The control: without that layer the line opens it.
        let machine = Machine::new().with_flag(&flat(&["a.example"], &["x.example"]));
        let policy = update(&machine.load(), &flat(&["x.example"], &[]));
        assert!(allows(&policy, "x.example"));
    }
}

#[test]
fn rules_of_the_command_line_and_of_the_administrator_stand() {
    let strict = flat(&["m.example"], &[]).replace(
        r#""deniedDomains": []"#,
        r#""deniedDomains": [], "strictAllowlist": true"#,
    );
    let mut machine = Machine::new()
        .with(File::Managed, &strict)
        .with_flag(&flat(&["c.example", "m.example"], &["d.example"]));
    machine.sources.overrides.allow_domains = vec!["c.example".to_owned()];
    machine.sources.overrides.deny_domains = vec!["d.example".to_owned()];
    let lax = flat(&["d.example"], &[]).replace(
        r#""deniedDomains": []"#,
        r#""deniedDomains": [], "strictAllowlist": false"#,
    );
    let policy = update(&machine.load(), &lax);
    assert!(allows(&policy, "c.example") && allows(&policy, "m.example"));
    assert!(denies(&policy, "d.example"));
    assert!(policy.is_strict() && denies(&policy, "other.example"));
}

#[test]
fn the_users_refusals_stand_where_a_line_takes_the_files_place() {
    let machine = Machine::new().with(File::Home, &flat(&["a.example"], &["x.example"]));
    let settings = machine.load();
    let policy = update(&settings, &flat(&["x.example", "b.example"], &[]));
    assert!(denies(&policy, "x.example"));
    assert!(allows(&policy, "b.example") && !allows(&policy, "a.example"));
}

#[test]
fn a_flat_line_decides_alone_and_nothing_of_a_project_is_trusted_by_it() {
    let allow = |host: &str| {
        format!(r#"{{ "sandbox": {{ "network": {{ "allowedDomains": ["{host}"] }} }} }}"#)
    };
    let machine = Machine::new()
        .with(File::User, &allow("user.example"))
        .with(File::Project, &allow("project.example"));
    let settings = machine.load();
    assert!(allows(&settings.policy.network, "user.example"));
    let policy = update(&settings, &flat(&["line.example"], &[]));
    assert!(allows(&policy, "line.example"));
    assert!(!allows(&policy, "user.example") && !allows(&policy, "project.example"));
    // In the other format lists add up, as they do in files.
    let policy = update(&settings, &allow("line.example"));
    assert!(allows(&policy, "line.example") && allows(&policy, "user.example"));
    assert!(!allows(&policy, "project.example"));
}

#[test]
fn wrong_lines_are_errors_with_their_place_and_other_rules_are_counted() {
    let settings = Machine::new().with_flag(FLAT).load();
    for (text, kind) in [
        ("", "empty"),
        ("nonsense", "syntax"),
        ("{}{}", "syntax"),
        ("[]", "not_an_object"),
        (
            r#"{"network": {"allowDomains": ["x.example"]}}"#,
            "unknown_key",
        ),
        (&flat(&["*"], &[]), "domain"),
    ] {
        let channel = "control fd 3";
        let errors = settings
            .network_update(&NetworkLine { channel, text })
            .expect_err(text);
        let codes: Vec<_> = errors.0.iter().map(|error| error.kind.code()).collect();
        assert!(codes.contains(&kind), "{text}: {codes:?}");
        assert!(errors.0.iter().all(|error| error.file.ends_with(channel)));
        assert!(!matches!(
            errors.0[0].kind,
            SettingsErrorKind::Internal { .. }
        ));
    }
    let not_live = |text: &str| {
        let channel = "control fd 3";
        let line = NetworkLine { channel, text };
        settings.network_update(&line).unwrap().not_live
    };
    assert_eq!(not_live(&flat(&["b.example"], &["c.example"])), 0);
    let files = FLAT.replace(r#""denyRead": []"#, r#""denyRead": ["~/in", "~/other"]"#);
    assert_eq!(not_live(&files), 2);
}

#[test]
fn ports_of_the_loopback_stay_joined_and_later_ones_are_told() {
    let with_port = |text: &str, port: u16| {
        text.replace(
            r#""deniedDomains": []"#,
            &format!(r#""deniedDomains": [], "hostPorts": [{port}]"#),
        )
    };
    let start = with_port(&flat(&["localhost:7000"], &[]), 5432);
    let settings = Machine::new().with_flag(&start).load();
    let update = |text: &str| {
        let channel = "control fd 3";
        let line = NetworkLine { channel, text };
        settings.network_update(&line).unwrap()
    };
    let ports = |policy: &NetworkPolicy| -> Vec<u16> {
        let ports = policy.host_ports();
        ports.iter().map(|host| host.port.get()).collect()
    };
    // The line takes the place of the file: what it says again stays, what it leaves out goes.
    let same = update(&with_port(&flat(&["x.example"], &[]), 5432));
    assert_eq!((ports(&same.policy), same.not_live), (vec![5432], 0));
    assert!(same.unjoined.is_empty());
    let gone = update(&flat(&["x.example"], &[]));
    assert_eq!(ports(&gone.policy), [0; 0]);
    // A port that is new has no listener, whichever way it is listed.
    let new = update(&with_port(&flat(&["localhost:7001"], &[]), 5433));
    assert_eq!((ports(&new.policy), new.not_live), (vec![7001], 1));
    assert_eq!(
        new.unjoined
            .iter()
            .map(|port| port.get())
            .collect::<Vec<_>>(),
        [7001]
    );
    // The user's own file's ports are not the line's to take away.
    let text = r#"{ "sandbox": { "network": { "hostPorts": [6000] } } }"#;
    let settings = Machine::new()
        .with(File::Managed, text)
        .with_flag(&start)
        .load();
    let channel = "control fd 3";
    let text = &flat(&[], &[]);
    let policy = settings
        .network_update(&NetworkLine { channel, text })
        .unwrap()
        .policy;
    assert_eq!(ports(&policy), [6000]);
}
