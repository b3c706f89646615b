//! What start-up does not grow with: the tree, the rules, repositories in the write root.

use sandbox_tests::{Bed, interleave, median};
use serde_json::{Value, json};

use crate::{alone, note, quiet_launcher, rounds, speed_matters};

/// As many rules as nobody writes by hand.
const MANY: usize = 5000;

/// As many closed files as get a mount each.
const MOUNTED: usize = 256;

fn with(deny_read: &[String], deny_write: &[String]) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": deny_read, "allowWrite": ["."], "denyWrite": deny_write},
    })
}

/// How many times longer a start in `large` takes than one in an empty directory without rules.
fn growth(what: &str, large: &Bed, settings: &Value) -> f64 {
    let plain = with(&[], &[]);
    let small = Bed::new();
    let start = |bed: &Bed, settings: &Value| {
        let srt = bed.srt().flat(settings).args(["true"]);
        srt.under(quiet_launcher()).time()
    };
    let (large, small) = interleave(
        rounds(60),
        || start(large, settings),
        || start(&small, &plain),
    );
    let (large, small) = (median(large), median(small));
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    note(&format!(
        "start-up with {what}: {large:?}, without {small:?}, ratio {ratio:.2}"
    ));
    ratio
}

#[test]
fn start_up_does_not_grow_with_the_tree() {
    let _alone = alone();
    let bed = Bed::new();
    for number in 0..20_000 {
        bed.file(format!("work/many/{}/{number}", number / 200), "x");
    }
    let ratio = growth("20,000 files", &bed, &with(&[], &[]));
    assert!(ratio < 1.5 || !speed_matters(), "{ratio:.2}");
}

#[test]
fn start_up_does_not_grow_with_nested_repositories() {
    let _alone = alone();
    let bed = Bed::new();
    for number in 0..2000 {
        let repository = format!("work/group-{}/{number}/.git", number / 100);
        bed.file(format!("{repository}/HEAD"), "ref: refs/heads/main\n");
        bed.file(format!("{repository}/hooks/pre-commit"), "");
        bed.file(format!("{repository}/config"), "[core]\n\tbare = false\n");
    }
    let ratio = growth("2,000 repositories", &bed, &with(&[], &[]));
    assert!(ratio < 1.5 || !speed_matters(), "{ratio:.2}");
}

#[test]
fn start_up_hardly_grows_with_write_denies() {
    let _alone = alone();
    let bed = Bed::new();
    let existing: Vec<_> = (0..MANY).map(|number| format!("there/{number}")).collect();
    for path in &existing {
        bed.file(format!("work/{path}"), "x");
    }
    let missing: Vec<_> = (0..MANY)
        .map(|number| format!("nowhere/{number}"))
        .collect();
    let globs: Vec<_> = (0..MANY).map(|number| format!("**/name{number}")).collect();
    for (what, rules) in [
        ("5,000 write denies", &existing),
        ("5,000 write denies of nothing", &missing),
        ("5,000 write denies by pattern", &globs),
    ] {
        let ratio = growth(what, &bed, &with(&[], rules));
        assert!(ratio < LIMIT || !speed_matters(), "{what}: {ratio:.2}");
    }
}

#[test]
fn start_up_hardly_grows_with_read_denies() {
    let _alone = alone();
    let bed = Bed::new();
    let existing: Vec<_> = (0..MANY).map(|number| format!("there/{number}")).collect();
    for path in &existing {
        bed.file(format!("work/{path}"), "x");
    }
    let missing: Vec<_> = (0..MANY)
        .map(|number| format!("nowhere/{number}"))
        .collect();
    let globs: Vec<_> = (0..MANY).map(|number| format!("**/name{number}")).collect();
    let mounted = existing.iter().take(MOUNTED).cloned().collect();
    for (what, rules) in [
        ("256 read denies", &mounted),
        ("5,000 read denies", &existing),
        ("5,000 read denies of nothing", &missing),
        ("5,000 read denies by pattern", &globs),
    ] {
        let ratio = growth(what, &bed, &with(rules, &[]));
        assert!(ratio < LIMIT || !speed_matters(), "{what}: {ratio:.2}");
    }
}

#[test]
fn start_up_hardly_grows_with_hosts() {
    let _alone = alone();
    let bed = Bed::new();
    let hosts: Vec<_> = (0..MANY)
        .map(|number| format!("host{number}.example.com"))
        .collect();
    for key in ["allowedDomains", "deniedDomains"] {
        let mut settings = with(&[], &[]);
        settings["network"][key] = json!(hosts);
        let ratio = growth(&format!("5,000 {key}"), &bed, &settings);
        assert!(ratio < LIMIT || !speed_matters(), "{key}: {ratio:.2}");
    }
}

#[test]
fn start_up_grows_little_with_write_roots_in_each_other() {
    let _alone = alone();
    let bed = Bed::new();
    let mut roots = vec![".".to_owned()];
    for number in 0..MANY {
        bed.file(format!("work/roots/{number}/file"), "x");
        roots.push(format!("roots/{number}"));
    }
    let mut settings = with(&[], &[]);
    settings["filesystem"]["allowWrite"] = json!(roots);
    let ratio = growth("5,000 write roots", &bed, &settings);
    assert!(ratio < LIMIT_OF_ROOTS || !speed_matters(), "{ratio:.2}");
}

/// All kinds at once.
#[test]
fn start_up_hardly_grows_with_a_mixture() {
    let _alone = alone();
    let bed = Bed::new();
    let list = |name: &str| -> Vec<String> {
        let each = (0..MANY / 5).map(|number| name.replace('#', &number.to_string()));
        each.collect()
    };
    for path in list("work/there/#") {
        bed.file(path, "x");
    }
    let writes = [list("there/#"), list("nowhere/#"), list("**/name#")].concat();
    let mut settings = with(&list("absent/#"), &writes);
    settings["network"]["allowedDomains"] = json!(list("host#.example.com"));
    let ratio = growth("5,000 rules of all kinds", &bed, &settings);
    assert!(ratio < LIMIT || !speed_matters(), "{ratio:.2}");
}

/// A look at each root took three starts' time, asking every rule about every root a hundred.
const LIMIT_OF_ROOTS: f64 = 8.0;

/// Reading the settings takes its time per rule; a mount or a question to the file system per rule
/// would take ten times that.
const LIMIT: f64 = 8.0;
