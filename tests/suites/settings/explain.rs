//! `srt explain`: the same verdicts as a sandbox gives, with the rule, its place and what to change.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Listener, Output, Random, UnixWitness, python, say, skip};
use serde_json::{Value, json};

/// Asks the HTTP proxy for a tunnel and prints its status.
const TUNNEL: &str = r"
import os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ['HTTP_PROXY'])
s = socket.create_connection((proxy.hostname, proxy.port))
s.sendall(('CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n' % (sys.argv[1], sys.argv[1])).encode())
print(s.recv(100).split()[1].decode())
";

const RESOLVE: &str = r"
import socket, sys
socket.getaddrinfo(sys.argv[1], 443)
";

const CONNECT_UNIX: &str = r"
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
";

/// Opens each named file as the word in front of it says, and prints whether that worked.
const OPEN_EACH: &str = r#"
while read -r operation path; do
    case $operation in
        read) (: < "$path") ;;
        write) (: >> "$path") ;;
    esac 2>/dev/null && echo allow || echo deny
done
"#;

fn flat(filesystem: &Value, network: &Value) -> Value {
    json!({"filesystem": filesystem, "network": network})
}

fn no_hosts() -> Value {
    json!({"allowedDomains": [], "deniedDomains": []})
}

fn files(deny_read: &[&str], allow_write: &[&str], deny_write: &[&str]) -> Value {
    let rules = json!({"denyRead": deny_read, "allowWrite": allow_write, "denyWrite": deny_write});
    flat(&rules, &no_hosts())
}

/// What `srt explain` says, which must be whole: the first line, and a status that agrees with it.
#[track_caller]
fn explain(bed: &Bed, settings: &Value, operation: &str, object: &str) -> Output {
    let words = ["explain", operation, object];
    let output = bed.srt().flat(settings).args(words).run();
    let text = output.text();
    let verdict = text.split(' ').next().unwrap_or_default();
    assert!(["allow", "deny"].contains(&verdict), "no verdict\n{output}");
    let code = i32::from(verdict == "deny");
    assert!(
        text.starts_with(&format!("{verdict} {operation} ")),
        "{output}"
    );
    output.exits(code)
}

/// Whether the verdict is allow.
#[track_caller]
fn allows(bed: &Bed, settings: &Value, operation: &str, object: &str) -> bool {
    explain(bed, settings, operation, object).succeeded()
}

/// Asserts the same verdict of `explain` and of a sandbox in which a shell line tries it.
#[track_caller]
fn agrees(bed: &Bed, settings: &Value, (operation, object): (&str, &str), permitted: bool) {
    let line = match operation {
        "read" => format!("cat {object}"),
        _ => format!(": >> {object}"),
    };
    let live = bed.srt().flat(settings).sh(&line).run();
    assert_ne!(live.code(), Some(125), "{live}");
    assert_eq!(live.succeeded(), permitted, "{live}");
    let said = explain(bed, settings, operation, object);
    assert_eq!(said.succeeded(), permitted, "{live}\n{said}");
}

