//! The grammar of path patterns, by tables and against regular expressions.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use regex::Regex;

use super::{base, path, pattern};
use crate::{
    AbsolutePath, Glob, GlobToken, PathBase, PathError, PathPattern, PatternError, PatternSyntax,
};

fn parse(text: &str, syntax: PatternSyntax) -> Result<PathPattern, PatternError> {
    PathPattern::parse(text.as_ref(), syntax, &base())
}

fn glob(text: &str) -> Glob {
    match pattern(text) {
        PathPattern::Glob(glob) => glob,
        PathPattern::Subtree(root) => panic!("{text} is literal: {root:?}"),
    }
}

#[test]
fn literal_entries_are_subtrees() {
    for (text, root) in [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/**", "/a"),
        ("/a/**/", "/a"),
        ("/a/**/**", "/a"),
        ("/**", "/"),
        ("**", "/w"),
        ("./**", "/w"),
        (".", "/w"),
        ("..", "/"),
        ("a", "/w/a"),
        ("./a/../b", "/w/b"),
        ("~", "/home/u"),
        ("~/", "/home/u"),
        ("~/**", "/home/u"),
        ("~/.ssh", "/home/u/.ssh"),
        ("a~", "/w/a~"),
        ("./~a", "/w/~a"),
        ("/", "/"),
        ("/a//./b", "/a/b"),
        // Plain text in spite of its brackets.
        ("/a/[]", "/a/[]"),
        ("/a/[z-a]", "/a/[z-a]"),
        ("/a/[x", "/a/[x"),
        ("/a/x]", "/a/x]"),
        ("/a/[x/y]", "/a/[x/y]"),
    ] {
        assert_eq!(
            parse(text, PatternSyntax::Glob),
            Ok(PathPattern::Subtree(path(root))),
            "{text}"
        );
    }
}

#[test]
fn nothing_is_special_in_literal_syntax() {
    for (text, root) in [
        ("/a/*", "/a/*"),
        ("/a/**", "/a/**"),
        ("[a]?", "/w/[a]?"),
        ("~/x*", "/home/u/x*"),
        ("../[x]/", "/[x]"),
    ] {
        let expected = Ok(PathPattern::Subtree(path(root)));
        assert_eq!(parse(text, PatternSyntax::Literal), expected, "{text}");
    }
}

#[test]
fn what_names_no_path_is_refused() {
    for syntax in [PatternSyntax::Glob, PatternSyntax::Literal] {
        assert_eq!(parse("", syntax), Err(PathError::Empty.into()));
        assert_eq!(parse("~root/x", syntax), Err(PatternError::OtherHome));
        assert!(matches!(
            parse("/a\0", syntax),
            Err(PatternError::Path(PathError::Nul { .. }))
        ));
        let homeless = PathBase {
            home: None,
            ..base()
        };
        for text in ["~", "~/x"] {
            let parsed = PathPattern::parse(text.as_ref(), syntax, &homeless);
            assert_eq!(parsed, Err(PatternError::NoHome));
        }
    }
    for text in ["*/..", "a/*/../b", "/a/**/..", "[ab]/.."] {
        assert_eq!(
            parse(text, PatternSyntax::Glob),
            Err(PatternError::ParentOfWildcard),
            "{text}"
        );
    }
}

