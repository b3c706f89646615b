//! The tool's process has no descriptors left: what can't be found out then is refused, and is found out later.
//! And what waits inside takes few of them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use sandbox_tests::{Bed, Running, python, timeout, tree_hash, wait_until};

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

/// Everything that is closed, from another call on each time: what one call finds out is known to the next. Prints
/// what was not refused.
const EVERYTHING: &str = "
import os, socket, sys, time
(turn, hidden), go = map(int, sys.argv[1].split()), sys.argv[2]
top = os.path.dirname(go)
W, C = os.O_WRONLY, os.O_WRONLY | os.O_CREAT
closed = os.open('sub/CLAUDE.md', os.O_RDONLY)
def bind(name):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(name)
calls = [(what, a) for what, *a in [
    (os.open, '.bashrc', W), (os.open, 'dot/bashrc', W | os.O_TRUNC), (os.unlink, 'dot/bashrc'),
    (os.rename, 'dot/bashrc', 'moved'), (os.rename, 'dot', 'moved'), (os.link, 'dot/bashrc', 'second'),
    (os.rename, 'old', 'dot/bashrc'), (os.symlink, 'old', 'dot/bashrc/x'), (os.truncate, '.bashrc', 0),
    (os.open, 'sub/CLAUDE.md', W), (os.unlink, 'sub/CLAUDE.md'), (os.link, 'sub/CLAUDE.md', 'second'),
    (os.chmod, 'sub/CLAUDE.md', 0o600), (os.utime, 'sub/CLAUDE.md', (1, 1)), (os.truncate, 'sub/CLAUDE.md', 0),
    (os.open, '/proc/self/fd/%d' % closed, W), (os.open, '/dev/fd/%d' % closed, W | os.O_TRUNC),
    (os.open, 'sub/../via/../sub/CLAUDE.md', W), (os.open, 'round/sub/CLAUDE.md', W),
    (os.rename, 'old', '.zshrc'), (os.link, 'old', '.zshrc'), (os.symlink, 'old', '.zshrc'), (os.mkdir, '.zshrc'),
    (os.open, '.zshrc', C), (os.mkfifo, '.zshrc'), (bind, '.zshrc'), (bind, os.path.join(top, 'work', 'sub/.zshrc')),
    (os.symlink, 'via/package', 'shown'), (os.symlink, '../round/via/package', 'sub/shown'),
    (os.open, 'closed/7', C), (os.mkdir, 'closed/8'), (os.rename, 'closed', 'moved'), (os.rename, 'old', 'closed/9'),
    (os.open, 'behind', W), (os.open, 'real', W), (os.unlink, 'real'), (os.rename, 'links', 'moved'),
    (os.open, 'repository/.git/hooks/pre-commit', C), (os.symlink, '../..', 'repository/.git/hooks/x'),
    (os.rename, 'repository/.git/hooks', 'moved'), (os.open, 'repository/.git/config', W),
    (os.rename, 'old', 'repository/.git/config'), (os.open, 'bare/hooks/x', C), (os.open, 'bare/config', W),
    (os.mkdir, 'bare/hooks/y'), (os.rename, 'bare/hooks', 'moved'), (os.open, '../outside/x', C),
    (os.mkdir, '../outside/y'), (os.rename, 'old', '../outside/z'), (os.open, '/proc/1/oom_score_adj', W),
]]
R = os.O_RDONLY
if hidden:
    calls += [(what, a) for what, *a in [
        (os.open, 'x.hidden', R), (os.open, 'seen', R), (os.open, 'round/x.hidden', R), (os.link, 'x.hidden', 'second'),
        (os.rename, 'x.hidden', 'moved'), (os.open, '/proc/self/cwd/x.hidden', R),
        (os.open, 'sub/y.hidden', R), (os.rename, 'old', 'new.hidden'), (os.open, 'new.hidden', C),
    ]]
calls = calls[turn % len(calls):] + calls[:turn % len(calls)]
print('ready', flush=True)
for go in ('short', 'again'):
    while not os.path.exists(os.path.join(top, go)):
        time.sleep(0.002)
    done = []
    for what, arguments in calls:
        try:
            what(*arguments)
            done.append((what.__name__, arguments))
        except OSError:
            pass
    print(go, done, flush=True)
os.close(os.open('plain', C, 0o600))
os.unlink('plain')
print('plain', flush=True)
";

