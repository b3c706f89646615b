//! Protected names: nothing of the sandbox creates or changes them, at any depth of any write root.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, host, inapplicable, is_root, need, say, tool};
use serde_json::{Value, json};

use crate::driver::{Answer, Call, Driver, driver};
use crate::rules;

/// JSON, because some of the files are settings that are read at the start.
const GOOD: &str = "{}\n";
const EACCES: i32 = 13;

/// Representatives of the table: a file each, as deep as the rule asks for.
const NAMES: &[&str] = &[
    ".bashrc",
    ".zshenv",
    ".envrc",
    ".vscode/tasks.json",
    ".idea/workspace.xml",
    ".mcp.json",
    ".claude/settings.json",
    ".claude/commands/x.md",
    ".git/hooks/pre-commit",
    ".git/config",
    ".git/info/attributes",
    ".gitmodules",
    ".gitconfig",
    ".ssh/authorized_keys",
    ".github/workflows/ci.yml",
    ".husky/pre-commit",
    ".cargo/config.toml",
    ".npmrc",
    ".srt-settings.json",
    "AGENTS.md",
    ".config/fish/config.fish",
    ".config/git/config",
    ".cursor/rules",
    ".codex/config.toml",
];

/// Calls that make a name.
const MAKE: &[&str] = &[
    "openat_creat",
    "openat_at_creat",
    "openat_excl",
    "openat_rdonly_creat",
    "openat_trunc",
    "open_creat",
    "creat",
    "openat2_creat",
    "tmpfile_link",
    "tmpfile_link_empty",
    "mkdir",
    "mkdirat",
    "mknod_fifo",
    "mknodat_fifo",
    "mknodat_file",
    "mknodat_socket",
];

/// Calls that change a file.
const CHANGE: &[&str] = &[
    "openat_creat",
    "openat_at_creat",
    "openat_rdonly_trunc",
    "openat_trunc",
    "openat_append",
    "openat_wronly",
    "openat_rdwr",
    "open_creat",
    "creat",
    "openat2_creat",
    "openat2_trunc",
    "map_write",
    "truncate",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "utimensat_link",
    "setxattr",
    "lsetxattr",
    "removexattr",
    "setxattrat",
    "chmod_fd_path",
    "reopen_write",
    "truncate_fd_path",
    "fchmodat2_empty",
];

/// Calls that change what a descriptor opened for reading says of its file.
const BY_READER: &[&str] = &["fchmod", "fchown", "futimens", "fsetxattr", "setflags"];

/// Calls that put something in a name's place.
const REPLACE: &[&str] = &[
    "rename",
    "renameat",
    "renameat2",
    "rename_noreplace",
    "rename_whiteout",
    "link",
    "linkat",
    "linkat_fd",
];

/// Calls that only root can make, or only with capabilities that nobody has inside, and the flags
/// of inodes, which are nobody's inside.
const PRIVILEGED: &[&str] = &["rename_whiteout", "setflags"];

/// Calls that may be said not to exist: callers fall back to an older one.
const YOUNG: &[&str] = &[
    "openat2_creat",
    "openat2_trunc",
    "fchmodat2",
    "fchmodat2_empty",
    "setxattrat",
];
const ENOSYS: i32 = 38;

/// What was there before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Nothing,
    Directories,
    File,
}

/// A name in a place, and a directory beside it to prepare things in.
struct Target {
    path: PathBuf,
    /// The first component of the name in its place.
    top: PathBuf,
    scratch: PathBuf,
    /// A directory above the place that the command may rename; none where the place is a write root.
    above: Option<PathBuf>,
}

impl Target {
    fn new(place: &Path, name: &str, above: Option<PathBuf>) -> Self {
        let first = name.split('/').next().unwrap_or(name);
        Self {
            path: place.join(name),
            top: place.join(first),
            scratch: place.join("scratch"),
            above,
        }
    }

