//! What a profile must know about the machine: plain data, the same type on every system.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use sandbox_policy::{AbsolutePath, Policy, UnixSocketPolicy};

use crate::profile::place;

/// The facts of one macOS machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFacts {
    /// The running release of macOS.
    pub release: MacosRelease,
    /// The command's `TMPDIR`, symbolic links resolved. It becomes writable together with the
    /// policy's scratch directories, as it is what programs on macOS use in place of `/tmp`.
    pub temp_dir: Option<AbsolutePath>,
    /// Directories that are symbolic links, with what they lead to. Seatbelt sees real paths only.
    pub aliases: Vec<(AbsolutePath, AbsolutePath)>,
    /// Paths of rules that lead through other symbolic links, with what they lead to. Of a pattern
    /// the directory counts that all its matches lie in.
    pub landings: BTreeMap<AbsolutePath, AbsolutePath>,
}

/// A release of macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MacosRelease {
    /// 13 in 13.6.
    pub major: u16,
    /// 6 in 13.6.
    pub minor: u16,
}

impl MacosRelease {
    /// Names a release.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads `13.6.1`; what follows the minor number does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().map_or(Some(0), |minor| minor.parse().ok())?;
        Some(Self { major, minor })
    }
}

impl std::fmt::Display for MacosRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl HostFacts {
    /// Facts of a machine as Apple ships it: `/tmp`, `/var` and `/etc` lie in `/private`.
    #[must_use]
    pub fn new(release: MacosRelease, temp_dir: Option<AbsolutePath>) -> Self {
        let aliases = ["tmp", "var", "etc"].iter().filter_map(|name| {
            let alias = AbsolutePath::new(Path::new("/").join(name)).ok()?;
            let real = AbsolutePath::new(Path::new("/private").join(name)).ok()?;
            Some((alias, real))
        });
        let aliases: Vec<_> = aliases.collect();
        let mut facts = Self {
            release,
            temp_dir: None,
            aliases,
            landings: BTreeMap::new(),
        };
        facts.temp_dir = temp_dir.map(|path| facts.real_path(&path));
        facts
    }

    /// Looks at this machine. `temp_dir` is the command's `TMPDIR`; one that does not exist is no
    /// fact, as nothing can be written there.
    #[cfg(target_os = "macos")]
    pub fn probe(temp_dir: Option<&Path>) -> Result<Self, ProbeError> {
        let file = Path::new("/System/Library/CoreServices/SystemVersion.plist");
        let text = fs::read_to_string(file).map_err(|source| ProbeError::ReadRelease {
            path: file.to_path_buf(),
            source,
        })?;
        let release = product_version(&text)
            .and_then(MacosRelease::parse)
            .ok_or_else(|| ProbeError::UnknownRelease {
                path: file.to_path_buf(),
            })?;
        let temp_dir = match temp_dir.map(|path| (path, fs::canonicalize(path))) {
            None => None,
            Some((_, Ok(real))) => AbsolutePath::new(real).ok(),
            Some((_, Err(error))) if error.kind() == io::ErrorKind::NotFound => None,
            Some((path, Err(source))) => {
                return Err(ProbeError::ResolveTempDir {
                    path: path.to_path_buf(),
                    source,
                });
            }
        };
        Ok(Self::new(release, temp_dir))
    }

    /// Looks where the paths of the policy's rules lead on this machine.
    pub fn with_landings(mut self, policy: &Policy) -> Result<Self, ProbeError> {
        let files = &policy.filesystem;
        let sockets = match &policy.unix_sockets {
            UnixSocketPolicy::Listed(rules) => rules.as_slice(),
            UnixSocketPolicy::Blocked | UnixSocketPolicy::Unrestricted(_) => &[],
        };
        let denies = files.deny_read.iter().map(|deny| &deny.rule);
        let allows = files.allow_read.iter().chain(&files.allow_write);
        let rules = denies
            .chain(&files.deny_write)
            .chain(allows.map(|allow| &allow.rule))
            .chain(sockets);
        for rule in rules {
            let path = place(&rule.pattern);
            let landing = landing(path).map_err(|source| ProbeError::ResolveRule {
                path: path.as_path().to_path_buf(),
                source,
            })?;
            if landing != self.real_path(path) {
                self.landings.insert(path.clone(), landing);
            }
        }
        Ok(self)
    }

