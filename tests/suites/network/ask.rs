//! `--ask`: questions on a terminal about hosts that no rule names.

use sandbox_tests::{Bed, Origin, Terminal, need, need_names, python};
use serde_json::{Value, json};

use crate::{NAME, OTHER, named, settings};

/// The names lead to loopback, so its address has to be listed; the names are not.
fn open_to(port: u16) -> Value {
    settings(&[&format!("127.0.0.1:{port}")], &[])
}

/// A shell line that defines `get LABEL NAME`, which prints `LABEL=status`.
fn line(port: u16, rest: &str) -> String {
    format!(
        "get() {{ curl -s -o /dev/null -w \"$1=%{{http_code}}\\n\" http://$2:{port}/; }}; {rest}"
    )
}

fn question(name: &str, port: u16) -> String {
    format!("wants to reach `{name}:{port}`")
}

fn count(transcript: &str, part: &str) -> usize {
    transcript.matches(part).count()
}

#[test]
fn each_answer_means_what_it_says() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let ask = question(NAME, port);
    let run = |rest: &str| {
        let srt = named(&bed, &open_to(port)).options(["--ask"]);
        Terminal::of(&bed, &srt.sh(&line(port, rest)))
    };
    let twice = format!("get one {NAME}; get two {NAME}; get three {NAME}");
    // Once is once; never is for good.
    let session = run(&twice)
        .expect(&ask)
        .send("o {code}\n")
        .expect("one=200")
        .expect(&ask)
        .send("never\n")
        .expect("two=403")
        .expect("three=403")
        .end()
        .play(&python)
        .played();
    assert_eq!(count(&session.transcript, &ask), 2, "{session:?}");
    assert_eq!(origin.accepted(), 1);
    let session = run(&twice)
        .expect(&ask)
        .send("r {code}\n")
        .expect("three=200")
        .end()
        .play(&python)
        .played();
    assert_eq!(count(&session.transcript, &ask), 1, "{session:?}");
    assert!(session.modes_kept, "{session:?}");
    // Nothing, and what is no answer, is a no, for this time.
    let session = run(&twice)
        .expect(&ask)
        .send("\n")
        .expect("one=403")
        .expect(&ask)
        .send("sure\n")
        .expect(&ask)
        .send("of course\n")
        .expect(&ask)
        .send("go on\n")
        .expect("two=403")
        .expect(&ask)
        .send("\u{4}")
        .expect("three=403")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(0), "{session:?}");
    assert_eq!(origin.accepted(), 4);
}

#[test]
fn always_is_written_to_the_users_file_and_nothing_else_is_changed() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let text = format!(
        "{{\n   \"network\": {{\n      \"allowedDomains\": [\n         \"127.0.0.1:{port}\"\n      ],\n      \"deniedDomains\" : [\"{OTHER}\"  ] }},\n\n   \"filesystem\": {{\"denyRead\": [], \"allowWrite\": [\".\"],   \"denyWrite\": []}}\n}}\n\n"
    );
    let settings = bed.file("home/.srt-settings.json", &text);
    let rest = line(
        port,
        &format!("get one {NAME}; get two {NAME}; get other {OTHER}"),
    );
    let srt = || {
        bed.srt()
            .hosts(&[(NAME, "127.0.0.1"), (OTHER, "127.0.0.1")])
    };
    let session = Terminal::of(&bed, &srt().options(["--ask"]).sh(&rest))
        .expect(&question(NAME, port))
        .send("a {code}\n")
        .expect("is allowed in")
        .expect("two=200")
        .expect("other=403")
        .end()
        .play(&python)
        .played();
    assert_eq!(
        count(&session.transcript, "wants to reach"),
        1,
        "{session:?}"
    );
    let added = format!("\"127.0.0.1:{port}\",\n         \"{NAME}:{port}\"\n");
    let expected = text.replace(&format!("\"127.0.0.1:{port}\"\n"), &added);
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), expected);
    // The next run needs no answer, and no terminal.
    let output = srt().sh(&rest).run();
    assert!(output.text().contains("one=200"), "{output}");
    // The command itself can't give such answers.
    let output = srt().sh("echo '{}' > ~/.srt-settings.json").run().refused();
    assert_eq!(
        std::fs::read_to_string(&settings).unwrap(),
        expected,
        "{output}"
    );
}

