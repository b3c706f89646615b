//! Indexes of repositories: git checks out what they name, and looks at no name.

use std::path::Path;

use sandbox_tests::{Bed, need, timeout};

use crate::git::{inside, outside, prepare, settings};

/// Makes an index that names these paths, and puts it in place in one of several ways.
const PLANT: &str = r#"
import ctypes, hashlib, os, struct, sys
way, index, names = sys.argv[1], sys.argv[2], sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
def made(names):
    content = b'DIRC' + struct.pack('>II', 2, len(names))
    for name in sorted(os.fsencode(name) for name in names):
        # The empty file's name.
        entry = struct.pack('>10I', 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + bytes.fromhex('e69de29bb2d1d6434b8b29ae775ad8c2e48c5391')
        entry += struct.pack('>H', len(name)) + name
        content += entry + b'\0' * (8 - len(entry) % 8)
    return content + hashlib.sha1(content).digest()
evil, harmless, lock = made(names), made(['harmless']), index + '.lock'
def write(path, content=evil):
    with open(path, 'wb') as file: file.write(content)
def renamed(): write(lock); os.rename(lock, index)
def from_elsewhere(): write('elsewhere', evil); os.rename('elsewhere', index)
def exchanged():
    write(lock)
    if libc.renameat2(-100, lock.encode(), -100, index.encode(), 2): raise OSError(ctypes.get_errno(), 'renameat2')
def held():
    file = open(lock, 'wb', buffering=0); file.write(harmless); os.rename(lock, index)
    file.seek(0); file.truncate(); file.write(evil)
def mapped():
    import mmap
    write(lock, harmless.ljust(len(evil), b'\0') if len(harmless) < len(evil) else harmless)
    with open(lock, 'r+b') as file: kept = mmap.mmap(file.fileno(), 0)
    write_lock = kept[:]; os.rename(lock, index); kept[:len(evil)] = evil; kept.flush()
def linked():
    write(lock, harmless); os.link(lock, 'second'); os.rename(lock, index); write('second')
def written(): write(index)
def reopened(): write('/proc/self/fd/%d' % os.open(index, os.O_RDONLY))
def created():
    if os.path.exists(index): os.unlink(index)
    write(index)
def hard():
    if os.path.exists(index): os.unlink(index)
    write('second'); os.link('second', index)
def away():
    os.link(index, 'second'); write('second')
def soft():
    if os.path.exists(index): os.unlink(index)
    write('second'); os.symlink(os.path.abspath('second'), index)
try: globals()[way](); print('done')
except OSError as error: print(error.errno)
"#;
const WAYS: [&str; 12] = [
    "renamed",
    "from_elsewhere",
    "exchanged",
    "held",
    "mapped",
    "linked",
    "written",
    "reopened",
    "created",
    "hard",
    "away",
    "soft",
];

const INDEXES: [&str; 4] = [
    "plain/.git/index",
    "apart.git/index",
    "main/.git/worktrees/worktree/index",
    "plain/.git/sharedindex.0123",
];

#[track_caller]
fn plant(bed: &Bed, way: &str, index: &str, names: &[&str]) -> String {
    let python = sandbox_tests::tool("python3").expect("looked for by every case");
    let words = [&[python.to_str().unwrap(), "-c", PLANT, way, index], names].concat();
    let output = bed.srt().flat(&settings()).args(words).spawn();
    output.finish(timeout(60.0)).ok().text()
}

fn names_in(path: &Path, name: &str) -> bool {
    let content = std::fs::read(path).unwrap_or_else(|_missing| Vec::new());
    content
        .windows(name.len())
        .any(|part| part == name.as_bytes())
}

#[test]
fn an_index_names_nothing_outside_of_the_working_tree() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    for index in INDEXES {
        let path = bed.work().join(index);
        for way in WAYS {
            for name in ["../escaped", ".git/hooks/post-checkout", "a/.GIT/x"] {
                outside(
                    &bed,
                    &format!("rm -f second elsewhere; cp plain/.git/index {index} || :"),
                );
                let output = plant(&bed, way, index, &[name]);
                assert!(!names_in(&path, name), "{index} {way} {name}: {output}");
                std::fs::remove_file(bed.work().join(format!("{index}.lock"))).unwrap_or(());
            }
        }
        // A harmless one gets there, also while it is held open.
        for way in ["renamed", "from_elsewhere", "exchanged", "created"] {
            outside(&bed, &format!("rm -f second elsewhere {index}.lock"));
            std::fs::write(&path, "old").unwrap();
            assert_eq!(
                plant(&bed, way, index, &["planted"]),
                "done\n",
                "{index} {way}"
            );
            assert!(names_in(&path, "planted"), "{index} {way}");
        }
        for way in ["held", "linked"] {
            outside(&bed, &format!("rm -f second elsewhere {index}.lock"));
            assert_eq!(
                plant(&bed, way, index, &["planted"]),
                "done\n",
                "{index} {way}"
            );
            assert!(names_in(&path, "harmless"), "{index} {way}");
        }
        outside(&bed, &format!("rm -f {index}.lock"));
    }
    // Where no repository is, the name means nothing.
    std::fs::create_dir(bed.work().join("free")).unwrap();
    assert_eq!(plant(&bed, "renamed", "free/index", &["../x"]), "done\n");
    assert!(names_in(&bed.work().join("free/index"), "../x"));
}

