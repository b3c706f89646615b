//! Wrong settings.

use std::os::unix::fs::PermissionsExt as _;

use sandbox_tests::{Bed, is_root};
use serde_json::{Value, json};

use crate::{TOUCH, ran, refused};

/// A flat file with one more entry in one of its objects, each entry on its own line.
fn flat_with(section: &str, entry: &str) -> String {
    let (top, network, filesystem) = match section {
        "" => (format!("{entry},\n"), String::new(), String::new()),
        "network" => (String::new(), format!("{entry},\n"), String::new()),
        _ => (String::new(), String::new(), format!("{entry},\n")),
    };
    format!(
        "{{\n{top}\"network\": {{\n{network}\"allowedDomains\": [],\n\"deniedDomains\": []\n}},\n\"filesystem\": {{\n{filesystem}\"denyRead\": [],\n\"allowWrite\": [\".\"],\n\"denyWrite\": []\n}}\n}}\n"
    )
}

/// Line and column of the first mark, from 1.
fn position(text: &str, mark: &str) -> (usize, usize) {
    let at = text.find(mark).unwrap();
    let before = text.get(..at).unwrap();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (line, column)
}

#[test]
fn each_wrong_value_is_shown_where_it_stands() {
    let bed = Bed::new();
    let cases: &[(&str, &str, &str)] = &[
        // section, entry, where the underline starts
        ("network", "\"allowLocalBinding\": \"yes\"", "\"yes\""),
        ("network", "\"allowUnixSockets\": \"/run/x\"", "\"/run/x\""),
        (
            "network",
            "\"deniedResolvedAddresses\": [\"10.0.0.0/99\"]",
            "\"10.0.0.0/99\"",
        ),
        (
            "network",
            "\"deniedResolvedAddresses\": [\"example.com\"]",
            "\"example.com\"",
        ),
        (
            "network",
            "\"parentProxy\": {\"noProxy\": \"10.0.0.0/99\"}",
            "\"10.0.0.0/99\"",
        ),
        (
            "network",
            "\"parentProxy\": {\"noProxy\": \"a.test, b.test:x\"}",
            "\"a.test, b.test:x\"",
        ),
        ("network", "\"strictAllowlist\": 1", "1,"),
        ("filesystem", "\"allowRead\": [\"\"]", "\"\""),
        ("filesystem", "\"allowRead\": [1]", "1]"),
        ("filesystem", "\"allowGitConfig\": null", "null"),
        ("filesystem", "\"disabled\": \"false\"", "\"false\""),
        ("", "\"enableWeakerNestedSandbox\": \"true\"", "\"true\""),
        ("", "\"ignoreViolations\": []", "[],"),
        ("", "\"ignoreViolations\": {\"*\": \"x\"}", "\"x\""),
        ("", "\"mandatoryDenySearchDepth\": 11", "11"),
    ];
    for (section, entry, mark) in cases {
        let text = flat_with(section, entry);
        let output = bed.srt().settings_text(&text).args(TOUCH).run();
        refused(&bed, &output, entry);
        let (line, _) = position(&text, entry);
        let within = text.lines().nth(line - 1).unwrap();
        let column = within.find(mark).unwrap() + 1;
        let place = format!("settings.json:{line}:{column}");
        assert!(
            output.errors().contains(&place),
            "{entry}: no {place}\n{output}"
        );
        let bare = mark.trim_matches(|c| ",]".contains(c));
        assert!(
            output.errors().contains(bare),
            "{entry}: the line is not shown\n{output}"
        );
    }
    let output = bed
        .srt()
        .settings_text(&flat_with("network", "\"allowLocalBinding\": true"))
        .args(TOUCH)
        .run()
        .ok();
    assert!(ran(&bed), "{output}");
}

