//! Symlinks that a rule or the table of protected paths names: nobody writes through them, nor to what they
//! lead to, nor exchanges a directory on the way there.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use sandbox_tests::Bed;
use serde_json::Value;

use crate::rules;

fn content(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A working directory with links that stand for protected paths, or for closed ones.
struct Ground {
    bed: Bed,
    settings: Value,
}

impl Ground {
    fn new(deny_write: &[&str], links: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        for (to, link) in links {
            let link = bed.work().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(to, link).unwrap();
        }
        Self {
            bed,
            settings: rules(&[], &[], &["."], deny_write),
        }
    }

    fn work(&self, path: &str) -> PathBuf {
        self.bed.work().join(path)
    }

    fn run(&self, line: &str) -> sandbox_tests::Output {
        self.bed.srt().flat(&self.settings).sh(line).run()
    }

    /// Tries something that would plant a file behind a name, and looks through that name from outside.
    fn plants_nothing(&self, line: &str, name: &str) {
        let before = content(self.work(name));
        let output = self.run(line);
        assert!(
            output.errors().contains("srt: refused: writing"),
            "{output}"
        );
        assert_eq!(content(self.work(name)), before, "{line}");
    }

    /// The positive control: other places of the same tree are written, directories moved, links made.
    fn lives(&self) {
        let line = "mkdir -p free/a && echo x > free/a/b && mv free moved && ln -s moved link && \
                    echo y > link/a/b && rm -r moved link";
        self.run(line).ok();
    }

    fn explains(&self, verdict: &str, path: &str) {
        let srt = self.bed.srt().flat(&self.settings);
        let output = srt.args(["explain", "write", path]).run();
        assert!(output.text().starts_with(verdict), "{path}\n{output}");
    }
}

#[test]
fn a_directory_above_the_target_of_a_protected_link_stays() {
    let ground = Ground::new(
        &[],
        &[
            ("../tools/hooks", ".git/hooks"),
            ("conf/envrc", ".envrc"),
            ("a/b/c/rc", ".bashrc"),
        ],
    );
    for (path, text) in [
        ("tools/hooks/kept", "kept"),
        ("conf/envrc", "own"),
        ("a/b/c/rc", "own"),
    ] {
        ground.bed.file(format!("work/{path}"), text);
    }
    let hook = "mkdir -p new/hooks; echo bad > new/hooks/pre-commit;";
    for way in [
        "mv tools old; mv new tools",
        "mv tools old; ln -s new tools",
        "mv -T new tools",
        "rm -r tools; mv new tools",
        "rmdir tools/hooks tools; mv new tools",
    ] {
        ground.plants_nothing(&format!("{hook} {way}"), ".git/hooks/pre-commit");
        assert_eq!(
            content(ground.work("tools/hooks/kept")).as_deref(),
            Some("kept"),
            "{way}"
        );
        ground.run("rm -rf new old tools/new; true").ok();
    }
    for way in [
        "mv conf old; mkdir conf; echo bad > conf/envrc",
        "mkdir c3; echo bad > c3/envrc; mv conf old; ln -s c3 conf",
    ] {
        ground.plants_nothing(way, ".envrc");
    }
    for above in ["a", "a/b", "a/b/c"] {
        let line = format!(
            "cp -r {above} copy; echo bad > $(find copy -name rc); mv {above} old; mv copy {above}"
        );
        ground.plants_nothing(&line, ".bashrc");
        ground.run("rm -rf copy old; true").ok();
    }
    // Beside the target all goes on.
    ground
        .run("echo x > a/b/beside && mkdir a/d && mv a/d a/e && echo y > tools/other")
        .ok();
    ground.lives();
    ground.explains("deny", "conf/envrc");
    ground.explains("allow", "conf/other");
}

#[test]
fn a_protected_link_that_dangles_is_not_written_through() {
    let ground = Ground::new(
        &[],
        &[
            ("conf_envrc", ".envrc"),
            ("../hk", ".git/hooks"),
            ("dir/sub/rc", ".bashrc"),
            ("way/../up/profile", ".profile"),
            ("one", ".zshrc"),
            ("two", "one"),
        ],
    );
    for (line, name) in [
        ("echo bad > .envrc", ".envrc"),
        ("echo bad > conf_envrc", ".envrc"),
        ("echo bad > t; mv t conf_envrc", ".envrc"),
        ("echo bad > t; ln t conf_envrc", ".envrc"),
        ("echo bad > t; ln -s t conf_envrc", ".envrc"),
        (
            "mkdir hk; echo bad > hk/pre-commit",
            ".git/hooks/pre-commit",
        ),
        (
            "mkdir h2; echo bad > h2/pre-commit; mv h2 hk",
            ".git/hooks/pre-commit",
        ),
        (
            "mkdir h3; echo bad > h3/pre-commit; ln -s h3 hk",
            ".git/hooks/pre-commit",
        ),
        ("mkdir -p dir/sub; echo bad > dir/sub/rc", ".bashrc"),
        (
            "mkdir -p d2/sub; echo bad > d2/sub/rc; rm -r dir; mv d2 dir",
            ".bashrc",
        ),
        (
            "mkdir -p d3/sub; echo bad > d3/sub/rc; ln -s d3 dir",
            ".bashrc",
        ),
        ("mkdir way up; echo bad > up/profile", ".profile"),
        ("echo bad > .profile", ".profile"),
        ("echo bad > two", ".zshrc"),
        ("echo bad > .zshrc", ".zshrc"),
    ] {
        ground.plants_nothing(line, name);
    }
    ground
        .run("mkdir -p dir/other && echo x > dir/other/y && echo z > up/free")
        .ok();
    ground.lives();
    ground.explains("deny", ".envrc");
    ground.explains("deny", "conf_envrc");
    ground.explains("deny", "dir/sub/rc");
    ground.explains("allow", "dir/sub/other");
}

#[test]
fn a_closed_link_that_dangles_is_not_written_through() {
    let ground = Ground::new(
        &["literal", "through/x", "chain", "long"],
        &[
            ("gone", "literal"),
            ("nowhere", "through"),
            ("anywhere", "open"),
            ("second", "chain"),
            ("real", "second"),
            ("other-second", "long"),
            ("missing", "other-second"),
        ],
    );
    ground.bed.file("work/real", "own");
    for (line, name) in [
        ("echo bad > evil; rm second; ln -s evil second", "chain"),
        ("echo bad > evil; mv evil second", "chain"),
        ("echo bad > evil; mv real away; mv evil real", "chain"),
        ("echo bad > second", "chain"),
        (
            "echo bad > evil; rm other-second; ln -s evil other-second",
            "long",
        ),
        ("echo bad > missing", "long"),
        ("echo bad > long", "long"),
        (
            "mkdir evils; echo bad > evils/x; rm through; ln -s evils through",
            "through/x",
        ),
        ("echo bad > literal", "literal"),
        ("echo bad > gone", "literal"),
        ("mkdir nowhere; echo bad > nowhere/x", "through/x"),
        ("echo bad > through/x", "through/x"),
    ] {
        ground.plants_nothing(line, name);
    }
    // A link that nobody closes makes what it leads to.
    ground.run("echo new > open && echo y > through/y").ok();
    assert_eq!(content(ground.work("anywhere")).as_deref(), Some("new\n"));
    assert_eq!(content(ground.work("nowhere/y")).as_deref(), Some("y\n"));
    ground.lives();
    for path in ["literal", "gone", "nowhere/x"] {
        ground.explains("deny", path);
    }
    ground.explains("allow", "open");
}

#[test]
fn nothing_is_written_through_a_protected_name_further_down() {
    let ground = Ground::new(
        &[],
        &[
            ("conf/envrc", "sub/.envrc"),
            ("../../scripts", "sub/.git/hooks"),
            ("../data", "deep/a.lnk"),
            ("data", "plain"),
        ],
    );
    for path in ["sub/conf/envrc", "scripts/pre-commit", "data/x"] {
        ground.bed.file(format!("work/{path}"), "own");
    }
    for (line, name) in [
        ("echo bad > sub/.envrc", "sub/.envrc"),
        ("truncate -s 0 sub/.envrc", "sub/.envrc"),
        ("cd sub && echo bad >> .envrc", "sub/.envrc"),
        ("echo bad > sub/.git/hooks/pre-commit", "scripts/pre-commit"),
        ("echo bad > sub/.git/hooks/new", "scripts/new"),
        ("rm sub/.git/hooks/pre-commit", "scripts/pre-commit"),
        ("mv sub/.git/hooks/pre-commit away", "scripts/pre-commit"),
        ("chmod 777 sub/.envrc", "sub/.envrc"),
    ] {
        ground.plants_nothing(line, name);
    }
    // Reading goes through, and writing by names that nobody closes.
    ground
        .run("cat sub/.envrc deep/a.lnk/x plain/x")
        .ok()
        .prints("ownownown");
    ground
        .run("echo new > plain/x && echo new > scripts/pre-commit")
        .ok();
    assert_eq!(content(ground.work("data/x")).as_deref(), Some("new\n"));
    ground.lives();
    ground.explains("deny", "sub/.envrc");
    ground.explains("allow", "plain/x");
}

#[test]
fn a_link_on_the_way_to_a_protected_name_opens_nothing() {
    let ground = Ground::new(
        &[],
        &[
            ("dot/claude", ".claude"),
            ("dot/absent", ".cargo"),
            ("dot/config", ".config"),
            ("../../scripts/pc", ".git/hooks/pre-commit"),
            ("../../scripts/none", ".git/hooks/pre-push"),
            ("shared/cursor", ".cursor"),
            ("../../../scripts/rule", "shared/cursor/rules/r.mdc"),
            ("lib/husky", ".husky"),
            ("../../scripts/husky", "lib/husky/pre-commit"),
        ],
    );
    ground.bed.file("work/scripts/rule", "own");
    ground.bed.file("work/scripts/husky", "own");
    for path in ["dot/claude/commands/x.md", "dot/config/other", "scripts/pc"] {
        ground.bed.file(format!("work/{path}"), "own");
    }
    for (line, name) in [
        ("echo bad > .claude/commands/x.md", ".claude/commands/x.md"),
        (
            "echo bad > dot/claude/commands/x.md",
            ".claude/commands/x.md",
        ),
        (
            "mkdir -p .claude/agents; echo bad > .claude/agents/y.md",
            ".claude/agents/y.md",
        ),
        (
            "mkdir -p dot/absent; echo bad > dot/absent/config.toml",
            ".cargo/config.toml",
        ),
        (
            "mkdir -p .config/fish; echo bad > .config/fish/config.fish",
            ".config/fish/config.fish",
        ),
        (
            "mkdir -p new/commands; echo bad > new/commands/x.md; mv dot/claude old; mv new dot/claude",
            ".claude/commands/x.md",
        ),
        (
            "mkdir -p n2/commands; echo bad > n2/commands/x.md; rm .claude; mv n2 .claude",
            ".claude/commands/x.md",
        ),
        ("echo bad > scripts/pc", ".git/hooks/pre-commit"),
        (
            "mkdir s2; echo bad > s2/pc; mv scripts old; mv s2 scripts",
            ".git/hooks/pre-commit",
        ),
        ("echo bad > scripts/none", ".git/hooks/pre-push"),
        ("echo bad > scripts/husky", ".husky/pre-commit"),
        ("echo bad > lib/husky/pre-commit", ".husky/pre-commit"),
    ] {
        ground.plants_nothing(line, name);
    }
    ground
        .run("echo new > .config/other && echo x > dot/claude/other && echo y > scripts/free")
        .ok();
    assert_eq!(
        content(ground.work("dot/config/other")).as_deref(),
        Some("new\n")
    );
    ground.lives();
    ground.explains("deny", ".claude/commands/x.md");
    ground.explains("deny", "scripts/pc");
    ground.explains("allow", ".config/other");
}

/// The working directory's own hooks, where the write root is one above it.
#[test]
fn links_of_the_working_directory_are_followed_in_a_wider_root() {
    let mut ground = Ground::new(&[], &[("../../scripts/pc", ".git/hooks/pre-commit")]);
    ground.bed.file("work/scripts/pc", "own");
    ground.settings = rules(&[], &[], &[ground.bed.root().to_str().unwrap()], &[]);
    for line in [
        "echo bad > scripts/pc",
        "mkdir s2; echo bad > s2/pc; mv scripts old; mv s2 scripts",
    ] {
        ground.plants_nothing(line, ".git/hooks/pre-commit");
    }
    ground.lives();
    ground.explains("deny", "scripts/pc");
}

/// What the user can't look into before the start, the command can unlock: it is the user's own.
#[test]
fn a_link_into_a_locked_directory_opens_nothing() {
    let locked = |ground: &Ground, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(ground.work("locked"), mode).unwrap();
    };
    for inside in ["locked/target", "locked/deeper/target"] {
        let ground = Ground::new(&[], &[(inside, ".bashrc")]);
        ground.bed.file(format!("work/{inside}"), "own");
        for line in [
            format!("chmod 755 locked && echo bad > {inside}"),
            format!("chmod 755 locked && rm -f {inside}; echo bad > {inside}"),
        ] {
            locked(&ground, 0);
            let output = ground.run(&line);
            locked(&ground, 0o755);
            assert!(
                output.errors().contains("srt: refused: writing"),
                "{output}"
            );
            assert_eq!(
                content(ground.work(inside)).as_deref(),
                Some("own"),
                "{line}"
            );
        }
        locked(&ground, 0);
        ground.run("chmod 755 locked && echo x > locked/free").ok();
        assert_eq!(content(ground.work("locked/free")).as_deref(), Some("x\n"));
        ground.lives();
    }
}

