//! Answers before thousands of rules are compiled: of each list only the rules are asked that can say
//! something about the path in question.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Glob, PathPattern, Protection, ReadDeny, RuleList,
};

/// Longer lists of allows are not copied for a question.
pub(super) const FEW: usize = 64;

/// The last bytes of the patterns of a policy's read denies as they are written: most questions are no concern of
/// most rules, which these tell without a look at the rules.
#[derive(Debug)]
pub(super) struct Ends(Box<[u8]>);

impl Ends {
    pub(super) fn new(policy: &FilesystemPolicy) -> Self {
        let denies = policy.deny_read.iter();
        Self(denies.map(|deny| last(&deny.rule.pattern)).collect())
    }
}

fn last(pattern: &PathPattern) -> u8 {
    let written = match pattern {
        PathPattern::Subtree(root) => root,
        PathPattern::Glob(glob) => glob.literal(),
    };
    written.as_bytes().last().copied().unwrap_or(b'*')
}

/// The verdict of [`FilesystemPolicy::judge_read`]; a path that is not clean is never allowed.
pub(super) fn may_read(policy: &FilesystemPolicy, ends: &Ends, path: &[u8]) -> bool {
    let Ok(clean) = AbsolutePath::new(OsStr::from_bytes(path)) else {
        return false;
    };
    if clean.as_bytes() != path {
        return false;
    }
    let question = Question::new(&clean);
    let denies = policy.deny_read.iter().zip(&ends.0);
    let near = denies.filter(|(deny, end)| {
        question.may_end_with(**end) && question.may_concern(&deny.rule.pattern)
    });
    let near: RuleList<ReadDeny> = near.map(|(deny, _)| deny.clone()).collect();
    if near.is_empty() {
        return true;
    }
    let near = FilesystemPolicy {
        deny_read: near,
        allow_read: policy.allow_read.clone(),
        allow_write: policy.allow_write.clone(),
        deny_write: RuleList::default(),
        scratch: policy.scratch.clone(),
        protected: Protection::none(),
    };
    near.judge_read(&clean).is_allowed()
}

/// A path with everything above it.
struct Question<'p> {
    path: &'p AbsolutePath,
    above: Vec<&'p [u8]>,
    /// By the last bytes of those: whether there is one.
    ends: [bool; 256],
}

impl<'p> Question<'p> {
    fn new(path: &'p AbsolutePath) -> Self {
        let above: Vec<_> = path.byte_ancestors().collect();
        let mut ends = [false; 256];
        for end in above.iter().filter_map(|path| path.last()) {
            if let Some(end) = ends.get_mut(usize::from(*end)) {
                *end = true;
            }
        }
        Self { path, above, ends }
    }

    /// Whether a pattern that is written with this byte at its end could name the path, or something above it.
    fn may_end_with(&self, last: u8) -> bool {
        b"*?[]".contains(&last) || self.ends.get(usize::from(last)).is_some_and(|end| *end)
    }

    fn may_concern(&self, pattern: &PathPattern) -> bool {
        match pattern {
            PathPattern::Subtree(root) => self.path.is_within(root),
            PathPattern::Glob(glob) => self.may_match(glob),
        }
    }

    /// A glob names a path that ends as it does, or the one that it spells.
    fn may_match(&self, glob: &Glob) -> bool {
        let spelled = glob.literal().as_bytes();
        let end = glob.end();
        (self.above.iter()).any(|above| above.ends_with(end) || *above == spelled)
    }
}

#[cfg(test)]
mod tests {
    use sandbox_policy::{
        FileJudge, Firmness, LayerId, Origin, PathBase, PathRule, PatternSyntax, Policy, ReadAllow,
    };

    use super::*;

    fn rule(text: &str) -> PathRule {
        let base = PathBase {
            working_directory: AbsolutePath::new("/w").unwrap(),
            home: None,
        };
        let pattern = PathPattern::parse(OsStr::new(text), PatternSyntax::FloatingGlob, &base);
        PathRule {
            pattern: pattern.unwrap(),
            origin: Origin::Program,
        }
    }

    #[test]
    fn early_answers_are_the_compiled_ones() {
        let denies = [
            "/",
            "/w",
            "a",
            "a/b",
            "*.pem",
            "**/.env",
            "dir/**",
            "?",
            "[ab]c",
            "x[",
            "**",
            "a/*/c",
            "a**/c",
            "/etc/*",
            "**/é?",
            "/w/a/b/c/d",
        ];
        let allows = ["/w/a/b", "/w/dir/open", "/etc/passwd", "/"];
        let paths = [
            "/",
            "/w",
            "/w/a",
            "/w/a/b",
            "/w/a/b/c",
            "/w/a/b/c/d",
            "/w/a.pem",
            "/w/q/a.pem/x",
            "/w/ac",
            "/.env",
            "/x/.env/y",
            "/w/dir",
            "/w/dir/x",
            "/w/dir/open/.env",
            "/w/x",
            "/w/x[",
            "/w/ac",
            "/w/c",
            "/w/[ab]c",
            "/etc/passwd",
            "/etc",
            "/w/é",
            "/w/éa",
            "/w/*.pem",
            "/w//a",
            "/w/../w",
            "w",
            "",
            "/w/",
            "/wa",
            "/w/ab",
        ];
        for first in denies {
            for second in denies {
                for allow in [None].into_iter().chain(allows.map(Some)) {
                    for firmness in [
                        Firmness::Default,
                        Firmness::Layer(LayerId(1)),
                        Firmness::Final,
                    ] {
                        let mut files = Policy::restrictive().filesystem;
                        let denies = [rule(first), rule(second)];
                        let denies = denies.map(|rule| ReadDeny { rule, firmness });
                        files.deny_read = denies.into_iter().collect();
                        files.allow_read.extend(allow.map(|allow| ReadAllow {
                            rule: rule(allow),
                            layer: LayerId(1),
                        }));
                        let judge = FileJudge::new(&files);
                        let ends = Ends::new(&files);
                        for path in paths {
                            let path = path.as_bytes();
                            assert_eq!(
                                may_read(&files, &ends, path),
                                judge.may_read(path),
                                "{first} {second} {allow:?} {firmness:?} {}",
                                path.escape_ascii()
                            );
                        }
                    }
                }
            }
        }
    }
}
