//! Settings of repositories that are written by their own name, as whoever copies a repository writes them.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use sandbox_tests::{Bed, Output, need, timeout};

use crate::git::{inside, outside, prepare, settings};

const COPIES: &[(&str, &str)] = &[
    ("recursive", "cp -r plain recursive"),
    ("archive", "cp -a plain archive"),
    (
        "unpacked",
        "tar cf x.tar plain && mkdir unpacked && tar xf x.tar -C unpacked --strip-components=1",
    ),
    (
        "tree",
        "python3 -c 'import shutil; shutil.copytree(\"plain\", \"tree\", symlinks=True)'",
    ),
    // Its temporary names are none of example hooks.
    (
        "synchronised",
        "rsync -a --exclude hooks plain/ synchronised",
    ),
    ("placed", "rsync -a --inplace plain/ placed"),
    (
        "cloned",
        "git clone -q --local plain cloned && git -C cloned config remote.origin.url https://example.com/r.git && \
         git -C cloned config user.name A && git -C cloned config user.email a@example.com",
    ),
    (
        "anew",
        "git init -q anew && git -C anew fetch -q ../plain main && git -C anew reset -q --hard FETCH_HEAD && cp plain/.git/config anew/.git/config",
    ),
    (
        "last",
        "mkdir last && cp -r plain/.git last && cp -r plain/file plain/other last",
    ),
];

/// What all of them have in the end.
const SETTINGS: &str =
    "remote.origin.url=https://example.com/r.git\nuser.email=a@example.com\nuser.name=A\n";

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn read(bed: &Bed, path: &str) -> Option<String> {
    std::fs::read_to_string(bed.work().join(path)).ok()
}

#[test]
fn copies_of_repositories_keep_their_settings() {
    need!("git");
    need!("python3");
    need!("rsync");
    let bed = Bed::new();
    prepare(&bed);
    outside(
        &bed,
        "git -C plain config remote.origin.url https://example.com/r.git",
    )
    .ok();
    for (copy, line) in COPIES {
        let output = inside(
            &bed,
            &format!("{line} && git -C {copy} config gc.auto 0 && git -C {copy} config gc.auto"),
        );
        assert_eq!(
            (output.text().as_str(), output.errors().as_str()),
            ("0\n", ""),
            "{copy}: {output}"
        );
        let listed = "config --list --local | grep -E '^(user|remote.origin.url)' | sort -u";
        let line = format!("git -C {copy} {listed}");
        for seen in [outside(&bed, &line), inside(&bed, &line)] {
            assert!(seen.text().contains(SETTINGS), "{copy}: {seen}");
        }
        let output = inside(
            &bed,
            &format!(
                "cd {copy} && git status --porcelain && git log --oneline && echo more > more && git add more && \
                 git commit -q -m more"
            ),
        );
        assert!(output.text().ends_with("first\n"), "{copy}: {output}");
        let sound = outside(
            &bed,
            &format!("git -C {copy} fsck && git -C {copy} status --porcelain"),
        );
        sound.ok().prints("");
    }
    // A repository without a working tree, at any place among the files.
    let output = inside(
        &bed,
        "cp -r bare copied.git && cmp bare/config copied.git/config && rm copied.git/config && \
         cp bare/config copied.git/ && git -C copied.git log --oneline",
    );
    output.ok();
    outside(&bed, "cmp bare/config copied.git/config").ok();
    // Mode and times are those of what was copied.
    let line = "cp -a plain/.git/config was; chmod 640 was; git init -q with && cp -a was with/.git/config && \
                git init -q without && rm without/.git/config && cp -a was without/.git/config && \
                cp -a was with-lock && git init -q moved && mv with-lock moved/.git/config";
    inside(&bed, line).ok();
    let own = |path: &str| {
        let status = bed.work().join(path).symlink_metadata().unwrap();
        (status.mode() & 0o7777, status.mtime(), status.mtime_nsec())
    };
    for copy in ["with", "without", "moved"] {
        assert_eq!(own(&format!("{copy}/.git/config")), own("was"), "{copy}");
    }
}

