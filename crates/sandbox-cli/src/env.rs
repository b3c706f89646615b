//! What the process environment says: every variable that `srt` reads, and the only reads.
//!
//! No variable permits anything. `HOME` and `XDG_DATA_HOME` say where the user's own files are, those of
//! proxies by which way permitted hosts are reached, the others change what is printed.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
};

use sandbox_core::{AbsolutePath, settings::ProxyVariables};

/// The user's home directory: `~` in settings, the user's settings files, the trust store. Without
/// it the user database is asked.
const HOME: &str = "HOME";
/// Where the user's data are, the trust store among them; `~/.local/share` without it.
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// Where programs are searched for.
const PATH: &str = "PATH";
/// As `--debug`, unless it is empty, `0` or `false`.
const SRT_DEBUG: &str = "SRT_DEBUG";
/// `block`: what was refused is printed as a block that programs can find.
const SRT_VIOLATIONS: &str = "SRT_VIOLATIONS";
/// The proxy between this host and the internet: for plain HTTP, for everything else, for both, and
/// what is reached without it; in the order in which the spellings count.
const HTTP_PROXY: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// If it is not empty, nothing is coloured (<https://no-color.org>).
const NO_COLOR: &str = "NO_COLOR";

/// The process environment as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) home: Option<AbsolutePath>,
    pub(crate) working_directory: AbsolutePath,
    pub(crate) search_path: OsString,
    pub(crate) trust_store: Option<AbsolutePath>,
    pub(crate) debug: bool,
    pub(crate) violations_block: bool,
    pub(crate) proxies: ProxyVariables,
}

/// Why the environment can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    /// There is no working directory.
    #[error("cannot read the working directory")]
    WorkingDirectory {
        /// The reason.
        source: io::Error,
    },
    /// A variable that should hold an absolute path.
    #[error("`{name}` is not an absolute path")]
    NotAbsolute {
        /// The variable.
        name: &'static str,
        /// The reason.
        source: sandbox_core::PathError,
    },
    /// A directory without a usable name.
    #[error("unusable {what}")]
    UnusableDirectory {
        /// Which.
        what: &'static str,
        /// The reason.
        source: sandbox_core::PathError,
    },
}

impl Environment {
    /// `is_placeless`: the working directory, which may be removed, has no say.
    pub(crate) fn read(is_placeless: bool) -> Result<Self, EnvironmentError> {
        let home = match variable(HOME) {
            Some(home) => Some(absolute(HOME, &home)?),
            // Without the home directory the user's own rules would be lost.
            None => match env::home_dir().filter(|home| !home.as_os_str().is_empty()) {
                Some(home) => Some(absolute(HOME, home.as_os_str())?),
                None => None,
            },
        };
        // The XDG base directory specification wants relative paths ignored.
        let data = variable(XDG_DATA_HOME).and_then(|data| AbsolutePath::new(data).ok());
        let trust_store = match (&data, &home) {
            (Some(data), _) => Some(below(data, "srt/trust")?),
            (None, Some(home)) => Some(below(home, ".local/share/srt/trust")?),
            (None, None) => None,
        };
        Ok(Self {
            working_directory: match working_directory() {
                Err(_) if is_placeless => AbsolutePath::root(),
                found => found?,
            },
            search_path: variable(PATH).unwrap_or_else(|| DEFAULT_SEARCH_PATH.into()),
            debug: variable(SRT_DEBUG).is_some_and(|value| value != "0" && value != "false"),
            violations_block: variable(SRT_VIOLATIONS).is_some_and(|value| value == "block"),
            proxies: ProxyVariables {
                http: first(HTTP_PROXY),
                https: first(HTTPS_PROXY),
                all: first(ALL_PROXY),
                no_proxy: first(NO_PROXY),
            },
            home,
            trust_store,
        })
    }
}

/// The words of the command line, the program's own name first.
pub(crate) fn words() -> Vec<OsString> {
    env::args_os().collect()
}

/// Whether the user wants no colour anywhere.
pub(crate) fn no_color() -> bool {
    variable(NO_COLOR).is_some()
}

fn first(names: [&str; 2]) -> Option<OsString> {
    names.into_iter().find_map(variable)
}

#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
fn working_directory() -> Result<AbsolutePath, EnvironmentError> {
    let directory =
        env::current_dir().map_err(|source| EnvironmentError::WorkingDirectory { source })?;
    AbsolutePath::new(directory).map_err(|source| EnvironmentError::UnusableDirectory {
        what: "working directory",
        source,
    })
}

fn absolute(name: &'static str, value: &OsStr) -> Result<AbsolutePath, EnvironmentError> {
    AbsolutePath::new(value).map_err(|source| EnvironmentError::NotAbsolute { name, source })
}

fn below(directory: &AbsolutePath, path: &str) -> Result<AbsolutePath, EnvironmentError> {
    AbsolutePath::resolve(directory, path).map_err(|source| EnvironmentError::UnusableDirectory {
        what: "trust store",
        source,
    })
}

/// Where programs are searched for without a `PATH` (`_PATH_DEFPATH` of paths.h).
const DEFAULT_SEARCH_PATH: &str = "/usr/bin:/bin";
