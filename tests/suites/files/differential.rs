//! Generated policies over generated trees: what a sandbox permits is what the policy says.
//!
//! Each policy runs a few hundred calls in one sandbox. The state of the tree is the same before
//! every call: what a call made is taken away again, and what it took away is made again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sandbox_policy::{AbsolutePath, FileJudge, FilesystemPolicy};
use sandbox_settings::{MANAGED_SETTINGS, Overrides, ProjectTrust, ProxyVariables, Sources};
use sandbox_tests::{Bed, Random, Tree, say, time_scale};
use serde_json::{Value, json};

use crate::driver::{Answer, Call, Driver, driver};
use crate::rules;

const EXDEV: i32 = 18;

const DIRECTORIES: &[&str] = &[
    "work/a",
    "work/a/b",
    "work/a/b/c",
    "work/a/b/c/d/e",
    "work/sub",
    "work/sub/a",
    "work/sub/empty",
    "work/pkg/node_modules/m",
    "work/pkg/node_modules/m/.vscode",
    "work/.config",
    "outside/a",
    "outside/a/b",
    "outside/sub",
    "outside/empty",
    "home/conf/a",
    "home/.cache",
];

const NAMES: &[&str] = &[
    "f",
    "g",
    "x.pem",
    ".env",
    "key",
    ".bashrc",
    ".npmrc",
    ".mcp.json",
    ".envrc",
    ".Zshenv",
    "data.lock",
    "B",
    "AGENTS.md",
    ".vscode",
    "sp ace",
    "é",
    // Another name than `f` and `key`, and what a pattern would be.
    "F",
    "KEY",
    "st*r",
    "q?",
    "[ab]",
];

/// Patterns that say nothing of the links, whose names begin with `L-`: a path through one of them
/// is judged by where it leads.
const PATTERNS: &[&str] = &[
    "**/x.pem",
    "*.pem",
    "**/.env",
    "**/sub/**",
    "a/?",
    "**/[ab]",
    "**/?",
    "**/data.*",
    "a/**/f",
    "sub/**/*.lock",
    "**/k?y",
    "**/b/c",
    "~/**/f",
    "../outside/**/key",
    "../outside/?",
];

/// A tree to try policies on, and what it is made of.
struct Ground<'b> {
    bed: &'b Bed,
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    links: Vec<PathBuf>,
}

impl<'b> Ground<'b> {
    fn new(bed: &'b Bed, random: &mut Random) -> Self {
        let root = bed.root().canonicalize().unwrap();
        let mut directories: Vec<PathBuf> =
            DIRECTORIES.iter().map(|name| root.join(name)).collect();
        for directory in &directories {
            std::fs::create_dir_all(directory).unwrap();
        }
        directories.extend(["work", "outside", "home"].map(|name| root.join(name)));
        let mut files = Vec::new();
        let full: Vec<PathBuf> = directories
            .iter()
            .filter(|path| !path.ends_with("empty"))
            .cloned()
            .collect();
        for _ in 0..60 {
            let name = if random.once_in(20) {
                OsStr::from_bytes(b"\xff")
            } else {
                OsStr::new(random.pick(NAMES))
            };
            let path = random.pick(&full).join(name);
            if path.symlink_metadata().is_err() {
                // Some files have two names, and each is judged by itself.
                if files.is_empty() || !random.once_in(6) {
                    std::fs::write(&path, "content").unwrap();
                } else {
                    std::fs::hard_link(random.pick(&files), &path).unwrap();
                }
                files.push(path);
            }
        }
        let mut links = Vec::new();
        for number in 0..16 {
            let path = random.pick(&full).join(format!("L-{number}"));
            let target = match random.below(8) {
                0 => path.with_file_name("nowhere"),
                1 => path.clone(),
                2..5 => random.pick(&files).clone(),
                _ => random.pick(&directories).clone(),
            };
            symlink(target, &path).unwrap();
            links.push(path);
        }
        Self {
            bed,
            directories,
            files,
            links,
        }
    }

