//! What a single file means.

use sandbox_policy::{LayerId, Origin, UnixSocketPolicy};
use sandbox_settings::{Format, Layer};

use crate::support::{FLAT, File, Machine, reaches};

/// A flat file with these lists.
fn flat(allowed: &str, denied: &str, filesystem: &str) -> String {
    format!(
        r#"{{ "network": {{ "allowedDomains": {allowed}, "deniedDomains": {denied} }}, "filesystem": {{ {filesystem} }} }}"#
    )
}

const NO_FILES: &str = r#""denyRead": [], "allowWrite": [], "denyWrite": []"#;

#[test]
fn without_any_file_the_working_directory_is_writable_and_there_is_no_network() {
    let machine = Machine::new();
    let settings = machine.load();
    assert!(settings.files.is_empty() && settings.held_back.is_empty());
    assert!(settings.execution.enabled.value);
    assert!(machine.writes(&settings, "file"));
    assert!(!machine.writes(&settings, "~/file"));
    assert!(machine.reads(&settings, "~/.ssh/id"));
    assert!(!reaches(&settings, "example.com"));
}

#[test]
fn the_root_directory_is_nobodys_working_directory() {
    let mut machine = Machine::new();
    machine.sources.working_directory = sandbox_policy::AbsolutePath::root();
    let settings = machine.load();
    assert!(!machine.writes(&settings, "/srv/file"));
}

#[test]
fn claude_codes_example() {
    let machine = Machine::new().with(
        File::User,
        r#"{
          "model": "opus", "hooks": {}, "env": { "A": "b" }, "mcpServers": {},
          "permissions": {
            "defaultMode": "plan",
            "additionalDirectories": ["/x"],
            "allow": [
              "WebFetch(domain:github.com)", "WebFetch(domain:*.npmjs.org)", "WebFetch", "WebFetch(*)",
              "Edit(~/notes/)", "Edit(//srv/data/**)", "Read(.)", "Edit", "Write(/etc)",
              "Bash(echo $(date))", "Bash(npm run test:*)", "mcp__server__tool", "mcp__x(y", "Task(a)"
            ],
            "deny": ["Edit(.env)", "Edit(config/production.json)", "Read(~/.ssh)", "WebFetch(domain:malicious.npmjs.org)"],
            "ask": ["Edit(src/generated)", "WebFetch(domain:ask.npmjs.org)", "Bash(git push)"]
          }
        }"#,
    );
    let settings = machine.load();
    assert_eq!(settings.files[0].format, Format::Claude);
    assert!(reaches(&settings, "github.com"));
    assert!(reaches(&settings, "registry.npmjs.org"));
    for host in [
        "malicious.npmjs.org",
        "ask.npmjs.org",
        "api.github.com",
        "npmjs.org",
    ] {
        assert!(!reaches(&settings, host), "{host}");
    }
    for path in ["a", "~/notes/b", "/srv/data/c/d", "src/x"] {
        assert!(machine.writes(&settings, path), "{path}");
    }
    for path in [
        ".env",
        "config/production.json",
        "src/generated/x",
        "/etc/passwd",
        "~/x",
        "/srv/x",
    ] {
        assert!(!machine.writes(&settings, path), "{path}");
    }
    assert!(!machine.reads(&settings, "~/.ssh/id_rsa"));
    assert!(machine.reads(&settings, ".env"));
}

