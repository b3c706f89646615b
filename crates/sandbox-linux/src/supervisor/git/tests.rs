//! The rules on real directories, each with a control, and against git's own opinion.
#![expect(
    clippy::disallowed_methods,
    reason = "tests run git and look at what is there"
)]

use std::{
    ffi::CString,
    fs,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::{MetadataExt, PermissionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};
use tempfile::TempDir;

use super::{
    Change, GitVerdict, NewName, Protected, Session, assemble, config, install_config, judge,
    vet_index,
};
use crate::supervisor::refusal::Writer;

/// A directory whose changes go through the module, as the supervisor makes them go.
struct Supervised {
    directory: TempDir,
    session: Session,
}

/// A change without descriptors.
#[derive(Clone, Copy, Debug)]
enum Plain<'p> {
    Create,
    Open,
    MakeDirectory,
    Onto(&'p str),
    Away,
    LinkOnto,
    LinkAway,
    Symlink,
    Node,
    Remove,
    Metadata,
}

impl Supervised {
    fn new() -> Self {
        Self::with_open(Vec::new())
    }

    fn with_open(open: Vec<Protected>) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            session: Session::new(open),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes as the host would: unjudged.
    fn host(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A repository that was there before.
    fn foreign(&self, path: &str) {
        for directory in ["objects/info", "refs/heads", "hooks", "info"] {
            fs::create_dir_all(self.path(path).join(directory)).unwrap();
        }
        fs::write(self.path(path).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(self.path(path).join("config"), "[core]\n\tbare = false\n").unwrap();
    }

    /// A repository made as `git init` makes it.
    fn own(&mut self, path: &str) {
        for name in ["", "hooks", "info", "refs"] {
            self.mkdir(&format!("{path}/{name}")).unwrap();
        }
        self.write(&format!("{path}/config.lock"), "[core]\n\tbare = true\n")
            .unwrap();
        self.rename(&format!("{path}/config.lock"), &format!("{path}/config"))
            .unwrap();
        self.write(&format!("{path}/HEAD"), "ref: refs/heads/main\n")
            .unwrap();
        self.mkdir(&format!("{path}/objects")).unwrap();
        self.mkdir(&format!("{path}/objects/info")).unwrap();
    }

    fn place(&self, path: &str) -> (OwnedFd, PathBuf, CString) {
        let path = self.path(path.trim_end_matches('/'));
        let parent = fs::canonicalize(path.parent().unwrap()).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&parent, flags, Mode::empty()).unwrap();
        let name = CString::new(path.file_name().unwrap().as_bytes()).unwrap();
        (directory, parent, name)
    }

    fn ask(&mut self, path: &str, plain: Plain<'_>) -> GitVerdict {
        let (directory, parent, name) = self.place(path);
        let from = if let Plain::Onto(from) = plain {
            Some((self.place(from), self.path(from)))
        } else {
            None
        };
        let change = match (plain, &from) {
            (Plain::Onto(_), Some(((parent, _, name), path))) => Change::RenameOnto {
                source_is_directory: fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()),
                from_parent: parent.as_fd(),
                from_name: name,
            },
            (Plain::Create, _) => Change::CreateFile,
            (Plain::Open | Plain::Onto(_), _) => Change::OpenExistingForWrite,
            (Plain::MakeDirectory, _) => Change::MakeDirectory,
            (Plain::Away, _) => Change::RenameAway,
            (Plain::LinkOnto, _) => Change::LinkOnto,
            (Plain::LinkAway, _) => Change::LinkAway,
            (Plain::Symlink, _) => Change::SymlinkOnto,
            (Plain::Node, _) => Change::MakeNode,
            (Plain::Remove, _) => Change::Remove,
            (Plain::Metadata, _) => Change::Metadata,
        };
        let parent = parent.as_os_str().as_bytes();
        judge(&mut self.session, directory.as_fd(), parent, &name, &change)
    }

    /// Judges as the supervisor does; true: to be performed, false: done already.
    fn allow(&mut self, path: &str, plain: Plain<'_>) -> Result<bool, Errno> {
        let verdict = self.ask(path, plain);
        let (directory, parent, name) = self.place(path);
        let parent = parent.as_os_str().as_bytes();
        match verdict {
            GitVerdict::Refuse => return Err(Errno::ACCESS),
            GitVerdict::Permit | GitVerdict::PermitStandIn => return Ok(true),
            GitVerdict::VetConfig => {
                let Plain::Onto(from) = plain else {
                    panic!("{plain:?}")
                };
                let (from, _, source) = self.place(from);
                let source = (from.as_fd(), source.as_c_str());
                install_config(&self.session, source, (directory.as_fd(), parent), &name)?;
                return Ok(false);
            }
            GitVerdict::Assemble => assemble(&mut self.session, directory.as_fd(), parent)?,
            GitVerdict::VetIndex => {
                let Plain::Onto(from) = plain else {
                    panic!("{plain:?}")
                };
                let (from, _, lock) = self.place(from);
                vet_index(from.as_fd(), &lock, directory.as_fd())?;
            }
            GitVerdict::Pass | GitVerdict::StandIn => {}
        }
        if is_in_table(path) {
            Err(Errno::ACCESS)
        } else {
            Ok(true)
        }
    }

    fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        self.allow(path, Plain::MakeDirectory)?;
        let (directory, parent, name) = self.place(path);
        rustix::fs::mkdirat(&directory, &name, Mode::from_bits_retain(0o755))?;
        let parent = parent.as_os_str().as_bytes();
        self.session.note_created(directory.as_fd(), parent, &name);
        Ok(())
    }

    /// Creates a file, or opens it for writing; the descriptor stays with the command.
    fn open(&mut self, path: &str) -> Result<OwnedFd, Errno> {
        let (directory, parent, name) = self.place(path);
        let verdicts = [GitVerdict::StandIn, GitVerdict::PermitStandIn];
        let stands_in = verdicts.contains(&self.ask(path, Plain::Create));
        let is_there = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        self.allow(path, if is_there { Plain::Open } else { Plain::Create })?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &name, flags, Mode::from_bits_retain(0o644))?;
        if !is_there {
            let session = &mut self.session;
            if stands_in {
                let named = NewName {
                    directory: directory.as_fd(),
                    path: parent.as_os_str().as_bytes(),
                    name: &name,
                };
                return session.stand_in(named, (file.as_fd(), flags), Writer::unknown, reopen);
            }
            session.note_file(directory.as_fd(), &name, file.as_fd());
        }
        Ok(file)
    }

    fn write(&mut self, path: &str, content: &str) -> Result<OwnedFd, Errno> {
        let file = self.open(path)?;
        rustix::io::write(&file, content.as_bytes()).unwrap();
        Ok(file)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        self.allow(from, Plain::Away)?;
        if self.allow(to, Plain::Onto(from))? {
            fs::rename(self.path(from), self.path(to)).unwrap();
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), Errno> {
        self.allow(path, Plain::Remove)?;
        let path = self.path(path);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        Ok(())
    }

    /// Looks what is closed; the paths of what is refused.
    fn settle(&mut self) -> Vec<String> {
        let refused = std::cell::RefCell::new(Vec::new());
        let top = fs::canonicalize(self.directory.path()).unwrap();
        self.session.settle(|pending, _unfit| {
            let path = PathBuf::from(std::ffi::OsString::from_vec(pending.path()));
            let path = path.strip_prefix(&top).unwrap().to_owned();
            refused.borrow_mut().push(path.display().to_string());
        });
        refused.into_inner()
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<(), Errno> {
        self.allow(path, Plain::Symlink)?;
        symlink(target, self.path(path)).unwrap();
        Ok(())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }
}

fn reopen(file: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty())
}