    /// A rule about something that is there or not, as it would be written.
    fn rule(&self, random: &mut Random) -> String {
        let root = self.bed.root().canonicalize().unwrap();
        let text = |path: &Path| path.to_str().map(str::to_owned);
        loop {
            let path = match random.below(8) {
                0..3 => random.pick(&self.directories).clone(),
                3 | 4 => random.pick(&self.files).clone(),
                5 => random.pick(&self.directories).join(random.pick(NAMES)),
                _ => return (*random.pick(PATTERNS)).to_owned(),
            };
            let whole = ["work", "outside", "home"].map(|name| root.join(name));
            if let (Some(text), false) = (text(&path), whole.contains(&path)) {
                // Relative to the working directory, or to the home.
                return if random.once_in(2) {
                    text
                } else if let Ok(below) = path.strip_prefix(root.join("work")) {
                    below.to_str().unwrap().to_owned()
                } else if let Ok(below) = path.strip_prefix(root.join("home")) {
                    format!("~/{}", below.to_str().unwrap())
                } else {
                    text
                };
            }
        }
    }

    fn policy(&self, random: &mut Random) -> Value {
        let some = |most: usize, random: &mut Random| -> Vec<String> {
            (0..random.below(most + 1))
                .map(|_| self.rule(random))
                .collect()
        };
        let outside = self.bed.outside().display().to_string();
        let roots = [".", "./a", "./sub", "~", "./pkg", "a/b/c"];
        let mut allow_write: Vec<String> = (0..=random.below(3))
            .map(|_| (*random.pick(&roots)).to_owned())
            .collect();
        if random.once_in(2) {
            let below = random.pick(&["", "/a", "/sub", "/not/there", "/new"]);
            allow_write.push(format!("{outside}{below}"));
        }
        if random.once_in(6) {
            allow_write.push("/".to_owned());
        }
        let (deny_read, deny_write) = (some(3, random), some(4, random));
        // A pattern can open for reading only what a path opens, too.
        let allow_read: Vec<String> = some(2, random)
            .into_iter()
            .filter(|rule| !rule.contains(['*', '?', '[']))
            .collect();
        let all = [&deny_read, &allow_read, &allow_write, &deny_write];
        let all = all.map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
        let mut settings = rules(&all[0], &all[1], &all[2], &all[3]);
        for key in ["denyRead", "allowRead", "denyWrite"] {
            let entries = settings["filesystem"][key].as_array_mut().unwrap();
            for entry in entries {
                // The same text without a special character in it.
                if random.once_in(5) {
                    *entry = json!({"path": entry, "literal": true});
                }
            }
        }
        settings
    }

    /// A path of something that is there, perhaps by way of links.
    fn existing(&self, random: &mut Random) -> PathBuf {
        let direct = match random.below(3) {
            0 => random.pick(&self.directories).clone(),
            _ => random.pick(&self.files).clone(),
        };
        if random.once_in(3) {
            // The same by a link to a directory above it.
            for link in &self.links {
                let Ok(target) = link.canonicalize() else {
                    continue;
                };
                if let (true, Ok(rest)) = (link != &direct, direct.strip_prefix(&target)) {
                    let found = if rest.as_os_str().is_empty() {
                        link.clone()
                    } else {
                        link.join(rest)
                    };
                    return found;
                }
            }
        }
        direct
    }

    fn missing(&self, random: &mut Random) -> PathBuf {
        loop {
            let mut directory = self.existing(random);
            if !directory.metadata().is_ok_and(|found| found.is_dir()) {
                directory = random.pick(&self.directories).clone();
            }
            let path = directory.join(random.pick(NAMES));
            if path.symlink_metadata().is_err() {
                return path;
            }
        }
    }
}

/// What the product's own policy says.
struct Judge {
    policy: FilesystemPolicy,
    compiled: FileJudge,
    /// Directories that may be made because a write root below them is not there.
    ways: Vec<PathBuf>,
    roots: Vec<PathBuf>,
}

