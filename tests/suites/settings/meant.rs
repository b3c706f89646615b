//! Entries that close less, or something else, than their author may think: either they hold as they are meant,
//! or a notice says what they mean.

use std::{ffi::OsStr, fmt::Write as _, os::unix::ffi::OsStrExt};

use sandbox_tests::{Bed, Output, host, need};
use serde_json::{Value, json};

/// The notices of a run.
fn notices(output: &Output) -> Vec<String> {
    let complaints = output.complaints();
    let lines = complaints.lines();
    let lines = lines.filter(|line| line.starts_with("srt: notice:"));
    lines.map(str::to_owned).collect()
}

/// A flat file whose entries of a list stand on a line of their own, the fifth.
fn flat(list: &str, entries: &[&str]) -> String {
    let mut text = String::from(
        "{\"network\": {\"allowedDomains\": [], \"deniedDomains\": []},\n\"filesystem\": {\n",
    );
    for key in ["denyRead", "denyWrite"] {
        if key != list {
            writeln!(text, "\"{key}\": [],").unwrap();
        }
    }
    writeln!(text, "\"{list}\":\n{},", json!(entries)).unwrap();
    text.push_str("\"allowWrite\": [\".\"]}}\n");
    text
}

/// A project whose own settings in Claude Code's format refuse something.
fn claude(bed: &Bed, list: &str, rules: &[&str]) {
    let settings = json!({ "permissions": { list: rules } });
    bed.file("work/.claude/settings.json", settings.to_string());
}

/// A shell line that says which of some files it can read.
const READ: &str = "for f in $FILES; do cat \"$f\" >/dev/null 2>&1 && echo \"$f\"; done; true";

/// The same for writing.
const WRITE: &str =
    "for f in $FILES; do echo changed 2>/dev/null > \"$f\" && echo \"$f\"; done 2>/dev/null; true";

/// What of some files a run could do something with.
fn reached(bed: &Bed, line: &str, files: &[&str]) -> (Vec<String>, Output) {
    for file in files {
        bed.file(format!("work/{file}"), "as it was");
    }
    let output = bed.srt().env("FILES", files.join(" ")).sh(line).run().ok();
    let mut found: Vec<_> = output.text().lines().map(str::to_owned).collect();
    found.sort();
    (found, output)
}

#[test]
fn a_write_root_that_a_deny_closes_as_a_whole_is_told() {
    let bed = Bed::new();
    bed.file("work/t/d/file", "as it was");
    let run = |denied: &str| {
        let text = flat("denyWrite", &[denied]).replace("[\".\"]", "[\".\", \"t/d\"]");
        let line = "echo new > t/d/file";
        bed.srt().settings_text(&text).sh(line).run()
    };
    for denied in ["t", "t/d"] {
        let output = run(denied).refused();
        let told = notices(&output);
        let is_told = |text: &String| text.contains("t/d` of") && text.contains("opens nothing");
        assert_eq!(
            told.iter().filter(|text| is_told(text)).count(),
            1,
            "{output}"
        );
        assert!(told[0].contains("settings.json:5:2"), "{output}");
    }
    let output = run("t/d/other").ok();
    assert!(notices(&output).is_empty(), "{output}");
}