/// The rows of the table that matter here.
fn is_in_table(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some(start) = parts.iter().position(|part| *part == ".git") else {
        return false;
    };
    let inside = &parts[start + 1..];
    let last = inside.last().copied().unwrap_or("");
    match inside.first().copied() {
        Some("hooks" | "remotes" | "branches") => true,
        Some("config" | "config.worktree") => inside.len() == 1,
        Some("modules") => {
            inside.contains(&"hooks") || matches!(last, "config" | "config.worktree")
        }
        _ => path.ends_with(".git/info/attributes") || path.ends_with("objects/info/alternates"),
    }
}

const PLANTING: [Plain<'_>; 7] = [
    Plain::Create,
    Plain::Open,
    Plain::Onto("plain"),
    Plain::LinkOnto,
    Plain::Symlink,
    Plain::Node,
    Plain::Metadata,
];

#[test]
fn what_a_foreign_repository_executes_stays_as_it_is() {
    let mut world = Supervised::new();
    world.foreign("x");
    world.host("plain", "");
    world.host("x/hooks/lib/deep/file", "");
    world.host("x/branches/deep/origin", "");
    world.host("x/remotes/origin", "");
    for path in [
        "x/hooks",
        "x/hooks/pre-commit",
        "x/hooks/new.sample",
        "x/hooks/lib/deep/file",
        "x/remotes",
        "x/remotes/origin",
        "x/branches",
        "x/branches/deep/origin",
        "x/config",
        "x/Config",
        "x/con\u{fb01}g",
        "x/hoo\u{212a}\u{17f}",
        "x/config.worktree",
        "x/info/attributes",
        "x/objects/info/alternates",
        "x/commondir",
    ] {
        for change in PLANTING {
            assert_eq!(
                world.ask(path, change),
                GitVerdict::Refuse,
                "{path} {change:?}"
            );
        }
        for change in [Plain::MakeDirectory, Plain::Away, Plain::LinkAway] {
            assert_eq!(
                world.ask(path, change),
                GitVerdict::Refuse,
                "{path} {change:?}"
            );
        }
        assert_eq!(world.ask(path, Plain::Remove), GitVerdict::Pass, "{path}");
        // The same names next to it mean nothing.
        let control = path.replacen("x/", "y/", 1);
        fs::create_dir_all(world.path(&control).parent().unwrap()).unwrap();
        for change in PLANTING {
            assert_eq!(
                world.ask(&control, change),
                GitVerdict::Pass,
                "{control} {change:?}"
            );
        }
    }
}

#[test]
fn directories_and_links_do_not_take_the_place_of_parts() {
    let mut world = Supervised::new();
    world.foreign("x");
    fs::create_dir(world.path("evil")).unwrap();
    for part in ["hooks", "info", "objects", "objects/info", "config"] {
        let path = format!("x/{part}");
        assert_eq!(
            world.ask(&path, Plain::Onto("evil")),
            GitVerdict::Refuse,
            "{part}"
        );
        assert_eq!(
            world.ask(&path, Plain::Symlink),
            GitVerdict::Refuse,
            "{part}"
        );
    }
    for part in ["modules", "logs", "worktrees", "rebase-merge"] {
        assert_eq!(
            world.ask(&format!("x/{part}"), Plain::Onto("evil")),
            GitVerdict::Pass
        );
    }
}