#[test]
fn domain_patterns_that_cannot_be_meant_are_errors() {
    let bed = Bed::new();
    let wrong = [
        "",
        "https://example.com",
        "example.com/path",
        "*example.com",
        "*.",
        "*.com",
        "*",
        "*:22",
        "example.com:0",
        "example.com:65536",
        "example.com:080",
        "a b.com",
        "a..b",
        "user@a.b",
        "a.b?x",
        "*.*.b",
        "1.2.3.0/24",
        "::1",
        "ex*mple.com",
        "[fe80::1%eth0]",
        ".example.com",
        "exa_mple..com",
        "example.com:",
    ];
    for pattern in wrong {
        for list in ["allowedDomains", "deniedDomains"] {
            if list == "deniedDomains" && ["*", "*:22"].contains(&pattern) {
                continue;
            }
            let mut settings: Value =
                serde_json::from_str(&flat_with("", "\"allowPty\": false")).unwrap();
            settings["network"][list] = json!([pattern]);
            let output = bed.srt().flat(&settings).args(TOUCH).run();
            refused(&bed, &output, &format!("{pattern:?} in {list}"));
            assert!(
                output.errors().contains("settings.json:1:"),
                "{pattern:?}\n{output}"
            );
        }
    }
    let right = [
        "example.com",
        "*.example.com",
        "example.com:443",
        "*.example.com:8443",
        "localhost",
        "localhost:3000",
        "1.2.3.4",
        "1.2.3.4:80",
        "[::1]",
        "[2001:db8::1]:443",
        "*.github.io",
        "*.co.uk",
        "EXAMPLE.com",
        "xn--mnchen-3ya.de",
    ];
    for pattern in right {
        let mut settings: Value =
            serde_json::from_str(&flat_with("", "\"allowPty\": false")).unwrap();
        settings["network"]["allowedDomains"] = json!([pattern]);
        let output = bed.srt().flat(&settings).args(TOUCH).run();
        assert!(output.succeeded() && ran(&bed), "{pattern}\n{output}");
    }
}

#[test]
fn files_that_are_no_settings_are_errors() {
    let bed = Bed::new();
    let texts: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("blank", b" \n\t\n"),
        ("cut", b"{\"network\": {\"allowedDomains\": ["),
        ("no object", b"[]"),
        ("a string", b"\"{}\""),
        ("null", b"null"),
        ("trailing", b"{} {}"),
        ("no JSON", b"network = 1"),
        ("not UTF-8", b"{\"network\": {\"allowedDomains\": [\"\xff\xfe\"], \"deniedDomains\": []}}"),
        ("NULs", b"\0\0\0\0"),
        ("no filesystem", b"{\"network\": {\"allowedDomains\": [], \"deniedDomains\": []}}"),
        ("no allowedDomains", b"{\"network\": {\"deniedDomains\": []}, \"filesystem\": {\"denyRead\": [], \"allowWrite\": [], \"denyWrite\": []}}"),
        ("no allowWrite", b"{\"network\": {\"allowedDomains\": [], \"deniedDomains\": []}, \"filesystem\": {\"denyRead\": [], \"denyWrite\": []}}"),
        ("twice the same key", b"{\"network\": {\"allowedDomains\": [], \"deniedDomains\": []}, \"network\": {\"allowedDomains\": [\"a.b\"], \"deniedDomains\": []}, \"filesystem\": {\"denyRead\": [], \"allowWrite\": [], \"denyWrite\": []}}"),
        ("very deep", &[b'['; 20_000]),
    ];
    for (what, text) in texts {
        let path = bed.file("settings.json", text);
        let output = bed
            .srt()
            .options(["-s".as_ref(), path.as_os_str()])
            .args(TOUCH)
            .run();
        refused(&bed, &output, what);
        assert!(
            output.errors().contains("settings.json"),
            "{what}: the file is not named\n{output}"
        );
        assert!(output.signal().is_none(), "{what}\n{output}");
    }
}

#[test]
fn the_same_holds_for_every_file_that_is_found() {
    let bed = Bed::new();
    for place in [
        "home/.claude/settings.json",
        "work/.claude/settings.json",
        "work/.claude/settings.local.json",
        "home/.srt-settings.json",
    ] {
        for text in [
            "",
            "{",
            "{\"permissions\": {\"deny\": \"Read(x)\"}}",
            "{\"sandbox\": {\"network\": {\"allowLocalBinding\": 3}}}",
        ] {
            let path = bed.file(place, text);
            let output = bed.srt().args(TOUCH).run();
            refused(&bed, &output, &format!("{place}: {text:?}"));
            let name = std::path::Path::new(place)
                .file_name()
                .unwrap()
                .to_str()
                .unwrap();
            assert!(output.errors().contains(name), "{output}");
            std::fs::remove_file(path).unwrap();
        }
    }
    bed.srt().args(TOUCH).run().ok();
    assert!(ran(&bed));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let bed = Bed::new();
    let missing = bed.root().join("none.json");
    let output = bed
        .srt()
        .options(["-s".as_ref(), missing.as_os_str()])
        .args(TOUCH)
        .run();
    refused(&bed, &output, "a missing file");
    assert!(output.errors().contains("none.json"), "{output}");
    let output = bed
        .srt()
        .options(["-s".as_ref(), bed.outside().as_os_str()])
        .args(TOUCH)
        .run();
    refused(&bed, &output, "a directory");
    let settings = bed.file("home/.claude/settings.json", "{}");
    std::fs::remove_file(&settings).unwrap();
    std::fs::create_dir(&settings).unwrap();
    refused(
        &bed,
        &bed.srt().args(TOUCH).run(),
        "a directory in the place of a file",
    );
    std::fs::remove_dir(&settings).unwrap();
    if !is_root() {
        bed.file("home/.claude/settings.json", "{}");
        std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o000)).unwrap();
        refused(
            &bed,
            &bed.srt().args(TOUCH).run(),
            "a file without permissions",
        );
        std::fs::remove_file(&settings).unwrap();
    }
    std::os::unix::fs::symlink("settings.json", &settings).unwrap();
    refused(&bed, &bed.srt().args(TOUCH).run(), "a link to itself");
    std::fs::remove_file(&settings).unwrap();
    bed.srt().args(TOUCH).run().ok();
}