#[test]
fn what_a_pattern_does_not_mean_is_said_with_its_place() {
    for (list, option) in [("denyRead", "--deny-read"), ("denyWrite", "--deny-write")] {
        for (entry, hint) in [
            ("./[!a]x", "negation"),
            ("e.p[^x]m", "negation"),
            ("*.{pem,key}", "{…}"),
            ("a{1..3}", "{…}"),
            ("x\\*", "backslash"),
            ("[[:alpha:]]x", "[:…:]"),
            ("$HOME/x", "that directory is `~`"),
            ("${HOME}/.ssh", "that directory is `~`"),
            ("$PWD/f", "that directory is `.`"),
            ("a/${NAME}/f", "variables"),
            (" ~/.bashrc", "white space"),
            ("\"~/.ssh\"", "quotes"),
            ("file:///x", "URLs"),
            ("Read(./x)", "permission rules"),
        ] {
            let bed = Bed::new();
            let output = bed
                .srt()
                .settings_text(&flat(list, &[entry]))
                .args(["true"])
                .run()
                .ok();
            let told = notices(&output);
            assert_eq!(told.len(), 1, "{entry}: {output}");
            for part in [hint, "settings.json:5:2", &format!("`{entry}`")] {
                assert!(told[0].contains(part), "{entry}: no {part}: {output}");
            }
            let listed = bed
                .srt()
                .settings_text(&flat(list, &[entry]))
                .args(["settings"]);
            let listed = listed.run().ok();
            assert!(listed.text().contains(hint), "{listed}");
            let output = bed.srt().options([option, entry]).args(["true"]).run().ok();
            let told = notices(&output);
            assert!(
                told.len() == 1 && told[0].contains(&format!("{option} {entry}")),
                "{output}"
            );
        }
        // The control: what means here what it means everywhere, and what is no pattern at all.
        let bed = Bed::new();
        let entries = [
            "*.pem",
            "./[ab]x",
            "**/.env",
            "a[b-d]",
            "a{b}",
            "plain",
            "./w?",
            "A$B.class",
            "$1",
            "a/$",
            "$RECYCLE.BIN",
            "two words",
            "it's",
            "f(x)",
        ];
        let output = bed
            .srt()
            .settings_text(&flat(list, &entries))
            .args(["true"])
            .run()
            .ok();
        assert!(notices(&output).is_empty(), "{output}");
        let literal = flat(list, &[]).replace(
            "[],\n\"allow",
            "[{\"path\": \"[!a]{b,c}\\\\\\\\\", \"literal\": true}],\n\"allow",
        );
        let output = bed.srt().settings_text(&literal).args(["true"]).run().ok();
        assert!(
            notices(&output).is_empty() && literal.contains("literal"),
            "{output}"
        );
    }
}

/// Upstream's grammar has no negation, Claude Code's rules are written as gitignore has it.
#[test]
fn a_negated_set_of_a_permission_rule_closes_what_it_leaves_out() {
    let files = ["e.pem", "e.pxm", "d/e.pem", "ax", "bx", "cx"];
    for list in ["deny", "ask"] {
        let bed = Bed::new();
        claude(&bed, list, &["Read(e.p[!x]m)", "Read(./[^ab]x)"]);
        let (read, output) = reached(&bed, READ, &files);
        assert_eq!(read, ["ax", "bx", "e.pxm"], "{output}");
        assert!(notices(&output).is_empty(), "{output}");
        let bed = Bed::new();
        claude(&bed, list, &["Edit(e.p[!x]m)", "Edit(./[^ab]x)"]);
        let (written, output) = reached(&bed, WRITE, &files);
        assert_eq!(written, ["ax", "bx", "e.pxm"], "{output}");
        for file in ["e.pem", "d/e.pem", "cx"] {
            assert_eq!(std::fs::read(bed.work().join(file)).unwrap(), b"as it was");
        }
        // What appears later, by a name that is no text.
        let line = "cd d; for n in e.pam e.pxm $(printf 'e.p\\377m'); do echo > $n && echo made; done 2>/dev/null; true";
        let output = bed.srt().sh(line).run().ok();
        assert_eq!(output.text(), "made\n", "{output}");
    }
    // A flat file says the contrary by the same text, and says so.
    let bed = Bed::new();
    let settings = flat("denyRead", &["./[!a]x"]);
    for file in files {
        bed.file(format!("work/{file}"), "as it was");
    }
    let srt = bed.srt().settings_text(&settings).env("FILES", "ax bx cx");
    let output = srt.sh(READ).run().ok();
    assert_eq!(output.text(), "bx\ncx\n", "{output}");
    assert_eq!(notices(&output).len(), 1, "{output}");
}

