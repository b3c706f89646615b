//! `allowPtrace`: debuggers and tracers look into the sandbox's own processes, and nowhere else.

use sandbox_tests::{Bed, Output, inapplicable, need, python};
use serde_json::{Value, json};

fn settings(ptrace: bool) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["closed"]},
        "allowPtrace": ptrace,
    })
}

/// Whether this machine lets anybody trace a child (Yama's `ptrace_scope` below 3).
fn can_trace() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.is_ok_and(|scope| scope.trim() != "3")
        || std::path::Path::new("/proc/sys/kernel/yama")
            .symlink_metadata()
            .is_err()
}

#[test]
fn strace_works_where_it_is_allowed() {
    let strace = need!("strace");
    if !can_trace() {
        inapplicable!("nobody may trace here");
    }
    let bed = Bed::new();
    // What is supervised is traced like anything else.
    let line = format!(
        "{} -f -o trace sh -c 'echo made > new; cat new; echo x > closed/new' && cat trace",
        strace.display()
    );
    std::fs::create_dir(bed.work().join("closed")).unwrap();
    let run = |ptrace| {
        bed.srt()
            .flat(&settings(ptrace))
            .sh(&format!("{line}; cat trace"))
            .run()
    };
    let traced = run(true);
    let text = traced.text();
    assert!(text.starts_with("made\n"), "{traced}");
    assert!(
        text.contains("execve(") && text.contains("exited with"),
        "{traced}"
    );
    // Being traced opens nothing.
    assert!(bed.work().join("closed/new").symlink_metadata().is_err());
    std::fs::remove_file(bed.work().join("new")).unwrap();
    let refused = run(false);
    assert!(!refused.text().contains("execve("), "{refused}");
    assert!(
        bed.work().join("new").symlink_metadata().is_err(),
        "{refused}"
    );
}

#[test]
fn gdb_works_where_it_is_allowed() {
    let gdb = need!("gdb");
    let gcc = need!("gcc");
    if !can_trace() {
        inapplicable!("nobody may trace here");
    }
    let bed = Bed::new();
    let source = bed.file(
        "work/counted.c",
        "int counted = 41;\nint main(void) { counted++; return counted == 42 ? 0 : 1; }\n",
    );
    let program = bed.work().join("counted");
    let words = [
        "-g".as_ref(),
        "-o".as_ref(),
        program.as_os_str(),
        source.as_os_str(),
    ];
    sandbox_tests::host(&gcc, words).ok();
    let run = |ptrace| -> Output {
        let words = [
            "-nx",
            "-batch",
            "-ex",
            "break main",
            "-ex",
            "run",
            "-ex",
            "next",
            "-ex",
        ];
        let srt = bed.srt().flat(&settings(ptrace)).args([gdb.as_os_str()]);
        let srt = srt.args(words).args(["print counted", "./counted"]);
        // gdb talks to its terminal and looks symbols up: neither is of interest.
        srt.env("DEBUGINFOD_URLS", "").within(60.0).run()
    };
    let debugged = run(true);
    assert!(debugged.text().contains("$1 = 42"), "{debugged}");
    let refused = run(false);
    assert!(!refused.text().contains("$1 = 42"), "{refused}");
}

#[test]
fn nothing_outside_and_not_the_first_process_is_traced() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let program = r"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
def seize(pid):
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.ptrace(0x4206, pid, None, None) < 0 else 0
def memory(pid):
    try: open(f'/proc/{pid}/mem', 'rb').close(); return 0
    except OSError as e: return e.errno
child = os.fork()
if child == 0:
    import time; time.sleep(60)
# Itself, its child, pid 1, its parent, a number of the outside.
print('child', seize(child))
for name, pid in [('init', 1), ('outside', int(sys.argv[1]))]:
    print(name, seize(pid), memory(pid))
os.kill(child, 9)
";
    let number = std::process::id().to_string();
    let output = bed
        .srt()
        .flat(&settings(true))
        .py(&python, program, &[&number])
        .run();
    let text = output.text();
    let answer = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    // ESRCH, or EPERM and EACCES: never 0.
    for name in ["init", "outside"] {
        let answers: Vec<_> = answer(name).split(' ').map(str::to_owned).collect();
        assert_eq!(answers.len(), 2, "{output}");
        assert!(!answers.contains(&"0".to_owned()), "{output}");
    }
    if can_trace() {
        assert_eq!(answer("child"), "0", "{output}");
    }
}

#[test]
fn a_tracer_that_changes_a_call_opens_nothing() {
    let gcc = need!("gcc");
    if !cfg!(target_arch = "x86_64") || !can_trace() {
        inapplicable!("the tracer is written for x86-64");
    }
    let bed = Bed::new();
    std::fs::create_dir(bed.work().join("closed")).unwrap();
    // The child asks for a permitted path; the tracer puts another one, or another call, in its place
    // at every stop.
    let source = bed.file("work/tracer.c", TRACER);
    let program = bed.work().join("tracer");
    let words = ["-o".as_ref(), program.as_os_str(), source.as_os_str()];
    sandbox_tests::host(&gcc, words).ok();
    let run = |deny: &str| {
        let mut settings = settings(true);
        let rules = settings.pointer_mut("/filesystem/denyWrite").unwrap();
        *rules = json!([deny]);
        bed.srt().flat(&settings).args(["./tracer"]).run().ok()
    };
    let output = run("closed");
    assert!(
        bed.work().join("closed/won").symlink_metadata().is_err(),
        "{output}"
    );
    assert!(output.text().contains("unshare -1"), "{output}");
    // The same program gets through where nothing forbids it: it does change calls.
    let output = run("elsewhere");
    assert!(
        bed.work().join("closed/won").symlink_metadata().is_ok(),
        "{output}"
    );
}

const TRACER: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* As long as each other, in the child's memory. */
static char path[] = "open/./won";
static const char other[] = "closed/won";

static void poke(pid_t pid) {
  for (size_t at = 0; at < sizeof path; at += sizeof(long)) {
    long word = 0;
    size_t rest = sizeof path - at < sizeof word ? sizeof path - at : sizeof word;
    memcpy(&word, other + at, rest);
    if (rest < sizeof word) {
      long old = ptrace(PTRACE_PEEKDATA, pid, path + at, 0);
      memcpy((char *)&word + rest, (char *)&old + rest, sizeof word - rest);
    }
    ptrace(PTRACE_POKEDATA, pid, path + at, word);
  }
}

int main(void) {
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    kill(getpid(), SIGSTOP);
    syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0644);
    /* getppid becomes unshare(CLONE_NEWUSER) at its entry. */
    long result = syscall(SYS_getppid);
    printf("unshare %ld\n", result < 0 ? -1 : result);
    fflush(stdout);
    _exit(0);
  }
  int status, entering = 1;
  waitpid(pid, &status, 0);
  for (;;) {
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) return 0;
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    if (entering && regs.orig_rax == SYS_openat) poke(pid);
    if (entering && regs.orig_rax == SYS_getppid) {
      regs.orig_rax = SYS_unshare;
      regs.rdi = 0x10000000;
      ptrace(PTRACE_SETREGS, pid, 0, &regs);
    }
    entering = !entering;
  }
}
"#;
