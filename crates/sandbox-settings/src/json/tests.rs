//! The two readers agree, byte by byte.

use super::{plain, whole};

/// Pieces that texts are put together from: every kind of token, and what is nearly one.
const PIECES: [&str; 27] = [
    "{", "}", "[", "]", ",", ":", "\"a\"", "\"\"", "\"é\"", "\"a\\n\"", "\"a\nb\"", "\"", "'a'",
    "a", "0", "7", "07", "1.5", "2e3", "-1", "true", "false", "null", " ", "\n", "\u{a0}", "//x\n",
];

/// What the plain reader takes, the other reads as the same tree.
fn agree(text: &str) -> bool {
    let Some(tree) = plain::read(text) else {
        return false;
    };
    match whole(text) {
        Ok(other) => assert_eq!(tree, other, "{text:?}"),
        Err(findings) => panic!("only the plain reader takes {text:?}: {findings:?}"),
    }
    true
}

#[test]
fn what_is_plain_is_read_alike() {
    let texts = [
        r#"{"network": {"allowedDomains": []}, "list": [1, 20, true, null, {"a": "b"}]}"#,
        "\n\t{ \"é\" :\r\n[ \"ü\" , \"\u{7f}\" ] }\n",
        "[]",
        "0",
        "\"text\"",
    ];
    for text in texts {
        assert!(agree(text), "{text:?}");
    }
}

#[test]
fn what_is_not_plain_is_left_to_the_other() {
    let deep = "[".repeat(40) + &"]".repeat(40);
    let texts = [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\": 1,}",
        "[1 2]",
        "{\"a\" 1}",
        "{a: 1}",
        "01",
        "1.0",
        "1e2",
        "-1",
        "tru",
        "\"a",
        "\"\\u0041\"",
        "{\"a\": 1, \"a\": 2}",
        "[] []",
        "\u{feff}[]",
        "[1] // x",
        "\"\t\"",
        deep.as_str(),
    ];
    for text in texts {
        assert_eq!(plain::read(text), None, "{text:?}");
    }
}

#[test]
fn no_text_is_read_differently() {
    // A fixed sequence (Numerical Recipes' generator), so that a failure can be repeated.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 16).unwrap()
    };
    let mut plain = 0;
    for _ in 0..200_000 {
        let pieces = next() % 7 + 1;
        let text: String = (0..pieces).map(|_| PIECES[next() % PIECES.len()]).collect();
        plain += usize::from(agree(&text));
    }
    assert!(plain > 1000, "{plain}");
}
