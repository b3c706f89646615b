//! Named sets of rules, which are ordinary rules: `workspace` closes reads but for system paths,
//! toolchains and the working directory, `secrets` closes what holds secrets.

mod secrets;

pub use secrets::{SECRET_PATHS, clean_environment, secret_paths, secret_variables};

use crate::filesystem::{Firmness, LayerId, PathRule, ReadAllow, ReadDeny};
use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;

/// A path of a preset with the reason why it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a row of a table: what else would it hold"
)]
pub struct PresetPath {
    /// Absolute, or relative to the home directory.
    pub path: &'static str,
    /// Why programs need it, or why it stays closed.
    pub reason: &'static str,
}

/// The rules of the preset: one deny of `/`, which any `allow_read` may re-open, and the allows
/// that re-open it.
#[must_use]
pub fn workspace(
    working_directory: &AbsolutePath,
    home: Option<&AbsolutePath>,
    origin: &Origin,
) -> (Vec<ReadDeny>, Vec<ReadAllow>) {
    let rule = |path| PathRule {
        pattern: PathPattern::Subtree(path),
        origin: origin.clone(),
    };
    let allow = |path| ReadAllow {
        rule: rule(path),
        layer: LayerId::PRESET,
    };
    let in_home = home.into_iter().flat_map(|home| {
        // The table's paths are relative and clean (a test says so), so none is left out.
        WORKSPACE_HOME
            .iter()
            .filter_map(|row| AbsolutePath::resolve(home, row.path).ok())
    });
    let system = WORKSPACE_SYSTEM
        .iter()
        .map(|row| AbsolutePath::from_clean(row.path));

    let secrets = WORKSPACE_SECRETS
        .iter()
        .map(|row| AbsolutePath::from_clean(row.path));
    let denies = std::iter::once(AbsolutePath::root())
        .chain(secrets)
        .map(|path| ReadDeny {
            rule: rule(path),
            firmness: Firmness::Default,
        })
        .collect();
    let allows = system
        .chain(in_home)
        .chain(std::iter::once(working_directory.clone()))
        .map(allow)
        .collect();
    (denies, allows)
}

const fn row(path: &'static str, reason: &'static str) -> PresetPath {
    PresetPath { path, reason }
}

/// System paths that the preset leaves readable. Those of another system are harmless: nothing is
/// there. What is secret in them is named by [`WORKSPACE_SECRETS`].
pub const WORKSPACE_SYSTEM: &[PresetPath] = &[
    row("/usr", "programs, libraries, headers, certificates"),
    row("/bin", "programs"),
    row("/sbin", "programs"),
    row("/lib", "libraries and the dynamic loader"),
    row("/lib32", "libraries of 32-bit programs"),
    row("/lib64", "the dynamic loader"),
    row("/libx32", "libraries of x32 programs"),
    row(
        "/etc",
        "system settings: users, name service, certificates, loader cache",
    ),
    row("/opt", "add-on packages, Homebrew on Apple silicon"),
    row("/nix/store", "programs and libraries of Nix"),
    row("/nix/var/nix/profiles", "links into the Nix store"),
    row("/run/current-system", "links into the Nix store"),
    row("/gnu/store", "programs and libraries of Guix"),
    row("/snap", "programs of snapd"),
    row(
        "/home/linuxbrew/.linuxbrew",
        "programs of Homebrew on Linux",
    ),
    row("/var/cache/fontconfig", "font cache"),
    row("/var/lib/dpkg", "package database, read by build tools"),
    row("/proc", "the command's own processes"),
    row("/sys", "processor and memory layout"),
    row("/dev", "devices"),
    row("/System", "macOS: frameworks and the dynamic loader cache"),
    row(
        "/Library",
        "macOS: frameworks, developer tools, certificates",
    ),
    row("/Applications/Xcode.app", "macOS: compilers and SDKs"),
    row("/private/etc", "macOS: where `/etc` leads"),
    row(
        "/private/var/db",
        "macOS: dynamic loader, time zones, installed tools",
    ),
    row("/private/var/select", "macOS: which shell `/bin/sh` is"),
];