/// Tools that change files are one to a sandbox.
#[test]
fn a_refused_path_of_any_tool_that_writes_is_closed() {
    for rule in [
        "Edit(lib/**)",
        "Write(lib/**)",
        "MultiEdit(lib/**)",
        "NotebookEdit(lib/**)",
    ] {
        for list in ["deny", "ask"] {
            let bed = Bed::new();
            claude(&bed, list, &[rule]);
            let (written, output) = reached(&bed, WRITE, &["lib/b", "free"]);
            assert_eq!(written, ["free"], "{rule}: {output}");
            assert_eq!(
                std::fs::read(bed.work().join("lib/b")).unwrap(),
                b"as it was"
            );
            assert!(notices(&output).is_empty(), "{output}");
        }
    }
    let bed = Bed::new();
    claude(&bed, "deny", &["NotebookRead(lib/**)"]);
    let (read, output) = reached(&bed, READ, &["lib/b", "free"]);
    assert_eq!(read, ["free"], "{output}");
    // What permits a tool something permits commands nothing, as upstream has it.
    let bed = Bed::new();
    bed.file("home/out/b", "as it was");
    let user = json!({"permissions": {"allow": ["Write(~/out/**)", "MultiEdit(~/out/**)", "Write(", "Read", "Edit"]}});
    bed.file("home/.claude/settings.json", user.to_string());
    let output = bed.srt().sh("echo x > ~/out/b").run().refused();
    assert!(notices(&output).is_empty(), "{output}");
    assert_eq!(
        std::fs::read(bed.home().join("out/b")).unwrap(),
        b"as it was"
    );
}

#[test]
fn a_refused_tool_without_a_path_says_that_it_closes_nothing() {
    for (rule, instead) in [
        ("Edit", "Edit(/**)"),
        ("Write", "Edit(/**)"),
        ("MultiEdit", "Edit(/**)"),
        ("NotebookEdit", "Edit(/**)"),
        ("Read", "Read(/**)"),
        ("WebFetch", "deniedDomains"),
        ("WebFetch(*)", "deniedDomains"),
    ] {
        let bed = Bed::new();
        claude(&bed, "deny", &[rule]);
        let (written, output) = reached(&bed, WRITE, &["free"]);
        assert_eq!(written, ["free"], "{output}");
        let told = notices(&output);
        assert!(
            told.len() == 1 && told[0].contains(instead),
            "{rule}: {output}"
        );
        assert!(told[0].contains(".claude/settings.json:1:"), "{output}");
        let quiet = bed.srt().options(["--quiet"]).args(["true"]).run().ok();
        assert!(notices(&quiet).is_empty(), "{quiet}");
    }
    // What it proposes does close.
    let bed = Bed::new();
    claude(&bed, "deny", &["Edit(/**)"]);
    let (written, output) = reached(&bed, WRITE, &["free"]);
    assert!(
        written.is_empty() && notices(&output).is_empty(),
        "{output}"
    );
    // Rules of other tools are none of ours, and who wants to be asked about a tool is asked elsewhere.
    let bed = Bed::new();
    claude(
        &bed,
        "deny",
        &["Bash(rm *)", "WebSearch", "mcp__x__y", "Task"],
    );
    let user = json!({"permissions": {"ask": ["Edit", "WebFetch"]}});
    bed.file("home/.claude/settings.json", user.to_string());
    let output = bed.srt().args(["true"]).run().ok();
    assert!(notices(&output).is_empty(), "{output}");
    // A misspelt one is an error, as ever, and one that is cut off too.
    for rule in ["Writ(lib/**)", "Write(lib/**", "MultiEdit()"] {
        claude(&bed, "deny", &[rule]);
        bed.srt().args(["true"]).run().exits(125);
    }
}

/// A name alone is a path, as upstream has it, and to others any file of that name.
#[test]
fn a_refused_name_says_where_it_holds() {
    let bed = Bed::new();
    claude(&bed, "deny", &["Read(.env)"]);
    let files = [".env", "d/.env"];
    let (read, output) = reached(&bed, READ, &files);
    assert_eq!(read, ["d/.env"], "{output}");
    let told = notices(&output);
    assert!(
        told.len() == 1 && told[0].contains("`Read(**/.env)`"),
        "{output}"
    );
    assert!(told[0].contains("`Read(./.env)`"), "{output}");
    claude(&bed, "deny", &["Read(**/.env)"]);
    let (read, output) = reached(&bed, READ, &files);
    assert!(read.is_empty() && notices(&output).is_empty(), "{output}");
    claude(
        &bed,
        "deny",
        &["Read(./.env)", "Read(~)", "Edit(d/.env)", "Read(*.pem)"],
    );
    let (_, output) = reached(&bed, READ, &files);
    assert!(notices(&output).is_empty(), "{output}");
    claude(&bed, "deny", &["Read(!kept)"]);
    let (_, output) = reached(&bed, READ, &files);
    assert_eq!(notices(&output).len(), 1, "{output}");
}

