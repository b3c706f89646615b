//! What each policy mounts, in which order.

use std::error::Error as _;

use sandbox_policy::{
    Firmness, LayerId, Origin, PathPattern, PathRule, Policy, ProcMount, Protection, ReadDeny,
    StrictReads, workspace,
};

use super::{Host, path};
use crate::plan::{BindAccess, PlanError, PlanNotice, RuleAnchor, Supervision};

const BASE: [&str; 3] = ["read-only /", "devices /dev", "proc /proc"];

fn check(host: &Host, policy: &Policy, expected: &[&str]) {
    let expected: Vec<_> = BASE.iter().chain(expected).copied().collect();
    assert_eq!(host.mounts(policy), expected);
}

#[test]
fn the_strictest_policy_has_private_scratch_and_its_own_hosts_file() {
    let expected = ["scratch /tmp", "scratch /var/tmp", "file /etc/hosts"];
    check(&Host::new(&[]), &Policy::restrictive(), &expected);
}

#[test]
fn a_write_root_is_a_writable_bind() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let expected = [
        "scratch /tmp",
        "scratch /var/tmp",
        "bind /home/u/ws Writable",
        "file /etc/hosts",
    ];
    check(&Host::new(&[]), &policy, &expected);
}

/// The base stays writable, and the host's proc is not opened with it.
#[test]
fn a_write_root_of_everything_is_the_base() {
    let mut policy = Policy::restrictive().allow_write("/").unwrap();
    let base = |policy: &Policy| Host::new(&[]).mounts(policy);
    let expected = [
        "writable /",
        "devices /dev",
        "proc /proc",
        "scratch /tmp",
        "scratch /var/tmp",
    ];
    assert_eq!(base(&policy), expected);
    policy.process.proc_mount = ProcMount::Inherited(Origin::Program);
    assert!(base(&policy).contains(&"bind /proc ReadOnly".to_owned()));
    policy.process.proc_mount = ProcMount::Fresh;
    let closed = policy.deny_write("/home/u/ws/keep").unwrap();
    let closed = closed.deny_read("/home/u/.ssh").unwrap();
    let expected = [
        "writable /",
        "devices /dev",
        "proc /proc",
        "bind /home Writable",
        "scratch /tmp",
        "bind /home/u Writable",
        "scratch /var/tmp",
        "mask /home/u/.ssh",
        "bind /home/u/ws Writable",
        "bind /home/u/ws/keep ReadOnly",
    ];
    let host = Host::new(&["/home/", "/home/u/ws/keep/", "/home/u/.ssh/"]);
    assert_eq!(host.mounts(&closed), expected);
    let plan = host.plan(&closed).unwrap();
    let grants = plan.landlock.map(|spec| spec.rules).unwrap_or_default();
    let root = grants.iter().find(|rule| rule.anchor == RuleAnchor::Root);
    assert_eq!(root.map(|rule| rule.access), Some(BindAccess::Writable));
}

#[test]
fn a_write_deny_inside_a_write_root_is_read_only() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let policy = policy.deny_write("/home/u/ws/keep").unwrap();
    let expected = [
        "scratch /tmp",
        "scratch /var/tmp",
        "bind /home/u/ws Writable",
        "bind /home/u/ws/keep ReadOnly",
        "file /etc/hosts",
    ];
    check(&Host::new(&["/home/u/ws/keep/"]), &policy, &expected);
}

#[test]
fn a_write_root_inside_a_write_deny_stays_read_only() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let policy = policy.deny_write("/home/u").unwrap();
    check(
        &Host::new(&[]),
        &policy,
        &["scratch /tmp", "scratch /var/tmp", "file /etc/hosts"],
    );
}

#[test]
fn closed_files_and_directories_are_masked() {
    let policy = Policy::restrictive().deny_read("/home/u/.ssh").unwrap();
    let policy = policy.deny_read("/home/u/.netrc").unwrap();
    let expected = [
        "scratch /tmp",
        "scratch /var/tmp",
        "mask /home/u/.netrc",
        "mask /home/u/.ssh",
        "file /etc/hosts",
    ];
    check(
        &Host::new(&["/home/u/.ssh/", "/home/u/.netrc"]),
        &policy,
        &expected,
    );
}

