//! A home, a trust store or a settings file behind symlinks: nothing inside changes where a later run looks.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use sandbox_tests::{Bed, Output};
use serde_json::{Value, json};

const SECRET: &str = "SECRET";

fn flat(filesystem: &Value) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": filesystem,
    })
}

/// A user's home at `data/me`, by the name that a symlink gives it.
struct Linked {
    bed: Bed,
    home: PathBuf,
}

impl Linked {
    /// `links` are made in the bed's root, each with its target.
    fn new(home: &str, links: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        bed.file("data/me/.ssh/key", SECRET);
        for (link, target) in links {
            let link = bed.root().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        let home = bed.root().join(home);
        Self { bed, home }
    }

    fn at(&self, name: &str) -> String {
        self.bed.root().join(name).display().to_string()
    }

    fn user_settings(&self, filesystem: &Value) {
        let text = flat(filesystem).to_string();
        self.bed.file("data/me/.srt-settings.json", text);
    }

    fn run(&self, options: &[&str], line: &str) -> Output {
        self.bed
            .srt()
            .env("HOME", &self.home)
            .options(options.iter().copied())
            .sh(&format!("cd '{}'; {line}", self.bed.root().display()))
            .run()
    }

    /// Asserts that a line changes none of the links, and that the key stays closed.
    #[track_caller]
    fn holds(&self, options: &[&str], line: &str, links: &[&str]) {
        let before: Vec<_> = links.iter().map(|link| self.leads(link)).collect();
        let output = self.run(options, line);
        let after: Vec<_> = links.iter().map(|link| self.leads(link)).collect();
        assert_eq!(before, after, "{line}\n{output}");
        let _refused = output.refused();
        self.run(options, "cat data/me/.ssh/key")
            .refused()
            .prints("");
    }

    fn leads(&self, link: &str) -> Option<PathBuf> {
        fs::read_link(self.bed.root().join(link)).ok()
    }
}

const EXCHANGES: [&str; 6] = [
    "rm homes/me && mkdir homes/me",
    "mv homes/me homes/old && mkdir homes/me",
    "ln -sfn ../elsewhere homes/me",
    "mkdir homes/new && mv -T homes/new homes/me",
    "ln -s ../elsewhere homes/new && mv -T homes/new homes/me",
    "python3 -c 'import os; os.unlink(\"homes/me\"); os.mkdir(\"homes/me\")'",
];

#[test]
fn a_home_behind_a_link_stays_where_it_is() {
    sandbox_tests::need!("python3");
    let linked = Linked::new("homes/me", &[("homes/me", "../data/me")]);
    let homes = linked.at("homes");
    linked.user_settings(
        &json!({"allowWrite": [".", homes], "denyRead": ["~/.ssh"], "denyWrite": []}),
    );
    for line in EXCHANGES {
        linked.holds(&[], line, &["homes/me"]);
    }
    // All else there is as open as it was.
    linked.run(&[], "echo x > homes/file && mv homes/file homes/other && rm homes/other && ln -s x homes/link && rm homes/link").ok();
    let said = linked.run(&[], "rm homes/me").refused();
    assert!(said.errors().contains("homes/me"), "{said}");
    let explained = linked.bed.srt().env("HOME", &linked.home);
    let explained = explained
        .options(["explain", "write", &linked.at("homes/me")])
        .run();
    assert!(!explained.text().contains("may be replaced"), "{explained}");
}

#[test]
fn a_home_in_a_write_root_behind_a_link_stays_open_for_writing() {
    let linked = Linked::new("homes/me", &[("homes/me", "../data/me")]);
    let root = linked.at("");
    linked.user_settings(&json!({"allowWrite": [root], "denyRead": ["~/.ssh"], "denyWrite": []}));
    for line in EXCHANGES.into_iter().chain([
        "mv homes old && mkdir homes",
        "mv homes old && mkdir -p homes/me",
        "mv data old && mkdir -p data/me",
        "mv data/me data/old && mkdir data/me",
    ]) {
        linked.holds(&[], line, &["homes/me"]);
        let settings = linked.bed.root().join("data/me/.srt-settings.json");
        assert!(fs::symlink_metadata(settings).is_ok(), "{line}");
    }
    linked.run(&[], "echo one > homes/me/notes && mkdir ~/project && echo two > ~/project/file && rm -r ~/project").ok();
    let notes = fs::read_to_string(linked.bed.root().join("data/me/notes")).unwrap();
    assert_eq!(notes, "one\n");
}

#[test]
fn links_further_up_stay_too() {
    let linked = Linked::new("mnt/u/me", &[("mnt/u", "step"), ("mnt/step", "../data")]);
    let mnt = linked.at("mnt");
    linked
        .user_settings(&json!({"allowWrite": [".", mnt], "denyRead": ["~/.ssh"], "denyWrite": []}));
    for link in ["mnt/u", "mnt/step"] {
        let remove = format!("rm {link} && mkdir -p {link}/me");
        linked.holds(&[], &remove, &["mnt/u", "mnt/step"]);
        let lead = format!("ln -sfn ../elsewhere {link}");
        linked.holds(&[], &lead, &["mnt/u", "mnt/step"]);
    }
    linked.run(&[], "ln -s x mnt/v && rm mnt/v").ok();
}

#[test]
fn a_home_that_is_not_there_yet_is_made_by_nobody_inside() {
    let linked = Linked::new("homes/me", &[("homes/me", "../data/none")]);
    let homes = linked.at("homes");
    let rules = flat(&json!({"allowWrite": [".", homes], "denyRead": [], "denyWrite": []}));
    let file = linked.bed.file("rules.json", rules.to_string());
    let options = ["-s", file.to_str().unwrap()];
    for line in EXCHANGES {
        let output = linked.run(&options, line);
        assert!(linked.leads("homes/me").is_some(), "{line}\n{output}");
        let _refused = output.refused();
    }
    linked
        .run(&options, "ln -s x homes/link && rm homes/link")
        .ok();
}

#[test]
fn a_link_of_the_working_directory_and_a_root_of_everything_hold_it_too() {
    let linked = Linked::new("work/me", &[("work/me", "../data/me")]);
    linked.user_settings(&json!({"allowWrite": ["."], "denyRead": ["~/.ssh"], "denyWrite": []}));
    linked.holds(&[], "rm work/me && mkdir work/me", &["work/me"]);
    linked.run(&[], "echo x > work/file").ok();
    linked.user_settings(&json!({"allowWrite": ["/"], "denyRead": ["~/.ssh"], "denyWrite": []}));
    linked.holds(&[], "rm work/me && mkdir work/me", &["work/me"]);
    linked.run(&[], "echo x > work/me/file").ok();
    // With rules in a file that is named, of which the home is only what `~` means.
    fs::remove_file(linked.bed.root().join("data/me/.srt-settings.json")).unwrap();
    let rules = flat(&json!({"allowWrite": ["."], "denyRead": ["~/.ssh"], "denyWrite": []}));
    let file = linked.bed.file("rules.json", rules.to_string());
    let options = ["-s", file.to_str().unwrap()];
    linked.holds(&options, "rm work/me && mkdir work/me", &["work/me"]);
    linked.run(&options, "echo x > work/file").ok();
    // In the words of the other format.
    let text = json!({"permissions": {"allow": ["Edit(/**)"], "deny": ["Read(~/.ssh/**)"]}});
    linked
        .bed
        .file("data/me/.claude/settings.json", text.to_string());
    linked.holds(&[], "rm work/me && mkdir work/me", &["work/me"]);
    linked.run(&[], "echo x > work/file").ok();
}

#[test]
fn a_settings_file_behind_links_stays_where_it_is() {
    let linked = Linked::new("data/me", &[("dots/now", "v1")]);
    let dots = linked.at("dots");
    let rules = flat(&json!({"allowWrite": [".", dots], "denyRead": ["~/.ssh"], "denyWrite": []}));
    linked.bed.file("dots/v1/rules.json", rules.to_string());
    let settings = linked.at("data/me/.srt-settings.json");
    symlink(linked.at("dots/now/rules.json"), settings).unwrap();
    let link = linked.at("dots/now/rules.json");
    for options in [
        &[][..],
        &["-s", &link][..],
        &["-s", "../dots/now/../now/rules.json"][..],
    ] {
        for line in [
            "rm dots/now && mkdir dots/now",
            "echo '{}' > dots/now/rules.json",
            "mv dots/v1 dots/v2",
            "rm -f dots/v1/rules.json",
        ] {
            linked.holds(options, line, &["dots/now"]);
            let kept = fs::read_to_string(linked.bed.root().join("dots/now/rules.json"));
            assert_eq!(kept.unwrap(), rules.to_string());
        }
        linked
            .run(options, "echo x > dots/v1/other && rm dots/v1/other")
            .ok();
    }
}

/// A project whose settings would open a place, and a record of trust in it that was made elsewhere.
struct Forged {
    bed: Bed,
    record: PathBuf,
}

impl Forged {
    fn new() -> Self {
        let bed = Bed::new();
        fs::create_dir_all(bed.outside().join("prize")).unwrap();
        let prize = bed.outside().join("prize").display().to_string();
        let wish = json!({"sandbox": {"filesystem": {"allowWrite": [prize]}}});
        bed.file("work/.claude/settings.json", wish.to_string());
        let elsewhere = bed.work().join("made");
        bed.srt()
            .env("XDG_DATA_HOME", &elsewhere)
            .args(["trust"])
            .run()
            .ok();
        let record = elsewhere.join("srt/trust");
        Self { bed, record }
    }