#[test]
fn links_in_a_large_protected_directory_are_all_followed() {
    let ground = Ground::new(&[], &[]);
    for number in 0..600 {
        ground
            .bed
            .file(format!("work/.git/hooks/sample-{number}"), "");
    }
    let names: Vec<_> = (0..9).map(|number| format!("hook-{number}")).collect();
    for name in &names {
        ground.bed.file(format!("work/scripts/{name}"), "own");
        let link = ground.work(&format!(".git/hooks/{name}"));
        symlink(format!("../../scripts/{name}"), link).unwrap();
    }
    for name in &names {
        let line = format!("echo bad > scripts/{name}");
        ground.plants_nothing(&line, &format!(".git/hooks/{name}"));
    }
    ground.run("echo new > scripts/free").ok();
}

#[test]
fn no_link_shows_what_lies_in_a_store_of_packages() {
    let ground = Ground::new(&[], &[("../packages/own", "node_modules/own")]);
    ground.bed.file("work/packages/own/index.js", "own");
    ground.bed.file("work/node_modules/p/cli.js", "cli");
    let plant = "mkdir -p node_modules/sub; echo bad > node_modules/sub/.envrc;";
    for way in [
        "ln -s node_modules/sub sub",
        "ln -s $PWD/node_modules/sub sub",
        "ln -s node_modules/../node_modules/sub sub",
        "ln -s $PWD/node_modules/sub node_modules/l; mv node_modules/l sub",
        "rm -r node_modules/sub; touch node_modules/sub; ln -s node_modules/sub sub; rm node_modules/sub; mkdir node_modules/sub; echo bad > node_modules/sub/.envrc",
        "ln -s later sub; mv node_modules/sub later",
        "ln -s ../node_modules/sub packages/l; mv packages/l sub",
        "ln -s node_modules/absent sub; mkdir node_modules/absent; echo bad > node_modules/absent/.envrc",
    ] {
        ground.plants_nothing(&format!("{plant} {way}"), "sub/.envrc");
        ground
            .run("rm -rf sub node_modules/l node_modules/sub node_modules/absent packages/l; true")
            .ok();
    }
    // The store itself, by a name in the same directory; other such names are free.
    ground.run("ln -s node_modules via").refused();
    let via = ground.bed.work().join("via");
    assert!(via.symlink_metadata().is_err());
    ground
        .run("ln -s packages via && cat via/own/index.js && rm via && ln -s .. via && rm via && ln -s absent via && rm via")
        .ok()
        .prints("own");
    // What package managers do: links in a store.
    ground
        .run(
            "mkdir -p node_modules/.bin && ln -s ../p/cli.js node_modules/.bin/p && \
             ln -s ../packages/own node_modules/two && \
             cat node_modules/.bin/p node_modules/own/index.js node_modules/two/index.js",
        )
        .ok()
        .prints("cliownown");
    ground.lives();
}