#[test]
fn a_re_opened_path_is_mounted_into_the_mask_which_is_sealed_at_the_end() {
    let policy = Policy::restrictive().deny_read("/home/u").unwrap();
    let policy = policy.allow_write("/home/u/ws").unwrap();
    let expected = [
        "scratch /tmp",
        "mask /home/u around mounts",
        "scratch /var/tmp",
        "bind /home/u/ws Writable",
        "file /etc/hosts",
        "seal /home/u",
    ];
    check(&Host::new(&[]), &policy, &expected);
}

#[test]
fn the_working_directory_stays_visible_in_scratch() {
    let mut host = Host::new(&["/tmp/job/"]);
    host.facts.working_directory = path("/tmp/job");
    let expected = [
        "scratch /tmp",
        "bind /tmp/job ReadOnly",
        "scratch /var/tmp",
        "file /etc/hosts",
    ];
    let mut mounts = host.mounts(&Policy::restrictive());
    mounts.drain(..BASE.len());
    mounts.sort();
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(mounts, expected);
}

#[test]
fn a_deny_through_a_symlink_closes_where_it_lands() {
    let policy = Policy::restrictive().deny_read("/home/u/link").unwrap();
    let host = Host::new(&["/home/u/link -> /srv/secret/"]);
    let expected = [
        "scratch /tmp",
        "mask /srv/secret",
        "scratch /var/tmp",
        "file /etc/hosts",
    ];
    check(&host, &policy, &expected);
}

#[test]
fn a_deny_below_a_symlink_that_the_command_could_replace_is_an_error() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let hooks = policy.clone().deny_write("/home/u/ws/hooks").unwrap();
    let linked = Host::new(&["/home/u/ws/hooks -> /srv/hooks/"]);
    // The supervisor keeps the link itself.
    assert_eq!(
        linked.plan(&hooks).unwrap().supervision,
        Supervision::Changes
    );
    let plain = Host::new(&["/home/u/ws/hooks/"]);
    assert!(plain.plan(&hooks).is_ok());
    // The link may also be above.
    let below = policy.deny_read("/home/u/ws/link/secret").unwrap();
    let linked = Host::new(&[
        "/home/u/ws/link -> /srv/data/",
        "/home/u/ws/link/secret -> /srv/data/secret",
    ]);
    assert!(matches!(
        linked.plan(&below),
        Err(PlanError::LinkedDeny { .. })
    ));
}

#[test]
fn a_write_root_through_a_symlink_is_where_it_lands() {
    let policy = Policy::restrictive().allow_write("/home/u/link").unwrap();
    let host = Host::new(&["/home/u/link -> /srv/data/"]);
    let expected = [
        "scratch /tmp",
        "bind /srv/data Writable",
        "scratch /var/tmp",
        "file /etc/hosts",
    ];
    check(&host, &policy, &expected);
}

#[test]
fn a_symlink_that_a_command_could_have_planted_is_no_write_root() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let policy = policy.allow_write("/home/u/ws/build").unwrap();
    let planted = Host::new(&["/home/u/ws/build -> /etc/"]);
    assert!(matches!(
        planted.plan(&policy),
        Err(PlanError::PlantedLink { .. })
    ));
    let inside = Host::new(&["/home/u/ws/build -> /home/u/ws/out/"]);
    assert!(inside.plan(&policy).is_ok());
}

#[test]
fn planted_links_do_not_vouch_for_each_other() {
    let mut host = Host::new(&["/home/u/ws/a -> /srv/p/", "/home/u/ws/b -> /srv/p/"]);
    host.facts.working_directory = path("/home/u/ws");
    let policy = Policy::restrictive().allow_write("/home/u/ws/a").unwrap();
    // One alone, which no other root covers, was planted by whoever filled the working directory.
    assert!(matches!(
        host.plan(&policy),
        Err(PlanError::PlantedLink { .. })
    ));
    let policy = policy.allow_write("/home/u/ws/b").unwrap();
    assert!(matches!(
        host.plan(&policy),
        Err(PlanError::PlantedLink { .. })
    ));
}

