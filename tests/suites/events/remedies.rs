//! What is said to allow a refused attempt allows that and nothing else, when it is applied as it stands.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use sandbox_tests::{Bed, host, need};
use serde_json::{Value, json};

use crate::{events, log, logged, settings, summary};

/// The event of a refused write to a file of the outside by this name.
fn refused_write(bed: &Bed, name: &[u8]) -> Value {
    let path = bed.outside().join(OsStr::from_bytes(name));
    let srt = logged(bed, &settings(&["."], &[], &[]));
    let output = srt
        .args(["sh", "-c", "exec 2>/dev/null; echo x > \"$0\""])
        .args([path.as_os_str()])
        .run()
        .refused();
    assert!(path.symlink_metadata().is_err(), "{output}");
    let mut told = events(&log(bed));
    assert_eq!(told.len(), 1, "{output}");
    std::fs::remove_file(log(bed)).unwrap();
    let event = told.pop().unwrap();
    let text = event.pointer("/toAllow/text").and_then(Value::as_str);
    let said = format!("to allow it: {}", text.unwrap());
    let lines = summary(&output);
    assert!(
        lines.len() == 1 && lines.iter().all(|line| line.ends_with(&said)),
        "{output}"
    );
    let explained = bed
        .srt()
        .flat(&settings(&["."], &[], &[]))
        .args(["explain", "write"])
        .args([path.as_os_str()])
        .run()
        .exits(1);
    assert!(explained.text().trim_end().ends_with(&said), "{explained}");
    event
}

/// A file really named as a pattern is opened as that file.
#[test]
fn a_name_that_reads_as_a_pattern_opens_nothing_else() {
    for name in ["**", "*", "a[bc]", "q?", "x\"*"] {
        let bed = Bed::new();
        bed.file("outside/kept", "kept");
        let event = refused_write(&bed, name.as_bytes());
        let path = bed.outside().join(name);
        let to_allow = &event["toAllow"];
        assert_eq!(to_allow["key"], "filesystem.allowWrite", "{event}");
        let value = &to_allow["value"];
        assert_eq!(*value, json!({"path": path, "literal": true}), "{event}");
        let text = to_allow["text"].as_str().unwrap();
        assert!(!text.contains("--allow-write"), "{text}");
        // The entry of the text is the same, for whoever copies it.
        let entry = text.strip_prefix('`').unwrap().split('`').next().unwrap();
        assert_eq!(serde_json::from_str::<Value>(entry).unwrap(), *value);
        bed.file("outside/none", "");
        let mut applied = settings(&["."], &[], &[]);
        applied["filesystem"]["allowWrite"] = json!([".", value]);
        let tries = "echo x > \"$0\"; echo $?; echo x > ../outside/kept; echo $?";
        let output = bed
            .srt()
            .flat(&applied)
            .args(["sh", "-c", tries])
            .args([path.as_os_str()])
            .run();
        assert_eq!(
            std::fs::read_to_string(bed.outside().join("kept")).unwrap(),
            "kept",
            "{name}: {output}"
        );
    }
}

/// An option is one that a shell takes as it stands, with the path as one word.
#[test]
fn an_option_is_quoted_for_a_shell() {
    for name in [
        "a b",
        "x; touch forged",
        "it's",
        "$(touch forged)",
        "`touch forged`",
        "a\\b",
        "#é&",
    ] {
        let bed = Bed::new();
        let event = refused_write(&bed, name.as_bytes());
        let path = bed.outside().join(name);
        let text = event["toAllow"]["text"].as_str().unwrap();
        let (option, key) = text.rsplit_once(" or ").unwrap();
        assert_eq!(key, "`filesystem.allowWrite`");
        let option = option.strip_prefix('`').unwrap().strip_suffix('`').unwrap();
        let line = format!("cd '{}' && printf '%s\\n' {option}", bed.work().display());
        let words = host("sh".as_ref(), ["-c", &line]).ok();
        assert_eq!(words.text(), format!("--allow-write\n{}\n", path.display()));
        assert!(bed.work().join("forged").symlink_metadata().is_err());
        assert_eq!(event["toAllow"]["value"], json!(path), "{event}");
        // It does open it.
        let output = bed
            .srt()
            .flat(&settings(&["."], &[], &[]))
            .options(["--allow-write".as_ref(), path.as_os_str()])
            .args(["sh", "-c", "echo x > \"$0\""])
            .args([path.as_os_str()])
            .run();
        assert!(!output.errors().contains("settings"), "{output}");
    }
    // Nothing is quoted without need.
    let bed = Bed::new();
    let event = refused_write(&bed, b"plain_name-1.txt");
    let path = bed.outside().join("plain_name-1.txt").display().to_string();
    let expected = format!("`--allow-write {path}` or `filesystem.allowWrite`");
    assert_eq!(event["toAllow"]["text"], expected.as_str());
}