#[test]
fn globs_match_what_the_grammar_says() {
    for (text, matching, not_matching) in [
        (
            "/a/*",
            &["/a/b", "/a/.b", "/a/*"][..],
            &["/a", "/a/b/c", "/b/a"][..],
        ),
        (
            "/a/*.rs",
            &["/a/x.rs", "/a/.rs"],
            &["/a/x.rsx", "/a/b/x.rs"],
        ),
        ("/a/?", &["/a/b", "/a/\u{e9}", "/a/?"], &["/a/bc", "/a"]),
        (
            "/a/[bc]d",
            &["/a/bd", "/a/cd", "/a/[bc]d"],
            &["/a/d", "/a/ad", "/a/bcd"],
        ),
        (
            "/a/[b-d]",
            &["/a/b", "/a/c", "/a/d"],
            &["/a/a", "/a/e", "/a/-"],
        ),
        ("/a/[b-]", &["/a/b", "/a/-"], &["/a/c"]),
        ("/a/[-b]", &["/a/b", "/a/-"], &["/a/a"]),
        ("/a/[!b]", &["/a/b", "/a/!"], &["/a/c"]),
        ("/a/[^b]", &["/a/b", "/a/^"], &["/a/c"]),
        ("/a/[b]]", &["/a/b]"], &["/a/]", "/a/b"]),
        ("/a/[]b]*", &["/a/[]b]", "/a/[]b]c"], &["/a/b", "/a/]"]),
        ("/a[+-9]b", &["/a.b", "/a0b"], &["/a/b"]),
        (
            "/a/**/b",
            &["/a/b", "/a/x/b", "/a/x/y/b"],
            &["/a", "/ab", "/a/xb", "/a/b/x"],
        ),
        ("**/.env", &["/w/.env", "/w/a/.env"], &["/.env", "/w/a.env"]),
        ("/a**b", &["/ab", "/a/x/b", "/axb"], &["/b"]),
        ("/a**/b", &["/ab", "/a/b", "/a/x/b", "/ax/b"], &["/axb"]),
        ("/a/*/**", &["/a/b/c", "/a/b/c/d"], &["/a/b", "/a"]),
        ("/a***b", &["/ab", "/a/b"], &["/a"]),
        ("~/*.txt", &["/home/u/a.txt"], &["/home/u2/a.txt"]),
    ] {
        for matched in matching {
            assert!(
                glob(text).matches(&path(matched)),
                "{text} must match {matched}"
            );
        }
        for other in not_matching {
            assert!(
                !glob(text).matches(&path(other)),
                "{text} must not match {other}"
            );
        }
    }
}

#[test]
fn a_deny_covers_what_lies_below_a_match_and_an_allow_does_not() {
    let pattern = pattern("/a/*/b");
    for (text, region, innermost, opens) in [
        ("/a/x/b", Some(3), Some(3), Some(3)),
        ("/a/x/b/c", Some(3), Some(3), None),
        ("/a/x", None, None, None),
        // The literal spelling is a path like any other: with what lies below.
        ("/a/*/b/c/d", Some(3), Some(3), Some(3)),
    ] {
        let path = path(text);
        assert_eq!(pattern.region(&path), region, "{text}");
        assert_eq!(pattern.innermost_region(&path), innermost, "{text}");
        assert_eq!(pattern.opens(&path), opens, "{text}");
    }
    let nested = super::pattern("/a/**/b");
    assert_eq!(nested.region(&path("/a/b/x/b/y")), Some(2));
    assert_eq!(nested.innermost_region(&path("/a/b/x/b/y")), Some(4));
}

#[test]
fn special_characters_of_a_base_are_plain() {
    let base = PathBase {
        working_directory: path("/w/[ab]"),
        home: Some(path("/home/*")),
    };
    let parse = |text: &str| PathPattern::parse(text.as_ref(), PatternSyntax::Glob, &base).unwrap();
    assert_eq!(parse("x"), PathPattern::Subtree(path("/w/[ab]/x")));
    assert_eq!(parse("~"), PathPattern::Subtree(path("/home/*")));
    let PathPattern::Glob(glob) = parse("*.c") else {
        panic!("a glob")
    };
    assert!(glob.matches(&path("/w/[ab]/x.c")));
    assert!(!glob.matches(&path("/w/a/x.c")));
    let PathPattern::Glob(glob) = parse("~/*.c") else {
        panic!("a glob")
    };
    assert!(!glob.matches(&path("/home/u/x.c")));
}