#[test]
fn a_write_root_below_a_linked_one_is_no_planted_link() {
    let policy = Policy::restrictive().allow_write("/ws").unwrap();
    let policy = policy.allow_write("/ws/sub").unwrap();
    let host = Host::new(&["/ws -> /real/ws/", "/ws/sub -> /real/ws/sub/"]);
    assert!(host.plan(&policy).is_ok());
}

#[test]
fn a_symlink_at_a_re_opened_name_does_not_re_open_a_closed_place() {
    let policy = Policy::restrictive().deny_read("/srv/secret").unwrap();
    let policy = policy.allow_read("/home/u/ws/link").unwrap();
    let host = Host::new(&["/srv/secret/", "/home/u/ws/link -> /srv/secret/key"]);
    let expected = [
        "scratch /tmp",
        "mask /srv/secret",
        "scratch /var/tmp",
        "file /etc/hosts",
    ];
    check(&host, &policy, &expected);
}

#[test]
fn a_closed_root_is_replaced_by_an_empty_one() {
    let mut policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let origin = Origin::Program;
    let (denies, allows) = workspace(&path("/home/u/ws"), Some(&path("/home/u")), &origin);
    policy.filesystem.deny_read.extend(denies);
    policy.filesystem.allow_read.extend(allows);
    let host = Host::new(&["/usr/", "/etc/", "/lib -> /usr/lib/"]);
    let mounts = host.mounts(&policy);
    assert_eq!(mounts.first().map(String::as_str), Some("empty /"));
    assert_eq!(mounts.last().map(String::as_str), Some("seal /"));
    for line in [
        "bind /usr ReadOnly",
        "symlink /lib -> /usr/lib",
        "bind /home/u/ws Writable",
    ] {
        assert!(
            mounts.iter().any(|mount| mount == line),
            "{line} is missing in {mounts:?}"
        );
    }
    assert!(!mounts.iter().any(|mount| mount.contains(".ssh")));
}

#[test]
fn a_closed_working_directory_is_an_error() {
    let policy = Policy::restrictive().deny_read("/home/u/ws").unwrap();
    let error = Host::new(&[]).plan(&policy).unwrap_err();
    assert!(
        matches!(error, PlanError::ClosedWorkingDirectory { .. }),
        "{error}"
    );
    assert!(error.source().is_none());
}

#[test]
fn what_is_not_enforced_exactly_is_told() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let policy = policy.allow_write("/home/u/absent").unwrap();
    let mut policy = policy.deny_write("/home/u/ws/.env").unwrap();
    let base = sandbox_policy::PathBase {
        working_directory: path("/home/u/ws"),
        home: None,
    };
    let syntax = sandbox_policy::PatternSyntax::Glob;
    let pattern = PathPattern::parse("*.pem".as_ref(), syntax, &base).unwrap();
    let rule = PathRule {
        pattern,
        origin: Origin::Program,
    };
    let firmness = Firmness::Layer(LayerId::PROGRAM);
    policy.filesystem.deny_read.push(ReadDeny {
        rule: rule.clone(),
        firmness,
    });
    let plan = Host::new(&[]).plan(&policy).unwrap();
    assert!(
        (plan.notices.iter()).any(|notice| matches!(notice, PlanNotice::MissingWriteRoot { .. }))
    );
    // The pattern closes files for reading, wherever they appear.
    assert_eq!(plan.supervision, Supervision::Opens);
    policy
        .filesystem
        .allow_write
        .push(sandbox_policy::ReadAllow {
            rule,
            layer: LayerId::PROGRAM,
        });
    assert!(matches!(
        Host::new(&[]).plan(&policy),
        Err(PlanError::AllowGlob { .. })
    ));
}