/// What can't be written down is not offered as something else.
#[test]
fn a_name_that_is_no_text_is_not_proposed() {
    for (name, shown) in [
        (b"a\x1bb".as_slice(), "a\\u{1b}b"),
        (b"line\nbreak", "line\\u{a}break"),
        (b"byte\xff", "byte\\xff"),
        ("turned\u{202e}".as_bytes(), "turned\\u{202e}"),
    ] {
        let bed = Bed::new();
        let event = refused_write(&bed, name);
        let object = bed.outside().join(shown).display().to_string();
        assert_eq!(event["object"], object.as_str());
        let to_allow = &event["toAllow"];
        assert!(
            to_allow["key"].is_null() && to_allow["value"].is_null(),
            "{event}"
        );
        let text = to_allow["text"].as_str().unwrap();
        assert!(
            !text.contains("--allow") && text.contains("its name"),
            "{text}"
        );
    }
}

/// A repository that the host has made, in so far as git knows one.
fn repository(bed: &Bed, name: &str) {
    for (file, text) in [
        ("HEAD", "ref: refs/heads/main\n"),
        ("config", "[core]\n"),
        ("objects/kept", ""),
        ("refs/kept", ""),
        ("info/exclude", ""),
        ("hooks/kept", ""),
    ] {
        bed.file(format!("work/{name}/{file}"), text);
    }
}

/// What is refused in a repository names the row of the table, as `srt explain` does, and what it says opens it.
#[test]
fn a_refusal_in_a_repository_names_its_row() {
    for (line, place, row) in [
        ("echo x >> .git/config", ".git/config", ".git/config"),
        (
            "echo x > .git/config.lock && mv .git/config.lock .git/config",
            ".git/config",
            ".git/config",
        ),
        (
            "echo x > .git/hooks/post-commit",
            ".git/hooks/post-commit",
            ".git/hooks",
        ),
        (
            "echo x > .git/info/attributes",
            ".git/info/attributes",
            ".git/info/attributes",
        ),
        (
            "echo x > store.git/hooks/post-commit",
            "store.git/hooks/post-commit",
            ".git/hooks",
        ),
        (
            "echo x >> store.git/config",
            "store.git/config",
            ".git/config",
        ),
    ] {
        let bed = Bed::new();
        repository(&bed, ".git");
        repository(&bed, "store.git");
        let path = bed.work().join(place);
        let before = std::fs::read(&path).ok();
        let rules = settings(&["."], &[], &[]);
        let output = logged(&bed, &rules).sh(line).run().refused();
        assert_eq!(std::fs::read(&path).ok(), before, "{output}");
        let told = events(&log(&bed));
        let named = |event: &Value| event["rule"] == row;
        assert!(
            !told.is_empty() && told.iter().all(named),
            "{line}: {told:?}"
        );
        let to_allow = &told[0]["toAllow"];
        assert_eq!(to_allow["key"], "filesystem.unprotect", "{told:?}");
        assert_eq!(to_allow["value"], row, "{told:?}");
        assert!(output.errors().contains("unprotect"), "{output}");
        if place.starts_with(".git/") {
            let explained = bed
                .srt()
                .flat(&rules)
                .args(["explain", "write", "--json", place]);
            let explained = explained.run().exits(1);
            let verdict: Value = serde_json::from_str(&explained.text()).unwrap();
            assert_eq!(verdict["rule"], told[0]["rule"], "{explained}");
        }
        // It does open it.
        let mut applied = rules;
        applied["filesystem"]["unprotect"] = json!([to_allow["value"]]);
        bed.srt().flat(&applied).sh(line).run().ok();
        assert_ne!(std::fs::read(&path).ok(), before, "{line}");
    }
}