impl Judge {
    fn load(bed: &Bed, settings: &Value) -> Self {
        let path = bed.file("settings.json", settings.to_string());
        let absolute = |path: &Path| AbsolutePath::new(path).unwrap();
        let loaded = sandbox_settings::load(&Sources {
            home: Some(absolute(bed.home())),
            working_directory: absolute(bed.work()),
            managed: PathBuf::from(MANAGED_SETTINGS),
            settings: Some(path),
            overrides: Overrides::none(),
            proxy_variables: ProxyVariables::default(),
            trust: ProjectTrust::Recorded,
            trust_store: None,
        });
        let policy = loaded
            .expect("generated settings are valid")
            .policy
            .filesystem;
        let roots: Vec<PathBuf> = policy
            .allow_write
            .iter()
            .map(|allow| PathBuf::from(allow.rule.pattern.to_string()))
            .collect();
        let ways = roots
            .iter()
            .filter(|root| root.symlink_metadata().is_err())
            .flat_map(|root| root.ancestors().skip(1).map(Path::to_owned))
            .collect();
        Self {
            compiled: FileJudge::new(&policy),
            policy,
            ways,
            roots,
        }
    }

    fn read(&self, path: &Path) -> bool {
        let path = AbsolutePath::new(path).unwrap();
        self.policy.judge_read(&path).is_allowed()
    }

    fn write(&self, path: &Path) -> bool {
        let path = AbsolutePath::new(path).unwrap();
        self.policy.judge_write(&path).is_allowed()
    }

    fn remove(&self, path: &Path) -> bool {
        let path = AbsolutePath::new(path).unwrap();
        self.policy.judge_remove(&path).is_allowed()
    }

    /// A symlink must not show another tree where something is closed by name, nor be what a write root
    /// becomes.
    fn link(&self, path: &Path) -> bool {
        !self.roots.iter().any(|root| root == path)
            && self.compiled.may_link(path.as_os_str().as_bytes())
    }

    /// Whether something in a directory that is closed for reading is open.
    fn is_opened_inside(&self, directory: &Path) -> bool {
        let allows = self
            .policy
            .allow_read
            .iter()
            .chain(&self.policy.allow_write);
        allows
            .map(|allow| PathBuf::from(allow.rule.pattern.to_string()))
            .any(|path| path.starts_with(directory))
    }
}

/// A call with its verdict.
struct Trial {
    before: Vec<Call>,
    call: Call,
    after: Vec<Call>,
    permitted: bool,
}

/// The place that the last name lies in, without links on the way, and the name.
fn place(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

/// Whether each link on the way can be seen: what is hidden leads nowhere.
fn is_way_visible(judge: &Judge, path: &Path) -> bool {
    path.ancestors().all(|part| {
        let is_link = part
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink());
        !is_link || place(part).is_some_and(|place| judge.read(&place))
    })
}

fn trial(ground: &Ground<'_>, judge: &Judge, random: &mut Random) -> Option<Trial> {
    if random.once_in(3) {
        return trial_of_missing(ground, judge, random);
    }
    let path = if random.once_in(8) {
        random.pick(&ground.links).clone()
    } else {
        ground.existing(random)
    };
    if !is_way_visible(judge, &path) {
        return None;
    }
    let own = place(&path)?;
    let simple = |operation: &str, permitted| {
        Some(Trial {
            before: Vec::new(),
            call: Call::on(operation, &path),
            after: Vec::new(),
            permitted,
        })
    };
    let landing = path.canonicalize().ok();
    match (random.below(3), landing) {
        // About the name itself.
        (0, _) => trial_of_name(ground, judge, random, &path, &own),
        (_, None) => None,
        (1, Some(real)) if real.metadata().ok()?.is_dir() => {
            if !judge.read(&real) && judge.is_opened_inside(&real) {
                return None;
            }
            simple("list", judge.read(&real))
        }
        (1, Some(real)) => {
            let operations = ["read", "open", "readat", "readroot"];
            simple(random.pick::<&str>(&operations), judge.read(&real))
        }
        (_, Some(real)) if real.metadata().ok()?.is_dir() => {
            let operations = ["utimensat", "chmod", "fchmodat"];
            simple(random.pick::<&str>(&operations), judge.write(&real))
        }
        (_, Some(real)) => {
            let operations = [
                "openat_wronly",
                "openat_rdwr",
                "openat_append",
                "openat_trunc",
                "openat_creat",
                "open_creat",
                "openat_at_creat",
                "openat_rdonly_trunc",
                "truncate",
                "utimensat",
                "chmod",
                "fchmodat",
                "map_write",
                "reopen_write",
            ];
            simple(random.pick::<&str>(&operations), judge.write(&real))
        }
    }
}