#[test]
fn an_old_kernel_is_told_and_root_gets_guarded_sysctls() {
    let mut host = Host::new(&[]);
    host.facts.landlock_abi = 0;
    let plan = host.plan(&Policy::restrictive()).unwrap();
    assert_eq!(plan.notices, [PlanNotice::NoLandlock]);
    host.facts.uid = 0;
    host.facts.maps_all_ids = true;
    let text = host.plan(&Policy::restrictive()).unwrap().to_string();
    assert!(text.starts_with("ids all"), "{text}");
    assert!(text.contains("proc /proc, sysctls read-only"), "{text}");
}

#[test]
fn a_write_root_where_names_are_folded_is_told_of() {
    let mut host = Host::new(&[]);
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let tells = |host: &Host| {
        let notices = host.plan(&policy).unwrap().notices;
        notices.iter().any(|notice| matches!(notice, PlanNotice::FoldedNames { path } if path.as_bytes() == b"/home/u/ws"))
    };
    assert!(!tells(&host));
    host.facts.folding_roots.push(path("/home/u/ws"));
    assert!(tells(&host));
}

#[test]
fn equal_inputs_give_equal_plans() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let plan = || {
        Host::new(&["/b/", "/a/"])
            .plan(&policy)
            .unwrap()
            .to_string()
    };
    assert_eq!(plan(), plan());
}

#[test]
fn the_supervisor_sees_no_more_than_the_policy_needs() {
    let unprotected = |mut policy: Policy| {
        policy.filesystem.protected = Protection::none();
        policy
    };
    let supervision = |policy: &Policy| {
        let host = Host::new(&["/home/u/ws/", "/home/u/ws/locked"]);
        host.plan(policy).unwrap().supervision
    };
    let writable = || Policy::restrictive().allow_write("/home/u/ws").unwrap();
    // What mounts refuse by themselves nobody would hear of.
    assert_eq!(supervision(&Policy::restrictive()), Supervision::Changes);
    assert_eq!(supervision(&writable()), Supervision::Changes);
    assert_eq!(supervision(&unprotected(writable())), Supervision::Changes);
    let all = || unprotected(Policy::restrictive().allow_write("/").unwrap());
    assert_eq!(supervision(&all()), Supervision::Off);
    let mut strict = all();
    strict.process.strict_reads = StrictReads::On(Origin::Program);
    assert_eq!(supervision(&strict), Supervision::Off);
    let strict = Policy {
        process: strict.process,
        ..writable().deny_read("/home/u/ws/locked").unwrap()
    };
    assert_eq!(supervision(&strict), Supervision::Opens);
    let absent = all().deny_write("/home/u/ws/absent").unwrap();
    assert_eq!(supervision(&absent), Supervision::Changes);
}

#[test]
fn a_deny_behind_a_link_outside_holds_also_where_nothing_is_yet() {
    let mut host = Host::new(&[]);
    // A path through `/home/u/link -> /home/u/ws`, as the probe tells of what is missing.
    let landing = (path("/home/u/link/new"), path("/home/u/ws/new"));
    host.facts.landings.extend([landing]);
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let policy = policy.deny_write("/home/u/link/new").unwrap();
    let plan = host.plan(&policy).unwrap();
    let verdict = plan.filesystem.judge_write(&path("/home/u/ws/new/file"));
    assert!(!verdict.is_allowed());
}

#[test]
fn what_is_not_about_a_place_says_nothing_about_it() {
    let places = ["/", "/home/u/ws", "/home/u/ws/src/deep", "/home/u/ws/a.pem"].map(path);
    let mut policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    for text in [
        "/home/u/ws/src",
        "/home/u/ws/srcs",
        "/home/u/ws/src/deep/er",
        "/home/u/ws/**/deep",
        "/home/u/ws/**/eep",
        "/home/u/ws/*.pem",
        "/home/u/w?",
        "/home/u/ws/[ab]*/deep",
        "/**/src",
    ] {
        policy = policy.deny_write(text).unwrap();
        let files = &policy.filesystem;
        let about = crate::plan::mounts::about(files, &places, &[]);
        for place in &places {
            let (all, few) = (files.judge_write(place), about.judge_write(place));
            assert_eq!(all.is_allowed(), few.is_allowed(), "{text} at {place:?}");
        }
    }
}
