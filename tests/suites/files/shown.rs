//! What of the host's is shown in a private directory: opened for reading, it is not opened for writing.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use sandbox_tests::{Bed, Output, tree_hash};
use serde_json::{Value, json};

use crate::rules;

fn content(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A directory of the host's below one that is private inside.
struct Shown {
    bed: Bed,
    directory: tempfile::TempDir,
}

impl Shown {
    fn below(private: &str) -> Self {
        let directory = tempfile::tempdir_in(private).unwrap();
        fs::write(directory.path().join("file"), "host\n").unwrap();
        fs::create_dir(directory.path().join("below")).unwrap();
        let bed = Bed::new();
        Self { bed, directory }
    }

    fn place(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    fn text(&self, name: &str) -> String {
        self.place().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, settings: &Value, directory: &Path, line: &str) -> Output {
        let srt = self.bed.srt().flat(settings).directory(directory);
        srt.env("P", self.place().as_os_str()).sh(line).run()
    }

    /// Everything that could change it is refused, and it can be read.
    fn is_only_shown(&self, what: &str, settings: &Value, directory: &Path) {
        let before = tree_hash(&self.place());
        let read = self.run(settings, directory, "cat $P/file").ok();
        assert_eq!(read.text(), "host\n", "{what}");
        for line in [
            "echo changed > $P/file",
            "echo more >> $P/file",
            "rm $P/file",
            "mv $P/file $P/other",
            "mv $P/file /tmp/other",
            "chmod 600 $P/file",
            "truncate -s 1 $P/file",
            "touch $P/file",
            "ln $P/file $P/second",
            "echo x > /tmp/new && mv /tmp/new $P/file",
        ] {
            self.run(settings, directory, line).refused();
            let after = tree_hash(&self.place());
            assert_eq!(before, after, "{what}: `{line}`");
        }
    }
}

#[test]
fn what_is_opened_for_reading_below_a_private_directory_is_not_written() {
    for private in ["/tmp", "/var/tmp"] {
        let shown = Shown::below(private);
        let (place, file) = (shown.text(""), shown.text("file"));
        let place = place.trim_end_matches('/');
        let work = shown.bed.work().to_owned();
        let whole = rules(&[], &[place], &[], &[]);
        shown.is_only_shown("a directory", &whole, &work);
        shown.is_only_shown("a file", &rules(&[], &[&file], &[], &[]), &work);
        let reopened = rules(&[place], &[&file], &[], &[]);
        shown.is_only_shown("a file in a closed directory", &reopened, &work);
        let link = shown.bed.outside().join("link");
        symlink(place, &link).unwrap();
        let linked = rules(&[], &[link.to_str().unwrap()], &[], &[]);
        shown.is_only_shown("a directory behind a link", &linked, &work);
        let many: Vec<_> = (0..100).map(|number| format!("/srv/{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let compiled = rules(&many, &[place], &[], &[]);
        shown.is_only_shown("a directory among many rules", &compiled, &work);
        let line =
            "mkdir -p $P/.git/hooks || mkdir $P/new || echo x > $P/.bashrc || echo x > $P/below/x";
        let before = tree_hash(&shown.place());
        shown.run(&whole, &work, line).refused();
        assert_eq!(before, tree_hash(&shown.place()));
        // What is around it stays private, and a write root is one.
        let mine = Path::new(private).join(shown.bed.marker());
        let line = format!("echo mine > {0} && cat {0}", mine.display());
        shown.run(&whole, &work, &line).ok().prints("mine\n");
        assert!(mine.symlink_metadata().is_err(), "{mine:?}");
        let written = rules(&[], &[place], &[place], &[]);
        let line = "echo changed > $P/file && echo x > $P/below/x";
        shown.run(&written, &work, line).ok();
        assert_eq!(content(&file).as_deref(), Some("changed\n"));
        shown
            .run(
                &written,
                &work,
                "mkdir -p $P/.git/hooks && echo x > $P/.git/hooks/x",
            )
            .refused();
    }
}

#[test]
fn a_preset_below_tmp_opens_no_more_than_elsewhere() {
    let shown = Shown::below("/tmp");
    let mut settings = rules(&[], &[], &["./out"], &[]);
    settings["filesystem"]["preset"] = json!("workspace");
    fs::create_dir(shown.place().join("out")).unwrap();
    shown.is_only_shown("the working directory", &settings, &shown.place());
    let line = "echo x > out/x";
    shown.run(&settings, &shown.place(), line).ok();
    assert_eq!(content(shown.place().join("out/x")).as_deref(), Some("x\n"));
}

#[test]
fn settings_below_tmp_cannot_change_themselves() {
    let shown = Shown::below("/tmp");
    let settings = shown.place().join("settings.json");
    let text = rules(&[], &[], &[], &[]).to_string();
    fs::write(&settings, &text).unwrap();
    let path = settings.to_str().unwrap();
    let srt = |line: &str| {
        let srt = shown.bed.srt();
        let srt = srt.options(["--settings", path, "--allow-read", path]);
        srt.args(["sh", "-c", line, path]).run()
    };
    srt("echo '{}' > \"$0\"").refused();
    assert_eq!(content(&settings).as_deref(), Some(&*text));
    srt("cat \"$0\"").ok().prints(&text);
}