#[test]
fn a_made_up_repository_does_not_let_protected_files_go() {
    let ground = Ground::new(&[], &[]);
    for path in ["sub/.envrc", "sub/README", "real/.git/HEAD", "real/.envrc"] {
        ground.bed.file(format!("work/{path}"), "own");
    }
    for line in [
        "mkdir sub/.git; rmdir sub/.git; rm sub/.envrc",
        "touch sub/.git; rm -f sub/.git; rm sub/.envrc",
        "mv sub/README sub/.git; rm sub/.envrc",
        "ln sub/README sub/.git; rm sub/.envrc",
    ] {
        ground.bed.file("work/sub/README", "own");
        ground.run(line);
        // What is there at the start of a run is a repository that the run may remove.
        fs::remove_file(ground.work("sub/.git")).unwrap_or(());
        assert_eq!(
            content(ground.work("sub/.envrc")).as_deref(),
            Some("own"),
            "{line}"
        );
    }
    // One that was there may go with all that is in it, in any order.
    ground.run("rm -r real/.git && rm -r real").ok();
    assert!(fs::symlink_metadata(ground.work("real")).is_err());
}

#[test]
fn the_refusal_names_the_link() {
    let ground = Ground::new(&[], &[("conf/envrc", "deep/.envrc")]);
    ground.bed.file("work/deep/conf/envrc", "own");
    let srt = ground.bed.srt().flat(&ground.settings);
    let output = srt.sh("echo bad > deep/.envrc").run().refused();
    let told = output.errors();
    let told = told.lines().find(|line| line.starts_with("srt: refused"));
    let names = |line: &str| line.contains("deep/.envrc`") && line.contains("unprotect");
    assert!(told.is_some_and(names), "{output}");
    assert_eq!(
        content(ground.work("deep/conf/envrc")).as_deref(),
        Some("own")
    );
    ground.run("echo new > deep/conf/envrc").ok();
}

