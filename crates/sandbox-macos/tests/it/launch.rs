//! The argument vector, as it will be executed on macOS.

use std::ffi::OsString;

use sandbox_macos::LaunchSpec;
use sandbox_policy::Policy;

use crate::support::profile;

#[test]
fn the_vector_names_everything_and_starts_no_shell() {
    let policy = Policy::restrictive()
        .allow_write("/Users/me/my project=1")
        .unwrap();
    let profile = profile(&policy);
    let environment = vec![(
        OsString::from("HTTP_PROXY"),
        OsString::from("http://localhost:3128"),
    )];
    let spec = LaunchSpec::new(profile.clone(), "-oddly-named", "/Users/me", environment)
        .args(["a b", "$HOME", ""]);
    let argv = spec.argv();
    let words: Vec<&str> = argv.iter().map(|word| word.to_str().unwrap()).collect();
    assert_eq!(words[0], "/usr/bin/sandbox-exec");
    let text = words.iter().position(|word| *word == "-p").unwrap();
    assert_eq!(words[text + 1], profile.text());
    assert_eq!(
        &words[text + 2..],
        ["--", "-oddly-named", "a b", "$HOME", ""]
    );
    insta::assert_snapshot!(words[1..text].join(" "), @"-D P0=/private/tmp -D P1=/private/var/tmp -D P2=/private/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T -D P3=/Users/me/my project=1");
}