/// What is no setting of the list, and how it is told.
const HARMFUL: &[(&str, &str)] = &[
    ("[core]\n\tfsmonitor = touch ../marker\n", "core.fsmonitor"),
    ("[core]\n\thooksPath = evil\n", "core.hookspath"),
    ("[alias]\n\tx = !touch ../marker\n", "alias.x"),
    ("[core]\n\tsshCommand = evil\n", "core.sshcommand"),
    ("[core]\n\tpager = evil\n", "core.pager"),
    ("[core]\n\tworktree = /\n", "core.worktree"),
    ("[filter \"x\"]\n\tclean = evil\n", "filter.x.clean"),
    ("[include]\n\tpath = ../evil\n", "include.path"),
    ("[remote \"o\"]\n\turl = ext::evil\n", "remote.o.url"),
    ("[user]\n\tname = a\\\n", "line 6"),
];

/// The ways to write a file by its name; `NEW` holds what is to be written.
const WAYS: &[(&str, &str)] = &[
    ("redirected", "cat NEW > CONFIG"),
    ("copied", "cp NEW CONFIG"),
    ("replaced", "cp --remove-destination NEW CONFIG"),
    ("moved", "cp NEW moved; mv -f moved CONFIG"),
    ("new", "cp NEW moved; rm -f CONFIG; mv -n moved CONFIG"),
    ("synchronised", "rsync --ignore-times NEW CONFIG"),
    (
        "edited",
        "python3 -c 'import sys; f = open(sys.argv[2], \"r+\"); f.truncate(0); f.write(open(sys.argv[1]).read())' NEW CONFIG",
    ),
    (
        "mapped",
        "python3 -c 'import mmap, os, sys; d = open(sys.argv[1], \"rb\").read(); f = os.open(sys.argv[2], os.O_RDWR); \
      os.ftruncate(f, len(d)); m = mmap.mmap(f, 0); os.close(f); m[:] = d' NEW CONFIG",
    ),
    (
        "later",
        "exec 3>CONFIG 4>&3; exec 3>&-; git -C PLACE status; cat NEW >&4; exec 4>&-",
    ),
    (
        "reopened",
        "exec 3<>CONFIG; cat NEW > /proc/self/fd/3; exec 3>&-",
    ),
    ("killed", "sh -c 'exec 3>CONFIG; cat NEW >&3; kill -9 $$'"),
    (
        "left",
        "sh -c 'exec 3>CONFIG; cat NEW >&3; exec sleep 100 >/dev/null 2>&1' & sleep 0.2",
    ),
    ("last", "exec cp NEW CONFIG"),
];

#[track_caller]
fn write(bed: &Bed, way: &str, config: &str) -> Output {
    let place = config.split("/.git").next().unwrap();
    let line = way
        .replace("NEW", "new")
        .replace("CONFIG", config)
        .replace("PLACE", place);
    inside(bed, &format!("git init -q made; {{ {line}; }}"))
}

#[test]
fn what_git_would_run_does_not_become_settings() {
    need!("git");
    need!("python3");
    need!("rsync");
    let bed = Bed::new();
    prepare(&bed);
    let before = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n";
    for (way, line) in WAYS {
        for (harmful, key) in HARMFUL {
            bed.file("work/new", format!("{before}{harmful}"));
            let output = write(&bed, line, "made/.git/config");
            let what = format!("{way} {key}: {output}");
            let config = read(&bed, "made/.git/config").unwrap_or_default();
            let name = harmful.lines().nth(1).unwrap().trim();
            assert!(!config.contains(name), "{what}");
            outside(
                &bed,
                "cd made && git status; git x; cd .. && cp -r made host && git -C host status",
            );
            assert!(!is_there(&bed.work().join("marker")), "{what}");
            // The first was closed with nothing in it.
            let told = output.errors();
            assert!(told.contains("made/.git/config`"), "{what}");
            assert!(told.contains(key), "{what}");
            outside(&bed, "rm -rf made host moved");
        }
        // The control: what is harmless gets there, and the repository works.
        let harmless = format!("{before}[user]\n\tname = planted\n\temail = a@b\n");
        bed.file("work/new", &harmless);
        let output = write(&bed, line, "made/.git/config");
        assert_eq!(
            read(&bed, "made/.git/config"),
            Some(harmless),
            "{way}: {output}"
        );
        assert!(!output.errors().contains("refused"), "{way}: {output}");
        outside(
            &bed,
            "git -C made commit -q --allow-empty -m x && rm -rf made moved",
        )
        .ok();
    }
}