    /// Every way that this file knows; each line with what it needs before it.
    fn attacks(&self, state: State) -> Vec<Call> {
        let source = self.scratch.join("source");
        let evil = || Call::two("put", &source, "evil\n");
        let mut calls = vec![Call::on("mkdirs", &self.scratch)];
        let parent = self.path.parent().expect("a file in a directory");
        let mut add = |some: Vec<Call>| calls.extend(some);
        if state != State::File {
            add(vec![Call::on("mkdirs", parent)]);
            add(MAKE.iter().map(|name| Call::on(name, &self.path)).collect());
            let dangling = self.scratch.join("dangling");
            add(vec![
                Call::on("rmrf", &dangling),
                Call::two("symlinkat", &dangling, &self.path),
                Call::on("openat_creat", &dangling),
                Call::on("creat", &dangling),
            ]);
        } else {
            add(CHANGE.iter().map(|n| Call::on(n, &self.path)).collect());
            let other = self.scratch.join("other");
            for link in ["link", "linkat", "linkat_fd"] {
                add(vec![
                    Call::on("rmrf", &other),
                    Call::two(link, &self.path, &other),
                    Call::on("openat_trunc", &other),
                    Call::on("chmod", &other),
                ]);
            }
            add(vec![
                Call::on("rmrf", &other),
                Call::two("symlinkat", &other, &self.path),
                Call::on("openat_trunc", &other),
                Call::on("truncate", &other),
                Call::on("chmod", &other),
                Call::on("setxattr", &other),
            ]);
            add(vec![
                evil(),
                Call::two("rename_exchange", &source, &self.path),
                Call::two("rename_exchange", &self.path, &source),
            ]);
        }
        add(vec![Call::two("symlink", &self.path, &source)]);
        add(vec![Call::two("symlinkat", &self.path, &source)]);
        for name in REPLACE {
            add(vec![evil(), Call::two(name, &source, &self.path)]);
        }
        let directory = self.scratch.join("directory");
        add(vec![
            Call::on("mkdirs", &directory),
            Call::two("put", directory.join("x"), "evil\n"),
            Call::two("rename", &directory, &self.path),
            Call::two("renameat2", &directory, &self.path),
        ]);
        let through = self.scratch.join("through");
        let name = self.path.file_name().expect("a name");
        add(vec![
            Call::two("symlinkat", &through, parent),
            Call::on("openat_trunc", through.join(name)),
            Call::on("mkdir", through.join(name)),
        ]);
        self.add_detours(&mut calls);
        calls
    }

    /// Ways that go by a directory above the name.
    fn add_detours(&self, calls: &mut Vec<Call>) {
        let away = self.scratch.join("away");
        if self.top != self.path {
            let rest = self.path.strip_prefix(&self.top).expect("it lies below");
            let prepared = self.scratch.join("prepared");
            let inner = prepared.join(rest);
            let back = Call::two("rename", &away, &self.top);
            calls.extend([
                Call::on("mkdirs", inner.parent().expect("a directory")),
                Call::two("put", &inner, "evil\n"),
                // Where nothing is, a finished directory takes the place.
                Call::two("rename", &prepared, &self.top),
                Call::two("rename_exchange", &prepared, &self.top),
                Call::two("rename_exchange", &self.top, &prepared),
                // Away, changed, and back.
                Call::on("rmrf", &away),
                Call::two("rename", &self.top, &away),
                Call::on("openat_trunc", away.join(rest)),
                Call::on("openat_creat", away.join(rest)),
                back.clone(),
                // Away, and a new one made.
                Call::two("rename", &self.top, &away),
                Call::on("mkdirs", self.path.parent().expect("a directory")),
                Call::on("openat_creat", &self.path),
                back,
            ]);
        }
        if let Some(above) = &self.above {
            let rest = self.path.strip_prefix(above).expect("it lies below");
            let moved = above.with_file_name("moved");
            let second = above.with_file_name("second");
            calls.extend([
                Call::two("rename", above, &moved),
                Call::on("openat_trunc", moved.join(rest)),
                Call::on("openat_creat", moved.join(rest)),
                Call::two("rename", &moved, above),
                Call::two("rename", above, &moved),
                Call::on("mkdirs", self.path.parent().expect("a directory")),
                Call::on("openat_creat", &self.path),
                Call::two("rename", above, &second),
                Call::two("rename", &moved, above),
            ]);
        }
    }