/// Files below the system paths that the preset closes: root can read them, whatever their mode is.
pub const WORKSPACE_SECRETS: &[PresetPath] = &[
    row("/etc/shadow", "password hashes"),
    row("/etc/shadow-", "password hashes, the previous version"),
    row("/etc/gshadow", "group password hashes"),
    row(
        "/etc/gshadow-",
        "group password hashes, the previous version",
    ),
    row("/etc/sudoers", "who may become root"),
    row("/etc/sudoers.d", "who may become root"),
    row("/etc/ssh/ssh_host_rsa_key", "the host's identity"),
    row("/etc/ssh/ssh_host_ecdsa_key", "the host's identity"),
    row("/etc/ssh/ssh_host_ed25519_key", "the host's identity"),
    row("/etc/ssl/private", "private keys of certificates"),
];

/// Paths of the home directory that the preset leaves readable. Where a tool keeps tokens or
/// passwords beside its programs (`.cargo/credentials.toml`, `.m2/settings.xml`,
/// `.local/share/keyrings`), the table names what it needs and not the directory: what is not named
/// looks absent, which every tool copes with.
pub const WORKSPACE_HOME: &[PresetPath] = &[
    row(".cargo/bin", "Rust: programs"),
    row(".cargo/env", "Rust: read by shells at start"),
    row(".cargo/config", "Rust: settings"),
    row(".cargo/config.toml", "Rust: settings"),
    row(".cargo/registry", "Rust: package cache"),
    row(".cargo/git", "Rust: package cache"),
    row(".cargo/.crates.toml", "Rust: list of installed programs"),
    row(".cargo/.crates2.json", "Rust: list of installed programs"),
    row(".cargo/.package-cache", "Rust: lock of the package cache"),
    row(".cargo/.global-cache", "Rust: ages of the package cache"),
    row(".rustup", "Rust: toolchains"),
    row(".npm", "Node: package cache"),
    row(".nvm", "Node: versions"),
    row(".fnm", "Node: versions"),
    row(".volta", "Node: versions"),
    row(".bun", "Bun: program and cache"),
    row(".deno", "Deno: program"),
    row(".pyenv", "Python: versions"),
    row(".conda/envs", "Python: environments"),
    row(".conda/pkgs", "Python: package cache"),
    row("miniconda3", "Python: environments"),
    row("anaconda3", "Python: environments"),
    row("miniforge3", "Python: environments"),
    row(".rbenv", "Ruby: versions"),
    row(".rvm", "Ruby: versions"),
    row(".gem/ruby", "Ruby: packages"),
    row("go", "Go: programs and modules"),
    row(".sdkman", "Java: versions"),
    row(".jdks", "Java: versions"),
    row(".m2/repository", "Java: Maven's package cache"),
    row(".m2/wrapper", "Java: Maven itself"),
    row(".gradle/caches", "Java: Gradle's package cache"),
    row(".gradle/wrapper", "Java: Gradle itself"),
    row(".gradle/jdks", "Java: versions"),
    row(".gradle/native", "Java: Gradle's libraries"),
    row(".ghcup", "Haskell: toolchains"),
    row(".cabal/bin", "Haskell: programs"),
    row(".cabal/packages", "Haskell: package cache"),
    row(".cabal/store", "Haskell: packages"),
    row(".opam", "OCaml: switches"),
    row(".elan", "Lean: toolchains"),
    row(".juliaup", "Julia: versions"),
    row(".julia", "Julia: packages"),
    row(".dotnet", ".NET: SDKs and tools"),
    row(".nuget/packages", ".NET: packages"),
    row(".asdf", "versions of many languages"),
    row(".nix-profile", "links into the Nix store"),
    row(".local/state/nix", "links into the Nix store"),
    row(".local/bin", "programs of the user"),
    row(".local/lib", "Python: packages of the user"),
    row(".local/share/uv", "Python: versions and tools"),
    row(".local/share/pipx", "Python: tools"),
    row(".local/share/virtualenvs", "Python: environments"),
    row(".local/share/pnpm", "Node: package store"),
    row(".local/share/fnm", "Node: versions"),
    row(".local/share/mise", "versions of many languages"),
    row(".local/share/claude", "Claude Code's own programs"),
    row(
        ".gitconfig",
        "git: fails when it is there and can't be read",
    ),
    row(".config/git/config", "git: settings"),
    row(".config/git/ignore", "git: ignore rules"),
    row(".config/git/attributes", "git: attributes"),
];