/// A directory that rules close something in, and a file that a protected name leads to.
#[test]
fn a_refusal_for_something_else_names_what_that_is() {
    let bed = Bed::new();
    repository(&bed, ".git");
    bed.file("work/dotfiles/bashrc", "as it was");
    std::os::unix::fs::symlink("dotfiles/bashrc", bed.work().join(".bashrc")).unwrap();
    bed.file("work/a/b/c", "as it was");
    let told = |line: &str, closed: &[&str]| -> Vec<Value> {
        let rules = settings(&["."], closed, &[]);
        logged(&bed, &rules).sh(line).run().refused();
        let told = events(&log(&bed));
        std::fs::remove_file(log(&bed)).unwrap();
        told
    };
    let moved = told("mv .git g", &[]);
    let note = moved[0]["note"].as_str().unwrap();
    assert!(note.contains("`.git/hooks`"), "{moved:?}");
    // No single entry would permit it, so none is offered.
    assert!(moved[0]["toAllow"].is_null(), "{moved:?}");
    let moved = told("mv a z", &["a/*/x"]);
    let note = moved[0]["note"].as_str().unwrap();
    assert!(
        note.contains("/a/*/x`") && note.contains("settings.json:"),
        "{moved:?}"
    );
    let link = told("mkdir sub && ln -s ../dotfiles sub/.git", &[]);
    let note = link[0]["note"].as_str().unwrap();
    assert!(note.contains("`.git/hooks`"), "{link:?}");
    let behind = told("echo x > dotfiles/bashrc", &[]);
    let link = bed.work().join(".bashrc").display().to_string();
    let note = behind[0]["note"].as_str().unwrap();
    assert!(note.contains(&link), "{behind:?}");
    assert_eq!(behind[0]["toAllow"]["value"], ".bashrc", "{behind:?}");
    let target = bed.work().join("dotfiles/bashrc");
    assert_eq!(std::fs::read(&target).unwrap(), b"as it was");
    for kept in [".git/HEAD", "a/b"] {
        assert!(bed.work().join(kept).symlink_metadata().is_ok(), "{kept}");
    }
    let mut applied = settings(&["."], &[], &[]);
    applied["filesystem"]["unprotect"] = json!([".bashrc"]);
    let line = "echo x > dotfiles/bashrc";
    bed.srt().flat(&applied).sh(line).run().ok();
    assert_eq!(std::fs::read(&target).unwrap(), b"x\n");
}

/// In a subdirectory or a linked worktree the git directory lies outside: it is what helps, not the file
/// that git wanted first.
#[test]
fn a_git_directory_is_named_as_a_whole() {
    let git = need!("git");
    let bed = Bed::new();
    let repository = bed.outside().join("repo");
    let linked = bed.outside().join("linked");
    bed.file("outside/repo/sub/f", "one");
    bed.file("outside/repo/.gitattributes", "");
    let setup = "exec >&2; git -c init.defaultBranch=main init \"$1\" && cd \"$1\" && git config user.name n \
        && git config user.email e@e && git add .gitattributes && git commit -m a && git worktree add -b side \"$2\"";
    let words = [
        "-c".as_ref(),
        setup.as_ref(),
        "sh".as_ref(),
        repository.as_os_str(),
        linked.as_os_str(),
    ];
    host(&need!("sh"), words).ok();
    std::fs::write(linked.join("f"), "two").unwrap();
    let directory = repository.join(".git");
    let said = format!("--allow-write {}`", directory.display());
    for place in [repository.join("sub"), linked] {
        let add = || {
            let srt = bed.srt().flat(&settings(&["."], &[], &[]));
            srt.directory(&place)
        };
        let words = [git.as_os_str(), "add".as_ref(), "f".as_ref()];
        add().args(words).run().refused().says(&said);
        let learned = bed
            .srt()
            .directory(&place)
            .flat(&settings(&["."], &[], &[]))
            .args(["learn"])
            .args(words)
            .run();
        let proposed = format!("\"{}\"", directory.display());
        assert!(learned.text().contains(&proposed), "{learned}");
        assert!(!learned.text().contains("index.lock"), "{learned}");
        // As it stands it is enough, and opens nothing that git runs.
        let allow = ["--allow-write".as_ref(), directory.as_os_str()];
        add().options(allow).args(words).run().ok();
        let commit = ["git", "commit", "-m", "b"];
        add().options(allow).args(commit).run().ok();
        let hook = format!("echo x > '{}/hooks/post-commit'", directory.display());
        add().options(allow).sh(&hook).run().refused();
        assert!(
            directory
                .join("hooks/post-commit")
                .symlink_metadata()
                .is_err()
        );
    }
    // What is protected is not opened by it, so it is not said to be.
    let hook = directory.join("hooks/post-commit");
    let explained = bed
        .srt()
        .flat(&settings(&["."], &[], &[]))
        .args(["explain".as_ref(), "write".as_ref(), hook.as_os_str()])
        .run();
    assert!(!explained.text().contains(&said), "{explained}");
}