/// What takes a name away, and gives it back.
fn trial_of_name(
    ground: &Ground<'_>,
    judge: &Judge,
    random: &mut Random,
    path: &Path,
    own: &Path,
) -> Option<Trial> {
    let found = own.symlink_metadata().ok()?;
    let (remove, write) = (judge.remove(own), judge.write(own));
    // What is taken away has to come back; a write root is a mount of its own.
    if judge.roots.iter().any(|root| root == own) || remove != write {
        return None;
    }
    let is_link = found.is_symlink();
    if is_link && !judge.link(own) {
        return None;
    }
    // In a directory that is closed for reading, what is open again is a mount.
    if own.parent().is_some_and(|above| !judge.read(above)) {
        return None;
    }
    let one = |call, after, permitted| {
        Some(Trial {
            before: Vec::new(),
            call,
            after,
            permitted,
        })
    };
    if found.is_dir() {
        if own.read_dir().ok()?.next().is_some() {
            return None;
        }
        let operation = *random.pick(&["rmdir", "unlinkat_dir"]);
        let back = vec![Call::on("mkdir", own)];
        return one(Call::on(operation, path), back, remove);
    }
    // A link into a store of packages is not made outside of one, nor moved out, nor put back.
    let in_store = |path: &Path| path.iter().any(|name| name == "node_modules");
    let text = std::fs::read_link(own).unwrap_or_else(|_no_link| PathBuf::new());
    let leads_there = || std::fs::canonicalize(own).is_ok_and(|target| in_store(&target));
    if is_link && (in_store(own) || in_store(&text) || leads_there()) {
        return None;
    }
    let back = if is_link {
        Call::two("symlinkat", own, std::fs::read_link(own).ok()?)
    } else {
        Call::two("put", own, "content")
    };
    if random.once_in(2) {
        let operation = *random.pick(&["unlink", "unlinkat"]);
        return one(Call::on(operation, path), vec![back], remove);
    }
    let to = ground.missing(random);
    if !is_way_visible(judge, &to) {
        return None;
    }
    let target = place(&to)?;
    if judge.ways.contains(&target) || judge.roots.contains(&target) {
        return None;
    }
    if random.once_in(2) && !is_link {
        let operation = *random.pick(&["link", "linkat", "linkat_fd"]);
        let after = vec![Call::on("unlink", &target)];
        let permitted = judge.read(own) && write && judge.write(&target);
        return one(Call::two(operation, path, &to), after, permitted);
    }
    let operation = *random.pick(&["rename", "renameat", "renameat2", "rename_noreplace"]);
    let after = vec![Call::two("rename", &target, own)];
    one(
        Call::two(operation, path, &to),
        after,
        remove && judge.write(&target) && (!is_link || judge.link(&target)),
    )
}

