//! Indexes made by hand and by git.
#![expect(clippy::disallowed_methods, reason = "tests run git")]

use std::{fs, io::Write as _, os::fd::AsFd as _, path::Path, process::Command};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{
    index::{self, Flaw, Hash, Tail},
    index_names::Names,
    vetted::vet_index,
};

/// An entry with a mode, and a path of which so much is that of the one before.
fn entry(
    version: u32,
    hash: Hash,
    mode: u32,
    (shared, path): (usize, &[u8]),
    removed: u8,
) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    bytes.extend(mode.to_be_bytes());
    bytes.extend([0; 12]);
    bytes.extend(vec![7; usize::try_from(hash.length()).unwrap()]);
    let is_extended = version >= 3;
    let length = u16::try_from((shared + path.len()).min(0xfff)).unwrap();
    bytes.extend((length | if is_extended { 0x4000 } else { 0 }).to_be_bytes());
    if is_extended {
        bytes.extend([0x20, 0]);
    }
    if version == 4 {
        bytes.push(removed);
    }
    bytes.extend(path);
    bytes.push(0);
    while version < 4 && !bytes.len().is_multiple_of(8) {
        bytes.push(0);
    }
    bytes
}

fn whole(version: u32, hash: Hash, entries: &[Vec<u8>], extensions: &[u8]) -> Vec<u8> {
    let mut bytes = b"DIRC".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    bytes.extend(entries.concat());
    bytes.extend(extensions);
    bytes.extend(vec![9; usize::try_from(hash.length()).unwrap()]);
    bytes
}

fn vet(bytes: &[u8], hash: Hash) -> Result<(), Flaw> {
    let size = u64::try_from(bytes.len()).unwrap();
    let tail = Tail {
        size,
        ..Tail::default()
    };
    index::vet(bytes, hash, &tail)
}

/// What the whole module makes of a file of a directory.
fn vet_file(directory: &Path, bytes: &[u8]) -> Result<(), Errno> {
    fs::write(directory.join("index.lock"), bytes).unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).unwrap();
    vet_index(opened.as_fd(), c"index.lock", opened.as_fd()).map(drop)
}

fn is_harmless(path: &[u8], mode: u32) -> bool {
    !path.is_empty() && Names::default().may_follow(path, 0, mode, 0)
}

const HASHES: [Hash; 2] = [Hash::Sha1, Hash::Sha256];
const FILE: u32 = 0o100_644;

#[test]
fn names_stay_in_the_working_tree() {
    for path in [
        "a",
        "a/b",
        ".gitignore",
        ".gitmodules",
        ".github/x",
        "git",
        "a.git",
        ".git2",
        "...",
        "a..b",
        "a/..b",
        "git~",
        "git~1x",
        "x\\x2dy",
        "\u{e4}/\u{200c}",
        "a b",
        " ",
        ".gi",
        "g",
        "a:b",
    ] {
        assert!(is_harmless(path.as_bytes(), FILE), "{path}");
    }
    for path in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "a/./b",
        ".git",
        ".GIT/hooks/x",
        "a/.Git/x",
        "git~1",
        "GIT~1/x",
        ".git.",
        ".git ",
        ".git. ./x",
        ".git:x",
        ".git::$INDEX_ALLOCATION/x",
        "git~1:x/y",
        ".g\u{200c}it/x",
        "\u{200c}.git",
        ".git\u{feff}/x",
        "a\\..\\b",
        "a\\.git\\b",
        ".git\\hooks",
        "..\\a",
    ] {
        assert!(!is_harmless(path.as_bytes(), FILE), "{path}");
    }
    assert!(!is_harmless(b".g\xffit", FILE));
    assert!(is_harmless(b"a\xff", FILE));
    assert!(is_harmless(b"a/", 0o040_000));
    assert!(!is_harmless(b"../", 0o040_000));
    assert!(!is_harmless(b".gitmodules", 0o120_000));
    assert!(is_harmless(b".gitmodules", FILE));
}

