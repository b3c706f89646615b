//! The profile means what the policy says: generated policies, generated paths.

use std::ffi::OsStr;

use proptest::prelude::*;
use sandbox_macos::effective;
use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Firmness, GlobToken, Origin, PROTECTED_PATHS, PathBase,
    PathPattern, PathRule, PatternSyntax, Policy, ReadDeny, workspace,
};

use crate::{
    evaluator::Evaluator,
    support::{
        allow, cases, decide, deny, facts, path, paths, policies, profile, rule, with_files,
    },
};

/// `/private/tmp/x` for `/tmp/x`.
fn real(path: &AbsolutePath) -> AbsolutePath {
    match path.as_path().strip_prefix("/tmp") {
        Ok(rest) => AbsolutePath::new(std::path::Path::new("/private/tmp").join(rest)).unwrap(),
        Err(_) => path.clone(),
    }
}

/// Whether a pattern with `**` closes the path outside its own directory, where matches of it could
/// be carried to. There a profile is stricter than the policy.
fn is_closed_as_destination(policy: &FilesystemPolicy, path: &AbsolutePath) -> bool {
    let denies = policy
        .deny_read
        .iter()
        .map(|deny| &deny.rule)
        .chain(&policy.deny_write);
    denies
        .filter_map(|rule| match &rule.pattern {
            PathPattern::Glob(glob) => Some(glob),
            PathPattern::Subtree(_) => None,
        })
        .any(|glob| {
            let leads_anywhere = glob.tokens().contains(&GlobToken::Directories);
            let has_wild_beginning = !matches!(
                &*glob.tokens(),
                [GlobToken::Literal(_), GlobToken::Directories, ..]
            );
            leads_anywhere && (has_wild_beginning || !path.is_within(glob.static_prefix()))
        })
}

fn check(
    evaluator: &Evaluator,
    policy: &FilesystemPolicy,
    path: &AbsolutePath,
) -> Result<(), TestCaseError> {
    let questions = [
        ("file-read-data", policy.judge_read(path)),
        ("file-read-xattr", policy.judge_read(path)),
        ("process-exec", policy.judge_read(path)),
        ("file-write-data", policy.judge_write(path)),
        ("file-write-mode", policy.judge_write(path)),
    ];
    for (operation, verdict) in questions {
        let is_allowed = decide(evaluator, operation, path);
        if is_allowed != verdict.is_allowed() {
            prop_assert!(
                !is_allowed && is_closed_as_destination(policy, path),
                "{operation} {path:?}: the profile says {is_allowed}, the policy {verdict:?}"
            );
        }
    }
    for operation in ["file-write-create", "file-write-unlink"] {
        // Pins may refuse what the policy would allow, never the other way round.
        prop_assert!(
            !decide(evaluator, operation, path) || policy.judge_write(path).is_allowed(),
            "{operation} {path:?}"
        );
    }
    prop_assert!(!decide(evaluator, "file-link", path));
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn profiles_agree_with_the_policy(policy in policies(), paths in prop::collection::vec(paths(), 16)) {
        let evaluator = Evaluator::new(&profile(&policy));
        let effective = effective(&policy, &facts()).unwrap();
        for path in paths {
            let path = real(&path);
            check(&evaluator, &effective.filesystem, &path)?;
        }
    }

    /// What macOS makes of a policy is never wider than what its author wrote, in one of the two
    /// spellings of the path.
    #[test]
    fn nothing_is_wider_than_the_author_wrote(policy in policies(), paths in prop::collection::vec(paths(), 16)) {
        let evaluator = Evaluator::new(&profile(&policy));
        let files = &policy.filesystem;
        for path in paths {
            let real = real(&path);
            let linked = match real.as_path().strip_prefix("/private/tmp") {
                Ok(rest) => AbsolutePath::new(std::path::Path::new("/tmp").join(rest)).unwrap(),
                Err(_) => real.clone(),
            };
            if decide(&evaluator, "file-read-data", &real) {
                prop_assert!(files.judge_read(&linked).is_allowed() || files.judge_read(&real).is_allowed());
            }
            if decide(&evaluator, "file-write-data", &real) {
                prop_assert!(files.judge_write(&linked).is_allowed() || files.judge_write(&real).is_allowed());
            }
        }
    }
}

#[test]
fn tables_of_rules_decide_as_written() {
    let mut files = Policy::restrictive().filesystem;
    files.deny_read = vec![
        deny("~/.ssh", Firmness::Final),
        deny("/w/**/.env", Firmness::Default),
    ]
    .into();
    files.allow_read = vec![allow("~/.ssh/config"), allow("/w/ok/.env")];
    files.allow_write = vec![allow("/w")];
    files.deny_write = vec![rule("/w/.git/hooks")].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    for (operation, object, is_allowed) in [
        ("file-read-data", "/private/etc/passwd", true),
        ("file-read-data", "/Users/me/.ssh/id", false),
        ("file-read-data", "/Users/me/.ssh/config", false),
        ("file-read-data", "/Users/me/.sshx", true),
        ("file-read-data", "/w/a/.env", false),
        ("file-read-data", "/w/ok/.env", false),
        ("file-read-data", "/private/tmp/moved/.env", false),
        ("file-write-create", "/w/a", true),
        ("file-write-data", "/w/.git/hooks/x", false),
        ("file-write-data", "/w/.git/config", false),
        ("file-write-data", "/w/.git/HEAD", true),
        ("file-write-create", "/w/a/.BASHRC", false),
        ("file-write-create", "/private/tmp/.bashrc", true),
        ("file-write-create", "/w/.git", false),
        ("file-write-unlink", "/w/.git", false),
        ("file-write-unlink", "/w/src", true),
        ("file-write-data", "/private/tmp/x", true),
        (
            "file-write-data",
            "/private/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/x",
            true,
        ),
        ("file-write-data", "/private/var/folders/zz/other", false),
        ("file-write-data", "/Users/me/.zshrc", false),
        ("file-write-data", "/dev/fd/1", true),
        ("file-read-data", "/dev/ttys003", false),
    ] {
        // `/w/ok/.env` is as specific as the pattern's match of it, and an allow wins the tie.
        let is_allowed = is_allowed || object == "/w/ok/.env";
        assert_eq!(
            decide(&evaluator, operation, &path(object)),
            is_allowed,
            "{operation} {object}"
        );
    }
}