/// What makes a name, and takes it away again.
fn trial_of_missing(ground: &Ground<'_>, judge: &Judge, random: &mut Random) -> Option<Trial> {
    let path = ground.missing(random);
    if !is_way_visible(judge, &path) {
        return None;
    }
    let own = place(&path)?;
    if judge.ways.contains(&own) {
        return None;
    }
    let (call, gone) = match random.below(5) {
        0 => (*random.pick(&["mkdir", "mkdirat"]), "rmdir"),
        1 => (*random.pick(&["mknodat_socket", "mknodat_file"]), "unlink"),
        2 => (*random.pick(&["symlink", "symlinkat"]), "unlink"),
        _ => {
            let calls = [
                "openat_creat",
                "openat_excl",
                "openat_at_creat",
                "open_creat",
                "creat",
                "openat_rdonly_creat",
                "tmpfile_link",
            ];
            (*random.pick(&calls), "unlink")
        }
    };
    let made = if call.starts_with("symlink") {
        Call::two(call, &path, "somewhere")
    } else {
        Call::on(call, &path)
    };
    Some(Trial {
        before: Vec::new(),
        call: made,
        after: vec![Call::on(gone, &own)],
        // An unnamed file is made in the directory before it gets its name.
        permitted: judge.write(&own)
            && (!call.starts_with("symlink") || judge.link(&own))
            && !(call.starts_with("mknod") && judge.roots.contains(&own))
            && (call != "tmpfile_link" || own.parent().is_some_and(|above| judge.write(above))),
    })
}

/// What was counted over all policies.
#[derive(Debug, Default)]
struct Counts {
    policies: usize,
    refused_policies: usize,
    permitted: usize,
    denied: usize,
    across: usize,
}