#[test]
fn entries_of_each_version_are_read() {
    for hash in HASHES {
        for version in [2, 3, 4] {
            let make = |path: &[u8]| {
                let first = entry(version, hash, FILE, (0, b"dir/name"), 0);
                let second = entry(version, hash, FILE, (0, path), 8);
                whole(version, hash, &[first, second], b"TREE\0\0\0\x02xx")
            };
            assert!(vet(&make(b"dir/other"), hash).is_ok(), "{version} {hash:?}");
            assert!(vet(&make(&b"x".repeat(5000)), hash).is_ok());
            assert!(matches!(vet(&make(b"../other"), hash), Err(Flaw::Path)));
            let long = [b"x/".repeat(3000), b"../x".to_vec()].concat();
            assert!(matches!(vet(&make(&long), hash), Err(Flaw::Path)));
            let only = entry(version, hash, FILE, (0, b"dir/name"), 0);
            let good = whole(version, hash, &[only], b"");
            for end in 0..good.len() {
                assert!(vet(&good[..end], hash).is_err(), "{end}");
            }
            assert!(vet(&[good.as_slice(), b"x"].concat(), hash).is_err());
        }
        // A name goes on that of the entry before.
        for (suffix, works) in [(b"x".as_slice(), true), (b"/../x", false), (b"it/x", false)] {
            let first = entry(4, hash, FILE, (0, b"a/.gxxx"), 0);
            let second = entry(4, hash, FILE, (4, suffix), 3);
            let vetted = vet(&whole(4, hash, &[first, second], b""), hash);
            assert_eq!(vetted.is_ok(), works, "{suffix:?}");
        }
        // More than there is.
        let entries = [entry(4, hash, FILE, (0, b"a"), 3)];
        assert!(vet(&whole(4, hash, &entries, b""), hash).is_err());
        // A length that is not the name's.
        let mut wrong = entry(2, hash, FILE, (0, b"abcd"), 0);
        let flags = 40 + usize::try_from(hash.length()).unwrap();
        wrong[flags + 1] = 3;
        assert!(vet(&whole(2, hash, &[wrong], b""), hash).is_err());
    }
    for garbage in [
        b"".as_slice(),
        b"DIRC",
        &[0; 200],
        &[0xff; 200],
        b"DIRC\0\0\0\x05\0\0\0\0xxxxxxxxxxxxxxxxxxxx",
    ] {
        assert!(vet(garbage, Hash::Sha1).is_err());
    }
}

#[test]
fn only_a_split_index_has_entries_without_a_name() {
    let entries = [entry(2, Hash::Sha1, FILE, (0, b""), 0)];
    let link = [b"link\0\0\0\x14".as_slice(), &[5; 20]].concat();
    let none = [b"link\0\0\0\x14".as_slice(), &[0; 20]].concat();
    assert!(vet(&whole(2, Hash::Sha1, &entries, &link), Hash::Sha1).is_ok());
    assert!(vet(&whole(2, Hash::Sha1, &entries, &none), Hash::Sha1).is_err());
    assert!(vet(&whole(2, Hash::Sha1, &entries, b""), Hash::Sha1).is_err());
}

/// git's threads begin in the middle, where they know no name before.
#[test]
fn threads_read_the_same_names() {
    let directory = tempfile::tempdir().unwrap();
    let hash = Hash::Sha1;
    let make = |shared: usize, removed: u8, move_end: u32| {
        let name = if shared == 0 {
            b"a.git/x".as_slice()
        } else {
            b".git/x"
        };
        let first = entry(4, hash, FILE, (0, b"ab"), 0);
        let second = entry(4, hash, FILE, (shared, name), removed);
        let start = 12 + u32::try_from(first.len()).unwrap();
        let end = start + u32::try_from(second.len()).unwrap();
        let mut more = b"IEOT\0\0\0\x14\0\0\0\x01".to_vec();
        for number in [12, 1, start, 1] {
            more.extend(u32::to_be_bytes(number));
        }
        more.extend(b"EOIE\0\0\0\x18");
        more.extend((end + move_end).to_be_bytes());
        more.extend([3; 20]);
        whole(4, hash, &[first, second], &more)
    };
    assert_eq!(vet_file(directory.path(), &make(0, 2, 0)), Ok(()));
    // Without threads this is `a.git/x`.
    assert_eq!(
        vet_file(directory.path(), &make(1, 1, 0)),
        Err(Errno::ACCESS)
    );
    assert_eq!(
        vet_file(directory.path(), &make(0, 2, 8)),
        Err(Errno::ACCESS)
    );
}

