//! Terminals: what the program sees, job control, and the state they are left in.

use sandbox_tests::{Bed, Srt, Terminal, carriers, need, python, timeout, wait_until};

#[test]
fn the_program_has_the_terminal() {
    let python = python!("termios");
    let bed = Bed::new();
    let line = "test -t 0 && test -t 1 && test -t 2 && stty size && echo typed > /dev/tty && read x < /dev/tty && echo \"got $x\"";
    let session = Terminal::of(&bed, &bed.srt().sh(line))
        .expect("24 80")
        .expect("typed")
        .send("answer\n")
        .expect("got answer")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(0), "{session:?}");
    assert!(session.modes_kept, "{session:?}");
}

#[test]
fn a_change_of_size_arrives() {
    let python = python!("termios");
    let bed = Bed::new();
    let line = "trap 'stty size; exit 0' WINCH; echo waiting; while :; do sleep 0.05; done";
    let session = Terminal::of(&bed, &bed.srt().sh(line))
        .expect("waiting")
        .resize(40, 132)
        .expect("40 132")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(0), "{session:?}");
}

#[test]
fn control_c_interrupts_the_program() {
    let python = python!("termios");
    let bed = Bed::new();
    let session = Terminal::of(&bed, &bed.srt().sh("echo up; exec sleep 100"))
        .expect("up")
        .send("\u{3}")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(-2), "{session:?}");
    assert!(session.modes_kept, "{session:?}");
    // A program that handles it goes on: the tool must not die in its place.
    let line = "trap 'echo caught' INT; echo up; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; exit 6";
    let session = Terminal::of(&bed, &bed.srt().sh(line))
        .expect("up")
        .send("\u{3}")
        .expect("caught")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(6), "{session:?}");
    assert_eq!(
        session.transcript.matches("caught").count(),
        1,
        "{session:?}"
    );
}

/// A script for bash in which `srt` stands for the tool with what is given to it.
#[expect(clippy::unwrap_used, reason = "words of the beds are text")]
fn script(srt: &Srt<'_>, text: &str) -> String {
    let words = srt.argv();
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''")))
        .collect();
    text.replace("srt", &quoted.join(" "))
}

#[test]
fn an_interrupted_loop_of_a_shell_ends() {
    let python = python!("termios");
    let bash = need!("bash");
    let bed = Bed::new();
    let line = "for i in 1 2 3; do echo go $i; srt; done; echo 'the 'end";
    let run = |inside: &str, key: &str| {
        let line = script(&bed.srt().sh(inside), line);
        Terminal::new(&bed, [bash.to_str().unwrap(), "-c", &line])
            .expect("up")
            // A shell can lose what comes while it starts a program.
            .pause(0.3)
            .send(key)
            .end()
            .play(&python)
            .played()
    };
    let session = run("echo up; exec sleep 60", "\u{3}");
    assert_eq!(session.code, Some(-2), "{session:?}");
    assert!(!session.transcript.contains("go 2"), "{session:?}");
    assert!(session.modes_kept, "{session:?}");
    // A shell inside that waits for the program ends with it.
    let session = run("echo up; sleep 60; echo not 'here'", "\u{3}");
    assert_eq!(session.code, Some(-2), "{session:?}");
    assert!(!session.transcript.contains("not here"), "{session:?}");
    // A program that deals with it is no reason to stop.
    let session = run(
        "test -e once && exit 0; touch once; trap 'exit 0' INT; echo up; while :; do sleep 0.05; done",
        "\u{3}",
    );
    assert_eq!(session.code, Some(0), "{session:?}");
    assert!(session.transcript.contains("the end"), "{session:?}");
}

#[test]
fn a_signal_of_the_keyboard_ends_the_tool_as_it_ended_the_program() {
    let python = python!("termios");
    let bed = Bed::new();
    for (key, signal) in [("\u{3}", 2), ("\u{1c}", 3)] {
        let session = Terminal::of(&bed, &bed.srt().sh("stty -echo; echo up; exec sleep 60"))
            .expect("up")
            .send(key)
            .end()
            .play(&python)
            .played();
        assert_eq!(session.code, Some(-signal), "{session:?}");
        assert!(session.modes_kept, "{session:?}");
        // By its own hand it dies alone.
        let line = format!("ulimit -c 0; kill -{signal} $$");
        let session = Terminal::of(&bed, &bed.srt().sh(&line))
            .end()
            .play(&python)
            .played();
        assert_eq!(session.code, Some(128 + signal), "{session:?}");
    }
}

#[test]
fn the_outer_shell_can_stop_and_continue_it() {
    let python = python!("termios");
    let bash = need!("bash");
    let bed = Bed::new();
    let words = bed
        .srt()
        .args(["sh", "-c", "echo up; read x; echo got:$x"])
        .argv();
    let command: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    Terminal::new(
        &bed,
        [bash.to_str().unwrap(), "--norc", "--noprofile", "-i"],
    )
    .expect("ready>")
    .send(&format!("{}\n", command.join(" ")))
    .expect("up\r")
    .send("\u{1a}")
    .expect("Stopped")
    .send("fg\n")
    .pause(0.3)
    .send("word\n")
    .expect("got:word")
    .send("exit\n")
    .end()
    .play(&python)
    .played();
}

#[test]
fn an_inner_shell_has_job_control() {
    let python = python!("termios");
    let bash = need!("bash");
    let bed = Bed::new();
    let srt = bed
        .srt()
        .args([bash.to_str().unwrap(), "--norc", "--noprofile", "-i"]);
    let session = Terminal::of(&bed, &srt)
        .expect("ready>")
        .send("sleep 100\n")
        .pause(0.3)
        .send("\u{1a}")
        .expect("Stopped")
        .send("jobs\n")
        .expect("sleep 100")
        .send("fg\n")
        .expect("sleep 100")
        .pause(0.3)
        .send("\u{3}")
        .expect("ready>")
        .send("exit 5\n")
        .end()
        .play(&python)
        .played();
    assert_eq!(session.code, Some(5), "{session:?}");
    assert!(
        !session.transcript.contains("no job control"),
        "{session:?}"
    );
    assert!(session.modes_kept, "{session:?}");
}

#[test]
fn the_terminal_survives_a_kill_of_the_tool() {
    let python = python!("termios");
    let bed = Bed::new();
    for name in ["KILL", "TERM", "HUP"] {
        let session = Terminal::of(&bed, &bed.srt().sh("echo up; sleep 100 & sleep 100"))
            .expect("up")
            .signal(name)
            .end()
            .play(&python)
            .played();
        assert!(session.modes_kept, "SIG{name}: {session:?}");
        let gone = wait_until(timeout(5.0), || carriers(bed.marker()).is_empty());
        assert!(gone, "SIG{name}: {:#?}", carriers(bed.marker()));
    }
}

#[test]
fn a_hang_up_of_the_terminal_ends_the_tree() {
    let python = python!("termios");
    let bed = Bed::new();
    // The driver ends without waiting, which closes the terminal under the running command.
    Terminal::of(&bed, &bed.srt().sh("echo up; sleep 100"))
        .expect("up")
        .play(&python)
        .played();
    let gone = wait_until(timeout(5.0), || carriers(bed.marker()).is_empty());
    assert!(gone, "{:#?}", carriers(bed.marker()));
}
