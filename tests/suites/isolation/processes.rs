//! What the command sees of other processes, and what it inherits.

use std::path::Path;

use sandbox_tests::{
    Bed, Running, host, inapplicable, is_root, need, python, signal, timeout, wait_until,
};
use serde_json::json;

#[test]
fn every_namespace_is_its_own() {
    let bed = Bed::new();
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let link = format!("/proc/self/ns/{kind}");
        let outside = std::fs::read_link(&link).unwrap();
        let inside = bed.srt().args(["readlink", &link]).run().ok().text();
        assert_ne!(inside.trim(), outside.to_str().unwrap(), "{kind}");
        let again = bed
            .srt()
            .args(["readlink", &link])
            .under(["sh", "-c", "sleep 0; exec \"$@\"", "sh"])
            .run()
            .ok()
            .text();
        assert!(again.starts_with(kind), "{again}");
    }
}

#[test]
fn proc_shows_only_our_own() {
    let bed = Bed::new();
    let output = bed
        .srt()
        .sh("for p in /proc/[0-9]*; do echo ${p#/proc/}; done")
        .run()
        .ok();
    let pids: Vec<u32> = output
        .text()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!((1..=4).contains(&pids.len()), "{pids:?}");
    assert!(pids.iter().all(|pid| *pid < 20), "{pids:?}");
    let own = std::process::id();
    bed.srt()
        .args(["ls", &format!("/proc/{own}")])
        .run()
        .refused();
    bed.srt().sh("test -d /proc/self/task && test -r /proc/self/maps && test -r /proc/cpuinfo && test -r /proc/meminfo").run().ok();
}

#[test]
fn a_process_outside_cannot_be_signalled() {
    let bed = Bed::new();
    let mut victim = bed_victim(&bed);
    let pid = victim.pid();
    bed.srt().sh(&format!("kill -9 {pid}")).run().refused();
    assert!(!victim.ended(), "it was killed from inside");
    signal(pid, "KILL");
    assert!(wait_until(timeout(5.0), || victim.ended()));
}

fn bed_victim(bed: &Bed) -> Running {
    // A process of the host: the launcher stands in front and never gets to the tool.
    bed.srt()
        .under(["sh", "-c", "exec sleep 60", "sh"])
        .args(["true"])
        .spawn()
}

