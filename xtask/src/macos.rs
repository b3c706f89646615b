//! `cargo xtask check-macos`: type-checks the macOS code from any machine.
//!
//! No compiled standard library for the Apple targets is needed: it is built from source, which
//! must be the source of exactly our compiler. Sources, in this order: the toolchain's own
//! (`rust-src`), an archive of `library/`, Debian's `rust-src` package. The toolchain in use is
//! never changed: a copy of hard links is made beside the build's other output, and the source is
//! put into that copy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::shell::{CommandExt as _, command, is_present, say};
use crate::workspace;

/// Arguments of `check-macos`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Check the facade and the program too, not only the macOS backend.
    #[arg(long)]
    all: bool,
    /// A tar archive with the `library` directory of our compiler's source.
    /// `SRT_RUST_LIBRARY_TAR` in the environment does the same.
    #[arg(long, value_name = "FILE")]
    library_tar: Option<PathBuf>,
    /// Check for this target only.
    #[arg(long, value_name = "TRIPLE", value_parser = TARGETS)]
    target: Option<String>,
}

/// Checks the macOS crates for the Apple targets.
pub(crate) fn run(args: &Args) -> Result<()> {
    let cache = workspace::target_directory()?.join("macos-sysroot");
    let library_tar = args.library_tar.clone().or_else(library_tar_of_environment);
    let toolchain = prepare(&cache, library_tar.as_deref())?;
    let packages: &[&str] = if args.all {
        &["sandbox-macos", "sandbox-core", "sandbox-cli"]
    } else {
        &["sandbox-macos"]
    };
    let targets = TARGETS.iter().filter(|target| {
        args.target
            .as_deref()
            .is_none_or(|wanted| wanted == **target)
    });
    for target in targets {
        let start = Instant::now();
        check(&toolchain, &cache.join("target"), target, packages)?;
        say(format!(
            "{target}: {} type-check ({:.0?})",
            packages.join(", "),
            start.elapsed()
        ));
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a path for continuous integration, read in this one place"
)]
fn library_tar_of_environment() -> Option<PathBuf> {
    std::env::var_os("SRT_RUST_LIBRARY_TAR").map(PathBuf::from)
}

/// Checks `packages` for one target, the standard library included.
fn check(toolchain: &Path, output: &Path, target: &str, packages: &[&str]) -> Result<()> {
    let mut cargo = command(toolchain.join("bin/cargo"));
    cargo
        .args(["check", "-Zbuild-std=std,panic_abort", "--target", target])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        // A stable compiler builds its own standard library when told so. Nothing that is built
        // this way is ever run or shipped, and nothing else shares the output directory.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", output)
        .env("RUSTC", toolchain.join("bin/rustc"))
        .env("MACOSX_DEPLOYMENT_TARGET", "13.0")
        .env("RUSTFLAGS", "-Dwarnings")
        // Set by the cargo that runs us: they would bring the other toolchain back, the last one by
        // loading its compiler library.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH");
    cargo.run()
}