#[test]
fn static_prefix_and_literal_are_known() {
    for (text, prefix, literal) in [
        ("/a/b*/c", "/a", "/a/b*/c"),
        ("/*", "/", "/*"),
        ("/a/b/*.rs", "/a/b", "/a/b/*.rs"),
        ("**/x", "/w", "/w/**/x"),
        ("/a/x]/?/", "/a/x]", "/a/x]/?"),
        ("/a**/b", "/", "/a**/b"),
        ("../*/", "/", "/*"),
    ] {
        assert_eq!(glob(text).static_prefix(), &path(prefix), "{text}");
        assert_eq!(glob(text).literal(), &path(literal), "{text}");
        assert_eq!(glob(text).to_string(), literal);
    }
}

#[test]
fn a_glob_can_be_moved_to_where_its_prefix_leads() {
    for (text, to, expected) in [
        ("/link/**/.env", "/srv/data", "/srv/data/**/.env"),
        ("/link/ws-*/x", "/srv/data", "/srv/data/ws-*/x"),
        ("/**/.env", "/srv", "/srv/**/.env"),
        ("/link/*.pem", "/", "/*.pem"),
    ] {
        assert_eq!(glob(text).moved(&path(to)), glob(expected), "{text}");
    }
}

#[test]
fn a_byte_that_is_no_character_is_in_no_set() {
    let parse = |text: &[u8], syntax| PathPattern::parse(OsStr::from_bytes(text), syntax, &base());
    for text in [
        &b"/[\xfe]q"[..],
        b"d/[a\xfe]",
        b"[[\xfe]",
        b"~/[!\xfe]*",
        b"**/[\xfe]",
    ] {
        for syntax in [
            PatternSyntax::Glob,
            PatternSyntax::FloatingGlob,
            PatternSyntax::Gitignore,
        ] {
            assert_eq!(
                parse(text, syntax),
                Err(PatternError::ByteInSet),
                "{text:?}"
            );
        }
        assert!(parse(text, PatternSyntax::Literal).is_ok());
    }
    for text in [
        &b"/[a]\xfe]"[..],
        b"/\xfe[a]",
        b"/[\xfe",
        b"/\xfe]",
        b"/[/\xfe]",
        b"/[\xc3\xa9]",
    ] {
        assert!(parse(text, PatternSyntax::Glob).is_ok(), "{text:?}");
    }
}

#[test]
fn a_name_is_that_name_whatever_is_in_it() {
    for text in ["/a/b", "/a/[b]*?", "/b", "/[a]/**/c"] {
        let pattern = PathPattern::name_at(&path(text));
        assert_eq!(pattern.to_string(), text);
        for (other, depth) in [
            (text, Some(path(text).depth())),
            ("/a/bx", None),
            ("/a", None),
        ] {
            assert_eq!(pattern.region(&path(other)), depth, "{text} {other}");
        }
        let PathPattern::Glob(glob) = pattern else {
            panic!("{text} is no name")
        };
        assert_eq!(Some(glob.static_prefix()), path(text).parent().as_ref());
        let moved = PathPattern::Glob(glob.moved(&path("/m")));
        let name = path(text).as_path().file_name().unwrap().to_owned();
        assert_eq!(moved, PathPattern::name_at(&path("/m").join(name).unwrap()));
    }
}

#[test]
fn tokens_tell_backends_what_to_render() {
    let literal = |text: &str| GlobToken::Literal(text.as_bytes().into());
    let [before, set, run, after, any, anything, end] = glob("/a/[+-9x]*]?**.c")
        .tokens()
        .to_vec()
        .try_into()
        .unwrap();
    assert_eq!(before, literal("/a/"));
    let GlobToken::Set(set) = set else {
        panic!("{set:?}")
    };
    assert_eq!(set.ranges(), [('+', '.'), ('0', '9'), ('x', 'x')]);
    assert_eq!(
        (run, after, any),
        (GlobToken::Run, literal("]"), GlobToken::AnyCharacter)
    );
    assert_eq!((anything, end), (GlobToken::Anything, literal(".c")));
    assert_eq!(
        *glob("**/a").tokens(),
        [literal("/w/"), GlobToken::Directories, literal("a")]
    );
}