#[test]
fn work_in_a_foreign_repository_is_not_hindered() {
    let mut world = Supervised::new();
    world.foreign("x");
    world.host("x/refs/heads/hooks/topic", "");
    world.host("x/index.lock", "");
    for path in [
        "index.lock",
        "HEAD",
        "HEAD.lock",
        "refs/heads/config",
        "refs/heads/hooks/topic",
        "refs/heads/HEAD",
        "packed-refs",
        "packed-refs.new",
        "objects/incoming-x",
        "objects/aa",
        "objects/info/packs",
        "ORIG_HEAD",
        "MERGE_MSG",
        "rebase-merge",
        "worktrees",
        "COMMIT_EDITMSG",
        "info/exclude",
        "info/refs",
        "info/sparse-checkout",
        "description",
        "gc.pid",
        "gc.log",
        "shallow",
        "FETCH_HEAD",
        "modules",
        "commondir.lock",
        "refs",
        "objects",
        "info",
    ] {
        let path = format!("x/{path}");
        for change in [
            Plain::Create,
            Plain::Open,
            Plain::MakeDirectory,
            Plain::Metadata,
        ] {
            assert_eq!(world.ask(&path, change), GitVerdict::Pass, "{path}");
        }
    }
    assert_eq!(
        world.ask("x/index", Plain::Onto("x/index.lock")),
        GitVerdict::VetIndex
    );
    assert_eq!(world.ask("x/index", Plain::Create), GitVerdict::StandIn);
    world.host("x/index", "");
    // Written in place, it is vetted as one that is made by its own name.
    assert_eq!(world.ask("x/index", Plain::Open), GitVerdict::StandIn);
    for change in [
        Plain::LinkAway,
        Plain::LinkOnto,
        Plain::Symlink,
        Plain::Node,
    ] {
        assert_eq!(
            world.ask("x/index", change),
            GitVerdict::Refuse,
            "{change:?}"
        );
    }
    for change in [Plain::Away, Plain::Remove, Plain::Metadata] {
        assert_eq!(world.ask("x/index", change), GitVerdict::Pass, "{change:?}");
    }
    assert_eq!(
        world.ask("x/HEAD", Plain::Onto("x/index.lock")),
        GitVerdict::Pass
    );
}

#[test]
fn a_common_directory_needs_no_head() {
    let mut world = Supervised::new();
    fs::create_dir_all(world.path("c/objects")).unwrap();
    assert_eq!(world.ask("c/config", Plain::Create), GitVerdict::Pass);
    symlink("missing", world.path("c/refs")).unwrap();
    assert_eq!(world.ask("c/config", Plain::Create), GitVerdict::Refuse);
    // Nor needs the directory of a worktree objects.
    world.host("w/HEAD", "");
    assert_eq!(
        world.ask("w/config.worktree", Plain::Create),
        GitVerdict::Pass
    );
    world.host("w/commondir", "../c");
    assert_eq!(
        world.ask("w/config.worktree", Plain::Create),
        GitVerdict::Refuse
    );
    // HEAD as a directory is none.
    fs::create_dir_all(world.path("d/HEAD")).unwrap();
    fs::create_dir_all(world.path("d/objects")).unwrap();
    assert_eq!(world.ask("d/hooks", Plain::MakeDirectory), GitVerdict::Pass);
}

#[test]
fn a_directory_with_something_dangerous_does_not_become_a_repository() {
    let dangers: [(&str, &str); 8] = [
        ("hooks/pre-commit", ""),
        ("hooks/a.sample/x", ""),
        ("hooks/.sample\u{e9}", ""),
        ("hooks", ""),
        ("config", "[core]\n\tfsmonitor = ./evil\n"),
        ("config.worktree", "[core]\n\thooksPath = x\n"),
        ("info/attributes", "* filter=x\n"),
        ("info", ""),
    ];
    for piece in ["HEAD", "objects", "refs", "commondir"] {
        for danger in dangers.iter().map(Some).chain([None]) {
            let mut world = Supervised::new();
            fs::create_dir(world.path("x")).unwrap();
            if piece == "HEAD" || piece == "refs" {
                fs::create_dir(world.path("x/objects")).unwrap();
            } else {
                world.host("x/HEAD", "");
            }
            if let Some((path, content)) = danger {
                world.host(&format!("x/{path}"), content);
            }
            world.host("x/hooks.lock", "");
            let path = format!("x/{piece}");
            // A directory in `hooks` of a harmless name is not executed.
            let is_harmless = danger.is_none_or(|(path, _)| *path == "hooks/a.sample/x");
            for change in [
                Plain::Create,
                Plain::Symlink,
                Plain::LinkOnto,
                Plain::Onto("x/hooks.lock"),
            ] {
                assert_eq!(
                    world.ask(&path, change),
                    GitVerdict::Assemble,
                    "{path} {change:?}"
                );
                let allowed = world.allow(&path, change);
                assert_eq!(allowed.is_ok(), is_harmless, "{path} {change:?} {danger:?}");
            }
        }
    }
}