/// More connects than may wait at a time.
const CONNECTS: &str = "
import errno, os, socket, sys, threading, time
server = socket.socket(socket.AF_UNIX)
server.bind('\\0shortage-%d' % os.getpid())
server.listen(0)
results = []
def one():
    try:
        client = socket.socket(socket.AF_UNIX)
        client.connect(server.getsockname())
        results.append((client, 'done'))
    except OSError as error:
        results.append((None, errno.errorcode[error.errno]))
threads = [threading.Thread(target=one, daemon=True) for _ in range(150)]
for thread in threads:
    thread.start()
count = -1
while count < len(results):
    count = len(results)
    time.sleep(1)
print('waiting', ' '.join(sorted(result for _, result in results)), flush=True)
for name in ('made', '.bashrc'):
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600))
        print(name, 'done', flush=True)
    except OSError as error:
        print(name, errno.errorcode[error.errno], flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.002)
# Whoever waits gets its turn.
server.settimeout(1)
until = time.monotonic() + 60
while len(results) < 150 and time.monotonic() < until:
    try:
        server.accept()
    except OSError:
        pass
for thread in threads:
    thread.join(5)
print('ended', sum(result == 'done' for _, result in results), flush=True)
os._exit(0)
";

/// Readers of FIFOs that nobody may open for writing any more, and that are gone.
const READERS: &str = "
import os, signal, sys, threading, time
for number in range(100):
    name = 'fifo%d' % number
    os.mkfifo(name, 0o600)
    reader = os.fork()
    if reader == 0:
        try:
            os.open(name, os.O_RDONLY)
        finally:
            os._exit(1)
    time.sleep(0.005)
    os.chmod(name, 0)
    os.kill(reader, signal.SIGKILL)
    os.waitpid(reader, 0)
os.mkfifo('last', 0o600)
writing, opened = threading.Event(), threading.Event()
def write():
    time.sleep(0.1)
    writing.set()
    with open('last', 'w') as last:
        opened.wait()
        last.write('through')
threading.Thread(target=write).start()
fifo = os.open('last', os.O_RDONLY)
in_order = writing.is_set()
opened.set()
print('read', os.read(fifo, 100).decode(), in_order, os.read(fifo, 100), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.002)
";

/// A command that waits to be told, and what it has printed.
struct Attempt {
    bed: Bed,
    running: Running,
    log: PathBuf,
}

impl Attempt {
    /// Starts a program that gets the words and then the file to wait for, after a line of the shell.
    fn of(
        bed: Bed,
        python: &Path,
        settings: &Value,
        (line, program): (&str, &str),
        words: &[&str],
    ) -> Self {
        let log = bed.file("log", "");
        let line = format!("{line}exec \"$@\" > {}", log.display());
        let go = bed.root().join("go").display().to_string();
        let words: Vec<_> = words.iter().copied().chain([go.as_str()]).collect();
        let srt = bed.srt().flat(settings);
        let srt = srt.under(["/bin/sh", "-c", line.as_str(), "sh"]);
        let running = srt.py(python, program, &words).spawn();
        Self { bed, running, log }
    }

