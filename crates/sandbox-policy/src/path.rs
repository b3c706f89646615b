//! Absolute, lexically clean paths.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// An absolute path without NUL bytes, `.` or `..` components, doubled or trailing separators.
///
/// Bytes are kept as they are: a path that is not UTF-8 stays the path it is. Clones share them, as
/// a policy of thousands of rules is handed from one part to the next.
#[derive(Clone, Debug, Eq)]
pub struct AbsolutePath(Arc<Path>);

/// Why a path is not an [`AbsolutePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text is empty.
    #[error("path cannot be empty")]
    Empty,
    /// It does not start at the root.
    #[error("path is not absolute: `{}`", path.display())]
    Relative {
        /// The path as given.
        path: PathBuf,
    },
    /// A NUL byte can't be part of a path (POSIX.1-2017, 3.271).
    #[error("path contains a NUL byte: `{}`", path.display())]
    Nul {
        /// The path as given.
        path: PathBuf,
    },
    /// What was to be joined is not the name of one directory entry.
    #[error("not the name of a directory entry: `{}`", name.display())]
    NotEntryName {
        /// The name as given.
        name: OsString,
    },
}

impl AbsolutePath {
    /// Takes an absolute path; `.` vanishes and `..` is resolved lexically.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        check_bytes(path)?;
        if path.has_root() {
            Ok(descend(PathBuf::from("/"), path))
        } else {
            Err(PathError::Relative {
                path: path.to_path_buf(),
            })
        }
    }

    /// Resolves `path` against `base` lexically, as `new` does.
    pub fn resolve(base: &Self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        check_bytes(path)?;
        Ok(descend(base.0.to_path_buf(), path))
    }

    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        Self::root_itself().clone()
    }

    /// `/`, for whoever needs it only lent.
    pub(crate) fn root_itself() -> &'static Self {
        static ROOT: LazyLock<AbsolutePath> = LazyLock::new(|| AbsolutePath(Path::new("/").into()));
        &ROOT
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_os_str().as_encoded_bytes()
    }

    /// Number of components below the root: 0 for `/`.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self.as_bytes() {
            b"/" => 0,
            bytes => bytes.iter().filter(|byte| **byte == b'/').count(),
        }
    }

    /// The names that lead from the root to it; none for `/`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes()
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
    }

    /// Whether this is `ancestor` or lies below it, by components.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        // Both sides are clean, so components can be compared as bytes: an order of magnitude
        // cheaper than `Path::starts_with`, which matters when thousands of rules are asked.
        if ancestor.as_bytes() == b"/" {
            return true;
        }
        match self.as_bytes().strip_prefix(ancestor.as_bytes()) {
            Some(rest) => rest.first().is_none_or(|byte| *byte == b'/'),
            None => false,
        }
    }

    /// The directory that holds it; none for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.parent().map(|parent| Self(parent.into()))
    }

    /// The path of an entry of this directory. `name` must be one plain component.
    pub fn join(&self, name: impl AsRef<OsStr>) -> Result<Self, PathError> {
        let name = name.as_ref();
        let bytes = name.as_encoded_bytes();
        check_bytes(Path::new(name))?;
        if bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
            return Err(PathError::NotEntryName {
                name: name.to_os_string(),
            });
        }
        Ok(Self(self.0.join(name).into()))
    }

    /// This path and its ancestors, the path itself first, `/` last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.ancestors().map(|ancestor| Self(ancestor.into()))
    }

    /// For constants of this crate that are clean by inspection (a test checks each of them).
    pub(crate) fn from_clean(path: &'static str) -> Self {
        debug_assert_eq!(
            Self::new(path).as_ref().map(Self::as_path),
            Ok(Path::new(path))
        );
        Self(Arc::from(Path::new(path)))
    }

    /// The path and all above it as bytes, innermost first.
    pub fn byte_ancestors(&self) -> impl Iterator<Item = &[u8]> {
        fn above<'p>(path: &&'p [u8]) -> Option<&'p [u8]> {
            let end = path.iter().rposition(|byte| *byte == b'/')?;
            path.get(..end.max(1))
                .filter(|above| above.len() < path.len())
        }
        std::iter::successors(Some(self.as_bytes()), above)
    }

    /// The path of what a clean relative text names in this directory.
    pub(crate) fn below(&self, text: &[u8]) -> Self {
        let directory = self.as_bytes();
        let directory = directory.strip_suffix(b"/").unwrap_or(directory);
        // Nothing is allocated for most but the path itself.
        let mut buffer = [0; 256];
        let Some(path) = buffer.get_mut(..directory.len() + 1 + text.len()) else {
            return Self::from_clean_bytes(&[directory, b"/", text].concat());
        };
        let (start, rest) = path.split_at_mut(directory.len());
        start.copy_from_slice(directory);
        if let Some((separator, rest)) = rest.split_first_mut() {
            *separator = b'/';
            rest.copy_from_slice(text);
        }
        Self::from_clean_bytes(path)
    }

    /// For bytes put together out of clean parts.
    pub(crate) fn from_clean_bytes(bytes: &[u8]) -> Self {
        let bytes = if bytes.is_empty() { b"/" } else { bytes };
        let path = Path::new(OsStr::from_bytes(bytes));
        debug_assert_eq!(Self::new(path).as_ref().map(Self::as_path), Ok(path));
        Self(path.into())
    }
}

/// Goes from a clean directory along a path; `..` goes up.
fn descend(mut place: PathBuf, path: &Path) -> AbsolutePath {
    for component in path.components() {
        match component {
            Component::RootDir => place = PathBuf::from("/"),
            Component::Normal(name) => place.push(name),
            Component::ParentDir => {
                // `/..` is `/`: popping the root does nothing.
                place.pop();
            }
            // Prefixes exist on Windows only.
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    AbsolutePath(place.into())
}

/// Clean paths are equal if their bytes are: much cheaper to tell than by components, which matters
/// when thousands of rules are compared.
impl PartialEq for AbsolutePath {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// By components, as paths are ordered: a directory comes before what lies in it, and all of that before
/// its next neighbour. Told by bytes for the same reason.
impl Ord for AbsolutePath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, other) = (self.as_bytes(), other.as_bytes());
        // Neighbours have most of their bytes in common.
        let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
        let common = words.take_while(|(one, other)| one == other).count() * 8;
        let (one, other) = (one.get(common..), other.get(common..));
        let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
        // A component's end comes before all that could go on.
        let rank = |byte: &u8| (*byte != b'/', *byte);
        let differing = one.iter().zip(other).find(|(one, other)| one != other);
        match differing {
            Some((one, other)) => rank(one).cmp(&rank(other)),
            None => one.len().cmp(&other.len()),
        }
    }
}

impl PartialOrd for AbsolutePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for AbsolutePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl AsRef<Path> for AbsolutePath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

fn check_bytes(path: &Path) -> Result<(), PathError> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        Err(PathError::Empty)
    } else if bytes.contains(&0) {
        Err(PathError::Nul {
            path: path.to_path_buf(),
        })
    } else {
        Ok(())
    }
}
