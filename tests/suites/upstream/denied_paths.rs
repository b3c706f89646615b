//! Paths that are never writable, whatever the settings open.

use sandbox_tests::Bed;
use serde_json::json;

use crate::{Case, line, usual};

const NAMES: &[&str] = &[
    ".bashrc",
    ".gitconfig",
    ".zshrc",
    ".mcp.json",
    ".bash_profile",
    ".zprofile",
    ".profile",
    ".gitmodules",
    ".ripgreprc",
    ".git/config",
    ".git/hooks/pre-commit",
    ".vscode/settings.json",
    ".claude/commands/test.md",
    ".claude/agents/test-agent.md",
    ".idea/workspace.xml",
    "safe-file.txt",
    ".git/objects/x",
    ".git/refs/heads/main",
    ".git/index",
    ".claude/some-other-file.txt",
];

fn bed() -> Bed {
    let bed = Bed::new();
    for name in NAMES {
        bed.file(format!("work/{name}"), "ORIGINAL");
    }
    bed
}

fn content(bed: &Bed, name: &str) -> String {
    std::fs::read_to_string(bed.work().join(name)).unwrap()
}

fn denied(name: &str) {
    let bed = bed();
    let output = line(&bed, &usual(), &format!("echo MODIFIED > '{name}'")).run();
    assert_eq!(content(&bed, name), "ORIGINAL", "{output}");
    assert!(!output.succeeded(), "{output}");
}

fn writable(name: &str) {
    let bed = bed();
    line(&bed, &usual(), &format!("echo MODIFIED > '{name}'"))
        .run()
        .ok();
    assert_eq!(content(&bed, name), "MODIFIED\n");
}

pub(crate) const CASES: &[Case] = &[
    ("denied: .bashrc", || denied(".bashrc")),
    ("denied: .gitconfig", || denied(".gitconfig")),
    ("denied: .zshrc", || denied(".zshrc")),
    ("denied: .mcp.json", || denied(".mcp.json")),
    ("denied: .bash_profile", || denied(".bash_profile")),
    ("denied: .zprofile", || denied(".zprofile")),
    ("denied: .profile", || denied(".profile")),
    ("denied: .gitmodules", || denied(".gitmodules")),
    ("denied: .ripgreprc", || denied(".ripgreprc")),
    ("denied: .git/config", || denied(".git/config")),
    ("denied: .git/hooks/pre-commit", || {
        denied(".git/hooks/pre-commit")
    }),
    ("denied: .vscode/settings.json", || {
        denied(".vscode/settings.json")
    }),
    ("denied: .claude/commands/test.md", || {
        denied(".claude/commands/test.md")
    }),
    ("denied: .claude/agents/test-agent.md", || {
        denied(".claude/agents/test-agent.md")
    }),
    ("denied: .idea/workspace.xml", || {
        denied(".idea/workspace.xml")
    }),
    ("writable: safe-file.txt", || writable("safe-file.txt")),
    ("writable: .git/objects", || writable(".git/objects/x")),
    ("writable: .git/refs", || writable(".git/refs/heads/main")),
    ("writable: .git/index", || writable(".git/index")),
    ("writable: other files of .claude", || {
        writable(".claude/some-other-file.txt")
    }),
    ("writable: .git/config with allowGitConfig", || {
        let bed = bed();
        let mut settings = usual();
        settings["filesystem"]["allowGitConfig"] = json!(true);
        line(&bed, &settings, "echo MODIFIED > .git/config")
            .run()
            .ok();
        assert_eq!(content(&bed, ".git/config"), "MODIFIED\n");
    }),
    ("denied: hooks even with allowGitConfig", || {
        let bed = bed();
        let mut settings = usual();
        settings["filesystem"]["allowGitConfig"] = json!(true);
        let output = line(&bed, &settings, "echo MODIFIED > .git/hooks/pre-commit").run();
        assert_eq!(
            content(&bed, ".git/hooks/pre-commit"),
            "ORIGINAL",
            "{output}"
        );
    }),
    (
        "reads: moving a parent does not expose a denied file",
        || {
            let bed = Bed::new();
            let file = bed.file("work/parent/dir/secret.txt", "SECRET");
            let mut settings = usual();
            settings["filesystem"]["denyRead"] = json!([file.to_str().unwrap()]);
            for text in [
                "mv parent/dir moved; cat moved/secret.txt",
                "mv parent moved; cat moved/dir/secret.txt",
                "mv parent/dir/secret.txt x; cat x",
            ] {
                let output = line(&bed, &settings, text).run();
                assert!(!output.text().contains("SECRET"), "`{text}`\n{output}");
            }
        },
    ),
    ("writes: swapping a directory does not unlock it", || {
        let bed = Bed::new();
        let file = bed.file("work/a/b", "ORIGINAL");
        let mut settings = usual();
        settings["filesystem"]["denyWrite"] = json!([bed.work().join("a").to_str().unwrap()]);
        let _output = line(&bed, &settings, "mv a c; echo MODIFIED > c/b; mv c a").run();
        assert_eq!(std::fs::read(file).unwrap(), b"ORIGINAL");
    }),
];
