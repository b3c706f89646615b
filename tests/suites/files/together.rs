//! Several sandboxes over one working directory.

use sandbox_tests::{Bed, is_root, need, timeout};
use serde_json::Value;

use crate::rules;

fn settings() -> Value {
    rules(&[], &[], &["."], &[])
}

/// Makes one piece of many git directories, in step with the other sandbox.
const PIECES: &str = r#"
import os, sys, time
piece, other, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
open('ready-' + piece, 'w').close()
while not os.path.exists('ready-' + other): pass
made = 0
for number in range(count):
    # Whoever is behind catches up, so that both are at the same directory most of the time.
    while number > 3 and not os.path.exists('d%d/seen-%s' % (number - 3, other)): pass
    try:
        os.mkdir('d%d/%s' % (number, piece)); made += 1
    except PermissionError: pass
    open('d%d/seen-%s' % (number, piece), 'w').close()
print(made)
"#;

/// A directory with a hook in it, which nobody has looked at, must not become a git directory by two
/// pieces from two sandboxes.
#[test]
fn two_sandboxes_do_not_put_a_repository_together() {
    let python = need!("python3");
    let bed = Bed::new();
    let count = 1500;
    for number in 0..count {
        bed.file(format!("work/d{number}/hooks/pre-commit"), "#!/bin/sh\n");
    }
    let count = count.to_string();
    let start = |piece: &str, other: &str| {
        let words = [piece, other, &count].map(std::ffi::OsString::from);
        let mut arguments = vec![python.clone().into_os_string(), "-c".into(), PIECES.into()];
        arguments.extend(words);
        bed.srt().flat(&settings()).args(arguments).spawn()
    };
    let both = [start("objects", "refs"), start("refs", "objects")];
    let made = both.map(|running| {
        let output = running.finish(timeout(120.0)).ok();
        output.text().trim().parse::<usize>().unwrap()
    });
    let has = |number: usize, piece: &str| {
        let path = bed.work().join(format!("d{number}/{piece}"));
        path.symlink_metadata().is_ok()
    };
    let count: usize = count.parse().unwrap();
    let whole: Vec<_> = (0..count)
        .filter(|number| has(*number, "objects") && has(*number, "refs"))
        .collect();
    assert!(whole.is_empty(), "{} of {count}: {whole:?}", whole.len());
    // Each got one of the two made, whoever came first: nothing was refused for another reason.
    assert_eq!(made.iter().sum::<usize>(), count, "{made:?}");
}

/// Runs the rest of its words, and holds the turn meanwhile if the first is `hold`.
const HOLDER: &str = r#"
import os, socket, sys
if sys.argv[1] != 'free':
    held = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    held.bind('\0srt/git/%d' % os.geteuid())
    if sys.argv[1] == 'hold':
        held.listen(1024)
    held.set_inheritable(True)
os.execvp(sys.argv[2], sys.argv[2:])
"#;

/// While another has the turn, pieces are refused; other names are not, and without it all is well. In a
/// network namespace of its own, as the turn is that of all sandboxes of a user.
#[test]
fn nobody_makes_a_piece_out_of_turn() {
    let python = need!("python3");
    let unshare = need!("unshare");
    let own = if is_root() { "-n" } else { "-rn" };
    for (held, expected) in [
        ("hold", "err\nother\n"),
        ("hold-silently", "err\nother\n"),
        ("free", "err\nobjects\nother\nrefs\n"),
    ] {
        let bed = Bed::new();
        let launcher = [
            unshare.to_str().unwrap(),
            own,
            python.to_str().unwrap(),
            "-c",
            HOLDER,
            held,
        ];
        let line = "mkdir other; mkdir objects refs 2>err; ls";
        let srt = bed.srt().flat(&settings()).sh(line);
        let output = srt.under(launcher).run();
        assert_eq!(output.text(), expected, "{held}");
        // Nobody waits for what is no sandbox of the user's.
        let is_waited_for = output.elapsed > timeout(1.5);
        assert_eq!(is_waited_for, held == "hold", "{held}: {output}");
        let made = bed.work().join("refs").symlink_metadata().is_ok();
        assert_eq!(made, held == "free");
    }
}

/// Makes many git directories, or symlinks in them, in step with the other sandbox.
const LINKS: &str = r#"
import os, sys
role, other, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
open('ready-' + role, 'w').close()
while not os.path.exists('ready-' + other): pass
made = 0
for number in range(count):
    while number > 3 and not os.path.exists('d%d/seen-%s' % (number - 3, other)): pass
    try:
        if role == 'git': os.mkdir('d%d/refs' % number)
        else: os.symlink('../target', 'd%d/link' % number)
        made += 1
    except PermissionError: pass
    open('d%d/seen-%s' % (number, role), 'w').close()
print(made)
"#;

/// git writes through a symlink in its directory.
#[test]
fn no_symlink_is_made_where_another_sandbox_makes_a_repository() {
    let python = need!("python3");
    let bed = Bed::new();
    let count = 1500;
    for number in 0..count {
        std::fs::create_dir_all(bed.work().join(format!("d{number}/objects"))).unwrap();
    }
    let start = |role: &str, other: &str| {
        let words = [role, other, &count.to_string()].map(std::ffi::OsString::from);
        let mut arguments = vec![python.clone().into_os_string(), "-c".into(), LINKS.into()];
        arguments.extend(words);
        bed.srt().flat(&settings()).args(arguments).spawn()
    };
    let both = [start("git", "link"), start("link", "git")];
    let made = both.map(|running| {
        let output = running.finish(timeout(120.0)).ok();
        output.text().trim().parse::<usize>().unwrap()
    });
    let has = |number: usize, name: &str| {
        let path = bed.work().join(format!("d{number}/{name}"));
        path.symlink_metadata().is_ok()
    };
    let both: Vec<_> = (0..count)
        .filter(|number| has(*number, "refs") && has(*number, "link"))
        .collect();
    assert!(both.is_empty(), "{} of {count}: {both:?}", both.len());
    assert_eq!(made.iter().sum::<usize>(), count, "{made:?}");
}

/// A sandbox that stops with its command does not keep the others waiting until somebody continues it.
#[test]
fn nobody_waits_for_a_sandbox_that_has_stopped() {
    let python = need!("python3");
    let bed = Bed::new();
    // Something makes links all the time when the command stops.
    let line = format!(
        "{} -c \"\nimport os\nwhile True:\n os.symlink('x', 'a'); os.unlink('a')\" & sleep 0.2; kill -STOP $$",
        python.display()
    );
    for _ in 0..15 {
        let mut stopped = bed.srt().flat(&settings()).sh(&line).spawn();
        let status = format!("/proc/{}/stat", stopped.pid());
        let has_stopped = || {
            let status = std::fs::read_to_string(&status).unwrap();
            status.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        assert!(sandbox_tests::wait_until(timeout(20.0), has_stopped));
        let other = bed.srt().flat(&settings()).sh("rm -f l; ln -s x l").run();
        stopped.kill();
        stopped.finish(timeout(20.0));
        assert!(other.succeeded(), "{other}");
        std::fs::remove_file(bed.work().join("a")).ok();
    }
}