#[test]
fn sandbox_keys_of_both_generations() {
    let machine = Machine::new().with(
        File::User,
        r#"{ "sandbox": {
          "enabled": false,
          "excludedCommands": ["docker", "kubectl", "docker"],
          "allowUnsandboxedCommands": false,
          "autoAllowBashIfSandboxed": false,
          "enableWeakerNestedSandbox": true,
          "ignoreViolations": { "*": ["/usr/bin"], "git push": ["/etc"] },
          "network": {
            "allowedDomains": ["example.com"], "deniedDomains": ["a.example.com"], "blockedDomains": ["*.evil.example"],
            "allowUnixSockets": ["~/.agent.sock"], "allowLocalBinding": true, "allowMachLookup": ["com.apple.*"]
          },
          "filesystem": { "allowWrite": ["~/out"], "denyWrite": ["locked"], "denyRead": ["~/private"], "allowRead": ["~/private/public"] }
        } }"#,
    );
    let settings = machine.load();
    assert!(!settings.execution.enabled.value);
    let commands: Vec<_> = settings
        .execution
        .excluded_commands
        .iter()
        .map(|c| c.value.as_str())
        .collect();
    assert_eq!(commands, ["docker", "kubectl"]);
    assert!(!settings.execution.allow_unsandboxed_commands.value);
    assert!(!settings.execution.auto_allow_bash_if_sandboxed.value);
    assert!(settings.macos.allow_local_binding.value);
    assert_eq!(settings.ignore_violations.len(), 2);
    assert!(
        matches!(&settings.policy.unix_sockets, UnixSocketPolicy::Listed(rules) if rules.len() == 1)
    );
    assert!(reaches(&settings, "example.com") && !reaches(&settings, "a.example.com"));
    assert!(machine.writes(&settings, "~/out/x") && machine.writes(&settings, "x"));
    assert!(!machine.writes(&settings, "locked/x"));
    assert!(!machine.reads(&settings, "~/private/x"));
    assert!(machine.reads(&settings, "~/private/public/x"));
    insta::assert_snapshot!(
        sandbox_settings::describe_lines(&settings)
            .join("\n")
            .replace(machine.root().to_str().unwrap(), "")
    );
}

#[test]
fn a_flat_file_opens_nothing_by_itself() {
    let text = flat(
        r#"["example.com", "*.example.com:8443"]"#,
        r#"["x.example.com"]"#,
        r#""denyRead": ["~"], "allowRead": ["~/lib"], "allowWrite": ["out", { "path": "we[i]rd", "literal": true }], "denyWrite": ["out/locked"]"#,
    );
    let machine = Machine::new().with(File::Home, &text);
    let settings = machine.load();
    assert!(settings.is_flat());
    assert!(!machine.writes(&settings, "x"));
    assert!(machine.writes(&settings, "out/x") && !machine.writes(&settings, "out/locked"));
    assert!(machine.writes(&settings, "we[i]rd/x") && !machine.writes(&settings, "weird"));
    assert!(
        !machine.reads(&settings, "x"),
        "the working directory lies in the home directory"
    );
    assert!(machine.reads(&settings, "~/lib/x") && machine.reads(&settings, "out/x"));
    assert!(reaches(&settings, "example.com"));
    assert!(!reaches(&settings, "y.example.com"), "another port");
}