/// A repository that was there before keeps its settings, whatever they would be.
#[test]
fn settings_that_were_there_are_not_written_in_place() {
    need!("git");
    need!("python3");
    need!("rsync");
    let bed = Bed::new();
    prepare(&bed);
    let line = "[user]\n\tname = x\n";
    for config in [
        "plain/.git/config",
        "apart.git/config",
        "bare/config",
        "super/.git/modules/sub/config",
    ] {
        let before = read(&bed, config).unwrap();
        bed.file("work/new", format!("{before}{line}"));
        for (way, line) in WAYS.iter().chain(&[("appended", "cat NEW >> CONFIG")]) {
            let output = write(&bed, line, config);
            let now = read(&bed, config);
            let is_gone = ["replaced", "new"].contains(way) && now.is_none();
            assert!(
                is_gone || now.as_deref() == Some(&before),
                "{way} {config}: {output}"
            );
            assert!(
                output.errors().contains("refused: writing is denied"),
                "{way} {config}: {output}"
            );
            std::fs::write(bed.work().join(config), &before).unwrap();
        }
    }
}

/// What a program sees of settings that it is writing, and the host of them.
const SEEN: &str = r#"
import mmap, os, sys, time
config = sys.argv[1]
def settled(expected):
    for _ in range(1000):
        # A call that is supervised.
        os.mkdir('tick'); os.rmdir('tick')
        if open(config).read() == expected: return
        time.sleep(0.001)
    raise SystemExit('not there: ' + expected)
core = '[core]\n\tbare = false\n'
settled(core)
# As long as it is open the old ones are there, by name and for every reader.
file = os.open(config, os.O_RDWR | os.O_APPEND)
assert os.read(file, 100).decode() == core
os.write(file, b'[user]\n\tname = one\n')
assert os.pread(file, 100, 0).decode() == core + '[user]\n\tname = one\n'
assert open(config).read() == core and os.stat(config).st_size == len(core)
# Another writer writes to the same.
second = os.open(config, os.O_WRONLY)
os.lseek(second, 0, os.SEEK_END); os.write(second, b'\temail = two\n')
assert os.fstat(file).st_size == len(core) + len('[user]\n\tname = one\n\temail = two\n')
copy = os.dup(file); os.close(file); os.close(second)
os.mkdir('tick'); os.rmdir('tick'); time.sleep(0.05)
assert open(config).read() == core
os.write(copy, b'[gc]\n\tauto = 0\n')
reader = os.open('/proc/self/fd/%d' % copy, os.O_RDONLY)
os.close(copy)
whole = core + '[user]\n\tname = one\n\temail = two\n[gc]\n\tauto = 0\n'
settled(whole)
# What is written later is not looked at, and nobody else sees it.
late = os.open('/proc/self/fd/%d' % reader, os.O_RDWR)
os.write(late, b'[alias]\n\tx = !evil\n'); os.ftruncate(late, 10)
mapped = mmap.mmap(late, 0); mapped[:] = b'#' * 10
os.close(late); os.close(reader)
settled(whole)
mapped.close()
# Shortened, and a hole of zeros, which is no text.
file = os.open(config, os.O_RDWR); os.ftruncate(file, len(core)); os.close(file)
settled(core)
file = os.open(config, os.O_RDWR); os.ftruncate(file, 100); os.close(file)
time.sleep(0.05); settled(core)
try: os.truncate(config, 0); raise SystemExit('truncated')
except PermissionError: pass
# While somebody has the lock, one waits.
lock = os.open(config + '.lock', os.O_CREAT | os.O_EXCL | os.O_WRONLY)
with open(config, 'a') as file: file.write('[gc]\n\tauto = 1\n')
time.sleep(0.05); os.mkdir('tick'); os.rmdir('tick')
assert open(config).read() == core
os.write(lock, core.encode() + b'[gc]\n\tauto = 2\n'); os.close(lock); os.unlink(config + '.lock')
settled(core + '[gc]\n\tauto = 1\n')
# A new one is empty until it is whole, and gone when it is removed.
os.unlink(config)
with open(config, 'x') as file:
    file.write(core); file.flush()
    assert os.stat(config).st_size == 0
    os.unlink(config)
