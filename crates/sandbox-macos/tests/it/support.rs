//! Policies, machines and questions.

use std::ffi::OsStr;

use proptest::prelude::*;
use sandbox_macos::{Endpoints, HostFacts, LocalBinding, MacosRelease, SeatbeltProfile, lower};
use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Firmness, LayerId, Origin, PROTECTED_PATHS, PathBase,
    PathPattern, PathRule, PatternSyntax, Policy, Protection, ReadAllow, ReadDeny,
};

use crate::evaluator::{Decision, Evaluator, Object};

pub(crate) fn path(text: &str) -> AbsolutePath {
    AbsolutePath::new(text).unwrap()
}

pub(crate) fn pattern(text: &str) -> PathPattern {
    let base = PathBase {
        working_directory: path("/w"),
        home: Some(path("/Users/me")),
    };
    PathPattern::parse(OsStr::new(text), PatternSyntax::Glob, &base).unwrap()
}

pub(crate) fn rule(text: &str) -> PathRule {
    PathRule {
        pattern: pattern(text),
        origin: Origin::Program,
    }
}

pub(crate) fn allow(text: &str) -> ReadAllow {
    ReadAllow {
        rule: rule(text),
        layer: LayerId(1),
    }
}

pub(crate) fn deny(text: &str, firmness: Firmness) -> ReadDeny {
    ReadDeny {
        rule: rule(text),
        firmness,
    }
}

pub(crate) fn facts() -> HostFacts {
    let temp_dir = path("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T");
    HostFacts::new(MacosRelease::new(14, 4), Some(temp_dir))
}

pub(crate) fn proxies() -> Endpoints {
    Endpoints {
        http_port: Some(3128),
        socks_port: Some(1080),
        local_binding: LocalBinding::Refused,
    }
}

pub(crate) fn profile(policy: &Policy) -> SeatbeltProfile {
    lower(policy, &facts(), &proxies()).unwrap()
}

pub(crate) fn with_files(filesystem: FilesystemPolicy) -> Policy {
    Policy {
        filesystem,
        ..Policy::restrictive()
    }
}

/// Decides an operation on a file.
pub(crate) fn decide(evaluator: &Evaluator, operation: &str, path: &AbsolutePath) -> bool {
    decide_of_type(evaluator, operation, path, "REGULAR-FILE")
}

pub(crate) fn decide_of_type(
    evaluator: &Evaluator,
    operation: &str,
    path: &AbsolutePath,
    vnode: &'static str,
) -> bool {
    let text = path.as_path().to_str().unwrap().to_owned();
    let object = Object {
        path: Some(text),
        vnode: Some(vnode),
        ..Object::default()
    };
    evaluator.decide(operation, &object) == Decision::Allow
}

fn component() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "a",
            "b",
            "ab",
            ".env",
            "x.txt",
            "[ab]",
            "é",
            "a b",
            ".git",
            "hooks",
            ".VScode",
            "node_modules",
        ][..],
    )
}

fn glob_component() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "a", "b", ".env", "*", "*.txt", "a*", "?", "**", "[ab]", "[a-]b", "**.txt", "é",
        ][..],
    )
}

fn start() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["/w", "/w", "/w", "/v", "/tmp", "/private/tmp", ""][..])
}

/// Absolute paths out of a small alphabet, so that rules and questions meet.
pub(crate) fn paths() -> impl Strategy<Value = AbsolutePath> {
    (start(), prop::collection::vec(component(), 0..4)).prop_map(|(start, components)| {
        let text = components
            .iter()
            .fold(start.to_owned(), |text, name| format!("{text}/{name}"));
        path(if text.is_empty() { "/w" } else { &text })
    })
}

fn rules() -> impl Strategy<Value = PathRule> {
    let globs = (start(), prop::collection::vec(glob_component(), 1..4));
    let globs = globs.prop_map(|(start, components)| {
        components
            .iter()
            .fold(start.to_owned(), |text, name| format!("{text}/{name}"))
    });
    let subtrees = paths().prop_map(PathPattern::Subtree);
    prop_oneof![subtrees, globs.prop_map(|text| pattern(&text))].prop_map(|pattern| PathRule {
        pattern,
        origin: Origin::Program,
    })
}

fn allows() -> impl Strategy<Value = ReadAllow> {
    (rules(), 1..3_u16).prop_map(|(rule, layer)| ReadAllow {
        rule,
        layer: LayerId(layer),
    })
}

fn read_denies() -> impl Strategy<Value = ReadDeny> {
    let firmness = prop_oneof![
        Just(Firmness::Default),
        (1..3_u16).prop_map(|layer| Firmness::Layer(LayerId(layer))),
        Just(Firmness::Final),
    ];
    let whole = Just(PathRule {
        pattern: pattern("/"),
        origin: Origin::Program,
    });
    (prop_oneof![1 => whole, 5 => rules()], firmness)
        .prop_map(|(rule, firmness)| ReadDeny { rule, firmness })
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    (
        prop::collection::vec(read_denies(), 0..4),
        prop::collection::vec(allows(), 0..4),
        prop::collection::vec(allows(), 0..4),
        prop::collection::vec(rules(), 0..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(deny_read, allow_read, allow_write, deny_write, has_scratch, is_protected)| {
                let scratch = if has_scratch {
                    Policy::restrictive().filesystem.scratch
                } else {
                    Vec::new()
                };
                with_files(FilesystemPolicy {
                    deny_read: deny_read.into(),
                    allow_read,
                    allow_write,
                    deny_write: deny_write.into(),
                    scratch,
                    protected: if is_protected {
                        some_rows()
                    } else {
                        Protection::none()
                    },
                })
            },
        )
}

/// Rows that the alphabet can meet: expressions for all of them would take most of the time.
fn some_rows() -> Protection {
    let met = [".bashrc", ".git/hooks", ".git/modules/**/hooks", ".vscode"];
    PROTECTED_PATHS
        .iter()
        .filter(|row| !met.contains(&row.path))
        .fold(Protection::all(), |rows, row| rows.without(row.path))
}

/// The same cases in every run: a suite that fails at random is not trusted for long.
pub(crate) fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}