/// What a symlink leads to changes with the directory that it lies in, with what is on the way, and with a link that is
/// exchanged for one that was judged.
#[test]
fn no_link_comes_to_show_what_a_pattern_closes() {
    let exchange = "python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"src/a/b\", -100, b\"src/c\", 2) != 0)'";
    for line in [
        "ln -s ../../x src/a/b/l && mv src/a/b src/b",
        &format!("mkdir src/c && ln -s ../../x src/a/b/l && {exchange}"),
        "ln -s no/../x src/l && ln -s ../src src/no",
        "mkdir src/k && ln -s k/../x src/l && rmdir src/k && ln -s ../src src/k",
        "ln -s src/y k && ln -s ../k src/l && ln -sfn x k",
        "ln -s src k && ln -s ../k/x src/l && ln -sfn . k",
    ] {
        let bed = Bed::new();
        for directory in ["src/a/b", "src/x", "src/y", "x"] {
            fs::create_dir_all(bed.work().join(directory)).unwrap();
        }
        let settings = rules(&[], &[], &["."], &["src/**/*.yml"]);
        let run = |line: &str| bed.srt().flat(&settings).sh(line).run();
        let output = run(line);
        assert!(
            output.errors().contains("srt: refused: writing"),
            "{line}: {output}"
        );
        run("echo bad > x/e.yml").ok();
        let found = sandbox_tests::host(
            Path::new("/usr/bin/find"),
            [
                Path::new("-L"),
                &bed.work().join("src"),
                Path::new("-name"),
                Path::new("*.yml"),
            ],
        );
        assert_eq!(found.text(), "", "{line}");
        // Links that show what is closed in the same way, or lead out to where nothing is written, or nowhere else.
        run("ln -s ../y src/a/l && mkdir -p src/a/h && ln -s ../../y src/a/h/in && mkdir -p src/a/g && ln -s g/f src/a/f && ln -s /usr/share src/a/s && mv src/a src/e && \
             mkdir free && ln -s ../x free/l && ln -s no/../../x free/late && mv free moved && test -d moved/l")
        .ok();
    }
}