    fn start(python: &Path, program: &str, what: &str, hidden: &[&str]) -> Self {
        let bed = Bed::new();
        let work = bed.work();
        for name in ["dot/bashrc", "old", "sub/CLAUDE.md"] {
            bed.file(format!("work/{name}"), "old");
        }
        fs::create_dir_all(work.join("node_modules/package")).unwrap();
        symlink("node_modules", work.join("via")).unwrap();
        symlink("dot/bashrc", work.join(".bashrc")).unwrap();
        symlink(".", work.join("round")).unwrap();
        bed.file("work/x.hidden", "hidden");
        bed.file("work/sub/y.hidden", "hidden");
        symlink("x.hidden", work.join("seen")).unwrap();
        for repository in ["repository/.git", "bare"] {
            for name in ["objects", "refs", "hooks"] {
                fs::create_dir_all(work.join(repository).join(name)).unwrap();
            }
            bed.file(format!("work/{repository}/HEAD"), "ref: refs/heads/main\n");
            bed.file(format!("work/{repository}/config"), "[core]\n");
        }
        // A closed name that leads through one link to another place.
        fs::create_dir_all(work.join("closed/0")).unwrap();
        fs::create_dir_all(work.join("links")).unwrap();
        bed.file("work/real", "old");
        symlink("../real", work.join("links/one")).unwrap();
        symlink("links/one", work.join("behind")).unwrap();
        let many: Vec<_> = (0..MANY).map(|number| format!("closed/{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).chain(["behind"]).collect();
        let settings = rules(hidden, &[], &["."], &many);
        let attempt = Self::of(bed, python, &settings, ("", program), &[what]);
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

    fn go(&self, go: &str) {
        self.bed.file(go, "");
    }

    /// The tool's descriptors, or its threads (`task`).
    fn numbers(&self, what: &str) -> Vec<u64> {
        let open = fs::read_dir(format!("/proc/{}/{what}", self.running.pid())).unwrap();
        open.map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.parse().unwrap())
            .collect()
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
        let (work, outside) = (self.bed.work(), self.bed.outside());
        let trees = || (tree_hash(work), tree_hash(outside));
        let (before, before_outside) = trees();
        let limits = free.map(|free| {
            let open = self.numbers("fd");
            let mut numbers = (0..).filter(|number| !open.contains(number));
            self.limit(numbers.nth(free))
        });
        self.go("short");
        let short = self.wait_for("short");
        if let Some(limits) = limits {
            self.limit(limits.current);
        }
        self.go("again");
        let again = self.wait_for("again");
        self.wait_for("plain");
        let (after, after_outside) = trees();
        let changes = before.changes(&after);
        let changes_outside = before_outside.changes(&after_outside);
        let Self {
            bed: _bed, running, ..
        } = self;
        let output = running.finish(timeout(20.0)).ok();
        assert!(changes.is_empty(), "{free:?}: {changes:#?} {output}");
        assert!(
            changes_outside.is_empty(),
            "{free:?}: {changes_outside:#?} {output}"
        );
        [short, again]
    }
}

fn refused_however_few(what: &str) {
    let python = python!();
    for free in (0..=ENOUGH).map(Some).chain([None]) {
        let [short, again] = Attempt::start(&python, TRIES, what, &[]).results(free);
        let refusals = ["short EACCES", "short EMFILE"];
        assert!(refusals.contains(&short.as_str()), "{free:?}: {short}");
        assert_eq!(again, "again EACCES", "{free:?}: {short}");
        if free == Some(0) {
            assert_eq!(short, "short EMFILE", "there was no shortage");
        }
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

#[test]
fn nothing_that_is_closed_is_done_however_few() {
    let python = python!();
    for free in (0..=ENOUGH).map(Some).chain([None]) {
        for (turn, hidden) in [
            (0, &[][..]),
            (17, &["**/*.hidden"]),
            (34, &[]),
            (51, &["**/*.hidden"]),
        ] {
            let turn = format!("{} {}", turn + free.unwrap_or(ENOUGH), hidden.len());
            let attempt = Attempt::start(&python, EVERYTHING, &turn, hidden);
            let [short, again] = attempt.results(free);
            assert_eq!([short, again], ["short []", "again []"], "{free:?} {turn}");
        }
    }
}

#[test]
fn connects_that_wait_leave_descriptors_for_all_other_calls() {
    let python = python!();
    let settings = rules(&[], &[], &["."], &[]);
    let started = ("ulimit -n 256; ", CONNECTS);
    let attempt = Attempt::of(Bed::new(), &python, &settings, started, &[]);
    let waiting = attempt.wait_for("waiting");
    assert_eq!(attempt.wait_for("made"), "made done");
    assert_eq!(attempt.wait_for(".bashrc"), ".bashrc EACCES");
    let descriptors = attempt.numbers("fd").len();
    let refused = waiting.matches("EAGAIN").count();
    assert!(descriptors < 128, "{descriptors}: {waiting}");
    assert!(refused >= 110, "{refused}: {waiting}");
    attempt.go("go");
    let ended = attempt.wait_for("ended");
    let ended: usize = ended.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(ended + refused, 150, "{waiting}");
    assert!(ended > 20, "{ended}: {waiting}");
    let is_there = |name: &str| attempt.bed.work().join(name).symlink_metadata().is_ok();
    assert!(is_there("made") && !is_there(".bashrc"));
    attempt.running.finish(timeout(20.0)).ok();
}

#[test]
fn readers_of_fifos_that_nobody_can_open_leave_nothing_behind() {
    let python = python!();
    // Every open is judged by its name.
    let settings = rules(&["**/*.hidden"], &[], &["."], &[]);
    let attempt = Attempt::of(Bed::new(), &python, &settings, ("", READERS), &[]);
    assert_eq!(attempt.wait_for("read"), "read through True b''");
    let (descriptors, threads) = (attempt.numbers("fd").len(), attempt.numbers("task").len());
    assert!(descriptors < 100 && threads < 30, "{descriptors} {threads}");
    attempt.go("go");
    attempt.running.finish(timeout(20.0)).ok();
}