os.mkdir('tick'); os.rmdir('tick'); time.sleep(0.05)
assert not os.path.exists(config)
one, two = [os.open(config, os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in range(2)]
os.write(one, b'[core]\n'); os.write(two, b'\tbare'); os.lseek(one, 0, 0); os.write(one, b' = false\n')
try: os.read(one, 1); raise SystemExit('read')
except OSError: pass
os.close(one); os.close(two)
settled(core)
print('end')
"#;

#[test]
fn settings_that_are_written_are_seen_when_they_are_whole() {
    need!("git");
    let python = need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    bed.file("work/core", "[core]\n\tbare = false\n");
    for make in [
        "git init -q made",
        "mkdir -p made/.git",
        "mkdir -p x/.git && mkdir x/.git/objects && mkdir x/.git/refs && mv x made",
    ] {
        bed.file("work/seen.py", SEEN);
        let line = format!(
            "{make}; rm -f made/.git/config; cp core made/.git/config; {} seen.py made/.git/config",
            python.display()
        );
        let output = inside(&bed, &line);
        assert_eq!(output.text(), "end\n", "{make}: {output}");
        assert_eq!(
            read(&bed, "made/.git/config").as_deref(),
            Some("[core]\n\tbare = false\n"),
            "{make}: {output}"
        );
        outside(&bed, "rm -rf made x");
    }
}

/// The host never sees settings that are half written, nor what one writes until they are refused.
#[test]
fn the_host_sees_whole_settings_alone() {
    need!("git");
    let python = need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let script = "import time\nfor turn in range(300):\n  with open('made/.git/config', 'w', buffering=1) as file:\n    \
        file.write('[core]\\n\\tbare = false\\n')\n    \
        if turn % 2: file.write('[alias]\\n\\tx = !evil\\n')\n    \
        file.write('[user]\\n\\tname = %d\\n' % turn)\n  time.sleep(0.002)\n";
    bed.file("work/turns.py", script);
    let line = format!(
        "git init -q made && cp core made/.git/config && touch ready; exec {} turns.py",
        python.display()
    );
    bed.file("work/core", "[core]\n\tbare = false\n[user]\n\tname = 0\n");
    let running = bed.srt().flat(&settings()).sh(&line).spawn();
    let ready = bed.work().join("ready");
    assert!(sandbox_tests::wait_until(timeout(20.0), || is_there(
        &ready
    )));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20_000 {
        let config = read(&bed, "made/.git/config").expect("it is always there");
        seen.insert(config);
    }
    running.finish(timeout(60.0)).ok();
    for config in &seen {
        let is_whole = config.starts_with("[core]\n\tbare = false\n[user]\n\tname = ")
            && config.ends_with('\n');
        assert!(is_whole, "{config}");
    }
    let last = read(&bed, "made/.git/config").unwrap();
    assert_eq!(last, "[core]\n\tbare = false\n[user]\n\tname = 298\n");
}

/// Directories that are taken apart, moved and put together again around settings that are being written.
#[test]
fn no_detour_makes_settings_of_what_is_not_vetted() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let script = r#"
import os, sys
way = sys.argv[1]
evil = b'[core]\n\tfsmonitor = touch marker;\n'
def make(place):
    for name in ('objects', 'refs'):
        if not os.path.exists(f'{place}/{name}'): os.mkdir(f'{place}/{name}')
    with open(f'{place}/HEAD', 'w') as head: head.write('ref: refs/heads/main\n')
def create(path): return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
os.makedirs('made/.git')
held = []
try:
    if way == 'assembled':
        held.append(create('made/.git/config')); make('made/.git')
    elif way == 'moved':
        held.append(create('made/.git/config')); os.rename('made/.git', 'made/x')
        held.append(os.open('made/x/config', os.O_RDWR)); os.rename('made/x', 'made/.git'); make('made/.git')
    elif way == 'plain':
        os.rename('made/.git', 'made/x'); held.append(create('made/x/config'))
        os.rename('made/x', 'made/.git'); held.append(os.open('made/.git/config', os.O_RDWR)); make('made/.git')
    elif way == 'apart':
        make('made/.git'); held.append(create('made/.git/config'))
        for name in ('objects', 'refs'): os.rmdir('made/.git/' + name)
        os.unlink('made/.git/HEAD'); os.rename('made/.git', 'made/x')
        held.append(os.open('made/x/config', os.O_RDWR)); os.rename('made/x', 'made/.git'); make('made/.git')
    elif way == 'linked':
        make('made/.git'); held.append(create('made/.git/config')); os.link('made/.git/config', 'second')
        held.append(os.open('second', os.O_RDWR))
    elif way == 'exchanged':
        make('made/.git'); held.append(create('made/.git/config'))
        os.write(os.open('second', os.O_CREAT | os.O_RDWR), evil); os.rename('made/.git/config', 'third')
    elif way == 'descriptor':
        make('made/.git'); held.append(create('made/.git/config'))
        held.append(os.open('/proc/self/fd/%d' % os.open('made/.git/config', os.O_RDONLY), os.O_RDWR))
    elif way == 'bare':
        held.append(create('made/config')); make('made'); os.rmdir('made/.git')
except OSError as error: print(error, file=sys.stderr)
for file in held: os.write(file, evil)
os.mkdir('tick')
print(len(held))
if way == 'assembled' or way == 'bare':
    import time; time.sleep(0.1)
    print('empty' if os.path.getsize('made/.git/config' if way == 'assembled' else 'made/config') == 0 else 'full')
"#;
    bed.file("work/detour.py", script);
    for way in [
        "assembled",
        "moved",
        "plain",
        "apart",
        "linked",
        "exchanged",
        "descriptor",
        "bare",
    ] {
        let output = inside(&bed, &format!("python3 detour.py {way}"));
        let what = format!("{way}: {output}");
        assert!(output.succeeded(), "{what}");
        for config in ["made/.git/config", "made/config", "made/x/config"] {
            let is_repository = is_there(&bed.work().join(config).with_file_name("objects"));
            let content = read(&bed, config).unwrap_or_default();
            assert!(
                !is_repository || !content.contains("fsmonitor"),
                "{config} {what}"
            );
        }
        outside(&bed, "git -C made status");
        assert!(!is_there(&bed.work().join("made/marker")), "{what}");
        outside(&bed, "rm -rf made second third tick");
    }
}