/// Names that appear where object names are longer.
#[test]
fn a_repository_of_unknown_object_names_is_read_in_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let benign = whole(
        2,
        Hash::Sha1,
        &[entry(2, Hash::Sha1, FILE, (0, b"abc"), 0)],
        b"",
    );
    assert_eq!(vet_file(directory.path(), &benign), Ok(()));
    let other = whole(
        2,
        Hash::Sha256,
        &[entry(2, Hash::Sha256, FILE, (0, b"abc"), 0)],
        b"",
    );
    assert_eq!(vet_file(directory.path(), &other), Err(Errno::ACCESS));
    fs::write(
        directory.path().join("config"),
        "[extensions]\n\tobjectFormat = sha256\n",
    )
    .unwrap();
    assert_eq!(vet_file(directory.path(), &other), Ok(()));
    // As 20 bytes these are none, as 32 bytes `..` follows the flags.
    let mut dual = benign.clone();
    dual.resize(12 + 40 + 32, 7);
    dual.extend([0, 4]);
    dual.extend(b"../a\0\0\0\0\0\0");
    assert!(index::misleads(dual.as_slice(), Hash::Sha256));
    assert!(!index::misleads(benign.as_slice(), Hash::Sha256));
}

#[test]
fn what_is_open_for_writing_or_has_other_names_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.lock");
    let bytes = whole(
        2,
        Hash::Sha1,
        &[entry(2, Hash::Sha1, FILE, (0, b"abc"), 0)],
        b"",
    );
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    assert_eq!(vet_file(directory.path(), &bytes), Ok(()));
    let mut held = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let (before, written) = (inode(), fs::metadata(&path).unwrap().modified().unwrap());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory.path(), flags, Mode::empty()).unwrap();
    let vetted = vet_index(opened.as_fd(), c"index.lock", opened.as_fd()).unwrap();
    held.write_all(b"more").unwrap();
    assert_ne!(before, inode());
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    drop(vetted);
    let copied = inode();
    fs::hard_link(&path, directory.path().join("second")).unwrap();
    vet_index(opened.as_fd(), c"index.lock", opened.as_fd()).unwrap();
    assert_ne!(copied, inode());
    // Nobody opens it meanwhile.
    let vetted = vet_index(opened.as_fd(), c"index.lock", opened.as_fd()).unwrap();
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    assert_eq!(
        rustix::fs::open(&path, flags, Mode::empty()).err(),
        Some(Errno::AGAIN)
    );
    drop(vetted);
    assert!(rustix::fs::open(&path, flags, Mode::empty()).is_ok());
}

/// A repository of git's own.
struct Repository {
    directory: tempfile::TempDir,
    format: &'static str,
}