#[test]
fn verdicts_about_files_are_those_of_a_sandbox() {
    let bed = Bed::new();
    for name in ["open", "secret", "x.pem", "locked", "sub/in", ".git/HEAD"] {
        bed.file(Path::new("work").join(name), "text");
    }
    bed.file("home/rc", "text");
    let outside = bed.file("outside/file", "text");
    symlink("secret", bed.work().join("to-secret")).unwrap();
    symlink("open", bed.work().join("to-open")).unwrap();
    symlink(bed.outside(), bed.work().join("out")).unwrap();
    symlink("nowhere", bed.work().join("dangling")).unwrap();
    symlink("/proc/self/root", bed.work().join("to-root")).unwrap();
    symlink("/proc/self/cwd", bed.work().join("to-cwd")).unwrap();
    let settings = files(
        &["secret", "**/*.pem"],
        &[".", "not/there/yet"],
        &["locked", "*.lock"],
    );
    let outside = outside.to_str().unwrap();
    for (operation, object, permitted) in [
        ("read", "open", true),
        ("read", "secret", false),
        ("read", "x.pem", false),
        ("read", "to-secret", false),
        ("read", "to-open", true),
        ("read", "sub/../secret", false),
        ("read", "out/../home/rc", true),
        ("read", "out/file", true),
        ("read", outside, true),
        ("read", "/etc/passwd", true),
        ("read", "/dev/null", true),
        ("read", "/dev/mem", false),
        ("read", "/proc/self/status", true),
        ("write", "open", true),
        ("write", "new", true),
        ("write", "locked", false),
        ("write", "later.lock", false),
        ("write", "secret", false),
        ("write", "to-secret", false),
        ("write", "to-open", true),
        ("write", "dangling", true),
        ("write", "out/file", false),
        ("write", outside, false),
        ("write", "/etc/passwd", false),
        ("write", ".bashrc", false),
        ("write", "sub/.vscode", false),
        ("write", "/tmp/new", true),
        ("write", "/dev/shm/new", true),
        ("write", "/dev/null", true),
        ("write", "/dev/new", false),
        ("write", "/proc/self/comm", true),
        ("write", "/proc/sys/kernel/hostname", false),
        ("read", "/proc/self/cwd/open", true),
        ("read", "/proc/self/cwd/secret", false),
        ("read", "/proc/self/root/etc/passwd", true),
        ("read", "/dev/fd/0", true),
        ("write", "/proc/self/cwd/new", true),
        ("write", "/proc/thread-self/cwd/locked", false),
        ("write", "/proc/self/root/etc/passwd", false),
        ("write", "/proc/self/task/../root/etc/passwd", false),
        ("write", "to-root/etc/passwd", false),
        ("write", "to-cwd/open", true),
        ("write", "to-cwd/../home/rc", false),
        ("write", "/tmp/x.pem", false),
        ("write", "/dev/shm/x.pem", true),
        ("write", "/dev/shm/x.lock", true),
        ("read", "/dev/shm/x.pem", false),
    ] {
        agrees(&bed, &settings, (operation, object), permitted);
    }
}

/// A pattern closes files for opening. A socket is not opened, so where all are allowed it stays open; one in
/// a closed directory can't be reached.
#[test]
fn verdicts_about_sockets_are_those_of_a_sandbox() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed = bed.outside().join("listed");
    let other = bed.outside().join("z.pem");
    std::fs::create_dir(bed.outside().join("closed")).unwrap();
    let closed = bed.outside().join("closed/in");
    let private = tempfile::tempdir_in("/tmp").unwrap();
    let agent = private.path().join("agent");
    let _servers = [&listed, &other, &closed, &agent].map(|path| UnixWitness::at(path));
    symlink(&agent, bed.home().join("l")).unwrap();
    symlink(private.path(), bed.home().join("d")).unwrap();
    symlink(bed.home().join("l"), bed.home().join("ll")).unwrap();
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    let magic = |path: &Path| format!("/proc/self/root{}", words(path));
    let rules = json!({"denyRead": ["**/*.pem", words(&bed.outside().join("closed"))],
        "allowWrite": ["."], "denyWrite": []});
    let all = json!({"allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": true});
    let some = json!({"allowedDomains": [], "deniedDomains": [],
        "allowUnixSockets": [words(&listed), words(&agent)]});
    for (network, object, permitted) in [
        (&some, words(&listed), true),
        (&some, magic(&listed), true),
        (&some, words(&other), false),
        (&some, magic(&other), false),
        (&some, words(&agent), true),
        (&some, words(&bed.home().join("l")), true),
        (&some, words(&bed.home().join("ll")), true),
        (&some, words(&bed.home().join("d/agent")), true),
        (&some, words(&bed.home().join("d/other")), false),
        (&all, words(&other), true),
        (&all, words(&listed), true),
        (&all, words(&closed), false),
        (&all, words(&agent), false),
    ] {
        let settings = flat(&rules, network);
        let live = bed
            .srt()
            .flat(&settings)
            .py(&python, CONNECT_UNIX, &[&object])
            .run();
        assert_eq!(live.succeeded(), permitted, "{object}: {live}");
        assert_eq!(
            allows(&bed, &settings, "socket", &object),
            permitted,
            "{object}"
        );
    }
}

