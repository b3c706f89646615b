//! Absolute paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::path;
use crate::{AbsolutePath, PathError};

#[test]
fn paths_are_cleaned_lexically() {
    for (text, clean) in [
        ("/", "/"),
        ("//", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("//a///b//", "/a/b"),
        ("/a/./b/.", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/../..", "/"),
        ("/a/...", "/a/..."),
        ("/a b/\n", "/a b/\n"),
    ] {
        assert_eq!(path(text).as_path().as_os_str(), clean, "{text:?}");
    }
}

#[test]
fn what_is_no_absolute_path_is_refused() {
    assert_eq!(AbsolutePath::new(""), Err(PathError::Empty));
    for text in ["a", "./a", "../a", "~", "~/a"] {
        let expected = PathError::Relative {
            path: PathBuf::from(text),
        };
        assert_eq!(AbsolutePath::new(text), Err(expected));
    }
    let expected = PathError::Nul {
        path: PathBuf::from("/a\0b"),
    };
    assert_eq!(AbsolutePath::new("/a\0b"), Err(expected));
    assert_eq!(
        AbsolutePath::new("a").unwrap_err().to_string(),
        "path is not absolute: `a`"
    );
}

#[test]
fn relative_paths_are_resolved_against_a_base() {
    let base = path("/a/b");
    for (text, resolved) in [
        ("c", "/a/b/c"),
        (".", "/a/b"),
        ("..", "/a"),
        ("../../../c", "/c"),
        ("/c", "/c"),
    ] {
        assert_eq!(
            AbsolutePath::resolve(&base, text),
            Ok(path(resolved)),
            "{text}"
        );
    }
    assert_eq!(AbsolutePath::resolve(&base, ""), Err(PathError::Empty));
}

#[test]
fn containment_is_by_components() {
    for (inner, outer, expected) in [
        ("/a/b", "/a", true),
        ("/a", "/a", true),
        ("/a", "/", true),
        ("/", "/", true),
        ("/ab", "/a", false),
        ("/a", "/a/b", false),
        ("/", "/a", false),
    ] {
        assert_eq!(
            path(inner).is_within(&path(outer)),
            expected,
            "{inner} in {outer}"
        );
        assert_eq!(
            path(inner).as_path().starts_with(path(outer).as_path()),
            expected
        );
    }
}

#[test]
fn depth_and_ancestors_agree() {
    for (text, depth) in [("/", 0), ("/a", 1), ("/a/b/c", 3)] {
        assert_eq!(path(text).depth(), depth);
        let ancestors: Vec<_> = path(text).ancestors().collect();
        assert_eq!(ancestors.len(), depth + 1);
        assert_eq!(ancestors.last(), Some(&AbsolutePath::root()));
    }
    assert_eq!(AbsolutePath::root().parent(), None);
    assert_eq!(path("/a/b").parent(), Some(path("/a")));
}

#[test]
fn paths_are_ordered_by_components() {
    let texts = [
        "/", "/a", "/a/b", "/a/b/c", "/a-b", "/a-b/c", "/a b", "/ab", "/a\u{1}b", "/b", "/é",
    ];
    for one in texts {
        for other in texts {
            let (one, other) = (path(one), path(other));
            assert_eq!(one.cmp(&other), one.as_path().cmp(other.as_path()));
        }
    }
}

#[test]
fn only_entry_names_are_joined() {
    assert_eq!(path("/a").join("b"), Ok(path("/a/b")));
    assert_eq!(AbsolutePath::root().join("..."), Ok(path("/...")));
    assert_eq!(path("/a").join(""), Err(PathError::Empty));
    for name in [".", "..", "b/c", "/b", "b/"] {
        let expected = PathError::NotEntryName { name: name.into() };
        assert_eq!(path("/a").join(name), Err(expected), "{name}");
    }
}

#[test]
fn bytes_are_kept() {
    let raw = OsStr::from_bytes(b"/a/\xff\xfe");
    let path = AbsolutePath::new(raw).unwrap();
    assert_eq!(path.as_bytes(), b"/a/\xff\xfe");
    assert_eq!(path.depth(), 2);
}