#[test]
fn flat_details() {
    let text = r#"{
      "$schema": "https://example.com/schema.json",
      "network": {
        "allowedDomains": [], "deniedDomains": ["Evil.Example", "*"], "strictAllowlist": true,
        "deniedDomainReasons": { "evil.example": "ask security" },
        "deniedResolvedAddresses": ["10.0.0.0/8", "192.0.2.1", "fd00::/8"],
        "allowAllUnixSockets": true
      },
      "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [], "allowGitConfig": true },
      "git": { "safeDirectories": ["/srv/repo"] },
      "ripgrep": { "command": "rg", "args": [] }, "mandatoryDenySearchDepth": 3, "seccomp": {}, "bwrapPath": "/bin/bwrap",
      "socatPath": "/bin/socat", "javaAgentJarPath": "/x.jar", "windows": { "anything": 1 },
      "allowPty": true, "allowAppleEvents": true, "enableWeakerNetworkIsolation": true, "allowNestedUserNamespaces": true
    }"#;
    let settings = Machine::new().with(File::Home, text).load();
    let network = &settings.policy.network;
    let notes: Vec<_> = network
        .denied()
        .iter()
        .map(|rule| rule.note.as_deref())
        .collect();
    assert_eq!(notes, [Some("ask security"), None]);
    assert_eq!(network.denied_addresses().len(), 3);
    let position = |origin: &Origin| match origin {
        Origin::File { line, column, .. } => (*line, *column),
        Origin::BuiltIn(_) | Origin::Flag(_) | Origin::Program => panic!("{origin}"),
    };
    assert_eq!(position(&network.denied()[0].origin), (4, 49));
    assert_eq!(position(&network.denied_addresses()[1].origin), (6, 51));
    assert!(matches!(
        settings.policy.unix_sockets,
        UnixSocketPolicy::Unrestricted(_)
    ));
    assert!(settings.allow_git_config.value && settings.macos.allow_pty.value);
    assert!(
        settings.macos.allow_apple_events.value
            && settings.macos.enable_weaker_network_isolation.value
    );
    assert_eq!(settings.git_safe_directories[0].value, "/srv/repo");
    let ignored: Vec<_> = settings
        .ignored_keys
        .iter()
        .map(|ignored| ignored.key)
        .collect();
    assert_eq!(
        ignored,
        [
            "ripgrep",
            "mandatoryDenySearchDepth",
            "seccomp",
            "bwrapPath",
            "socatPath",
            "javaAgentJarPath",
            "windows"
        ]
    );
}

#[test]
fn an_empty_or_absent_allow_list_is_no_network() {
    for text in [
        r#"{}"#,
        r#"{ "sandbox": {} }"#,
        r#"{ "sandbox": { "network": {} } }"#,
        r#"{ "sandbox": { "network": { "allowedDomains": [] } } }"#,
        r#"{ "permissions": { "allow": [] } }"#,
    ] {
        let settings = Machine::new().with(File::User, text).load();
        assert!(!reaches(&settings, "example.com"), "{text}");
    }
    assert!(!reaches(
        &Machine::new().with(File::Home, FLAT).load(),
        "example.com"
    ));
    for list in ["null", "\"*\"", "{}", "true", "0", "\"example.com\""] {
        let machine = Machine::new().with(File::Home, &flat(list, "[]", NO_FILES));
        assert_eq!(machine.errors().0.len(), 1, "{list}");
    }
}