#[test]
fn a_directory_with_a_harmful_index_becomes_no_repository() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    for (name, works) in [("../escaped", false), ("inside", true)] {
        let place = format!("made-{works}");
        std::fs::create_dir(bed.work().join(&place)).unwrap();
        assert_eq!(
            plant(&bed, "renamed", &format!("{place}/index"), &[name]),
            "done\n"
        );
        let output = inside(
            &bed,
            &format!("cd {place} && mkdir objects && mkdir refs && echo made || echo refused"),
        );
        assert_eq!(output.text(), if works { "made\n" } else { "refused\n" });
        let refs = bed.work().join(&place).join("refs");
        assert_eq!(refs.symlink_metadata().is_ok(), works);
    }
    // Who holds it changes nothing that the host reads.
    let line = "mkdir held && cd held && cp ../made-true/index . && exec 3>>index && mkdir objects refs && echo ../escaped >&3; :";
    inside(&bed, line);
    assert!(!names_in(&bed.work().join("held/index"), "escaped"));
    assert!(names_in(&bed.work().join("held/index"), "inside"));
}

/// Copies have the index of what was copied, wherever it comes among the files: shortly after it is closed, as README
/// says, for no call tells of that.
#[test]
fn repositories_are_copied_with_their_index() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    for (name, line) in [
        ("recursive", "cp -r plain recursive"),
        ("archive", "cp -a plain archive"),
        (
            "unpacked",
            "tar cf x.tar plain && mkdir unpacked && tar xf x.tar -C unpacked --strip-components=1",
        ),
        (
            "last",
            "cp -r plain last; rm last/.git/index && cp plain/.git/index last/.git/",
        ),
        (
            "moved",
            "git clone -q plain moved && cp plain/.git/index i && mv i moved/.git/index",
        ),
    ] {
        let output = inside(
            &bed,
            &format!(
                "{{ {line}; }} 2>/dev/null; timeout 20 sh -c 'until cmp -s plain/.git/index {name}/.git/index; do sleep 0.01; done' && echo same"
            ),
        );
        assert_eq!(output.text(), "same\n", "{name}: {output}");
        let same = outside(
            &bed,
            &format!(
                "cmp plain/.git/index {name}/.git/index && git -C {name} status --short && echo same"
            ),
        );
        assert_eq!(same.text(), "same\n", "{name}");
    }
    // Nothing comes after it that would be noticed.
    for _ in 0..20 {
        inside(
            &bed,
            "rm -f last/.git/index; exec cp plain/.git/index last/.git/index",
        )
        .ok();
        outside(&bed, "cmp plain/.git/index last/.git/index").ok();
    }
}