#[test]
fn a_repository_that_was_taken_apart_is_not_put_together() {
    for piece in ["HEAD", "objects", "refs"] {
        let mut world = Supervised::new();
        world.foreign("x");
        let others = ["HEAD", "refs"].iter().filter(|other| **other != piece);
        let others: Vec<_> = others.collect();
        for other in others {
            world
                .rename(&format!("x/{other}"), &format!("{other}.away"))
                .unwrap();
        }
        world.rename(&format!("x/{piece}"), "away").unwrap();
        world.rename("x/config", "x/stolen").unwrap();
        world
            .write(
                "x/config",
                "[remote \"origin\"]\n\turl = https://evil.example/\n",
            )
            .unwrap();
        let mut refused = world.rename("away", &format!("x/{piece}")).is_err();
        for other in ["HEAD", "refs"] {
            let away = format!("{other}.away");
            if fs::symlink_metadata(world.path(&away)).is_ok() {
                refused |= world.rename(&away, &format!("x/{other}")).is_err();
            }
        }
        assert!(refused, "{piece}");
    }
    // What the session made itself may be rebuilt.
    let mut world = Supervised::new();
    world.own("x");
    world.remove("x/HEAD").unwrap();
    world.write("x/HEAD", "ref: refs/heads/main\n").unwrap();
}

#[test]
fn moving_a_repository_keeps_it_closed() {
    let mut world = Supervised::new();
    world.foreign("sub/.git");
    world.rename("sub/.git", "sub/.g2").unwrap();
    assert_eq!(world.mkdir("sub/.g2/hooks/x"), Err(Errno::ACCESS));
    assert!(world.write("sub/.g2/hooks/pre-commit", "").is_err());
    assert!(world.write("sub/.g2/config", "").is_err());
    assert!(world.write("sub/.g2/description", "").is_ok());
}

#[test]
fn git_init_works_and_planting_does_not() {
    for path in [".git", "b.git", "y", "deep"] {
        let mut world = Supervised::new();
        world.own(path);
        world.host("plain", "");
        let at = |name: &str| format!("{path}/{name}");
        world
            .write(&at("hooks/pre-commit.sample"), "#!/bin/sh\n")
            .unwrap();
        for name in [
            "hooks/pre-commit",
            "hooks/x/pre.sample",
            "info/attributes",
            "config",
        ] {
            fs::create_dir_all(world.path(&at("hooks/x"))).unwrap();
            for change in PLANTING {
                let verdict = world.ask(&at(name), change);
                // The mode, and what is vetted.
                let is_harmless = name == "config"
                    && matches!(
                        change,
                        Plain::Metadata | Plain::Create | Plain::Open | Plain::Onto(_)
                    );
                let expected = !is_harmless;
                assert_eq!(verdict == GitVerdict::Refuse, expected, "{name} {change:?}");
            }
        }
        let sample = at("hooks/pre-commit.sample");
        assert!(world.rename(&sample, &at("hooks/pre-commit")).is_err());
        assert!(world.symlink("../../evil", &at("hooks/x.sample")).is_err());
        world
            .write(&at("config.lock"), "[core]\n\tfsmonitor = ./evil\n")
            .unwrap();
        assert!(world.rename(&at("config.lock"), &at("config")).is_err());
        assert_eq!(world.read(&at("config")), "[core]\n\tbare = true\n");
        assert!(fs::metadata(world.path(&at("config.lock"))).is_ok());
        world.write(&at("objects/info/alternates"), "/o\n").unwrap();
        fs::remove_dir(world.path(&at("hooks/x"))).unwrap();
        for name in ["hooks/pre-commit.sample", "hooks", "config"] {
            world.remove(&at(name)).unwrap();
        }
    }
}

#[test]
fn a_draft_permits_no_more_than_git_init_does() {
    let mut world = Supervised::new();
    world.mkdir(".git").unwrap();
    world.mkdir(".git/hooks").unwrap();
    world.write(".git/hooks/x.sample", "").unwrap();
    assert!(world.write(".git/hooks/pre-commit", "").is_err());
    world
        .write(".git/config", "[alias]\n\tst = !evil\n")
        .unwrap();
    assert_eq!(world.read(".git/config"), "");
    assert_eq!(world.settle(), [".git/config"]);
    assert!(fs::symlink_metadata(world.path(".git/config")).is_err());
    world
        .write(".git/config.lock", "[alias]\n\tst = !evil\n")
        .unwrap();
    assert!(world.rename(".git/config.lock", ".git/config").is_err());
    // One that was there before is not ours to fill.
    let mut world = Supervised::new();
    fs::create_dir_all(world.path(".git/hooks")).unwrap();
    assert!(world.mkdir(".git/hooks").is_err());
    assert!(world.write(".git/hooks/x.sample", "").is_err());
    // A repository in such a place does not open it.
    assert_eq!(
        world.ask(".git/hooks/.git", Plain::MakeDirectory),
        GitVerdict::Pass
    );
    fs::create_dir(world.path(".git/hooks/.git")).unwrap();
    let (directory, parent, name) = world.place(".git/hooks/.git");
    let parent = parent.as_os_str().as_bytes().to_vec();
    world
        .session
        .note_created(directory.as_fd(), &parent, &name);
    assert_eq!(
        world.ask(".git/hooks/.git/hooks", Plain::MakeDirectory),
        GitVerdict::Pass
    );
    // An ordinary directory called `hooks` is no obstacle.
    fs::create_dir_all(world.path("src/hooks")).unwrap();
    world.own("src/hooks/.git");
}