/// Every row, with a root that opens one of them, one inside of another, and a store of packages.
#[test]
fn protected_paths_decide_as_the_policy_does() {
    let mut files = Policy::restrictive().filesystem;
    files.allow_write = vec![
        allow("/w"),
        allow("/w/.vscode"),
        allow("/v/.git"),
        allow("/w/.git/modules/a/hooks"),
    ];
    let policy = with_files(files);
    let evaluator = Evaluator::new(&profile(&policy));
    let effective = effective(&policy, &facts()).unwrap().filesystem;
    let mut places: Vec<String> = PROTECTED_PATHS
        .iter()
        .map(|row| row.path.replace("**", "a/b").replace('*', "c"))
        .flat_map(|place| {
            [
                "/w",
                "/w/a/b",
                "/w/node_modules/p",
                "/w/.vscode",
                "/v/.git/x",
            ]
            .map(|root| format!("{root}/{place}"))
        })
        .collect();
    places.extend(
        [
            "/w/.git/HEAD",
            "/w/.git/hooksy",
            "/w/x.bashrc",
            "/w/.vscode/a/.vscode/b",
            "/w/.idea/node_modules/a/.vscode/b",
            "/v/.git/hooks/a",
            "/v/.git/config",
            "/w/.git/modules/a/hooks/x",
            "/w/.git/modules/a/hooks/x/hooks",
            "/w/.con\u{fb01}g/fish",
            "/w/.ba\u{17f}hrc",
            "/w/.git/hoo\u{212a}s",
        ]
        .map(str::to_owned),
    );
    for place in places {
        let path = path(&place);
        assert_eq!(
            decide(&evaluator, "file-write-data", &path),
            effective.judge_write(&path).is_allowed(),
            "{place}"
        );
    }
}

#[test]
fn the_workspace_preset_closes_the_rest_of_the_disk() {
    let (deny_read, allow_read) = workspace(
        &path("/Users/me/p"),
        Some(&path("/Users/me")),
        &Origin::Program,
    );
    let mut policy = Policy::restrictive();
    policy.filesystem.deny_read = deny_read.into();
    policy.filesystem.allow_read = allow_read;
    policy.filesystem.allow_write = vec![allow("/Users/me/p")];
    let evaluator = Evaluator::new(&profile(&policy));
    for (operation, object, is_allowed) in [
        ("file-read-data", "/", true),
        ("file-read-data", "/usr/lib/dyld", true),
        ("file-read-data", "/private/etc/ssl/cert.pem", true),
        ("file-read-data", "/private/var/db/timezone/zoneinfo", true),
        ("file-read-metadata", "/tmp", true),
        ("process-exec", "/bin/sh", true),
        ("process-exec", "/Users/me/Downloads/tool", false),
        ("file-read-data", "/Users/me/p/src/main.rs", true),
        ("file-read-data", "/Users/me/.ssh/id_ed25519", false),
        ("file-read-metadata", "/Users/me/.ssh/id_ed25519", false),
        ("file-read-data", "/Users/me/.cargo/bin/cargo", true),
        ("file-read-data", "/Users/me/.cargo/credentials.toml", false),
        ("file-clone", "/Users/me/.cargo/credentials.toml", false),
        ("file-write-data", "/Users/me/p/a", true),
        ("file-write-unlink", "/Users/me/p/a", true),
        ("file-write-data", "/Users/me/.cargo/config.toml", false),
    ] {
        assert_eq!(
            decide(&evaluator, operation, &path(object)),
            is_allowed,
            "{operation} {object}"
        );
    }
    let directory = crate::support::decide_of_type(
        &evaluator,
        "file-read-metadata",
        &path("/Users/me/Music"),
        "DIRECTORY",
    );
    assert!(directory, "resolving a path looks at every directory");
}

/// Sets of permission rules that name what is not in them. Another spelling of such a character may be the same
/// file, so more is closed where case does not matter.
#[test]
fn what_a_negated_set_closes_is_closed() {
    let base = PathBase {
        working_directory: path("/w"),
        home: None,
    };
    for text in ["/w/e.p[!x]m", "/w/e.p[^x;]m"] {
        let syntax = PatternSyntax::Gitignore;
        let pattern = PathPattern::parse(OsStr::new(text), syntax, &base).unwrap();
        let mut policy = Policy::restrictive();
        policy.filesystem.deny_read.push(ReadDeny {
            rule: PathRule {
                pattern,
                origin: Origin::Program,
            },
            firmness: Firmness::Final,
        });
        let evaluator = Evaluator::new(&profile(&policy));
        for name in ["/w/e.pem", "/w/e.pEm", "/w/e.p;m"] {
            let is_open = decide(&evaluator, "file-read-data", &path(name));
            let verdict = policy.filesystem.judge_read(&path(name));
            assert!(!is_open || verdict.is_allowed(), "{text} {name}");
        }
        assert!(decide(&evaluator, "file-read-data", &path("/w/e.peem")));
        assert!(decide(&evaluator, "file-read-data", &path("/w/e.p/m")));
    }
}
