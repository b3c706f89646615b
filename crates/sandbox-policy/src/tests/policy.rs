//! The whole policy: constructors, builder methods, presets.

use super::{path, target};
use crate::{
    AbsolutePath, DomainPatternError, FileVerdict, FilesystemPolicy, Firmness, LayerId, Origin,
    PathError, Policy, ProcMount, UnixSocketPolicy, UserNamespaces, Verdict, WORKSPACE_HOME,
    WORKSPACE_SYSTEM, workspace,
};

#[test]
fn the_restrictive_policy_opens_scratch_only() {
    let policy = Policy::restrictive();
    let writable = |text: &str| policy.filesystem.judge_write(&path(text)).is_allowed();
    for text in ["/tmp/x", "/var/tmp", "/dev/shm/a"] {
        assert!(writable(text), "{text}");
    }
    for text in ["/", "/etc/x", "/home/u", "/var", "/dev"] {
        assert!(!writable(text), "{text}");
        assert_eq!(
            policy.filesystem.judge_read(&path(text)),
            FileVerdict::Allow(None)
        );
    }
    assert!(
        policy
            .filesystem
            .scratch
            .iter()
            .all(|rule| matches!(rule.origin, Origin::BuiltIn(_)))
    );
    assert!(policy.network.permits_nothing());
    assert_eq!(policy.unix_sockets, UnixSocketPolicy::Blocked);
    assert_eq!(policy.process.proc_mount, ProcMount::Fresh);
    assert_eq!(policy.process.user_namespaces, UserNamespaces::Refused);
}

#[test]
fn builder_methods_add_rules() {
    let policy = Policy::restrictive();
    let policy = policy
        .allow_write("/w")
        .unwrap()
        .deny_write("/w/.git")
        .unwrap();
    let policy = policy
        .deny_read("/home")
        .unwrap()
        .allow_read("/home/u/[x]")
        .unwrap();
    let policy = policy
        .allow_domain("*.ok.test")
        .unwrap()
        .deny_domain("bad.ok.test")
        .unwrap();

    let files = &policy.filesystem;
    assert!(files.judge_write(&path("/w/a")).is_allowed());
    assert!(!files.judge_write(&path("/w/.git/x")).is_allowed());
    assert!(!files.judge_read(&path("/home/u")).is_allowed());
    assert!(files.judge_read(&path("/home/u/[x]/y")).is_allowed());
    assert!(!files.judge_read(&path("/home/u/x")).is_allowed());
    assert!(matches!(
        policy.network.judge(target("a.ok.test", 1)),
        Verdict::Allow(_)
    ));
    assert!(matches!(
        policy.network.judge(target("bad.ok.test", 1)),
        Verdict::Deny(_)
    ));
    assert!(matches!(
        policy.network.judge(target("other.test", 1)),
        Verdict::Deny(_)
    ));
    assert!(policy.without_network().network.permits_nothing());
}

#[test]
fn builder_methods_refuse_what_they_cannot_mean() {
    let policy = Policy::restrictive();
    let relative = policy.clone().allow_write("w").unwrap_err();
    assert_eq!(relative, PathError::Relative { path: "w".into() });
    assert_eq!(policy.clone().deny_read("").unwrap_err(), PathError::Empty);
    assert!(matches!(
        policy.clone().allow_domain("*"),
        Err(DomainPatternError::AnyInAllowList { .. })
    ));
    assert!(policy.deny_domain("*").is_ok());
}

#[test]
fn preset_tables_are_clean() {
    for row in WORKSPACE_SYSTEM {
        assert_eq!(path(row.path).as_path().as_os_str(), row.path);
    }
    for row in WORKSPACE_HOME {
        let resolved = AbsolutePath::resolve(&path("/h"), row.path).unwrap();
        assert_eq!(
            resolved.as_path().to_str(),
            Some(format!("/h/{}", row.path).as_str())
        );
    }
    let all = || WORKSPACE_SYSTEM.iter().chain(WORKSPACE_HOME);
    let mut paths: Vec<_> = all().map(|row| row.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), all().count(), "a path occurs twice");
    assert!(all().all(|row| !row.reason.is_empty()));
}

#[test]
fn the_workspace_preset_closes_what_is_private() {
    let origin = Origin::BuiltIn("workspace preset");
    let (deny_read, allow_read) =
        workspace(&path("/home/u/src/w"), Some(&path("/home/u")), &origin);
    assert!(
        deny_read
            .iter()
            .all(|deny| deny.firmness == Firmness::Default)
    );
    assert!(
        allow_read
            .iter()
            .all(|allow| allow.layer == LayerId::PRESET)
    );
    let policy = FilesystemPolicy {
        deny_read: deny_read.into(),
        allow_read,
        ..Policy::restrictive().filesystem
    };
    for (text, readable) in [
        ("/usr/bin/env", true),
        ("/etc/passwd", true),
        ("/proc/self/status", true),
        ("/dev/null", true),
        ("/tmp/x", true),
        ("/home/u/src/w/main.rs", true),
        ("/home/u/.cargo/bin/cargo", true),
        ("/home/u/.rustup/settings.toml", true),
        ("/home/u/.gitconfig", true),
        ("/home/u/.local/bin/tool", true),
        ("/home/u/.cargo/credentials.toml", false),
        ("/home/u/.local/share/keyrings/login.keyring", false),
        ("/home/u/.config/git/credentials", false),
        ("/home/u/.m2/settings.xml", false),
        ("/home/u/.ssh/id_ed25519", false),
        ("/home/u/.aws/credentials", false),
        ("/home/u/src/other", false),
        ("/home/u", false),
        ("/home/v/.cargo/bin/cargo", false),
        ("/srv/data", false),
        ("/var/log/syslog", false),
        ("/mnt", false),
        ("/", false),
    ] {
        assert_eq!(
            policy.judge_read(&path(text)).is_allowed(),
            readable,
            "{text}"
        );
    }
    let denial = policy
        .judge_read(&path("/home/u/.ssh/id_ed25519"))
        .into_denial()
        .unwrap();
    assert_eq!(denial.rule, Some(("/".to_owned(), origin)));
}

#[test]
fn the_workspace_preset_works_without_a_home() {
    let (_, allows) = workspace(&path("/w"), None, &Origin::Program);
    assert_eq!(allows.len(), WORKSPACE_SYSTEM.len() + 1);
}