/// A write root can be read. Whoever closes the same path for reading is told so.
#[test]
fn a_path_that_is_closed_and_opened_at_once_is_named() {
    for path in [".", "**", "./**", "d", "d/../d"] {
        let bed = Bed::new();
        bed.file("work/d/secret", "told");
        let text = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [path], "allowWrite": [path], "denyWrite": []},
        });
        let output = bed.srt().flat(&text).args(["cat", "d/secret"]).run().ok();
        let told = notices(&output);
        assert!(
            told.len() == 1 && told[0].contains("write root"),
            "{path}: {output}"
        );
        // The place of the deny and that of the allow.
        assert_eq!(told[0].matches("settings.json:").count(), 2, "{output}");
    }
    let bed = Bed::new();
    let mut text = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": ["99"], "allowWrite": [], "denyWrite": []},
    });
    let roots: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for root in &roots {
        bed.file(format!("work/{root}/x"), "");
    }
    text["filesystem"]["allowWrite"] = json!(roots);
    let output = bed.srt().flat(&text).args(["true"]).run().ok();
    assert_eq!(notices(&output).len(), 1, "{output}");
    // The control: a deeper deny holds, a wider one is meant so, and neither is remarked on.
    let bed = Bed::new();
    bed.file("work/d/secret", "told");
    let text = |deny: &str| {
        json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [deny], "allowWrite": ["."], "denyWrite": []},
        })
    };
    let output = bed
        .srt()
        .flat(&text("d"))
        .args(["cat", "d/secret"])
        .run()
        .refused();
    assert!(notices(&output).is_empty(), "{output}");
    let output = bed
        .srt()
        .flat(&text(".."))
        .args(["cat", "d/secret"])
        .run()
        .ok();
    assert!(notices(&output).is_empty(), "{output}");
}

/// A set holds characters: a byte that is part of none would be in none.
#[test]
fn a_byte_in_a_set_is_an_error_and_any_byte_closes_it() {
    let bed = Bed::new();
    let name = OsStr::from_bytes(b"\xfeq");
    let file = bed.work().join(name);
    std::fs::write(&file, "as it was").unwrap();
    let run = |option: &str, pattern: &[u8]| {
        let pattern = OsStr::from_bytes(pattern);
        let run = bed.srt().options([OsStr::new(option), pattern]);
        run.sh("cat ./*q; echo new > \"$(ls | head -n1)\"").run()
    };
    for option in ["--deny-read", "--deny-write"] {
        for pattern in [&b"[\xfe]q"[..], b"d/[a\xfe]/q", b"**/[!\xfe]x"] {
            let output = run(option, pattern).exits(125).prints("");
            assert!(
                output.errors().contains("a set holds characters"),
                "{output}"
            );
        }
        run(option, b"?q").refused();
        assert_eq!(std::fs::read(&file).unwrap(), b"as it was");
    }
    // No set at all.
    run("--deny-write", b"\xfeq[a]").ok();
    assert_eq!(std::fs::read(&file).unwrap(), b"new\n");
}