#[test]
fn a_held_descriptor_changes_no_settings() {
    let mut world = Supervised::new();
    world.own("x");
    let held = world
        .write("x/config.lock", "[core]\n\tbare = false\n")
        .unwrap();
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(world.path("x/config.lock"), mode).unwrap();
    world.rename("x/config.lock", "x/config").unwrap();
    assert!(fs::symlink_metadata(world.path("x/config.lock")).is_err());
    rustix::io::write(&held, b"[core]\n\tfsmonitor = ./evil\n").unwrap();
    assert_eq!(world.read("x/config"), "[core]\n\tbare = false\n");
    assert_eq!(
        fs::metadata(world.path("x/config")).unwrap().mode() & 0o7777,
        0o640
    );
    // The same before it is a repository.
    world.mkdir("y").unwrap();
    world.mkdir("y/objects").unwrap();
    let held = world.write("y/config", "[core]\n\tbare = true\n").unwrap();
    world.write("y/HEAD", "").unwrap();
    rustix::io::write(&held, b"[core]\n\tfsmonitor = ./evil\n").unwrap();
    assert_eq!(world.read("y/config"), "[core]\n\tbare = true\n");
    // Whatever file it was before.
    for other in ["x/other", "config.lock", "index"] {
        let held = world.write(other, "[core]\n\tbare = true\n").unwrap();
        world.rename(other, "x/config").unwrap();
        rustix::io::write(&held, b"[core]\n\tfsmonitor = ./evil\n").unwrap();
        assert_eq!(world.read("x/config"), "[core]\n\tbare = true\n");
        assert!(fs::symlink_metadata(world.path(other)).is_err());
        world
            .write(other, "[core]\n\tfsmonitor = ./evil\n")
            .unwrap();
        assert!(world.rename(other, "x/config").is_err());
        world.remove(other).unwrap();
    }
    // Not while another has the lock.
    world.host("x/config.lock", "");
    world.write("x/other", "[core]\n\tbare = false\n").unwrap();
    assert_eq!(world.rename("x/other", "x/config"), Err(Errno::BUSY));
    assert_eq!(world.read("x/other"), "[core]\n\tbare = false\n");
}

#[test]
fn what_is_written_to_settings_waits_until_it_is_closed() {
    let mut world = Supervised::new();
    world.own("x");
    world.remove("x/config").unwrap();
    let held = world.write("x/config", "[core]\n").unwrap();
    let second = rustix::io::fcntl_dupfd_cloexec(&held, 0).unwrap();
    drop(held);
    assert!(world.settle().is_empty());
    assert_eq!(world.read("x/config"), "");
    rustix::io::write(&second, b"\tbare = true\n").unwrap();
    // While somebody has the lock.
    world.host("x/config.lock", "");
    drop(second);
    assert!(world.settle().is_empty());
    assert_eq!(world.read("x/config"), "");
    fs::remove_file(world.path("x/config.lock")).unwrap();
    assert!(world.settle().is_empty());
    assert_eq!(world.read("x/config"), "[core]\n\tbare = true\n");
    assert!(!world.session.has_pending());
    // Its directory becomes a repository meanwhile, and what had been opened there is another file.
    world.mkdir(".git").unwrap();
    let waiting = world.write(".git/config", "[core]\n").unwrap();
    let opened = fs::OpenOptions::new()
        .write(true)
        .open(world.path(".git/config"))
        .unwrap();
    for name in ["refs", "objects"] {
        world.mkdir(&format!(".git/{name}")).unwrap();
    }
    rustix::io::write(&opened, b"[core]\n\tfsmonitor = ./evil\n").unwrap();
    assert_eq!(world.read(".git/config"), "");
    rustix::io::write(&waiting, b"\tbare = false\n").unwrap();
    drop(waiting);
    assert!(world.settle().is_empty());
    assert_eq!(world.read(".git/config"), "[core]\n\tbare = false\n");
}

/// An index that waits was opened while its directory was no repository for a while.
#[test]
fn an_index_that_waits_is_held_by_nobody_when_a_repository_is_made() {
    let mut world = Supervised::new();
    world.own("x");
    let _waiting = world.write("x/index", "").unwrap();
    for name in ["objects/info", "objects"] {
        world.remove(&format!("x/{name}")).unwrap();
    }
    let path = world.path("x/index");
    let opened = fs::OpenOptions::new().write(true).open(path).unwrap();
    assert!(world.mkdir("x/objects").is_err());
    drop(opened);
    world.mkdir("x/objects").unwrap();
}

#[test]
fn only_small_regular_files_are_installed() {
    let mut world = Supervised::new();
    world.own("x");
    let long = "# long\n".repeat(40_000);
    world.write("x/config.lock", &long).unwrap();
    assert_eq!(
        world.rename("x/config.lock", "x/config"),
        Err(Errno::ACCESS)
    );
    world.remove("x/config.lock").unwrap();
    world.write("plain", "").unwrap();
    assert!(world.symlink("../plain", "x/config.lock").is_err());
    symlink("../plain", world.path("x/config.lock")).unwrap();
    assert!(world.rename("x/config.lock", "x/config").is_err());
    fs::remove_file(world.path("x/config.lock")).unwrap();
    let fifo = world.path("x/config.lock");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, fifo, kind, Mode::RUSR, 0).unwrap();
    assert!(world.rename("x/config.lock", "x/config").is_err());
}

#[test]
fn a_working_tree_must_point_back() {
    let mut world = Supervised::new();
    world.foreign(".git");
    world.mkdir(".git/modules").unwrap();
    world.own(".git/modules/sub");
    let settings = "[core]\n\tworktree = ../../../sub\n";
    for (pointer, works) in [
        (None, false),
        (Some("gitdir: ../.git\n"), false),
        (Some("gitdir: ../.git/modules/sub\n"), true),
    ] {
        if let Some(pointer) = pointer {
            world.host("sub/.git", pointer);
        }
        world
            .write(".git/modules/sub/config.lock", settings)
            .unwrap();
        let renamed = world.rename(".git/modules/sub/config.lock", ".git/modules/sub/config");
        assert_eq!(renamed.is_ok(), works, "{pointer:?}");
        fs::remove_file(world.path(".git/modules/sub/config.lock")).unwrap_or(());
    }
}

