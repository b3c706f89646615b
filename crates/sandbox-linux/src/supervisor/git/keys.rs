//! The settings that are harmless, and the values that they may have.

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Number,
    /// One of these, or a boolean.
    Switch(&'static [&'static str]),
    /// One of these.
    Word(&'static [&'static str]),
    /// Letters, digits and a little punctuation.
    Token,
    /// Shown or recorded, never interpreted.
    Text,
    /// The name of a reference, or a mapping of such names.
    Reference,
    /// A place to fetch from or push to, or the name of a remote.
    Location,
    RelativePath,
}

impl Kind {
    /// Whether a value is harmless.
    pub(super) fn accepts(self, value: &str) -> bool {
        match self {
            Self::Boolean => is_boolean(value),
            Self::Number => {
                (1..=9).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Switch(words) => is_boolean(value) || is_one_of(value, words),
            Self::Word(words) => is_one_of(value, words),
            Self::Token => is_made_of(value, b"-_.:=+/@%"),
            Self::Text => true,
            Self::Reference => is_made_of(value, b"-_./:+*@^#"),
            Self::Location => is_location(value),
            Self::RelativePath => !value.is_empty() && !value.starts_with(['/', '-', '~', '%']),
        }
    }
}

fn is_boolean(value: &str) -> bool {
    is_one_of(
        value,
        &["true", "false", "yes", "no", "on", "off", "1", "0"],
    )
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Letters of any script, digits and these; never what looks like an option.
fn is_made_of(value: &str, punctuation: &[u8]) -> bool {
    let is_known =
        |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || punctuation.contains(&byte);
    !value.is_empty() && !value.starts_with('-') && value.bytes().all(is_known)
}

/// A URL of a transport that git has built in, `host:path`, or a path.
fn is_location(value: &str) -> bool {
    // `helper::address` runs `git-remote-helper`.
    let helper = value.split_once("::").map(|(name, _)| name);
    let names_helper = helper.is_some_and(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
    });
    if value.is_empty() || value.starts_with('-') || names_helper || has_encoded_break(value) {
        return false;
    }
    let Some((scheme, rest)) = value.split_once("://") else {
        // `host:path`; a path with a colon in it is judged alike.
        return value.split_once(':').is_none_or(|(host, path)| {
            is_plain_host(host.trim_start_matches('[')) && !path.starts_with('-')
        });
    };
    let authority = rest.split('/').next().unwrap_or_default();
    is_one_of(scheme, SCHEMES) && is_plain_host(authority) && !authority.contains('%')
}

/// Neither the user nor the host looks like an option for ssh.
fn is_plain_host(authority: &str) -> bool {
    authority
        .split('@')
        .all(|part| !part.trim_start_matches('[').starts_with('-'))
}

/// A line break or NUL that the reader of a URL decodes.
fn has_encoded_break(value: &str) -> bool {
    ["%00", "%0a", "%0A", "%0d", "%0D"]
        .iter()
        .any(|code| value.contains(code))
}

const SCHEMES: &[&str] = &["https", "http", "ssh", "git", "file", "git+ssh", "ssh+git"];

type Keys = &'static [(&'static str, Kind)];