/// Options mean what the same entries of a file mean, and no file opens what an option closes.
#[test]
fn an_option_opens_what_another_option_closes() {
    let files = ["sec/k", "sec/d/k", "sec/d/e/k"];
    let bed = Bed::new();
    for file in files {
        bed.file(format!("work/{file}"), "told");
    }
    let line = format!(
        "for f in {}; do cat $f >/dev/null 2>&1 && echo $f; done; true",
        files.join(" ")
    );
    let text = |deny: &[&str], allow: &[&str]| {
        json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": deny, "allowRead": allow, "allowWrite": [], "denyWrite": []},
        })
    };
    for (deny, allow, read) in [
        (&["sec"][..], &[][..], &[][..]),
        (&["sec"], &["sec/d"], &["sec/d/k", "sec/d/e/k"]),
        (&["sec", "sec/d/e"], &["sec/d"], &["sec/d/k"]),
        (&["sec", "**/k"], &["sec/d"], &[]),
        (&["sec/d"], &["sec"], &["sec/k"]),
        (&["sec"], &["."], &[]),
        (&["sec/d"], &["sec/d"], &files),
    ] {
        let expected: String = read.iter().map(|file| format!("{file}\n")).collect();
        let option = |name: &'static str, paths: &[&'static str]| -> Vec<&'static str> {
            paths.iter().flat_map(|path| [name, path]).collect()
        };
        let (denies, allows) = (option("--deny-read", deny), option("--allow-read", allow));
        let options = denies.iter().chain(&allows).copied();
        let context = |output: &Output| format!("{deny:?} {allow:?}\n{output}");
        let output = bed.srt().options(options).sh(&line).run().ok();
        assert_eq!(output.text(), expected, "{}", context(&output));
        let output = bed.srt().flat(&text(deny, allow)).sh(&line).run().ok();
        assert_eq!(output.text(), expected, "{}", context(&output));
        // A file's entries open nothing of it, nor do an option's in what a file closes.
        let output = bed.srt().flat(&text(&[], allow)).options(denies);
        let closed = output.sh(&line).run().ok();
        let alone = bed.srt().flat(&text(deny, &[])).sh(&line).run().ok();
        assert_eq!(closed.text(), alone.text(), "{}", context(&closed));
        let output = bed.srt().flat(&text(deny, &[])).options(allows);
        let closed = output.sh(&line).run().ok();
        assert_eq!(closed.text(), alone.text(), "{}", context(&closed));
    }
}

/// A file can bring any number of such entries along; what a user wrote is named before what a project wrote.
#[test]
fn notices_do_not_bury_each_other() {
    let bed = Bed::new();
    let many: Vec<_> = (0..500).map(|number| format!("Read({number}\\)")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    claude(&bed, "deny", &many);
    let user = json!({"permissions": {"deny": ["Edit"]}});
    bed.file("home/.claude/settings.json", user.to_string());
    let option = ["--deny-write", "{a,b}"];
    let output = bed.srt().options(option).args(["true"]).run().ok();
    let told = notices(&output);
    assert!(told.len() <= 12 && told[0].contains("`Edit`"), "{output}");
    assert!(told[1].contains("--deny-write {a,b}"), "{output}");
    assert!(
        told.iter().any(|line| line.contains("srt settings")),
        "{output}"
    );
    // A text is no way to write on somebody's terminal.
    claude(&bed, "deny", &["Read(\u{1b}[2J\\\u{202e})"]);
    let output = bed.srt().args(["true"]).run().ok();
    let listed = bed.srt().args(["settings"]).run().ok();
    for text in [output.errors(), listed.text(), listed.errors()] {
        assert!(!text.contains(['\x1b', '\u{202e}']), "{output}{listed}");
    }
}

/// The example for readers is one that they can work with.
#[test]
fn git_works_with_the_settings_of_the_readme() {
    let git = need!("git");
    let readme = include_str!("../../../README.md");
    let mut examples = readme.split("```json\n").skip(1);
    let flat =
        examples.find(|text| text.contains("\"denyWrite\"") && !text.contains("\"sandbox\""));
    let flat = flat.unwrap().split("```").next().unwrap();
    let settings: Value = serde_json::from_str(flat).unwrap();
    let bed = Bed::new();
    let home = bed.home().display().to_string();
    let line = format!(
        "cd {} && HOME={home} {} init -q .",
        bed.work().display(),
        git.display()
    );
    host("sh".as_ref(), ["-c", &line]).ok();
    bed.file("work/Cargo.lock", "1\n");
    let commit = "git add -A && git -c user.name=a -c user.email=a@b.test commit -q -m all && git status --porcelain";
    let output = bed.srt().flat(&settings).sh(commit).run().ok();
    assert_eq!(output.text(), "", "{output}");
    // The control: the entry does close something.
    bed.srt().flat(&settings).sh("touch a.key").run().refused();
}