#[test]
fn silence_and_what_was_typed_before_are_no_answers() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let rest = line(port, &format!("echo up; sleep 1; get one {NAME}; sleep 1"));
    let srt = named(&bed, &open_to(port)).options(["--ask=2"]).sh(&rest);
    let session = Terminal::of(&bed, &srt)
        .expect("up")
        .send("r\nr\na\n")
        .expect(&question(NAME, port))
        .expect("one=403")
        .end()
        .play(&python)
        .played();
    assert!(session.modes_kept, "{session:?}");
    // The command may hear of it before the user does.
    assert!(session.transcript.contains("srt: no answer"), "{session:?}");
    assert_eq!(origin.accepted(), 0);
    // The control: in time.
    let srt = named(&bed, &open_to(port)).options(["--ask=10"]).sh(&rest);
    Terminal::of(&bed, &srt)
        .expect(&question(NAME, port))
        .send("r {code}\n")
        .expect("one=200")
        .end()
        .play(&python)
        .played();
}

#[test]
fn a_yes_without_the_code_of_its_question_is_no_answer() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let ask = question(NAME, port);
    let run = |rest: &str| {
        let srt = named(&bed, &open_to(port)).options(["--ask"]);
        Terminal::of(&bed, &srt.sh(&line(port, rest)))
    };
    let session = run(&format!("get one {NAME}; get two {NAME}"))
        .expect(&ask)
        .send("a\n")
        .expect(&ask)
        .send("r 1{code}\n")
        .expect(&ask)
        .send("once\n")
        .expect("one=403")
        // A new question has a new code.
        .expect(&ask)
        .send("once{code}\n")
        .expect("two=200")
        .end()
        .play(&python)
        .played();
    assert_eq!(count(&session.transcript, &ask), 4, "{session:?}");
    let codes: std::collections::HashSet<_> = session
        .transcript
        .split("`o ")
        .skip(1)
        .map(|rest| rest.split('`').next())
        .collect();
    // Four of a thousand: that they are all alike is one chance in a billion.
    assert!(codes.len() > 1, "{session:?}");
    assert_eq!(origin.accepted(), 1);
    // A program that guesses is asked about no more.
    let often = "for i in 1 2 3 4 5; do get try$i NAME; done".replace("NAME", NAME);
    let session = (0..10)
        .fold(run(&often), |session, _| session.expect(&ask).send("a\n"))
        .expect("nothing is asked any more")
        .expect("try5=403")
        .end()
        .play(&python)
        .played();
    assert_eq!(count(&session.transcript, &ask), 10, "{session:?}");
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_question_under_which_the_modes_change_refuses() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let run = |change: &str| {
        let rest = format!("get one {NAME} & sleep 1; {change}; echo now; wait");
        let srt = named(&bed, &open_to(port)).options(["--ask"]);
        Terminal::of(&bed, &srt.sh(&line(port, &rest)))
            .expect(&question(NAME, port))
            .expect("now")
            .pause(0.5)
            .send("a {code}\n")
    };
    // What the modes do to a line, and what one character does.
    for change in ["stty -echo", "stty kill n", "stty stop n"] {
        let session = run(change).expect("one=403").end().play(&python).played();
        assert!(
            session.transcript.contains("changed the terminal's modes"),
            "{change}: {session:?}"
        );
        assert_eq!(origin.accepted(), 0, "{change}");
    }
    // The control: what leaves them alone.
    run("stty size")
        .expect("one=200")
        .end()
        .play(&python)
        .played();
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn questions_come_one_by_one_and_only_about_what_no_rule_decides() {
    let python = python!("termios");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let rest = line(
        port,
        &format!("get one {NAME} & sleep 0.5; get two {OTHER} & get again {NAME} & wait"),
    );
    let srt = named(&bed, &open_to(port)).options(["--ask"]).sh(&rest);
    let session = Terminal::of(&bed, &srt)
        .expect(&question(NAME, port))
        .pause(1.5)
        .send("o {code}\n")
        .expect(&question(OTHER, port))
        .send("n\n")
        .expect("two=403")
        .end()
        .play(&python)
        .played();
    assert_eq!(
        count(&session.transcript, "wants to reach"),
        2,
        "{session:?}"
    );
    let (before, _) = session
        .transcript
        .split_once(&question(OTHER, port))
        .unwrap();
    assert!(before.contains("is allowed once"), "{session:?}");
    assert!(session.transcript.contains("again=200"), "{session:?}");
    // Denied hosts, strict lists, and names that are none.
    let mut strict = open_to(port);
    strict["network"]["strictAllowlist"] = json!(true);
    let denied = settings(&[], &[NAME]);
    for rules in [strict, denied] {
        let srt = named(&bed, &rules).options(["--ask"]);
        let session = Terminal::of(&bed, &srt.sh(&line(port, &format!("get one {NAME}"))))
            .expect("one=403")
            .end()
            .play(&python)
            .played();
        assert_eq!(
            count(&session.transcript, "wants to reach"),
            0,
            "{session:?}"
        );
    }
    let program = r"
import socket
for name in (b'a\x1b[31mb.test', b'a\x9b1mb.test', b'a\r\nsrt: allowed.test', 'a\u202eb.test'.encode()):
    s = socket.create_connection(('127.0.0.1', 1080))
    s.sendall(b'\x05\x01\x00'); s.recv(2)
    s.sendall(b'\x05\x01\x00\x03' + bytes([len(name)]) + name + b'\x00\x50')
    print('code', s.recv(10)[1])
";
    let srt = named(&bed, &open_to(port))
        .options(["--ask"])
        .py(&python, program, &[]);
    let session = Terminal::of(&bed, &srt)
        .expect("code 2")
        .expect("code 2")
        .expect("code 2")
        .expect("code 2")
        .end()
        .play(&python)
        .played();
    assert_eq!(
        count(&session.transcript, "wants to reach"),
        0,
        "{session:?}"
    );
    assert!(
        !session
            .transcript
            .contains(['\u{1b}', '\u{9b}', '\u{202e}']),
        "{session:?}"
    );
}

