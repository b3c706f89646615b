//! The tool's process has no descriptors left: what can't be found out then is refused, and is found out later.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sandbox_tests::{Bed, Running, python, timeout, wait_until};

use crate::rules;

/// More rules than are looked at before the first question.
const MANY: usize = 300;

/// So many free descriptors are more than any call needs.
const ENOUGH: usize = 12;

/// Tries twice what the first argument says, each time when it is told; before that it has changed nothing but
/// what the others say. Prints to a file that is open already.
const TRIES: &str = "
import errno, os, sys, time
def moved():
    os.rename('old', 'sub/.git')
def landing():
    os.close(os.open('bashrc', os.O_WRONLY | os.O_TRUNC))
def removal():
    os.unlink('sub/CLAUDE.md')
def store():
    os.symlink('via/package', 'shown')
def plain():
    os.close(os.open('plain', os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink('plain')
what = {'landing': landing, 'removal': removal, 'store': store}[sys.argv[1]]
if what is removal:
    moved()
if what is landing:
    os.chdir('dot')
top = os.path.dirname(sys.argv[2])
print('ready', flush=True)
for go in ('short', 'again'):
    while not os.path.exists(os.path.join(top, go)):
        time.sleep(0.002)
    try:
        what()
        print(go, 'done', flush=True)
    except OSError as error:
        print(go, errno.errorcode[error.errno], flush=True)
plain()
print('plain', flush=True)
";

/// A command that waits to be told.
struct Attempt {
    bed: Bed,
    running: Running,
    log: PathBuf,
}

impl Attempt {
    fn start(python: &Path, what: &str) -> Self {
        let bed = Bed::new();
        let work = bed.work();
        for name in ["dot/bashrc", "old", "sub/CLAUDE.md"] {
            bed.file(format!("work/{name}"), "old");
        }
        fs::create_dir_all(work.join("node_modules/package")).unwrap();
        symlink("node_modules", work.join("via")).unwrap();
        symlink("dot/bashrc", work.join(".bashrc")).unwrap();
        let log = bed.file("log", "");
        let many: Vec<_> = (0..MANY).map(|number| format!("closed/{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let line = format!("exec \"$@\" > {}", log.display());
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &many));
        let goes = bed.root().join("short").display().to_string();
        let srt = srt.under(["/bin/sh", "-c", line.as_str(), "sh"]);
        let running = srt.py(python, TRIES, &[what, goes.as_str()]).spawn();
        let attempt = Self { bed, running, log };
        attempt.wait_for("ready");
        // By now the tool has raised its limit.
        std::thread::sleep(Duration::from_millis(100));
        attempt
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let text_of = || fs::read_to_string(&self.log).unwrap();
        let came = wait_until(timeout(20.0), || {
            text_of()
                .lines()
                .any(|line| line.starts_with(text) && text_of().ends_with('\n'))
        });
        let all = text_of();
        assert!(came, "{text}: {all}");
        let mut lines = all.lines();
        lines
            .find(|line| line.starts_with(text))
            .unwrap()
            .to_owned()
    }

    fn go(&self, go: &str) -> String {
        self.bed.file(go, "");
        self.wait_for(go)
    }

    fn limit(&self, current: Option<u64>) -> Rlimit {
        let pid = Pid::from_raw(self.running.pid().cast_signed()).unwrap();
        let text = fs::read_to_string(format!("/proc/{}/limits", self.running.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files"));
        let hard = line.unwrap().split_whitespace().nth(4).unwrap();
        let maximum = hard.parse().ok();
        let limit = Rlimit { current, maximum };
        prlimit(Some(pid), Resource::Nofile, limit).unwrap()
    }

    /// Tries with this many descriptors that the tool could still have, and once more with all of them.
    fn results(self, free: Option<usize>) -> [String; 2] {
        let before = free.map(|free| {
            let open = fs::read_dir(format!("/proc/{}/fd", self.running.pid())).unwrap();
            let open: Vec<u64> = open
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .map(|name| name.parse().unwrap())
                .collect();
            let mut numbers = (0..).filter(|number| !open.contains(number));
            self.limit(numbers.nth(free))
        });
        let short = self.go("short");
        if let Some(before) = before {
            self.limit(before.current);
        }
        let again = self.go("again");
        self.wait_for("plain");
        let Self { bed, running, .. } = self;
        let output = running.finish(timeout(20.0)).ok();
        let work = bed.work();
        for name in ["dot/bashrc", "sub/CLAUDE.md"] {
            let content = fs::read(work.join(name)).ok();
            assert_eq!(
                content.as_deref(),
                Some(&b"old"[..]),
                "{free:?} {name}: {output}"
            );
        }
        let is_shown = work.join("shown").symlink_metadata().is_ok();
        assert!(!is_shown, "{free:?}: {output}");
        [short, again]
    }
}

fn refused_however_few(what: &str) {
    let python = python!();
    for free in (0..=ENOUGH).map(Some).chain([None]) {
        let [short, again] = Attempt::start(&python, what).results(free);
        let refusals = ["short EACCES", "short EMFILE"];
        assert!(refusals.contains(&short.as_str()), "{free:?}: {short}");
        assert_eq!(again, "again EACCES", "{free:?}: {short}");
        if free.is_none_or(|free| free == ENOUGH) {
            assert_eq!(short, "short EACCES", "{free:?}");
        }
    }
}

#[test]
fn what_a_protected_name_leads_to_stays_closed() {
    refused_however_few("landing");
}

#[test]
fn what_was_moved_to_the_name_of_a_repository_opens_nothing() {
    refused_however_few("removal");
}

#[test]
fn no_symlink_shows_a_store_of_packages() {
    refused_however_few("store");
}