#[test]
fn worktrees_are_added_to_a_foreign_repository() {
    let mut world = Supervised::new();
    world.foreign(".git");
    for directory in [
        ".git/worktrees",
        ".git/worktrees/w",
        ".git/worktrees/w/refs",
    ] {
        world.mkdir(directory).unwrap();
    }
    world.write(".git/worktrees/w/gitdir", "/w/.git\n").unwrap();
    world
        .write(".git/worktrees/w/commondir", "../..\n")
        .unwrap();
    world
        .write(".git/worktrees/w/HEAD.lock", "ref: refs/heads/w\n")
        .unwrap();
    world
        .rename(".git/worktrees/w/HEAD.lock", ".git/worktrees/w/HEAD")
        .unwrap();
    assert!(world.write(".git/worktrees/w/commondir", "/evil").is_err());
    let evil = "[core]\n\tfsmonitor = ./evil\n";
    world
        .write(".git/worktrees/w/config.worktree", evil)
        .unwrap();
    assert_eq!(world.settle(), [".git/worktrees/w/config.worktree"]);
    for name in ["HEAD", "commondir", "gitdir", "refs"] {
        world.remove(&format!(".git/worktrees/w/{name}")).unwrap();
    }
}

#[test]
fn branches_of_a_foreign_repository_may_follow_others() {
    let mut world = Supervised::new();
    world.foreign("x");
    let before = "[alias]\n\tst = !x\n[remote \"origin\"]\n\turl = y\n";
    world.host("x/config", before);
    for (after, works) in [
        ("", true),
        (
            "[branch \"b\"]\n\tremote = origin\n\tmerge = refs/heads/b\n",
            true,
        ),
        (
            "[branch \"c\"]\n\tremote = .\n\tmerge = refs/heads/b\n",
            true,
        ),
        ("", true),
        ("[branch \"b\"]\n\tremote = evil\n", false),
        ("[branch \"b\"]\n\tremote = https://evil.example/\n", false),
        ("[branch \"b\"]\n\tmergeoptions = x\n", false),
        ("[branch \"b\"]\n[core]\n", false),
        ("[branch \"b\"] [core]\n\tfsmonitor = x\n", false),
        ("# \\\n[branch \"b\"]\n", false),
        ("\tpushurl = z\n", false),
    ] {
        world
            .write("x/config.lock", &format!("{before}{after}"))
            .unwrap();
        let renamed = world.rename("x/config.lock", "x/config");
        assert_eq!(renamed.is_ok(), works, "{after}");
        let wanted = if works {
            format!("{before}{after}")
        } else {
            before.to_owned()
        };
        assert_eq!(world.read("x/config"), wanted);
        fs::remove_file(world.path("x/config.lock")).unwrap_or(());
    }
    // A section in the middle takes nothing from the one before it.
    let moved = before.replace("[alias]\n", "[alias]\n[branch \"b\"]\n");
    world.write("x/config.lock", &moved).unwrap();
    assert!(world.rename("x/config.lock", "x/config").is_err());
}

#[test]
fn settings_open_places() {
    let mut world = Supervised::with_open(vec![Protected::Config]);
    world.foreign("x");
    assert_eq!(world.ask("x/config", Plain::Open), GitVerdict::Pass);
    assert_eq!(world.ask("x/hooks/y", Plain::Create), GitVerdict::Refuse);
}