/// Section, whether with a subsection, and the keys in it. What is not here is refused: above all
/// what names programs or further files of settings.
pub(super) const KEYS: &[(&str, bool, Keys)] = &[
    ("core", false, CORE),
    ("extensions", false, EXTENSIONS),
    ("remote", true, REMOTE),
    ("branch", true, BRANCH),
    ("submodule", true, SUBMODULE),
    (
        "submodule",
        false,
        &[
            ("active", Kind::Token),
            ("recurse", Kind::Boolean),
            ("alternatelocation", Kind::Word(&["no", "superproject"])),
            (
                "alternateerrorstrategy",
                Kind::Word(&["die", "info", "ignore"]),
            ),
        ],
    ),
    (
        "user",
        false,
        &[("name", Kind::Text), ("email", Kind::Text)],
    ),
    ("init", false, &[("defaultbranch", Kind::Reference)]),
    // To sign runs a program.
    ("commit", false, &[("gpgsign", OFF)]),
    ("tag", false, &[("gpgsign", OFF)]),
    (
        "pull",
        false,
        &[
            ("rebase", Kind::Switch(&["merges"])),
            ("ff", Kind::Switch(&["only"])),
        ],
    ),
    (
        "push",
        false,
        &[
            (
                "default",
                Kind::Word(&["nothing", "current", "upstream", "simple", "matching"]),
            ),
            ("autosetupremote", Kind::Boolean),
            ("followtags", Kind::Boolean),
        ],
    ),
    (
        "receive",
        false,
        &[
            (
                "denycurrentbranch",
                Kind::Word(&["ignore", "warn", "refuse", "false", "true"]),
            ),
            ("denynonfastforwards", Kind::Boolean),
            ("denydeletes", Kind::Boolean),
        ],
    ),
    (
        "fetch",
        false,
        &[("prune", Kind::Boolean), ("prunetags", Kind::Boolean)],
    ),
    (
        "index",
        false,
        &[("sparse", Kind::Boolean), ("version", Kind::Number)],
    ),
    ("gc", false, &[("auto", Kind::Number)]),
    ("maintenance", false, &[("auto", Kind::Boolean)]),
    ("rerere", false, &[("enabled", Kind::Boolean)]),
    ("advice", false, &[("detachedhead", Kind::Boolean)]),
    (
        "color",
        false,
        &[("ui", Kind::Switch(&["auto", "always", "never"]))],
    ),
];

const OFF: Kind = Kind::Word(&["false", "no", "off", "0"]);

const CORE: Keys = &[
    ("repositoryformatversion", Kind::Number),
    ("filemode", Kind::Boolean),
    ("bare", Kind::Boolean),
    ("logallrefupdates", Kind::Switch(&["always"])),
    ("ignorecase", Kind::Boolean),
    ("precomposeunicode", Kind::Boolean),
    ("symlinks", Kind::Boolean),
    ("worktree", Kind::RelativePath),
    (
        "sharedrepository",
        Kind::Switch(&[
            "umask",
            "group",
            "all",
            "world",
            "everybody",
            "2",
            "0660",
            "0640",
            "0644",
            "0664",
        ]),
    ),
    ("sparsecheckout", Kind::Boolean),
    ("sparsecheckoutcone", Kind::Boolean),
    ("autocrlf", Kind::Switch(&["input"])),
    ("eol", Kind::Word(&["lf", "crlf", "native"])),
    ("safecrlf", Kind::Switch(&["warn"])),
    ("quotepath", Kind::Boolean),
    ("longpaths", Kind::Boolean),
];

const EXTENSIONS: Keys = &[
    ("objectformat", Kind::Word(&["sha1", "sha256"])),
    ("compatobjectformat", Kind::Word(&["sha1", "sha256"])),
    ("refstorage", Kind::Word(&["files", "reftable"])),
    ("partialclone", Kind::Location),
    ("preciousobjects", Kind::Boolean),
    ("relativeworktrees", Kind::Boolean),
    // `config.worktree` is vetted like `config`.
    ("worktreeconfig", Kind::Boolean),
];

const REMOTE: Keys = &[
    ("url", Kind::Location),
    ("pushurl", Kind::Location),
    ("fetch", Kind::Reference),
    ("push", Kind::Reference),
    ("tagopt", Kind::Word(&["--tags", "--no-tags"])),
    ("mirror", Kind::Switch(&["fetch", "push"])),
    ("prune", Kind::Boolean),
    ("prunetags", Kind::Boolean),
    ("skipdefaultupdate", Kind::Boolean),
    ("skipfetchall", Kind::Boolean),
    ("promisor", Kind::Boolean),
    ("partialclonefilter", Kind::Token),
    (
        "followremotehead",
        Kind::Word(&["create", "warn", "always", "never"]),
    ),
    ("gh-resolved", Kind::Token),
];

const BRANCH: Keys = &[
    ("remote", Kind::Location),
    ("pushremote", Kind::Location),
    ("merge", Kind::Reference),
    ("rebase", Kind::Switch(&["merges"])),
    ("description", Kind::Text),
    ("gh-merge-base", Kind::Reference),
];

const SUBMODULE: Keys = &[
    ("url", Kind::Location),
    ("active", Kind::Boolean),
    ("branch", Kind::Reference),
    (
        "update",
        Kind::Word(&["none", "checkout", "rebase", "merge"]),
    ),
    ("fetchrecursesubmodules", Kind::Switch(&["on-demand"])),
    ("ignore", Kind::Word(&["none", "all", "dirty", "untracked"])),
];