/// Makes the toolchain with the standard library's source and says where it is.
fn prepare(cache: &Path, library_tar: Option<&Path>) -> Result<PathBuf> {
    let sysroot = PathBuf::from(
        command("rustc")
            .args(["--print", "sysroot"])
            .stdout_text()?
            .trim(),
    );
    if is_present(&sysroot.join(LIBRARY).join(MARKER))? {
        return Ok(sysroot);
    }
    let version = compiler_version()?;
    let toolchain = cache.join(format!("toolchain-{version}"));
    if is_present(&toolchain.join(LIBRARY).join(MARKER))? {
        return Ok(toolchain);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create `{}`", cache.display()))?;
    // Everything happens in a scratch directory that is renamed at the end, so that a run that was
    // cut short leaves nothing that a later one would take for complete.
    let scratch = tempfile::Builder::new()
        .prefix("scratch-")
        .tempdir_in(cache)
        .with_context(|| format!("cannot create a directory in `{}`", cache.display()))?;
    let source = scratch.path().join("source");
    fs::create_dir(&source).with_context(|| format!("cannot create `{}`", source.display()))?;
    match library_tar {
        Some(archive) => unpack(archive, &source)?,
        None => download(&version, scratch.path(), &source)?,
    }
    let library = find_library(&source)?;
    require_version(&library, &version)?;
    let copy = scratch.path().join("toolchain");
    say(format!("copying the toolchain of `{}`", sysroot.display()));
    if link_tree(&sysroot, &copy, "-al").is_err() {
        // Hard links do not cross file systems.
        remove_tree(&copy)?;
        link_tree(&sysroot, &copy, "-a")?;
    }
    let place = copy.join(LIBRARY);
    let parent = place
        .parent()
        .context("the library's place has no parent")?;
    remove_tree(parent)?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
    rename(&library, &place)?;
    remove_tree(&toolchain)?;
    rename(&copy, &toolchain)?;
    Ok(toolchain)
}

/// Unpacks an archive of `library/`.
fn unpack(archive: &Path, into: &Path) -> Result<()> {
    say(format!("unpacking `{}`", archive.display()));
    let mut tar = command("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(into);
    tar.run_quietly()
        .context("cannot unpack the library's source")
}

/// Fetches Debian's `rust-src` of this version, without installing it or touching the machine's
/// own package lists.
fn download(version: &str, scratch: &Path, into: &Path) -> Result<()> {
    let apt = Apt::new(scratch).with_context(|| no_source(version))?;
    say(format!(
        "looking for the source of rustc {version} in Debian"
    ));
    apt.command("apt-get")
        .args(["-qq", "update"])
        .run_quietly()
        .with_context(|| no_source(version))?;
    let listing = apt
        .command("apt-cache")
        .args(["madison", "rust-src"])
        .stdout_text()?;
    let mut versions = listing
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim);
    let wanted = versions
        .find(|found| {
            found
                .strip_prefix(version)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
        .with_context(|| {
            format!(
                "no suite of Debian has rust-src {version}\n{}",
                no_source(version)
            )
        })?;
    apt.command("apt-get")
        .args(["-qq", "download", &format!("rust-src={wanted}")])
        .current_dir(scratch)
        .run_quietly()
        .with_context(|| no_source(version))?;
    let entries =
        fs::read_dir(scratch).with_context(|| format!("cannot list `{}`", scratch.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list `{}`", scratch.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return command("dpkg-deb")
                .arg("-x")
                .arg(path)
                .arg(into)
                .run_quietly();
        }
    }
    bail!("apt-get reported success but left no package")
}

/// A package manager with lists of its own: the machine's mirrors and keys, more suites.
struct Apt {
    config: PathBuf,
}

impl Apt {
    fn new(scratch: &Path) -> Result<Self> {
        let root = scratch.join("apt");
        for directory in ["lists/partial", "cache/archives/partial"] {
            let path = root.join(directory);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create `{}`", path.display()))?;
        }
        let sources = root.join("sources.list");
        write(&sources, &debian_sources()?)?;
        let config = root.join("apt.conf");
        let text = format!(
            "Dir::State::Lists \"{lists}\";\nDir::Cache \"{cache}\";\nDir::Etc::SourceList \"{sources}\";\n\
             Dir::Etc::SourceParts \"/dev/null\";\nDebug::NoLocking \"true\";\nAPT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n",
            lists = root.join("lists").display(),
            cache = root.join("cache").display(),
            sources = sources.display(),
        );
        write(&config, &text)?;
        Ok(Self { config })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.env("APT_CONFIG", &self.config);
        command
    }
}

/// Sources for every suite that may carry the package. The mirror is the one that this machine
/// uses for Debian already, so that whoever has a mirror of their own is asked nothing new.
fn debian_sources() -> Result<String> {
    let configured = command("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(ORIGIN)"])
        .stdout_text()
        .context("cannot ask apt for its mirrors")?;
    let mirror = configured.lines().find_map(|line| {
        let (uri, origin) = line.split_once(' ')?;
        (origin == "Debian" && !uri.contains("security")).then(|| uri.trim_end_matches('/'))
    });
    let mirror = mirror.with_context(|| "this machine has no mirror of Debian configured")?;
    let suites = ["trixie-backports", "testing", "unstable", "experimental"];
    let lines = suites.map(|suite| {
        format!(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n"
        )
    });
    Ok(lines.concat())
}

fn no_source(version: &str) -> String {
    format!(
        "the standard library's source is needed, of exactly rustc {version}, and could not be \
         fetched (is there a network?)\neither: rustup component add rust-src\nor: cargo xtask \
         check-macos --library-tar FILE, with the `library` directory of that release's source"
    )
}

/// The directory `library` in an unpacked archive or package.
fn find_library(source: &Path) -> Result<PathBuf> {
    let found = walkdir::WalkDir::new(source)
        .max_depth(6)
        .into_iter()
        .filter_map(Result::ok);
    let mut libraries = found
        .filter(|entry| entry.path().ends_with(MARKER))
        .filter_map(|entry| Some(entry.path().parent()?.parent()?.to_path_buf()));
    libraries
        .next()
        .with_context(|| format!("there is no `{MARKER}` in the archive"))
}

/// A library of another release would fail later, with errors that name no cause. The source says
/// its version nowhere, but every release makes something stable in it, and says since when.
fn require_version(library: &Path, version: &str) -> Result<()> {
    let mut newest = None;
    for entry in walkdir::WalkDir::new(library.join("core/src")) {
        let entry = entry.context("cannot list the library's source")?;
        if entry
            .path()
            .extension()
            .is_none_or(|extension| extension != "rs")
        {
            continue;
        }
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read `{}`", entry.path().display()))?;
        for attribute in text.split("stable(feature = \"").skip(1) {
            let since = attribute
                .split_once("\", since = \"")
                .and_then(|(_, since)| since.split('"').next());
            newest = newest.max(since.and_then(release_number));
        }
    }
    let wanted = release_number(version).with_context(|| format!("`{version}` is no version"))?;
    match newest {
        Some(newest) if newest == (wanted.0, wanted.1) => Ok(()),
        Some((major, minor)) => {
            bail!(
                "the source is of rustc {major}.{minor}, the compiler is {version}: they must be the same"
            )
        }
        None => bail!(
            "the source in `{}` is not the standard library's",
            library.display()
        ),
    }
}

/// 1.95.0 → (1, 95)
fn release_number(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `1.95.0`, as the compiler names itself.
fn compiler_version() -> Result<String> {
    let text = command("rustc").arg("-vV").stdout_text()?;
    let release = text.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(release
        .context("rustc does not say its release")?
        .trim()
        .to_owned())
}

fn link_tree(from: &Path, to: &Path, how: &str) -> Result<()> {
    command("cp").arg(how).arg(from).arg(to).run_quietly()
}

fn remove_tree(path: &Path) -> Result<()> {
    if is_present(path)? {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .with_context(|| format!("cannot rename `{}` to `{}`", from.display(), to.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];

/// The source's place in a toolchain, where cargo looks for it.
const LIBRARY: &str = "lib/rustlib/src/rust/library";

/// A file that every copy of the source has.
const MARKER: &str = "std/Cargo.toml";