#[test]
fn bytes_that_are_not_text_count_as_characters() {
    let raw = |bytes: &[u8]| AbsolutePath::new(OsStr::from_bytes(bytes)).unwrap();
    assert!(glob("/a/?").matches(&raw(b"/a/\xff")));
    assert!(!glob("/a/?").matches(&raw(b"/a/\xff\xfe")));
    assert!(glob("/a/??").matches(&raw(b"/a/\xff\xfe")));
    assert!(glob("/a/*").matches(&raw(b"/a/\xff\xfe")));
    // A star does not split a character.
    assert!(!glob("/a/*??").matches(&path("/a/\u{20ac}")));
    let pattern =
        PathPattern::parse(OsStr::from_bytes(b"/a/\xff*"), PatternSyntax::Glob, &base()).unwrap();
    assert_eq!(pattern.opens(&raw(b"/a/\xff\xfe")), Some(2));
    assert_eq!(pattern.opens(&raw(b"/a/\xfe")), None);
}

#[test]
fn time_does_not_explode() {
    let text = format!("/{}b", "*a".repeat(60));
    let long = path(&format!("/{}", "a".repeat(4000)));
    assert!(!glob(&text).matches(&long));
    let text = format!("/{}b", "**/a".repeat(60));
    let deep = path(&"/a".repeat(2000));
    assert_eq!(pattern(&text).region(&deep), None);
}

#[test]
fn sets_of_permission_rules_are_those_of_gitignore() {
    let gitignore = |text: &str| parse(text, PatternSyntax::Gitignore).unwrap();
    for (text, matching, not_matching) in [
        (
            "/a/e.p[!x]m",
            &["/a/e.pem", "/a/e.p!m"][..],
            &["/a/e.pxm", "/a/e.pm", "/a/e.p/m"][..],
        ),
        (
            "/a/[^b]",
            &["/a/a", "/a/^", "/a/\u{e9}"],
            &["/a/b", "/a/bb"],
        ),
        (
            "/a/[!b-d0]",
            &["/a/a", "/a/e", "/a/-"],
            &["/a/b", "/a/c", "/a/d", "/a/0"],
        ),
        ("/a/[!]x]b", &["/a/ab"], &["/a/]b", "/a/xb", "/a/[!]x]bc"]),
        ("/a/[]x]b", &["/a/]b", "/a/xb"], &["/a/ab"]),
        ("/a/[!^-Z]", &["/a/a", "/a/z"], &["/a/ab"]),
        ("/a/[^-Z]", &["/a/a", "/a/^"], &["/a/-", "/a/Z"]),
        ("/a/[!z-ax]", &["/a/m"], &["/a/x"]),
        ("/a[!b]c", &["/axc"], &["/a/c", "/abc"]),
        ("/a/[bc]", &["/a/b"], &["/a/a"]),
    ] {
        let PathPattern::Glob(glob) = gitignore(text) else {
            panic!("{text} is a glob")
        };
        for (subject, expected) in (matching.iter().map(|one| (one, true)))
            .chain(not_matching.iter().map(|one| (one, false)))
        {
            assert_eq!(glob.matches(&path(subject)), expected, "{text} {subject}");
        }
        // Neither a move nor a clone reads it otherwise.
        let elsewhere = glob.moved(&path("/m"));
        assert_eq!(elsewhere.syntax(), PatternSyntax::Gitignore);
        assert_eq!(glob.clone(), glob);
    }
    // In its place alone: the same text says the opposite elsewhere.
    assert_ne!(gitignore("/a/[!b]"), pattern("/a/[!b]"));
    assert_eq!(gitignore("/a/*"), pattern("/a/*"));
    for text in ["/a/[!]", "/a/[!", "/a/[!b/c]", "/a/[]"] {
        assert_eq!(gitignore(text), PathPattern::Subtree(path(text)), "{text}");
    }
    let floating = parse("e.p[!x]m", PatternSyntax::FloatingGitignore).unwrap();
    assert_eq!(floating.region(&path("/w/d/e.pem")), Some(3));
    assert_eq!(floating.region(&path("/w/d/e.pxm")), None);
    // What is no character is none of those that are left out.
    let raw = AbsolutePath::new(OsStr::from_bytes(b"/a/\xff")).unwrap();
    assert_eq!(gitignore("/a/[!b]").region(&raw), Some(2));
}