/// The report of what is refused when nobody waits for an answer any more.
#[test]
fn what_is_refused_when_it_is_closed_is_told() {
    need!("git");
    let python = need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let path = bed.work().join("told.jsonl");
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings());
        let output = srt.options(["--violations", "told.jsonl"]).sh(line).run();
        let told = read(&bed, "told.jsonl").unwrap_or_default();
        std::fs::remove_file(&path).unwrap_or(());
        (output, told)
    };
    let (output, told) =
        run("git init -q made && printf '[alias]\\n\\tx = !y\\n' > made/.git/config");
    assert!(told.contains("made/.git/config"), "{told} {output}");
    assert!(
        told.contains("alias.x") && told.contains(".git/config"),
        "{told}"
    );
    assert!(told.contains("unprotect"), "{told}");
    let index = "import sys; open(sys.argv[1], 'wb').write(b'DIRC' + b'x' * 100)";
    let (output, told) = run(&format!(
        "{} -c \"{index}\" made/.git/index",
        python.display()
    ));
    assert!(told.contains("made/.git/index"), "{told} {output}");
    assert!(output.errors().contains("made/.git/index"), "{output}");
    let (output, told) = run(
        "cp plain/.git/index made/.git/index; cp plain/.git/config made2; git init -q n; cp made2 n/.git/config",
    );
    assert_eq!(
        (output.complaints().as_str(), told.as_str()),
        ("", ""),
        "{output}"
    );
    // While its lock is there, it waits, and at the end nobody is left to wait.
    let (output, told) =
        run("git init -q late; : > late/.git/config.lock; echo '[gc]' >> late/.git/config");
    assert!(output.errors().contains("late/.git/config"), "{output}");
    assert!(told.contains("lost"), "{told}");
    // Settings that were there before their directory became a repository.
    outside(&bed, "git -C bare config alias.x '!y'").ok();
    let (output, told) = run(
        "mkdir copied && cp bare/config copied && cp -r bare/objects bare/refs bare/HEAD copied",
    );
    output.refused();
    assert!(told.contains("alias.x"), "{told}");
    outside(&bed, "git --git-dir=copied rev-parse").refused();
}