/// What git does with indexes, inside and then outside.
#[test]
fn git_goes_on_with_its_indexes() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let output = inside(
        &bed,
        "set -e; exec 2>&1; git init -q w; cd w; mkdir d; echo 1 > d/a; echo 1 > b; git add .; git commit -qm 1; \
         echo 2 > b; git stash -q; git stash pop -q; git commit -q -o b -m 2; git checkout -q -b x; echo 3 > d/c; git add d; \
         git commit -qm 3; git checkout -q main; git cherry-pick x >/dev/null; git -c advice.skippedCherryPicks=false rebase -q main x; \
         printf 'y\\n' | { echo 4 > b; git add -p >/dev/null; }; GIT_INDEX_FILE=.git/other git add -A; git reset -q --hard; \
         for version in 4 3 2; do git update-index --index-version $version; done; \
         git update-index --split-index; echo 5 > e; git add e; git commit -qm 5; git update-index --no-split-index; \
         git update-index --untracked-cache; git status --short; git worktree add -q ../wt-of-w; cd ../wt-of-w; echo 6 > f; \
         git add f; git commit -qm 6; cd ..; git clone -q w w2; git init -q --object-format=sha256 s; cd s; echo 1 > a; \
         git add a; git commit -qm 1; git status --short; cd ..; git -C plain status --short; echo end",
    );
    assert_eq!(output.text(), "end\n", "{output}");
    let seen = outside(
        &bed,
        "for r in w w2 s wt-of-w; do git -C $r fsck --no-dangling 2>&1 && git -C $r status --short; done; echo end",
    );
    assert_eq!(seen.text(), "end\n");
}

/// Makes an index of twenty megabytes whose entries have names of many thousand bytes each (version 4 writes only
/// how a name goes on), and tells how long its rename takes, in seconds.
const LONG: &str = r#"
import hashlib, os, struct, sys, time
first = {'components': b'd/' * 30000, 'component': b'd' * 60000, 'plain': b'd/d'}[sys.argv[2]]
def entry(length, removed, path):
    fixed = struct.pack('>10I', 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + bytes.fromhex('e69de29bb2d1d6434b8b29ae775ad8c2e48c5391')
    return fixed + struct.pack('>H', min(length, 0xfff)) + bytes([removed]) + path + b'\0'
count, length = 290000, len(first) + 6
content = [b'DIRC' + struct.pack('>II', 4, count), entry(length, 0, first + b'000000')]
content += [entry(length, 6, b'%06d' % number) for number in range(1, count)]
with open(sys.argv[1] + '.lock', 'wb') as file: file.write(b''.join(content) + bytes(20))
start = time.monotonic()
try: os.rename(sys.argv[1] + '.lock', sys.argv[1])
except OSError as error: print(error.errno)
print(round(time.monotonic() - start))
"#;

#[test]
fn a_small_index_of_long_names_is_looked_at_in_no_time() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let python = sandbox_tests::tool("python3").expect("looked for above");
    for (kind, works) in [("plain", true), ("components", true), ("component", false)] {
        let index = bed.work().join("plain/.git/index");
        std::fs::write(&index, "old").unwrap();
        std::fs::remove_file(index.with_extension("lock")).unwrap_or(());
        let words = [
            python.to_str().unwrap(),
            "-c",
            LONG,
            "plain/.git/index",
            kind,
        ];
        let start = std::time::Instant::now();
        let output = bed.srt().flat(&settings()).args(words).spawn();
        let output = output.finish(timeout(60.0));
        assert!(start.elapsed() < timeout(20.0), "{kind}: {output}");
        let is_there = std::fs::metadata(&index).unwrap().len() > 1 << 20;
        assert_eq!(is_there, works, "{kind}: {output}");
        assert_eq!(
            output.errors().contains("index as git writes it"),
            !works,
            "{kind}: {output}"
        );
    }
}

/// All sandboxes of a user wait while a directory is made a repository.
#[test]
fn a_directory_with_much_to_look_at_becomes_no_repository() {
    need!("git");
    let bed = Bed::new();
    for (size, works) in [(200_u64 << 20, false), (20 << 20, true)] {
        let place = bed.work().join(format!("made-{works}"));
        std::fs::create_dir(&place).unwrap();
        let index = std::fs::File::create(place.join("index")).unwrap();
        index.set_len(size).unwrap();
        let line = format!("cd made-{works} && mkdir objects && mkdir refs");
        let output = inside(&bed, &line);
        assert_eq!(
            place.join("refs").symlink_metadata().is_ok(),
            works,
            "{output}"
        );
        assert_eq!(
            output.errors().contains("too much to look at"),
            !works,
            "{output}"
        );
    }
}