/// The same grammar, read a second time and by other means.
fn regex_of(text: &str, syntax: PatternSyntax) -> Regex {
    let negates = syntax == PatternSyntax::Gitignore;
    let characters: Vec<char> = text.chars().collect();
    let mut regex = String::from("(?s)^");
    let mut at = 0;
    while at < characters.len() {
        let stars = characters[at..]
            .iter()
            .take_while(|character| **character == '*')
            .count();
        match characters[at] {
            '*' if stars == 1 => regex.push_str("[^/]*"),
            '*' if characters.get(at + stars) == Some(&'/') => {
                regex.push_str("(.*/)?");
                at += stars;
            }
            '*' => {
                regex.push_str(".*");
                at += stars - 1;
            }
            '?' => regex.push_str("[^/]"),
            '[' => {
                let inside = &characters[at + 1..];
                let negated = negates && matches!(inside.first(), Some('!' | '^'));
                let start = usize::from(negated);
                let first = start + usize::from(negates);
                let set = (inside.iter().enumerate())
                    .position(|(index, character)| *character == ']' && index >= first)
                    .and_then(|length| Some((length, regex_set(&inside[start..length], negated)?)));
                match set {
                    Some((length, set)) => {
                        regex.push_str(&set);
                        at += length + 1;
                    }
                    None => regex.push_str("\\["),
                }
            }
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
        at += 1;
    }
    regex.push('$');
    Regex::new(&regex).unwrap()
}

fn regex_set(set: &[char], negated: bool) -> Option<String> {
    if set.is_empty() || set.contains(&'/') {
        return None;
    }
    let mut inside = String::new();
    let mut rest = set;
    loop {
        let (low, high, after) = match rest {
            [] if negated => return Some(format!("[^/{inside}]")),
            [] => return Some(format!("[[{inside}]&&[^/]]")),
            [low, '-', high, after @ ..] => (low, high, after),
            [one, after @ ..] => (one, one, after),
        };
        if low > high && !negated {
            return None;
        }
        if low <= high {
            let (low, high) = (u32::from(*low), u32::from(*high));
            inside.push_str(&format!("\\x{{{low:x}}}-\\x{{{high:x}}}"));
        }
        rest = after;
    }
}

fn is_clean(text: &str) -> bool {
    AbsolutePath::new(text).is_ok_and(|clean| clean.as_path().as_os_str() == text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn globs_agree_with_regular_expressions(
        text in "/[ab.é/*?\\[\\]!^-]{1,12}",
        paths in proptest::collection::vec("/[ab.é/*\\[\\]!^\n-]{0,8}", 8),
        syntax in prop_oneof![Just(PatternSyntax::Glob), Just(PatternSyntax::Gitignore)],
    ) {
        prop_assume!(is_clean(&text) && !text.split('/').any(|component| component == ".."));
        if let PathPattern::Glob(glob) = parse(&text, syntax).unwrap() {
            let regex = regex_of(&text, syntax);
            let pattern = PathPattern::Glob(glob.clone());
            for subject in paths.iter().filter(|subject| is_clean(subject)).map(|subject| path(subject)) {
                let matches = |one: &AbsolutePath| {
                    regex.is_match(one.as_path().to_str().unwrap()) || one == glob.literal()
                };
                prop_assert_eq!(glob.matches(&subject), matches(&subject), "{} {:?}", regex, subject);
                let named: Vec<_> = subject.ancestors().filter(|one| matches(one)).map(|one| one.depth()).collect();
                prop_assert_eq!(pattern.region(&subject), named.iter().copied().min());
                prop_assert_eq!(pattern.innermost_region(&subject), named.iter().copied().max());
                if matches(&subject) {
                    prop_assert!(subject.is_within(glob.static_prefix()));
                }
            }
        }
    }
}