    /// The path without the links of [`Self::aliases`].
    #[must_use]
    pub fn real_path(&self, path: &AbsolutePath) -> AbsolutePath {
        for (alias, real) in &self.aliases {
            let Ok(rest) = path.as_path().strip_prefix(alias.as_path()) else {
                continue;
            };
            if let Ok(path) = AbsolutePath::new(real.as_path().join(rest)) {
                return path;
            }
        }
        path.clone()
    }
}

/// Where a path leads. What does not exist, or lies where the caller can't look, is where its
/// nearest ancestor that can be seen leads. A link to what does not exist leads there all the same:
/// the command could create it.
fn landing(path: &AbsolutePath) -> io::Result<AbsolutePath> {
    let mut path = path.clone();
    for _ in 0..LINK_LIMIT {
        match step(&path)? {
            Step::Landed(landing) => return Ok(landing),
            Step::Link(target) => path = target,
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// What resolving a path comes to.
enum Step {
    /// The end.
    Landed(AbsolutePath),
    /// The path that a link to nothing stands for.
    Link(AbsolutePath),
}

fn step(path: &AbsolutePath) -> io::Result<Step> {
    for ancestor in path.ancestors() {
        let rest = path.as_path().strip_prefix(&ancestor);
        let rest = rest.map_err(io::Error::other)?;
        match fs::canonicalize(&ancestor) {
            Ok(real) => {
                let landing = AbsolutePath::new(real.join(rest));
                return landing.map(Step::Landed).map_err(io::Error::other);
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error),
        }
        // No link, or one that can't be looked at: the ancestors decide.
        if let (Ok(target), Some(directory)) = (fs::read_link(&ancestor), ancestor.parent()) {
            let directory = fs::canonicalize(directory)?;
            let target = AbsolutePath::new(directory.join(target).join(rest));
            return target.map(Step::Link).map_err(io::Error::other);
        }
    }
    Ok(Step::Landed(path.clone()))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

/// Why the machine's facts are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The file that names the release can't be read.
    #[error("cannot read the macOS release from `{}`", path.display())]
    ReadRelease {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file names no release.
    #[error("no macOS release in `{}`", path.display())]
    UnknownRelease {
        /// The file.
        path: PathBuf,
    },
    /// The path of a rule can't be resolved.
    #[error("cannot resolve `{}`", path.display())]
    ResolveRule {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The temporary directory can't be resolved.
    #[error("cannot resolve the temporary directory `{}`", path.display())]
    ResolveTempDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Links to nothing that are followed one after the other, as many as the system follows
/// (`MAXSYMLINKS` of param.h).
const LINK_LIMIT: usize = 32;

/// The value of `ProductVersion` in a property list written as XML.
#[cfg(any(target_os = "macos", test))]
fn product_version(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<key>ProductVersion</key>")?;
    let (_, rest) = rest.split_once("<string>")?;
    Some(rest.split_once("</string>")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_from_property_lists() {
        let text = "<dict><key>ProductName</key><string>macOS</string>\n\
                    <key>ProductVersion</key>\n\t<string>14.4.1</string></dict>";
        let release = product_version(text).and_then(MacosRelease::parse);
        assert_eq!(release, Some(MacosRelease::new(14, 4)));
        assert_eq!(MacosRelease::parse("15"), Some(MacosRelease::new(15, 0)));
        assert_eq!(MacosRelease::parse("fifteen"), None);
        assert_eq!(MacosRelease::parse("15.x"), None);
    }
}
