//! The guest's root: a small Debian as an ext4 image, made once and never written to (machines get throw-away writes).
//!
//! A plain ext4 root and not an overlay: an overlay root changes how Landlock, renames and overlayfs behave.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::mirror::Mirror;
use crate::shell::{CommandExt as _, command, is_present, is_root, say};

/// The image, built when the cache has none for this list of packages.
pub(crate) fn image(cache: &Path, mirror: &mut Mirror) -> Result<PathBuf> {
    let dir = cache.join("rootfs");
    fs::create_dir_all(&dir)?;
    let (image, stamp) = (dir.join("root.ext4"), dir.join("contents"));
    let contents = format!("{REVISION} {SUITE} {PACKAGES}\n");
    let archive_file = dir.join("archive");
    if is_present(&image)? && fs::read_to_string(&stamp).is_ok_and(|old| old == contents) {
        if mirror.archive.is_none() {
            mirror.archive = fs::read_to_string(&archive_file)
                .ok()
                .map(|uri| uri.trim().to_owned());
        }
        return Ok(image);
    }
    if !is_root()? {
        bail!("building the guest's root image needs root once; then its cache serves everybody");
    }
    say("building the guest's root image");
    let staging = tempfile::tempdir_in(&dir)?;
    let root = staging.path().join("root");
    bootstrap(&root, mirror)?;
    let archive = archive_of(&root)?;
    fs::write(&archive_file, &archive)?;
    mirror.archive.get_or_insert(archive);
    let fresh = staging.path().join("root.ext4");
    command("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m0", "-d"])
        .arg(&root)
        .arg(&fresh)
        .arg("1G")
        .run_quietly()?;
    fs::rename(&fresh, &image)?;
    fs::write(&stamp, contents)?;
    Ok(image)
}

fn bootstrap(root: &Path, mirror: &Mirror) -> Result<()> {
    let mut mmdebstrap = command("mmdebstrap");
    mmdebstrap.args([
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--aptopt=Acquire::Check-Valid-Until \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--customize-hook=chroot \"$1\" useradd --uid 1000 --user-group --create-home --shell /bin/bash tester",
        "--customize-hook=echo srt-guest > \"$1/etc/hostname\"",
        "--customize-hook=echo '127.0.0.1 localhost srt-guest' > \"$1/etc/hosts\"",
        "--customize-hook=mkdir -p \"$1/payload\" \"$1/.modules\"",
        "--customize-hook=rm -rf \"$1\"/var/cache/apt/* \"$1\"/var/lib/apt/lists/*",
    ]);
    mmdebstrap.args(
        mirror
            .settings
            .iter()
            .map(|line| format!("--aptopt={}", line.trim_end_matches(';'))),
    );
    mmdebstrap
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(root);
    if let Some(archive) = &mirror.archive {
        mmdebstrap.arg(archive);
    }
    mmdebstrap
        .run_quietly()
        .context("cannot build the guest's root")
}

/// The mirror that the new root was made from, as its own apt names it.
fn archive_of(root: &Path) -> Result<String> {
    let path = root.join("etc/apt/sources.list");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let word = text.split_whitespace().find(|word| word.contains("://"));
    Ok(word
        .context("the new root names no mirror")?
        .trim_end_matches('/')
        .to_owned())
}

/// The suites and srt are linked statically, so the guest's release does not matter to them.
const SUITE: &str = "bookworm";

/// What the suites use, as far as it is small.
const PACKAGES: &str = "git,curl,wget,ca-certificates,python3,procps,kmod,iproute2,netcat-openbsd,gcc,libc6-dev,make,openssh-client";

/// Counted up when something else about the image changes, so that cached ones are built anew.
const REVISION: u32 = 2;
