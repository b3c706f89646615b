//! Debian kernels by series: found, unpacked and made bootable, nothing installed.
//!
//! Point releases vanish from the mirrors within weeks, so a series is resolved when it is needed and the exact name
//! is shown and cached; nothing is pinned here.

use std::{
    cmp::Reverse,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use walkdir::WalkDir;

use super::{
    archive::Archive,
    cpio::Cpio,
    mirror::Mirror,
    vmlinux::{decompress, extract},
};
use crate::shell::{CommandExt as _, command, is_present, readable, say};

/// A kernel that can be booted: files in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// Debian's name of it, such as `6.1.0-56-cloud`.
    pub(crate) name: String,
    dir: PathBuf,
}

impl Kernel {
    /// The newest kernel of `series`: from the cache, or else from Debian.
    pub(crate) fn of_series(cache: &Path, series: &str, mirror: &Mirror) -> Result<Self> {
        let kernels = cache.join("kernels");
        fs::create_dir_all(&kernels)?;
        if let Some(kernel) = Self::cached(&kernels, series)? {
            return Ok(kernel);
        }
        let suites = SERIES
            .iter()
            .find(|(name, _)| *name == series)
            .map(|(_, suites)| *suites);
        let Some(suites) = suites else {
            let known: Vec<&str> = SERIES.iter().map(|(name, _)| *name).collect();
            bail!(
                "no Debian suite is known for kernel series `{series}`; known are {}",
                known.join(", ")
            );
        };
        let archive = Archive::open(&cache.join("apt"), mirror, suites)?;
        let names = archive.package_names(&format!("linux-image-{series}"))?;
        let Some(name) = newest(
            names.iter().filter_map(|package| cloud_name(package)),
            series,
        ) else {
            bail!(
                "the mirror offers no cloud kernel of series {series} in {}",
                suites.join(", ")
            );
        };
        say(format!("fetching kernel {name}"));
        let kernel = Self {
            name: name.to_owned(),
            dir: kernels.join(name),
        };
        let staging = tempfile::tempdir_in(&kernels)?;
        let unpacked = staging.path().join("unpacked");
        for package in packages(&archive, name)? {
            archive.unpack(&package, &unpacked)?;
        }
        let ready = staging.path().join("ready");
        fs::create_dir(&ready)?;
        make_bootable(&unpacked, &ready)?;
        if is_present(&kernel.dir)? {
            // From a version of this task that kept other files.
            fs::remove_dir_all(&kernel.dir)?;
        }
        // The rename is what makes it visible: an interrupted preparation leaves nothing that looks complete.
        fs::rename(&ready, &kernel.dir)
            .with_context(|| format!("cannot keep `{}`", kernel.dir.display()))?;
        Ok(kernel)
    }

    /// The uncompressed kernel.
    pub(crate) fn vmlinux(&self) -> PathBuf {
        self.dir.join("vmlinux")
    }

    /// The first file system of the guest. The kernel unpacks archives that follow each other: the cached one has what
    /// belongs to the kernel, the second one our scripts as they are today.
    pub(crate) fn initramfs(&self) -> Result<Vec<u8>> {
        let cached = self.dir.join(MODULES);
        let mut bytes =
            fs::read(&cached).with_context(|| format!("cannot read `{}`", cached.display()))?;
        let mut scripts = Cpio::default();
        scripts.executable("init", include_bytes!("../../guest/init"));
        scripts.executable("stage2", include_bytes!("../../guest/stage2"));
        bytes.extend(scripts.finish());
        Ok(bytes)
    }

    /// The kernel's modules as a disk image.
    pub(crate) fn modules(&self) -> PathBuf {
        self.dir.join("modules.sqfs")
    }

    fn cached(kernels: &Path, series: &str) -> Result<Option<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(kernels)? {
            let entry = entry?;
            if is_present(&entry.path().join(MODULES))?
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        let name = newest(names.iter().map(String::as_str), series);
        Ok(name.map(|name| Self {
            name: name.to_owned(),
            dir: kernels.join(name),
        }))
    }
}

/// Kernel series and the Debian suites that carry them, with the Landlock ABI they are here for.
pub(crate) const SERIES: &[(&str, &[&str])] = &[
    ("5.10", &["bullseye-security", "bullseye"]), // no Landlock
    ("6.1", &["bookworm-security", "bookworm"]),  // ABI 2
    ("6.12", &["trixie-security", "trixie"]),     // ABI 6
    ("6.18", &["trixie-backports"]),              // ABI 7
    ("7.2", &["sid"]),                            // ABI 10
    ("7.3", &["trixie-backports", "sid"]),        // ABI 11
];

/// The cached part of the initramfs.
const MODULES: &str = "modules.cpio";

/// `6.1.0-56-cloud` of `linux-image-6.1.0-56-cloud-amd64`: that flavour is small and has all that the suites need.
fn cloud_name(package: &str) -> Option<&str> {
    let name = package
        .strip_prefix("linux-image-")?
        .strip_suffix("-amd64")?;
    name.ends_with("-cloud").then_some(name)
}

/// The name with the highest version among those of `series`.
fn newest<'names>(names: impl Iterator<Item = &'names str>, series: &str) -> Option<&'names str> {
    let of_series = |name: &&str| {
        name.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    names
        .filter(of_series)
        .min_by_key(|name| Reverse(version(name)))
}