#[test]
fn harmless_settings_are_accepted() {
    for content in [
        "",
        "\n\t\n# comment\n; comment",
        "[core]\n\trepositoryformatversion = 0\n\tFileMode=TRUE\n",
        "[remote \"origin\"]\n\turl = git@github.com:a/b.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        "[remote \"a b\"]\n\turl = \"/tmp/a;b #c\"\n",
        "[remote \"o\"]\n\turl = ssh://git@[::1]:22/x\n",
        "[remote \"o\"]\n\turl = ../b c.git\n\tmirror = true\n",
        "[branch \"main\"]\n\tremote = .\n\tmerge = refs/heads/m\u{e4}in\n\trebase = true\n",
        "[submodule]\n\tactive = .\n[submodule \"s\"]\n\turl = /x\n",
        "[extensions]\n\tworktreeConfig = true\n[user]\n\tname = A B\n\temail = a@b\n",
    ] {
        assert!(config::vet(content.as_bytes()).is_ok(), "{content}");
    }
}

#[test]
fn all_other_settings_are_refused() {
    for line in [
        "fsmonitor = x",
        "hooksPath = x",
        "sshCommand = x",
        "editor = x",
        "pager = x",
        "attributesFile = x",
        "gitProxy = x",
        "alternateRefsCommand = x",
        "worktree = /home",
        "worktree = -x",
        "bare",
        "bare = true ; x",
        "bare = tr\\\n\tue",
        "bare = \"true\" \"\"",
        "bare = true\r",
        "bare = true\u{b}",
        "bare\u{a0}= true",
        "1bare = true",
        "= true",
    ] {
        assert!(
            config::vet(format!("[core]\n\t{line}\n").as_bytes()).is_err(),
            "{line}"
        );
    }
    for content in [
        "bare = true\n",
        "[core] bare = true\n",
        "[core]\n[include]\n\tpath = x\n",
        "[include]\n",
        "[includeIf \"gitdir:x\"]\n\tpath = x\n",
        "[alias]\n\tst = !x\n",
        "[filter \"x\"]\n\tclean = x\n",
        "[diff]\n\texternal = x\n",
        "[merge \"x\"]\n\tdriver = x\n",
        "[credential]\n\thelper = x\n",
        "[gpg]\n\tprogram = x\n",
        "[http]\n\tproxy = x\n",
        "[url \"x\"]\n\tinsteadOf = y\n",
        "[uploadpack]\n\tpackObjectsHook = x\n",
        "[core \"x\"]\n\tbare = true\n",
        "[core.x]\n\tbare = true\n",
        "[remote]\n\turl = x\n",
        "[remote \"a\"b\"]\n\turl = x\n",
        "[remote \"a\\\"]\n\turl = x\n",
        "[remote \"o\"]\n\tuploadpack = x\n",
        "[remote \"o\"]\n\treceivepack = x\n",
        "[remote \"o\"]\n\tvcs = x\n",
        "[remote \"o\"]\n\tproxy = x\n",
        "[submodule \"s\"]\n\tupdate = !x\n",
        "[commit]\n\tgpgsign = true\n",
        "[core]\n\tworktree = ../a\n\tworktree = ../b\n",
        "\u{feff}[core]\n\tbare = true\n",
        "[core]\n\tbare = true\0\n",
    ] {
        let is_empty_section = content == "[include]\n";
        assert_eq!(
            config::vet(content.as_bytes()).is_ok(),
            is_empty_section,
            "{content}"
        );
    }
    assert!(config::vet(b"[core]\n# \xff\n").is_err());
    assert!(config::vet(format!("# {}\n", "x".repeat(5000)).as_bytes()).is_err());
}

#[test]
fn locations_name_no_helper_and_no_option() {
    for location in [
        "ext::sh -c x",
        "fd::3",
        "foo::bar",
        "::x",
        "-x",
        "--upload-pack=x",
        "ssh://-oProxy/x",
        "ssh://a@-oProxy/x",
        "-oProxy:x",
        "a@-oProxy:x",
        "a@b:-x",
        "foo://x",
        "ext://x",
        "ssh://%2doProxy/x",
        "https://a%0ab/x",
        "https+x://a",
        "",
        "[-x]:y",
    ] {
        for key in ["url", "pushurl"] {
            let content = format!("[remote \"o\"]\n\t{key} = {location}\n");
            assert!(config::vet(content.as_bytes()).is_err(), "{location}");
        }
        let content = format!("[branch \"o\"]\n\tremote = {location}\n");
        assert!(config::vet(content.as_bytes()).is_err(), "{location}");
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "init.defaultBranch=main",
        "-c",
        "user.name=n",
        "-c",
        "user.email=a@b",
    ]);
    command.args([
        "-c",
        "protocol.file.allow=always",
        "-c",
        "commit.gpgsign=false",
    ]);
    command
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().expect("git runs");
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

/// Whatever git accepts from a text that was found harmless is in the list.
#[test]
fn git_reads_what_was_vetted() {
    let world = Supervised::new();
    let pieces = [
        "[core]",
        "[Core]",
        "[remote \"o\"]",
        "[remote \"a=b] #\"]",
        "[include]",
        "\n",
        "\t",
        " ",
        "bare",
        "=",
        " = ",
        "true",
        "path",
        "url",
        "fsmonitor",
        "x",
        "\"",
        "#",
        ";",
        "\\",
        "\r",
        "]",
        "[",
        "fetch = a",
        "worktree = a",
        "-",
        "remote.o",
        "name",
        "[user]\n",
    ];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(bound).unwrap()).unwrap()
    };
    let allowed = [
        "core.bare",
        "core.worktree",
        "remote.o.url",
        "remote.o.fetch",
        "remote.a=b] #.url",
        "remote.a=b] #.fetch",
        "user.name",
    ];
    let mut accepted = 0;
    for _ in 0..400_000 {
        let count = 3 + next(10);
        let content: String = (0..count).map(|_| pieces[next(pieces.len())]).collect();
        if config::vet(content.as_bytes()).is_err() || !content.contains('=') {
            continue;
        }
        accepted += 1;
        if accepted > 400 {
            break;
        }
        world.host("c", &content);
        let listed = git(&world.path(""), &["config", "-z", "-f", "c", "--list"]);
        let listed = listed.unwrap_or_else(|| panic!("git can't read {content:?}"));
        for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
            let (key, _) = entry.split_once('\n').unwrap_or((entry, ""));
            assert!(allowed.contains(&key), "{key} in {content:?}");
        }
    }
    assert!(accepted > 20, "{accepted}");
}