#[test]
fn secrets_of_the_caller_are_nowhere_in_proc() {
    let python = python!();
    let bed = Bed::new();
    let secret = format!("planted-{}", bed.marker());
    // A parent with the secret in its arguments and environment starts the tool without it.
    let parent = "import os, subprocess, sys; e = dict(os.environ); e.pop('PLANTED'); sys.exit(subprocess.run(sys.argv[2:], env=e).returncode)";
    let launcher = [
        python.to_str().unwrap().to_owned(),
        "-ES".into(),
        "-c".into(),
        parent.into(),
        secret.clone(),
    ];
    let line = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/task/*/environ 2>/dev/null | tr '\\0' '\\n'; echo end";
    let output = bed
        .srt()
        .sh(line)
        .under(launcher)
        .env("PLANTED", &secret)
        .env("OPEN", "not-secret")
        .run()
        .ok();
    assert!(!output.text().contains(&secret), "{output}");
    assert!(output.text().contains("OPEN=not-secret"), "{output}");
    let parts = host(
        &need!("sh"),
        [
            "-c",
            "PLANTED=$1 sh -c 'cat /proc/self/environ'",
            "sh",
            &secret,
        ],
    )
    .ok();
    assert!(parts.text().contains(&secret), "the scan itself is blind");
}

/// Reads `/proc/1/cmdline`, or what it is told to, as often as it can in its first moment, and prints what is not the
/// init image's.
const LOOKS_AT_ONCE: &str = r#"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    static char text[4096];
    for (int i = 0; i < 500; i++) {
        int file = open(count > 2 ? words[2] : "/proc/1/cmdline", O_RDONLY);
        if (file < 0) return 1;
        ssize_t length = read(file, text, sizeof text);
        close(file);
        if (length > 0 && strncmp(text, "srt-init", 8)) {
            for (ssize_t k = 0; k < length; k++) if (!text[k]) text[k] = ' ';
            return write(1, text, length) != length;
        }
    }
    return write(1, "nothing", 7) != 7;
}
"#;

/// What started the sandbox may have a secret among its arguments, and the first process inside begins as a clone of it.
#[test]
fn arguments_of_the_caller_are_not_there_in_the_first_moment() {
    let gcc = need!("gcc");
    let bed = Bed::new();
    let source = bed.file("work/first.c", LOOKS_AT_ONCE);
    let program = bed.work().join("first");
    let words = [
        source.as_os_str(),
        "-static".as_ref(),
        "-o".as_ref(),
        program.as_os_str(),
    ];
    host(&gcc, words).ok();
    let secret = format!("planted-{}", bed.marker());
    for strict in [false, true] {
        let settings = json!({
            "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": [], "strictReads": strict},
            "network": {"allowedDomains": [], "deniedDomains": []},
        });
        for _ in 0..40 {
            // A word of the command is one of the tool's too.
            let words = ["./first", &secret];
            let output = bed.srt().flat(&settings).args(words).run().ok();
            assert_eq!(output.text(), "nothing", "strictReads {strict}");
        }
    }
    let control = host(&program, [&secret, "/proc/self/cmdline"]).ok();
    assert!(control.text().contains(&secret), "the look itself is blind");
}

#[test]
fn the_first_process_inside_holds_nothing_of_the_host() {
    let bed = Bed::new();
    // Its memory, descriptors and root are closed to the command.
    for line in [
        "cat /proc/1/mem",
        "readlink /proc/1/fd/0",
        "cat /proc/1/fd/0",
        "ls /proc/1/fd/3/",
        "readlink /proc/1/exe",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "cat /proc/1/maps | head -1 | grep .",
        "ls /proc/1/cwd/",
        "cat /proc/1/task/1/environ",
    ] {
        let output = bed.srt().args(["sh", "-c", line]).env("PLANTED", "x").run();
        // Where the program itself is process 1 these are its own.
        if bed.srt().sh("exit $$").run().code() != Some(1) {
            output.refused();
        }
    }
}

#[test]
fn inherited_descriptors_are_closed() {
    let python = python!("socket");
    let bed = Bed::new();
    let secret = bed.file("outside/secret", "secret\n");
    let launcher = format!(
        r"
import os, socket, sys
def keep(fd, number):
    os.dup2(fd, number)
    os.set_inheritable(number, True)
keep(os.open('/', os.O_PATH), 3); keep(os.open({secret:?}, os.O_RDWR), 9); keep(os.open({outside:?}, os.O_RDONLY), 15)
a, b = socket.socketpair(); keep(a.fileno(), 200); keep(b.fileno(), 251)
keep(os.memfd_create('m'), 700); keep(os.openpty()[0], 1000)
os.execv(sys.argv[1], sys.argv[1:])
",
        secret = secret.display().to_string(),
        outside = bed.outside().display().to_string(),
    );
    let launcher = vec![
        python.to_str().unwrap().to_owned(),
        "-ES".to_owned(),
        "-c".to_owned(),
        launcher,
    ];
    let listing = "import os\nfor n in range(2000):\n    try: os.fstat(n)\n    except OSError: continue\n    print(n, end=' ')";
    let output = bed
        .srt()
        .py(&python, listing, &[])
        .under(launcher.clone())
        .run()
        .ok();
    assert_eq!(output.text(), "0 1 2 ", "{output}");
    let mut control: Vec<String> = launcher.iter().skip(1).cloned().collect();
    control.extend([
        python.to_str().unwrap().to_owned(),
        "-c".into(),
        listing.into(),
    ]);
    let control = host(&python, &control).ok().text();
    for number in ["3", "9", "15", "200", "251", "700", "1000"] {
        assert!(control.split(' ').any(|found| found == number), "{control}");
    }
    for line in [
        "cat /proc/self/fd/9",
        "cat <&9",
        "cat /proc/self/fd/15/secret",
        "ls /proc/self/fd/3/",
    ] {
        bed.srt()
            .sh(line)
            .under(launcher.clone())
            .run()
            .refused()
            .prints("");
    }
}

#[test]
fn every_process_inside_has_only_known_descriptors() {
    let bed = Bed::new();
    let line =
        "for p in /proc/[0-9]*; do echo \"$p $(ls -l $p/fd 2>/dev/null | grep -c socket:)\"; done";
    let output = bed.srt().sh(line).run().ok();
    for found in output.text().lines() {
        assert!(found.ends_with(" 0"), "a socket is in reach: {found}");
    }
}

#[test]
fn set_uid_programs_gain_nothing() {
    let bed = Bed::new();
    let id = need!("id");
    std::fs::copy(&id, bed.work().join("id")).unwrap();
    bed.srt()
        .sh("chmod u+s ./id; ./id -u; ./id -ru")
        .run()
        .ok()
        .prints(own_ids(&id));
    if let Some(su) = sandbox_tests::tool("su") {
        let output = bed
            .srt()
            .args([
                su.as_os_str(),
                "-c".as_ref(),
                "grep CapEff /proc/self/status".as_ref(),
            ])
            .run();
        assert!(
            !output.text().contains("CapEff") || output.text().contains("0000000000000000"),
            "{output}"
        );
    }
}

fn own_ids(id: &Path) -> String {
    let text = host(id, ["-u"]).text();
    format!("{text}{text}")
}

#[test]
fn the_host_name_cannot_be_changed() {
    let bed = Bed::new();
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    bed.srt().args(["hostname", "changed"]).run().refused();
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        before
    );
}

/// Where the kernel puts core dumps, as it was once the test is over.
struct CorePattern(String);

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

impl CorePattern {
    fn set(&self, pattern: &str) {
        assert!(pattern.len() < 127, "longer than the kernel takes");
        std::fs::write(CORE_PATTERN, pattern).expect("root may set it");
    }
}

impl Drop for CorePattern {
    fn drop(&mut self) {
        std::fs::write(CORE_PATTERN, &self.0).expect("root may set it");
    }
}

#[test]
fn a_crash_is_dumped_nowhere() {
    let bed = Bed::new();
    let sh = need!("sh");
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    for name in ["inner", "outer"] {
        std::fs::copy(&sh, bed.work().join(name)).unwrap();
    }
    // Whatever limit the caller has must not be what stops it.
    let unlimited = ["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"];
    let crash = "kill -SEGV $$";
    let dumps = |directory: &Path| {
        let names = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name.as_encoded_bytes().starts_with(b"core"));
        names
    };
    let both = |directory: &Path| {
        let inner = bed.srt().flat(&settings).under(unlimited);
        let inner = inner.args(["./inner", "-c", crash]).run();
        assert_eq!(inner.code(), Some(128 + 11), "{inner}");
        let line = format!(
            "ulimit -c unlimited; cd '{}'; ./outer -c '{crash}'; :",
            bed.work().display()
        );
        host(&sh, ["-c", &line]).ok();
        let dumped = wait_until(timeout(10.0), || !dumps(directory).is_empty());
        assert!(dumped, "the one outside was not dumped");
        let found = dumps(directory);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].as_encoded_bytes().ends_with(b"outer"), "{found:?}");
    };
    let pattern = CorePattern(std::fs::read_to_string(CORE_PATTERN).unwrap());
    if !is_root() {
        std::mem::forget(pattern);
        inapplicable!("only root can say where dumps go");
    }
    pattern.set("core.%e");
    both(bed.work());
    // A program that the kernel starts outside.
    let line = format!("#!/bin/sh\ncat > '{}'/core.$1\n", bed.outside().display());
    let handler = bed.script("outside/handler", &line);
    pattern.set(&format!("|{} %e", handler.display()));
    both(bed.outside());
}