#[test]
fn the_terminal_is_the_commands_again_afterwards() {
    let python = python!("termios");
    let bash = need!("bash");
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    // A program that has set modes of its own, with another end of a line.
    let rest = line(
        port,
        &format!(
            "stty raw -echo eol r; get one {NAME}; stty -a | grep -o -e '-icanon' -e '-echo ' -e '-opost' | tr '\\n' ' '; stty sane; echo; read x; echo got:$x"
        ),
    );
    let srt = named(&bed, &open_to(port)).options(["--ask"]).sh(&rest);
    Terminal::of(&bed, &srt)
        .expect(&question(NAME, port))
        .send("r {code}\n")
        .expect("one=200")
        .expect("-opost")
        .expect("-icanon")
        .send("word\n")
        .expect("got:word")
        .end()
        .play(&python)
        .played();
    // A shell inside that gives the terminal to its jobs.
    let words = [bash.to_str().unwrap(), "--norc", "--noprofile", "-i"];
    let srt = named(&bed, &open_to(port)).options(["--ask"]).args(words);
    let session = Terminal::of(&bed, &srt)
        .expect("ready>")
        .send(&format!(
            "curl -s -o /dev/null -w 'one=%{{http_code}}\\n' http://{NAME}:{port}/\n"
        ))
        .expect(&question(NAME, port))
        .send("r {code}\n")
        .expect("one=200")
        .expect("ready>")
        .send("read x; echo got:$x\n")
        .send("word\n")
        .expect("got:word")
        .send("exit 5\n")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(5), "{session:?}");
    assert!(!session.transcript.contains("Stopped"), "{session:?}");
    assert!(session.modes_kept, "{session:?}");
}

#[test]
fn without_a_terminal_nothing_runs() {
    let bed = Bed::new();
    let setsid = need!("setsid");
    let run = bed
        .srt()
        .flat(&settings(&[], &[]))
        .under([setsid.to_str().unwrap(), "-w"]);
    let output = run.options(["--ask"]).args(["touch", "ran"]).run();
    assert_eq!(output.code(), Some(125), "{output}");
    assert!(
        output.errors().contains("--ask needs a terminal"),
        "{output}"
    );
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    for wrong in ["--ask=0", "--ask=x", "--ask=3601"] {
        let run = bed.srt().flat(&settings(&[], &[])).options([wrong]);
        assert_eq!(run.args(["true"]).run().code(), Some(2), "{wrong}");
    }
}