/// Names and kinds of the tree, and the content of what the policy closes.
fn closed(ground: &Ground<'_>, judge: &Judge) -> BTreeMap<PathBuf, Vec<u8>> {
    use std::os::unix::fs::MetadataExt as _;
    ground
        .files
        .iter()
        .filter(|path| path.metadata().is_ok_and(|found| found.nlink() == 1))
        .filter(|path| !judge.write(path))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

fn names(tree: &Tree, later: &Tree) -> Vec<String> {
    let changes = tree.changes(later).into_iter();
    changes
        .filter(|change| !change.starts_with("changed"))
        .collect()
}

/// Runs a policy; what went wrong.
fn compare(
    ground: &Ground<'_>,
    driver: &Driver<'_>,
    settings: &Value,
    random: &mut Random,
    counts: &mut Counts,
) -> Vec<String> {
    let judge = Judge::load(ground.bed, settings);
    let first = ground.bed.srt().flat(settings).args(["true"]).run();
    if first.code() == Some(125) {
        counts.refused_policies += 1;
        let said = first.errors();
        // A rule that can't be enforced is named, with the reason.
        return if said.contains("can't be enforced") || said.contains("symlink") {
            Vec::new()
        } else {
            vec![format!("{settings}: {said}")]
        };
    }
    let trials: Vec<Trial> = (0..400)
        .filter_map(|_| trial(ground, &judge, random))
        .collect();
    let mut calls = Vec::new();
    let mut asked = Vec::new();
    for one in &trials {
        calls.extend(one.before.iter().cloned());
        asked.push(calls.len());
        calls.push(one.call.clone());
        if one.permitted {
            calls.extend(one.after.iter().cloned());
        }
    }
    let kept = closed(ground, &judge);
    let before = ground.bed.tree();
    let answers: Vec<Answer> = driver.inside(settings, &calls);
    counts.policies += 1;
    let mut wrong = Vec::new();
    for (one, index) in trials.iter().zip(asked) {
        let answer = &answers[index];
        let two_names =
            one.call.name().starts_with("rename") || one.call.name().starts_with("link");
        if one.permitted && answer.errno == EXDEV && two_names {
            counts.across += 1;
            continue;
        }
        let done = answer.errno == 0 && !(one.call.name() == "list" && answer.data.is_empty());
        let permitted = one.permitted
            || one.call.name() == "list" && answer.errno == 0 && answer.data.is_empty();
        if permitted && answer.errno == 0 || !one.permitted && !done {
            counts.permitted += usize::from(one.permitted);
            counts.denied += usize::from(!one.permitted);
        } else {
            wrong.push(format!(
                "judge says {}, the sandbox {}: {}",
                one.permitted,
                answer.errno,
                one.call.show()
            ));
        }
    }
    wrong.extend(names(&before, &ground.bed.tree()));
    for (path, content) in kept {
        if std::fs::read(&path).ok() != Some(content) {
            wrong.push(format!("{} was changed", path.display()));
        }
    }
    if !wrong.is_empty() {
        wrong.insert(0, settings["filesystem"].to_string());
    }
    wrong
}

#[test]
fn a_sandbox_permits_what_the_policy_says() {
    let mut random = Random::new();
    let mut counts = Counts::default();
    let wanted = if time_scale() > 4.0 { 1_000 } else { 20_000 };
    let mut wrong: Vec<String> = Vec::new();
    while counts.permitted + counts.denied < wanted {
        let bed = Bed::new();
        let driver = driver!(&bed);
        let ground = Ground::new(&bed, &mut random);
        for _ in 0..8 {
            let settings = ground.policy(&mut random);
            let found = compare(&ground, &driver, &settings, &mut random, &mut counts);
            if !found.is_empty() {
                wrong.push(found.join("\n"));
                // The tree may be another one now.
                break;
            }
        }
        assert!(wrong.len() < 25, "{}", wrong.join("\n\n"));
    }
    say(&format!("{counts:?}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(counts.permitted > wanted / 5, "{counts:?}");
    assert!(counts.denied > wanted / 5, "{counts:?}");
    assert!(counts.across < wanted / 20, "{counts:?}");
    assert!(counts.refused_policies < counts.policies, "{counts:?}");
}

/// The same kinds of calls while the way to their object leads now here, now there.
#[test]
fn a_raced_path_is_judged_where_it_leads() {
    let mut random = Random::new();
    let mut done = (0, 0);
    let rounds = if time_scale() > 4.0 { 2 } else { 16 };
    for round in 0..rounds {
        let bed = Bed::new();
        let driver = driver!(&bed);
        for side in ["open", "shut"] {
            for name in NAMES {
                let path = bed.file(format!("work/{side}/{name}"), side);
                if name.starts_with('.') || *name == "AGENTS.md" {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
        let (open, shut) = (bed.work().join("open"), bed.work().join("shut"));
        let link = bed.work().join("L-flip");
        symlink(&open, &link).unwrap();
        // Closed by its name, by a pattern, for reading, by a name in which nothing is special.
        let mut settings = match round % 4 {
            0 | 3 => rules(&[], &[], &["."], &["shut"]),
            1 => rules(&[], &[], &["."], &["**/shut/**"]),
            _ => rules(&["**/shut/**"], &[], &["."], &[]),
        };
        if round % 4 == 3 {
            settings["filesystem"]["denyWrite"] = json!([{"path": "shut", "literal": true}]);
        }
        let operations = [
            "openat_trunc",
            "openat_creat",
            "open_creat",
            "openat_append",
            "truncate",
            "chmod",
            "unlink",
            "mkdir",
            "symlink",
            "utimensat",
            "read",
        ];
        let calls: Vec<Call> = (0..1500)
            .map(|_| {
                let name = *random.pick(NAMES);
                let suffix = if random.once_in(4) { "-new" } else { "" };
                let path = link.join(format!("{name}{suffix}"));
                match random.below(16) {
                    0 => Call::two("rename", open.join("f"), &path),
                    1 => Call::two("link", open.join("g"), &path),
                    2 => Call::two("rename", &path, open.join("taken")),
                    3 => Call::two("put", open.join(name), "again"),
                    _ => Call::on(random.pick::<&str>(&operations), &path),
                }
            })
            .collect();
        let before = sandbox_tests::tree_hash(&shut);
        let answers = driver.inside_while(&settings, &calls, Some([&link, &open, &shut]));
        let changes = before.changes(&sandbox_tests::tree_hash(&shut));
        assert!(changes.is_empty(), "{settings}\n{changes:#?}");
        for (call, answer) in calls.iter().zip(&answers) {
            let hidden = round % 4 == 2 && answer.data.contains("shut");
            assert!(!hidden, "{settings}\n{}", call.show());
            done.0 += usize::from(answer.errno == 0);
            done.1 += usize::from(answer.errno != 0);
        }
    }
    say(&format!("raced: {} calls done, {} not", done.0, done.1));
    assert!(done.0 > 100 && done.1 > 100, "{done:?}");
}