/// Rules take names as people write them, and so do questions.
#[test]
fn a_name_beyond_ascii_is_judged_in_its_idna_form() {
    let bed = Bed::new();
    let network = json!({"allowedDomains": ["b\u{fc}cher.example"], "deniedDomains": []});
    let none: [&str; 0] = [];
    let files = json!({"denyRead": none, "allowWrite": none, "denyWrite": none});
    let settings = flat(&files, &network);
    for (operation, object, form) in [
        (
            "connect",
            "b\u{fc}cher.example:443",
            "xn--bcher-kva.example:443",
        ),
        ("resolve", "B\u{dc}CHER.example", "xn--bcher-kva.example"),
        ("resolve", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ] {
        let said = explain(&bed, &settings, operation, object).ok();
        let first = format!("allow {operation} {form}");
        assert!(said.text().starts_with(&first), "{said}");
    }
    assert!(!allows(&bed, &settings, "resolve", "k\u{fc}chen.example"));
    let malformed = explain(&bed, &settings, "resolve", "b\u{fc} cher.example");
    assert!(malformed.text().contains("malformed_host"), "{malformed}");
}

/// What is asked about, and parts of the answer.
const REFUSALS: &[(&str, &str, [&str; 2])] = &[
    (
        "write",
        "/etc/x",
        [
            "(write_not_allowed)",
            "`--allow-write /etc/x` or `filesystem.allowWrite`",
        ],
    ),
    (
        "write",
        ".vscode/x",
        [
            "rule: `.vscode` of built in",
            "`\"unprotect\": [\".vscode\"]`",
        ],
    ),
    (
        "write",
        "closed",
        ["of --deny-write closed", "leave out `--deny-write closed`"],
    ),
    (
        "connect",
        "a.example.com:22",
        ["settings.json:9:23", "note: ask Ann"],
    ),
    (
        "connect",
        "other.org",
        [
            "(host_not_allowed)",
            "`--allow-domain other.org:443` or `network.allowedDomains`",
        ],
    ),
    (
        "connect",
        "other.org",
        ["deny connect other.org:443\n", "this is about port 443"],
    ),
    (
        "resolve",
        "a.example.com",
        ["deny resolve a.example.com\n", "note: ask Ann"],
    ),
    (
        "connect",
        "a..b:1",
        ["(malformed_host)", "give a name or an address"],
    ),
    (
        "socket",
        "/run/x",
        [
            "(unix_sockets_closed)",
            "`\"allowUnixSockets\": [\"/run/x\"]` in `network`",
        ],
    ),
];

#[test]
fn a_refusal_names_the_rule_its_place_and_what_to_change() {
    let bed = Bed::new();
    bed.file("work/secret", "text");
    let settings = bed.file(
        "settings.json",
        "{\n  \"filesystem\": {\n    \"denyRead\": [\"secret\"],\n    \"allowWrite\": [\".\"],\n    \"denyWrite\": []\n  },\n  \"network\": {\n    \"allowedDomains\": [],\n    \"deniedDomains\": [\"*.example.com\"],\n    \"deniedDomainReasons\": {\"*.example.com\": \"ask Ann\"}\n  }\n}\n",
    );
    let settings = settings.to_str().unwrap();
    let ask = |operation: &str, object: &str| {
        let words = ["explain", operation, object];
        let options = ["--settings", settings, "--deny-write", "closed"];
        bed.srt().options(options).args(words).run().exits(1).text()
    };
    let secret = bed.work().join("secret").display().to_string();
    let origin = format!("{settings}:3:18");
    assert_eq!(
        ask("read", "secret"),
        format!(
            "deny read {secret}\nreason: reading is denied (read_denied)\nrule: `{secret}` of {origin}\nto allow it: change `{secret}` at {origin}\n"
        )
    );
    for (operation, object, parts) in REFUSALS {
        let text = ask(operation, object);
        for part in parts {
            assert!(
                text.contains(part),
                "{operation} {object}: no {part:?}\n{text}"
            );
        }
    }
}

/// What a hint says makes the difference.
#[test]
fn what_would_change_it_changes_it() {
    let bed = Bed::new();
    let mut settings = files(&[], &["."], &[]);
    assert!(!allows(&bed, &settings, "write", ".vscode/x"));
    settings["filesystem"]["unprotect"] = json!([".vscode"]);
    assert!(allows(&bed, &settings, "write", ".vscode/x"));
    let outside = bed.outside().join("file").display().to_string();
    let ask = |options: &[&str], words: [&str; 2]| {
        let run = bed.srt().options(options.iter().copied()).args(["explain"]);
        run.args(words).run().succeeded()
    };
    assert!(!ask(&[], ["write", &outside]));
    assert!(ask(&["--allow-write", &outside], ["write", &outside]));
    assert!(!ask(&[], ["connect", "example.com:22"]));
    assert!(ask(
        &["--allow-domain", "example.com:22"],
        ["connect", "example.com:22"]
    ));
    assert!(!ask(
        &["--allow-domain", "example.com:22"],
        ["connect", "example.com"]
    ));
    assert!(!ask(&[], ["resolve", "example.com"]));
    assert!(ask(
        &["--allow-domain", "example.com:22"],
        ["resolve", "example.com"]
    ));
}

#[test]
fn verdicts_about_hosts_are_those_of_a_sandbox() {
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let listener = Listener::start();
    let port = listener.port();
    let listed = format!("127.0.0.1:{port}");
    let Ok(listener_v6) = Listener::on("::1") else {
        skip!("no IPv6 on this machine");
    };
    // It stands for both loopback addresses.
    let named = format!("[::1]:{}", listener_v6.port());
    let network = json!({
        "allowedDomains": [listed, "localhost", "allowed.srt.test"],
        "deniedDomains": ["denied.srt.test"],
    });
    let rules = json!({"denyRead": [], "allowWrite": ["."], "denyWrite": []});
    let settings = flat(&rules, &network);
    for (target, permitted) in [
        (listed, true),
        (format!("localhost:{port}"), true),
        (format!("0x7f.1:{port}"), true),
        (format!("127.0.0.2:{port}"), false),
        (named, true),
        (format!("[::2]:{port}"), false),
        ("denied.srt.test:80".to_owned(), false),
        ("other.srt.test:80".to_owned(), false),
    ] {
        let live = bed.srt().flat(&settings).py(&python, TUNNEL, &[&target]);
        let live = live.run().ok();
        assert_eq!(live.text() == "200\n", permitted, "{target}\n{live}");
        assert_eq!(
            allows(&bed, &settings, "connect", &target),
            permitted,
            "{target}"
        );
    }
    for (name, permitted) in [
        ("allowed.srt.test", true),
        ("localhost", true),
        ("denied.srt.test", false),
        ("other.srt.test", false),
        ("below.allowed.srt.test", false),
    ] {
        let live = bed
            .srt()
            .flat(&settings)
            .py(&python, RESOLVE, &[name])
            .run();
        assert_eq!(live.succeeded(), permitted, "{name}\n{live}");
        assert_eq!(
            allows(&bed, &settings, "resolve", name),
            permitted,
            "{name}"
        );
    }
}

#[test]
fn verdicts_about_unix_sockets_are_those_of_a_sandbox() {
    let python = python!("socket");
    let bed = Bed::new();
    // Short, for the address has room for 107 bytes only; and visible, as the working directory.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let path = directory.path().join("s");
    let _witness = UnixWitness::at(&path);
    let path = path.to_str().unwrap();
    let hidden = tempfile::tempdir_in("/tmp").unwrap();
    let other = hidden.path().join("s");
    let _other = UnixWitness::at(&other);
    let other = other.to_str().unwrap();
    let mut settings = files(&[], &["."], &[]);
    for (all, listed, path, permitted) in [
        (false, None, path, false),
        (false, Some(path), path, true),
        (false, Some(other), path, false),
        (false, Some(other), other, true),
        (true, None, path, true),
        (true, None, other, false),
    ] {
        settings["network"]["allowAllUnixSockets"] = json!(all);
        settings["network"]["allowUnixSockets"] = json!(Vec::from_iter(listed));
        let run = || bed.srt().flat(&settings).directory(directory.path());
        let live = run().py(&python, CONNECT_UNIX, &[path]).run();
        assert_eq!(live.succeeded(), permitted, "{path}\n{live}");
        let said = run().args(["explain", "socket", path]).run();
        assert_eq!(said.code(), Some(i32::from(!permitted)), "{said}");
    }
}

#[test]
fn programs_get_one_object() {
    let bed = Bed::new();
    let settings = files(&["secret"], &["."], &[]);
    let ask = |words: &[&str]| {
        let run = bed.srt().flat(&settings).args(["explain"]);
        let output = run.args(words.iter().copied()).run();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.code(), value)
    };
    let (code, said) = ask(&["read", "secret", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    for (key, value) in [
        ("verdict", json!("deny")),
        ("operation", json!("read")),
        ("object", json!(bed.work().join("secret"))),
        ("reason", json!("read_denied")),
        ("rule", json!(bed.work().join("secret"))),
        ("note", Value::Null),
    ] {
        assert_eq!(said[key], value, "{said}");
    }
    assert_eq!(said["origin"]["line"], json!(1), "{said}");
    assert!(said["origin"]["column"].is_u64(), "{said}");
    let file = said["origin"]["file"].as_str().unwrap();
    assert!(file.ends_with("settings.json"), "{said}");
    assert!(
        said["hint"].as_str().unwrap().starts_with("change `"),
        "{said}"
    );
    let (code, said) = ask(&["--json", "write", ".bashrc"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said["origin"].as_str().unwrap().starts_with("built in"),
        "{said}"
    );
    let (code, said) = ask(&["write", "--json", "fine"]);
    assert_eq!((code, &said["verdict"]), (Some(0), &json!("allow")));
    assert_eq!(said["hint"], Value::Null);
}

#[test]
fn wrong_words_and_wrong_settings_are_no_verdicts() {
    let bed = Bed::new();
    for words in [
        &["explain"][..],
        &["explain", "read"],
        &["explain", "eat", "x"],
        &["explain", "read", ""],
        &["explain", "connect", "example.com:0"],
        &["explain", "connect", "example.com:http"],
        &["explain", "read", "x", "--settings", "y"],
    ] {
        let output = bed.srt().args(words.iter().copied()).run().exits(2);
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{output}"
        );
    }
    let wrong = bed.srt().settings_text("{\"filesystem\": 1}");
    let output = wrong.args(["explain", "read", "x"]).run().exits(125);
    assert!(
        output.stdout.is_empty() && !output.stderr.is_empty(),
        "{output}"
    );
}

#[test]
fn what_an_untrusted_project_asks_for_is_told() {
    let bed = Bed::new();
    let outside = bed.outside().display().to_string();
    let settings = json!({"permissions": {"allow": [format!("Edit({outside})")]}});
    bed.file("work/.claude/settings.json", settings.to_string());
    let file = bed.outside().join("file").display().to_string();
    let run = |options: &[&str], object: &str| {
        let run = bed.srt().options(options.iter().copied());
        run.args(["explain", "write", object]).run()
    };
    let held_back = run(&[], &file).exits(1);
    assert!(
        held_back.text().contains("would turn this into `allow`"),
        "{held_back}"
    );
    assert!(held_back.text().contains("srt trust"), "{held_back}");
    let unrelated = run(&[], "/etc/x").exits(1);
    assert!(!unrelated.text().contains("srt trust"), "{unrelated}");
    run(&["--trust-project"], &file).exits(0);
}

#[test]
fn without_a_sandbox_nothing_is_refused() {
    let bed = Bed::new();
    bed.file(
        "home/.claude/settings.json",
        "{\"sandbox\": {\"enabled\": false}}",
    );
    let output = bed
        .srt()
        .args(["explain", "write", "/etc/x"])
        .run()
        .exits(0);
    assert!(
        output.text().starts_with("allow write /etc/x\n"),
        "{output}"
    );
    assert!(
        output.text().contains("(no_sandbox)\nrule: `enabled` of "),
        "{output}"
    );
}

/// A tree with links, and settings about it, from numbers.
struct Ground {
    directories: Vec<PathBuf>,
    names: Vec<PathBuf>,
}

impl Ground {
    fn new(bed: &Bed, random: &mut Random) -> Self {
        let root = bed.root().canonicalize().unwrap();
        let below = [
            "work",
            "work/a",
            "work/a/b",
            "work/c",
            "outside",
            "outside/d",
            "home",
        ];
        let directories: Vec<PathBuf> = below.iter().map(|name| root.join(name)).collect();
        for directory in &directories {
            std::fs::create_dir_all(directory).unwrap();
        }
        let mut names = Vec::new();
        for directory in &directories {
            for name in ["f", "x.pem", ".bashrc", "data.lock", "new"] {
                let path = directory.join(name);
                if !random.once_in(4) && name != "new" {
                    std::fs::write(&path, "text").unwrap();
                }
                names.push(path);
            }
        }
        for number in 0..12 {
            let link = random.pick(&directories).join(format!("L-{number}"));
            let target = match random.below(3) {
                0 => random.pick(&directories).clone(),
                _ => random.pick(&names).clone(),
            };
            symlink(&target, &link).unwrap();
            names.push(link.clone());
            if target.metadata().is_ok_and(|found| found.is_dir()) {
                names.push(link.join("f"));
                names.push(link.join("../f"));
            }
        }
        Self { directories, names }
    }

    fn settings(&self, random: &mut Random) -> Value {
        let some = |most: usize, random: &mut Random| -> Vec<String> {
            let rule = |random: &mut Random| match random.below(4) {
                0 => (*random.pick(&["**/x.pem", "*.lock", "**/b/**", "**/.bashrc"])).to_owned(),
                1 => random.pick(&self.directories).display().to_string(),
                _ => random.pick(&self.names).display().to_string(),
            };
            (0..random.below(most + 1)).map(|_| rule(random)).collect()
        };
        let roots = [
            ".",
            "a",
            "c",
            "../outside",
            "../outside/d",
            "~",
            "not/there",
        ];
        let allow_write: Vec<&str> = (0..=random.below(3))
            .map(|_| *random.pick(&roots))
            .collect();
        let (deny_read, deny_write) = (some(3, random), some(3, random));
        let literal = |rule: &String| !rule.contains('*');
        let allow_read: Vec<String> = some(2, random).into_iter().filter(literal).collect();
        let rules = json!({
            "denyRead": deny_read,
            "allowRead": allow_read,
            "allowWrite": allow_write,
            "denyWrite": deny_write,
        });
        flat(&rules, &no_hosts())
    }
}

#[test]
fn random_questions_get_the_live_verdict() {
    let mut random = Random::new();
    let (mut allowed, mut denied, mut refused) = (0, 0, 0);
    while allowed + denied < 1000 {
        let bed = Bed::new();
        let ground = Ground::new(&bed, &mut random);
        let settings = ground.settings(&mut random);
        let mut questions = Vec::new();
        for _ in 0..40 {
            let path = random.pick(&ground.names);
            let found = path.metadata();
            if found.as_ref().is_ok_and(|found| found.is_dir()) {
                continue;
            }
            // A loop of links, and what is not there, can't be read by anybody.
            let operation = match (random.below(2), found) {
                (0, Ok(_)) => "read",
                (0, Err(_)) => continue,
                _ => "write",
            };
            // Nothing can be made in a directory that is not there.
            let way = path.parent().unwrap().metadata();
            if way.is_ok() {
                questions.push((operation, path.to_str().unwrap()));
            }
        }
        let first = bed.srt().flat(&settings).args(["true"]).run();
        if first.code() == Some(125) {
            refused += 1;
            let words = ["explain", "read", "f"];
            bed.srt().flat(&settings).args(words).run().exits(125);
            continue;
        }
        let said: Vec<bool> = questions
            .iter()
            .map(|(operation, path)| allows(&bed, &settings, operation, path))
            .collect();
        let lines = questions
            .iter()
            .map(|(operation, path)| format!("{operation} {path}\n"));
        let live = bed.srt().flat(&settings).sh(OPEN_EACH);
        let live = live.stdin(lines.collect::<String>()).run().ok();
        let text = live.text();
        assert_eq!(text.lines().count(), questions.len(), "{live}");
        for (((operation, path), said), live) in questions.iter().zip(said).zip(text.lines()) {
            assert_eq!(said, live == "allow", "{operation} {path}\n{settings}");
            *(if said { &mut allowed } else { &mut denied }) += 1;
        }
    }
    say(&format!(
        "{allowed} allowed, {denied} denied, {refused} settings refused"
    ));
    assert!(allowed > 200 && denied > 200, "{allowed}, {denied}");
}

/// What does not exist has no mount that could close it. Explain says so, and what a running command reads bears it out.
#[test]
fn a_closed_path_that_is_not_there_yet_is_remarked_on() {
    let bed = Bed::new();
    bed.file("work/there/x", "kept");
    let hint = "`strictReads`";
    let denied = ["abs", "ad/f", "there", "../outside/abs"];
    let open = files(&denied, &["."], &[]);
    let mut strict = open.clone();
    strict["filesystem"]["strictReads"] = json!(true);
    let by_pattern = files(&["abs", "**/*.pem"], &["."], &[]);
    for object in ["abs", "ad/f", "../outside/abs"] {
        let said = explain(&bed, &open, "read", object);
        assert!(!said.succeeded() && said.text().contains(hint), "{said}");
        let said = explain(&bed, &strict, "read", object);
        assert!(!said.succeeded() && !said.text().contains(hint), "{said}");
    }
    for (settings, object) in [
        (&open, "there"),
        (&open, "there/y"),
        (&by_pattern, "abs"),
        (&open, "other"),
    ] {
        let said = explain(&bed, settings, "read", object);
        assert!(!said.text().contains(hint), "{said}");
    }
    for (settings, is_read) in [(&open, true), (&strict, false)] {
        let line = "echo ready > ready; while ! test -e go; do sleep 0.01; done; cat abs; true";
        let running = bed.srt().flat(settings).sh(line).spawn();
        let ready = || bed.work().join("ready").symlink_metadata().is_ok();
        assert!(sandbox_tests::wait_until(
            sandbox_tests::timeout(20.0),
            ready
        ));
        bed.file("work/abs", "secret");
        bed.file("work/go", "");
        let output = running.finish(sandbox_tests::timeout(20.0)).ok();
        assert_eq!(output.text().contains("secret"), is_read, "{output}");
        for name in ["ready", "abs", "go"] {
            std::fs::remove_file(bed.work().join(name)).unwrap();
        }
    }
}