#[test]
fn twenty_misspelt_keys_get_twenty_suggestions() {
    let bed = Bed::new();
    let flat: &[(&str, &str, &str)] = &[
        ("network", "allowDomains", "allowedDomains"),
        ("network", "allowedDomain", "allowedDomains"),
        ("network", "deniedDomian", "deniedDomains"),
        ("network", "allowUnixSocket", "allowUnixSockets"),
        ("network", "allowAllUnixSocket", "allowAllUnixSockets"),
        ("network", "allowLocalBindings", "allowLocalBinding"),
        ("network", "httpProxyPrt", "httpProxyPort"),
        ("network", "socksProxyport", "socksProxyPort"),
        ("network", "strictAllowList", "strictAllowlist"),
        (
            "network",
            "deniedResolvedAddress",
            "deniedResolvedAddresses",
        ),
        ("filesystem", "denyReads", "denyRead"),
        ("filesystem", "alowRead", "allowRead"),
        ("filesystem", "allowWrites", "allowWrite"),
        ("filesystem", "denywrite", "denyWrite"),
        ("filesystem", "allowGitconfig", "allowGitConfig"),
        ("", "ignoreViolation", "ignoreViolations"),
        ("", "enableWeakerNestedSandbx", "enableWeakerNestedSandbox"),
        ("", "mandatoryDenySearchDeph", "mandatoryDenySearchDepth"),
    ];
    for (section, wrong, right) in flat {
        let entry = format!("\"{wrong}\": []");
        let text = flat_with(section, &entry);
        let output = bed.srt().settings_text(&text).args(TOUCH).run();
        refused(&bed, &output, wrong);
        let (line, column) = position(&text, &entry);
        assert!(
            output
                .errors()
                .contains(&format!("settings.json:{line}:{column}")),
            "{wrong}\n{output}"
        );
        assert!(
            output.errors().contains(&format!("`{right}`")),
            "{wrong}: no `{right}`\n{output}"
        );
    }
    let claude: &[(&str, &str, &str)] = &[
        ("{\"permissions\": {\"alow\": []}}", "alow", "allow"),
        ("{\"permissions\": {\"dney\": []}}", "dney", "deny"),
        ("{\"sandbox\": {\"enabeld\": true}}", "enabeld", "enabled"),
        (
            "{\"sandbox\": {\"excludedCommand\": []}}",
            "excludedCommand",
            "excludedCommands",
        ),
        (
            "{\"sandbox\": {\"network\": {\"allowUnixSokets\": []}}}",
            "allowUnixSokets",
            "allowUnixSockets",
        ),
        (
            "{\"sandbox\": {\"allowUnsandboxedCommand\": false}}",
            "allowUnsandboxedCommand",
            "allowUnsandboxedCommands",
        ),
    ];
    for (text, wrong, right) in claude {
        bed.file("home/.claude/settings.json", text);
        let output = bed.srt().args(TOUCH).run();
        refused(&bed, &output, wrong);
        let (line, column) = position(text, &format!("\"{wrong}\""));
        assert!(
            output
                .errors()
                .contains(&format!("settings.json:{line}:{column}")),
            "{wrong}\n{output}"
        );
        assert!(
            output.errors().contains(&format!("`{right}`")),
            "{wrong}: no `{right}`\n{output}"
        );
    }
}

#[test]
fn foreign_keys_of_other_tools_are_left_alone() {
    let bed = Bed::new();
    let text = json!({
        "$schema": "https://json.schemastore.org/claude-code-settings.json", "model": "opus", "env": {"A": "b"}, "hooks": {"PreToolUse": []},
        "permissions": {"defaultMode": "acceptEdits", "additionalDirectories": [], "allow": ["Bash(npm run *)", "mcp__x__y", "WebSearch", "Write(x)"]},
        "statusLine": {"type": "command", "command": "x"}, "cleanupPeriodDays": 3,
    });
    for place in [
        "home/.claude/settings.json",
        "work/.claude/settings.local.json",
    ] {
        bed.file(place, text.to_string());
        let output = bed.srt().args(TOUCH).run();
        assert!(output.succeeded() && ran(&bed), "{place}\n{output}");
    }
}
