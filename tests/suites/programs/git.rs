//! git over an allow-listed name, and everything it does locally.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Origin, Reply, Srt, host, need, need_names};
use serde_json::json;

const NAME: &str = "git.test";

/// Makes a repository, and a bare copy of it to be served as files.
const PREPARE: &str = r#"
set -e
cd "$1"; export HOME="$1" GIT_CONFIG_NOSYSTEM=1
git init -q -b main source; cd source
git config user.email a@example.com; git config user.name A
i=0; while [ $i -lt 40 ]; do echo "line $i" > "file $i"; i=$((i+1)); done
git add .; git commit -q -m first; git tag v1
git clone -q --bare . ../served.git; cd ../served.git; git repack -adq; git update-server-info
"#;

fn repository(bed: &Bed) -> PathBuf {
    let words = ["-c", PREPARE, "sh"].map(OsStr::new);
    host(
        Path::new("/bin/sh"),
        words.into_iter().chain([bed.outside().as_os_str()]),
    )
    .ok();
    bed.outside().join("served.git")
}

/// A server of the files below a directory.
fn files(root: PathBuf) -> Origin {
    Origin::serving(move |request| {
        let path = request
            .target
            .split('?')
            .next()
            .unwrap_or("/")
            .trim_start_matches('/')
            .to_owned();
        let path = path
            .strip_prefix("served.git/")
            .unwrap_or("none")
            .to_owned();
        std::fs::read(root.join(path)).map_or_else(|_| Reply::missing(), Reply::ok)
    })
}

fn git_in<'b>(bed: &'b Bed, line: &str) -> Srt<'b> {
    bed.srt()
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .sh(line)
        .within(120.0)
}

#[test]
fn git_clones_from_an_allowed_name_and_works_on() {
    need_names!();
    let git = need!("git");
    let bed = Bed::new();
    let origin = files(repository(&bed));
    let url = format!("http://{NAME}:{}/served.git", origin.port());
    let allow = [
        format!("WebFetch(domain:{NAME})"),
        "WebFetch(domain:127.0.0.1)".to_owned(),
    ];
    bed.file(
        "home/.gitconfig",
        "[user]\n\temail = b@example.com\n\tname = B\n",
    );
    let names = [(NAME, "127.0.0.1")];
    let refused = git_in(&bed, &format!("git clone -q {url} none"))
        .hosts(&names)
        .run()
        .refused();
    assert!(!refused.errors().is_empty(), "{refused}");
    assert_eq!(origin.accepted(), 0);
    bed.file(
        "home/.claude/settings.json",
        json!({"permissions": {"allow": allow}}).to_string(),
    );
    git_in(&bed, &format!("git clone -q {url} copy"))
        .hosts(&names)
        .run()
        .ok();
    assert!(origin.accepted() > 0);
    let copy = bed.work().join("copy");
    let steps = [
        "git status --porcelain",
        "git switch -q -c topic && echo new > new && git add -A && git commit -q -m second",
        "git checkout -q main && git merge -q topic && git log --oneline | wc -l",
        "git stash list; echo x >> new; git stash -q; git stash pop -q; git checkout -q new",
        "git worktree add -q ../tree topic~1 2>/dev/null || git worktree add -q --detach ../tree",
        "git -C ../tree status --porcelain",
        "git gc -q --prune=now && git fsck",
        "git rebase -q main",
        "git tag v2 && git branch -d topic",
        "git submodule status",
        "git fetch -q",
        "git worktree remove ../tree",
        "git diff --stat HEAD~1",
        "git status --porcelain",
    ];
    for step in steps {
        // The tree beside the clone is in the working directory, too.
        let output = git_in(&bed, &format!("cd copy && {step}"))
            .hosts(&names)
            .run();
        assert!(output.succeeded(), "`{step}`\n{output}");
        if step.ends_with("--porcelain") {
            output.prints("");
        }
    }
    // What was made inside is sound outside.
    let copy = copy.to_str().unwrap();
    let log = host(
        &git,
        ["-C", copy, "-c", "safe.directory=*", "log", "--format=%s"],
    )
    .ok();
    assert_eq!(log.text(), "second\nfirst\n");
    host(
        &git,
        ["-C", copy, "-c", "safe.directory=*", "fsck", "--strict"],
    )
    .ok();
}

#[test]
fn status_is_clean_and_add_takes_everything() {
    need!("git");
    let bed = Bed::new();
    let line = "git init -q -b main . && git config user.email a@b && git config user.name A && echo x > f && git add -A && git commit -q -m one && git status --porcelain";
    // The hooks and the configuration of a new repository are its maker's to write.
    git_in(&bed, line).run().ok().prints("");
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [".env", "keys"], "allowWrite": ["."], "denyWrite": ["absent", ".git/hooks", "no/such/dir"]},
    });
    git_in(
        &bed,
        "git status --porcelain; git add -A; git status --porcelain",
    )
    .flat(&settings)
    .run()
    .ok()
    .prints("");
}