/// What `git rev-parse` resolves is closed, whatever it is called.
#[test]
fn what_git_resolves_is_closed() {
    let mut world = Supervised::new();
    let root = world.path("");
    let run = |directory: &str, arguments: &[&str]| {
        git(&root.join(directory), arguments).unwrap_or_else(|| panic!("git {arguments:?}"));
    };
    run("", &["init", "-q", "a"]);
    run("a", &["commit", "-q", "--allow-empty", "-m", "1"]);
    run("", &["init", "-q", "--bare", "odd name"]);
    run("", &["init", "-q", "--separate-git-dir=elsewhere", "s"]);
    run("s", &["commit", "-q", "--allow-empty", "-m", "1"]);
    run("", &["clone", "-q", "--mirror", "a", "mirror"]);
    run("a", &["worktree", "add", "-q", "../wt"]);
    run("s", &["worktree", "add", "-q", "../swt"]);
    run("a", &["submodule", "--quiet", "add", "../mirror", "sub"]);
    run("a/sub", &["worktree", "add", "-q", "../../subwt"]);
    symlink("elsewhere", root.join("link")).unwrap();
    for padding in [0, 1, 5000, 20_000] {
        let name = format!("padded{padding}");
        let end = "\n".repeat(padding);
        world.host(&format!("{name}/.git"), &format!("gitdir: ../link{end}"));
    }
    fs::create_dir(root.join("linked")).unwrap();
    symlink("../elsewhere", root.join("linked/.git")).unwrap();
    let mut seen = 0;
    for tree in [
        "a",
        "odd name",
        "s",
        "mirror",
        "wt",
        "swt",
        "a/sub",
        "subwt",
        "linked",
        "padded0",
        "padded1",
        "padded5000",
        "padded20000",
    ] {
        let arguments = [
            "rev-parse",
            "--path-format=absolute",
            "--git-dir",
            "--git-common-dir",
            "--git-path",
            "hooks",
            "--git-path",
            "config",
            "--git-path",
            "info/attributes",
            "--git-path",
            "config.worktree",
            "--git-path",
            "objects/info/alternates",
        ];
        let Some(resolved) = git(&root.join(tree), &arguments) else {
            continue;
        };
        seen += 1;
        let lines: Vec<_> = resolved.lines().collect();
        let (directories, files) = lines.split_at(2);
        let below = directories
            .iter()
            .map(|directory| format!("{directory}/hooks/pre-commit"));
        for path in files.iter().map(|file| (*file).to_owned()).chain(below) {
            let path = Path::new(&path);
            if fs::metadata(path.parent().unwrap()).is_err() {
                continue;
            }
            let below_root = path.to_str().unwrap();
            let verdict = world.ask(below_root, Plain::Create);
            assert_eq!(verdict, GitVerdict::Refuse, "{tree}: {path:?}");
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// A lock file is changed by the session that made it, and nothing else gets its name.
#[test]
fn a_lock_is_its_makers() {
    let mut world = Supervised::new();
    world.foreign("x");
    fs::create_dir(world.path("own")).unwrap();
    world.own("own/.git");
    fs::create_dir(world.path("d")).unwrap();
    for lock in [
        "x/config.lock",
        "x/config.worktree.lock",
        "x/CONFIG.LOCK",
        "own/.git/config.lock",
        "d/.gitmodules.lock",
        ".gitconfig.lock",
    ] {
        let is_plain = lock.contains(".git") && !lock.contains("config.lock");
        let is_plain = is_plain || lock.starts_with(".gitconfig");
        let existing = [Plain::Away, Plain::Remove, Plain::Metadata];
        let writing = [Plain::Open, Plain::LinkAway];
        let never = [
            Plain::Onto("x/HEAD"),
            Plain::LinkOnto,
            Plain::Symlink,
            Plain::Node,
            Plain::MakeDirectory,
        ];
        let made = world.write(lock, "content").unwrap();
        assert_eq!(world.read(lock), if is_plain { "content" } else { "" });
        for change in writing {
            let is_open = world.ask(lock, change) == GitVerdict::Pass;
            assert_eq!(is_open, is_plain, "{lock} {change:?}");
        }
        for change in existing {
            assert_eq!(
                world.ask(lock, change),
                GitVerdict::Pass,
                "{lock} {change:?}"
            );
        }
        for change in never {
            assert_eq!(
                world.ask(lock, change),
                GitVerdict::Refuse,
                "{lock} {change:?}"
            );
        }
        world.remove(lock).unwrap();
        drop(made);
        // The host's has the inode again, on file systems that give it at once.
        world.host(lock, "");
        for change in existing.into_iter().chain(never).chain(writing) {
            assert_eq!(
                world.ask(lock, change),
                GitVerdict::Refuse,
                "{lock} {change:?}"
            );
        }
        fs::remove_file(world.path(lock)).unwrap();
        for change in never {
            assert_eq!(
                world.ask(lock, change),
                GitVerdict::Refuse,
                "{lock} {change:?}"
            );
        }
        let verdict = world.ask(lock, Plain::Create);
        assert_eq!(verdict == GitVerdict::StandIn, !is_plain, "{lock}");
    }
    // Elsewhere such names are nobody's.
    world.host("d/config.lock", "");
    assert_eq!(world.ask("d/config.lock", Plain::Open), GitVerdict::Pass);
}

#[test]
fn only_so_many_directories_are_looked_at() {
    let mut world = Supervised::new();
    let path = |count: usize| format!("{}file", "hooks/".repeat(count));
    fs::create_dir_all(world.path(&path(70))).unwrap();
    assert_eq!(world.ask(&path(60), Plain::Create), GitVerdict::Pass);
    assert_eq!(world.ask(&path(70), Plain::Create), GitVerdict::Refuse);
}

#[test]
fn a_name_without_meaning_is_cheap() {
    let mut world = Supervised::new();
    fs::create_dir_all(world.path("src/components")).unwrap();
    let (directory, parent, name) = world.place("src/components/use.ts");
    let parent = parent.as_os_str().as_bytes();
    let start = std::time::Instant::now();
    for _ in 0..100_000 {
        let verdict = judge(
            &mut world.session,
            directory.as_fd(),
            parent,
            &name,
            &Change::CreateFile,
        );
        assert_eq!(verdict, GitVerdict::Pass);
    }
    let each = start.elapsed() / 100_000;
    assert!(each.as_micros() < 20, "{each:?}");
}