impl Repository {
    fn git(&self, words: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=n", "-c", "user.email=a@b"]);
        command.args(words).current_dir(self.directory.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = command.output().expect("git runs");
        let errors = output.stderr.escape_ascii();
        assert!(output.status.success(), "{words:?}: {errors}");
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Vets what is there.
    fn look(&self, what: &str) {
        let place = self.directory.path().join(".git");
        let mut seen = 0;
        for entry in fs::read_dir(&place).unwrap() {
            let name = entry.unwrap().file_name();
            if super::parts::is_index(name.as_encoded_bytes()) {
                seen += 1;
                let bytes = fs::read(place.join(&name)).unwrap();
                let vetted = vet_file(&place, &bytes);
                assert_eq!(vetted, Ok(()), "{} {what} {name:?}", self.format);
                fs::remove_file(place.join("index.lock")).unwrap();
            }
        }
        assert!(seen > usize::from(what == "split"), "{what}");
    }
}

/// What git makes is harmless, in every version.
#[test]
fn git_makes_harmless_ones() {
    for format in ["sha1", "sha256"] {
        let directory = tempfile::tempdir().unwrap();
        let world = Repository { directory, format };
        world.git(&["init", "-q", &format!("--object-format={format}")]);
        world.git(&["read-tree", "--empty"]);
        world.look("empty");
        for directory in ["in", "out", "a\\b"] {
            for number in 0..40 {
                world.write(&format!("{directory}/file{number}"), "x");
            }
        }
        world.git(&["add", "in"]);
        world.look("first");
        world.git(&["add", "."]);
        world.git(&["commit", "-qm", "1"]);
        world.look("committed");
        for version in ["4", "3", "2"] {
            world.git(&["update-index", "--index-version", version]);
            world.look(version);
        }
        world.write("new", "x");
        world.git(&["add", "-N", "new"]);
        world.look("intent to add");
        look_at_extensions(&world);
    }
}

fn look_at_extensions(world: &Repository) {
    world.git(&["update-index", "--index-version", "4"]);
    let threads = [
        "-c",
        "index.threads=4",
        "-c",
        "index.recordEndOfIndexEntries=true",
    ];
    let table = ["-c", "index.recordOffsetTable=true", "add", "."];
    world.git(&[&threads[..], &table[..]].concat());
    world.look("threads");
    world.git(&["update-index", "--untracked-cache"]);
    world.git(&["status"]);
    world.look("untracked cache");
    world.git(&[
        "-c",
        "core.fsmonitor=/bin/true",
        "update-index",
        "--fsmonitor",
    ]);
    world.look("fsmonitor");
    world.git(&["commit", "-qam", "2"]);
    let split = [
        "-c",
        "splitIndex.maxPercentChange=100",
        "update-index",
        "--split-index",
    ];
    world.git(&split);
    world.write("in/file0", "changed");
    world.git(&["add", "."]);
    world.look("split");
    world.git(&["update-index", "--no-split-index"]);
    world.git(&["commit", "-qam", "3"]);
    world.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    world.look("sparse");
    world.git(&[
        "-c",
        "index.skipHash=true",
        "update-index",
        "--force-write-index",
    ]);
    world.look("without hash");
}

#[test]
fn a_large_one_is_read_at_once() {
    let entries: Vec<_> = (0..50_000)
        .map(|number| {
            let path = format!("some/directory/of/a/tree/file{number}");
            entry(2, Hash::Sha1, FILE, (0, path.as_bytes()), 0)
        })
        .collect();
    let bytes = whole(2, Hash::Sha1, &entries, b"");
    let start = std::time::Instant::now();
    assert!(vet(&bytes, Hash::Sha1).is_ok());
    assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
    eprintln!("{} bytes: {:?}", bytes.len(), start.elapsed());
}

/// Each entry of some seventy bytes has a name of many thousands.
#[test]
fn long_names_in_a_small_file_are_read_at_once() {
    let long = 60_000;
    let cases = [
        ("components", b"d/".repeat(long / 2), true),
        ("one component", b"d".repeat(long), false),
    ];
    for (what, first, works) in cases {
        let first = [first.as_slice(), b"-x"].concat();
        let mut entries = vec![entry(4, Hash::Sha1, FILE, (0, &first), 0)];
        for _ in 0..100_000 {
            entries.push(entry(4, Hash::Sha1, FILE, (0xfff, b"-x"), 2));
        }
        let bytes = whole(4, Hash::Sha1, &entries, b"");
        let start = std::time::Instant::now();
        assert_eq!(vet(&bytes, Hash::Sha1).is_ok(), works, "{what}");
        assert!(
            start.elapsed().as_millis() < 4000,
            "{what} {:?}",
            start.elapsed()
        );
        eprintln!("{what}: {} bytes: {:?}", bytes.len(), start.elapsed());
    }
}

/// What was looked at with the name before counts for an entry of another mode too.
#[test]
fn what_names_share_is_judged_for_each_mode() {
    const LINK: u32 = 0o120_000;
    const DIRECTORY: u32 = 0o040_000;
    let both = |first: (&[u8], u32), shared: usize, second: (&[u8], u32)| {
        let mut names = Names::default();
        assert!(names.may_follow(first.0, 0, first.1, 0), "{first:?}");
        names.may_follow(second.0, shared, second.1, 0)
    };
    assert!(both((b".gitmodules/a", FILE), 12, (b".gitmodules/b", FILE)));
    assert!(!both(
        (b".gitmodules/a", FILE),
        12,
        (b".gitmodules/b", LINK)
    ));
    assert!(!both((b".gitmodules", FILE), 11, (b".gitmodules", LINK)));
    assert!(both((b".gitmodules", FILE), 11, (b".gitmodulesx", LINK)));
    assert!(both((b".gitmodules", FILE), 5, (b".gitx", LINK)));
    assert!(!both((b"a/.gitx", FILE), 6, (b"a/.git", FILE)));
    assert!(!both((b"a/b", FILE), 2, (b"a/", FILE)));
    assert!(both((b"a/", DIRECTORY), 2, (b"a/", DIRECTORY)));
    assert!(!both((b"a/", DIRECTORY), 2, (b"a/", FILE)));
    assert!(!both((b"a/", DIRECTORY), 2, (b"a//", DIRECTORY)));
    assert!(!both((b"a/", DIRECTORY), 2, (b"a/../x", FILE)));
    // For who reads to the first zero.
    assert!(both((b"a/b\0/../x", FILE), 6, (b"a/b\0/../y", FILE)));
    assert!(!both((b"a/.git2\0x", FILE), 6, (b"a/.git\0x", FILE)));
}