    /// What the host makes of it before the start, and a descriptor of the file.
    fn prepare(&self, state: State) -> Option<File> {
        let parent = self.path.parent().expect("a file in a directory");
        if state != State::Nothing {
            std::fs::create_dir_all(parent).unwrap();
            if self.top.ends_with(".git") {
                // What makes it a repository.
                for inner in ["objects", "refs"] {
                    std::fs::create_dir_all(self.top.join(inner)).unwrap();
                }
                std::fs::write(self.top.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            }
        }
        (state == State::File).then(|| {
            std::fs::write(&self.path, GOOD).unwrap();
            File::open(&self.path).unwrap()
        })
    }
}

/// Where a protected name lies, and whether the command could take the whole place away.
fn targets(bed: &Bed, name: &str) -> Vec<Target> {
    let deep = bed.work().join("a/b/c/d/e");
    std::fs::create_dir_all(&deep).unwrap();
    vec![
        Target::new(bed.work(), name, None),
        Target::new(&deep, name, Some(bed.work().join("a/b"))),
        Target::new(bed.outside(), name, None),
        Target::new(bed.home(), name, None),
    ]
}

fn open_roots(bed: &Bed) -> Value {
    let second = bed.outside().display().to_string();
    rules(&[], &[], &[".", &second, "~"], &[])
}

/// What libgit2 makes of a new repository first: in a `.git` that the command has made itself it may be there, and
/// stays empty.
fn is_empty_configuration(path: &Path) -> bool {
    let found = path.symlink_metadata();
    path.ends_with(".git/config") && found.is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// All paths of the bed that end like this.
fn ending_in(bed: &Bed, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![bed.root().to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir().unwrap().flatten() {
            let path = entry.path();
            if path.ends_with(name) {
                found.push(path.clone());
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

#[track_caller]
fn judge(calls: &[Call], answers: &[Answer], wrong: &[String]) {
    let done: Vec<String> = calls
        .iter()
        .zip(answers)
        .map(|(call, answer)| format!("{:3} {}", answer.errno, call.show()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?} after\n{}", done.join("\n"));
}

/// Tries everything on a name that is in this state in every place; what went wrong.
fn try_all(name: &str, state: State) -> Vec<String> {
    let bed = Bed::new();
    let driver = Driver::new(&bed).expect("a compiler was asked for");
    let settings = open_roots(&bed);
    let targets = targets(&bed, name);
    let files: Vec<Option<File>> = targets.iter().map(|one| one.prepare(state)).collect();
    let before: Vec<_> = files
        .iter()
        .map(|file| file.as_ref().map(|file| file.metadata().unwrap()))
        .collect();
    let calls: Vec<Call> = targets
        .iter()
        .flat_map(|target| target.attacks(state))
        .collect();
    let answers = driver.inside(&settings, &calls);
    let mut wrong = Vec::new();
    if state == State::File {
        for (index, target) in targets.iter().enumerate() {
            let (mut file, before) = (files[index].as_ref().unwrap(), before[index].as_ref());
            let (now, before) = (file.metadata().unwrap(), before.unwrap());
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            let shown = target.path.display();
            if content != GOOD {
                wrong.push(format!("{shown} was written: {content:?}"));
            }
            let state = |of: &std::fs::Metadata| (of.mode(), of.mtime(), of.nlink(), of.size());
            if state(&now) != state(before) {
                wrong.push(format!(
                    "{shown}: {:?}, now {:?}",
                    state(before),
                    state(&now)
                ));
            }
            let there = target.path.symlink_metadata().map(|found| found.ino());
            let gone = there.as_ref().is_err() && target.above.is_some();
            if !gone && there.as_ref().ok() != Some(&before.ino()) {
                wrong.push(format!("{shown} is another file or gone: {there:?}"));
            }
            if target.above.is_none() && now.ctime_nsec() != before.ctime_nsec() {
                wrong.push(format!("{shown}: its inode was changed"));
            }
        }
        for path in ending_in(&bed, name) {
            let is_new = targets.iter().all(|target| target.path != path);
            if is_new && is_empty_configuration(&path) {
                continue;
            }
            if std::fs::read(&path).ok().as_deref() != Some(GOOD.as_bytes()) {
                wrong.push(format!("{} is not what it was", path.display()));
            }
        }
    } else {
        let mut found = ending_in(&bed, name);
        found.retain(|path| !is_empty_configuration(path));
        wrong.extend(found.iter().map(|path| format!("made {}", path.display())));
    }
    let creation = calls
        .iter()
        .zip(&answers)
        .find(|(call, _)| **call == Call::on("openat_creat", &targets[0].path));
    let errno = creation.map(|(_, answer)| answer.errno);
    if state != State::Nothing && errno != Some(EACCES) {
        wrong.push(format!("creating it answered {errno:?}, not EACCES"));
    }
    if !wrong.is_empty() {
        let quiet = ["put", "mkdirs", "rmrf"].map(|name| Call::on(name, "").show());
        let done = calls.iter().zip(&answers).filter(|(call, answer)| {
            answer.errno == 0 && !quiet.iter().any(|name| call.show().starts_with(name))
        });
        wrong.extend(done.map(|(call, _)| format!("  done: {}", call.show())));
    }
    the_same_is_permitted_beside(name);
    wrong
}

/// The positive control: the same calls on a name that differs by a letter.
fn the_same_is_permitted_beside(name: &str) {
    let bed = Bed::new();
    let driver = Driver::new(&bed).expect("a compiler was asked for");
    let settings = open_roots(&bed);
    let plain = name.replace('.', "dot-").replace("AGENTS", "OTHERS");
    let target = bed.work().join("beside").join(plain);
    let scratch = bed.work().join("control");
    let (parent, source) = (target.parent().unwrap(), scratch.join("source"));
    let reset = Call::on("rmrf", &target);
    let evil = Call::two("put", &source, "evil\n");
    let mut calls = vec![Call::on("mkdirs", parent), Call::on("mkdirs", &scratch)];
    let mut wanted = Vec::new();
    let mut group = |before: Vec<Call>, call: Call, name: &str| {
        calls.extend(before);
        if !PRIVILEGED.contains(&name) {
            wanted.push(calls.len());
        }
        calls.push(call);
    };
    for name in MAKE {
        group(vec![reset.clone()], Call::on(name, &target), name);
    }
    for name in CHANGE.iter().chain(BY_READER) {
        let put = Call::two("put", &target, GOOD);
        group(vec![reset.clone(), put], Call::on(name, &target), name);
    }
    for name in REPLACE {
        let before = vec![reset.clone(), evil.clone()];
        group(before, Call::two(name, &source, &target), name);
    }
    let before = vec![Call::two("put", &target, GOOD), evil];
    let exchange = Call::two("rename_exchange", &source, &target);
    group(before, exchange, "rename_exchange");
    calls.extend([Call::on("rmrf", &scratch), Call::on("rmrf", parent)]);
    let outside = driver.outside(&calls);
    let inside = driver.inside(&settings, &calls);
    let done = wanted.iter().filter(|index| inside[**index].errno == 0);
    let done = done.count();
    let wrong: Vec<String> = wanted
        .into_iter()
        .map(|index| (&calls[index], inside[index].errno, outside[index].errno))
        .filter(|(_, inside, outside)| inside != outside)
        .filter(|(call, inside, _)| {
            *inside != ENOSYS || !YOUNG.iter().any(|name| *call == &Call::on(name, &target))
        })
        .map(|(call, inside, outside)| format!("{outside} → {inside}: {}", call.show()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(done > 40, "only {done} calls succeed beside");
}

#[test]
fn calls_are_permitted_on_other_names() {
    need!("cc");
    for name in [".bashrc", ".git/hooks/pre-commit"] {
        the_same_is_permitted_beside(name);
    }
}

/// Each name in a sandbox of its own, with all that went wrong in one message.
fn all_names(state: State) {
    // The first `.git/config` is what makes a repository: how that goes, the cases of git say.
    let first = |name: &str| state == State::Nothing && name == ".git/config";
    let names = NAMES.iter().filter(|name| !first(name));
    let wrong: Vec<String> = names.flat_map(|name| try_all(name, state)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn protected_names_that_exist_are_not_changed() {
    need!("cc");
    all_names(State::File);
}

#[test]
fn protected_names_that_do_not_exist_are_not_made() {
    need!("cc");
    all_names(State::Directories);
}

#[test]
fn protected_names_are_not_made_with_the_directories_above() {
    need!("cc");
    all_names(State::Nothing);
}

#[test]
fn protected_files_are_not_taken_away_at_the_top() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let mut calls = Vec::new();
    for name in NAMES.iter().chain(&["plain", "dir/plain"]) {
        let path = bed.file(format!("work/{name}"), GOOD);
        for (operation, other) in [
            ("unlink", None),
            ("unlinkat", None),
            ("rename", Some("taken")),
            ("rename_noreplace", Some("taken2")),
            ("rename_whiteout", Some("taken3")),
        ] {
            calls.push(match other {
                Some(other) => Call::two(operation, &path, bed.work().join(other)),
                None => Call::on(operation, &path),
            });
        }
    }
    let answers = driver.inside(&open_roots(&bed), &calls);
    let gone: Vec<&&str> = NAMES
        .iter()
        .filter(|name| {
            std::fs::read(bed.work().join(name)).ok().as_deref() != Some(GOOD.as_bytes())
        })
        .collect();
    let wrong: Vec<String> = gone.iter().map(|name| format!("{name} is gone")).collect();
    judge(&calls, &answers, &wrong);
    for name in ["plain", "dir/plain"] {
        assert!(bed.work().join(name).symlink_metadata().is_err(), "{name}");
    }
}

#[test]
fn descriptors_for_reading_change_nothing_of_protected_files() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let mut calls = Vec::new();
    let names = [".bashrc", "a/.git/hooks/pre-commit", "plain"];
    let files = names.map(|name| bed.file(format!("work/{name}"), GOOD));
    let state = |path: &PathBuf| {
        let found = path.metadata().unwrap();
        (
            found.mode(),
            found.mtime(),
            found.ctime(),
            found.ctime_nsec(),
        )
    };
    let before = files.each_ref().map(state);
    for path in &files {
        calls.extend(BY_READER.iter().map(|name| Call::on(name, path)));
    }
    let answers = driver.inside(&open_roots(&bed), &calls);
    let after = files.each_ref().map(state);
    let wrong: Vec<String> = (0..2)
        .filter(|index| before[*index] != after[*index])
        .map(|index| format!("{} was changed", names[index]))
        .collect();
    judge(&calls, &answers, &wrong);
    assert!(before[2] != after[2]);
}

#[test]
fn sockets_are_not_bound_to_protected_names() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let mut settings = open_roots(&bed);
    settings["filesystem"]["denyWrite"] = json!(["**/*.lock"]);
    settings["network"]["allowAllUnixSockets"] = json!(true);
    std::fs::create_dir(bed.work().join("a")).unwrap();
    let calls = [".bashrc", "a/.vscode", "a/x.lock", "a/plain"]
        .map(|name| Call::on("bind", bed.work().join(name)));
    let answers = driver.inside(&settings, &calls);
    let wrong: Vec<String> = [".bashrc", "a/.vscode", "a/x.lock"]
        .iter()
        .filter(|name| bed.work().join(name).symlink_metadata().is_ok())
        .map(|name| format!("made {name}"))
        .collect();
    judge(&calls, &answers, &wrong);
    assert!(bed.work().join("a/plain").symlink_metadata().is_ok());
}

#[test]
fn errors_are_those_of_the_kernel() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let work = bed.work();
    bed.file("work/.git/config", GOOD);
    bed.file("work/.git/HEAD", "ref: refs/heads/main\n");
    bed.file("work/.bashrc", GOOD);
    std::fs::create_dir(work.join(".vscode")).unwrap();
    let outside = bed.root().join("elsewhere");
    std::fs::create_dir(&outside).unwrap();
    let (eacces, enoent, eexist, enotdir, erofs) = (13, 2, 17, 20, 30);
    let table = [
        (Call::on("openat_creat", work.join(".bashrc")), eacces),
        (Call::on("openat_excl", work.join(".bashrc")), eexist),
        (Call::on("mkdir", work.join(".bashrc")), eexist),
        (Call::on("mkdirat", work.join(".vscode")), eexist),
        (Call::on("mknodat_fifo", work.join(".bashrc")), eexist),
        (Call::on("openat_creat", work.join("none/.bashrc")), enoent),
        (Call::on("openat_wronly", work.join(".zshrc")), enoent),
        (Call::on("openat_creat", work.join(".zshrc")), eacces),
        (Call::on("openat_excl", work.join(".zshrc")), eacces),
        (Call::on("mkdir", work.join(".idea")), eacces),
        (Call::on("unlink", work.join(".zshrc")), enoent),
        (Call::on("truncate", work.join(".zshrc")), enoent),
        (Call::on("openat_creat", work.join(".bashrc/x")), enotdir),
        (Call::on("unlink", work.join(".bashrc")), eacces),
        (Call::on("chmod", work.join(".bashrc")), eacces),
        (Call::on("openat_creat", outside.join("x")), erofs),
        (Call::on("mkdir", outside.join("x")), erofs),
        (Call::on("mkdir", &outside), eexist),
        (Call::on("openat_wronly", outside.join("x")), enoent),
        (Call::on("openat_creat", work.join("free")), 0),
    ];
    let calls: Vec<Call> = table.iter().map(|(call, _)| call.clone()).collect();
    let answers = driver.inside(&rules(&[], &[], &["."], &[]), &calls);
    let wrong: Vec<String> = table
        .iter()
        .zip(&answers)
        .filter(|((_, wanted), answer)| answer.errno != *wanted)
        .map(|((call, wanted), answer)| format!("{wanted} → {}: {}", answer.errno, call.show()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        std::fs::read(work.join(".bashrc")).unwrap(),
        GOOD.as_bytes()
    );
}

#[test]
fn other_spellings_of_a_name_are_the_name() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    bed.file("work/repository/.git/HEAD", "ref: refs/heads/main\n");
    let names = [
        ".BASHRC",
        ".Bashrc",
        ".VSCode/tasks.json",
        ".MCP.json",
        ".CLAUDE/Settings.JSON",
        "repository/.GIT/hooks/pre-commit",
        "repository/.git/Hooks/pre-commit",
        "repository/.git/CONFIG",
        "agents.md",
        ".Github/Workflows/ci.yml",
    ];
    let calls: Vec<Call> = names
        .iter()
        .flat_map(|name| {
            let path = bed.work().join(name);
            let parent = Call::on("mkdirs", path.parent().unwrap());
            [parent, Call::on("openat_creat", &path)]
        })
        .chain([Call::on("openat_creat", bed.work().join(".BASHRCX"))])
        .collect();
    let answers = driver.inside(&rules(&[], &[], &["."], &[]), &calls);
    let made: Vec<String> = names
        .iter()
        .filter(|name| bed.work().join(name).symlink_metadata().is_ok())
        .map(|name| format!("made {name}"))
        .collect();
    judge(&calls, &answers, &made);
    assert!(bed.work().join(".BASHRCX").symlink_metadata().is_ok());
}

/// Where lookups ignore case the aliases are many: what the file system folds, the rule folds.
#[test]
fn a_directory_that_ignores_case_has_no_aliases() {
    if !is_root() {
        inapplicable!("only root can mount a file system that folds names");
    }
    let unshare = need!("unshare");
    // tmpfs can do it from Linux 6.13 on, ext4 where the kernel knows Unicode.
    let prepared = "mkdir \"$0/w\" && chattr +F \"$0/w\"";
    let tmpfs = format!("mkdir -p \"$0\" && mount -t tmpfs -o casefold none \"$0\" && {prepared}");
    let image = "rm -f \"$0.img\" && truncate -s 32M \"$0.img\" && mkfs.ext4 -q -O casefold -E encoding=utf8 \"$0.img\"";
    let ext4 = format!(
        "mkdir -p \"$0\" && {image} >/dev/null && mount -o loop \"$0.img\" \"$0\" && {prepared}"
    );
    let bed = Bed::new();
    let place = bed.root().join("folding");
    let works = |mount: &&String| {
        let probe = ["-m", "sh", "-c", mount.as_str()].map(std::ffi::OsStr::new);
        let probe = host(&unshare, probe.into_iter().chain([place.as_os_str()]));
        tool("chattr").is_some() && probe.succeeded()
    };
    let kinds = [tmpfs, ext4];
    let found: Vec<_> = kinds.iter().filter(works).collect();
    if found.is_empty() {
        inapplicable!("this kernel has no file system that folds names");
    }
    say(&format!("{} file systems that fold names", found.len()));
    let settings = rules(&[], &[], &[place.to_str().unwrap()], &[]);
    // Long s and the Kelvin sign fold to letters; what has no width folds to nothing.
    let aliases = [
        (".ba\u{17f}hrc", ".bashrc"),
        (".BA\u{17f}HRC", ".bashrc"),
        (".hus\u{212a}y", ".husky"),
        (".ba\u{200c}shrc", ".bashrc"),
        (".zshe\u{feff}nv", ".zshenv"),
        (".BASHRC", ".bashrc"),
    ];
    let cases = found
        .iter()
        .flat_map(|mount| aliases.iter().map(move |case| (mount, case)));
    // Some releases around Linux 6.12 do not fold away what has no width; that change was reverted.
    let folds = |mount: &str, alias: &str, name: &str| {
        let line = format!("{mount} && mkdir \"$0/w/{alias}\" && test -e \"$0/w/{name}\"");
        let probe = ["-m", "sh", "-c", &line].map(std::ffi::OsStr::new);
        let output = host(&unshare, probe.into_iter().chain([place.as_os_str()]));
        output.succeeded()
    };
    let mut tried = 0;
    for (mount, (alias, name)) in cases {
        if !folds(mount, alias, name) {
            say(&format!("{alias:?} is no alias of `{name}` here"));
            continue;
        }
        tried += 1;
        for control in [false, true] {
            let (alias, name) = if control {
                (format!("{alias}x"), format!("{name}x"))
            } else {
                ((*alias).to_owned(), (*name).to_owned())
            };
            let line = format!(
                "{mount} && {{ \"$@\"; if test -e \"$0/w/{name}\"; then echo made; else echo none; fi; }}"
            );
            let launcher = [
                unshare.to_str().unwrap(),
                "-m",
                "sh",
                "-c",
                &line,
                place.to_str().unwrap(),
            ];
            let output = bed
                .srt()
                .flat(&settings)
                .under(launcher)
                .args(["mkdir", &format!("{}/w/{alias}", place.display())])
                .run();
            let expected = if control { "made\n" } else { "none\n" };
            assert_eq!(output.text(), expected, "{alias:?}\n{output}");
        }
    }
    // Whatever the version of Unicode, letters fold.
    assert!(tried >= 4 * found.len(), "{tried} aliases");
}

#[test]
fn settings_open_what_is_protected() {
    let bed = Bed::new();
    let work = bed.work().display().to_string();
    let write = |settings: &Value, path: &str| {
        let line = format!("mkdir -p \"$(dirname {path})\" && echo evil > {path}");
        bed.srt().flat(settings).sh(&line).run()
    };
    let content = |path: &str| std::fs::read_to_string(bed.work().join(path)).ok();
    let plain = rules(&[], &[], &["."], &[]);
    for (path, named) in [
        (".vscode/tasks.json", ".vscode"),
        (".envrc", ".envrc"),
        ("deep/er/.mcp.json", "deep/er/.mcp.json"),
        (".github/workflows/ci.yml", ".github/workflows"),
        ("sub/.bashrc", "sub/.bashrc"),
    ] {
        write(&plain, path).refused();
        assert_eq!(content(path), None, "{path}");
        // Named itself, it is open, and nothing else is.
        let absolute = format!("{work}/{named}");
        let named = rules(&[], &[], &[".", &absolute], &[]);
        write(&named, ".zshenv").refused();
        assert_eq!(content(".zshenv"), None);
        write(&named, path).ok();
        assert_eq!(content(path).as_deref(), Some("evil\n"), "{path}");
    }
}

/// A file that a user has named where its directory is protected and not there yet: the directory can be made for
/// it, and nothing else in it.
#[test]
fn a_named_file_in_an_absent_protected_directory_can_be_made() {
    for (path, other) in [
        (".github/workflows/ci.yml", ".github/workflows/other.yml"),
        (".vscode/settings.json", ".vscode/tasks.json"),
        (".config/fish/config.fish", ".config/fish/conf.d"),
        (".idea/a/b", ".idea/a/c"),
        ("deep/.claude/commands/x.md", "deep/.claude/commands/y.md"),
    ] {
        let bed = Bed::new();
        let absolute = bed.work().join(path);
        let line = format!("mkdir -p \"$(dirname {path})\" && echo x > {path}");
        let absent = || absolute.symlink_metadata().is_err();
        let closed = rules(&[], &[], &["."], &[]);
        bed.srt().flat(&closed).sh(&line).run().refused();
        assert!(absent(), "{path}");
        // A deny of the directory wins, and the named file is closed with it.
        let root = absolute.to_str().unwrap();
        let denied = absolute.parent().unwrap().to_str().unwrap();
        let denied = rules(&[], &[], &[".", root], &[denied]);
        bed.srt().flat(&denied).sh(&line).run().refused();
        assert!(absent(), "{path}");
        let open = rules(&[], &[], &[".", root], &[]);
        let line = format!("{line} && ! echo x > {other} && ! mkdir {other}; cat {path}");
        let output = bed.srt().flat(&open).sh(&line).run();
        assert_eq!(output.text(), "x\n", "{output}");
        assert!(
            bed.work().join(other).symlink_metadata().is_err(),
            "{other}"
        );
        let srt = bed.srt().flat(&open).args(["explain", "write", path]);
        assert!(srt.run().text().starts_with("allow"), "{path}");
    }
}

#[test]
fn rows_are_taken_out_by_their_names() {
    let bed = Bed::new();
    let opened = |rows: &[&str]| {
        let mut settings = rules(&[], &[], &["."], &[]);
        settings["filesystem"]["unprotect"] = json!(rows);
        settings
    };
    let write = |settings: &Value, path: &str| {
        let line = format!("mkdir -p \"$(dirname {path})\" && echo evil > {path}");
        bed.srt().flat(settings).sh(&line).run()
    };
    let exists = |path: &str| bed.work().join(path).symlink_metadata().is_ok();
    write(&opened(&[]), "a/.vscode/tasks.json").refused();
    assert!(!exists("a/.vscode/tasks.json"));
    write(&opened(&[".vscode"]), "a/.vscode/tasks.json").ok();
    assert!(exists("a/.vscode/tasks.json"));
    write(&opened(&[".vscode"]), "a/.idea/x").refused();
    assert!(!exists("a/.idea/x"));
    let unknown = bed.srt().flat(&opened(&[".vscodee"])).args(["true"]).run();
    unknown.exits(125).says(".vscodee");
}

#[test]
fn packages_in_node_modules_can_be_unpacked() {
    need!("tar");
    let bed = Bed::new();
    for name in [
        "package/.vscode/settings.json",
        "package/.github/workflows/ci.yml",
        "package/.idea/x.xml",
        "package/.npmrc",
        "package/.husky/pre-commit",
        "package/index.js",
    ] {
        bed.file(format!("outside/{name}"), "x");
    }
    let archive = bed.root().join("package.tgz");
    let words = [
        "czf".as_ref(),
        archive.as_os_str(),
        "-C".as_ref(),
        bed.outside().as_os_str(),
        "package".as_ref(),
    ];
    host(&need!("tar"), words).ok();
    let settings = rules(&[], &[], &["."], &[]);
    let unpack = |below: &str| {
        let line = format!("mkdir -p {below} && tar xzf ../package.tgz -C {below}");
        bed.srt().flat(&settings).sh(&line).run()
    };
    let found = |path: &str| bed.work().join(path).symlink_metadata().is_ok();
    for below in ["node_modules/one", "apps/web/node_modules/@scope/two"] {
        unpack(below).ok();
        assert!(found(&format!("{below}/package/.vscode/settings.json")));
        assert!(found(&format!("{below}/package/.github/workflows/ci.yml")));
    }
    // Elsewhere the same package is refused.
    unpack("lib").refused();
    assert!(!found("lib/package/.vscode/settings.json"));
    assert!(!found("lib/package/.github/workflows/ci.yml"));
}