/// The numbers of a version, in order.
fn version(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Newer kernels come in several packages: the image depends on the one with the binary and the one with the modules.
fn packages(archive: &Archive, name: &str) -> Result<Vec<String>> {
    let image = format!("linux-image-{name}-amd64");
    let parts = [
        format!("linux-binary-{name}-amd64"),
        format!("linux-modules-{name}-amd64"),
    ];
    let mut packages: Vec<String> = archive
        .dependencies(&image)?
        .into_iter()
        .filter(|package| parts.contains(package))
        .collect();
    packages.push(image);
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// Makes the files that a machine boots from out of unpacked packages.
fn make_bootable(unpacked: &Path, ready: &Path) -> Result<()> {
    let vmlinuz = find(unpacked, |path| {
        path.file_name()
            .is_some_and(|name| starts_with(name, "vmlinuz"))
    })?;
    extract(&vmlinuz, &ready.join("vmlinux"))?;
    let modules = find(unpacked, |path| {
        path.parent()
            .is_some_and(|parent| parent.ends_with("lib/modules"))
    })?;
    let base = modules
        .ancestors()
        .nth(3)
        .context("the modules lie in no `lib/modules`")?;
    let release = modules
        .file_name()
        .and_then(|name| name.to_str())
        .context("the kernel release is no text")?;
    // No package script has run, so the index of the modules has to be made here.
    command("depmod")
        .arg("-b")
        .arg(base)
        .arg(release)
        .run_quietly()?;
    fs::write(ready.join(MODULES), first_modules(base, release)?)?;
    command("mksquashfs")
        .arg(&modules)
        .arg(ready.join("modules.sqfs"))
        .args([
            "-quiet",
            "-no-progress",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
            "-all-root",
        ])
        .run_quietly()
}

/// busybox and the modules that lead to the disks.
fn first_modules(base: &Path, release: &str) -> Result<Vec<u8>> {
    let mut cpio = Cpio::default();
    for directory in ["bin", "dev", "modules", "proc", "root", "sys"] {
        cpio.directory(directory);
    }
    cpio.executable(
        "bin/busybox",
        &fs::read("/bin/busybox").context("cannot read the static busybox")?,
    );
    let mut order: Vec<String> = Vec::new();
    for module in ["virtio_pci", "virtio_blk", "ext4", "squashfs"] {
        for path in module_files(base, release, module)? {
            let content = module_content(Path::new(&path))?;
            let name = Path::new(&path)
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or(module);
            let name = name
                .trim_end_matches(".xz")
                .trim_end_matches(".zst")
                .to_owned();
            if !order.contains(&name) {
                cpio.file(&format!("modules/{name}"), &content);
                order.push(name);
            }
        }
    }
    cpio.file("modules/order", (order.join("\n") + "\n").as_bytes());
    Ok(cpio.finish())
}

/// The files to load for `module`, dependencies first; none when it is built in. Some packages do not list what is built
/// in, and modprobe then fails for it: a module that is really missing shows when the guest finds no disk.
fn module_files(base: &Path, release: &str, module: &str) -> Result<Vec<String>> {
    let output = command("modprobe")
        .arg("-d")
        .arg(base)
        .args(["-S", release, "--show-depends", module])
        .output()
        .context("cannot start modprobe")?;
    let text = readable(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("insmod "))
        .map(|path| path.trim().to_owned())
        .collect())
}

fn module_content(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => decompress(&["xz", "-dc"], &bytes),
        Some("zst") => decompress(&["zstd", "-dqc"], &bytes),
        _ => Ok(bytes),
    }
}

fn find(below: &Path, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    for entry in WalkDir::new(below).sort_by_file_name() {
        let path = entry?.into_path();
        if wanted(&path) {
            return Ok(path);
        }
    }
    bail!(
        "the kernel package lacks a file: nothing fits below `{}`",
        below.display()
    )
}

fn starts_with(name: &std::ffi::OsStr, start: &str) -> bool {
    name.as_encoded_bytes().starts_with(start.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_is_found_by_numbers() {
        let names = [
            "6.1.0-9-cloud",
            "6.1.0-56-cloud",
            "6.12.117+deb13-cloud",
            "6.1.0-10-cloud",
        ];
        assert_eq!(newest(names.into_iter(), "6.1"), Some("6.1.0-56-cloud"));
        assert_eq!(
            newest(names.into_iter(), "6.12"),
            Some("6.12.117+deb13-cloud")
        );
        assert_eq!(newest(names.into_iter(), "6"), Some("6.12.117+deb13-cloud"));
        assert_eq!(newest(names.into_iter(), "5.10"), None);
    }

    #[test]
    fn only_the_cloud_flavour_counts() {
        assert_eq!(
            cloud_name("linux-image-6.1.0-56-cloud-amd64"),
            Some("6.1.0-56-cloud")
        );
        assert_eq!(cloud_name("linux-image-6.1.0-56-amd64"), None);
        assert_eq!(cloud_name("linux-image-6.1.0-56-cloud-amd64-dbg"), None);
        assert_eq!(
            cloud_name("linux-image-6.1.0-56-cloud-amd64-unsigned"),
            None
        );
    }
}