    /// Asserts that a line, which puts the record into the store, does not get it believed.
    #[track_caller]
    fn fails(&self, store: &Path, options: &[&str], line: &str) {
        let record = self.record.display();
        let run = |line: &str| {
            let run = self.bed.srt().env("XDG_DATA_HOME", store);
            run.options(options.iter().copied()).sh(line).run()
        };
        let touch = format!("touch '{}/prize/x'", self.bed.outside().display());
        run(&touch).refused();
        let forged = run(&format!("REC='{record}'; {line}"));
        let next = run(&touch);
        let exists = fs::symlink_metadata(self.bed.outside().join("prize/x")).is_ok();
        assert!(!exists, "{line}\n{forged}\n{next}");
        let _refused = next.refused();
        // The store is believed where the user has put the record.
        run("echo x > file && rm file").ok();
    }
}

#[test]
fn a_trust_store_behind_a_link_is_not_exchanged() {
    let forged = Forged::new();
    let root = forged.bed.root();
    fs::create_dir_all(root.join("real/deep")).unwrap();
    symlink("../real", forged.bed.work().join("data")).unwrap();
    let put = "mkdir -p data/srt/trust && cp $REC/* data/srt/trust/";
    for line in ["rm data", "mv data old", "ln -sfn /tmp data"] {
        let line = format!("{line} && {put}");
        forged.fails(&forged.bed.work().join("data"), &[], &line);
        assert!(fs::read_link(forged.bed.work().join("data")).is_ok());
    }
    let deep = "rm data && mkdir -p data/deep/srt/trust && cp $REC/* data/deep/srt/trust/";
    forged.fails(&forged.bed.work().join("data/deep"), &[], deep);
    fs::create_dir_all(root.join("real/srt/trust")).unwrap();
    forged.fails(
        &forged.bed.work().join("data"),
        &[],
        &format!("rm data && {put}"),
    );
    // A link in the home, which is open.
    fs::create_dir(root.join("big")).unwrap();
    symlink("../big", forged.bed.home().join(".data")).unwrap();
    let home = forged.bed.home().display().to_string();
    let line = "cd ~ && rm .data && mkdir -p .data/srt/trust && cp $REC/* .data/srt/trust/";
    forged.fails(
        &forged.bed.home().join(".data"),
        &["--allow-write", &home],
        line,
    );
    // A record in the store itself is believed.
    let store = root.join("real/srt/trust");
    for record in fs::read_dir(&forged.record).unwrap() {
        let record = record.unwrap().path();
        fs::copy(&record, store.join(record.file_name().unwrap())).unwrap();
    }
    let touch = format!("touch '{}/prize/x'", forged.bed.outside().display());
    let data = forged.bed.work().join("data");
    forged
        .bed
        .srt()
        .env("XDG_DATA_HOME", data)
        .sh(&touch)
        .run()
        .ok();
}

#[test]
fn a_write_root_behind_a_link_opens_nothing_that_decides() {
    let forged = Forged::new();
    let root = forged.bed.root();
    fs::create_dir_all(root.join("stores/data/srt")).unwrap();
    symlink("stores", root.join("link")).unwrap();
    let link = root.join("link").display().to_string();
    let store = root.join("stores/data");
    let put = format!(
        "mkdir -p {0}/srt/trust && cp $REC/* {0}/srt/trust/",
        store.display()
    );
    forged.fails(&store, &["--allow-write", &link], &put);
    let away = format!("mv {0} {0}2 && {put}", store.display());
    forged.fails(&store, &["--allow-write", &link], &away);
    let run = |line: &str| {
        let run = forged.bed.srt().options(["--allow-write", &link]);
        run.sh(&format!("cd '{}'; {line}", root.display())).run()
    };
    run("echo x > stores/file").ok();
    // A file of settings that lies there.
    let rules = flat(&json!({"allowWrite": [link], "denyRead": [], "denyWrite": []})).to_string();
    let file = forged.bed.file("stores/rules.json", &rules);
    let options = ["-s".to_owned(), file.display().to_string()];
    for line in [
        "echo {} > stores/rules.json",
        "rm stores/rules.json",
        "mv stores/rules.json stores/r",
    ] {
        let line = format!("cd '{}'; {line}", root.display());
        forged
            .bed
            .srt()
            .options(options.clone())
            .sh(&line)
            .run()
            .refused();
        assert_eq!(fs::read_to_string(&file).unwrap(), rules);
    }
    // What is written of refusals.
    let log = forged.bed.file("stores/log", "");
    let log_options = [
        "--allow-write",
        &link,
        "--violations",
        log.to_str().unwrap(),
    ];
    let spoil = forged.bed.srt().options(log_options);
    spoil
        .sh(&format!("touch /usr/x; : > {}; rm {0}", log.display()))
        .run()
        .refused();
    assert!(fs::read_to_string(&log).unwrap().contains("/usr/x"));
}

/// Accounts of services have such homes.
#[test]
fn a_home_that_is_no_directory_has_no_settings() {
    let bed = Bed::new();
    for home in ["/dev/null", "/nonexistent"] {
        let output = bed
            .srt()
            .env("HOME", home)
            .sh("echo x > made && cat made")
            .run();
        assert_eq!(output.ok().text(), "x\n", "{home}");
    }
    // What is there and can't be read stays an error.
    let home = bed.home();
    fs::create_dir_all(home.join(".claude/settings.json")).unwrap();
    assert_eq!(bed.srt().sh("true").run().code(), Some(125));
}