#[test]
fn the_workspace_preset_closes_reads_but_for_the_work() {
    for (file, text) in [
        (
            File::User,
            r#"{ "sandbox": { "filesystem": { "preset": "workspace" } } }"#.to_owned(),
        ),
        (
            File::Home,
            flat("[]", "[]", &format!(r#"{NO_FILES}, "preset": "workspace""#)),
        ),
        (
            File::Project,
            r#"{ "sandbox": { "filesystem": { "preset": "workspace" } } }"#.to_owned(),
        ),
        (
            File::Managed,
            r#"{ "sandbox": { "filesystem": { "preset": "workspace" } } }"#.to_owned(),
        ),
    ] {
        let machine = Machine::new().with(file, &text);
        let settings = machine.load();
        assert!(machine.reads(&settings, "file"), "{file:?}");
        assert!(machine.reads(&settings, "/usr/bin/env"), "{file:?}");
        assert!(!machine.reads(&settings, "~/Documents/x"), "{file:?}");
        assert!(settings.held_back.is_empty(), "{file:?}");
    }
}

#[test]
fn a_preset_yields_to_allow_read_but_the_administrators_does_not() {
    let allow = r#"{ "sandbox": { "filesystem": { "allowRead": ["~/Documents"] } } }"#;
    let preset =
        r#"{ "sandbox": { "filesystem": { "preset": "workspace", "allowRead": ["~/Shared"] } } }"#;
    let mut machine = Machine::new().with(File::User, allow).with_flag(preset);
    let settings = machine.load();
    assert!(machine.reads(&settings, "~/Documents/x") && machine.reads(&settings, "~/Shared/x"));
    machine = Machine::new()
        .with(File::User, allow)
        .with(File::Managed, preset);
    let settings = machine.load();
    assert!(!machine.reads(&settings, "~/Documents/x") && machine.reads(&settings, "~/Shared/x"));
}

#[test]
fn disabled_drops_file_rules_and_nothing_else() {
    let text = flat(
        "[]",
        "[]",
        r#""denyRead": ["~/a"], "allowWrite": [], "denyWrite": ["~/b"], "disabled": true"#,
    );
    let machine = Machine::new().with(File::Home, &text);
    let settings = machine.load();
    assert!(machine.reads(&settings, "~/a") && machine.writes(&settings, "~/b"));
    assert!(machine.writes(&settings, "/srv/x") && machine.writes(&settings, "/tmp/x"));
    assert!(!reaches(&settings, "example.com"));
    // What decides about later runs stays closed, and so do the refusals of others.
    assert!(!machine.writes(&settings, "~/.srt-settings.json"));
    let machine = machine.with(
        File::User,
        r#"{ "permissions": { "deny": ["Read(~/c)", "Edit(~/d)"] } }"#,
    );
    let settings = machine.load();
    assert!(!machine.reads(&settings, "~/c") && !machine.writes(&settings, "~/d"));
}

#[test]
fn settings_are_not_writable_from_inside() {
    let opened = r#"{ "sandbox": { "filesystem": { "allowWrite": ["~"] } } }"#;
    let machine = Machine::new().with(File::User, opened);
    let settings = machine.load();
    assert!(machine.writes(&settings, "~/x"));
    for path in [
        "~/.srt-settings.json",
        "~/.claude/settings.json",
        "~/.local/share/srt/trust/0",
    ] {
        assert!(!machine.writes(&settings, path), "{path}");
    }
    // Where no rule opens them, none is needed.
    let settings = Machine::new().load();
    assert!(settings.policy.filesystem.deny_write.is_empty());
}

#[test]
fn the_home_directory_is_not_writable_by_default() {
    let mut machine = Machine::new();
    machine.sources.working_directory = machine.sources.home.clone().unwrap();
    assert!(!machine.writes(&machine.load(), "~/x"));
    machine.sources.working_directory = machine
        .sources
        .home
        .clone()
        .unwrap()
        .join("project")
        .unwrap();
    let settings = machine.load();
    assert!(machine.writes(&settings, "~/project/x") && !machine.writes(&settings, "~/x"));
}

#[test]
fn one_files_denies_are_reopened_by_its_own_allows_only() {
    let machine = Machine::new()
        .with(File::User, r#"{ "sandbox": { "filesystem": { "denyRead": ["~/data"] } } }"#)
        .with_flag(r#"{ "sandbox": { "filesystem": { "allowRead": ["~/data/open"], "allowWrite": ["~/data/out"] } } }"#);
    let settings = machine.load();
    assert!(!machine.reads(&settings, "~/data/open") && !machine.writes(&settings, "~/data/out"));
    let layers: Vec<_> = settings
        .policy
        .filesystem
        .allow_read
        .iter()
        .map(|allow| allow.layer)
        .collect();
    assert_eq!(layers, [Layer::Flag.id()]);
    assert_ne!(Layer::Managed.id(), LayerId::PRESET);
}

#[test]
fn a_trailing_double_star_is_the_directory() {
    for (rule, inside, outside) in [
        ("Edit(~/src/**)", "~/src/a/b", "~/srcs"),
        ("Edit(//srv/data/**)", "/srv/data/a", "/srv/date"),
        ("Edit(/**)", "/etc/passwd", ""),
        ("Edit(~/a (copy))", "~/a (copy)/b", "~/a"),
    ] {
        let text = format!(r#"{{ "permissions": {{ "allow": ["{rule}"] }} }}"#);
        let machine = Machine::new().with(File::User, &text);
        let settings = machine.load();
        assert!(machine.writes(&settings, inside), "{rule}");
        assert!(
            outside.is_empty() || !machine.writes(&settings, outside),
            "{rule}"
        );
    }
}
